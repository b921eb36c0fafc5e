"""What a brain knows besides the journal, at rest: where a replay can begin.

At rest no saga is open, no command waits and no card's session runs, so that everything is plain
values. What comes of acts that are under way then is told to the brain like anything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

from controller.machine.brain import Brain
from controller.machine.desk import Desk, Live
from controller.recorder.coding import CodingError, decode, encode
from controller.saga.recovery import Phase

_FUTURES: Final = ("replies", "service_wanted")  # of commands that wait: none does at rest
_HELPERS: Final = "controller.machine."
_OF_THE_TURN: Final = frozenset(
    {"journal", "state", "mode", "clock", "mint", "modes", "live", "effects", "written", "answers"}
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A brain at rest."""

    at_s: float  # monotonic
    boot: int
    seq: int  # the last record that the state holds
    state: bytes
    memory: dict[str, Any]  # JSON values


def at_rest(brain: Brain) -> bool:
    """Tell whether a replay can begin here."""
    desk = brain.desk
    live = desk.live
    done = brain.recovery is not None and brain.recovery.phase is Phase.DONE
    return (
        done
        and not desk.state.sagas
        and not live.replies
        and live.service_wanted is None
        and live.session is None
        and live.config is None
        and live.planogram is None
        and not brain.remote.busy
        and not desk.effects
        and not desk.answers
        and not brain.stopping
    )


def take(brain: Brain) -> Checkpoint:
    """Write a brain down. Raises CodingError."""
    desk = brain.desk
    live = {
        field.name: encode(getattr(desk.live, field.name))
        for field in fields(Live)
        if field.name not in _FUTURES
    }
    memory = {
        "mode": encode(desk.mode),
        "live": live,
        "label": encode(desk.journal.label),
        "disk_full": desk.journal.disk_full,
        "brain": dict(_plain(brain, brain)),
        "helpers": {name: dict(_plain(helper, brain)) for name, helper in _helpers(brain)},
    }
    return Checkpoint(desk.now, desk.journal.boot, desk.state.seq, desk.state.encode(), memory)


def put(brain: Brain, memory: dict[str, Any]) -> None:
    """Make a fresh brain the one that was written down. Raises CodingError."""
    desk = brain.desk
    desk.put(decode(memory["mode"]))
    for name, value in memory["live"].items():
        setattr(desk.live, name, decode(value))
    for name, value in memory["brain"].items():
        setattr(brain, name, decode(value))
    helpers = dict(_helpers(brain))
    for name, values in memory["helpers"].items():
        if name not in helpers:
            raise CodingError(f"this software's brain has no {name}")
        for attribute, value in values.items():
            setattr(helpers[name], attribute, decode(value))


def configuration(desk: Desk) -> dict[str, Any]:
    """Return what the owner decided, as the desk has it: JSON values. Raises CodingError."""
    return {
        name: encode(value)
        for name, value in vars(desk).items()
        if not name.startswith("_") and name not in _OF_THE_TURN and not callable(value)
    }


def _helpers(brain: Brain) -> Iterator[tuple[str, Any]]:
    for name, value in vars(brain).items():
        if type(value).__module__.startswith(_HELPERS) and not isinstance(value, Desk):
            yield name, value


def _plain(owner: Any, brain: Brain) -> Iterator[tuple[str, Any]]:
    """Yield the attributes that are values, not other parts of the brain, and no functions."""
    parts = {id(part) for _, part in _helpers(brain)} | {id(brain.desk)}
    for name, value in vars(owner).items():
        if id(value) not in parts and not hasattr(value, "_desk") and not callable(value):
            yield name, encode(value)
