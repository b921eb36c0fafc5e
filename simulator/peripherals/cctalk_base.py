"""A ccTalk device as a synchronous state machine: frames in, replies out, and its event counter.

The wire hands it whole frames that are for it; its motors and timers run on a `Timeline`. It never
looks at what a controller believes.

Source: ccTalk Generic Specification 4.7, parts 1 to 3.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from drivers.cctalk.frames import (
    BUSY,
    BYTE_TIME_S,
    FRAME_OVERHEAD,
    HOST,
    NAK,
    REPLY,
    CcTalkError,
    Checksum,
    Frame,
    decode_frame,
    encode_frame,
)
from drivers.cctalk.headers import Header
from simulator.peripherals.base import Timeline
from simulator.peripherals.faults import PeripheralFaults as MdbFaults
from simulator.peripherals.faults import (
    amount,
    counter,
    faults_from_state,
    faults_to_state,
    switch,
)
from simulator.truth import Truth

ACK: Final = b""
EVENTS_KEPT: Final = 5
ANSWER_S: Final = 0.004
"""From a request's last byte to the first of its answer."""

Reply = bytes | int | None
"""Data (empty: ACK), a reply header (NAK, BUSY), or None for silence."""


@dataclass(slots=True)
class CcTalkFaults(MdbFaults):
    """What can go wrong with any ccTalk device.

    Of the switches of MDB devices only those that need no acknowledgement do anything.
    """

    busies: int = counter("the next N commands are answered BUSY")
    cut_answers: int = counter("the next N answers break off in the middle")
    frozen: bool = switch("its counter and its events stand still, though things happen")
    wake_s: float = amount("deaf for so long after power-up or reset", 0.25)


