"""The troubles of one customer: each begins by the clock or behind a record, and is mended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from simulator.swarm.coverage import Coverage
from simulator.swarm.evidence import Watch
from simulator.swarm.hands import free, hand_of
from simulator.swarm.plan import Build, Trouble
from simulator.swarm.trace import Trace
from simulator.swarm.troubles import ALWAYS_SHORT, Excuse, Kind, kind_of
from simulator.whole import Whole


class BadLuck:
    """Breaks what is drawn, when it is due, and tells everybody who judges by it."""

    def __init__(
        self, machine: Whole, build: Build, watch: Watch, coverage: Coverage, trace: Trace
    ) -> None:
        """Bind; nothing is broken."""
        self._machine = machine
        self._build = build
        self._watch = watch
        self._coverage = coverage
        self._trace = trace
        self._timers: list[asyncio.TimerHandle] = []
        self._waiting: list[Trouble] = []  # for a record
        self._active: dict[Trouble, None] = {}

    def begin(self, troubles: tuple[Trouble, ...]) -> None:
        """Wait for the moment of each."""
        for trouble in troubles:
            if trouble.when:
                self._waiting.append(trouble)
            else:
                self._later(trouble.at_s, self._strike, trouble)

    def recorded(self, kind: str) -> None:
        """A record of this type is durable."""
        if not self._waiting:
            return
        for trouble in [t for t in self._waiting if t.when == kind]:
            self._waiting.remove(trouble)
            self._later(trouble.at_s, self._strike, trouble)

    def end(self) -> None:
        """The bad luck is over: mend everything."""
        machine = self._machine
        for device in machine.world.devices.values():
            device.unmute()
        self._waiting.clear()
        self.cancel()
        for trouble in list(self._active):
            self._mend(trouble)
        machine.world.faults.clear()
        for part in ("bill", "changer"):
            free(machine, part)
        machine.disk.heal()

    def cancel(self) -> None:
        """Strike and mend nothing any more."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    @property
    def disk_is_troubled(self) -> bool:
        """Tell whether a journal that fails is what was drawn for this customer."""
        return any(trouble.part == "disk" for trouble in self._watch.evidence.struck)

    def _later(self, seconds: float, what: Callable[[Trouble], None], trouble: Trouble) -> None:
        self._timers = [timer for timer in self._timers if not timer.cancelled()]
        self._timers.append(self._machine.loop.call_later(seconds, what, trouble))

    def _strike(self, trouble: Trouble) -> None:
        if not hand_of(trouble).strike(self._machine, trouble):
            return
        kind = self._kind(trouble)
        self._watch.struck(trouble)
        self._watch.evidence.open(kind, trouble, self._machine.loop.time())
        self._coverage.begins(kind.key, trouble)
        self._trace.hit(kind.key)
        self._trace.note(f"trouble {trouble.key} = {trouble.value!r}")
        self._active[trouble] = None
        self._later(trouble.for_s, self._mend, trouble)

    def _kind(self, trouble: Trouble) -> Kind:
        kind = kind_of(trouble.part, trouble.name)
        if kind.key == "bill.reset_in_stack" and not self._build.escrow:
            # It is stacked at once and told of by nobody; a count knows no values.
            kind = replace(kind, excuses=kind.excuses | {Excuse.BILL})
        if kind.key == "changer.short_by" and trouble.value == ALWAYS_SHORT:
            # Each order pays nothing: in the end there is a claim.
            kind = replace(kind, excuses=kind.excuses | {Excuse.CHANGER})
        away = kind.part == "bill" and Excuse.BILL in kind.excuses
        if (away or kind.key == "bill.resets") and self._build.recycler:
            # A validator that is away pays nothing out either.
            kind = replace(kind, excuses=kind.excuses | {Excuse.CHANGER, Excuse.PAYOUT})
        return kind

    def _mend(self, trouble: Trouble) -> None:
        if trouble not in self._active:
            return
        del self._active[trouble]
        now = self._machine.loop.time()
        struck = hand_of(trouble).mend(self._machine, trouble)
        self._watch.mended(trouble, now)
        self._watch.evidence.close(trouble, now, struck=struck)
        self._coverage.ends(self._kind(trouble).key, trouble, struck=struck)
