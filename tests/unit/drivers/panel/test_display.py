"""The display: what the bytes on its expander show is what was meant, by thread and inline."""

import asyncio
import errno
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.models import Display as DisplayPlan
from controller.faults import ConfigError, FaultCode
from controller.money import CURRENCIES
from controller.panel.render import Renderer
from controller.panel.texts import load_shipped
from controller.ports import DeviceEvent, FaultCleared, FaultRaised
from drivers.panel import i2c_bus
from drivers.panel.assembly import build_display
from drivers.panel.glyphs import Glyphs
from drivers.panel.hd44780 import Hd44780, InlineDisplay, ThreadedDisplay
from drivers.panel.i2c_bus import SocketBus
from simulator.display import DisplayModule
from simulator.i2c_server import I2cBus, I2cServer

ADDRESS = 0x27
PLAN = DisplayPlan(address=ADDRESS)


class Rig:
    """A display module on a bus in this process."""

    def __init__(self) -> None:
        self.module = DisplayModule()
        self.bus = I2cBus()
        self.bus.attach(ADDRESS, self.module)
        self.events: list[DeviceEvent] = []
        self.display = InlineDisplay(Hd44780(self.bus, ADDRESS), self.events.append)

    def read(self) -> list[str]:
        return [line.rstrip() for line in self.module.lines]


def test_lines_are_shown_where_they_belong() -> None:
    rig = Rig()
    rig.display.show(["first", "  second", "third", "the last one, 20 wide"])
    assert rig.read() == ["first", "  second", "third", "the last one, 20 wid"]
    assert rig.module.backlight


def test_german_and_spanish_and_the_euro_are_read_as_written() -> None:
    rig = Rig()
    rig.display.show(["Größe für Äpfel 1,50 €", "¡Señor, elija ¿qué?", "Crédito: 3,00 €", "ÖÜ"])
    assert rig.read() == ["Größe für Äpfel 1,50", "¡Señor, elija ¿qué?", "Crédito: 3,00 €", "ÖÜ"]


def test_what_has_no_room_or_no_drawing_is_written_plainly_and_the_euro_stays() -> None:
    rig = Rig()
    rig.display.show(["ÄÖÜáéíóúÑ", "\\~ Œ Łódź ’x’ ☕", "1,50 €", "a\u00a0b\tc"])
    top, second, price, last = rig.read()
    assert top == "ÄÖÜáéíóuN"  # seven drawings beside the euro's
    assert second == "/- ? Lódz 'x' ?"
    assert price == "1,50 €"
    assert last == "a b c"


@pytest.mark.parametrize("territory", ["", "_GH", "_NG", "_CR"])
def test_a_price_has_its_sign_in_every_currency(territory: str) -> None:
    rig = Rig()
    languages = ("en", "de", "es")
    renderer = Renderer(load_shipped(languages), f"en{territory}")
    for language in languages:
        for currency in CURRENCIES:
            price = renderer.money(123_456, currency, language)
            rig.display.show(["ÄÖÜáéíóúÑ", price])
            assert rig.read()[1] == price


def test_the_same_text_again_sends_nothing() -> None:
    rig = Rig()
    rig.display.show(["Welcome"])
    seen = rig.module.bytes_seen
    rig.display.show(["Welcome"])
    assert rig.module.bytes_seen == seen


def test_one_changed_letter_sends_little() -> None:
    rig = Rig()
    rig.display.show(["Credit  1,00"])
    seen = rig.module.bytes_seen
    rig.display.show(["Credit  2,00"])
    assert rig.module.bytes_seen - seen <= 16  # one cursor move, one letter
    assert rig.read()[0] == "Credit  2,00"


def test_letters_of_ones_own_are_redrawn_when_other_texts_need_them() -> None:
    rig = Rig()
    for text in ("ÄÖÜáéíóú", "ÑÉàèç¿¡€", "ÄÖÜáéíóú €", "€ÑÉ"):
        rig.display.show([text])
    assert rig.read()[0] == "€ÑÉ"


