"""A small purse folded from a journal, and ways to open one: what the journal's tests share."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from controller.journal.beginning import BootInfo
from controller.journal.database import Storage
from controller.journal.envelope import Postings, Record, RecordData, registry_of
from controller.journal.records import BootStarted, JournalBegun
from controller.journal.store import Journal

BUILT = datetime(2026, 1, 1, tzinfo=UTC)


class MoneyTaken(RecordData):
    type: ClassVar[str] = "money.taken"
    amount: int

    def postings(self) -> Postings:
        return (("cash.box", self.amount), ("credit", -self.amount))


class MoneyReturned(RecordData):
    type: ClassVar[str] = "money.returned"
    amount: int

    def postings(self) -> Postings:
        return (("cash.box", -self.amount), ("credit", self.amount))


class NoteLeft(RecordData):
    type: ClassVar[str] = "note.left"
    text: str
    raw: bytes = b""


REGISTRY = registry_of(JournalBegun, BootStarted, MoneyTaken, MoneyReturned, NoteLeft)


class Purse:
    """Balances, notes and a count; needs its records from ``needed`` on."""

    def __init__(self) -> None:
        self.seq = 0
        self.boots = 0
        self.balances: dict[str, int] = {}
        self.notes: list[str] = []
        self.needed: int | None = None

    def apply(self, record: Record) -> None:
        self.seq = record.seq
        for account, amount in record.postings:
            self.balances[account] = self.balances.get(account, 0) + amount
        match record.data:
            case BootStarted():
                self.boots += 1
            case NoteLeft(text=text):
                if text == "break":
                    raise ValueError("a note that does not fold")
                self.notes = [*self.notes[-4:], text]
            case _:
                pass

    def encode(self) -> bytes:
        fields = [self.seq, self.boots, sorted(self.balances.items()), self.notes, self.needed]
        return json.dumps(fields).encode()

    def prune_floor(self) -> int:
        return self.needed if self.needed is not None else self.seq + 1


class PurseFold:
    def __init__(self, version: int = 1) -> None:
        self._version = version

    @property
    def version(self) -> int:
        return self._version

    def initial(self) -> Purse:
        return Purse()

    def decode(self, raw: bytes, version: int) -> Purse:
        if version > self._version:
            raise ValueError("newer than this software")
        purse = Purse()
        purse.seq, purse.boots, balances, purse.notes, purse.needed = json.loads(raw)
        purse.balances = dict(balances)
        return purse

    def balances(self, state: Purse) -> Postings:
        return ()

    def previous(self, state: Purse) -> None:
        return None

    def forked(self, state: Purse) -> None:
        state.notes = [*state.notes, "forked"]

    def told_again(self, state: Purse, journal: str, numbers: Mapping[int, int]) -> None:
        state.notes = [*state.notes, *(f"{seq} is {now}" for seq, now in numbers.items())]

    def inherit(self, old: Purse) -> Purse:
        purse = Purse()
        purse.balances = dict(old.balances)
        purse.notes = list(old.notes)
        return purse


class HandClock:
    """A clock that a test moves by hand; sleeping moves it."""

    def __init__(self, wall: datetime = datetime(2026, 3, 2, 8, tzinfo=UTC)) -> None:
        self.now_s = 100.0
        self.wall = wall

    def monotonic_s(self) -> float:
        return self.now_s

    def wall_utc(self) -> datetime:
        return self.wall

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.now_s += seconds
        self.wall += timedelta(seconds=seconds)


def boot_info(software: str = "0.1") -> BootInfo:
    return BootInfo("machine-1", "EUR", software, "digest", BUILT)


async def open_journal(
    storage: Storage,
    *,
    clock: HandClock | None = None,
    entropy: Callable[[int], bytes] | None = None,
    fold: PurseFold | None = None,
    software: str = "0.1",
) -> Journal[Purse]:
    return await Journal.open(
        storage,
        fold=fold or PurseFold(),
        registry=REGISTRY,
        clock=clock or HandClock(),
        entropy=entropy or random.Random(7).randbytes,
        boot=boot_info(software),
    )


async def put_in(journal: Journal[Purse], *amounts: int) -> None:
    """Take money, one durable commit for all of it."""
    for amount in amounts:
        journal.stage(MoneyTaken(amount=amount))
    await journal.commit()
