"""All that can be broken in one world, by part and by name.

Each part's faults are a dataclass: switches, counters that count down, numbers, words. This is the
list that a command line shows and that a seed draws from.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, fields
from functools import cache
from operator import attrgetter
from typing import Any, cast

from simulator.peripherals.faults import FaultValue, PeripheralFaults, set_fault


class UnknownFaultError(LookupError):
    """No such part, no such fault of it, or no such value; the text lists what there is."""


@dataclass(frozen=True, slots=True)
class _Part:
    faults: Callable[[], Any]  # the dataclass, which a restored state may have replaced
    changed: Callable[[], None]


def _nothing() -> None:
    """Take no notice: this part looks at its faults when they matter."""


@cache  # as many as there are kinds of parts
def _defaults(kind: Any) -> tuple[Callable[[Any], object], object, tuple[tuple[str, Any], ...]]:
    """Return what reads all faults at once, what it reads when nothing is broken, and by name."""
    fresh = kind()
    names = [entry.name for entry in fields(fresh) if entry.init and entry.name != "seed"]
    values = attrgetter(*names)
    return values, values(fresh), tuple((name, getattr(fresh, name)) for name in names)


class FaultRegistry:
    """The faults of all parts of one world."""

    def __init__(self) -> None:
        self._parts: dict[str, _Part] = {}

    def add(
        self, part: str, faults: Callable[[], Any], changed: Callable[[], None] = _nothing
    ) -> None:
        """Add a part whose faults ``faults`` returns; ``changed`` is called after each change."""
        self._parts[part] = _Part(faults, changed)

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the parts' names."""
        return tuple(self._parts)

    def describe(self, part: str) -> dict[str, str]:
        """Return each fault of a part with what it does. Raises UnknownFaultError."""
        return {
            entry.name: str(entry.metadata.get("help", ""))
            for entry in self._fields(self._part(part).faults())
        }

    def get(self, part: str, name: str) -> FaultValue:
        """Return a fault's value. Raises UnknownFaultError."""
        return cast("FaultValue", getattr(self._part(part).faults(), self._name(part, name)))

    def default(self, part: str, name: str) -> FaultValue:
        """Return a fault's value when nothing is broken. Raises UnknownFaultError."""
        fresh = type(self._part(part).faults())()
        return cast("FaultValue", getattr(fresh, self._name(part, name)))

    def set(self, part: str, name: str, value: FaultValue = True) -> FaultValue:
        """Break something, or set it right with its default; return the value as it was taken.

        True for a counter means once.

        Raises:
            UnknownFaultError: No such part or fault, or the value does not fit; says what would.
        """
        found = self._part(part)
        name = self._name(part, name)
        faults = found.faults()
        now = getattr(faults, name)
        if value is True and isinstance(now, int) and not isinstance(now, bool):
            value = 1
        try:
            # Written for peripherals, true for any dataclass of faults.
            set_fault(cast("PeripheralFaults", faults), name, value)
        except ValueError as error:
            raise UnknownFaultError(f"{part}.{name} = {value!r}: wants {_wanted(now)}") from error
        found.changed()
        return cast("FaultValue", getattr(faults, name))

    def clear(self, part: str | None = None) -> None:
        """Set every fault of a part, or of all parts, back. Raises UnknownFaultError."""
        for found in [self._part(part)] if part is not None else list(self._parts.values()):
            faults = found.faults()
            kind: Any = type(faults)
            values, unbroken, defaults = _defaults(kind)
            if values(faults) != unbroken:
                for name, default in defaults:
                    if getattr(faults, name) != default:
                        setattr(faults, name, copy(default))  # some are sets and dicts
                found.changed()

    def active(self) -> dict[str, dict[str, FaultValue]]:
        """Return what is not at its default, by part."""
        found = {part: dict(self._unusual(entry.faults())) for part, entry in self._parts.items()}
        return {part: faults for part, faults in found.items() if faults}

    def _unusual(self, faults: Any) -> Iterator[tuple[str, FaultValue]]:
        fresh = type(faults)()
        for entry in self._fields(faults):
            value = getattr(faults, entry.name)
            if value != getattr(fresh, entry.name):
                yield entry.name, value

    @staticmethod
    def _fields(faults: Any) -> list[Any]:
        return [entry for entry in fields(faults) if entry.init and entry.name != "seed"]

    def _part(self, part: str) -> _Part:
        found = self._parts.get(part)
        if found is None:
            raise UnknownFaultError(f"no part {part!r}; there are: {', '.join(self._parts)}")
        return found

    def _name(self, part: str, name: str) -> str:
        known = [entry.name for entry in self._fields(self._part(part).faults())]
        name = name.replace("-", "_")
        if name in known:
            return name
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise UnknownFaultError(f"no fault {name!r} of {part}; {hint}there are: {', '.join(known)}")


def _wanted(now: FaultValue) -> str:
    match now:
        case bool():
            return "on or off"
        case dict():
            return "a number per type, as 3=-2,4=1"
        case int():
            return "a whole number"
        case float():
            return "a number"
        case _:
            return "a word"
