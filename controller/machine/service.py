"""The running machine, as the API and technicians meet it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from controller.api.journal_view import StoreView
from controller.api.service import Counted, Live, Recordings, Sync, WatchEvent, WatchSink
from controller.api.views import watch_display, watch_mode, watch_record
from controller.domain.commands import Command
from controller.domain.planogram import Planogram
from controller.journal.envelope import Record
from controller.machine.configuring import waiting
from controller.machine.desk import Desk
from controller.machine.runner import Machine
from controller.machine.screen import exact_change_only
from controller.machine.table import PROMISES
from controller.ports import DeviceName
from controller.state.state import State


def device_word(desk: Desk, name: DeviceName) -> str:
    """Return how a device is: "ready", "starting", "lost" or "disabled"."""
    if name.value in desk.state.readers_off:
        return "disabled"
    if name in desk.live.ready:
        return "ready"
    return "lost" if f"{name.value} device.silent" in desk.state.faults else "starting"


class RunningService:
    """Reads from the fold, acts through the actor's queue."""

    def __init__(
        self,
        machine: Machine,
        software: str,
        recordings: Recordings | None = None,
        root: bytes | None = None,
        titles: Mapping[str, str] | None = None,
        counted: Callable[[], Counted] = Counted,
    ) -> None:
        """Watch the machine's turns from now on; ``titles`` are the owner's names of devices."""
        self._counted = counted
        self._titles = titles or {}
        self._recordings = recordings
        self._machine = machine
        self._software = software
        self._since = machine.desk.now
        self._view = StoreView(machine.desk.journal, root)
        self._watchers: list[WatchSink] = []
        self._mode = ""
        self._screen: tuple[str, ...] = ()
        machine.on_turn.append(self._turned)
        machine.on_page.append(self._turned)
        machine.on_commit.append(self._committed)

    @property
    def state(self) -> State:
        """Return the folded state; look, don't touch."""
        return self._machine.desk.state

    @property
    def planogram(self) -> Planogram:
        """Return products and columns with the prices that hold now."""
        return self._machine.desk.planogram

    @property
    def journal(self) -> StoreView:
        """Return the journal's reader."""
        return self._view

    @property
    def sync(self) -> Sync | None:
        """Return the tie to the fleet."""
        return self._machine.fleet

    @property
    def recordings(self) -> Recordings | None:
        """Return what the flight recorder kept."""
        return self._recordings

    def live(self) -> Live:
        """Return what no record says."""
        desk = self._machine.desk
        devices = {name.value: device_word(desk, name) for name in self._machine.brain.devices}
        return Live(
            mode=desk.mode.value,
            promise=self._machine.brain.blocked() or PROMISES[desk.mode],
            software=self._software,
            up_s=desk.now - self._since,
            exact_change_only=exact_change_only(desk),
            devices=devices,
            titles=self._titles,
            display=self._machine.screen,
            climate=self._machine.brain.climate.view(),
            revision_waits=waiting(desk),
            defective_tubes=desk.live.defective_tubes,
            defective_bills=desk.live.defective_recycler,
            drivers=self._counted(),
        )

    async def act(self, command: Command, by: str) -> dict[str, Any]:
        """Have a command carried out and journaled. Raises CommandRefused."""
        return await self._machine.act(command, by)

    def watch(self, sink: WatchSink) -> Callable[[], None]:
        """Send what happens from now on to ``sink``; return what ends that."""
        self._watchers.append(sink)
        sink(self._mode_event())
        sink(self._display_event())
        return lambda: self._watchers.remove(sink)

    # -------------------------------------------------------------------------- watching

    def _turned(self) -> None:
        desk = self._machine.desk
        if not self._watchers:
            return
        if desk.mode.value != self._mode:
            self._send(self._mode_event())
        if self._machine.screen != self._screen:
            self._send(self._display_event())

    def _mode_event(self) -> WatchEvent:
        self._mode = self._machine.desk.mode.value
        return watch_mode(self._mode)

    def _display_event(self) -> WatchEvent:
        self._screen = self._machine.screen
        return watch_display(self._screen)

    def _committed(self, records: list[Record]) -> None:
        for record in records if self._watchers else ():
            self._send(watch_record(record))

    def _send(self, event: WatchEvent) -> None:
        for sink in tuple(self._watchers):
            sink(event)
