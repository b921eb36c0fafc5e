"""Scaled money: exact both ways or an error, never rounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mdb.blocks import MdbBlockError
from drivers.mdb.money import (
    CurrencyCode,
    CurrencyKind,
    Scale,
    ScaleError,
    decode_currency,
    encode_currency,
    iso_currency,
)


@pytest.mark.parametrize(
    ("value", "factor", "decimals", "exponent", "minor"),
    [
        (0x04, 5, 2, 2, 20),  # a coin byte of 04 with scaling 5 is 0.20
        (27, 5, 2, 2, 135),  # PAYOUT 1.35
        (2, 20, 0, 2, 4000),  # the same 40.00 from three styles of validator
        (2, 200, 1, 2, 4000),
        (2, 2000, 2, 2, 4000),
        (1, 500, 2, 2, 500),  # 5 EUR
        (10, 1, 1, 2, 100),
        (3, 100, 0, 0, 300),  # JPY
        (5, 10, 3, 3, 50),  # KWD
        (500, 1, 2, 2, 500),
        (200, 5, 3, 2, 100),  # three decimals at the device, two in the ledger
    ],
)
def test_a_value_and_its_amount_are_exactly_each_other(
    value: int, factor: int, decimals: int, exponent: int, minor: int
) -> None:
    scale = Scale(factor, decimals)
    assert scale.to_minor(value, exponent) == minor
    assert scale.from_minor(minor, exponent, largest=0xFFFF) == value


@given(st.integers(0, 0xFFFF), st.integers(1, 0xFFFF), st.integers(0, 8), st.integers(0, 3))
def test_the_way_there_and_back_is_the_identity(
    value: int, factor: int, decimals: int, exponent: int
) -> None:
    scale = Scale(factor, decimals)
    try:
        minor = scale.to_minor(value, exponent)
    except ScaleError:
        assert decimals > exponent
        return
    assert type(minor) is int
    assert scale.from_minor(minor, exponent, largest=0xFFFF) == value


@given(st.integers(0, 10**9), st.integers(1, 0xFFFF), st.integers(0, 8), st.integers(0, 3))
def test_the_way_back_is_exact_or_refused(
    minor: int, factor: int, decimals: int, exponent: int
) -> None:
    scale = Scale(factor, decimals)
    try:
        value = scale.from_minor(minor, exponent, largest=0xFFFF)
    except ScaleError:
        return
    assert scale.to_minor(value, exponent) == minor


@pytest.mark.parametrize(
    ("minor", "factor", "decimals"),
    [(123, 5, 2), (105, 10, 2), (50, 1, 0), (499, 500, 2)],
)
def test_an_amount_the_device_cannot_express_is_refused(
    minor: int, factor: int, decimals: int
) -> None:
    with pytest.raises(ScaleError, match="no whole number of units"):
        Scale(factor, decimals).from_minor(minor, 2, largest=0xFFFF)


def test_an_amount_too_large_for_its_field_is_refused() -> None:
    assert Scale(5, 2).from_minor(255 * 5, 2, largest=255) == 255
    with pytest.raises(ScaleError, match="255 at most"):
        Scale(5, 2).from_minor(256 * 5, 2, largest=255)


def test_a_fraction_of_a_minor_unit_is_refused() -> None:
    with pytest.raises(ScaleError, match="minor units"):
        Scale(1, 3).to_minor(15, 2)


def test_negative_amounts_have_no_bytes() -> None:
    with pytest.raises(ScaleError):
        Scale(1, 2).from_minor(-1, 2, largest=255)


@pytest.mark.parametrize(("factor", "decimals"), [(0, 2), (-5, 2), (1, -1)])
def test_a_scale_that_cannot_state_money_is_refused(factor: int, decimals: int) -> None:
    with pytest.raises(ScaleError):
        Scale(factor, decimals)


@pytest.mark.parametrize(
    ("factor", "decimals", "value", "text"),
    [(5, 2, 27, "1.35"), (20, 0, 2, "40"), (1, 2, 5, "0.05"), (5, 3, 1, "0.005")],
)
def test_a_value_is_told_in_main_units(factor: int, decimals: int, value: int, text: str) -> None:
    assert Scale(factor, decimals).text(value) == text


@pytest.mark.parametrize(
    ("code", "kind", "numeric", "letters", "words"),
    [
        ("19 78", CurrencyKind.ISO, 978, "EUR", "EUR"),
        ("18 26", CurrencyKind.ISO, 826, "GBP", "GBP"),
        ("18 40", CurrencyKind.ISO, 840, "USD", "USD"),
        ("19 85", CurrencyKind.ISO, 985, "PLN", "PLN"),
        ("10 36", CurrencyKind.ISO, 36, "AUD", "AUD"),
        ("10 00", CurrencyKind.ISO, 0, None, "ISO 4217 number 000"),
        ("00 01", CurrencyKind.TELEPHONE, 1, None, "telephone code 1"),
        ("00 44", CurrencyKind.TELEPHONE, 44, None, "telephone code 44"),
        ("00 49", CurrencyKind.TELEPHONE, 49, None, "telephone code 49"),
        ("FF FF", CurrencyKind.UNKNOWN, None, None, "unknown currency"),
        ("19 7A", CurrencyKind.INVALID, None, None, "invalid currency code 197A"),
        ("29 78", CurrencyKind.INVALID, None, None, "invalid currency code 2978"),
    ],
)
def test_a_currency_code_says_what_it_is(
    code: str, kind: CurrencyKind, numeric: int | None, letters: str | None, words: str
) -> None:
    currency = decode_currency(bytes.fromhex(code))
    assert (currency.kind, currency.numeric, currency.letters) == (kind, numeric, letters)
    assert str(currency) == words
    assert encode_currency(currency) == bytes.fromhex(code)


@pytest.mark.parametrize(
    ("letters", "code"), [("EUR", 0x1978), ("GBP", 0x1826), ("JPY", 0x1392), ("AUD", 0x1036)]
)
def test_iso_letters_become_packed_digits(letters: str, code: int) -> None:
    assert iso_currency(letters) == CurrencyCode(code)
    assert iso_currency(letters).letters == letters


def test_letters_outside_the_list_are_refused() -> None:
    with pytest.raises(MdbBlockError, match="XXY"):
        iso_currency("XXY")


def test_a_currency_code_has_two_bytes() -> None:
    with pytest.raises(MdbBlockError):
        decode_currency(b"\x19")
