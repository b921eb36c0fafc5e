"""The doors of a simulator's process: pty, FIFO, I2C socket, state file, its options."""

import asyncio
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.settings import load
from simulator.cable import PtyCable
from simulator.i2c_server import I2cBus, I2cServer, message
from simulator.key_fifo import KeyFifo
from simulator.machine import HardwarePaths, Machine, MachineError, MachineOptions
from simulator.state_file import StateSaver, read_state, write_state
from simulator.subscriber import MOST_WAITING_BYTES, Subscriber

DEMO = Path(__file__).parents[3] / "config" / "machines" / "demo.toml"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the other side is the kernel
            await asyncio.sleep(0.001)


class Wire:
    """A far side that keeps what it is fed."""

    def __init__(self) -> None:
        self.fed = b""
        self.sink: Callable[[bytes], None] | None = None

    def attach(self, sink: Callable[[bytes], None]) -> None:
        self.sink = sink

    def detach(self, sink: Callable[[bytes], None]) -> None:
        assert self.sink == sink
        self.sink = None

    def feed(self, data: bytes) -> None:
        self.fed += data


@pytest.fixture
def wire() -> Wire:
    return Wire()


async def test_a_host_opens_the_cable_writes_reads_and_goes(wire: Wire, tmp_path: Path) -> None:
    cable = PtyCable(asyncio.get_running_loop(), wire, tmp_path / "mdb")
    cable.plug()
    cable.plug()
    for _ in range(2):
        wire.fed = b""
        host = os.open(tmp_path / "mdb", os.O_RDWR | os.O_NOCTTY)
        await until(lambda: cable.connected)
        os.write(host, b"V\xff\x00")
        await until(lambda: wire.fed == b"V\xff\x00")
        assert wire.sink is not None
        wire.sink(b"\xff\x00\x0b")
        assert os.read(host, 10) == b"\xff\x00\x0b"
        os.close(host)
        await until(lambda: not cable.connected)
        assert wire.sink is None
    cable.unplug()
    cable.unplug()
    assert not (tmp_path / "mdb").is_symlink()


async def test_bytes_that_a_stopped_host_does_not_take_are_lost(wire: Wire, tmp_path: Path) -> None:
    cable = PtyCable(asyncio.get_running_loop(), wire, tmp_path / "mdb")
    cable.plug()
    host = os.open(tmp_path / "mdb", os.O_RDWR | os.O_NOCTTY)
    await until(lambda: cable.connected)
    sink = wire.sink
    assert sink is not None
    for _ in range(40):
        sink(bytes(1_000))
    assert cable.overruns > 0
    cable.unplug()
    sink(b"late")
    os.close(host)


async def test_the_cable_does_not_take_another_files_name(wire: Wire, tmp_path: Path) -> None:
    (tmp_path / "mdb").write_text("precious")
    with pytest.raises(FileExistsError, match="no link of ours"):
        PtyCable(asyncio.get_running_loop(), wire, tmp_path / "mdb").plug()
    assert (tmp_path / "mdb").read_text() == "precious"


def test_reports_reach_a_reader_and_none_that_comes_later(tmp_path: Path) -> None:
    path = tmp_path / "keypad"
    fifo = KeyFifo(path)
    fifo.write(b"lost")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fifo.write(b"heard")
    assert os.read(reader, 100) == b"heard"
    fifo.write(b"unread")
    os.close(reader)
    fifo.write(b"lost")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        os.read(reader, 100)
    assert fifo.lost == 2
    for _ in range(100):
        fifo.write(bytes(4_000))
    assert fifo.lost > 2, "the reader is far behind"
    os.close(reader)
    fifo.close()
    again = KeyFifo(path)
    again.close()


def test_the_fifo_does_not_take_another_files_name(tmp_path: Path) -> None:
    (tmp_path / "keypad").write_text("precious")
    with pytest.raises(FileExistsError, match="no FIFO"):
        KeyFifo(tmp_path / "keypad")


class Recorder:
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


