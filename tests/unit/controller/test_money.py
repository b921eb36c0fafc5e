"""Money: whole minor units of one currency, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.money import CurrencyMismatchError, Money, exponent, minor_units

amounts = st.integers(-(10**9), 10**9)


@given(amounts, amounts, st.integers(-50, 50))
def test_arithmetic_is_that_of_whole_numbers(a: int, b: int, n: int) -> None:
    x, y = Money(a, "EUR"), Money(b, "EUR")
    assert x + y == Money(a + b, "EUR")
    assert x - y == Money(a - b, "EUR")
    assert -x == Money(-a, "EUR")
    assert x * n == Money(a * n, "EUR")
    assert (x < y, x <= y, x > y, x >= y) == (a < b, a <= b, a > b, a >= b)
    assert bool(x) == bool(a)
    assert (x == y) == (a == b)
    assert len({x, y, Money(a, "EUR")}) == len({a, b})


@pytest.mark.parametrize("amount", [1.0, 1.5, True, "1", None])
def test_what_is_no_whole_number_is_no_money(amount: object) -> None:
    with pytest.raises(TypeError, match="whole minor units"):
        Money(amount, "EUR")  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize("count", [1.0, True, None])
def test_money_is_multiplied_by_whole_counts_only(count: object) -> None:
    with pytest.raises(TypeError, match="whole counts"):
        Money(5, "EUR") * count  # type: ignore[operator]  # what is tested


def test_two_currencies_never_meet() -> None:
    euro, pound = Money(1, "EUR"), Money(1, "GBP")
    assert euro != pound
    with pytest.raises(CurrencyMismatchError, match="EUR met GBP"):
        _ = euro + pound
    with pytest.raises(CurrencyMismatchError):
        _ = euro - pound
    with pytest.raises(CurrencyMismatchError):
        _ = euro < pound
    with pytest.raises(CurrencyMismatchError):
        _ = euro >= pound


@pytest.mark.parametrize("code", ["", "EU", "EURO", "eur", "EÜR", "E1R", "ΑΒΓ"])
def test_a_currency_is_three_upper_case_letters(code: str) -> None:
    with pytest.raises(ValueError, match="not an ISO 4217"):
        Money(1, code)


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(235, "EUR"), "2.35 EUR"),
        (Money(5, "EUR"), "0.05 EUR"),
        (Money(-5, "EUR"), "-0.05 EUR"),
        (Money(-1250, "GBP"), "-12.50 GBP"),
        (Money(500, "JPY"), "500 JPY"),
        (Money(-1, "JPY"), "-1 JPY"),
        (Money(1234, "KWD"), "1.234 KWD"),
        (Money(0, "USD"), "0.00 USD"),
    ],
)
def test_its_plain_form_has_the_currencys_own_decimals(money: Money, text: str) -> None:
    assert str(money) == text


def test_money_does_not_change() -> None:
    money = Money(5, "EUR")
    with pytest.raises(AttributeError):
        money.amount = 6  # type: ignore[misc]  # what is tested


def test_currencies_have_the_exponents_of_the_standard() -> None:
    assert (exponent("EUR"), exponent("JPY"), exponent("TND")) == (2, 0, 3)
    assert (exponent("IQD"), exponent("RWF"), exponent("CLF")) == (3, 0, 4)


@pytest.mark.parametrize(
    ("units", "scaling", "decimals", "currency", "worth"),
    [
        (1, 5, 2, "EUR", 5),
        (255, 10, 1, "EUR", 25_500),
        (255, 1, 3, "EUR", 25),
        (1, 1, 3, "EUR", 0),
        (3, 100, 0, "JPY", 300),
        (7, 5, 2, "KWD", 350),
    ],
)
def test_units_of_a_device_are_worth_whole_minor_units_rounded_down(
    units: int, scaling: int, decimals: int, currency: str, worth: int
) -> None:
    assert minor_units(units, scaling=scaling, decimals=decimals, currency=currency) == worth
