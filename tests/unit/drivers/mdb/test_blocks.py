"""Blocks: checksums, control bytes, and the one error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mdb.blocks import (
    ACK_ALONE,
    MAX_BLOCK_BYTES,
    MAX_PAYLOAD_BYTES,
    Address,
    BlockFault,
    Control,
    MdbBlockError,
    build_block,
    check_address,
    checksum,
    classify_control,
    command_of,
    device_of,
    hex_bytes,
    parse_answer,
    parse_block,
)


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


@pytest.mark.parametrize(
    ("payload", "block"),
    [
        ("0B", "0B 0B"),
        ("51 0C", "51 0C 5D"),
        ("42 07", "42 07 49"),
        ("0C 00 3F 00 00", "0C 00 3F 00 00 4B"),
        ("01 19 78 01 F4 02 02 58 FF FF FF 01 02 04 0A",
         "01 19 78 01 F4 02 02 58 FF FF FF 01 02 04 0A F1"),
        ("00", "00 00"),
    ],
)  # fmt: skip
def test_a_block_ends_with_the_low_byte_of_the_sum_before_it(payload: str, block: str) -> None:
    assert build_block(unhex(payload)) == unhex(block)
    assert parse_block(unhex(block)) == unhex(payload)
    assert checksum(unhex(payload)) == unhex(block)[-1]


@given(st.binary(min_size=1, max_size=MAX_PAYLOAD_BYTES))
def test_what_is_built_parses_to_itself(payload: bytes) -> None:
    assert parse_block(build_block(payload)) == payload
    assert parse_answer(build_block(payload)) == payload


@given(st.binary(min_size=1, max_size=MAX_PAYLOAD_BYTES), st.data())
def test_one_flipped_bit_is_always_noticed(payload: bytes, data: st.DataObject) -> None:
    block = bytearray(build_block(payload))
    at = data.draw(st.integers(0, len(block) - 1))
    block[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(MdbBlockError) as caught:
        parse_block(bytes(block))
    assert caught.value.reason is BlockFault.CHECKSUM
    assert caught.value.data == bytes(block)


def test_a_wrong_checksum_names_both_values() -> None:
    with pytest.raises(MdbBlockError, match=r"checksum is 4A, .* add up to 49 in 42 07 4A"):
        parse_block(unhex("42 07 4A"))


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (b"", BlockFault.TRUNCATED),
        (b"\x42", BlockFault.TRUNCATED),
        (bytes(MAX_BLOCK_BYTES + 1), BlockFault.TOO_LONG),
    ],
)
def test_blocks_of_impossible_length_are_refused(block: bytes, reason: BlockFault) -> None:
    with pytest.raises(MdbBlockError) as caught:
        parse_block(block)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("payload", "reason"),
    [(b"", BlockFault.EMPTY), (bytes(MAX_PAYLOAD_BYTES + 1), BlockFault.TOO_LONG)],
)
def test_payloads_that_make_no_block_are_refused(payload: bytes, reason: BlockFault) -> None:
    with pytest.raises(MdbBlockError) as caught:
        build_block(payload)
    assert caught.value.reason is reason


def test_the_longest_block_has_36_bytes() -> None:
    assert len(build_block(bytes(MAX_PAYLOAD_BYTES))) == MAX_BLOCK_BYTES == 36


def test_just_reset_of_a_reader_is_not_an_ack() -> None:
    assert parse_answer(unhex("00 00")) == b"\x00"
    assert parse_answer(unhex("00")) == ACK_ALONE == b""


@pytest.mark.parametrize("lone", ["FF", "AA", "18"])
def test_another_lone_byte_is_no_answer(lone: str) -> None:
    with pytest.raises(MdbBlockError) as caught:
        parse_answer(unhex(lone))
    assert caught.value.reason is BlockFault.UNKNOWN


@pytest.mark.parametrize(
    ("byte", "control"), [(0x00, Control.ACK), (0xAA, Control.RET), (0xFF, Control.NAK)]
)
def test_a_flipped_bit_never_turns_one_control_byte_into_another(
    byte: int, control: Control
) -> None:
    assert classify_control(byte) is control
    for bit in range(8):
        assert classify_control(byte ^ 1 << bit) is control


@pytest.mark.parametrize("byte", [0x03, 0x81, 0xFC, 0xBD])
def test_a_byte_between_two_control_bytes_is_neither(byte: int) -> None:
    assert classify_control(byte) is None


def test_the_first_byte_holds_device_and_command() -> None:
    assert device_of(0x0F) == Address.CHANGER
    assert command_of(0x0F) == 7
    assert device_of(0x63) == Address.CASHLESS_2


def test_a_request_for_another_device_is_refused() -> None:
    check_address(b"\x13", Address.CASHLESS_1, Address.CASHLESS_2)
    with pytest.raises(MdbBlockError, match="address 10, expected 08") as caught:
        check_address(b"\x13", Address.CHANGER)
    assert caught.value.reason is BlockFault.WRONG_ADDRESS
    with pytest.raises(MdbBlockError) as caught:
        check_address(b"", Address.CHANGER)
    assert caught.value.reason is BlockFault.EMPTY


def test_bytes_print_as_the_standard_prints_them() -> None:
    assert hex_bytes(b"\x0b\xff") == "0B FF"
