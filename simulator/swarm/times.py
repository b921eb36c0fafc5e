"""The oracle of MDB's own times, at the line and at the devices (MDB/ICP 4.2, sections 2 and 5).

An acknowledgement leaves within 5 ms of an answer or not at all, and nobody breaks the line while a
machine lives. A device that was RESET is left alone while it sets itself up (but for the word of a
vendd that ends, to take nothing), and no changer is asked for its tubes right behind that. One that
falls silent is RESET when its non-response time is over and not before, and then every ten seconds.

Three times are not held here. The pauses within a block: it is written as one piece. The time that
a device has for its answer: behind one that does not come, the next block is a beat away. And the
set-up time after power-up: a computer takes longer to start than its peripherals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from drivers.mdb.blocks import (
    COMMAND_MASK,
    NON_RESPONSE_BILL_S,
    NON_RESPONSE_CASHLESS_S,
    NON_RESPONSE_CHANGER_S,
    RESET_RETRY_S,
    RESPONSE_S,
    TUBE_STATUS_AFTER_RESET_S,
)
from simulator.native_wire import NativeWire
from simulator.swarm.evidence import NEVER
from simulator.whole import Whole

CHANGER: Final = "changer"
RESET: Final = 0
SETUP: Final = 1
TUBE_STATUS: Final = 2
ENABLE: Final = 4  # COIN TYPE, BILL TYPE, READER ENABLE; with nothing but zeros: take nothing
SET_UP_S: Final = 0.2  # that a device needs behind a RESET, before anybody talks to it
SILENCE_S: Final[Mapping[str, float]] = {
    CHANGER: NON_RESPONSE_CHANGER_S,
    "bill": NON_RESPONSE_BILL_S,
    "cashless1": NON_RESPONSE_CASHLESS_S,
    "cashless2": NON_RESPONSE_CASHLESS_S,
}
ANSWERS_S: Final = 0.5  # a device that was silent for less is RESET for another reason
POLLED_S: Final = 0.3  # its silence began behind a poll that it has heard
FIRST_TRIES: Final = 3  # RESETs of a silent device, in which a lost block is sent again soon
SPARE_S: Final = 1.0  # of the ten seconds: what others say meanwhile, and a poll before it
EPSILON_S: Final = 1e-6
TUBES_S: Final = TUBE_STATUS_AFTER_RESET_S - EPSILON_S


@dataclass(slots=True)
class Told:
    """What one device was told in this life of the controller."""

    boot: int
    reset_s: float = NEVER
    served: bool = False  # it was RESET, and set up behind that
    silent_s: float | None = None  # when it was first silent to something, since it last heard
    unheard: int = 0  # RESETs since then
    unheard_s: float = NEVER  # the last of them


def _undisturbed() -> bool:
    return True


class Times:
    """Listens on one machine's line.

    Args:
        machine: The machine; its devices' commands are told by ``heard``.
        tell: Takes what is wrong.
        sound: Tells whether one trouble at most has struck, and not the line: a RESET behind
            silence is for that silence.
    """

    def __init__(
        self,
        machine: Whole,
        tell: Callable[[str], None],
        sound: Callable[[], bool] = _undisturbed,
    ) -> None:
        self._machine = machine
        self._tell = tell
        self._sound = sound
        self._devices: dict[str, Told] = {}
        for name, device in machine.world.devices.items():
            device.on_unheard = self._misser(name)
        wire = machine.world.wire
        if isinstance(wire, NativeWire):
            wire.on_ack = self._acknowledged
            wire.on_break = lambda: tell("the line was broken: approved cards are charged by that")

    def _acknowledged(self, after_s: float) -> None:
        if after_s > RESPONSE_S + EPSILON_S:
            self._tell(f"an answer was acknowledged {after_s * 1000:.1f} ms after its end")

    def _told(self, name: str) -> Told:
        boot = self._machine.boots
        found = self._devices.get(name)
        if found is None or found.boot != boot:
            found = self._devices[name] = Told(boot)
        return found

    def heard(self, name: str, payload: bytes) -> None:
        """Take a command that a device carries out."""
        if name not in SILENCE_S:
            return
        told, now = self._told(name), self._machine.loop.time()
        command = payload[0] & COMMAND_MASK
        since = now - told.reset_s
        # Whoever ends says so to all, without a driver that knows of the RESET.
        takes_nothing = command == ENABLE and not any(payload[1:])
        if since < SET_UP_S - EPSILON_S and not takes_nothing:
            self._tell(f"{name} is talked to {since:.3f} s after its RESET")
        if command == RESET:
            self._judge(name, told, now)
            told.reset_s = now
        elif command == SETUP:
            told.served = told.reset_s != NEVER
        elif (name, command) == (CHANGER, TUBE_STATUS) and since < TUBES_S:
            self._tell(f"tubes were asked for {since:.3f} s after a reset")
        told.unheard, told.silent_s = 0, None

    def _judge(self, name: str, told: Told, now: float) -> None:
        """A device is RESET, whether it hears that or not."""
        since, busy = told.silent_s, self._machine.world.devices[name].busy_since
        if since is not None and busy is not None:
            since = min(since, busy)  # nobody hears the difference
        silent_s = 0.0 if since is None else now - since
        early = ANSWERS_S < silent_s < SILENCE_S[name] - POLLED_S
        if told.served and early and self._sound():
            self._tell(
                f"{name} is RESET after {silent_s:.1f} s of silence, and has {SILENCE_S[name]} s"
            )
        told.served = False

    def _misser(self, name: str) -> Callable[[bytes], None]:
        def unheard(payload: bytes) -> None:
            if name not in SILENCE_S:
                return
            told, now = self._told(name), self._machine.loop.time()
            if told.silent_s is None:
                told.silent_s = now
            if not payload or payload[0] & COMMAND_MASK != RESET:
                return
            self._judge(name, told, now)
            pause_s = now - told.unheard_s
            told.unheard += 1
            if told.unheard > FIRST_TRIES and pause_s < RESET_RETRY_S - SPARE_S:
                self._tell(f"{name} is silent, and RESET again after {pause_s:.1f} s")
            told.unheard_s = now

        return unheard