def test_a_display_left_between_two_halves_of_a_byte_finds_its_way() -> None:
    rig = Rig()
    rig.display.show(["before"])
    for byte in (0x08, 0x0C, 0x08):  # half an instruction, then its sender died
        rig.bus.write(ADDRESS, bytes((byte,)))
    again = InlineDisplay(Hd44780(rig.bus, ADDRESS), rig.events.append)
    again.show(["after"])
    assert rig.read() == ["after", "", "", ""]


def test_a_display_that_is_pulled_off_is_one_fault_and_comes_back_whole() -> None:
    rig = Rig()
    rig.display.show(["one"])
    rig.bus.detach(ADDRESS)
    rig.display.show(["two"])
    rig.display.show(["three"])
    (event,) = rig.events
    assert isinstance(event, FaultRaised)
    assert (event.part, event.code) == ("display", FaultCode.PANEL_DISPLAY)
    assert "0x27" in event.detail
    rig.module.power_cycle()
    rig.bus.attach(ADDRESS, rig.module)
    rig.display.show(["three"])
    assert rig.events[1:] == [FaultCleared("display", FaultCode.PANEL_DISPLAY)]
    assert rig.read()[0] == "three"


@given(st.lists(st.text(max_size=30), max_size=6))
def test_any_text_becomes_four_rows_of_codes(lines: list[str]) -> None:
    screen = Glyphs().fit(lines, 20, 4)
    assert [len(row) for row in screen.rows] == [20] * 4
    assert all(0 <= slot < 8 and len(dots) == 8 for slot, dots in screen.load)
    drawn = {slot for slot, _ in screen.load}
    assert all(code >= 0x20 or code in drawn for row in screen.rows for code in row)


@given(st.lists(st.text("abc€ÄÖÜáéíóúÑÉ¿¡çè", max_size=20), min_size=1, max_size=6))
def test_after_any_texts_the_last_one_stands_there(texts: list[str]) -> None:
    rig, fresh = Rig(), Rig()
    for text in texts:
        rig.display.show([text])
    fresh.display.show([texts[-1]])
    wanted = [c for c in dict.fromkeys(texts[-1]) if c in "€ÄÖÜáéíóúÑÉ¿¡çè"]
    if len(wanted) <= 8:
        assert rig.read() == fresh.read()


# ---------------------------------------------------------------------------------- by thread


class SlowBus:
    """A bus that waits at a gate, so that a test decides when a write goes on."""

    def __init__(self, bus: I2cBus) -> None:
        self.bus = bus
        self.gate = threading.Event()
        self.gate.set()
        self.writes = 0
        self.broken = False

    def write(self, address: int, data: bytes) -> bool:
        assert self.gate.wait(5)
        self.writes += 1
        if self.broken:
            raise OSError("the bus hangs")
        return self.bus.write(address, data)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - it comes true in another thread
            await asyncio.sleep(0.005)


async def test_by_thread_the_newest_text_wins_and_show_never_blocks() -> None:
    module = DisplayModule()
    bus = I2cBus()
    bus.attach(ADDRESS, module)
    slow = SlowBus(bus)
    events: list[DeviceEvent] = []
    display = ThreadedDisplay(Hd44780(slow, ADDRESS), events.append)
    display.show(["first"])
    await until(lambda: module.lines[0].startswith("first"))
    slow.gate.clear()
    for number in range(50):
        display.show([f"text {number}"])
    slow.gate.set()
    await until(lambda: module.lines[0].startswith("text 49"))
    display.show(["goodbye"])
    display.close()
    assert module.lines[0].startswith("goodbye")
    assert events == []


async def test_by_thread_a_fault_is_told_on_the_loop_and_cleared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("drivers.panel.hd44780.RETRY_S", 0.02)
    module = DisplayModule()
    bus = I2cBus()
    bus.attach(ADDRESS, module)
    slow = SlowBus(bus)
    slow.broken = True
    events: list[DeviceEvent] = []
    threads = set()

    def notify(event: DeviceEvent) -> None:
        threads.add(threading.get_ident())
        events.append(event)

    display = ThreadedDisplay(Hd44780(slow, ADDRESS), notify)
    display.show(["hello"])
    await until(lambda: len(events) == 1)
    slow.broken = False
    await until(lambda: len(events) == 2)
    assert [type(event) for event in events] == [FaultRaised, FaultCleared]
    assert threads == {threading.get_ident()}
    await until(lambda: module.lines[0].startswith("hello"))
    display.close()


