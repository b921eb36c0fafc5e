"""The part of the fold that follows claims: our promises, and what became of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from controller.domain.credit import Pocket
from controller.journal import records as rec
from controller.state import rights

if TYPE_CHECKING:
    from controller.journal.envelope import Record, RecordData
    from controller.state.state import State


MAX_ENDED = 512  # ended claims remembered, to say so to whoever keys in their codes


@dataclass(slots=True)
class Claim:
    """An open promise."""

    seq: int
    vend: int
    amount: int
    tender: Literal["cash", "card", "token"]
    code: str
    reason: str
    flagged: bool
    at_ms: int = 0  # UTC label of its record
    confirmed: bool = False  # that label was confirmed when it was written
    # A claim is the same one in every journal that it outlives: it is known by the record that told
    # the fleet of it. ``seq`` is where it is kept here; below zero for one that was inherited.
    origin: str = ""  # the journal of that record; "": this one
    number: int = 0  # its seq; 0: ``seq``
    fleet_only: bool = False  # the other chain of a fork may have honoured it

    @property
    def identity(self) -> tuple[str, int]:
        """Return the journal ("": this one) and the seq of the record that told of it."""
        return self.origin, self.number or self.seq

    def named(self) -> dict[str, Any]:
        """Return what a record about it says beside ``claim``."""
        return {"origin": self.origin, "number": self.number}


@dataclass(slots=True)
class Ended:
    """A claim that is no promise any more."""

    code: str
    how: str  # "": its code was keyed in here


def _claim_opened(s: State, r: Record, d: rec.ClaimOpened) -> None:
    saga = s.saga_of(r)
    s.claims[r.seq] = Claim(
        r.seq, saga.vend, d.amount, d.tender, d.code, d.reason, d.flagged, r.at_ms, r.confirmed
    )
    s.counters.claims += 1
    saga.claimed += d.amount
    if d.tender == "token":
        saga.tokens_claimed += 1
        rights.claim_token(s, d.right)
    elif d.product:
        s.credit.withdraw(d.lots)
    elif d.escrow:
        if s.escrow is not None:
            s.escrow.claimed = True
    elif d.tender == "cash":
        saga.owed -= d.amount
    else:
        saga.card, saga.card_amount = "refunded", 0
    if d.inherited:
        del s.cards_owed[0]


def _end_claim(s: State, seq: int, how: str) -> None:
    claim = s.claims.pop(seq, None)
    if claim is None:
        return
    origin, number = claim.identity
    s.ended[f"{origin} {number}"] = Ended(claim.code, how)
    while len(s.ended) > MAX_ENDED:
        del s.ended[next(iter(s.ended))]


def _claim_closed(s: State, _r: Record, d: rec.ClaimClosed) -> None:
    _end_claim(s, d.claim, d.how or "by staff")


def _claim_redeemed(s: State, r: Record, d: rec.ClaimRedeemed) -> None:
    _end_claim(s, d.claim, "")
    _give(s, r, d)


def _give(s: State, r: Record, d: rec.ClaimRedeemed | rec.ClaimGranted) -> None:
    s.wrong_codes = 0
    if d.tender == "token":
        rights.redeem_token(s, r.seq)
        return
    s.credit.deposit(r.seq, Pocket.COINS if d.tender == "cash" else Pocket.PRODUCT, d.amount)


def _claim_refused(s: State, _r: Record, d: rec.ClaimRefused) -> None:
    s.wrong_codes += d.reason in ("unknown", "expired")  # the others are no guesses
    s.asked = 0


def _claim_asked(s: State, r: Record, _d: rec.ClaimAsked) -> None:
    s.asked = r.seq


def _claim_granted(s: State, r: Record, d: rec.ClaimGranted) -> None:
    s.asked = 0
    _give(s, r, d)


FOLDS: Final[dict[type[RecordData], Callable[[State, Record, Any], None]]] = {
    rec.ClaimOpened: _claim_opened,
    rec.ClaimClosed: _claim_closed,
    rec.ClaimRedeemed: _claim_redeemed,
    rec.ClaimRefused: _claim_refused,
    rec.ClaimAsked: _claim_asked,
    rec.ClaimGranted: _claim_granted,
}
