"""Amounts as technicians read and type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cli.amounts import full, parse, plain
from controller.cli.errors import CliError, Exit


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("1.50", "EUR", 150),
        ("1,50", "EUR", 150),
        ("1.5", "EUR", 150),
        ("2", "EUR", 200),
        (" 0.05 ", "EUR", 5),
        ("0", "EUR", 0),
        ("500", "JPY", 500),
        ("1.234", "KWD", 1234),
    ],
)
def test_main_units_become_minor_ones(text: str, currency: str, amount: int) -> None:
    assert parse(text, currency) == amount


@pytest.mark.parametrize(
    ("text", "currency"),
    [("", "EUR"), ("1.505", "EUR"), ("1.", "EUR"), (".5", "EUR"), ("-1", "EUR"), ("1.0", "JPY"),
     ("1 000", "EUR"), ("1e3", "EUR"), ("NaN", "EUR"), ("1234567890", "EUR"), ("１", "EUR")],
)  # fmt: skip
def test_what_is_no_amount_is_refused_with_an_example(text: str, currency: str) -> None:
    with pytest.raises(CliError, match=f"no amount in {currency}; like") as caught:
        parse(text, currency)
    assert caught.value.code is Exit.USAGE


def test_amounts_are_shown_with_the_currencys_decimals() -> None:
    assert full(150, "EUR") == "1.50 EUR"
    assert full(-5, "EUR") == "-0.05 EUR"
    assert full(500, "JPY") == "500 JPY"
    assert plain(-1234, "KWD") == "-1.234"


@given(st.integers(0, 10**9), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_what_is_shown_can_be_typed(amount: int, currency: str) -> None:
    assert parse(plain(amount, currency), currency) == amount
