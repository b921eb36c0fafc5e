"""Every pin that vendd uses: its owner, its safe level and its maximum on-time.

gpiozero reads and writes levels and hears edges, no more: its own debounce, pulses and holds run
in threads on the real clock. Edges may come from a thread of the factory's (lgpio, a socket) or
from within the loop's own (a simulated board): both end in a callback on the loop.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable
from typing import Any, Final

from controller.faults import ConfigError, EffectUnknownError, HardwareError, InvariantError
from drivers.gpio.edge_time import EdgeTimes
from drivers.gpio.on_time import OnTimeWatch
from drivers.gpio.pin_shape import PinShape

_GPIOZERO_PULLS: Final = {"none": "floating", "up": "up", "down": "down"}

EdgeListener = Callable[[bool, float], None]
"""Takes an edge: whether the line is on now, and when that came about, on the loop's clock."""

Tap = Callable[[str, bool, float | None], None]
"""Takes an edge: whose line, whether it is on now, and since when; None: this moment."""


class OutputLine:
    """An output: off is its safe level, and it never stays on for longer than ``max_on_s``."""

    def __init__(
        self,
        pin: Any,
        owner: str,
        *,
        active_low: bool,
        max_on_s: float | None,
        watch: OnTimeWatch,
        tap: Tap | None = None,
    ) -> None:
        self._pin = pin
        self.owner = owner
        self._on_level = not active_low
        self.max_on_s = max_on_s
        self._watch = watch
        # A line without a limit (a keypad's row) is switched all the time and tells nothing.
        self._tap = tap if max_on_s is not None else None
        self._lock = threading.RLock()
        self._run = 0
        self._is_on = False
        self._cut_why: str | None = None
        self._on_cut: Callable[[], None] | None = None

    @property
    def is_on(self) -> bool:
        """Tell whether it was switched on and is not off yet."""
        return self._is_on

    @property
    def cut_why(self) -> str | None:
        """Return why the last run was cut from outside, or None."""
        return self._cut_why

    def on(self, *, on_cut: Callable[[], None] | None = None) -> None:
        """Switch on, watched from before the level changes.

        Args:
            on_cut: Called on the loop when the watch cuts this run.

        Raises:
            EffectUnknownError: The pin could not be written.
        """
        with self._lock:
            self._run += 1
            self._cut_why = None
            self._on_cut = _on_loop(on_cut)
            if self.max_on_s is not None:
                self._watch.arm(self, self._run, self.max_on_s)
            self._is_on = True
            self._write(on=True)
            if self._tap is not None:
                self._tap(self.owner, True, None)

    def off(self) -> None:
        """Switch off; harmless when off. Raises EffectUnknownError."""
        with self._lock:
            self._write(on=False)
            if self._tap is not None and self._is_on:
                self._tap(self.owner, False, None)
            self._is_on = False
            self._on_cut = None
            if self.max_on_s is not None:
                self._watch.disarm(self)

    def cut(self, run: int, why: str) -> None:
        """Switch off from outside, if run number ``run`` is still the one that is on."""
        with self._lock:
            if run != self._run or not self._is_on:
                return
            self._cut_why = why
            tell = self._on_cut
            try:
                self.off()
            finally:
                if tell is not None:
                    tell()

    def read(self) -> bool:
        """Read the level back. Raises what the pin library raises."""
        return bool(self._pin.state)

    def _write(self, *, on: bool) -> None:
        try:
            self._pin.state = self._on_level if on else not self._on_level
        except Exception as error:
            word = "on" if on else "off"
            raise EffectUnknownError(f"{self.owner}: cannot be switched {word}: {error}") from error


def _on_loop(callback: Callable[[], None] | None) -> Callable[[], None] | None:
    """Return ``callback`` as something that any thread may call."""
    if callback is None:
        return None
    loop = asyncio.get_running_loop()

    def tell() -> None:
        try:
            loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop is closed: nobody waits for the news any more
            return

    return tell


