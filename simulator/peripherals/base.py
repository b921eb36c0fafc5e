"""What every simulated MDB peripheral does: blocks in, answers out, items kept until acknowledged.

A peripheral is a synchronous state machine. A wire hands it whole blocks and tells it what the
master acknowledged; its own motors and timers run on a `Timeline`, whose loop may be virtual or
real. It never looks at what a controller believes.

Source: MDB/ICP 4.2, section 2 and appendix 3.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from drivers.mdb.blocks import ACK, BYTE_TIME_S, NAK, checksum
from simulator.peripherals.faults import PeripheralFaults, faults_from_state, faults_to_state
from simulator.truth import Truth

ACK_ONLY: Final = b""
POLLS: Final = frozenset({0x0B, 0x12, 0x33, 0x62})  # of changer, readers and bill validator
"""A reply without data: the wire sends a lone ACK."""

Reply = bytes | None
"""Data without its checksum, `ACK_ONLY`, or None for silence."""


class Timeline:
    """The physical time of a machine: motors, coins and cards, `speed` times faster than life.

    Bus times do not go through here; they stay what the standard says.

    Args:
        loop: Where timers live.
        speed: Divides every physical duration; above zero.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError("speed must be above zero")
        self.loop = loop
        self.speed = speed

    def now(self) -> float:
        """Return the loop's seconds."""
        return self.loop.time()

    def after(
        self, seconds: float, callback: Callable[..., object], *args: object
    ) -> asyncio.TimerHandle:
        """Call back after `seconds` of physical time."""
        return self.loop.call_later(seconds / self.speed, callback, *args)

    def real(self, seconds: float) -> float:
        """Return how long `seconds` of physical time take."""
        return seconds / self.speed


class Answer(NamedTuple):
    """What a peripheral puts on the line; a tuple, since every exchange makes one.

    Attributes:
        delay_s: From the end of the master's block to the answer's first start bit.
        data: All bytes, checksum included; a single byte is ACK or NAK. The last carries the
            mode bit.
        stubborn: Sent even when the master has begun another block meanwhile (a late answer).
    """

    delay_s: float
    data: bytes
    stubborn: bool = False

    @property
    def wants_ack(self) -> bool:
        """Tell whether the master owes an acknowledgement."""
        return len(self.data) > 1


@dataclass(slots=True, eq=False)
class Item:
    """Something to tell at a POLL, kept until the master has acknowledged it."""

    data: bytes
    alone: bool = False  # never beside another item
    at_s: float = 0.0  # when it came to be
    on_sent: Callable[[], None] | None = None  # when it first leaves
    on_acked: Callable[[], None] | None = None
    sent: bool = False


