"""The part of the fold that follows coins and bills: in, counted, collected; the bill in escrow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from controller.domain.credit import Pocket
from controller.journal import records as rec

if TYPE_CHECKING:
    from controller.journal.envelope import Record, RecordData
    from controller.state.state import State


@dataclass(slots=True)
class Escrow:
    """A bill that is held and not ours."""

    device: str
    bill: int
    value: int
    asked: Literal["", "stack", "return"] = ""
    stacker: int = 0  # STACKER's count in the intent
    claimed: bool = False  # it is stuck, and its customer has a claim for it
    vend: int = 0  # it is stacked for this vend

    @property
    def waits(self) -> bool:
        """Tell whether it is credit: nothing was asked about it, and nothing is promised for it."""
        return not self.asked and not self.claimed


def _coins_deposited(s: State, r: Record, d: rec.CoinsDeposited) -> None:
    s.last_answers[d.device] = d.answer
    total = 0
    for type_, value, route, _ in d.coins:
        total += value
        if route == "tube":
            s.tubes[type_] = s.tubes.get(type_, 0) + 1
    if total and d.owner == "customer":
        s.credit.deposit(r.seq, Pocket.COINS, total)


def _coins_released(s: State, _r: Record, d: rec.CoinsReleased) -> None:
    s.last_answers[d.device] = d.answer
    for type_, _, count, _ in d.coins:
        s.tubes[type_] = s.tubes.get(type_, 0) - count


def _bill_escrowed(s: State, _r: Record, d: rec.BillEscrowed) -> None:
    s.last_answers[d.device] = d.answer
    s.escrow = Escrow(d.device, d.bill, d.value)


def _stack_intended(s: State, r: Record, d: rec.StackIntended) -> None:
    claimed = s.escrow is not None and s.escrow.claimed
    s.escrow = Escrow(d.device, d.bill, d.value, "stack", d.stacker, claimed, r.vend or 0)
    if r.vend is not None and r.vend in s.sagas:
        s.sagas[r.vend].bill_asked = True


def _bill_return_intended(s: State, _r: Record, d: rec.BillReturnIntended) -> None:
    claimed = s.escrow is not None and s.escrow.claimed
    s.escrow = Escrow(d.device, d.bill, d.value, "return", s.stacker, claimed)


def _bill_stacked(s: State, r: Record, d: rec.BillStacked) -> None:
    if d.answer:
        s.last_answers[d.device] = d.answer
    if d.into == "recycler":
        s.recycler[d.bill] = s.recycler.get(d.bill, 0) + 1
    else:
        s.stacker += 1
    if d.escrowed:
        s.escrow = None
    if d.value and not d.claimed:
        s.credit.deposit(r.seq, Pocket.BILLS, d.value)


def _bill_returned(s: State, _r: Record, d: rec.BillReturned) -> None:
    if d.answer:
        s.last_answers[d.device] = d.answer
    if d.escrowed:
        s.escrow = None


def _tubes_counted(s: State, _r: Record, d: rec.TubesCounted) -> None:
    s.tubes_counted = True
    for type_, _, counted, _ in d.tubes:
        s.tubes[type_] = counted


def _stacker_counted(s: State, _r: Record, d: rec.StackerCounted) -> None:
    s.stacker_counted = True
    s.stacker = d.counted
    if d.cause == "first_start":
        s.stacker_unknown = max(0, d.counted - d.believed)


def _recycler_counted(s: State, _r: Record, d: rec.RecyclerCounted) -> None:
    s.recycler_counted = True
    for type_, _, counted, _ in d.bills:
        s.recycler[type_] = counted


def _bill_moved(s: State, _r: Record, d: rec.BillMoved) -> None:
    s.last_answers[d.device] = d.answer
    s.recycler[d.bill] = s.recycler.get(d.bill, 0) + (1 if d.how == "filled" else -1)
    s.stacker += d.how == "moved"


def _cash_collected(s: State, _r: Record, d: rec.CashCollected) -> None:
    s.stacker -= d.bills_taken
    s.stacker_unknown -= min(s.stacker_unknown, d.bills_taken)
    if d.recycler_emptied:
        s.recycler = {}


def _credit_granted(s: State, r: Record, d: rec.CreditGranted) -> None:
    s.credit.deposit(r.seq, Pocket.COINS, d.amount)


def _credit_kept(s: State, _r: Record, d: rec.CreditKept) -> None:
    s.credit.withdraw(d.lots)
    s.basket_due = s.basket_due and bool(s.credit.total)


FOLDS: Final[dict[type[RecordData], Callable[[State, Record, Any], None]]] = {
    rec.CoinsDeposited: _coins_deposited,
    rec.CoinsReleased: _coins_released,
    rec.BillEscrowed: _bill_escrowed,
    rec.StackIntended: _stack_intended,
    rec.BillReturnIntended: _bill_return_intended,
    rec.BillStacked: _bill_stacked,
    rec.BillReturned: _bill_returned,
    rec.TubesCounted: _tubes_counted,
    rec.StackerCounted: _stacker_counted,
    rec.RecyclerCounted: _recycler_counted,
    rec.BillMoved: _bill_moved,
    rec.CashCollected: _cash_collected,
    rec.CreditGranted: _credit_granted,
    rec.CreditKept: _credit_kept,
}
