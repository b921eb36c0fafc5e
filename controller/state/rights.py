"""The part of the fold that follows tokens, free vends and app credit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from controller.domain import accounts as acc
from controller.domain.rights import Grant, Right, outlived
from controller.journal import records as rec

if TYPE_CHECKING:
    from controller.journal.envelope import Record, RecordData
    from controller.state.state import State


def _token_inserted(s: State, r: Record, _d: rec.TokenInserted) -> None:
    s.rights[r.seq] = Right(r.seq, "token")


def _right_granted(s: State, r: Record, d: rec.RightGranted) -> None:
    s.rights[r.seq] = Right(
        r.seq, d.kind, d.amount, d.column, d.id, r.boot, r.mono_ms + d.lives_ms if d.lives_ms else 0
    )
    if r.confirmed:
        for id_ in outlived(s.grants, r.at_ms):
            del s.grants[id_]
    s.grants[d.id] = Grant(r.seq, d.kind, d.amount, d.column, "open", r.at_ms, r.confirmed)


def _right_held(s: State, r: Record, d: rec.RightHeld) -> None:
    saga = s.saga_of(r)
    s.rights[d.right].vend = saga.vend
    saga.right, saga.right_kind = d.right, d.kind
    saga.right_worth, saga.right_amount = d.worth, d.amount


def _right_used(s: State, r: Record, d: rec.RightUsed) -> None:
    saga = s.saga_of(r)
    _forget(s, d.right, "used")
    saga.right = 0
    _count_used(s, d.kind, d.worth)


def _right_returned(s: State, r: Record, d: rec.RightReturned) -> None:
    saga = s.saga_of(r)
    if d.ended:
        _forget(s, d.right, "returned")
    else:
        s.rights[d.right].vend = 0
    saga.right, saga.right_kind, saga.right_worth, saga.right_amount = 0, "", 0, 0
    saga.app_refunded += d.amount if d.ended else 0


def _right_ended(s: State, _r: Record, d: rec.RightEnded) -> None:
    _forget(s, d.right, "ended")


def _forget(s: State, seq: int, outcome: Any) -> None:
    right = s.rights.pop(seq)
    if right.id in s.grants:
        s.grants[right.id].outcome = outcome


def claim_token(s: State, seq: int) -> None:
    """A token's right became a claim."""
    s.rights.pop(seq)


def redeem_token(s: State, seq: int) -> None:
    """A token's claim became a right again, by the record ``seq``."""
    s.rights[seq] = Right(seq, "token")


def inherit(old: State, new: State) -> None:
    """Let a new journal begin with the rights of a broken one.

    What a vend had delivered is used; else what it held waits again. Seqs become negative, as those
    of lots do; what ends at a restart ends at the next one, and with it goes what an app paid too
    much.
    """
    first = max(old.rights, default=0) + 1
    for seq, right in old.rights.items():
        del new.rights[seq]
        saga = old.sagas.get(right.vend)
        delivered = saga is not None and saga.dispensed
        worth = saga.right_worth if saga is not None and delivered else 0
        if right.vend and right.kind == "app":
            rest = right.amount - worth
            held = (
                (acc.HELD_APP, right.amount),
                (acc.REVENUE_APP, -worth),
                (acc.CREDIT_APP, -rest),
            )
            new.ledger.post(line for line in held if line[1])
        elif right.vend and right.kind == "token":
            to = acc.TOKENS_USED if delivered else acc.TOKENS_CREDIT
            new.ledger.post(((acc.TOKENS_HELD, 1), (to, -1)))
        grant = new.grants.get(right.id)
        if delivered:
            _count_used(new, right.kind, worth)
            if grant is not None:
                grant.outcome = "used"
        if not delivered or right.amount > worth:
            left = right.amount - worth
            moved = Right(seq - first, right.kind, left, right.column, right.id)
            new.rights[moved.seq] = moved
            if grant is not None:
                grant.right = moved.seq


def _count_used(s: State, kind: str, worth: int) -> None:
    if kind == "app":
        s.counters.vends_app += 1
        s.counters.value_app += worth
    else:
        s.counters.vends_token += kind == "token"
        s.counters.vends_free += kind == "free"
        s.counters.value_given += worth


FOLDS: Final[dict[type[RecordData], Callable[[State, Record, Any], None]]] = {
    rec.TokenInserted: _token_inserted,
    rec.RightGranted: _right_granted,
    rec.RightHeld: _right_held,
    rec.RightUsed: _right_used,
    rec.RightReturned: _right_returned,
    rec.RightEnded: _right_ended,
}
