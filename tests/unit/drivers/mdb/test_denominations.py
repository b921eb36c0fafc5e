"""Which lists of values are believed."""

from collections.abc import Mapping

import pytest

from controller.faults import DeviceFault
from controller.money import exponent
from drivers.mdb.denominations import BILLS, COINS, refuse_odd_money


@pytest.mark.parametrize("known", [COINS, BILLS])
@pytest.mark.parametrize("currency", sorted(COINS))
def test_what_circulates_is_believed_whole_or_in_part(
    known: Mapping[str, frozenset[int]], currency: str
) -> None:
    refuse_odd_money(known[currency], currency, known)
    refuse_odd_money(sorted(known[currency])[-3:], currency, known)
    assert exponent(currency) in (0, 2)


@pytest.mark.parametrize(
    ("values", "currency"),
    [
        ((), "EUR"),
        ((150, 200), "EUR"),  # one that an owner knows of
        ((5, 10, 25, 50, 100), "EUR"),
        ((7, 14, 35, 70), "TRY"),  # nothing is known of that one
    ],
)
def test_a_few_odd_values_say_nothing(values: tuple[int, ...], currency: str) -> None:
    refuse_odd_money(values, currency, COINS)


@pytest.mark.parametrize(
    ("values", "currency", "known"),
    [
        ((7, 14, 35, 70, 140), "EUR", COINS),
        ((50, 100, 200, 500, 1000, 2000), "EUR", COINS),
        ((100, 200, 500, 1000, 2000), "EUR", COINS),
        ((1000, 2000, 5000, 10000, 20000), "GBP", COINS),
        ((50, 100, 250, 1000), "USD", COINS),
        ((5, 10, 20, 50), "EUR", BILLS),
        ((50, 100, 200, 500), "EUR", BILLS),
        ((50_000, 100_000, 200_000, 500_000), "EUR", BILLS),
        ((10, 20, 50, 100), "JPY", BILLS),
    ],
)
def test_a_wrong_power_of_ten_is_refused(
    values: tuple[int, ...], currency: str, known: Mapping[str, frozenset[int]]
) -> None:
    with pytest.raises(DeviceFault, match=f"{currency} has no "):
        refuse_odd_money(values, currency, known)
