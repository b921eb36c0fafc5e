"""What the tests of links, bus and MDB drivers share: virtual time, a sink that can be slow, a rig
of simulated peripherals behind either link, and ports and links that play a script."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from controller.faults import LinkError
from controller.ports import (
    BillsReport,
    CoinsReport,
    DeviceEvent,
    DeviceName,
    DeviceReady,
    FaultCleared,
    FaultRaised,
    Greeting,
    Known,
    LinkCapabilities,
    MoneyReport,
)
from drivers.links.adapter_text import AdapterTextLink
from drivers.links.mdb_link import ACKED, Answer, LinkCounters, MdbLink
from drivers.links.ninth_bit import NinthBitLink
from drivers.links.parmrk import encode_parmrk
from drivers.mdb.assembly import MdbParts, build_mdb
from drivers.mdb.bill_validator import MdbBillValidator
from drivers.mdb.blocks import BYTE_TIME_S, build_block
from drivers.mdb.cashless import MdbCardReader
from drivers.mdb.cashless_expect import ReaderSettings
from drivers.mdb.changer import MdbChanger
from simulator.bench import BenchSettings, LinkKind, MdbBench
from simulator.clock import VirtualClock, run_virtual
from simulator.ports import MemoryPort

T = TypeVar("T")
E = TypeVar("E")

ALL = frozenset(DeviceName) - {DeviceName.CASHLESS2}


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in virtual time."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        run_virtual(test(*args, **kwargs))

    return run


def now() -> float:
    """The loop's seconds."""
    return asyncio.get_running_loop().time()


async def until(condition: Callable[[], object], seconds: float = 60.0, what: str = "") -> None:
    """Wait in small steps until something holds; a bounded wait fails by name."""
    end = now() + seconds
    while not condition():
        assert now() < end, f"did not happen in {seconds} s: {what or condition}"
        await asyncio.sleep(0.005)


async def at_least(count: int, found: Callable[[], list[Any]], seconds: float = 40.0) -> None:
    """Wait until a list has grown to so many."""
    await until(lambda: len(found()) >= count, seconds, f"{count} of them")


class FakeSink:
    """A `DeviceSink` that keeps what it is told; records become durable after `delay_s`."""

    def __init__(self, delay_s: float = 0.0005) -> None:
        self.delay_s = delay_s
        self.failure: Exception | None = None
        self.stuck = False  # nothing becomes durable
        self.reports: list[MoneyReport] = []
        self.durable: list[MoneyReport] = []
        self.events: list[DeviceEvent] = []
        self.times: list[float] = []
        self._writes: list[tuple[MoneyReport, asyncio.Future[None]]] = []
        self.after_commit: Callable[[], None] = lambda: None
        """Called when a report has become durable, before anybody hears of it."""

    def money(self, report: MoneyReport) -> asyncio.Future[None]:
        """Take a report."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self.reports.append(report)
        self.times.append(loop.time())
        self._writes.append((report, future))
        loop.call_later(self.delay_s, self._commit, report, future)
        return future

    def write_all(self) -> None:
        """Write what a stuck disk has held up."""
        self.stuck = False
        for report, future in self._writes:
            self._commit(report, future)

    def _commit(self, report: MoneyReport, future: asyncio.Future[None]) -> None:
        if future.done() or self.stuck:
            return
        if self.failure is not None:
            future.set_exception(self.failure)
            return
        self.durable.append(report)
        self.after_commit()
        future.set_result(None)

    def notify(self, event: DeviceEvent) -> None:
        """Take anything else."""
        self.events.append(event)

    def told(self, kind: type[E]) -> list[E]:
        """The events of one type, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def coins(self) -> list[int]:
        """Values of all coins that gave credit."""
        return [
            coin.value
            for report in self.reports
            if isinstance(report, CoinsReport)
            for coin in report.deposited
            if coin.route != "reject"
        ]

    @property
    def bills(self) -> list[tuple[str, int]]:
        """All bill events as (kind, value)."""
        return [
            (event.kind.value, event.value)
            for report in self.reports
            if isinstance(report, BillsReport)
            for event in report.events
        ]

    @property
    def faults(self) -> dict[tuple[str, str], str]:
        """Faults that are raised and not cleared, with their detail."""
        found: dict[tuple[str, str], str] = {}
        for event in self.events:
            if isinstance(event, FaultRaised):
                found[event.part, event.code.value] = event.detail
            elif isinstance(event, FaultCleared):
                found.pop((event.part, event.code.value), None)
        return found


@dataclass(frozen=True, slots=True)
class Heard:
    """One thing on the host's end of a wire."""

    at: float
    ours: bool
    data: bytes
    control: bool = False  # a lone ACK, NAK or RET of ours


