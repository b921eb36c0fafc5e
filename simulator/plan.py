"""What stands around the controller: which money devices, which coins and bills, how full.

A machine's own file says which devices it talks to and how they are wired. What they are made of
is no business of the controller's, so it stands here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from config.machine import MachineSettings
from controller.money import exponent
from simulator.peripherals.bill_recycler import OPTION_RECYCLING
from simulator.peripherals.bill_settings import BillSettings, BillSpec
from simulator.peripherals.changer_settings import ChangerSettings, CoinSpec
from simulator.peripherals.reader_settings import Card, ReaderSettings
from simulator.thermal import ThermalPlan


@dataclass(frozen=True, slots=True)
class _Cash:
    """What is in the purses of a country, in minor units."""

    number: int  # ISO 4217, as packed BCD behind a 1
    tubes: tuple[int, ...]  # coins that a changer can pay out
    coins: tuple[int, ...]  # coins that go to the cash box
    bills: tuple[int, ...]
    coin_scaling: int
    bill_scaling: int


_CASH: Final[Mapping[str, _Cash]] = {
    "EUR": _Cash(0x1978, (5, 10, 20, 50, 100), (200,), (500, 1_000, 2_000, 5_000), 5, 500),
    "USD": _Cash(0x1840, (5, 10, 25), (100,), (100, 500, 1_000, 2_000), 5, 100),
    "GBP": _Cash(0x1826, (5, 10, 20, 50, 100), (200,), (500, 1_000, 2_000), 5, 500),
    "CHF": _Cash(0x1756, (10, 20, 50, 100), (200, 500), (1_000, 2_000, 5_000), 10, 1_000),
    "JPY": _Cash(0x1392, (10, 50, 100), (500,), (1_000, 5_000), 10, 1_000),
}

_TUBE_CAPACITY: Final = 80
_TUBE_FILL: Final = 30
_RECYCLER_FILL: Final = 15
LEVEL_WITH_OPTIONS: Final = 2  # of a bill validator


class UnknownCurrencyError(ValueError):
    """Nobody here knows the coins of this currency."""


@dataclass(frozen=True, slots=True)
class WorldPlan:
    """The devices of one world; None where the machine has none."""

    changer: ChangerSettings | None = None
    bill: BillSettings | None = None
    readers: Mapping[str, ReaderSettings] = field(default_factory=dict)  # by device name
    cards: tuple[Card, ...] = ()  # in the customers' pockets
    stock: Mapping[str, int] = field(default_factory=dict)  # columns not named are full
    thermal: ThermalPlan = field(default_factory=ThermalPlan)


def plan_for(settings: MachineSettings) -> WorldPlan:
    """Return what one usually finds in such a machine.

    Raises:
        UnknownCurrencyError: Its currency has no coins here.
    """
    mdb = settings.mdb
    reader = reader_for(settings.machine.currency)
    readers = {
        name: replace(reader, serial=f"{number:012d}")
        for number, name in enumerate(("cashless1", "cashless2"), 1)
        if getattr(mdb, name).enabled
    }
    changer = changer_for(settings.machine.currency)
    if settings.tokens.products or settings.tokens.columns:
        changer = replace(changer, coins=(*changer.coins, CoinSpec(token=True)))
    return WorldPlan(
        changer=changer if mdb.changer.enabled else None,
        bill=(bill_for(settings.machine.currency, mdb.bill.recycle) if mdb.bill.enabled else None),
        readers=readers,
        cards=cards(),
    )


def changer_for(currency: str) -> ChangerSettings:
    """Return a changer for a currency. Raises UnknownCurrencyError."""
    cash = _cash(currency)
    digits = exponent(currency)
    tubes = tuple(CoinSpec(value, _TUBE_CAPACITY, _TUBE_FILL) for value in cash.tubes)
    return ChangerSettings(
        currency=cash.number,
        exponent=digits,
        decimals=digits,
        scaling=cash.coin_scaling,
        coins=tubes + tuple(CoinSpec(value) for value in cash.coins),
    )


def bill_for(currency: str, recycle: Sequence[int] = ()) -> BillSettings:
    """Return a bill validator for a currency, its stacker empty. Raises UnknownCurrencyError.

    Where bills are to be recycled it has a recycler for them, half full.
    """
    cash = _cash(currency)
    digits = exponent(currency)
    kinds = tuple(kind for kind, value in enumerate(cash.bills) if value in recycle)
    return BillSettings(
        level=LEVEL_WITH_OPTIONS if kinds else 1,
        options=OPTION_RECYCLING if kinds else 0,
        recycles=kinds,
        recycled_before=tuple(
            _RECYCLER_FILL if kind in kinds else 0 for kind in range(len(cash.bills))
        ),
        currency=cash.number,
        exponent=digits,
        decimals=digits,
        scaling=cash.bill_scaling,
        bills=tuple(BillSpec(value) for value in cash.bills),
    )


def reader_for(currency: str) -> ReaderSettings:
    """Return a card reader for a currency. Raises UnknownCurrencyError."""
    digits = exponent(currency)
    return ReaderSettings(
        currency=_cash(currency).number, exponent=digits, decimals=digits, revalue_s=0.4
    )


def cash_of(currency: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the values of a currency's coins and of its bills. Raises UnknownCurrencyError."""
    cash = _cash(currency)
    return cash.tubes + cash.coins, cash.bills


def cards() -> tuple[Card, ...]:
    """Return what people hold to readers: each call new ones, since balances change."""
    return (
        Card("card"),
        Card("declined", decline=True),
        Card("prepaid", balance=1_000, revaluable=True),
        Card("empty", balance=0),
        Card("discount", discount_percent=10),
        Card("token", token=True),
        Card("one-way", refundable=False),
        Card("grown-up", age=30),
        Card("child", age=12),
        Card("identity", age=44, pays=False),
        Card("youth", age=17, pays=False),
    )


def _cash(currency: str) -> _Cash:
    found = _CASH.get(currency)
    if found is None:
        raise UnknownCurrencyError(
            f"machine.currency = {currency}: its coins are not known here; "
            f"known: {', '.join(_CASH)}"
        )
    return found
