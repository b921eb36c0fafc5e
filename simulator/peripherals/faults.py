"""Faults as typed switches with names, so that a command line can list them and a seed draw them.

A peripheral's `faults` is a dataclass whose fields carry a description. Counters say how many
more times something goes wrong and count down; other values hold until they are set back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

FaultValue = bool | int | float | str | dict[int, int]


def switch(text: str) -> Any:
    """Declare a fault that is on or off."""
    return field(default=False, metadata={"help": text})


def counter(text: str) -> Any:
    """Declare a fault that happens the next N times."""
    return field(default=0, metadata={"help": f"{text}; counts down"})


def amount(text: str, default: float = 0.0) -> Any:
    """Declare a number of seconds or the like."""
    return field(default=default, metadata={"help": text})


def whole(text: str, default: int = -1) -> Any:
    """Declare a whole number that is set, -1 for off."""
    return field(default=default, metadata={"help": f"{text}; -1 is off"})


def word(text: str, default: str = "") -> Any:
    """Declare a choice between words."""
    return field(default=default, metadata={"help": text})


def per_type(text: str) -> dict[str, str]:
    """Describe a field that holds a number per coin or bill type."""
    return {"help": f"{text}; per type, as 3=-2,4=1"}


class _Waiting:
    """Keeps whether the next exchange would go wrong until a fault is set: asked at every poll."""

    __slots__ = ("_waits",)
    _waits: bool | None

    def __setattr__(self, name: str, value: object) -> None:
        """Set a fault, and forget what was worked out."""
        object.__setattr__(self, name, value)
        object.__setattr__(self, "_waits", None)


@dataclass(slots=True)
class PeripheralFaults(_Waiting):
    """What can go wrong with any peripheral."""

    silent: bool = switch("neither hears nor answers anything")
    mute_s: float = amount("falls silent for so many bus seconds from its next command on")
    silent_commands: int = counter("the next N commands are not heard")
    lost_answers: int = counter("the next N commands are carried out, but their answers are lost")
    naks: int = counter("the next N commands are refused with NAK")
    bad_checksums: int = counter("the next N data answers carry a wrong checksum")
    late_answers: int = counter("the next N answers begin late by `late_s`")
    late_s: float = amount("how late a late answer begins, seconds", 0.012)
    deaf_to_acks: int = counter("the next N acknowledgements are not heard")
    repeated_items: int = counter("the next N acknowledged poll answers are sent once more")
    reversed_items: int = counter("the next N poll answers bring their items in reverse order")
    resets: int = counter("resets itself instead of hearing the next N commands")
    unpolled_reset_s: float = amount(
        "resets itself when it hears nothing for so many bus seconds; 0 is never"
    )
    chatter: int = counter("answers ACK to the next N commands that are for others")

    @property
    def waiting(self) -> bool:
        """Tell whether the next exchange would go wrong."""
        waits = self._waits
        if waits is None:
            waits = bool(
                self.silent or self.mute_s or self.silent_commands or self.lost_answers
                or self.naks or self.bad_checksums or self.late_answers or self.deaf_to_acks
                or self.chatter or self.repeated_items or self.reversed_items or self.resets
            )  # fmt: skip
            object.__setattr__(self, "_waits", waits)
        return waits


def set_fault(faults: PeripheralFaults, name: str, value: FaultValue) -> None:
    """Set a fault by its name; text is read as the field's type.

    Raises:
        KeyError: No such fault.
        ValueError: The value is not of the fault's type.
    """
    if name not in {entry.name for entry in fields(faults)}:
        raise KeyError(name)
    setattr(faults, name, _as_type_of(getattr(faults, name), name, value))


def faults_to_state(faults: PeripheralFaults) -> dict[str, Any]:
    """Return the faults that are not at their default, as JSON values."""
    fresh = type(faults)()
    found: dict[str, Any] = {}
    for entry in fields(faults):
        value = getattr(faults, entry.name)
        if value != getattr(fresh, entry.name):
            found[entry.name] = (
                {str(key): number for key, number in value.items()}
                if isinstance(value, dict)
                else value
            )
    return found


def faults_from_state(faults: PeripheralFaults, state: Mapping[str, Any]) -> None:
    """Set the faults that `faults_to_state` returned."""
    for name, value in state.items():
        set_fault(faults, name, value)


def _as_type_of(now: FaultValue, name: str, value: FaultValue) -> FaultValue:
    match now, value:
        case bool(), bool():
            return value
        case bool(), str() if value.lower() in ("on", "true", "yes", "1"):
            return True
        case bool(), str() if value.lower() in ("off", "false", "no", "0"):
            return False
        case dict(), str():
            pairs = (pair.partition("=") for pair in value.split(",") if pair)
            return {int(key): int(number) for key, _, number in pairs}
        case dict(), dict():
            return {int(key): int(number) for key, number in value.items()}
        case int(), int() | str() if not isinstance(now, bool) and not isinstance(value, bool):
            return int(value)
        case float(), int() | float() | str() if not isinstance(value, bool):
            return float(value)
        case str(), str():
            return value
        case _:
            raise ValueError(f"{name} is a {type(now).__name__}, not {value!r}")