class Tap:
    """Listens to a port: what the host sends and reads, and when."""

    def __init__(self, port: MemoryPort) -> None:
        self.log: list[Heard] = []
        self._wrap(port)

    def _wrap(self, port: Any) -> None:
        write, receive = port.write, port._receive
        block: Callable[[bytes], None] | None = getattr(port, "write_block", None)

        def tapped_write(data: bytes) -> None:
            self.log.append(Heard(now(), True, data, control=block is not None))
            write(data)

        def tapped_block(data: bytes) -> None:
            assert block is not None
            self.log.append(Heard(now(), True, data))
            block(data)

        def tapped_receive(data: bytes) -> None:
            self.log.append(Heard(now(), False, data))
            receive(data)

        port.write, port._receive = tapped_write, tapped_receive
        if block is not None:
            port.write_block = tapped_block

    def times(self, first: int) -> list[float]:
        """When blocks that begin with this byte were sent."""
        return [
            heard.at
            for heard in self.log
            if heard.ours and not heard.control and heard.data[0] == first
        ]


@dataclass(slots=True)
class Rig:
    """A bench of peripherals and a host of drivers that may die and start again."""

    bench: MdbBench
    kind: LinkKind
    sink: FakeSink = field(default_factory=FakeSink)
    devices: frozenset[DeviceName] = ALL
    reader_settings: ReaderSettings | None = None
    parts: MdbParts | None = None
    link: MdbLink | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    ports: list[MemoryPort] = field(default_factory=list)
    plugged: bool = True
    high_security: frozenset[int] | None = None
    taps: list[Tap] = field(default_factory=list)

    def build(self) -> MdbParts:
        """Make link, bus and drivers, as vendd does at its start; nothing runs yet."""
        loop = asyncio.get_running_loop()
        self.link = (
            NinthBitLink(lambda: self._open("native"))  # type: ignore[arg-type,return-value] # overload
            if self.kind == "native"
            else AdapterTextLink(lambda: self._open("adapter"))
        )
        self.parts = build_mdb(
            link=self.link,
            sink=self.sink,
            clock=VirtualClock(loop),
            currency="EUR",
            devices=self.devices,
            readers=dict.fromkeys(self.devices, self.reader_settings)
            if self.reader_settings is not None
            else None,
            high_security=self.high_security,
        )
        return self.parts

    def _open(self, kind: LinkKind) -> MemoryPort:
        if not self.plugged:
            raise LinkError("/dev/ttyACM0 does not exist")
        port = self.bench.port("native") if kind == "native" else self.bench.port("adapter")
        self.ports.append(port)
        self.taps.append(Tap(port))
        return port

    async def greet(self, **known: Known) -> dict[str, Greeting]:
        """Run the bus and greet every device."""
        parts = self.parts or self.build()
        self.tasks.append(asyncio.create_task(parts.run()))
        greetings = await asyncio.gather(
            *(device.greet(known.get(device.name.value, Known())) for device in parts.devices)
        )
        return {d.name.value: g for d, g in zip(parts.devices, greetings, strict=True)}

    def start(self) -> None:
        """Start every device."""
        assert self.parts is not None
        self.tasks += [asyncio.create_task(device.start()) for device in self.parts.devices]

    async def up(self, seconds: float = 60.0) -> Rig:
        """Greet, start, and wait until every device is ready."""
        await self.greet()
        self.start()
        await until(lambda: all(d.ready for d in self.all.devices), seconds, "all ready")
        return self

    async def die(self) -> None:
        """End as if killed: nothing more is sent, nothing more is heard."""
        for port in self.ports:
            port.close()
        tasks, self.tasks = self.tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.parts = self.link = None
        self.plugged = True

    async def offer_bill(self, value: int) -> None:
        """Hold a bill to the validator until it takes it, as people do."""
        await until(lambda: self.bench.bill.insert_bill(value), 20, "bill taken")

    def sink_info(self, kind: type[T]) -> T | None:
        """What a journal would know of a device: the info of its last DeviceReady."""
        found = [event.info for event in self.sink.told(DeviceReady)]
        fitting = [info for info in found if isinstance(info, kind)]
        return fitting[-1] if fitting else None

    def cut(self) -> None:
        """Stop hearing and being heard at this instant, as SIGKILL does; `die` cleans up."""
        self.plugged = False
        for port in self.ports:
            port.close()

    @property
    def tap(self) -> Tap:
        """What went over the port opened last."""
        return self.taps[-1]

    def unplug(self) -> None:
        """Pull the cable; opening fails until it is plugged again."""
        self.plugged = False
        for port in self.ports:
            port.unplug()

    @property
    def all(self) -> MdbParts:
        """What `build` made."""
        assert self.parts is not None
        return self.parts

    @property
    def changer(self) -> MdbChanger:
        """The changer's driver."""
        assert self.all.changer is not None
        return self.all.changer

    @property
    def bill(self) -> MdbBillValidator:
        """The validator's driver."""
        assert self.all.bill is not None
        return self.all.bill

    @property
    def reader(self) -> MdbCardReader:
        """The first reader's driver."""
        return self.all.readers[DeviceName.CASHLESS1]


