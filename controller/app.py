"""The composition root: the only file that names concrete classes.

``compose`` builds a machine from its configuration and from ``Parts``, which are what differs
between a Pi, the simulator beside it, and virtual time in one process.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from config.climate import Climate
from config.machine import MachineSettings
from config.models import CcTalk, Pulse
from controller.climate_plan import relay_pins
from controller.clock import Clock, SystemClock, system_entropy
from controller.faults import ConfigError
from controller.journal.beginning import BootInfo
from controller.journal.database import Storage
from controller.journal.envelope import Registry
from controller.journal.records import REGISTRY
from controller.journal.sqlite_aio import DirectoryStorage
from controller.journal.store import Journal
from controller.machine.desk import Desk
from controller.machine.runner import Inbox, Machine
from controller.money import exponent
from controller.ntp import synchronised
from controller.planning import SettingsPlanner, holding
from controller.ports import DeviceEvent, DeviceName, DeviceSink, Hands, Heartbeat, Spool
from controller.saga.claims import KEY_BYTES, mint
from controller.spool import FolderSpool
from controller.state.fold import StateFold
from controller.state.state import State
from drivers.dispenser.assembly import build_dispenser
from drivers.gpio.factory import open_factory
from drivers.gpio.lines import Lines
from drivers.gpio.on_time import OnTimeWatch, ThreadWatch
from drivers.gpio.safe import SafeOutputs
from drivers.links.mdb_link import MdbLink
from drivers.links.port import BytePort
from drivers.links.tapped import TappedLink, TappedPort
from drivers.mdb.assembly import MdbParts, adapter_link, build_mdb, native_link
from drivers.mdb.cashless_expect import ReaderSettings
from drivers.mdb.refusal import refuse_money
from drivers.mdb.slots import Foresight
from drivers.panel.assembly import (
    ClosableDisplay,
    Listener,
    build_buzzer,
    build_display,
    build_door,
    build_keypad,
)
from drivers.panel.i2c_bus import I2cBus

# Loaded by the functions that need them: a machine without such parts does without their drivers.
if TYPE_CHECKING:
    from controller.recorder.keeping import Keeper
    from drivers.cctalk.assembly import CcTalkParts, CcTalkPlan
    from drivers.cctalk.rests import Foresight as LineForesight
    from drivers.climate.relays import Relays
    from drivers.climate.thermometers import ReadFile, Thermometers
    from drivers.gpio.pulse_acceptor import PulseAcceptor, PulsePlan

BUILT: Final = datetime(2026, 11, 1, tzinfo=UTC)  # the floor of wall time before any is confirmed
_READERS_GLASS: Final = 16, 2  # columns and rows; a DISPLAY REQUEST has 32 characters at most
REFUSE_S: Final = 0.3  # the guard's patience is 0.5 s, and nobody beats at the end
RECORDINGS: Final = "recordings"  # a folder beside the journal
CLOUD: Final = "cloud"  # another one: what the link keeps
CLAIM_KEY_FILE: Final = "claim.key"
SOFTWARE: Final = f"vendd {version('vendd')}"


@dataclass(slots=True)
class Parts:
    """What differs by place."""

    clock: Clock
    storage: Storage
    entropy: Callable[[int], bytes]
    link: MdbLink
    pins: Any  # an open gpiozero factory; the library ships no types
    watch: OnTimeWatch
    system_boot: str
    inline_i2c: I2cBus | None = None  # a display bus in this process
    heartbeat: Heartbeat | None = None
    foresight: Foresight | None = None  # of a simulated bus
    keypad: Callable[[Callable[[DeviceEvent], None]], Listener] | None = None  # in this process
    at_exit: bool = False  # switch outputs off when the interpreter ends
    cctalk: Callable[[], BytePort] | None = None  # opens the line, where there is one
    cctalk_foresight: LineForesight | None = None  # of a simulated one
    time_known: Callable[[], bool] | None = None  # somebody keeps the wall clock right
    aside: bool = False  # there are threads, for what takes a while and no device waits for
    keeper: Keeper | None = None  # of recordings; None: a folder beside the journal
    read_file: ReadFile | None = None  # of a thermometer; None: the kernel's, in a thread
    spool: Spool | None = None  # None: the configuration's folder
    registry: Registry = field(default_factory=lambda: REGISTRY)  # of the journal's records


@dataclass(slots=True)
class Running:
    """A composed machine."""

    settings: MachineSettings
    journal: Journal[State]
    machine: Machine
    bus: MdbParts
    lines: Lines
    display: ClosableDisplay
    keypad: Listener
    door: Listener
    cctalk: CcTalkParts | None = None
    cctalk_port: Callable[[], BytePort] | None = None  # opens its line
    thermometers: Listener | None = None
    recordings: Keeper | None = None

    def listen(self) -> None:
        """Let keypad, door and thermometers tell what they see, on the running loop."""
        self.keypad.start()
        self.door.start()
        if self.thermometers is not None:
            self.thermometers.start()

    def deafen(self) -> None:
        """Let them tell no more."""
        self.keypad.stop()
        self.door.stop()
        if self.thermometers is not None:
            self.thermometers.stop()

    async def run(self) -> str:
        """Sell until asked to stop; returns why.

        Raises:
            JournalError: A record is not on disk. Outputs are off.
        """
        self.listen()
        loop = asyncio.get_running_loop()
        others = self.cctalk is not None or self.settings.pulse is not None
        owners = [self.bus.run()] if self.bus.devices or not others else []
        if self.cctalk is not None:
            owners.append(self.cctalk.run())
        buses = [loop.create_task(owner) for owner in owners]
        machine = loop.create_task(self.machine.run())
        try:
            await asyncio.wait({machine, *buses}, return_when=asyncio.FIRST_COMPLETED)
            if not machine.done():
                for bus in buses:
                    if bus.done():
                        await bus  # it never returns: raise what ended it
            reason = await machine
        finally:
            for task in (machine, *buses):
                task.cancel()
            await asyncio.gather(machine, *buses, return_exceptions=True)
        if self.bus.devices or self.cctalk is not None:
            await take_nothing(self.settings, self.bus.bus.link, self.cctalk_port)
        return reason

    async def close(self) -> None:
        """Outputs off, everything given back."""
        self.deafen()
        try:
            self.lines.close()
        finally:
            self.display.close()
            await self.journal.close()
            if self.recordings is not None:
                self.recordings.close()


def pulse_plan(pulse: Pulse) -> PulsePlan:
    """Return what the pulses of an acceptor mean."""
    from drivers.gpio.pulse_acceptor import PulsePlan  # noqa: PLC0415 - see the top
    from drivers.gpio.pulse_train import PulseShape  # noqa: PLC0415 - see the top

    return PulsePlan(
        dict(pulse.coins),
        PulseShape(
            least_s=pulse.pulse_min_ms / 1000,
            longest_s=pulse.pulse_max_ms / 1000,
            gap_s=pulse.gap_ms / 1000,
            bounce_s=pulse.bounce_ms / 1000,
        ),
    )


def build_pulse(lines: Lines, settings: MachineSettings, sink: DeviceSink) -> PulseAcceptor | None:
    """Make the pulse acceptor, where there is one. Raises ConfigError."""
    pulse = settings.pulse
    if pulse is None:
        return None
    from drivers.gpio.pulse_acceptor import PulseAcceptor  # noqa: PLC0415 - see the top

    enable, lever = pulse.enable, pulse.return_lever
    return PulseAcceptor(
        pulse_plan(pulse),
        sink,
        decimals=exponent(settings.machine.currency),
        pulses=lines.input(pulse.pin, "pulse.pin"),
        # It only lets coins pass: nothing moves, heats or locks for as long as it is on.
        enable=None if enable is None else lines.output(enable, "pulse.enable", max_on_s=None),
        lever=None if lever is None else lines.input(lever, "pulse.return_lever"),
    )


def _relays(lines: Lines, climate: Climate | None, inbox: Inbox) -> Relays | None:
    if climate is None:
        return None
    from drivers.climate.assembly import build_relays  # noqa: PLC0415 - see the top

    return build_relays(lines, relay_pins(climate), inbox.notify)


def _thermometers(
    climate: Climate | None, inbox: Inbox, read_file: ReadFile | None
) -> Thermometers | None:
    if climate is None:
        return None
    from drivers.climate.assembly import build_thermometers  # noqa: PLC0415 - see the top

    return build_thermometers(climate.thermometers, inbox.notify, read_file)


def cctalk_plan(cctalk: CcTalk) -> CcTalkPlan:
    """Return what stands on the ccTalk line."""
    from drivers.cctalk.acceptor import AcceptorPlan  # noqa: PLC0415 - see the top
    from drivers.cctalk.assembly import CcTalkPlan  # noqa: PLC0415 - see the top
    from drivers.cctalk.bill_validator import ValidatorPlan  # noqa: PLC0415 - see the top
    from drivers.cctalk.frames import Checksum  # noqa: PLC0415 - see the top
    from drivers.cctalk.hopper import HopperPlan  # noqa: PLC0415 - see the top
    from drivers.cctalk.hopper_codec import DispenseKind  # noqa: PLC0415 - see the top

    acceptor, bill = cctalk.acceptor, cctalk.bill
    return CcTalkPlan(
        acceptor=None
        if acceptor is None
        else AcceptorPlan(
            acceptor.address, Checksum(acceptor.checksum), main_unit=acceptor.unit == "main"
        ),
        hoppers=tuple(
            HopperPlan(
                hopper.address,
                hopper.value,
                content=hopper.content,
                capacity=hopper.capacity,
                path=hopper.path,
                kind=None if hopper.dispense == "auto" else DispenseKind(hopper.dispense),
                checksum=Checksum(hopper.checksum),
            )
            for hopper in cctalk.hoppers
        ),
        bill=None if bill is None else ValidatorPlan(bill.address, Checksum(bill.checksum)),
    )


def _cctalk_port(cctalk: CcTalk) -> Callable[[], BytePort]:
    from drivers.cctalk.assembly import cctalk_port  # noqa: PLC0415 - see the top

    return cctalk_port(str(cctalk.port))


def devices_of(settings: MachineSettings) -> frozenset[DeviceName]:
    """Return the peripherals that stand on the MDB."""
    mdb = settings.mdb
    enabled = {
        DeviceName.CHANGER: mdb.changer.enabled,
        DeviceName.BILL: mdb.bill.enabled,
        DeviceName.CASHLESS1: mdb.cashless1.enabled,
        DeviceName.CASHLESS2: mdb.cashless2.enabled,
    }
    return frozenset(name for name, on in enabled.items() if on)


async def take_nothing(
    settings: MachineSettings, link: MdbLink, cctalk: Callable[[], BytePort] | None = None
) -> bool:
    """Tell every money device to take nothing; True when all have heard it. No bus may run.

    What one of them takes in spite of it is found by the next start.

    Args:
        settings: Say which devices there are.
        link: To those on the MDB.
        cctalk: Opens the ccTalk line; None: as the settings say.
    """
    devices = devices_of(settings)
    line = settings.cctalk
    if line is not None:
        from drivers.cctalk.refusal import refuse_cash  # noqa: PLC0415 - see the top

        acceptors = cctalk_plan(line).acceptors
        open_line = cctalk or _cctalk_port(line)
    try:
        async with asyncio.timeout(REFUSE_S), asyncio.TaskGroup() as both:
            asked = both.create_task(refuse_money(link, sorted(devices))) if devices else None
            if line is None:
                return asked is None or await asked == devices
            refused = await refuse_cash(open_line, acceptors)
            heard = asked is None or await asked == devices
            return heard and refused == frozenset(acceptors)
    except TimeoutError:
        return False


async def claim_key(storage: Storage, entropy: Callable[[int], bytes]) -> bytes:
    """Return this machine's key for claim codes, mode 0600.

    Made at the first start, unless one that was derived from the tenant's is there (`vendctl claim
    key`). Codes that were minted are in the journal: another key spoils none of them.
    """
    key = await storage.read(CLAIM_KEY_FILE)
    if key is None or len(key) != KEY_BYTES:
        key = entropy(KEY_BYTES)
        await storage.write(CLAIM_KEY_FILE, key, private=True)
    return key


def readers_of(settings: MachineSettings) -> dict[DeviceName, ReaderSettings]:
    """Return how each card reader is treated, and what it may show on our display."""
    display = settings.display
    wide = display is not None and display.cols * display.rows >= _READERS_GLASS[0] * 2
    columns, rows = _READERS_GLASS if wide else (0, 0)
    return {
        name: ReaderSettings(
            level=cashless.level,
            columns=columns,
            rows=rows,
            always_idle=cashless.always_idle,
        )
        for name, cashless in (
            (DeviceName.CASHLESS1, settings.mdb.cashless1),
            (DeviceName.CASHLESS2, settings.mdb.cashless2),
        )
    }


def boot_info(settings: MachineSettings, parts: Parts) -> BootInfo:
    """Return who is starting, for the boot's record."""
    digest = hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:16]
    return BootInfo(
        machine=settings.machine.id,
        currency=settings.machine.currency,
        software=SOFTWARE,
        config_digest=digest,
        built=BUILT,
        system_boot=parts.system_boot,
    )


async def open_journal(settings: MachineSettings, parts: Parts) -> Journal[State]:
    """Open the machine's journal; raises as ``Journal.open`` does."""
    return await Journal.open(
        parts.storage,
        fold=StateFold(),
        registry=parts.registry,
        clock=parts.clock,
        entropy=parts.entropy,
        boot=boot_info(settings, parts),
    )


def switch_off(settings: MachineSettings, parts: Parts) -> None:
    """Drive every output safe where no machine is composed. Raises EffectUnknownError."""
    SafeOutputs(settings.outputs(), lambda: parts.pins).drive()


def open_display(settings: MachineSettings) -> ClosableDisplay:
    """Open the display alone, for a machine that is out of service. Raises ConfigError."""
    return build_display(settings.display, lambda _event: None)


class _Box:
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


def _flight_recorder(settings: MachineSettings, parts: Parts) -> _Box | None:
    wanted = settings.recorder is not None and settings.recorder.enabled
    return _Box(settings, parts) if wanted else None


async def compose(settings: MachineSettings, parts: Parts) -> Running:
    """Build a machine; nothing moves before ``Running.run``.

    Raises:
        ConfigError: A pin, port or bus cannot be opened.
        JournalError: The journal can't be used; see ``open_journal``.
    """
    box = _flight_recorder(settings, parts)
    if box is not None:
        parts = replace(parts, clock=box.clock)
    journal = await open_journal(settings, parts)
    for setting, wanted, found, is_what in (
        ("id", settings.machine.id, journal.state.machine, "is of"),
        ("currency", settings.machine.currency, journal.state.currency, "counts in"),
    ):
        if found not in ("", wanted):  # nothing: a disk that could not even be begun on
            await journal.close()
            raise ConfigError(
                f"machine.{setting} = {wanted}: the journal in {settings.journal.folder} {is_what} "
                f"{found}; allowed: {found}, or another journal.folder"
            )
    inbox = Inbox()
    key = await claim_key(parts.storage, parts.entropy)
    machine_id = settings.machine.id
    keeper = None if box is None else box.watch(journal, parts.keeper)

    def minted(seq: int, amount: int) -> str:
        return mint(key, machine_id, seq, amount)

    planner = SettingsPlanner(settings, aside=parts.aside)
    plan = await holding(planner, journal)
    seal = None
    if settings.cloud is not None:
        from controller.machine.checkpoints import sealing  # noqa: PLC0415 - see the top

        seal = sealing(journal, parts.clock)
        if box is not None:
            seal = box.recorder.minting(seal)

    desk = Desk(
        journal,
        plan.planogram,
        plan.policy,
        parts.clock,
        minted if box is None else box.recorder.minting(minted),
        climate=plan.climate,
        health=plan.health,
        offers=plan.offers,
        plan=plan,
        seal=seal,
    )
    desk.recorded = box is not None
    tap = None if box is None else box.ring.edge
    lines = Lines(parts.pins, parts.watch, at_exit=parts.at_exit, tap=tap)
    dispenser = build_dispenser(
        lines,
        parts.clock,
        columns=settings.columns,
        matrix=settings.gpio,
        drop_sensor=settings.drop_sensor,
        current_sense=None if settings.current_sense is None else settings.current_sense.pin,
        door=None if settings.door is None else settings.door.pin,
        latch_lost=journal.state.latch_lost,
    )
    display = build_display(settings.display, inbox.notify, inline_bus=parts.inline_i2c)
    bus = build_mdb(
        link=parts.link if box is None else TappedLink(parts.link, box.ring.mdb),
        sink=inbox,
        clock=parts.clock,
        currency=settings.machine.currency,
        devices=devices_of(settings),
        readers=readers_of(settings),
        foresight=parts.foresight,
        recycle=frozenset(settings.mdb.bill.recycle),
    )
    cctalk = None
    open_cctalk = parts.cctalk
    if settings.cctalk is not None:
        from drivers.cctalk.assembly import build_cctalk  # noqa: PLC0415 - see the top

        open_cctalk = open_cctalk or _cctalk_port(settings.cctalk)
        cctalk = build_cctalk(
            cctalk_plan(settings.cctalk),
            open_port=open_cctalk if box is None else box.tapped(open_cctalk),
            sink=inbox,
            currency=settings.machine.currency,
            foresight=parts.cctalk_foresight,
        )
    pulse = build_pulse(lines, settings, inbox)
    hands = Hands(
        dispenser=dispenser,
        display=display,
        buzzer=build_buzzer(lines, None if settings.buzzer is None else settings.buzzer.pin),
        changer=bus.changer or (cctalk.changer if cctalk else None) or pulse,
        bill=bus.bill or (cctalk.bill if cctalk else None),
        readers=dict(bus.readers),
        climate=_relays(lines, settings.climate, inbox),
        spool=parts.spool or (FolderSpool(settings.update.spool) if settings.update else None),
    )
    desk.updates = hands.spool is not None
    return Running(
        settings=settings,
        journal=journal,
        machine=Machine(
            desk,
            hands,
            plan.renderer,
            inbox,
            parts.heartbeat,
            parts.time_known,
            None if box is None else box.recorder,
            planner,
        ),
        bus=bus,
        lines=lines,
        display=display,
        keypad=(
            build_keypad(lines, settings.keypad, inbox.notify)
            if parts.keypad is None
            else parts.keypad(inbox.notify)
        ),
        door=build_door(lines, None if settings.door is None else settings.door.pin, inbox.notify),
        cctalk=cctalk,
        cctalk_port=open_cctalk,
        thermometers=_thermometers(settings.climate, inbox, parts.read_file),
        recordings=keeper,
    )


@asynccontextmanager
async def composed(settings: MachineSettings, parts: Parts) -> AsyncIterator[Running]:
    """Compose, and close whatever happens."""
    running = await compose(settings, parts)
    try:
        yield running
    finally:
        await running.close()


def root_key(settings: MachineSettings) -> bytes | None:
    """Return the fleet's key that the machine pins; None when it lives alone."""
    return None if settings.cloud is None else bytes.fromhex(settings.cloud.root_key)


def fleet(
    settings: MachineSettings,
    running: Running,
    parts: Parts,
    forked: Callable[[int, bytes], None],
) -> Callable[[], Coroutine[Any, Any, None]] | None:
    """Return what keeps the machine in touch with its fleet, or None when it lives alone.

    Loads the network's libraries, which takes a while: call it in a thread of its own.

    Raises:
        ConfigError: A certificate or key can't be read.
    """
    if settings.cloud is None:
        return None
    from cloud.link.assembly import Fleet  # noqa: PLC0415 - as above

    tie = Fleet(
        settings.cloud,
        settings.machine.id,
        running.machine,
        parts.clock,
        parts.entropy,
        SOFTWARE,
        forked,
        settings.journal.folder / CLOUD,
    )
    return tie.run


def system_boot(path: Path, entropy: Callable[[int], bytes]) -> str:
    """Return what tells this power-up from others.

    Where the file tells nothing every start counts as one after a power cut: a latch that may
    have lost its power is no proof.
    """
    try:
        told = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        told = ""
    return told or f"unknown {entropy(8).hex()}"


def time_known(settings: MachineSettings) -> Callable[[], bool]:
    """Return what tells whether NTP keeps the system's clock right."""
    marker, kernel = settings.machine.ntp_marker, settings.machine.ntp_kernel
    return lambda: marker.exists() or (kernel and synchronised())


def real_parts(settings: MachineSettings, heartbeat: Heartbeat | None) -> Parts:
    """Return the parts of a machine in its own process: real disk, real ports, real pins.

    Raises:
        ConfigError: The journal's folder can't be made, or the pins can't be opened; a simulation
            never stands in silently.
    """
    clock = SystemClock()
    if settings.cctalk is not None:
        # Before anybody counts the time: at the end there is little, whether it was used or not.
        import_module("drivers.cctalk.refusal")
    mdb = settings.mdb
    port = str(mdb.port)
    link = native_link(port) if mdb.link == "native" else adapter_link(port, mdb.baud)
    folder = settings.journal.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f'journal.folder = "{folder}": cannot be made: {error.strerror}'
        ) from error
    return Parts(
        clock=clock,
        storage=DirectoryStorage(settings.journal.folder),
        entropy=system_entropy,
        link=link,
        pins=open_factory(settings.gpio.pin_factory, dict(settings.gpio.factory_arguments)),
        watch=ThreadWatch(clock.monotonic_s),
        system_boot=system_boot(settings.machine.system_boot, system_entropy),
        heartbeat=heartbeat,
        at_exit=True,
        aside=True,
        time_known=time_known(settings),
    )
