"""What a new journal begins with after a broken one.

Open sagas can't be followed any further. What was delivered is earned; else cash that was held or
owed becomes the customer's credit again, paid like any other, and card money that is held becomes
a claim at the first start. Lots, rights and claims of the old journal have negative seqs.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from controller.domain import accounts as acc
from controller.domain.credit import Credit, Pocket
from controller.state import rights

if TYPE_CHECKING:
    from controller.journal.envelope import Postings
    from controller.state.saga import Saga
    from controller.state.state import State


def inherit(old: State, new: State) -> None:
    """Make ``new``, a copy of ``old``, the beginning of another journal."""
    new.seq, new.journal, new.sagas, new.recovered = 0, "", {}, False
    new.proved_seq = 0
    new.power_boot = 0  # starts are counted anew, and no saga is left that a cut could be behind
    earned: Counter[int] = Counter()
    owed: list[tuple[int, Pocket, int]] = []
    for saga in old.sagas.values():
        if saga.owed:
            owed.append((saga.vend, Pocket.COINS, saga.owed))
            new.ledger.post(((acc.PAYOUT_OWED, saga.owed), (acc.CREDIT_COINS, -saga.owed)))
        new.ledger.post(_cash(saga))
        if saga.dispensed and not saga.cash_settled:
            earned.update(dict(saga.lots))
        _card(saga, new)
        if saga.intent == "dispense":
            new.stock.question(saga.column)  # nobody asks the latch: one may have fallen
    rows = owed + [
        (lot.seq, lot.pocket, lot.free + lot.held - earned[lot.seq]) for lot in old.credit.lots
    ]
    first = max((seq for seq, _, _ in rows), default=0) + 1
    moved = Credit()
    for seq, pocket, amount in sorted(rows):
        moved.deposit(seq - first, pocket, amount)
    new.credit = moved
    rights.inherit(old, new)
    last = max(old.claims, default=0) + 1
    new.claims = {seq - last: claim for seq, claim in old.claims.items()}
    for seq, claim in new.claims.items():
        origin, number = claim.identity
        claim.origin, claim.number = origin or old.journal, number
        claim.seq = seq
    new.ended = {
        f"{old.journal}{known}" if known.startswith(" ") else known: ended
        for known, ended in old.ended.items()
    }
    _clocks_and_numbers(old, new)


def _clocks_and_numbers(old: State, new: State) -> None:
    """Let nothing of the old journal pass for what its next one counts, or has measured."""
    past = max((closed.vend for closed in old.closed), default=0) + 1
    for closed in new.closed:
        closed.vend -= past
    for column in new.climate.columns.values():
        if column.dark_ms is None:
            column.dark_ms = old.mono_ms  # the next one may be begun hours later
    if new.orders.shown is not None:
        new.orders.shown.boot = 0


def _cash(saga: Saga) -> Postings:
    """Return what becomes of the cash that a saga held."""
    held = saga.held
    if saga.cash_settled or not held:
        return ()
    if saga.dispensed:
        cash = saga.held_coins + saga.held_bills
        lines: Postings = ((acc.REVENUE_CASH, -cash), (acc.REVENUE_CARD, -saga.held_product))
    else:
        lines = (
            (acc.CREDIT_COINS, -saga.held_coins),
            (acc.CREDIT_BILLS, -saga.held_bills),
            (acc.CREDIT_PRODUCT, -saga.held_product),
        )
    return ((acc.HELD_CASH, held), *(line for line in lines if line[1]))


def _card(saga: Saga, new: State) -> None:
    """See to the card's part: earned, owed, or (asked, and never answered) owed and flagged."""
    amount = saga.card_amount
    asked = saga.intent == "approval"
    if not amount or not (asked or saga.card in ("approved", "lost")):
        return
    if asked:  # no record holds it yet
        new.ledger.post(((acc.CARD_RECEIVABLE, amount), (acc.HELD_CARD, -amount)))
        new.cards_asked.pop(saga.device, None)  # approved yet, it is not owed once more
    if saga.dispensed:
        new.ledger.post(((acc.HELD_CARD, amount), (acc.REVENUE_CARD, -amount)))
    else:
        new.cards_owed.append((saga.device, amount, asked))
