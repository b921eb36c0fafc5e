"""Which cells of the failure table a life has come through: what broke, for whom, when.

A cell is hit when one of its marks (see ``causes``) held in its phase, for a customer who paid by
its tender, and every record that the cell names was written before that customer left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from config.machine import MachineSettings
from controller.journal import records as rec
from controller.journal.envelope import Record
from controller.ports import DispenseOutcome
from controller.saga.failures import TABLE
from simulator.swarm.causes import CAUSES
from simulator.swarm.hours import UNKNOWN, Hours
from simulator.swarm.plan import Build, Trouble

KEYS: Final = tuple(cell.key for cell in TABLE)
# By a mark in a phase: the cells that it may come through (key, tender, link, records), by number.
_MARKED: Final[dict[tuple[str, str], list[tuple[int, str, str, str, frozenset[str]]]]] = {}
for _number, (_key, _cell) in enumerate(zip(KEYS, TABLE, strict=True)):
    for _mark in CAUSES.get(_cell.failure, ()):
        _MARKED.setdefault((_cell.phase.name, _mark), []).append(
            (_number, _key, _cell.tender.name, _cell.link, frozenset(_cell.journaled))
        )


READERS: Final = ("cashless1", "cashless2")
PULSES: Final = 2  # hex digits of a group: it pays nothing out, so nothing else tells whose it was
Phases = tuple[str, ...]
NOTHING: Final[tuple[Phases, Phases]] = ((), ())
# By a record's type: the phases that it ends, and those that it begins.
STEPS: Final[Mapping[str, tuple[Phases, Phases]]] = {
    "boot.started": ((), ("RECOVERY",)),
    "boot.finished": (("RECOVERY",), ()),
    "coins.deposited": ((), ("MONEY",)),
    "token.inserted": ((), ("MONEY",)),
    "right.granted": ((), ("MONEY",)),
    "bill.escrowed": ((), ("ESCROW",)),
    "bill.stacked": (("ESCROW",), ("MONEY",)),
    "bill.returned": (("ESCROW",), ()),
    "claim.redeemed": ((), ("MONEY",)),
    "vend.opened": (("IDLE", "MONEY"), ()),
    "approval.requested": ((), ("APPROVAL",)),
    "approval.finished": (("APPROVAL",), ()),
    "revalue.intended": ((), ("REVALUE",)),
    "revalue.finished": (("REVALUE",), ()),
    "dispense.intended": ((), ("TURN",)),
    "dispense.refused": ((), ("TURN",)),
    "dispense.finished": (("TURN",), ()),
    "settle.finished": (("SETTLE",), ()),
    "payout.intended": ((), ("PAYOUT",)),
    "payout.finished": (("PAYOUT",), ()),
    "vend.closed": (("DROP", "REFUND", "TURN", "SETTLE", "PAYOUT"), ("IDLE",)),
}


# The types of records whose data say more: those that ``_look_into`` and ``_pays_otherwise`` name.
# Most are none of them, and to ask a record for one class after the other takes its time.
TELLING: Final = frozenset(
    data.type
    for data in (
        rec.DispenseFinished, rec.SettleIntended, rec.ShortfallBooked, rec.CreditAuthorised,
        rec.PayoutIntended, rec.BillEscrowed, rec.ApprovalRequested, rec.VendOpened,
        rec.RightHeld, rec.RightGranted, rec.ClaimRedeemed, rec.TokenInserted,
        rec.RightEnded, rec.AgeChecked, rec.CoinsDeposited, rec.RevalueOpened,
    )
)  # fmt: skip


class Coverage:
    """Watches one life.

    Args:
        build: What the machine is made of.
        settings: Its file.
    """

    def __init__(self, build: Build, settings: MachineSettings) -> None:
        """Nothing has happened yet."""
        self._link = build.link
        self._second_reader = build.second_reader
        self.hits: Counter[str] = Counter()
        self._marks: Counter[str] = Counter()  # what holds now
        self._phases: set[str] = {"IDLE"}
        self._tenders: set[str] = {"ANY"}
        self._met: set[tuple[str, str]] = set()  # marks that held in a phase
        self._types: set[str] = set()
        self._asked: list[str] = []  # readers, for money
        self._hours = Hours(settings)

    # ------------------------------------------------------------------------------- what holds

    def begins(self, key: str, trouble: Trouble) -> None:
        """A trouble struck."""
        for mark in _of(key, trouble):
            self._marks[mark] += 1
            self.happens(mark)

    def ends(self, key: str, trouble: Trouble, *, struck: bool) -> None:
        """It is over; one that never came to anything marks nothing."""
        for mark in _of(key, trouble):
            self._marks[mark] -= 1
            if not struck and not self._marks[mark]:
                self._met = {(phase, met) for phase, met in self._met if met != mark}

    def happens(self, mark: str, phase: str = "") -> None:
        """Something happened just now: an act, an end; in this phase, or in what records say."""
        self._met.update((one, mark) for one in ((phase,) if phase else self._phases))

    def seen(self, mark: str) -> None:
        """Money that nobody has a record of was taken just now: a coin's, whoever's it was."""
        self._tenders.add("COINS")
        self._met |= {("IDLE", mark), ("MONEY", mark)}

    def damaged(self, mark: str, *, coins: int, bills: int) -> None:
        """The journal's file is damaged, with so much credit in it."""
        self._met.add(("IDLE", mark))
        self._pays(coins=coins, bills=bills)
        if coins or bills:
            self._met.add(("MONEY", mark))

    def fell(self) -> None:
        """A product has fallen, whether anybody knows it yet or not."""
        if "TURN" in self._phases:
            self._enter("DROP")

    # --------------------------------------------------------------------------------- what is so

    def record(self, record: Record) -> None:
        """Follow the phases of whoever stands there."""
        self._types.add(record.type)
        for mark, phase in self._hours.record(record) if self._hours.any else ():
            if mark != UNKNOWN or self._marks["clock.unknown"]:
                self.happens(mark, phase)
        leaves, enters = STEPS.get(record.type, NOTHING)
        if record.type == "vend.opened":
            self._enter("IDLE")  # what holds now held before the vend
        self._phases.difference_update(leaves)
        for phase in enters:
            self._enter(phase)
        if record.type in TELLING:
            self._look_into(record)

    def _look_into(self, record: Record) -> None:
        """Follow what its data tell (``TELLING``)."""
        match record.data:
            case rec.DispenseFinished(outcome=outcome):
                if outcome == DispenseOutcome.EMPTY:
                    self._met.add(("TURN", "seen.empty"))
                self._turned(dropped=outcome == "dropped")
            case rec.SettleIntended(success=success):
                self._enter("SETTLE" if success else "REFUND")
            case rec.ShortfallBooked(coins=coins, bills=bills):
                self._met.add(("IDLE", "seen.no coins"))
                self._pays(coins=coins, bills=bills)
            case rec.CreditAuthorised(coins=coins, bills=bills, product=product):
                self._pays(coins=coins, bills=bills, product=product)
            case rec.PayoutIntended(coins=coins, bills=bills):
                self._pays(coins=coins, bills=bills)
            case rec.CoinsDeposited(answer=answer) if len(answer) == PULSES:
                self._tenders.add("COINS")
            case rec.BillEscrowed():
                self._tenders.add("BILL")
            case rec.ApprovalRequested(device=device):
                self._asked.append(device)
                self._tenders |= {"CARD", "BILL_CARD"} if "BILL" in self._tenders else {"CARD"}
            case _:
                self._pays_otherwise(record.data)

    def _pays_otherwise(self, data: object) -> None:
        """Follow tokens, grants, baskets and proofs of age."""
        match data:
            case rec.VendOpened(offer=offer, price=0) if offer:
                self._tenders.add("HOUR")
            case rec.VendOpened(basket=first) if first:
                self._tenders.add("BASKET")
            case rec.RightHeld(kind=kind) | rec.RightGranted(kind=kind):
                self._tenders.add(kind.upper())
            case rec.ClaimRedeemed(tender="card"):
                self._tenders.add("CLAIM")
            case rec.TokenInserted():
                self._tenders.add("TOKEN")
            case rec.RevalueOpened():
                self._tenders.add("REVALUE")
            case rec.RightEnded(reason=reason):
                self._met.add(("MONEY", f"seen.{reason}"))
            case rec.AgeChecked(outcome=outcome):
                self._met.add(("IDLE", f"seen.{outcome}"))
                self._tenders.add("COINS")  # as far as there are any
            case _:
                pass

    def _turned(self, *, dropped: bool) -> None:
        if dropped:
            self._enter("DROP")
            self._met |= {("DROP", mark) for phase, mark in self._met if phase == "TURN"}
        else:
            self._enter("REFUND")

    def _pays(self, *, coins: int, bills: int, product: int = 0) -> None:
        if coins:
            self._tenders.add("COINS")
        if bills:
            self._tenders.add("BILL")
        if product:
            self._tenders.add("CLAIM")
        if (coins or bills) and "CARD" in self._tenders:
            self._tenders.add("MIXED")

    def _enter(self, phase: str) -> None:
        self._phases.add(phase)
        self._met.update((phase, mark) for mark, on in self._marks.items() if on > 0)

    # -------------------------------------------------------------------------------- a customer

    def customer_left(self) -> None:
        """Count the cells that this customer came through, and begin with the next."""
        if {"CARD"} & self._tenders and {"COINS", "BILL"} & self._tenders:
            self._tenders.add("MIXED")
        hit = {
            (number, key)
            for met in (*self._met, *self._of_readers())
            for number, key, tender, link, journaled in _MARKED.get(met, ())
            if tender in self._tenders and journaled <= self._types and link in ("", self._link)
        }
        self.hits.update(key for _, key in sorted(hit))  # in the table's order
        self._met = set()
        self._types = set()
        self._asked = []
        self._tenders = {"ANY"}

    def _of_readers(self) -> Iterator[tuple[str, str]]:
        """Yield what was met at the reader that was asked, or at the other one beside it."""
        if not self._second_reader or not self._asked:
            return
        own, alone = self._asked[0], len(set(self._asked)) == 1
        for phase, mark in self._met:
            part, _, rest = mark.partition(".")
            if part in READERS and (alone or rest == "card"):
                yield phase, f"{'own' if part == own else 'other'}.{rest}"


def _of(key: str, trouble: Trouble) -> Iterator[str]:
    yield key
    yield f"{key}={trouble.value}"
    if trouble.part in READERS:
        yield trouble.key
        yield f"{trouble.key}={trouble.value}"


def missed(hits: Iterable[str]) -> list[str]:
    """Return the cells that were never hit, in the table's order."""
    found = set(hits)
    return [key for key in KEYS if key not in found]


def share(hits: Iterable[str]) -> float:
    """Return how much of the table was hit, 0 to 1."""
    return 1.0 - len(missed(hits)) / len(KEYS)
