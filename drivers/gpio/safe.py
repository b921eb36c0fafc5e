"""Drive every output to its safe level from outside: after vendd's end, whatever ended it.

The pins of a Raspberry Pi keep their level when a process dies or is stopped. ``SafeOutputs`` is
what ``vendd guard`` does after any end of its child, and ``vendd safe-outputs`` after its own.
It uses pins, not gpiozero's devices, which would turn them into floating inputs at exit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import Any, Final

from controller.faults import EffectUnknownError
from drivers.gpio.factory import open_factory
from drivers.gpio.pin_shape import PinShape

# The kernel frees a dead process's lines before its parent hears of the death; a pin server that
# must first notice a closed connection gets this much time, well within the guard's promise.
ATTEMPTS: Final = 20
PAUSE_S: Final = 0.01


class SafeOutputs:
    """The outputs of a machine, and how to reach them.

    Args:
        outputs: Every output; off is its safe level. They are driven from the last to the first.
        open_pins: Opens the pin factory. A chip may be open in two processes, but a line has one
            owner: pins are claimed in ``drive`` only, when the other one is dead.
    """

    def __init__(self, outputs: Sequence[PinShape], open_pins: Callable[[], Any]) -> None:
        self._outputs = tuple(outputs)
        self._open_pins = open_pins
        self._factory: Any = None

    @classmethod
    def of(
        cls, outputs: Sequence[PinShape], factory: str, arguments: Mapping[str, str | int]
    ) -> SafeOutputs:
        """Name the factory as the configuration does."""
        return cls(outputs, lambda: open_factory(factory, arguments))

    def prepare(self) -> None:
        """Load and open what ``drive`` needs, so that nothing slow stands before it.

        Raises:
            ConfigError: The pin factory cannot be opened.
        """
        if self._factory is None:
            self._factory = self._open_pins()

    def drive(self) -> None:
        """Drive all outputs to their safe level; a failure does not keep the next one on.

        Raises:
            ConfigError: The pin factory cannot be opened.
            EffectUnknownError: The first failure, after all have been tried.
        """
        self.prepare()
        left = [*reversed(self._outputs)]
        failure: Exception | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                Event().wait(PAUSE_S)
            failure, left = self._try(left)
            if failure is None:
                return
        raise EffectUnknownError(f"an output cannot be driven safe: {failure}") from failure

    def _try(self, outputs: Sequence[PinShape]) -> tuple[Exception | None, list[PinShape]]:
        failure: Exception | None = None
        left = []
        for shape in outputs:
            try:
                self._factory.pin(shape.number).output_with_state(shape.active_low)
            except Exception as error:  # noqa: BLE001 - the other outputs must still be driven
                failure = failure or error
                left.append(shape)
        return failure, left
