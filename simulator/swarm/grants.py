"""The oracle of what was promised: a grant buys what it is for, in its time, and then is gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from controller.journal import records as rec
from controller.journal.envelope import Record
from simulator.swarm.evidence import Evidence
from simulator.whole import Whole

LATE_S: Final = 0.5  # a timer's turn


@dataclass(frozen=True, slots=True)
class _Grant:
    id: str
    column: str  # the one that it is for; "": any
    boot: int
    ends_s: float  # on the loop's clock


class Grants:
    """Follows free vends and app credit of one machine, from one journal's first record on."""

    def __init__(self, machine: Whole) -> None:
        """Nothing was promised."""
        self._machine = machine
        self._open: dict[int, _Grant] = {}
        self._wanted: dict[int, str] = {}  # by open vend
        self.rules: dict[type[Any], Any] = {
            rec.RightGranted: self._granted,
            rec.VendOpened: self._opens,
            rec.RightHeld: self._held,
            rec.RightUsed: self._over,
            rec.RightEnded: self._over,
            rec.RightReturned: self._returned,
            rec.VendClosed: self._closes,
        }

    def _granted(self, record: Record, data: rec.RightGranted, evidence: Evidence) -> None:
        del evidence
        # Its time begins when it is durable: then the answer leaves, and the timer is set.
        ends_s = self._machine.loop.time() + data.lives_ms / 1_000
        self._open[record.seq] = _Grant(data.id, data.column, record.boot, ends_s)

    def _opens(self, record: Record, data: rec.VendOpened, evidence: Evidence) -> None:
        del evidence
        self._wanted[record.seq] = data.selection

    def _held(self, record: Record, data: rec.RightHeld, evidence: Evidence) -> None:
        grant, wanted = self._open.get(data.right), self._wanted.get(record.vend or 0, "")
        if grant is None or record.boot != self._machine.state.boot:
            return
        if grant.column not in ("", wanted):
            evidence.findings.append(f"{grant.id} is for {grant.column}, and pays {wanted}")
        if grant.boot != record.boot or record.mono_ms / 1_000 > grant.ends_s + LATE_S:
            evidence.findings.append(f"{grant.id} pays {wanted}, and its time is over")

    def _over(
        self, record: Record, data: rec.RightUsed | rec.RightEnded, evidence: Evidence
    ) -> None:
        del record, evidence
        self._open.pop(data.right, None)

    def _returned(self, record: Record, data: rec.RightReturned, evidence: Evidence) -> None:
        del record, evidence
        if data.ended:
            self._open.pop(data.right, None)

    def _closes(self, record: Record, data: rec.VendClosed, evidence: Evidence) -> None:
        del data, evidence
        self._wanted.pop(record.vend or 0, None)

    def check(self, evidence: Evidence) -> None:
        """A customer has left, and nothing moves."""
        now = self._machine.loop.time()
        for grant in self._open.values():
            if now > grant.ends_s + LATE_S or grant.boot != self._machine.state.boot:
                evidence.findings.append(f"{grant.id} is still open, and its time is over")
