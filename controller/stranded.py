"""A machine that can't write its journal: nothing is taken or paid, the panel says what is owed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from config.machine import MachineSettings
from controller import app
from controller.api.service import Live, Recordings, WatchSink
from controller.api.shapes import VerifyShape
from controller.domain.commands import Command
from controller.domain.planogram import Planogram
from controller.faults import FaultCode, VenddError
from controller.journal.envelope import Record
from controller.machine.inputs import CommandRefused
from controller.panel.pager import Pager
from controller.panel.view import Message, PanelView
from controller.planning import planogram_of, renderer
from controller.state.state import State

Act = Callable[[Command, str], Awaitable[dict[str, Any]]]


class Stranded:
    """The panel of a machine that is out of service for want of a journal."""

    def __init__(self, settings: MachineSettings, why: str) -> None:
        """Nothing is opened before ``show``."""
        self.settings = settings
        self.why = why
        self.lines: tuple[str, ...] = ()
        self._display: Any = None
        self._pager = Pager(self._show)

    def show(self) -> None:
        """Open the display and say "out of service"."""
        self._display = app.open_display(self.settings)
        self._say(PanelView(Message.OUT_OF_SERVICE, self.settings.machine.currency))

    def owed(self, running: app.Running) -> None:
        """Say what is owed, on a display that is already open; paid after the disk works again."""
        owed = running.journal.state.ledger.owed()
        message = Message.OWED if owed else Message.OUT_OF_SERVICE
        self._display = running.display
        self._say(PanelView(message, self.settings.machine.currency, amount=owed))

    def _say(self, view: PanelView) -> None:
        self._pager.tell(renderer(self.settings).pages(view))

    def _show(self, lines: tuple[str, ...]) -> None:
        self.lines = lines
        self._display.show(lines)

    def close(self) -> None:
        """Turn no more pages, and give the display back: one that runs on is tried again."""
        self._pager.stop()
        if self._display is not None:
            self._display.close()


class _NoJournal:
    """What the API reads where there is nothing to read."""

    id = ""
    first = 1
    last = 0

    async def records(self, after: int, limit: int) -> Sequence[Record]:
        """Return nothing."""
        del after, limit
        return ()

    async def verify(self) -> VerifyShape:
        """Say where to verify instead."""
        raise VenddError("no journal is open; verify its folder: `vendctl journal verify --folder`")


class StrandedService:
    """The API's machine while there is no journal to write."""

    def __init__(
        self,
        stranded: Stranded,
        state: State | None,
        act: Act | None,
        now_s: Callable[[], float],
    ) -> None:
        """``state`` is what could be read; ``act`` the one thing that may be done."""
        self._stranded = stranded
        self._now_s, self._since_s = now_s, now_s()
        known = state or State(currency=stranded.settings.machine.currency)
        # No record can say so, and none has to end it: this mode ends when the journal works.
        told = {f"journal {FaultCode.JOURNAL_BROKEN.value}": stranded.why}
        self._state = replace(known, faults=known.faults | told)
        self._act = act

    @property
    def state(self) -> State:
        """Return what could be read."""
        return self._state

    @property
    def planogram(self) -> Planogram:
        """Return the configuration's."""
        return planogram_of(self._stranded.settings)

    @property
    def journal(self) -> _NoJournal:
        """Return a reader of nothing."""
        return _NoJournal()

    @property
    def sync(self) -> None:
        """Nobody is in touch with a fleet here."""
        return None

    @property
    def recordings(self) -> Recordings:
        """Return what the flight recorder kept before."""
        from controller.recorder.keeping import FolderKeeper  # noqa: PLC0415 - few ask for it

        return FolderKeeper(self._stranded.settings.journal.folder / app.RECORDINGS, lambda: False)

    def live(self) -> Live:
        """Say why."""
        return Live(
            mode="out_of_service",
            promise=f"nothing is sold or paid: {self._stranded.why}",
            software=app.SOFTWARE,
            up_s=self._now_s() - self._since_s,
            counted=False,
            exact_change_only=False,
            devices={},
            display=self._stranded.lines,
        )

    async def act(self, command: Command, by: str) -> dict[str, Any]:
        """Do the one thing that may be done. Raises CommandRefused."""
        if self._act is None:
            raise CommandRefused(f"out of service, the disk does not work: {self._stranded.why}")
        return await self._act(command, by)

    def watch(self, sink: WatchSink) -> Callable[[], None]:
        """Nothing happens here."""
        del sink
        return lambda: None
