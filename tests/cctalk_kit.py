"""What the tests of the ccTalk line share: devices, a wire, and drivers that die and come back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from controller.faults import LinkError
from controller.ports import (
    BillInfo,
    BillsReport,
    ChangerInfo,
    CoinsReport,
    DeviceName,
    DeviceReady,
    Greeting,
    Known,
)
from drivers.cctalk.acceptor import AcceptorPlan
from drivers.cctalk.assembly import CcTalkParts, CcTalkPlan, build_cctalk
from drivers.cctalk.bill_validator import CcTalkBillValidator, ValidatorPlan
from drivers.cctalk.changer import CcTalkChanger
from drivers.cctalk.hopper import HopperPlan
from simulator.cctalk_wire import CcTalkWire
from simulator.line import LineFaults
from simulator.peripherals.base import Timeline
from simulator.peripherals.cctalk_base import CcTalkDevice
from simulator.peripherals.cctalk_bill import SimCcTalkBill, ValidatorSettings
from simulator.peripherals.cctalk_coin import AcceptorSettings, SimCoinAcceptor
from simulator.peripherals.cctalk_hopper import HopperSettings, SimHopper
from simulator.ports import MemoryPort
from simulator.truth import TRAY, Truth, tube
from tests.mdb_kit import FakeSink, now, until, virtual

__all__ = ["Rig", "now", "rig", "until", "virtual"]


@dataclass(slots=True)
class Rig:
    """A line of devices, and a host."""

    truth: Truth
    wire: CcTalkWire
    plan: CcTalkPlan
    acceptor: SimCoinAcceptor
    hoppers: list[SimHopper]
    validator: SimCcTalkBill
    sink: FakeSink = field(default_factory=FakeSink)
    parts: CcTalkParts | None = None
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    ports: list[MemoryPort] = field(default_factory=list)
    plugged: bool = True
    tubes: tuple[int, ...] = ()  # what the books believe

    @property
    def devices(self) -> list[CcTalkDevice]:
        """Everything on the line."""
        return [self.acceptor, *self.hoppers, self.validator]

    @property
    def changer(self) -> CcTalkChanger:
        """The changer's driver."""
        assert self.parts is not None
        assert self.parts.changer is not None
        return self.parts.changer

    @property
    def bill(self) -> CcTalkBillValidator:
        """The validator's driver."""
        assert self.parts is not None
        assert self.parts.bill is not None
        return self.parts.bill

    def build(self) -> None:
        """Make bus and drivers, as vendd does at its start; nothing runs yet."""
        self.parts = build_cctalk(self.plan, open_port=self._open, sink=self.sink, currency="EUR")

    def _open(self) -> MemoryPort:
        if not self.plugged:
            raise LinkError("/dev/ttyUSB0 does not exist")
        port = MemoryPort(self.wire)
        self.ports.append(port)
        return port

    def known(self, device: DeviceName) -> Known:
        """What a journal would know of a device."""
        infos = [event.info for event in self.sink.told(DeviceReady) if event.device is device]
        answers = [
            report.answer
            for report in self.sink.durable
            if report.device is device and isinstance(report, CoinsReport | BillsReport)
        ]
        info = infos[-1] if infos else None
        assert info is None or isinstance(info, ChangerInfo | BillInfo)
        return Known(info, answers[-1] if answers else b"", self.tubes)

    async def greet(self) -> dict[str, Greeting]:
        """Run the bus and greet every device with what the journal knows."""
        if self.parts is None:
            self.build()
        assert self.parts is not None
        self.tasks.append(asyncio.create_task(self.parts.run()))
        found = {}
        for device in (self.parts.changer, self.parts.bill):
            if device is not None:
                found[device.name.value] = await device.greet(self.known(device.name))
        return found

    async def up(self) -> Rig:
        """Greet, start, and wait until every device is ready."""
        ready = len(self.sink.told(DeviceReady))
        await self.greet()
        assert self.parts is not None
        wanted = [device for device in (self.parts.changer, self.parts.bill) if device]
        self.tasks += [asyncio.create_task(device.start()) for device in wanted]
        await until(
            lambda: len(self.sink.told(DeviceReady)) >= ready + len(wanted), 60, "all ready"
        )
        return self

    async def die(self) -> None:
        """End as if killed: nothing more is sent, nothing more is heard."""
        for port in self.ports:
            port.close()
        self.ports.clear()
        tasks, self.tasks = self.tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.parts = None

    def cut_power(self) -> None:
        """Take the devices' power away."""
        for device in self.devices:
            device.power_off()

    def restore_power(self) -> None:
        """Give it back."""
        for device in self.devices:
            device.power_on()

    async def insert(self, *values: int) -> None:
        """Insert coins one after the other, as fast as fingers do."""
        for value in values:
            self.acceptor.insert_coin(value)
            await asyncio.sleep(0.4)

    @property
    def suspects(self) -> int:
        """Events that were reported as lost."""
        return sum(r.suspect for r in self.sink.reports if isinstance(r, CoinsReport))

    @property
    def tray(self) -> int:
        """What came out, minor units."""
        return self.truth.value(TRAY)

    def unplug(self) -> None:
        """Pull the cable."""
        self.plugged = False
        for port in self.ports:
            port.unplug()


def rig(
    *,
    hoppers: tuple[HopperSettings, ...] = (HopperSettings(100), HopperSettings(20)),
    acceptor: AcceptorSettings | None = None,
    with_acceptor: bool = True,
    with_bill: bool = False,
    validator: ValidatorSettings | None = None,
    echo: bool = True,
    paths: bool = False,
    delay_s: float = 0.0005,
) -> Rig:
    """A rig on the running loop."""
    loop = asyncio.get_running_loop()
    truth, timeline = Truth(loop.time), Timeline(loop)
    sims = [
        SimHopper(timeline, truth, settings, address=3 + index, coin_type=15 - index)
        for index, settings in enumerate(hoppers)
    ]
    coin = SimCoinAcceptor(
        timeline,
        truth,
        acceptor,
        paths={index + 1: tube(15 - index) for index in range(len(hoppers))},
    )
    bill = SimCcTalkBill(timeline, truth, validator)
    plan = CcTalkPlan(
        acceptor=AcceptorPlan() if with_acceptor else None,
        hoppers=tuple(
            HopperPlan(
                3 + index,
                settings.value,
                content=settings.coins,
                path=index + 1 if paths else None,
            )
            for index, settings in enumerate(hoppers)
        ),
        bill=ValidatorPlan() if with_bill else None,
    )
    wire = CcTalkWire(loop, [coin, *sims, bill], LineFaults(), echo=echo)
    return Rig(truth, wire, plan, coin, sims, bill, FakeSink(delay_s))


ALL = frozenset(range(16))


async def taking(it: Rig) -> Rig:
    """Up, and every coin accepted."""
    await it.up()
    it.changer.accept(ALL)
    await until(lambda: it.acceptor.accepted, 5, "mask applied")
    return it
