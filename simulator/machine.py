"""A world in a process of its own: pty, pin socket, I2C socket, key FIFO, control socket.

It outlives every controller that connects to it. Its names stand where the machine's file says
that the hardware is, so that a controller with that file finds it.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from config.machine import MachineSettings
from config.models import KernelKeypad
from config.settings import load
from controller.clock import SystemClock
from controller.faults import ConfigError
from simulator.cable import PtyCable
from simulator.control import Control, dispatcher
from simulator.control_server import ControlServer
from simulator.i2c_server import I2cServer
from simulator.key_fifo import KeyFifo
from simulator.keypad import KernelKeys
from simulator.pins.board import OnRelease
from simulator.pins.server import PinServer
from simulator.state_file import StateSaver, read_state
from simulator.thermometer_files import ThermometerFiles
from simulator.views import hello
from simulator.world import Link, World

CONTROL_NAME: Final = "vendsim.sock"
READY_NAME: Final = "vendsim.ready"
LOCK_NAME: Final = "vendsim.lock"

# The kernel's limit for the path of a unix socket, less its closing zero.
_LONGEST_SOCKET_PATH: Final = 107


ReadySink = Callable[[dict[str, Any]], None]


class MachineError(Exception):
    """This machine can't be simulated here; says why and what to do."""


@dataclass(frozen=True, slots=True)
class MachineOptions:
    """What the command line says.

    Args:
        config: The machine's file.
        home: The folder of this run; everything relative in the file stands below it.
        state: Where the world's state is kept; None: it ends with the process.
        speed: How much faster than life the physics are.
        link: Instead of what the file says.
        on_release: What pins do when the process that drives them ends.
    """

    config: Path
    home: Path
    state: Path | None = None
    speed: float = 1.0
    link: Link | None = None
    on_release: OnRelease = OnRelease.KEEP


@dataclass(frozen=True, slots=True)
class HardwarePaths:
    """Where a controller with this file looks for its hardware."""

    control: Path
    mdb: Path
    pins: Path
    i2c: Path | None
    keypad: Path | None
    cctalk: Path | None = None

    @classmethod
    def of(cls, settings: MachineSettings) -> HardwarePaths:
        """Read them from the settings.

        Raises:
            MachineError: The file is for hardware that nobody can simulate.
        """
        home = settings.machine.home
        wrong = []
        pins = settings.gpio.factory_arguments.get("socket")
        if settings.gpio.pin_factory != "vendsim" or not isinstance(pins, str):
            wrong.append(
                f'gpio.pin_factory = "{settings.gpio.pin_factory}": to be simulated it is '
                '"vendsim", with factory_arguments = { socket = "./gpio.sock" }'
            )
        display = settings.display
        i2c = None
        if display is not None:
            if display.bus.startswith("socket:"):
                i2c = Path(display.bus.removeprefix("socket:"))
            else:
                wrong.append(
                    f'display.bus = "{display.bus}": to be simulated it is "socket:i2c.sock"'
                )
        keypad = settings.keypad
        keys = keypad.path if isinstance(keypad, KernelKeypad) else None
        cctalk = None if settings.cctalk is None else settings.cctalk.port
        devices = [("mdb.port", settings.mdb.port), ("cctalk.port", cctalk), ("keypad.path", keys)]
        if settings.climate is not None:
            devices += [
                ("climate.thermometers.path", t.path) for t in settings.climate.thermometers
            ]
        for key, path in devices:
            if path is not None and (path.is_relative_to("/dev") or path.is_relative_to("/sys")):
                wrong.append(f"{key} = {path}: to be simulated it is a path below machine.home")
        if wrong:
            raise MachineError("\n".join(wrong))
        return cls(home / CONTROL_NAME, settings.mdb.port, Path(str(pins)), i2c, keys, cctalk)

    def sockets(self) -> Iterator[Path]:
        """Yield the names that are sockets."""
        yield from (self.control, self.pins)
        if self.i2c is not None:
            yield self.i2c


