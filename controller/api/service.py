"""What the API asks of the machine behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from controller.api.shapes import SyncShape, VerifyShape
from controller.domain.commands import Command
from controller.domain.planogram import Planogram
from controller.journal.envelope import Record
from controller.state.state import State

WatchEvent = dict[str, Any]
"""One thing that happened, JSON-able: see ``controller.api.shapes.watch_*``."""

WatchSink = Callable[[WatchEvent], None]
"""Takes an event at once and never blocks or raises; a slow reader loses events, and is told."""


@dataclass(frozen=True, slots=True)
class LineCounts:
    """What a line has counted since the start."""

    name: str  # "mdb" or "cctalk"
    down: str | None  # why nothing can be said on it now
    counts: Mapping[str, float]
    parts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # what each device missed


@dataclass(frozen=True, slots=True)
class Counted:
    """What drivers count and no record says."""

    lines: tuple[LineCounts, ...] = ()
    oddities: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # by device


@dataclass(frozen=True, slots=True)
class Live:
    """What is true now and stands in no record."""

    mode: str  # controller.machine.table.Mode
    promise: str  # what the mode promises a customer
    software: str
    up_s: float
    exact_change_only: bool
    devices: Mapping[str, str]  # name -> "ready" | "starting" | "lost" | "disabled"
    display: tuple[str, ...] = ()  # the lines that the customer sees
    revision_waits: int = 0  # of the fleet's configuration, until nobody is served
    climate: Mapping[str, Any] = field(default_factory=dict)  # empty where none is configured
    defective_tubes: frozenset[int] = frozenset()  # coin types: a full tube that counts no coin
    defective_bills: frozenset[int] = frozenset()  # bill types of the recycler
    titles: Mapping[str, str] = field(default_factory=dict)  # what the owner calls a device
    drivers: Counted = field(default_factory=Counted)
    counted: bool = True  # this start has a record; one that may write none has no number


class JournalView(Protocol):
    """A journal that can be read, in a running machine or as a file."""

    @property
    def id(self) -> str:
        """Return the journal's id, in hex."""
        ...

    @property
    def first(self) -> int:
        """Return the lowest seq that is still there (1, or more after pruning)."""
        ...

    @property
    def last(self) -> int:
        """Return the highest durable seq; 0 when there is none."""
        ...

    async def records(self, after: int, limit: int) -> Sequence[Record]:
        """Return up to ``limit`` records with a seq above ``after``, ascending."""
        ...

    async def verify(self) -> VerifyShape:
        """Check every byte: chain, base, witness; what is wrong is told, not raised."""
        ...


class Recordings(Protocol):
    """What the flight recorder kept."""

    def names(self) -> list[tuple[str, int]]:
        """Return names and sizes, the oldest first."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return one, compressed; None when it is not there."""
        ...


class Sync(Protocol):
    """The tie to the fleet, where there is one."""

    async def show(self) -> SyncShape:
        """Return how far the fleet is, and what stands in the way."""
        ...

    def hurry(self) -> None:
        """Try at once."""
        ...


class MachineService(Protocol):
    """The machine, as technicians meet it."""

    @property
    def state(self) -> State:
        """Return the folded state; look, don't touch."""
        ...

    @property
    def planogram(self) -> Planogram:
        """Return products and columns with the prices that hold now."""
        ...

    @property
    def journal(self) -> JournalView:
        """Return the journal's reader."""
        ...

    def live(self) -> Live:
        """Return what no record says."""
        ...

    @property
    def sync(self) -> Sync | None:
        """Return the tie to the fleet; None: it lives alone, or has not begun yet."""
        ...

    @property
    def recordings(self) -> Recordings | None:
        """Return what the flight recorder kept; None where there is none."""
        ...

    async def act(self, command: Command, by: str) -> dict[str, Any]:
        """Have a command carried out and journaled; return a JSON-able answer.

        Raises:
            controller.machine.inputs.CommandRefused: Not now, or not so; the text says why and
                what to do.
        """
        ...

    def watch(self, sink: WatchSink) -> Callable[[], None]:
        """Send what happens from now on to ``sink``; return what ends that."""
        ...
