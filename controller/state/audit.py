"""What an operator reads at a machine: sales and cash, since the last collection and in all.

Amounts are minor units. Pure sums over records, so they never disagree with the journal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from controller.journal import records as rec
from controller.journal.envelope import UnknownData

if TYPE_CHECKING:
    from controller.journal.envelope import Record
    from controller.state.saga import Saga
    from controller.state.state import State

Sold = tuple[int, int]  # how many, and for how much

# As many columns as a planogram may have; what comes after is counted under "", so that neither a
# snapshot nor an answer grows with the years.
NAMES_MAX: Final = 250


@dataclass(slots=True)
class Tally:
    """One period."""

    since_ms: int = 0  # UTC label of the record that began it; 0: the machine's first
    columns: dict[str, Sold] = field(default_factory=dict)
    products: dict[str, Sold] = field(default_factory=dict)
    tenders: dict[str, Sold] = field(default_factory=dict)  # cash, card, app, token, free
    failed: int = 0  # vends that ended without a product
    coins_in: int = 0
    bills_in: int = 0
    paid_out: int = 0  # change and money given back, coins and bills
    card_refunds: int = 0
    claims_opened: Sold = (0, 0)
    claims_ended: Sold = (0, 0)


@dataclass(slots=True)
class Audit:
    """Both periods."""

    life: Tally = field(default_factory=Tally)
    since: Tally = field(default_factory=Tally)


def follow(state: State, record: Record) -> None:
    """Count one record; called before the rest of the fold has taken it in."""
    count = _COUNTS.get(record.type)
    if count is not None and not isinstance(record.data, UnknownData):
        count(state, record, record.data)


def _both(state: State) -> tuple[Tally, Tally]:
    return state.audit.life, state.audit.since


def _add(sold: dict[str, Sold], name: str, count: int, value: int) -> None:
    if name not in sold and len(sold) >= NAMES_MAX:
        name = ""
    before = sold.get(name, (0, 0))
    sold[name] = (before[0] + count, before[1] + value)


def _closed(s: State, r: Record, d: rec.VendClosed) -> None:
    saga = s.sagas.get(r.vend or 0)
    if saga is None or saga.kind != "vend" or saga.test:
        return
    if d.result != "sold":
        for tally in _both(s):
            tally.failed += 1
        return
    parts = _parts(saga)
    value = sum(parts.values())
    for tally in _both(s):
        _add(tally.columns, saga.column, 1, value)
        _add(tally.products, saga.product, 1, value)
        for number, (tender, amount) in enumerate(parts.items()):
            _add(tally.tenders, tender, number == 0, amount)  # a vend counts once


def _parts(saga: Saga) -> dict[str, int]:
    """Return what paid for a vend; the first is the tender that it counts for."""
    card = saga.card_amount if saga.card == "settled" else 0
    given = saga.right_worth
    # Not what a card leaves of the price: it may have a discount of its own, or vend for nothing.
    cash = sum(amount for _, amount in saga.lots) if saga.cash_settled else 0
    parts: dict[str, int] = {}
    if saga.right_kind:
        parts[saga.right_kind] = given if saga.right_kind == "app" else 0
    if card:
        parts["card"] = card
    if cash:
        parts["cash"] = cash
    return parts or {"free": 0}


def _coins(s: State, _r: Record, d: rec.CoinsDeposited) -> None:
    if d.owner == "customer":
        for tally in _both(s):
            tally.coins_in += sum(coin[1] for coin in d.coins)


def _stacked(s: State, _r: Record, d: rec.BillStacked) -> None:
    for tally in _both(s):
        tally.bills_in += d.value


def _paid(s: State, _r: Record, d: rec.PayoutFinished) -> None:
    for tally in _both(s):
        tally.paid_out += d.amount


def _settled(s: State, _r: Record, d: rec.SettleFinished) -> None:
    if not d.success and d.outcome in rec.REFUNDED:
        for tally in _both(s):
            tally.card_refunds += d.amount


def _claimed(s: State, _r: Record, d: rec.ClaimOpened) -> None:
    for tally in _both(s):
        count, amount = tally.claims_opened
        tally.claims_opened = (count + 1, amount + d.amount)


def _honoured(s: State, _r: Record, d: rec.ClaimClosed | rec.ClaimRedeemed) -> None:
    for tally in _both(s):
        count, amount = tally.claims_ended
        tally.claims_ended = (count + 1, amount + d.amount)


def _collected(s: State, r: Record, _d: rec.CashCollected) -> None:
    s.audit.since = Tally(since_ms=r.at_ms)


_COUNTS: Final[dict[str, Callable[[State, Record, Any], None]]] = {
    rec.VendClosed.type: _closed,
    rec.CoinsDeposited.type: _coins,
    rec.BillStacked.type: _stacked,
    rec.PayoutFinished.type: _paid,
    rec.SettleFinished.type: _settled,
    rec.ClaimOpened.type: _claimed,
    rec.ClaimClosed.type: _honoured,
    rec.ClaimRedeemed.type: _honoured,
    rec.CashCollected.type: _collected,
}
