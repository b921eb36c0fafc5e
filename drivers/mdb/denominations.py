"""The coins and bills that there are, for the plausibility of what a device says of itself.

A device whose decimal places are set wrong counts a tenth of, or ten times, what is paid in. Its
list of values shows it: most of them are no coin of that currency. A few of them may be tokens or
collectors' pieces, and currencies that are not listed here are believed.

Source: MDB/ICP 4.2, section 5 (money), and the issuers' lists of what circulates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from controller.faults import DeviceFault, FaultCode
from controller.money import Money

COINS: Final[Mapping[str, frozenset[int]]] = {
    "AUD": frozenset({1, 2, 5, 10, 20, 50, 100, 200}),
    "CAD": frozenset({1, 5, 10, 25, 50, 100, 200}),
    "CHF": frozenset({1, 2, 5, 10, 20, 50, 100, 200, 500}),
    "CZK": frozenset({10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000}),
    "DKK": frozenset({25, 50, 100, 200, 500, 1_000, 2_000}),
    "EUR": frozenset({1, 2, 5, 10, 20, 50, 100, 200}),
    "GBP": frozenset({1, 2, 5, 10, 20, 25, 50, 100, 200, 500}),
    "JPY": frozenset({1, 5, 10, 50, 100, 500}),
    "NOK": frozenset({50, 100, 500, 1_000, 2_000}),
    "PLN": frozenset({1, 2, 5, 10, 20, 50, 100, 200, 500}),
    "SEK": frozenset({50, 100, 200, 500, 1_000}),
    "USD": frozenset({1, 5, 10, 25, 50, 100}),
}
"""Minor units, by the currency's letters; old ones that are still met are among them."""
BILLS: Final[Mapping[str, frozenset[int]]] = {
    "AUD": frozenset({500, 1_000, 2_000, 5_000, 10_000}),
    "CAD": frozenset({100, 200, 500, 1_000, 2_000, 5_000, 10_000}),
    "CHF": frozenset({1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000}),
    "CZK": frozenset({2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000}),
    "DKK": frozenset({5_000, 10_000, 20_000, 50_000, 100_000}),
    "EUR": frozenset({500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000}),
    "GBP": frozenset({100, 500, 1_000, 2_000, 5_000, 10_000}),
    "JPY": frozenset({1_000, 2_000, 5_000, 10_000}),
    "NOK": frozenset({5_000, 10_000, 20_000, 50_000, 100_000}),
    "PLN": frozenset({1_000, 2_000, 5_000, 10_000, 20_000, 50_000}),
    "SEK": frozenset({2_000, 5_000, 10_000, 20_000, 50_000, 100_000}),
    "USD": frozenset({100, 200, 500, 1_000, 2_000, 5_000, 10_000}),
}
"""The same of bills."""
_ALONE: Final = 1
"""So many odd values say nothing yet."""


def refuse_odd_money(
    values: Iterable[int], currency: str, known: Mapping[str, frozenset[int]]
) -> None:
    """Refuse a device half of whose values, or more, are none of the machine's currency.

    Args:
        values: What it takes, minor units; tokens have no value and are not among them.
        currency: The machine's.
        known: `COINS` or `BILLS`.

    Raises:
        DeviceFault: DEVICE_UNSUITABLE, naming the odd ones.
    """
    there_are = known.get(currency)
    if there_are is None:
        return
    told = frozenset(values)
    odd = sorted(told - there_are)
    if len(odd) > _ALONE and 2 * len(odd) >= len(told):
        named = ", ".join(str(Money(value, currency)) for value in odd)
        raise DeviceFault(
            FaultCode.DEVICE_UNSUITABLE,
            f"{currency} has no {named}: wrong decimal places or scaling factor?",
        )
