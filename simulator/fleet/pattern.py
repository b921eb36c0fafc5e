"""What a machine without hardware writes: vends as the saga writes them, with real records."""

from __future__ import annotations

import random
from typing import Final

from controller.journal import records as rec
from controller.journal.envelope import RecordData
from controller.journal.store import Journal
from controller.state.state import State

_PRICES: Final = (60, 120, 150, 180, 200, 240)
_COLUMNS: Final = ("A1", "A2", "A3", "B1", "B2", "B3")
_TUBE: Final = 4  # the coin type that these machines know
_ITEM: Final = 11
_CARD, _JAM = 0.3, 0.08  # of the vends


def open_books(journal: Journal[State]) -> None:
    """Stage what a first start counts."""
    for column in _COLUMNS:
        journal.stage(rec.StockSet(column=column, count=500, before=0, cause="opening"))


def vend(journal: Journal[State], rng: random.Random) -> None:
    """Stage one vend: by coins or by card, and now and then one that fails and is paid back."""
    index = rng.randrange(len(_PRICES))
    column, price = _COLUMNS[index], _PRICES[index]
    drawn = rng.random()
    if drawn < _CARD:
        _by_card(journal, column, price)
    else:
        _by_coins(journal, column, price, jams=drawn > 1 - _JAM)


def _opened(journal: Journal[State], column: str, price: int) -> int:
    opened = rec.VendOpened(
        selection=column, column=column, product=f"product {column}", price=price, item=_ITEM
    )
    return journal.stage(opened, vend=journal.next_seq).seq


def _by_coins(journal: Journal[State], column: str, price: int, *, jams: bool) -> None:
    coins = ((_TUBE, price, "tube", 1),)
    lot = journal.stage(rec.CoinsDeposited(device="changer", answer="", coins=coins)).seq
    lots = ((lot, price),)
    number = _opened(journal, column, price)
    outcome = "jammed" if jams else "dropped"
    steps: list[RecordData] = [
        rec.CreditAuthorised(coins=price, bills=0, lots=lots),
        rec.DispenseIntended(column=column, attempt=1),
        rec.DispenseFinished(column=column, outcome=outcome, drops=0 if jams else 1, run_ms=900),
    ]
    if jams:
        tubes = ((_TUBE, price, 1),)
        steps += [
            rec.CreditRestored(coins=price, bills=0, lots=lots),
            rec.PayoutIntended(
                amount=price, plan=((_TUBE, 1),), by_value=False, coins=price, bills=0, lots=lots,
                tubes=tubes, reason="refund",
            ),
            rec.PayoutFinished(ordered=price, paid=tubes, proof="status", certain=True),
            rec.VendClosed(result="refunded"),
        ]  # fmt: skip
    else:
        steps += [rec.VendSettled(cash=price, lots=lots), rec.VendClosed(result="sold")]
    for data in steps:
        journal.stage(data, vend=number)


def _by_card(journal: Journal[State], column: str, price: int) -> None:
    number = _opened(journal, column, price)
    reader = "cashless1"
    for data in (
        rec.ApprovalRequested(device=reader, amount=price, item=_ITEM),
        rec.ApprovalFinished(device=reader, outcome="approved", amount=price),
        rec.DispenseIntended(column=column, attempt=1),
        rec.DispenseFinished(column=column, outcome="dropped", drops=1, run_ms=900),
        rec.SettleIntended(device=reader, success=True, item=_ITEM, amount=price),
        rec.SettleFinished(device=reader, success=True, outcome="done", amount=price),
        rec.VendClosed(result="sold"),
    ):
        journal.stage(data, vend=number)
