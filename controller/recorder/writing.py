"""A stretch as lines of JSON: a head, then frames, edges and inputs in the order of their times.

No card data leaves the memory: of a reader's frames the command and the kind of answer are
written, of a session that it began; what a card holds, and what a reader has shown, are left out.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from controller.machine.inputs import Act, Heard, Input, Money
from controller.ports import ReaderDisplay, SessionBegun
from controller.recorder.checkpoint import Checkpoint
from controller.recorder.coding import CodingError, encode
from controller.recorder.ring import Event
from controller.recorder.taken import Taken

FORMAT: Final = 1
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)
_READERS: Final = (0x10, 0x60)  # addresses of cashless devices 1 and 2 (MDB/ICP 4.2, section 2)
_ADDRESS: Final = 0xF8
_COMMAND_BYTES: Final = 2  # command and subcommand; what follows may be a card's


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is kept."""

    about: dict[str, Any]
    configuration: dict[str, Any]
    devices: tuple[str, ...]
    start: Checkpoint
    taken: list[Taken]
    events: list[Event]


def lines_of(stretch: Stretch) -> Iterator[bytes]:
    """Yield the file's lines. Nothing is encoded before it is asked for."""
    start = stretch.start
    head = stretch.about | {
        "format": FORMAT,
        "boot": start.boot,
        "after_seq": start.seq,
        "begun_s": start.at_s,
        "inputs": len(stretch.taken),
        "events": len(stretch.events),
        "devices": list(stretch.devices),
        "configuration": stretch.configuration,
        "memory": start.memory,
        "state": start.state.decode(),
    }
    yield _line(head)
    inputs = ((taken.at_s, index, taken) for index, taken in enumerate(stretch.taken))
    # A frame is noted when its answer is there, with the time at which it began.
    events = sorted(stretch.events, key=lambda event: event[0])
    frames = ((event[0], -1, event) for event in events)
    for _, index, thing in heapq.merge(frames, inputs, key=lambda entry: entry[0]):
        yield _line(_event(thing) if index < 0 else _input(thing))  # type: ignore[arg-type]  # which is which, by its index


def _line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _event(event: Event) -> dict[str, Any]:
    at_s, kind, *rest = event
    if kind == "mdb":
        payload, answer, data, idle = rest
        found: dict[str, Any] = {"at": at_s, "mdb": _scrubbed(payload), "answer": answer}
        if data:
            is_reader = payload[0] & _ADDRESS in _READERS
            found["data"] = f"{data[0]:02x} (+{len(data) - 1})" if is_reader else data.hex(" ")
        return found | ({"idle": idle} if idle else {})
    if kind == "pin":
        owner, on = rest
        return {"at": at_s, "pin": owner, "on": on}
    return {"at": at_s, "line": kind, "data": rest[0].hex(" ")}


def _scrubbed(payload: bytes) -> str:
    if payload[:1] and payload[0] & _ADDRESS in _READERS:
        rest = len(payload) - _COMMAND_BYTES
        return payload[:_COMMAND_BYTES].hex(" ") + (f" (+{rest})" if rest > 0 else "")
    return payload.hex(" ")


def _input(taken: Taken) -> dict[str, Any]:
    line: dict[str, Any] = {
        "at": taken.at_s,
        "wall_us": (taken.wall - EPOCH) // _US,
        "input": input_json(taken.item),
        "mode": taken.mode.value,
    }
    if taken.written:
        line["records"] = [record.body.decode() for record in taken.written]
    if taken.effects:
        line["effects"] = effects_json(taken.effects)
    if taken.codes:
        line["codes"] = [list(code) for code in taken.codes]
    return line


def effects_json(effects: Iterable[Any]) -> list[Any]:
    """Return effects as JSON values."""
    return [encode(effect) for effect in effects]


def input_json(item: Input) -> Any:
    """Return an input as JSON values, without futures and without what a card says."""
    try:
        match item:
            case Money(report=report):
                return {"money": encode(report)}
            case Act(command=command, by=by):
                return {"act": encode(command), "by": by}
            case Heard(event=SessionBegun() as session):
                return {"heard": encode(replace(session, funds=None))}
            case Heard(event=ReaderDisplay() as shown):
                return {"heard": encode(replace(shown, text=""))}
            case Heard(event=event):
                return {"heard": encode(event)}
            case _:
                return {"other": encode(item)}
    except CodingError as error:
        return {"lost": str(error)}
