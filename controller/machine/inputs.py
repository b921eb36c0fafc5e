"""What the actor takes, one at a time."""

from __future__ import annotations

from asyncio import Future
from dataclasses import dataclass
from typing import Any

from controller.machine.effects import Effect
from controller.ports import DeviceEvent, MoneyReport


@dataclass(frozen=True, slots=True)
class Money:
    """A driver's money report; ``durable`` is set when its records are on disk."""

    report: MoneyReport
    durable: Future[None]


@dataclass(frozen=True, slots=True)
class Heard:
    """Anything else a driver reports."""

    event: DeviceEvent


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an effect; ``result`` is the port method's value or ``Failed``."""

    effect: Effect
    result: Any


@dataclass(frozen=True, slots=True)
class Timer:
    """A ``Wake`` has run out."""

    name: str


@dataclass(frozen=True, slots=True)
class Act:
    """A technician's command; ``reply`` gets a JSON-able answer or a ``CommandRefused``."""

    command: Any
    by: str
    reply: Future[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Boot:
    """The first input: drive open sagas to their end, then sell."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End or compensate what is open within the stop time, then exit."""

    reason: str


Input = Money | Heard | Outcome | Timer | Act | Boot | Stop


class CommandRefused(Exception):  # noqa: N818 - a refusal is an answer, not a failure of ours
    """A command that can't be carried out now; the text says why and what to do."""
