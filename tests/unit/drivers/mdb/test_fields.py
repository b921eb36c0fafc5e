"""Fields the codecs share: integers, masks, identification."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mdb.blocks import BlockFault, MdbBlockError
from drivers.mdb.fields import (
    Identification,
    ascii_field,
    bcd_bytes,
    bcd_number,
    decode_identification,
    encode_identification,
    expect_length,
    mask_of,
    nibble,
    types_of,
    unsigned,
)

CHANGER_ID = bytes.fromhex(
    "58 59 5A 41 30 30 30 30 30 30 30 34 37 31 31 43 48 47 2D 34 20 20 20 20 20 20 20 01 23"
    "00 00 00 03"
)


def test_the_identification_of_a_changer_reads_as_the_standard_says() -> None:
    assert decode_identification(CHANGER_ID) == Identification(
        manufacturer="XYZ", serial="A00000004711", model="CHG-4", version=123, options=3
    )
    assert decode_identification(CHANGER_ID).version_text == "1.23"


def test_without_options_four_bytes_are_missing() -> None:
    short = decode_identification(CHANGER_ID[:29])
    assert short.options is None
    assert encode_identification(short) == CHANGER_ID[:29]


@pytest.mark.parametrize("padding", [b" ", b"\0"])
def test_padding_of_either_kind_on_either_side_is_stripped(padding: bytes) -> None:
    raw = b"ABC" + b"77".rjust(12, padding) + b"M1".ljust(12, padding) + b"\x12\x34"
    value = decode_identification(raw)
    assert (value.serial, value.model, value.version_text) == ("77", "M1", "12.34")


def test_bytes_that_are_no_text_or_no_digits_are_told_apart() -> None:
    value = decode_identification(b"A\x80C" + b" " * 24 + b"\x1a\x00")
    assert (value.manufacturer, value.version, value.version_text) == ("A?C", -1, "unknown")


@pytest.mark.parametrize("size", [0, 28, 30, 32, 34])
def test_an_identification_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(MdbBlockError):
        decode_identification(bytes(size))


text = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)


@given(
    text.filter(lambda t: len(t) == 3) | st.just("VND"),
    st.integers(0, 10**12 - 1),
    st.integers(0, 9999),
    st.none() | st.integers(0, 0xFFFFFFFF),
)
def test_an_identification_survives_the_wire(
    manufacturer: str, serial: int, version: int, options: int | None
) -> None:
    value = Identification(manufacturer, f"{serial:012d}", "VENDD", version, options)
    assert decode_identification(encode_identification(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        Identification("TOOLONG", "1", "M", 1),
        Identification("ABC", "1" * 13, "M", 1),
        Identification("ABC", "1", "Ä", 1),
        Identification("ABC", "1", "M", 10000),
        Identification("ABC", "1", "M", -1),
        Identification("ABC", "1", "M", 1, 1 << 32),
    ],
)
def test_an_identification_that_does_not_fit_is_refused(value: Identification) -> None:
    with pytest.raises(MdbBlockError) as caught:
        encode_identification(value)
    assert caught.value.reason is BlockFault.BAD_VALUE


def test_masks_and_types_are_each_other() -> None:
    assert types_of(0x0017) == (0, 1, 2, 4)
    assert mask_of((0, 1, 2, 4)) == 0x17
    assert mask_of(()) == 0
    with pytest.raises(MdbBlockError):
        mask_of((16,))


@pytest.mark.parametrize("value", [-1, 256])
def test_a_number_that_does_not_fit_its_field_is_refused(value: int) -> None:
    with pytest.raises(MdbBlockError, match="level must be 0 to 255"):
        unsigned(value, 1, "level")


@pytest.mark.parametrize("value", [-1, 16])
def test_a_type_has_four_bits(value: int) -> None:
    with pytest.raises(MdbBlockError):
        nibble(value, "type")


def test_bcd_is_digits_or_nothing() -> None:
    assert bcd_number(b"\x12\x34") == 1234
    assert bcd_number(b"\x1f") is None
    assert bcd_bytes(7, 1, "x") == b"\x07"
    with pytest.raises(MdbBlockError):
        bcd_bytes(100, 1, "x")


def test_too_short_and_too_long_are_different_faults() -> None:
    expect_length(b"ab", 2, 3, "thing")
    with pytest.raises(MdbBlockError, match="thing has 2 to 3 bytes, not 1") as caught:
        expect_length(b"a", 2, 3, "thing")
    assert caught.value.reason is BlockFault.TRUNCATED
    with pytest.raises(MdbBlockError, match="thing has 2 bytes, not 3") as caught:
        expect_length(b"abc", 2, 2, "thing")
    assert caught.value.reason is BlockFault.WRONG_LENGTH


def test_text_is_padded_on_the_side_that_is_asked_for() -> None:
    assert ascii_field("A", 3, "x") == b"A  "
    assert ascii_field("A", 3, "x", fill=b"0", right=True) == b"00A"