def rig(
    kind: LinkKind = "native",
    settings: BenchSettings | None = None,
    *,
    devices: frozenset[DeviceName] = ALL,
    delay_s: float = 0.0005,
    reader: ReaderSettings | None = None,
) -> Rig:
    """A rig on the running loop."""
    bench = MdbBench(asyncio.get_running_loop(), settings)
    return Rig(bench, kind, FakeSink(delay_s), devices, reader)


# ---------------------------------------------------------------------- scripted far sides


class ScriptedPort:
    """A `NinthBitPort` whose far side is a function: block in, PARMRK chunks with delays out."""

    def __init__(self) -> None:
        self.blocks: list[tuple[float, bytes]] = []
        self.controls: list[tuple[float, int]] = []
        self.breaks: list[float] = []
        self.answers: list[list[tuple[float, bytes]]] = []
        self.on_ret: list[tuple[float, bytes]] = []
        self.closed = False
        self.broken = False
        self._on_bytes: Callable[[bytes], None] | None = None
        self._on_lost: Callable[[Exception], None] | None = None

    def then(self, *chunks: tuple[float, bytes]) -> None:
        """Answer the next block by these chunks, each so long after the block's end."""
        self.answers.append(list(chunks))

    def data(self, payload: bytes, delay_s: float = 0.003) -> None:
        """Answer the next block by a data block in one piece."""
        self.then((delay_s, encode_parmrk(build_block(payload))))

    def start(
        self, on_bytes: Callable[[bytes], None], on_lost: Callable[[Exception], None]
    ) -> None:
        """Begin."""
        self._on_bytes, self._on_lost = on_bytes, on_lost

    def write_block(self, block: bytes) -> None:
        """Take a block."""
        self._check()
        self.blocks.append((now(), block))
        chunks = self.answers.pop(0) if self.answers else []
        self._play(chunks, len(block) * BYTE_TIME_S)

    def write(self, data: bytes) -> None:
        """Take control bytes."""
        self._check()
        for byte in data:
            self.controls.append((now(), byte))
            if byte == 0xAA:
                self._play(self.on_ret, BYTE_TIME_S)

    async def send_break(self, seconds: float) -> None:
        """Take a break."""
        self.breaks.append(seconds)
        await asyncio.sleep(seconds)

    def close(self) -> None:
        """Close."""
        self.closed = True

    def say(self, chunk: bytes) -> None:
        """Deliver bytes nobody asked for."""
        if self._on_bytes is not None and not self.closed:
            self._on_bytes(chunk)

    def lose(self) -> None:
        """Die."""
        assert self._on_lost is not None
        self._on_lost(LinkError("unplugged"))

    def _play(self, chunks: list[tuple[float, bytes]], after_s: float) -> None:
        loop = asyncio.get_running_loop()
        for delay, chunk in chunks:
            loop.call_later(after_s + delay, self.say, chunk)

    def _check(self) -> None:
        if self.closed or self.broken:
            raise LinkError("the port is gone")


class ScriptedLink:
    """An `MdbLink` whose answers are a function of the payload; it notes what was sent and when."""

    def __init__(
        self,
        answer: Callable[[bytes], Answer | None] = lambda _: None,
        *,
        withholds: bool = True,
        seconds: float = 0.005,
    ) -> None:
        self.answer = answer
        self.capabilities = LinkCapabilities(withholds_ack=withholds)
        self.counters = LinkCounters()
        self.seconds = seconds
        self.sent: list[tuple[float, bytes]] = []
        self.acks: list[float] = []
        self.answered_at = 0.0
        self.down = 0  # openings that fail
        self.opened = 0
        self.broken = False

    async def open(self) -> None:
        """Open."""
        if self.down > 0:
            self.down -= 1
            raise LinkError("no such device")
        self.broken = False
        self.opened += 1

    async def exchange(self, payload: bytes) -> Answer:
        """Play."""
        if self.broken:
            raise LinkError("the port is gone")
        self.sent.append((now(), payload))
        answer = self.answer(payload) or ACKED
        await asyncio.sleep(self.seconds)
        self.answered_at = now()
        return answer

    def ack(self) -> None:
        """Note."""
        self.acks.append(now())

    async def bus_reset(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""

    def times(self, payload: bytes) -> list[float]:
        """When this was sent."""
        return [at for at, sent in self.sent if sent == payload]