class InputLine:
    """An input: its level now, and its edges."""

    def __init__(
        self, pin: Any, owner: str, shape: PinShape, times: EdgeTimes, tap: Tap | None = None
    ) -> None:
        self._pin = pin
        self._times = times
        self._tap = tap
        self.owner = owner
        self.shape = shape
        self._active_level = not shape.active_low
        self._listeners: list[EdgeListener] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._last_s = 0.0  # of the last edge

    @property
    def active(self) -> bool:
        """Read the line: on or off, not high or low."""
        return bool(self._pin.state) == self._active_level

    def read(self) -> bool:
        """Read the level. Raises what the pin library raises."""
        return bool(self._pin.state)

    def listen(self, listener: EdgeListener) -> Callable[[], None]:
        """Call ``listener`` at each edge, on the running loop: with on or off, and since when.

        The time is the edge's own and never before that of the edge before. It may be well past
        when a busy loop gets to hear of it, and the line may have changed again since.

        Returns:
            What ends it.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._thread, self._last_s = loop, threading.get_ident(), 0.0
        if not self._listeners:
            self._pin.edges = "both"
            self._pin.when_changed = self._edge  # gpiozero keeps a weak reference; we live in Lines
        self._listeners.append(listener)

        def forget() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)
                if not self._listeners:
                    self._pin.when_changed = None

        return forget

    def _edge(self, ticks: float, state: float) -> None:
        active = bool(state) == self._active_level
        assert self._loop is not None, "edges come to listeners only"
        at_s = self._last_s = max(self._last_s, self._times.of(ticks, self._loop.time()))
        if threading.get_ident() == self._thread:
            self._deliver(active, at_s)
            return
        try:
            self._loop.call_soon_threadsafe(self._deliver, active, at_s)
        except RuntimeError:  # the loop is closed: nobody listens any more
            return

    def _deliver(self, active: bool, at_s: float) -> None:
        if self._tap is not None:
            self._tap(self.owner, active, at_s)
        for listener in tuple(self._listeners):
            listener(active, at_s)


class Lines:
    """The pins of one chip, each with one owner.

    Args:
        factory: An open gpiozero pin factory.
        watch: Who keeps the outputs' maximum on-times.
        at_exit: Switch everything off when the interpreter ends, however it ends.
        tap: Takes the edges that somebody drives or listens to.
    """

    def __init__(
        self,
        factory: Any,
        watch: OnTimeWatch,
        *,
        at_exit: bool = False,
        tap: Tap | None = None,
    ) -> None:
        self._factory = factory
        self._times = EdgeTimes(factory)
        self._tap = tap
        self._watch = watch
        self._outputs: dict[int, OutputLine] = {}
        self._inputs: dict[int, InputLine] = {}
        self._closed = False
        if at_exit:
            atexit.register(self.close)

    def output(self, shape: PinShape, owner: str, *, max_on_s: float | None) -> OutputLine:
        """Open an output at its safe level (off).

        Args:
            shape: Which pin.
            owner: Who uses it, in the words of the configuration.
            max_on_s: The longest time it may be on without being switched off, in seconds. None
                only for a line that moves, heats and locks nothing, such as a keypad's row.

        Raises:
            ConfigError: The pin has an owner already, does not exist or cannot be opened.
        """
        pin = self._claim(shape, owner)
        try:
            pin.output_with_state(shape.active_low)
        except Exception as error:
            raise _unfit(shape, owner, error) from error
        line = OutputLine(
            pin,
            owner,
            active_low=shape.active_low,
            max_on_s=max_on_s,
            watch=self._watch,
            tap=self._tap,
        )
        self._outputs[shape.number] = line
        return line

    def input(self, shape: PinShape, owner: str) -> InputLine:
        """Open an input; one that is open already with the same prefixes is shared.

        Raises:
            ConfigError: The pin is an output, has other prefixes, or cannot be opened.
        """
        known = self._inputs.get(shape.number)
        if known is not None and _same(known.shape, shape):
            return known
        pin = self._claim(shape, owner)
        try:
            pin.function = "input"
            pull = _GPIOZERO_PULLS[shape.pull]
            if pin.pull != pull:
                pin.pull = pull
        except Exception as error:
            raise _unfit(shape, owner, error) from error
        line = InputLine(pin, owner, shape, self._times, self._tap)
        self._inputs[shape.number] = line
        return line

    def all_off(self) -> None:
        """Drive every output to its safe level; one that fails does not keep the next one on.

        Raises:
            EffectUnknownError: The first failure, after all have been tried.
        """
        failure: EffectUnknownError | None = None
        for line in self._outputs.values():
            try:
                line.off()
            except EffectUnknownError as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def lost(self) -> str:
        """Return why no pin at all can be reached any more; "" while one can.

        A factory that knows by itself says so in its own ``lost``; else each pin is read until one
        answers, which is the first one. One bad pin is not the end of all.
        """
        asks = getattr(self._factory, "lost", None)
        if asks is not None:
            return str(asks())
        why = ""
        lines: list[OutputLine | InputLine] = [*self._outputs.values(), *self._inputs.values()]
        for line in lines:
            try:
                line.read()
            except Exception as error:  # noqa: BLE001 - each pin library has errors of its own
                why = why or f"{line.owner}: {str(error) or type(error).__name__}"
            else:
                return ""
        return why

    def close(self) -> None:
        """Switch everything off and stop listening; the pins keep their safe level.

        Raises:
            EffectUnknownError: An output can't be driven, and the pins are there.
        """
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        try:
            self.all_off()
        except EffectUnknownError:
            if not self.lost():  # else nobody here can, and who has noticed says so
                raise
        finally:
            self._watch.close()

    def _claim(self, shape: PinShape, owner: str) -> Any:
        if self._closed:
            raise InvariantError(f"{owner}: the pins are closed")
        holder = self._outputs.get(shape.number) or self._inputs.get(shape.number)
        if holder is not None:
            raise ConfigError(f"{owner}: pin {shape.number} belongs to {holder.owner}")
        try:
            return self._factory.pin(shape.number)
        except Exception as error:
            raise _unfit(shape, owner, error) from error


def _same(one: PinShape, other: PinShape) -> bool:
    return (one.active_low, one.pull) == (other.active_low, other.pull)


def _unfit(shape: PinShape, owner: str, error: Exception) -> ConfigError:
    said = str(error) or type(error).__name__
    kind = HardwareError if isinstance(error, OSError) else ConfigError
    return kind(
        f"{owner}: pin {shape.number} cannot be used: {said}; "
        "is it a pin of this board, and free of other programs and of the kernel's buses?"
    )