# ------------------------------------------------------------------------------- over a socket


async def test_over_the_simulators_socket_the_same_bytes_arrive(tmp_path: Path) -> None:
    module = DisplayModule()
    bus = I2cBus()
    bus.attach(ADDRESS, module)
    server = I2cServer(bus)
    path = str(tmp_path / "i2c.sock")
    await server.start(path)
    plan = PLAN.model_copy(update={"bus": f"socket:{path}"})
    display = await asyncio.to_thread(SocketBus, path)
    assert await asyncio.to_thread(display.write, 0x3C, b"\x00") is False
    display.close()
    events: list[DeviceEvent] = []
    real = build_display(plan, events.append)
    real.show(["1,50 €"])
    await until(lambda: module.lines[0].startswith("1,50 €"))
    await asyncio.to_thread(real.close)
    await server.close()
    assert events == []


async def test_a_socket_that_was_lost_is_a_fault_and_is_connected_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.panel.hd44780.RETRY_S", 0.02)
    module = DisplayModule()
    bus = I2cBus()
    bus.attach(ADDRESS, module)
    path = tmp_path / "i2c.sock"
    server = I2cServer(bus)
    await server.start(str(path))
    events: list[DeviceEvent] = []
    display = build_display(PLAN.model_copy(update={"bus": f"socket:{path}"}), events.append)
    display.show(["one"])
    await until(lambda: module.lines[0].startswith("one"))
    await server.close()
    path.unlink(missing_ok=True)
    display.show(["two"])
    await until(lambda: len(events) == 1)
    server = I2cServer(bus)
    await server.start(str(path))
    await until(lambda: module.lines[0].startswith("two"))
    await until(lambda: len(events) == 2)
    await asyncio.to_thread(display.close)
    await server.close()


async def test_a_bus_that_cannot_be_opened_says_what_to_change(tmp_path: Path) -> None:
    for bus, hint in (
        (f"socket:{tmp_path / 'none.sock'}", "is the simulated machine running"),
        ("/dev/i2c-99", "is I2C enabled"),
    ):
        with pytest.raises(ConfigError, match=hint) as error:
            build_display(PLAN.model_copy(update={"bus": bus}), lambda _: None)
        assert bus in str(error.value)


class KernelsBus:
    """Stands for smbus2's ``SMBus``: keeps what was written."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.messages: list[tuple[int, bytes]] = []
        self.error: OSError | None = None
        self.closed = False

    def i2c_rdwr(self, message: Any) -> None:
        if self.error is not None:
            raise self.error
        self.messages.append((message.addr, bytes(message)))

    def close(self) -> None:
        self.closed = True


def test_the_kernels_bus_gets_one_transaction_a_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i2c_bus, "SMBus", KernelsBus)
    bus = i2c_bus.open_bus("/dev/i2c-1")
    assert isinstance(bus, i2c_bus.KernelBus)
    kernel = bus._bus
    assert bus.write(ADDRESS, b"\x01\x02")
    assert (kernel.path, kernel.messages) == ("/dev/i2c-1", [(ADDRESS, b"\x01\x02")])
    for number in (errno.ENXIO, errno.EREMOTEIO):
        kernel.error = OSError(number, "no acknowledge")
        assert not bus.write(ADDRESS, b"\x01")
    kernel.error = OSError(errno.ETIMEDOUT, "the bus hangs")
    with pytest.raises(OSError, match="hangs"):
        bus.write(ADDRESS, b"\x01")
    bus.close()
    assert kernel.closed


def test_a_machine_without_a_display_or_with_one_in_this_process() -> None:
    rig = Rig()
    build_display(None, rig.events.append).show(["nothing"])
    inline = build_display(PLAN, rig.events.append, inline_bus=rig.bus)
    inline.show(["here"])
    inline.close()
    assert rig.read()[0] == "here"
