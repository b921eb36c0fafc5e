"""The panel as a customer meets it: what the display says, what it said, keys, the buzzer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from config.machine import MachineSettings
from config.models import KernelKeypad, MatrixKeypad
from controller.clock import Clock
from simulator.display import DisplayModule
from simulator.i2c_server import I2cBus
from simulator.keypad import KernelKeys, Keypad, MatrixKeys, NoKeys
from simulator.pins.board import PinBoard

# A text is written letter by letter; after this pause, on the wall, it counts as what is shown.
SETTLE_S: Final = 0.03

FRAMES_KEPT: Final = 2_000  # a day of a busy machine
BEEPS_KEPT: Final = 500

# A finger, on the wall: the debouncing that it meets does not run faster when the world does.
HOLD_S: Final = 0.12
BETWEEN_KEYS_S: Final = 0.08


@dataclass(frozen=True, slots=True)
class Frame:
    """What the display showed from an instant on."""

    seq: int  # counts from 1
    at_s: float  # of the loop
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Beep:
    """One sound."""

    at_s: float
    seconds: float


class Panel:
    """Display, keypad and buzzer of one machine.

    Args:
        loop: Gives timers.
        clock: Its wall time labels key events.
        board: The pins.
        bus: The display's I2C bus.
        settings: Which parts there are, and how they are wired.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        board: PinBoard,
        bus: I2cBus,
        settings: MachineSettings,
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._board = board
        self.history: deque[Frame] = deque(maxlen=FRAMES_KEPT)
        self.beeps: deque[Beep] = deque(maxlen=BEEPS_KEPT)
        self.on_frame: Callable[[Frame], None] | None = None
        self.on_written: Callable[[], None] | None = None
        self.frames = 0  # ever shown
        self.pressing = False
        self._settling: asyncio.TimerHandle | None = None
        self._written_at_s = 0.0
        plan = settings.display
        self._bus = bus
        self._address = plan.address if plan is not None else 0
        self.display = DisplayModule(
            plan.cols if plan is not None else 20,
            plan.rows if plan is not None else 4,
            on_change=self._display_changed,
        )
        if plan is not None:
            bus.attach(plan.address, self.display)
        self.keypad = self._make_keypad(settings.keypad)
        self._sounding_since_s: float | None = None
        if settings.buzzer is not None:
            pin = settings.buzzer.pin
            board.wire(pin.number, active_low=pin.active_low)
            board.watch(pin.number, lambda _: self._buzzer_changed(pin.number))

    def _make_keypad(self, plan: MatrixKeypad | KernelKeypad | None) -> Keypad:
        if isinstance(plan, MatrixKeypad):
            return MatrixKeys(self._board, plan)
        if isinstance(plan, KernelKeypad):
            return KernelKeys(plan, lambda: self._clock.wall_utc().timestamp(), lambda _: None)
        return NoKeys()

    @property
    def lines(self) -> tuple[str, ...]:
        """Return what the display shows now, be it half written."""
        return self.display.lines

    @property
    def settled(self) -> bool:
        """Tell whether nobody is writing just now."""
        return self._settling is None

    def press(self, keys: str, hold_s: float = HOLD_S) -> None:
        """Press keys one after the other; returns at once.

        Raises:
            UnknownKeyError: This keypad lacks one of them; none was pressed.
        """
        known = self.keypad.keys
        for key in keys:
            if key not in known:
                self.keypad.down(key)  # raises, with the keys there are
        self.pressing = True
        for number, key in enumerate(keys):
            at_s = number * (hold_s + BETWEEN_KEYS_S)
            self._loop.call_later(at_s, self.keypad.down, key)
            self._loop.call_later(at_s + hold_s, self.keypad.up, key)
        end_s = len(keys) * (hold_s + BETWEEN_KEYS_S)
        self._loop.call_later(end_s, self._finger_gone)

    def plug_display(self, on: bool) -> None:
        """Pull the display off its bus, or put it back without anything on it."""
        if on:
            self.display.power_cycle()
            self._bus.attach(self._address, self.display)
        else:
            self._bus.detach(self._address)

    def power(self, on: bool) -> None:
        """Cut the display's power, or give it back."""
        self.plug_display(on)
        if not on:
            self.display.power_cycle()

    def _finger_gone(self) -> None:
        self.pressing = False

    def _display_changed(self) -> None:
        self._written_at_s = self._loop.time()
        if self._settling is None:
            self._settling = self._loop.call_later(SETTLE_S, self._settle)
        if self.on_written is not None:
            self.on_written()

    def _settle(self) -> None:
        left_s = self._written_at_s + SETTLE_S - self._loop.time()
        if left_s > 1e-6:
            self._settling = self._loop.call_later(left_s, self._settle)
            return
        self._settling = None
        lines = self.display.lines
        if self.history and self.history[-1].lines == lines:
            return
        self.frames += 1
        frame = Frame(self.frames, self._loop.time(), lines)
        self.history.append(frame)
        if self.on_frame is not None:
            self.on_frame(frame)

    def _buzzer_changed(self, pin: int) -> None:
        now_s = self._loop.time()
        if self._board.is_on(pin):
            self._sounding_since_s = now_s
        elif self._sounding_since_s is not None:
            self.beeps.append(Beep(self._sounding_since_s, now_s - self._sounding_since_s))
            self._sounding_since_s = None
