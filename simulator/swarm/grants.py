"""The oracle of what was promised: a grant buys what it is for, in its time, and then is gone.

What an app has paid for is set aside: no other selection gets it, no other app is told that it can
be had. And no token is taken that buys nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from controller.journal import records as rec
from controller.journal.envelope import Record
from simulator.swarm.evidence import Evidence
from simulator.swarm.rights import bought_by_tokens
from simulator.whole import Whole

LATE_S: Final = 0.5  # a timer's turn
ON_ITS_WAY_S: Final = 6.0  # a token that was let in may be told of so much later


@dataclass(frozen=True, slots=True)
class _Grant:
    id: str
    kind: str
    column: str  # the one that it is for; "": any
    boot: int
    ends_s: float  # on the loop's clock


class Grants:
    """Follows free vends and app credit of one machine, from one journal's first record on."""

    def __init__(self, machine: Whole) -> None:
        """Nothing was promised."""
        self._machine = machine
        self._open: dict[int, _Grant] = {}
        self._held: set[int] = set()  # by a vend
        self._vends: dict[int, rec.VendOpened] = {}
        self._turned: set[tuple[int, str]] = set()  # what has turned for a vend
        self._tokened = bought_by_tokens(machine.settings)
        self._bare_s: float | None = None  # since when no token would buy anything
        self.rules: dict[type[Any], Any] = {
            rec.RightGranted: self._granted,
            rec.VendOpened: self._opens,
            rec.DispenseIntended: self._turns,
            rec.DispenseFinished: self._sells_less,
            rec.ColumnDisabled: self._sells_less,
            rec.TokenInserted: self._takes_token,
            rec.RightHeld: self._holds,
            rec.RightUsed: self._over,
            rec.RightEnded: self._over,
            rec.RightReturned: self._returned,
            rec.VendClosed: self._closes,
        }

    def _now(self, record: Record) -> bool:
        """Tell whether it was written in this life."""
        return record.boot == self._machine.state.boot

    def _granted(self, record: Record, data: rec.RightGranted, evidence: Evidence) -> None:
        if data.column and not self._vends and self._now(record):
            there = self._machine.state.stock.of(data.column).count
            if there <= self._set_aside(data.column, record.seq):
                evidence.findings.append(
                    f"{data.id} is for one of {data.column}, and all {there} are set aside"
                )
        # Its time begins when it is durable: then the answer leaves, and the timer is set.
        ends_s = self._machine.loop.time() + data.lives_ms / 1_000
        self._open[record.seq] = _Grant(data.id, data.kind, data.column, record.boot, ends_s)

    def _set_aside(self, column: str, before: int) -> int:
        """Return how many of a column's products apps had paid for before a record."""
        return sum(
            (grant.kind, grant.column) == ("app", column)
            for seq, grant in self._open.items()
            if seq < before and seq not in self._held
        )

    def _opens(self, record: Record, data: rec.VendOpened, evidence: Evidence) -> None:
        del evidence
        self._vends[record.seq] = data

    def _turns(self, record: Record, data: rec.DispenseIntended, evidence: Evidence) -> None:
        vend, column = record.vend or 0, data.column
        opened, again = self._vends.get(vend), (vend, column) in self._turned
        self._turned.add((vend, column))
        if opened is None or again or opened.test or column == opened.selection:
            return
        there = self._machine.state.stock.of(column).count
        if self._now(record) and there <= self._set_aside(column, vend):
            evidence.findings.append(
                f"{column} turns for {opened.selection}, and all {there} are set aside"
            )

    def _holds(self, record: Record, data: rec.RightHeld, evidence: Evidence) -> None:
        self._held.add(data.right)
        grant, opened = self._open.get(data.right), self._vends.get(record.vend or 0)
        if grant is None or not self._now(record):
            return
        wanted = "" if opened is None else opened.selection
        if grant.column not in ("", wanted):
            evidence.findings.append(f"{grant.id} is for {grant.column}, and pays {wanted}")
        most_s = grant.ends_s + LATE_S + 2.0 * evidence.slowest_commit_s()  # decided before
        if grant.boot != record.boot or record.mono_ms / 1_000 > most_s:
            evidence.findings.append(f"{grant.id} pays {wanted}, and its time is over")

    def _over(
        self, record: Record, data: rec.RightUsed | rec.RightEnded, evidence: Evidence
    ) -> None:
        del record, evidence
        self._open.pop(data.right, None)
        self._held.discard(data.right)

    def _returned(self, record: Record, data: rec.RightReturned, evidence: Evidence) -> None:
        del record, evidence
        self._held.discard(data.right)
        if data.ended:
            self._open.pop(data.right, None)

    def _closes(self, record: Record, data: rec.VendClosed, evidence: Evidence) -> None:
        del data, evidence
        self._vends.pop(record.vend or 0, None)
        self._turned.clear()

    # ------------------------------------------------------------------------------------ tokens

    def _sells(self) -> bool:
        """Tell whether a token would buy something."""
        stock = self._machine.state.stock
        return any(
            not stock.of(one.selection).disabled
            and (stock.of(one.selection).count > 0 or one.sold_out == "sensor")
            for one in self._tokened
        )

    def _sells_less(self, record: Record, data: object, evidence: Evidence) -> None:
        del data, evidence
        if not self._tokened or self._sells():
            self._bare_s = None
        elif self._bare_s is None:
            self._bare_s = record.mono_ms / 1_000

    def _takes_token(self, record: Record, data: rec.TokenInserted, evidence: Evidence) -> None:
        self._sells_less(record, data, evidence)
        if self._bare_s is None or not self._now(record) or evidence.ends:
            return
        heard = all(trouble.part == "config" for trouble in evidence.struck)
        if heard and record.mono_ms / 1_000 - self._bare_s > ON_ITS_WAY_S:
            evidence.findings.append("a token is taken, and there is nothing that it buys")

    def check(self, evidence: Evidence) -> None:
        """A customer has left, and nothing moves."""
        now = self._machine.loop.time()
        for grant in self._open.values():
            if now > grant.ends_s + LATE_S or grant.boot != self._machine.state.boot:
                evidence.findings.append(f"{grant.id} is still open, and its time is over")
