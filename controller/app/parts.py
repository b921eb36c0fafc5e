"""What differs by place: a Pi, the simulator beside it, virtual time in one process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.machine import MachineSettings
from controller.clock import Clock, SystemClock, system_entropy
from controller.faults import ConfigError
from controller.journal.database import Storage
from controller.journal.envelope import Registry
from controller.journal.records import REGISTRY
from controller.journal.sqlite_aio import DirectoryStorage
from controller.ntp import synchronised
from controller.ports import DeviceEvent, Heartbeat, Spool
from drivers.gpio.factory import open_factory
from drivers.gpio.on_time import OnTimeWatch, ThreadWatch
from drivers.links.mdb_link import MdbLink
from drivers.links.port import BytePort
from drivers.mdb.assembly import adapter_link, native_link
from drivers.mdb.slots import Foresight
from drivers.panel.assembly import Listener
from drivers.panel.i2c_bus import I2cBus

if TYPE_CHECKING:
    from controller.recorder.keeping import Keeper
    from drivers.cctalk.rests import Foresight as LineForesight
    from drivers.climate.thermometers import ReadFile


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
