"""The kernel's keypad: whole and broken events, a FIFO and a device that goes away."""

import asyncio
import os
import struct
from collections.abc import Callable
from io import FileIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.models import KernelKeypad
from controller.faults import ConfigError, FaultCode
from controller.ports import DeviceEvent, FaultCleared, FaultRaised, KeyPressed
from drivers.panel import keypad_evdev
from drivers.panel.keypad_evdev import EvdevKeypad, EventDecoder
from simulator.keypad import KernelKeys

CODES = {2: "1", 3: "2", 30: "A", 1: "*", 28: "#"}


def event(kind: int, code: int, value: int) -> bytes:
    return struct.pack("@llHHi", 12, 345, kind, code, value)


SYN = event(0, 0, 0)


def press(code: int) -> bytes:
    return event(4, 4, code) + event(1, code, 1) + SYN


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (press(2), ["1"]),
        (press(30) + event(1, 30, 0) + SYN, ["A"]),
        (press(2) + event(1, 2, 2) + SYN + event(1, 2, 2) + SYN, ["1"]),  # the kernel repeats it
        (press(99), []),  # a key that this keypad does not name
        (event(2, 2, 1) + SYN, []),  # a mouse's movement
        (press(2) + event(0, 3, 0) + event(1, 3, 1) + SYN + press(28), ["1", "#"]),  # SYN_DROPPED
    ],
)
def test_events_become_keys(data: bytes, keys: list[str]) -> None:
    assert EventDecoder(CODES).feed(data) == keys


@given(st.lists(st.sampled_from(sorted(CODES)), max_size=8), st.data())
def test_events_cut_anywhere_are_the_same_keys(codes: list[int], data: st.DataObject) -> None:
    stream = b"".join(press(code) for code in codes)
    decoder, keys, expected = EventDecoder(CODES), list[str](), [CODES[code] for code in codes]
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        keys += decoder.feed(stream[:size])
        stream = stream[size:]
    assert keys == expected


@given(st.binary(max_size=200))
def test_garbage_is_no_error(data: bytes) -> None:
    EventDecoder(CODES).feed(data)


async def until(events: list[DeviceEvent], count: int) -> None:
    async with asyncio.timeout(5):
        while len(events) < count:  # noqa: ASYNC110 - a plain list is what the test reads
            await asyncio.sleep(0.005)


def _into(writer: FileIO) -> Callable[[bytes], None]:
    def sink(data: bytes) -> None:
        assert writer.write(data) == len(data)

    return sink


async def test_keys_come_through_a_fifo_whose_writer_comes_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    os.mkfifo(path)
    events: list[DeviceEvent] = []
    plan = KernelKeypad(kind="evdev", path=path)
    keypad = EvdevKeypad(plan.path, plan.codes, events.append)
    keypad.start()
    for keys in ("B7", "*"):
        with path.open("r+b", buffering=0) as writer:
            fingers = KernelKeys(plan, lambda: 1.5, _into(writer))
            for key in keys:
                fingers.down(key)
                fingers.up(key)
    await until(events, 3)
    assert events == [KeyPressed("B"), KeyPressed("7"), KeyPressed("*")]
    keypad.stop()


async def test_a_device_that_ends_is_a_fault_until_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keypad_evdev, "RETRY_S", 0.01)
    master, slave = os.openpty()
    path = Path(os.ttyname(slave))
    os.close(slave)
    link = tmp_path / "event0"
    link.symlink_to(path)
    events: list[DeviceEvent] = []
    keypad = EvdevKeypad(link, CODES, events.append)
    keypad.start()
    os.close(master)
    await until(events, 1)
    assert isinstance(events[0], FaultRaised)
    assert (events[0].part, events[0].code) == ("keypad", FaultCode.DEVICE_SILENT)
    back = tmp_path / "back"
    os.mkfifo(back)
    link.unlink()
    link.symlink_to(back)
    await until(events, 2)
    assert isinstance(events[1], FaultCleared)
    writer = os.open(back, os.O_WRONLY | os.O_NONBLOCK)
    os.write(writer, press(3))
    await until(events, 3)
    assert events[2] == KeyPressed("2")
    os.close(writer)
    keypad.stop()


async def test_a_device_that_is_not_there_says_what_to_change(tmp_path: Path) -> None:
    keypad = EvdevKeypad(tmp_path / "none", CODES, lambda _: None)
    with pytest.raises(ConfigError, match="group input"):
        keypad.start()
    keypad.stop()
