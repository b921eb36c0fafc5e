"""A whole machine's surroundings, put together: money devices, cabinet, panel, pins, the truth.

One ``World`` serves both ways of running. In one process under virtual time a controller gets
``port()``, ``pins()``, ``i2c`` and ``panel.keypad``; in a process of its own (``machine.py``) the
same objects stand behind a pty, sockets and a FIFO. Everything happens on timers of the loop that
is given; nothing here sleeps, and nothing here knows what a controller believes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Final, Literal, TypeVar

from config.machine import MachineSettings
from controller.clock import Clock
from controller.money import exponent
from simulator import world_state
from simulator.adapter_wire import AdapterWire
from simulator.bus import Bus
from simulator.cabinet import Cabinet, UnknownPartError
from simulator.cctalk_line import CcTalkLine
from simulator.faults import FaultRegistry
from simulator.i2c_server import I2cBus
from simulator.line import LineFaults
from simulator.native_wire import NativeWire, Pacing
from simulator.panel import Frame, Panel
from simulator.peripherals.base import Peripheral, Timeline
from simulator.peripherals.bill import SimBill
from simulator.peripherals.cctalk_base import CcTalkDevice
from simulator.peripherals.cctalk_hopper import SimHopper
from simulator.peripherals.changer import SimChanger
from simulator.peripherals.pulse_coin import SimPulseAcceptor
from simulator.peripherals.reader import SimReader
from simulator.pins.board import Edge, OnRelease, PinBoard
from simulator.pins.factory import SimulatorFactory
from simulator.plan import WorldPlan, cash_of, plan_for
from simulator.ports import MemoryNinthBitPort, MemoryPort
from simulator.thermal import Cabin
from simulator.truth import SLOT, Fact, Truth, tube

# A controller has this long, on the wall, to stop a motor that has come home.
BRAKE_S: Final = 0.05

# Where a stream has lost the ninth bit, a pause ends a block that is not whole; a busy host may
# pause within a block, though never for as long as it waits before the next one.
BLOCK_GAP_S: Final = 0.005

Link = Literal["adapter", "native"]
EventSink = Callable[[str, dict[str, Any]], None]
Device = TypeVar("Device", bound=Peripheral)


class WatchedTruth(Truth):
    """The truth, and somebody who is told of each fact."""

    on_fact: Callable[[Fact], None] | None = None

    def note(self, what: str, detail: str, customer: str | None = None) -> None:
        """Write a line into the log and tell of it."""
        super().note(what, detail, customer)
        if self.on_fact is not None:
            self.on_fact(self.log[-1])


class World:
    """One machine's surroundings.

    Args:
        loop: Gives timers and time; virtual or real.
        clock: Its wall time labels the kernel's key events; its monotonic time is the loop's.
        settings: The machine's own file.
        plan: What the money devices are made of; by default what suits the settings.
        link: How the bus is reached; by default what the settings say.
        speed: How much faster than life everything physical is. Bus times, fingers and a
            controller's time to brake stay what they are.
        on_release: What pins do when the process that drives them ends.
        pacing: How finely the native wire times the bytes of an answer.
        seed: Where the chances of line faults come from.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        settings: MachineSettings,
        *,
        plan: WorldPlan | None = None,
        link: Link | None = None,
        speed: float = 1.0,
        on_release: OnRelease = OnRelease.KEEP,
        pacing: Pacing = Pacing.BYTE,
        seed: int = 0,
    ) -> None:
        self.loop = loop
        self.clock = clock
        self.settings = settings
        self.plan = plan or plan_for(settings)
        self.link: Link = link or settings.mdb.link
        self.timeline = Timeline(loop, speed)
        self.truth = WatchedTruth(loop.time)
        self.board = PinBoard(loop.time, on_release=on_release)
        self.i2c = I2cBus()
        self.powered = True
        self.unplugged: set[str] = set()
        self.on_line: Callable[[bool], None] | None = None  # told when the bus's cable is pulled
        self._sinks: list[EventSink] = []
        self.cabinet = Cabinet(self.timeline, self.board, settings, self.truth, brake_s=BRAKE_S)
        self.panel = Panel(loop, clock, self.board, self.i2c, settings)
        self.cabin = self._make_cabin()
        self.devices: dict[str, Peripheral] = {}
        self.changer = self._make_changer()
        self.bill = self._make_bill()
        self.readers = self._make_readers()
        self.cctalk = self._make_cctalk(seed + 2)
        self.pulse = (
            None
            if settings.pulse is None
            else SimPulseAcceptor(self.timeline, self.truth, self.board, settings.pulse)
        )
        self.cards = {card.name: replace(card) for card in self.plan.cards}
        self.line = LineFaults(seed)
        self.bus_line = LineFaults(seed + 1)
        self.bus = Bus(self.devices.values())
        self.wire = self._make_wire(pacing)
        self._ports: list[MemoryPort] = []
        for plan_column in settings.columns:
            name = plan_column.selection
            self.cabinet.load(name, self.plan.stock.get(name))
        self.faults = self._register_faults()
        self.truth.on_fact = self._fact
        self.board.on_edge = self._edge
        self.panel.on_frame = self._frame

    # ------------------------------------------------------------- what a controller connects to

    def port(self) -> MemoryPort:
        """Return a new end of the bus's cable, as a tty that is opened anew."""
        self._ports = [port for port in self._ports if port.open]
        wire = self.wire
        port = MemoryNinthBitPort(wire) if isinstance(wire, NativeWire) else MemoryPort(wire)
        self._ports.append(port)
        if "line" in self.unplugged:
            port.unplug()
        return port

    def pins(self) -> SimulatorFactory:
        """Return a new pin factory, as a process opens the GPIO chip; without threads."""
        return SimulatorFactory(board=self.board)

    # -------------------------------------------------------------------------- what customers do

    def insert_coin(self, value: int, *, name: str = "") -> None:
        """Put a coin into the slot. Raises UnknownPartError without a changer."""
        if self.cctalk is not None and self.cctalk.acceptor is not None:
            self.cctalk.acceptor.insert_coin(value, name=name)
            return
        if self.pulse is not None:
            self.pulse.insert_coin(value, name=name)
            return
        self._need(self.changer, "changer").insert_coin(value, name=name)

    def insert_bill(self, value: int) -> bool:
        """Offer a bill; False when it is not even pulled in. Raises UnknownPartError."""
        if self.cctalk is not None and self.cctalk.bill is not None:
            return self.cctalk.bill.insert_bill(value)
        return self._need(self.bill, "bill").insert_bill(value)

    def present_card(self, card: str = "card", reader: str | None = None) -> bool:
        """Hold a card to a reader, by default the first one.

        Returns:
            False when the reader takes no notice: it is disabled, dead or busy.

        Raises:
            UnknownPartError: There is no such card or reader.
        """
        found = self.cards.get(card)
        if found is None:
            raise UnknownPartError(f"no card {card!r}; there are: {', '.join(self.cards)}")
        return self.reader(reader).present_card(found)

    def remove_card(self, reader: str | None = None) -> None:
        """Pull the card, or press the reader's cancel key. Raises UnknownPartError."""
        self.reader(reader).cancel_session()

    def reader(self, name: str | None = None) -> SimReader:
        """Return a reader, by default the first one. Raises UnknownPartError."""
        if not self.readers:
            raise UnknownPartError("this machine has no card reader")
        found = self.readers.get(name or next(iter(self.readers)))
        if found is None:
            raise UnknownPartError(f"no reader {name!r}; there are: {', '.join(self.readers)}")
        return found

    def press_keys(self, keys: str) -> None:
        """Press keys one after the other; returns at once. Raises UnknownKeyError."""
        self.panel.press(keys)

    def pull_lever(self) -> None:
        """Press the coin return lever. Raises UnknownPartError without a changer."""
        if self.cctalk is not None and self.cctalk.acceptor is not None:
            self.cctalk.acceptor.press_lever()
            return
        if self.pulse is not None:
            self.pulse.press_lever()
            return
        self._need(self.changer, "changer").press_lever()

    def take_product(self) -> tuple[str, ...]:
        """Take what lies in the bin; returns the products' names."""
        return self.cabinet.take_products()

    def take_money(self) -> int:
        """Take what lies in the coin and bill tray; returns its value."""
        return self.truth.take_tray()

    # ------------------------------------------------------------------------ what technicians do

    def set_temperature(self, celsius: float | None, ambient_c: float | None = None) -> float:
        """Make the air in the cabinet, or the room, so warm; return how warm the cabinet is.

        Raises:
            UnknownPartError: This machine has no climate.
        """
        if self.cabin is None:
            raise UnknownPartError("this machine has no climate section, and so no thermometer")
        if ambient_c is not None:
            self.cabin.set_ambient(ambient_c)
        if celsius is not None:
            self.cabin.put(celsius)
        return self.cabin.celsius

    def fill_tube(self, value: int, count: int | None = None) -> int:
        """Put coins of a value into their tube by hand, as many as fit by default; or a hopper's.

        Returns:
            How many are in the tube.
        """
        hopper = self._hopper(value)
        if hopper is not None:
            hopper.fill(count or 0)
            return self.truth.count(hopper.place)
        changer, kind, capacity = self._tube(value)
        place = tube(kind)
        if count is None:
            count = capacity - self.truth.count(place)
        if count > 0:
            changer.fill_tube(kind, count)
        return self.truth.count(place)

    def empty_tube(self, value: int, leave: int = 0) -> int:
        """Take coins of a value out of their tube; returns how many were taken."""
        hopper = self._hopper(value)
        if hopper is not None:
            count = max(0, self.truth.count(hopper.place) - leave)
            hopper.fill(-count)
            return count
        changer, kind, _ = self._tube(value)
        count = self.truth.count(tube(kind)) - leave
        if count > 0:
            changer.empty_tube(kind, count)
        return max(count, 0)

    def fill_recycler(self, value: int, count: int = 1) -> None:
        """Put bills of a value into the recycler by its own slot.

        Raises:
            UnknownPartError: There is no recycler, or none for such bills.
        """
        bill = self._need(self.bill, "bill validator")
        recycled = bill.settings.recycles
        kinds = {bill.settings.bills[kind].value: kind for kind in recycled}
        if value not in kinds:
            known = ", ".join(map(str, kinds)) or "none"
            raise UnknownPartError(f"no bills of {value} are recycled; there are: {known}")
        bill.fill_recycler(kinds[value], count)

    def press_switch(self, value: int, count: int = 1) -> int:
        """Let coins of a value out by the changer's own switch; returns how many came."""
        changer, kind, _ = self._tube(value)
        return changer.press_switch(kind, count)

    def tubes(self) -> dict[int, int]:
        """Return how many coins are in the tubes, by value."""
        if self.changer is None:
            return {}
        return {
            coin.value: self.truth.count(tube(kind))
            for kind, coin in enumerate(self.changer.settings.coin_table())
            if coin.capacity
        }

    def unplug(self, part: str) -> None:
        """Pull a part's cable: a device, ``display`` or ``line`` (the bus at the controller).

        Raises:
            UnknownPartError: There is no such cable.
        """
        self._cable(part, plugged=False)

    def plug(self, part: str) -> None:
        """Put a part's cable back. Raises UnknownPartError."""
        self._cable(part, plugged=True)

    def cut_power(self) -> None:
        """Take the power of the whole machine away, the controller's computer included."""
        if not self.powered:
            return
        self.powered = False
        self.truth.note("power", "cut")
        self.board.power_cut()
        self.cabinet.power(False)
        if self.cabin is not None:
            self.cabin.power(False)
        self.panel.power(False)
        for name, device in self.all_devices().items():
            if name not in self.unplugged:
                device.power_off()
        if isinstance(self.wire, AdapterWire):
            self.wire.restart()

    def restore_power(self) -> None:
        """Give the power back."""
        if self.powered:
            return
        self.powered = True
        self.truth.note("power", "restored")
        self.cabinet.power(True)
        if self.cabin is not None:
            self.cabin.power(True)
        if "display" not in self.unplugged:
            self.panel.power(True)
        for name, device in self.all_devices().items():
            if name not in self.unplugged:
                device.power_on()

    # ------------------------------------------------------------------------------- what is seen

    @property
    def cables(self) -> tuple[str, ...]:
        """Return what can be unplugged."""
        return (*self.all_devices(), "display", "line")

    @property
    def still(self) -> bool:
        """Tell whether nothing moves: no motor, coin, bill, product or finger."""
        changer, bill = self.changer, self.bill
        return (
            not self.cabinet.busy()
            and not self.panel.pressing
            and (changer is None or not (changer.paying or self.truth.count(SLOT)))
            and (bill is None or not bill.busy)
            and (self.cctalk is None or self.cctalk.still)
            and (self.pulse is None or self.pulse.quiet)
        )

    @property
    def quiet(self) -> bool:
        """Tell whether nothing moves and nobody waits to be heard.

        Never so while no controller listens to devices that have something to tell, or while a
        reader waits for the outcome of a vend.
        """
        return (
            self.still
            and self.panel.settled
            and not any(reader.approved for reader in self.readers.values())
            and all(device.told_all for device in self.devices.values())
            and (self.cctalk is None or self.cctalk.told_all)
        )

    def all_devices(self) -> dict[str, Peripheral | CcTalkDevice | SimPulseAcceptor]:
        """Return everything with a plug and a life of its own, by name."""
        others: list[CcTalkDevice | SimPulseAcceptor] = []
        if self.cctalk is not None:
            others += self.cctalk.devices
        if self.pulse is not None:
            others.append(self.pulse)
        return {**self.devices, **{device.name: device for device in others}}

    def listen(self, sink: EventSink) -> Callable[[], None]:
        """Call ``sink`` with each fact, display frame and pin edge; returns what ends it."""
        self._sinks.append(sink)
        return lambda: self._sinks.remove(sink)

    # --------------------------------------------------------------------------------- its state

    def to_state(self) -> dict[str, Any]:
        """Return all that outlives a restart of the simulator, as JSON values."""
        return world_state.of(self)

    def from_state(self, state: Mapping[str, Any]) -> None:
        """Become what ``to_state`` returned; the money devices start as after power-up.

        What this machine does not have (any more) is left out.

        Raises:
            StateError: It is no state of such a world, or one of another version or currency.
        """
        world_state.restore(self, state)

    # ------------------------------------------------------------------------------------ inside

    def _make_cabin(self) -> Cabin | None:
        if self.settings.climate is None:
            return None
        cabin = Cabin(self.timeline, self.board, self.settings.climate, self.plan.thermal)
        self.cabinet.on_door = cabin.set_door
        return cabin

    def _make_changer(self) -> SimChanger | None:
        if self.plan.changer is None:
            return None
        changer = SimChanger(self.timeline, self.truth, self.plan.changer)
        self.devices[changer.name] = changer
        return changer

    def _make_bill(self) -> SimBill | None:
        if self.plan.bill is None:
            return None
        bill = SimBill(self.timeline, self.truth, self.plan.bill)
        self.devices[bill.name] = bill
        return bill

    def _make_readers(self) -> dict[str, SimReader]:
        readers = {
            name: SimReader(self.timeline, self.truth, plan, name=name)
            for name, plan in self.plan.readers.items()
        }
        self.devices.update(readers)
        return readers

    def _make_cctalk(self, seed: int) -> CcTalkLine | None:
        if self.settings.cctalk is None:
            return None
        currency = self.settings.machine.currency
        coins, bills = cash_of(currency)
        return CcTalkLine(
            self.loop,
            self.timeline,
            self.truth,
            self.settings,
            coins=coins,
            bills=bills,
            digits=exponent(currency),
            seed=seed,
        )

    def _make_wire(self, pacing: Pacing) -> NativeWire | AdapterWire:
        if self.link == "native":
            return NativeWire(
                self.loop, self.bus, self.line, pacing=pacing, block_gap_s=BLOCK_GAP_S
            )
        return AdapterWire(self.loop, self.bus, self.line, self.bus_line)

    def _register_faults(self) -> FaultRegistry:
        registry = FaultRegistry()
        for name, device in self.all_devices().items():
            changed = device.faults_changed if isinstance(device, SimPulseAcceptor) else _nothing
            registry.add(name, _getter(device, "faults"), changed)
        if self.cctalk is not None:
            registry.add("cctalk", _getter(self.cctalk, "line"))
        for name, spiral in self.cabinet.spirals.items():
            registry.add(name, _getter(spiral, "faults"), spiral.faults_changed)
        sensor = self.cabinet.sensor
        registry.add("sensor", _getter(sensor, "faults"), sensor.faults_changed)
        if self.cabin is not None:
            registry.add("climate", _getter(self.cabin, "faults"), self.cabin.faults_changed)
        registry.add("line", lambda: self.line)
        if self.link == "adapter":
            registry.add("bus", lambda: self.bus_line)
        return registry

    @staticmethod
    def _need(device: Device | None, name: str) -> Device:
        if device is None:
            raise UnknownPartError(f"this machine has no {name}")
        return device

    def _tube(self, value: int) -> tuple[SimChanger, int, int]:
        """Return the changer, a coin's type and its tube's capacity."""
        changer = self._need(self.changer, "changer")
        for kind, coin in enumerate(changer.settings.coin_table()):
            if coin.value == value and coin.capacity:
                return changer, kind, coin.capacity
        known = ", ".join(str(coin) for coin in self.tubes())
        raise UnknownPartError(f"no tube for coins of {value}; there are tubes for: {known}")

    def _hopper(self, value: int) -> SimHopper | None:
        hoppers = [] if self.cctalk is None else self.cctalk.hoppers
        return next((hopper for hopper in hoppers if hopper.settings.value == value), None)

    def _cable(self, part: str, *, plugged: bool) -> None:
        known = self.cables
        if part not in known:
            raise UnknownPartError(f"no cable {part!r}; there are: {', '.join(known)}")
        if plugged == (part not in self.unplugged):
            return
        self.truth.note("cable", f"{part} {'plugged in' if plugged else 'unplugged'}")
        if plugged:
            self.unplugged.discard(part)
        else:
            self.unplugged.add(part)
        if part == "line":
            self._plug_line(plugged)
        elif part == "display":
            if self.powered:
                self.panel.plug_display(plugged)
        elif self.powered:
            device = self.all_devices()[part]
            if plugged:
                device.power_on()
            else:
                device.power_off()

    def _plug_line(self, plugged: bool) -> None:
        if not plugged:
            for port in self._ports:
                port.unplug()
        if self.on_line is not None:
            self.on_line(plugged)

    def _tell(self, kind: str, data: dict[str, Any]) -> None:
        for sink in tuple(self._sinks):
            sink(kind, data)

    def _fact(self, fact: Fact) -> None:
        if self._sinks:
            self._tell("fact", asdict(fact))

    def _edge(self, edge: Edge) -> None:
        if self._sinks:
            self._tell("edge", edge._asdict())

    def _frame(self, frame: Frame) -> None:
        if self._sinks:
            self._tell("display", asdict(frame))


def _nothing() -> None:
    """Take no notice: this device looks at its faults when they matter."""


def _getter(owner: object, name: str) -> Callable[[], Any]:
    return lambda: getattr(owner, name)