class CcTalkDevice(ABC):
    """One device on the line.

    Args:
        name: As in commands: "acceptor", "hopper3", "billcc".
        address: 2 to 255.
        category: What it answers to header 245.
        timeline: Physical time.
        truth: Where things are.
        faults: What goes wrong.
        checksum: What it ends its frames with.
        model: What it answers to header 244.
        serial: Three bytes, low first.
    """

    def __init__(
        self,
        name: str,
        address: int,
        category: str,
        timeline: Timeline,
        truth: Truth,
        faults: CcTalkFaults,
        *,
        checksum: Checksum = Checksum.SUM,
        model: str = "",
        serial: int = 10_000,
    ) -> None:
        self.name = name
        self.address = address
        self.checksum = checksum
        self.powered = True
        self._serial = serial.to_bytes(3, "little")
        self._identity: dict[int, bytes] = {
            Header.SIMPLE_POLL: ACK,
            Header.REQUEST_MANUFACTURER_ID: b"SIM",
            Header.REQUEST_EQUIPMENT_CATEGORY_ID: category.encode(),
            Header.REQUEST_PRODUCT_CODE: (model or name).encode(),
            Header.REQUEST_BUILD_CODE: b"standard",
            Header.REQUEST_SERIAL_NUMBER: self._serial,
            Header.REQUEST_SOFTWARE_REVISION: b"SIM-1.0",
            Header.REQUEST_COMMS_REVISION: bytes((1, 4, 7)),
        }
        self._timeline = timeline
        self._now = timeline.loop.time
        self._truth = truth
        self._common = faults
        self._deaf_until = 0.0
        self._told: bytes | None = None  # the events that were read last
        self.asked: list[int] = []
        """Headers heard, for tests."""
        self.unknown: frozenset[int] = frozenset()
        """Headers that it does not know: it stays silent. The shortest real lists miss many."""
        self.on_command: Callable[[bytes], None] | None = None
        """Told of each that it carries out: header and data."""

    # -- the wire's side ---------------------------------------------------------------------

    def receive(self, raw: bytes, now: float) -> tuple[float, bytes] | None:
        """Take a frame for this address; the reply's delay and bytes, or None for silence."""
        faults = self._common
        if faults.mute_s > 0:
            self._deaf_until, faults.mute_s = now + faults.mute_s, 0.0
        if not self.powered or faults.silent or now < self._deaf_until:
            return None
        try:
            frame = _read(raw, self.checksum)
        except CcTalkError:
            return None
        if faults.silent_commands > 0:
            faults.silent_commands -= 1
            return None
        if faults.resets > 0:
            faults.resets -= 1
            self.self_reset()
            return None
        self.asked.append(frame.header)
        if faults.busies > 0:
            faults.busies -= 1
            return self._reply(BUSY)
        if faults.naks > 0:
            faults.naks -= 1
            return self._reply(NAK)
        if self.on_command is not None:
            self.on_command(bytes((frame.header,)) + frame.data)
        reply = self._core(frame.header, frame.data)
        if reply is None:
            return None
        if faults.lost_answers > 0:
            faults.lost_answers -= 1
            return None
        return self._reply(reply)

    def _reply(self, reply: bytes | int) -> tuple[float, bytes]:
        header, data = (reply, b"") if isinstance(reply, int) else (REPLY, reply)
        raw = _frame(self.address, header, data, self.checksum)
        faults = self._common
        if faults.bad_checksums > 0:
            faults.bad_checksums -= 1
            raw = raw[:-1] + bytes(((raw[-1] + 1) & 0xFF,))
        if faults.cut_answers > 0:
            faults.cut_answers -= 1
            raw = raw[: len(raw) // 2]
        delay = ANSWER_S
        if faults.late_answers > 0:
            faults.late_answers -= 1
            delay = faults.late_s
        return delay, raw

    def _core(self, header: int, data: bytes) -> Reply:
        if header in self.unknown:
            return None
        told = self._identity.get(header)
        if told is not None:
            return told
        if header != Header.RESET_DEVICE:
            return self._handle(header, data)
        if data:
            return None  # null bytes before a frame make one
        self._truth.note("reset", f"{self.name} told to")
        self._end_work()
        self._restart()
        return ACK

    # -- the world's side --------------------------------------------------------------------

    @property
    def quiet(self) -> bool:
        """Tell whether nothing goes on inside."""
        return True

    @property
    def fit(self) -> bool:
        """Tell whether it would hear a question now, and answer it well."""
        faults = self._common
        return (
            self.powered
            and not faults.waiting
            and not faults.busies
            and not faults.cut_answers
            and self._now() >= self._deaf_until
        )

    def look(self, header: int) -> bytes:
        """Answer a question of a fit device that carries no data and is answered by some."""
        self.asked.append(header)
        data = self._core(header, b"")
        assert isinstance(data, bytes), "every such device answers it"
        return data

    @property
    def beat(self) -> tuple[float, float] | None:
        """Tell how a read of its events goes that brings what the last one did.

        Returns:
            Seconds until the answer begins, and what it takes; None: it may bring something new.
        """
        told = self._told
        if told is None or told != self._events() or not self.fit:
            return None
        return ANSWER_S, (len(told) + FRAME_OVERHEAD) * BYTE_TIME_S

    def polled(self, at: float) -> None:
        """Note that its events were read at that time, and brought nothing new."""
        del at  # most do not care

    def _events(self) -> bytes | None:
        """Return what a read of its events would bring now."""
        return None

    @property
    def told_all(self) -> bool:
        """Tell whether somebody has read every event there was; without power there are none."""
        return True

    def mute(self, seconds: float) -> None:
        """Neither hear nor answer for so long."""
        self._deaf_until = max(self._deaf_until, self._timeline.now() + seconds)

    def power_off(self) -> None:
        """Lose the supply: running work ends where it is."""
        if self.powered:
            self._truth.note("power", f"{self.name} off")
            self.powered = False
            self._lose_power()

    def power_on(self) -> None:
        """Get the supply back: the state after a reset."""
        if not self.powered:
            self.powered = True
            self._truth.note("power", f"{self.name} on")
            self._restart()
            self._power_returned()

    def self_reset(self) -> None:
        """Reset by itself, at any moment."""
        if self.powered:
            self._truth.note("reset", f"{self.name} by itself")
            self._end_work()
            self._restart()

    def to_state(self) -> dict[str, Any]:
        """Return what outlives a loss of power, as JSON values."""
        return {"faults": faults_to_state(self._common)}

    def from_state(self, state: Mapping[str, Any]) -> None:
        """Become what `to_state` returned, as after power-up."""
        faults_from_state(self._common, state["faults"])
        self._restart()

    def _restart(self) -> None:
        self._deaf_until = self._timeline.now() + self._common.wake_s
        self._reset_state()

    # -- each device's own -------------------------------------------------------------------

    @abstractmethod
    def _handle(self, header: int, data: bytes) -> Reply:
        """Carry out a command that not every device knows."""

    @abstractmethod
    def _reset_state(self) -> None:
        """Enter the state after power-up or reset."""

    @abstractmethod
    def _end_work(self) -> None:
        """End what is running; there still is power."""

    @abstractmethod
    def _lose_power(self) -> None:
        """End what is running without any power."""

    @abstractmethod
    def _power_returned(self) -> None:
        """Do what only a power-up does."""


_FRAMES_KEPT: Final = 256  # idle lines carry the same few for ever


@lru_cache(_FRAMES_KEPT)
def _frame(address: int, header: int, data: bytes, checksum: Checksum) -> bytes:
    return encode_frame(Frame(HOST, address, header, data), checksum)


@lru_cache(_FRAMES_KEPT)
def _read(raw: bytes, checksum: Checksum) -> Frame:
    return decode_frame(raw, checksum)


class EventLog:
    """A counter and the last five pairs.

    Attributes:
        answer: The answer to a buffered read: the counter, and the pairs, newest first.
        told: Nothing has happened since the last read, nor has it begun anew.
    """

    def __init__(self) -> None:
        self.told = True
        self.answer = bytes(1 + 2 * EVENTS_KEPT)

    @property
    def counter(self) -> int:
        """How many events there were: 0 after power-up, then 1 to 255 and 1 again."""
        return self.answer[0]

    @counter.setter
    def counter(self, value: int) -> None:
        self.answer = bytes((value,)) + self.answer[1:]

    def add(self, first: int, second: int) -> None:
        """Note an event; 255 goes on with 1."""
        self.told = False
        counter = 1 if self.counter >= 255 else self.counter + 1
        self.answer = bytes((counter, first, second)) + self.answer[1:-2]

    def clear(self) -> None:
        """Begin anew, as after power-up: whoever had read some events has yet to read that."""
        self.told = not self.counter and self.told
        self.answer = bytes(1 + 2 * EVENTS_KEPT)

    def read(self) -> bytes:
        """Answer a buffered read."""
        self.told = True
        return self.answer
