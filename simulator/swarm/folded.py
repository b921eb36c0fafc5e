"""The oracle of what a start comes to know: no less than all records since the first one tell.

A start folds from its last snapshot; here the records are folded on one by one, through every
life. Few lives are long enough for a snapshot behind a failure and a start behind that: so what is
known at a start is written into one as well, and read again.
"""

from __future__ import annotations

from dataclasses import fields

from controller.journal import records as rec
from controller.journal.envelope import Record
from controller.state.state import State
from simulator.swarm.evidence import Evidence
from simulator.whole import Whole


class Folded:
    """Follows one machine's journals, each from its first record on."""

    def __init__(self, machine: Whole) -> None:
        """Know of no record."""
        self._machine = machine
        self._state: State | None = None  # None: a journal that was not followed from its start
        self._boot = 0  # the last one that was looked at

    def give_up(self) -> None:
        """The journal's file is damaged: what is read of it may say anything."""
        self._state = None

    def record(self, record: Record, evidence: Evidence) -> None:
        """Fold it in; look at a start's state as soon as it stands at a record that is durable."""
        if record.seq == 1:
            # What an older journal told of is in the first base of the one that follows it.
            begun = record.data
            follows = isinstance(begun, rec.JournalBegun) and begun.previous is not None
            self._state, self._boot = None if follows else State.initial(), 0
        mine = self._state
        if mine is None or record.seq != mine.seq + 1:
            self._state = None
            return
        mine.apply(record)
        found = self._machine.state
        if record.boot == self._boot or found.seq != mine.seq:
            return
        self._boot = record.boot
        for source, known in (("a start", found), ("a snapshot", State.decode(mine.encode()))):
            lost = [
                f.name for f in fields(State) if getattr(known, f.name) != getattr(mine, f.name)
            ]
            if lost:
                evidence.findings.append(
                    f"{source} knows otherwise than all records say: {', '.join(lost)}"
                )