async def test_i2c_messages_may_come_in_pieces_and_several_at_once(run_folder: Path) -> None:
    bus, device = I2cBus(), Recorder()
    bus.attach(0x27, device)
    server = I2cServer(bus)
    await server.start(str(run_folder / "i2c.sock"))
    reader, writer = await asyncio.open_unix_connection(run_folder / "i2c.sock")
    stream = message(0x27, b"ab") + message(0x28, b"x") + message(0x27, b"") + b"\x00\x00"
    for byte in stream:
        writer.write(bytes((byte,)))
        await writer.drain()
    assert await reader.readexactly(4) == b"\x00\x01\x00\x01"
    writer.write(message(0x27, b"c") * 3)
    assert await reader.readexactly(3) == b"\x00\x00\x00"
    assert device.data == b"abccc"
    bus.detach(0x27)
    bus.detach(0x27)
    writer.write(message(0x27, b"d"))
    assert await reader.readexactly(1) == b"\x01"
    await server.close()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_state_is_saved_soon_after_a_change_and_once_for_a_burst(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    state = {"coins": 0}
    saves: list[int] = []

    def snapshot() -> dict[str, Any]:
        saves.append(state["coins"])
        return dict(state)

    saver = StateSaver(asyncio.get_running_loop(), path, snapshot)
    for coins in range(1, 6):
        state["coins"] = coins
        saver.changed()
    await until(path.exists)
    assert read_state(path) == {"coins": 5}
    assert saves == [5]
    state["coins"] = 6
    saver.changed()
    await saver.save()
    assert read_state(path) == {"coins": 6}


async def test_a_change_while_a_save_is_under_way_is_saved_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "world.json"
    gate, writing = threading.Event(), threading.Event()

    def slow(where: Path, text: str) -> None:
        writing.set()
        assert gate.wait(5)
        write_state(where, text)

    monkeypatch.setattr("simulator.state_file.write_state", slow)
    state = {"coins": 1}
    saver = StateSaver(asyncio.get_running_loop(), path, lambda: dict(state))
    saver.changed()
    await until(writing.is_set)
    state["coins"] = 2
    saver.changed()
    await asyncio.sleep(0)
    gate.set()
    await until(lambda: read_state(path) == {"coins": 2})


async def test_a_save_that_fails_is_told_to_the_loop(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    told: list[str] = []
    loop.set_exception_handler(lambda loop, context: told.append(context["message"]))
    saver = StateSaver(loop, tmp_path / "no" / "folder.json", dict)
    saver.changed()
    await until(lambda: bool(told))
    assert "could not be saved" in told[0]


def test_a_file_that_holds_no_state_is_refused(tmp_path: Path) -> None:
    assert read_state(tmp_path / "none.json") is None
    (tmp_path / "world.json").write_text("[]")
    with pytest.raises(ValueError, match="holds no state"):
        read_state(tmp_path / "world.json")


def test_a_slow_subscriber_loses_events_and_is_told_how_many() -> None:
    lines: list[str] = []
    waiting = [0]
    subscriber = Subscriber(lines.append, lambda: waiting[0])
    subscriber._kinds = frozenset({"fact"})
    subscriber._event("edge", {})
    subscriber._event("fact", {"seq": 1})
    waiting[0] = MOST_WAITING_BYTES + 1
    subscriber._event("fact", {"seq": 2})
    subscriber._event("fact", {"seq": 3})
    waiting[0] = 0
    subscriber._event("fact", {"seq": 4})
    subscriber.close()
    told = [json.loads(line)["params"] for line in lines]
    assert [(one["kind"], one["data"]) for one in told] == [
        ("fact", {"seq": 1}),
        ("lost", {"events": 2}),
        ("fact", {"seq": 4}),
    ]


# --------------------------------------------------------------------------------- the process


def test_a_machine_without_display_and_kernel_keypad_has_fewer_doors(tmp_path: Path) -> None:
    settings = load(DEMO, home=tmp_path).model_copy(update={"display": None, "keypad": None})
    paths = HardwarePaths.of(settings)
    assert (paths.i2c, paths.keypad) == (None, None)
    assert [path.name for path in paths.sockets()] == ["vendsim.sock", "gpio.sock"]


def config_with(tmp_path: Path, old: str, new: str) -> Path:
    text = DEMO.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "machine.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('pin_factory = "vendsim"', 'pin_factory = "mock"', "gpio.pin_factory"),
        ('bus = "socket:i2c.sock"', 'bus = "/dev/i2c-1"', "display.bus"),
        ('port = "mdb" ', 'port = "/dev/ttyUSB0" ', "mdb.port"),
        ('path = "keypad"', 'path = "/dev/input/event0"', "keypad.path"),
    ],
)
def test_real_hardware_in_the_file_is_refused(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    config = config_with(tmp_path, old, new)
    with pytest.raises(MachineError, match=words):
        Machine(MachineOptions(config=config, home=tmp_path))


async def run_machine(options: MachineOptions) -> dict[str, Any]:
    """Run until ready, then stop; return what it said."""
    machine = Machine(options)
    said: list[dict[str, Any]] = []

    def ready(hello: dict[str, Any]) -> None:
        said.append(hello)
        machine.stopped.set()

    await machine.run(ready)
    return said[0]


def test_a_machine_opens_its_doors_and_closes_them(run_folder: Path) -> None:
    options = MachineOptions(config=DEMO, home=run_folder, state=run_folder / "world.json")
    hello = asyncio.run(run_machine(options))
    assert hello["machine"] == "demo"
    assert json.loads((run_folder / "world.json").read_text())["version"] == 1
    assert asyncio.run(run_machine(options))
    assert not list(run_folder.glob("*.sock"))


async def test_what_keeps_a_machine_from_starting_is_explained(
    run_folder: Path, tmp_path: Path
) -> None:
    async def refused(home: Path, state: Path | None = None) -> str:
        with pytest.raises(MachineError) as error:
            await run_machine(MachineOptions(config=DEMO, home=home, state=state))
        return str(error.value)

    assert "too long for a socket" in await refused(tmp_path / ("x" * 120))
    (run_folder / "file").write_text("")
    assert "file" in await refused(run_folder / "file")
    (run_folder / "gpio.sock").write_text("")
    assert "no socket" in await refused(run_folder)
    (run_folder / "gpio.sock").unlink()
    (run_folder / "mdb").write_text("")
    assert "cannot start" in await refused(run_folder)
    (run_folder / "mdb").unlink()
    (run_folder / "world.json").write_text('{"version": 0}')
    assert "version 0" in await refused(run_folder, run_folder / "world.json")
