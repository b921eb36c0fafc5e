"""The flight recorder's parts, where one is configured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from config.machine import MachineSettings
from controller.app.books import SOFTWARE
from controller.app.parts import Parts
from controller.journal.store import Journal
from controller.state.state import State
from drivers.links.port import BytePort
from drivers.links.tapped import TappedPort

if TYPE_CHECKING:
    from controller.recorder.keeping import Keeper

RECORDINGS: Final = "recordings"  # a folder beside the journal


class Box:
    """The flight recorder's parts, where one is configured."""

    def __init__(self, settings: MachineSettings, parts: Parts) -> None:
        # Who has no recorder does not load one.
        from controller.recorder.recorder import FlightRecorder, HeldClock  # noqa: PLC0415 - above
        from controller.recorder.ring import Ring  # noqa: PLC0415 - above

        self._folder = settings.journal.folder / RECORDINGS
        self.clock = HeldClock(parts.clock)
        self.ring = Ring(parts.clock.monotonic_s)
        about = {"machine": settings.machine.id, "software": SOFTWARE}
        self.recorder = FlightRecorder(self.clock, self.ring, self._keep, about)
        self._keeper: Keeper | None = None

    def watch(self, journal: Journal[State], keeper: Keeper | None) -> Keeper:
        """Return where recordings go: out of the way of this journal."""
        from controller.recorder.keeping import FolderKeeper  # noqa: PLC0415 - above

        self._keeper = keeper or FolderKeeper(self._folder, lambda: journal.writing)
        return self._keeper

    def _keep(self, word: str, lines: Iterator[bytes]) -> None:
        if self._keeper is not None:
            self._keeper.keep(word, lines)

    def tapped(self, open_port: Callable[[], BytePort]) -> Callable[[], BytePort]:
        """Return what opens a line that is listened to."""
        return lambda: TappedPort(open_port(), self.ring.line)


def flight_recorder(settings: MachineSettings, parts: Parts) -> Box | None:
    """Return the parts, or None where no recorder is configured."""
    wanted = settings.recorder is not None and settings.recorder.enabled
    return Box(settings, parts) if wanted else None
