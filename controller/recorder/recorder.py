"""Watches the actor: what it took, when, what it decided; keeps the stretch around trouble.

Costs an append per input. The clock stands still while the brain decides, so that a replay can
give it the same time; a checkpoint is written down when the machine is at rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog

from controller.clock import Clock
from controller.faults import JournalError
from controller.journal import records as rec
from controller.journal.envelope import Record
from controller.machine.brain import Brain
from controller.machine.commands import KEEP
from controller.machine.inputs import Input
from controller.recorder import checkpoint
from controller.recorder.checkpoint import Checkpoint
from controller.recorder.coding import CodingError
from controller.recorder.ring import Ring
from controller.recorder.taken import Taken
from controller.recorder.writing import Stretch, lines_of

INPUTS_MIN: Final = 80  # a segment is no shorter: a checkpoint costs as much as some of them
INPUTS_MAX: Final = 2_000  # and no longer: some minutes without rest; then it can't be replayed
SEGMENTS: Final = 2  # the stretch reaches back to the start of the one before
AFTERMATH_S: Final = 60.0  # what follows trouble belongs to it, until the machine is at rest

log = structlog.get_logger("recorder")

Keep = Callable[[str, Iterator[bytes]], None]


class HeldClock:
    """A clock that can be made to stand still, for one decision."""

    def __init__(self, clock: Clock) -> None:
        """Run like ``clock``."""
        self._clock = clock
        self._held: tuple[float, datetime] | None = None

    def monotonic_s(self) -> float:
        """Return the time, or the one that it stands at."""
        return self._clock.monotonic_s() if self._held is None else self._held[0]

    def wall_utc(self) -> datetime:
        """Return the wall time, or the one that it stands at."""
        return self._clock.wall_utc() if self._held is None else self._held[1]

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._clock.sleep(seconds)

    def hold(self) -> tuple[float, datetime]:
        """Stand still; returns at what."""
        self._held = (self._clock.monotonic_s(), self._clock.wall_utc())
        return self._held

    def release(self) -> None:
        """Run on."""
        self._held = None


@dataclass(slots=True)
class Segment:
    """From one rest to the next."""

    start: Checkpoint
    taken: list[Taken] = field(default_factory=list)


def _refunded(data: object) -> bool:
    return isinstance(data, rec.VendClosed) and data.result in ("refunded", "claimed", "kept")


class FlightRecorder:
    """Records one life of a machine.

    Args:
        clock: The desk's and the journal's.
        ring: What was on the lines and pins.
        keep: Takes what is worth keeping; never blocks.
        about: Who records, for the file's head.
    """

    def __init__(self, clock: HeldClock, ring: Ring, keep: Keep, about: dict[str, Any]) -> None:
        self.clock = clock
        self.ring = ring
        self._keep = keep
        self._about = about
        self._segments: deque[Segment] = deque(maxlen=SEGMENTS)
        self._codes: list[tuple[int, int, str]] = []
        self._trouble = ""
        self._trouble_s = 0.0
        self._broken = ""  # why nothing is recorded any more in this segment
        self._label: tuple[int, bool, bool, int] = (0, False, False, 0)

    # -------------------------------------------------------------------------------- taking

    def begin(self, brain: Brain) -> None:
        """Start with a brain that has taken nothing yet, or that is at rest."""
        label, journal = brain.desk.journal.label, brain.desk.journal
        self._label = (label.floor_ms, label.confirmed, journal.disk_full, brain.desk.plans)
        try:
            self._segments.append(Segment(checkpoint.take(brain)))
            self._broken = ""
        except CodingError as error:
            self._broken = str(error)
            log.warning("recorder.checkpoint", error=str(error))

    def take(self, brain: Brain, item: Input) -> None:
        """Have the brain decide about an input, and note both."""
        desk = brain.desk
        at_s, wall = self.clock.hold()
        written, effects = len(desk.written), len(desk.effects)
        try:
            brain.take(item)
        finally:
            self.clock.release()
            codes, self._codes = tuple(self._codes), []
            self._note(
                Taken(
                    at_s,
                    wall,
                    item,
                    tuple(desk.written[written:]),
                    tuple(desk.effects[effects:]),
                    desk.mode,
                    codes,
                )
            )

    def _note(self, taken: Taken) -> None:
        if not self._segments:
            return
        segment = self._segments[-1]
        if len(segment.taken) < INPUTS_MAX:
            segment.taken.append(taken)
        else:
            self._broken = f"{INPUTS_MAX} inputs without rest"

    def minting(self, mint: Callable[[int, int], str]) -> Callable[[int, int], str]:
        """Return the same that notes each claim's code: a replay has no key."""

        def noted(seq: int, amount: int) -> str:
            code = mint(seq, amount)
            self._codes.append((seq, amount, code))
            return code

        return noted

    def committed(self, records: Iterable[Record]) -> None:
        """Look for trouble in what has become durable."""
        for record in records:
            word = _trouble(record)
            if word:
                self.trouble(word)

    def trouble(self, word: str) -> None:
        """Keep the stretch around now, once the machine is at rest."""
        if not self._trouble:
            self._trouble, self._trouble_s = word, self.clock.monotonic_s()

    def turned(self, brain: Brain) -> None:
        """The actor's turn is over: keep what waits to be kept, begin the next segment."""
        resting = checkpoint.at_rest(brain)
        if self._trouble and (resting or self.clock.monotonic_s() - self._trouble_s >= AFTERMATH_S):
            self.keep(brain)
        if not resting:
            return
        label, journal = brain.desk.journal.label, brain.desk.journal
        now = (label.floor_ms, label.confirmed, journal.disk_full, brain.desk.plans)
        changed = self._label != now
        long = bool(self._segments) and len(self._segments[-1].taken) >= INPUTS_MIN
        if self._broken or changed or long or not self._segments:
            if self._broken or changed:
                self._segments.clear()  # what was before can't be replayed up to here
            self.begin(brain)

    def keep(self, brain: Brain) -> None:
        """Hand the stretch over now."""
        word, self._trouble = self._trouble, ""
        if not self._segments:
            return
        try:
            configuration = checkpoint.configuration(brain.desk)
        except CodingError as error:
            log.warning("recorder.configuration", error=str(error))
            return
        stretch = Stretch(
            self._about | {"reason": word, "gap": self._broken},
            configuration,
            tuple(name.value for name in brain.devices),
            self._segments[0].start,
            [taken for segment in self._segments for taken in segment.taken],
            self.ring.since(self._segments[0].start.at_s),
        )
        self._keep(word, lines_of(stretch))

    def ended(self, brain: Brain, error: BaseException | None) -> None:
        """The actor's life is over: keep what it broke on.

        A cancelled one was cut off; one whose journal fails leaves the disk alone.
        """
        if isinstance(error, JournalError) or (error and not isinstance(error, Exception)):
            return
        if error is not None:
            self._trouble = "broken"
        if self._trouble:
            self.keep(brain)


def _trouble(record: Record) -> str:
    """Return what a record tells of trouble, as a word for the file's name."""
    match record.data:
        case rec.FaultRaised(part=part, code=code):
            return f"{part}-{code}"
        case rec.ReviewFlagged():
            return "review"
        case rec.ClaimOpened():
            return "claim"
        case rec.HealthExceeded():
            return "health"
        case rec.OperatorActed(what=what) if what == KEEP:
            return "asked"
        case data if _refunded(data):
            return "refund"
        case _:
            return ""
