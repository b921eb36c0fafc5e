"""The oracle of inheritance: what the customers of a broken journal had, the next one owes them.

Whoever is served when a journal breaks is judged by no check: nobody can read what they got. So
what the new journal begins with is reckoned once more, from the old one's lines alone, up to the
last record that could be read: what fell is earned, and all else is still its customer's.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Final

from controller.domain import accounts as acc
from controller.journal import records as rec
from controller.journal.envelope import Postings, Record

CASH: Final = "cash"
CARDS: Final = "cards"
APPS: Final = "apps"
TOKENS: Final = "tokens"
CLAIMS: Final = "claims"
# What a customer may have in a machine, by what it was paid with.
OWED: Final = {
    **dict.fromkeys((*acc.CREDIT, acc.HELD_CASH, acc.PAYOUT_OWED), CASH),
    acc.HELD_CARD: CARDS,
    **dict.fromkeys((acc.CREDIT_APP, acc.HELD_APP), APPS),
    **dict.fromkeys((acc.TOKENS_CREDIT, acc.TOKENS_HELD), TOKENS),
    **dict.fromkeys(acc.CLAIMS, CLAIMS),
}
HELD: Final = frozenset({acc.HELD_CASH, acc.HELD_CARD, acc.HELD_APP, acc.TOKENS_HELD})
_TOLD: Final = (
    rec.ApprovalRequested, rec.ApprovalFinished, rec.DispenseFinished, rec.DispenseDecided,
    rec.RightHeld, rec.VendClosed, rec.JournalBegun,
)  # fmt: skip


class Inherited:
    """Follows one machine's journals."""

    def __init__(self) -> None:
        """Know of no record."""
        self.findings: list[str] = []
        self._records: list[Record] = []  # of this journal, those that say anything of money
        self._last = 0

    def record(self, record: Record) -> None:
        """Take a durable record; hold a journal's first one against the journal before it."""
        if record.seq == 1:
            begun = record.data
            if isinstance(begun, rec.JournalBegun) and begun.previous is not None:
                self._judge(begun.previous[1], begun.inherited)
            self._records = []
        self._last = record.seq
        if record.postings or isinstance(record.data, _TOLD):
            self._records.append(record)

    def _judge(self, last: int, inherited: Postings) -> None:
        if last > self._last:
            return  # it has a record of which nobody lived to tell
        owed = _owed(Counter(dict(inherited)))
        for what, amount in self._reckoned(last).items():
            if owed[what] != amount:
                self.findings.append(
                    f"a broken journal's customers had {amount} in {what}, and the next one owes"
                    f" them {owed[what]}"
                )

    def _reckoned(self, last: int) -> dict[str, int]:
        """Return what customers had behind the record ``last``, but for what fell by then."""
        books: Counter[str] = Counter()
        held: defaultdict[int, Counter[str]] = defaultdict(Counter)
        fell: set[int] = set()
        asked: dict[int, int] = {}
        worth: dict[int, int] = {}
        for record in self._records:
            if record.seq > last:
                break
            vend = record.vend or 0
            for account, amount in record.postings:
                books[account] += amount
                if account in HELD:
                    held[vend][account] -= amount
            match record.data:
                case rec.JournalBegun(inherited=lines):
                    books.update(dict(lines))
                case rec.ApprovalRequested(amount=amount):
                    asked[vend] = amount
                case rec.ApprovalFinished():
                    asked.pop(vend, None)
                case rec.RightHeld(worth=amount):
                    worth[vend] = amount
                case rec.DispenseFinished(outcome="dropped") | rec.DispenseDecided(policy="charge"):
                    fell.add(vend)
                case rec.VendClosed():
                    held.pop(vend, None)
                    asked.pop(vend, None)
                case _:
                    pass
        owed = _owed(books)
        for vend in fell & held.keys():
            mine = held[vend]
            owed[CASH] -= mine[acc.HELD_CASH]
            owed[CARDS] -= mine[acc.HELD_CARD]
            owed[APPS] -= min(worth.get(vend, 0), mine[acc.HELD_APP])
            owed[TOKENS] -= mine[acc.TOKENS_HELD]
        owed[CARDS] += sum(asked.values())  # nobody knows that it was not approved
        return owed


def _owed(books: Counter[str]) -> dict[str, int]:
    owed = dict.fromkeys(OWED.values(), 0)
    for account, what in OWED.items():
        owed[what] -= books[account]
    return owed