class Machine:
    """A world and its doors.

    Args:
        options: What is simulated, and where.

    Raises:
        MachineError: It can't be; says why.
    """

    def __init__(self, options: MachineOptions) -> None:
        self.options = options
        try:
            self.settings = load(options.config, home=options.home)
        except ConfigError as error:
            raise MachineError(str(error)) from error
        self.paths = HardwarePaths.of(self.settings)
        self.stopped = asyncio.Event()
        self._saver: StateSaver | None = None

    async def run(self, ready: ReadySink) -> None:
        """Serve until ``stopped``, a SIGTERM or a SIGINT.

        Args:
            ready: Called once with ``hello`` when every door is open.

        Raises:
            MachineError: Another simulator runs in this folder, or a door can't be opened.
        """
        _make_folder(self.options.home)
        with _only_one(self.options.home / LOCK_NAME):
            for path in self.paths.sockets():
                _clear_socket(path)
            async with AsyncExitStack() as doors:
                for path in self.paths.sockets():
                    doors.callback(_remove, path)
                try:
                    about = await self._open(doors)
                except (OSError, ValueError) as error:
                    raise MachineError(f"cannot start: {error}") from error
                _write_ready(self.options.home / READY_NAME, about)
                doors.callback(_remove, self.options.home / READY_NAME)
                ready(about)
                await self.stopped.wait()

    async def _open(self, doors: AsyncExitStack) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopped.set)
            doors.callback(loop.remove_signal_handler, number)
        options, paths = self.options, self.paths
        world = World(
            loop,
            SystemClock(),
            self.settings,
            link=options.link,
            speed=options.speed,
            on_release=options.on_release,
        )
        if options.state is not None:
            await self._restore(world, options.state, doors)
        await self._open_pins(world, doors)
        if paths.i2c is not None:
            bus = I2cServer(world.i2c)
            await bus.start(str(paths.i2c))
            doors.push_async_callback(bus.close)
        keypad = world.panel.keypad
        if paths.keypad is not None and isinstance(keypad, KernelKeys):
            fifo = KeyFifo(paths.keypad)
            keypad.sink = fifo.write
            doors.callback(fifo.close)
        cable = PtyCable(loop, world.wire, paths.mdb)
        world.on_line = lambda plugged: cable.plug() if plugged else cable.unplug()
        if "line" not in world.unplugged:
            cable.plug()
        doors.callback(cable.unplug)
        if world.cctalk is not None and paths.cctalk is not None:
            second = PtyCable(loop, world.cctalk.wire, paths.cctalk)
            second.plug()
            doors.callback(second.unplug)
        if world.cabin is not None:
            files = ThermometerFiles(world.cabin, loop)
            files.start()
            doors.callback(files.stop)
        about = {"pid": os.getpid(), "paths": self._names()}
        control = Control(world, about, self.stopped.set)
        control.controllers = lambda: self._pins.controllers
        if self._saver is not None:
            control.saver = self._saver.save
        server = ControlServer(dispatcher(control))
        await server.start(paths.control)
        doors.push_async_callback(server.close)
        return hello(world) | about

    async def _open_pins(self, world: World, doors: AsyncExitStack) -> None:
        self._pins = PinServer(world.board)
        await self._pins.start(str(self.paths.pins))
        doors.push_async_callback(self._pins.close)

    async def _restore(self, world: World, path: Path, doors: AsyncExitStack) -> None:
        state = await asyncio.to_thread(read_state, path)
        if state is not None:
            try:
                world.from_state(state)
            except ValueError as error:
                raise MachineError(f"{path}: {error}") from error
        saver = self._saver = StateSaver(world.loop, path, world.to_state)

        def changed(kind: str, data: dict[str, Any]) -> None:
            del kind, data
            saver.changed()

        world.listen(changed)
        doors.push_async_callback(saver.save)
        await saver.save()

    def _names(self) -> dict[str, str | None]:
        paths, state = self.paths, self.options.state
        return {
            "home": str(self.settings.machine.home),
            "control": str(paths.control),
            "mdb": str(paths.mdb),
            "pins": str(paths.pins),
            "i2c": None if paths.i2c is None else str(paths.i2c),
            "keypad": None if paths.keypad is None else str(paths.keypad),
            "cctalk": None if paths.cctalk is None else str(paths.cctalk),
            "state": None if state is None else str(state),
        }


def _make_folder(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise MachineError(f"{home}: {error.strerror}") from error


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold the folder's lock. Raises MachineError when another simulator has it."""
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise MachineError(
                f"a simulated machine runs in {path.parent} already; `vendsim do stop` ends it"
            ) from error
        yield


def _clear_socket(path: Path) -> None:
    """Remove what a killed simulator left; the folder's lock says that nobody listens there."""
    if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        raise MachineError(
            f"{path} is too long for a socket ({_LONGEST_SOCKET_PATH} bytes at most); "
            "take a shorter --dir"
        )
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise MachineError(f"{path} is there already and is no socket")
    path.unlink()


def _write_ready(path: Path, about: dict[str, Any]) -> None:
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(about) + "\n", encoding="utf-8")
    new.replace(path)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
