"""The customer's keys: contacts between pins, or the kernel's keypad as its input events.

A matrix of bare contacts shows ghosts: with three corners of a rectangle pressed, the fourth reads
as pressed too. The kernel's form is ``struct input_event`` of a 64-bit system, as its driver
``gpio-matrix-keypad`` writes it: scan code, key, synchronisation.
Source: linux/input.h, linux/input-event-codes.h.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from config.models import KernelKeypad, MatrixKeypad
from simulator.pins.board import PinBoard

_EVENT: Final = struct.Struct("@qqHHi")  # seconds, microseconds, type, code, value
EVENT_SIZE: Final = _EVENT.size

_EV_SYN: Final = 0x00
_EV_KEY: Final = 0x01
_EV_MSC: Final = 0x04
_MSC_SCAN: Final = 0x04


class UnknownKeyError(LookupError):
    """This keypad has no such key."""


class Keypad(Protocol):
    """Keys that a finger can hold down and let go."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys there are."""
        ...

    def down(self, key: str) -> None:
        """Press a key. Raises UnknownKeyError."""
        ...

    def up(self, key: str) -> None:
        """Let a key go. Raises UnknownKeyError."""
        ...


def _unknown(key: str, keys: Iterable[str]) -> UnknownKeyError:
    return UnknownKeyError(f"no key {key!r}; there are: {' '.join(keys)}")


class MatrixKeys:
    """Bare contacts at the crossings of row pins and column pins.

    Args:
        board: The pins.
        plan: Which pins, and which key stands at which crossing.
    """

    def __init__(self, board: PinBoard, plan: MatrixKeypad) -> None:
        self._board = board
        self._crossings = {
            key: (row.number, column.number)
            for row, line in zip(plan.rows, plan.layout, strict=True)
            for column, key in zip(plan.columns, line, strict=True)
        }
        self._held: set[str] = set()
        for pin in (*plan.rows, *plan.columns):
            # Scanning makes hundreds of edges a second, which nobody wants to read.
            board.wire(pin.number, active_low=pin.active_low, traced=False)

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys there are."""
        return tuple(self._crossings)

    def down(self, key: str) -> None:
        """Close a contact."""
        crossing = self._crossing(key)
        self._held.add(key)
        self._board.bridge(*crossing)

    def up(self, key: str) -> None:
        """Open a contact."""
        crossing = self._crossing(key)
        self._held.discard(key)
        self._board.unbridge(*crossing)

    def _crossing(self, key: str) -> tuple[int, int]:
        crossing = self._crossings.get(key)
        if crossing is None:
            raise _unknown(key, self._crossings)
        return crossing


class KernelKeys:
    """The kernel's keypad: whole reports of input events.

    Args:
        plan: Which event code means which key.
        now_s: Seconds since 1970, for the events' stamps.
        sink: Takes the bytes of one report; what it can't deliver is lost, as with a device that
            nobody has open.
    """

    def __init__(
        self, plan: KernelKeypad, now_s: Callable[[], float], sink: Callable[[bytes], None]
    ) -> None:
        self._codes: dict[str, int] = {}
        for code, key in plan.codes.items():
            self._codes.setdefault(key, code)
        self._now_s = now_s
        self.sink = sink

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys there are."""
        return tuple(self._codes)

    def down(self, key: str) -> None:
        """Report a key as pressed."""
        self._report(key, 1)

    def up(self, key: str) -> None:
        """Report a key as let go."""
        self._report(key, 0)

    def _report(self, key: str, value: int) -> None:
        code = self._codes.get(key)
        if code is None:
            raise _unknown(key, self._codes)
        seconds, rest = divmod(self._now_s(), 1.0)
        events = (
            (_EV_MSC, _MSC_SCAN, list(self._codes).index(key)),
            (_EV_KEY, code, value),
            (_EV_SYN, 0, 0),
        )
        self.sink(b"".join(_EVENT.pack(int(seconds), int(rest * 1e6), *event) for event in events))


class NoKeys:
    """A machine without a keypad."""

    keys: tuple[str, ...] = ()

    def down(self, key: str) -> None:
        """Refuse: there is nothing to press."""
        raise UnknownKeyError(f"no key {key!r}: this machine has no keypad")

    def up(self, key: str) -> None:
        """Refuse: there is nothing to let go."""
        self.down(key)