class Peripheral(ABC):
    """One device on the bus.

    Args:
        name: As in records and commands: "changer", "bill", "cashless1".
        address: Base address, the lower three bits clear.
        timeline: Physical time.
        truth: Where things are.
        faults: What goes wrong.
        response_s: From the end of a block to the answer, at most 0.005.
        boot_s: Silence after power-up, a break or RESET, physical time.
    """

    max_poll = 16

    def __init__(
        self,
        name: str,
        address: int,
        timeline: Timeline,
        truth: Truth,
        faults: PeripheralFaults,
        *,
        response_s: float,
        boot_s: float,
    ) -> None:
        self.name = name
        self.address = address
        self.powered = True
        self._timeline = timeline
        self._now = timeline.loop.time
        self._truth = truth
        self._common = faults
        self._response_s = response_s
        self._boot_s = boot_s
        self._mute_until = 0.0
        self.polled_at = float("-inf")  # loop time of the last POLL, heard or not
        self.busy_since: float | None = None  # when it first left a command without an answer
        self._silence_watch: asyncio.TimerHandle | None = None
        self.on_item_acked: Callable[[bytes], None] | None = None  # told of each item once
        self.on_items_lost: Callable[[str, list[bytes]], None] | None = None  # by which reset
        self.on_command: Callable[[bytes], None] | None = None  # told of each that it carries out
        self.on_unheard: Callable[[bytes], None] | None = None  # told of what it is silent to
        self._queue: list[Item] = []
        self._offered: list[Item] = []
        self._on_ack: Callable[[], None] | None = None
        self._last = b""

    # -- the wire's side ---------------------------------------------------------------------

    @abstractmethod
    def length_of(self, head: bytes) -> int | None:
        """Return a block's length, checksum included, from its first bytes.

        Returns:
            None while more bytes are needed to tell, 0 for a command it does not know (only a
            pause ends such a block).
        """

    def receive(self, block: bytes, now: float) -> Answer | None:
        """Take a block whose address is ours; None is silence.

        Whatever was offered before and not acknowledged stays for a later POLL.
        """
        faults = self._common
        self._offered = []
        self._on_ack = None
        if block[0] in POLLS:
            self.polled_at = self._now()
        if faults.unpolled_reset_s:
            self._watch_silence(faults.unpolled_reset_s)
        if faults.mute_s > 0:
            self._mute_until = now + faults.mute_s
            faults.mute_s = 0.0
        if not self.powered or faults.silent or now < self._mute_until:
            if self.on_unheard is not None:
                self.on_unheard(block[:-1])
            return None
        if faults.silent_commands > 0:
            faults.silent_commands -= 1
            return None
        if faults.resets > 0:
            faults.resets -= 1
            self.self_reset()
            return None
        if len(block) < 2 or block[-1] != checksum(block[:-1]):
            return None
        if faults.naks > 0:
            faults.naks -= 1
            return Answer(self._response_s, bytes((NAK,)))
        if self.on_command is not None:
            self.on_command(block[:-1])
        reply = self._handle(block[:-1])
        if reply is None:
            self.busy_since = now if self.busy_since is None else self.busy_since
            return None
        self.busy_since = None
        if faults.lost_answers > 0:
            faults.lost_answers -= 1
            return None
        return self._answer(reply)

    def acked(self) -> None:
        """Hear the master's ACK: what was delivered is dropped."""
        if self._common.deaf_to_acks > 0:
            self._common.deaf_to_acks -= 1
            self.naked()
            return
        offered, on_ack = self._offered, self._on_ack
        self._offered, self._on_ack = [], None
        if offered and self._common.repeated_items > 0:
            self._common.repeated_items -= 1
        else:
            for item in offered:
                if item in self._queue:
                    self._queue.remove(item)
                    if self.on_item_acked is not None:
                        self.on_item_acked(item.data)
                if item.on_acked is not None:
                    item.on_acked()
        if on_ack is not None:
            on_ack()

    def naked(self) -> None:
        """Hear NAK, or nothing in time: what was delivered stays."""
        self._offered = []
        self._on_ack = None

    def ret(self) -> Answer | None:
        """Hear RET: the same block again."""
        if not self.powered or self._common.silent or not self._last:
            return None
        return self._answer(self._last)

    def chatters(self) -> bool:
        """Tell whether it wrongly answers a command that is for another."""
        if self.powered and self._common.chatter > 0:
            self._common.chatter -= 1
            return True
        return False

    # -- the world's side --------------------------------------------------------------------

    @property
    def quiet(self) -> bool:
        """Tell whether a POLL now would bring a plain ACK and change nothing."""
        return (
            self.powered
            and not self._queue
            and not self._common.waiting
            and not self._conditions()
            and self._now() >= self._mute_until
        )

    @property
    def steady(self) -> bool:
        """Tell whether POLLs bring what the last did, until a timer is due or somebody acts."""
        return not self._last and not self._common.unpolled_reset_s and self.quiet

    @property
    def answer_s(self) -> float:
        """Return how long it takes to say what it said last, beyond a plain ACK's time."""
        more = len(self._last)  # and a checksum where an ACK would stand
        return self._response_s + more * BYTE_TIME_S

    @property
    def would_chatter(self) -> bool:
        """Tell whether it would wrongly answer a command that is for another."""
        return self._common.chatter > 0

    @property
    def common_faults(self) -> PeripheralFaults:
        """Return what goes wrong with it of what may go wrong with any device."""
        return self._common

    def polled_in_vain(self) -> float | None:
        """Take a POLL if a plain ACK is the answer, else do nothing.

        Returns:
            How long it takes to begin that answer, seconds; None: it has something to say.
        """
        if not self.quiet or self._common.unpolled_reset_s:
            return None
        self.polled_at = self._now()
        self.busy_since = None
        self._offered = []
        self._on_ack = None
        self._last = ACK_ONLY
        return self._response_s

    @property
    def told_all(self) -> bool:
        """Tell whether no event waits for the master, or none can ever be told.

        States that are repeated at each POLL ("disabled", "busy") are no events.
        """
        return not self._queue or not self.powered or self._common.silent

    @property
    def waiting_items(self) -> tuple[Item, ...]:
        """Return what is kept until the master has acknowledged it."""
        return tuple(self._queue)

    def say(self, data: bytes, *, alone: bool = False) -> None:
        """Tell any bytes at the next POLL: codes of other makers, file transfer, nonsense.

        Args:
            data: As in the answer, without checksum; at most what fits into one.
            alone: Never beside other items.
        """
        self._tell(data, alone=alone)

    def mute(self, seconds: float) -> None:
        """Neither hear nor answer for `seconds` of bus time; timers and motors go on."""
        self._mute_until = max(self._mute_until, self._timeline.now() + seconds)

    def unmute(self) -> None:
        """Hear and answer again."""
        self._mute_until = min(self._mute_until, self._timeline.now())

    def power_off(self) -> None:
        """Lose the supply: running work ends where it is, nothing is heard."""
        if self.powered:
            self._truth.note("power", f"{self.name} off")
            self._lose_power()
            self._lose_items("power")
            self._clear()
            self.powered = False

    def power_on(self) -> None:
        """Get the supply back: the state after a reset."""
        if not self.powered:
            self.powered = True
            self._truth.note("power", f"{self.name} on")
            self._restart("power")

    def bus_break(self) -> None:
        """Hear a break of at least 100 ms: the state after a reset."""
        if self.powered:
            self._end_work("break")
            self._restart("break")

    def self_reset(self) -> None:
        """Reset by itself, at any moment."""
        if self.powered:
            self._truth.note("reset", f"{self.name} by itself")
            self._end_work("self")
            self._restart("self")

    def to_state(self) -> dict[str, Any]:
        """Return what outlives a loss of power, as JSON values."""
        return {"faults": faults_to_state(self._common)}

    def from_state(self, state: Mapping[str, Any]) -> None:
        """Become what `to_state` returned, as after power-up."""
        faults_from_state(self._common, state["faults"])
        self._restart("power")

    # -- for the devices ---------------------------------------------------------------------

    @abstractmethod
    def _handle(self, payload: bytes) -> Reply:
        """Carry out a command whose checksum was right."""

    @abstractmethod
    def _reset_state(self, cause: str) -> None:
        """Enter the state after power-up, break or RESET, and queue JUST RESET."""

    @abstractmethod
    def _end_work(self, cause: str) -> None:
        """End what is running, as the device does on RESET; it still has power."""

    @abstractmethod
    def _lose_power(self) -> None:
        """End what is running without any power."""

    def _conditions(self) -> tuple[int, ...]:
        """Return the one-byte states that are repeated at each POLL."""
        return ()

    def _watch_silence(self, seconds: float) -> None:
        if self._silence_watch is not None:
            self._silence_watch.cancel()
        self._silence_watch = self._timeline.loop.call_later(seconds, self._nobody_speaks)

    def _nobody_speaks(self) -> None:
        self._silence_watch = None
        if self._common.unpolled_reset_s:
            self.self_reset()

    def _lose_items(self, cause: str) -> None:
        if self._queue and self.on_items_lost is not None:
            self.on_items_lost(cause, [item.data for item in self._queue])

    def _restart(self, cause: str) -> None:
        self._lose_items(cause)
        self._clear()
        self._mute_until = self._timeline.now() + self._timeline.real(self._boot_s)
        self._reset_state(cause)

    def _clear(self) -> None:
        self._queue.clear()
        self._offered = []
        self._on_ack = None
        self._last = b""

    def _tell(
        self,
        data: bytes,
        *,
        alone: bool = False,
        on_sent: Callable[[], None] | None = None,
        on_acked: Callable[[], None] | None = None,
    ) -> Item:
        """Queue something for the next POLL."""
        item = Item(data, alone, self._timeline.now(), on_sent, on_acked)
        self._queue.append(item)
        return item

    def _pending_bytes(self) -> int:
        return sum(len(item.data) for item in self._queue)

    def _poll(self) -> bytes:
        """Compose the answer to a POLL: items first, in order, then states, as far as they fit."""
        offered: list[Item] = []
        size = 0
        for item in self._queue:
            size += len(item.data)
            if size > self.max_poll or (offered and (item.alone or offered[0].alone)):
                break
            offered.append(item)
        states = () if offered and offered[0].alone else self._conditions()
        return self._offer(offered, states)

    def _offer(self, items: list[Item], states: tuple[int, ...] = ()) -> bytes:
        self._offered = items
        for item in items:
            if not item.sent:
                item.sent = True
                if item.on_sent is not None:
                    item.on_sent()
        order = items
        if len(items) > 1 and self._common.reversed_items > 0:
            self._common.reversed_items -= 1
            order = items[::-1]
        body = b"".join(item.data for item in order)
        return body + bytes(states)[: max(0, self.max_poll - len(body))]

    def _answer(self, reply: bytes) -> Answer:
        faults = self._common
        self._last = reply
        data = reply + bytes((checksum(reply),)) if reply else bytes((ACK,))
        if reply and faults.bad_checksums > 0:
            faults.bad_checksums -= 1
            data = data[:-1] + bytes(((data[-1] + 1) & 0xFF,))
        if faults.late_answers > 0:
            faults.late_answers -= 1
            return Answer(faults.late_s, data, stubborn=True)
        return Answer(self._response_s, data)
