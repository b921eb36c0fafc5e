"""A bench of MDB peripherals on one bus: what a test, a swarm or a simulated machine builds on.

One process, no threads: on a `VirtualLoop` it runs in virtual time, on any other loop in real time.
The peripherals live on when the host's end is closed, as hardware does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, overload

from controller.faults import ConfigError
from simulator.adapter_wire import AdapterSettings, AdapterWire
from simulator.bus import Bus
from simulator.line import LineFaults
from simulator.native_wire import NativeWire, Pacing
from simulator.peripherals.base import Peripheral, Timeline
from simulator.peripherals.bill import SimBill
from simulator.peripherals.bill_settings import BillSettings
from simulator.peripherals.changer import SimChanger
from simulator.peripherals.changer_settings import ChangerSettings
from simulator.peripherals.reader import SimReader
from simulator.peripherals.reader_settings import ReaderSettings
from simulator.ports import MemoryNinthBitPort, MemoryPort
from simulator.truth import Truth

LinkKind = Literal["native", "adapter"]


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """What stands on the bench.

    Args:
        changer: None for no changer.
        bill: None for no validator.
        readers: One or two; the first has address 10, the second 60.
        adapter: How the box with the text protocol behaves.
        pacing: How finely answers are timed on the native wire.
        block_gap_s: Pause that ends an unfinished block in a stream without a ninth bit.
        seed: Where the chances of line faults come from.
        speed: Divides physical durations; bus times stay.
    """

    changer: ChangerSettings | None = field(default_factory=ChangerSettings)
    bill: BillSettings | None = field(default_factory=BillSettings)
    readers: tuple[ReaderSettings, ...] = (ReaderSettings(),)
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    pacing: Pacing = Pacing.BYTE
    block_gap_s: float = 0.005
    seed: int = 0
    speed: float = 1.0


class MdbBench:
    """The peripherals, their truth, and a wire of either kind.

    Args:
        loop: Virtual or real time.
        settings: What stands on the bench.
        truth: Shared with the rest of a machine; made when there is none.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: BenchSettings | None = None,
        *,
        truth: Truth | None = None,
    ) -> None:
        self.settings = settings or BenchSettings()
        self.loop = loop
        self.truth = truth or Truth(loop.time)
        self.timeline = Timeline(loop, self.settings.speed)
        self._changer = (
            SimChanger(self.timeline, self.truth, self.settings.changer)
            if self.settings.changer
            else None
        )
        self._bill = (
            SimBill(self.timeline, self.truth, self.settings.bill) if self.settings.bill else None
        )
        self.readers = tuple(
            SimReader(self.timeline, self.truth, settings, name=f"cashless{index + 1}")
            for index, settings in enumerate(self.settings.readers)
        )
        self.bus = Bus(self.peripherals)
        self.bus_line = LineFaults(self.settings.seed)
        """What goes wrong between the bus master and the peripherals."""
        self.host_line = LineFaults(self.settings.seed + 1)
        """What goes wrong between the host and an adapter."""
        self.native = NativeWire(
            loop,
            self.bus,
            self.bus_line,
            pacing=self.settings.pacing,
            block_gap_s=self.settings.block_gap_s,
        )
        self.adapter = AdapterWire(
            loop, self.bus, self.host_line, self.bus_line, self.settings.adapter
        )

    @property
    def changer(self) -> SimChanger:
        """Return the changer. Raises ConfigError when the bench has none."""
        if self._changer is None:
            raise ConfigError("this bench has no changer")
        return self._changer

    @property
    def bill(self) -> SimBill:
        """Return the bill validator. Raises ConfigError when the bench has none."""
        if self._bill is None:
            raise ConfigError("this bench has no bill validator")
        return self._bill

    @property
    def reader(self) -> SimReader:
        """Return the first card reader. Raises ConfigError when the bench has none."""
        if not self.readers:
            raise ConfigError("this bench has no card reader")
        return self.readers[0]

    @property
    def peripherals(self) -> tuple[Peripheral, ...]:
        """Return what there is, by its place on the bus."""
        found: list[Peripheral] = [*self.readers]
        if self._bill is not None:
            found.insert(0, self._bill)
        if self._changer is not None:
            found.insert(0, self._changer)
        return tuple(found)

    @overload
    def port(self, link: Literal["native"]) -> MemoryNinthBitPort: ...
    @overload
    def port(self, link: Literal["adapter"]) -> MemoryPort: ...
    def port(self, link: LinkKind) -> MemoryPort:
        """Open the host's end of a wire; the one that was open before hears nothing any more."""
        if link == "native":
            return MemoryNinthBitPort(self.native)
        return MemoryPort(self.adapter)

    def power_off(self) -> None:
        """Cut the supply of every peripheral."""
        for device in self.peripherals:
            device.power_off()

    def power_on(self) -> None:
        """Give the supply back."""
        for device in self.peripherals:
            device.power_on()

    def break_bus(self) -> None:
        """Reset every peripheral by the line."""
        self.bus.break_line()

    def to_state(self) -> dict[str, Any]:
        """Return the world as JSON values: truth, and what outlives a loss of power."""
        return {
            "truth": self.truth.to_state(),
            "peripherals": {device.name: device.to_state() for device in self.peripherals},
        }

    def from_state(self, state: Mapping[str, Any]) -> None:
        """Become what `to_state` returned, as if power had been away meanwhile."""
        self.truth.from_state(state["truth"])
        for device in self.peripherals:
            if device.name in state["peripherals"]:
                device.from_state(state["peripherals"][device.name])
