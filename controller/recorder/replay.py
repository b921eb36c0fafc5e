"""Has a real brain decide what was recorded, from the state at its start, and compares.

The same software must come to the same records, byte for byte, and to the same effects, in the
same mode. Another version may not: then the first difference says what has changed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from controller.clock import Clock
from controller.journal.envelope import Record, RecordData, encode_body, to_ms
from controller.journal.store import Journal
from controller.journal.wall_label import WallLabel
from controller.machine.brain import Brain
from controller.machine.desk import Desk
from controller.machine.inputs import Act, Heard, Input, Money
from controller.ports import DeviceName
from controller.recorder import checkpoint
from controller.recorder.coding import CodingError, decode
from controller.recorder.writing import EPOCH, FORMAT, effects_json
from controller.state.state import State


class ReplayError(ValueError):
    """The file can't be replayed; says why."""


@dataclass(slots=True)
class Difference:
    """Where the brain decided otherwise."""

    input: int  # the first is 1
    at_s: float
    what: str
    recorded: str
    decided: str


@dataclass(slots=True)
class Replayed:
    """What came of it."""

    reason: str
    software: str = ""  # that made the recording
    whole: int = 0  # inputs that it was made of; a long one's end may have been left out
    inputs: int = 0
    records: int = 0
    effects: int = 0
    types: list[str] = field(default_factory=list)  # of the records, in order
    difference: Difference | None = None

    @property
    def same(self) -> bool:
        """Tell whether the same was decided."""
        return self.difference is None


class _Clock:
    """Says what the recording says."""

    def __init__(self) -> None:
        self.mono_s = 0.0
        self.wall = EPOCH

    def monotonic_s(self) -> float:
        return self.mono_s

    def wall_utc(self) -> datetime:
        return self.wall

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nobody sleeps in a replay: {seconds}")


class _Journal:
    """Writes bodies and folds them; nothing is ever on a disk."""

    def __init__(self, state: State, boot: int, label: WallLabel, clock: Clock) -> None:
        self.state = state
        self.boot = boot
        self.label = label
        self.disk_full = False
        self.read_only = False
        self._clock = clock

    @property
    def next_seq(self) -> int:
        return self.state.seq + 1

    def stage(self, data: RecordData, *, vend: int | None = None) -> Record:
        """Write a body as the journal does, and take it into the state."""
        postings = data.postings()
        mono_ms = int(self._clock.monotonic_s() * 1000)
        at_ms, confirmed = self.label.stamp(to_ms(self._clock.wall_utc()), mono_ms)
        body = encode_body(
            data, at_ms=at_ms, confirmed=confirmed, mono_ms=mono_ms, vend=vend, postings=postings
        )
        record = Record(
            self.next_seq, self.boot, at_ms, confirmed, mono_ms, data.type, data.version, vend,
            data, postings, body, b"",
        )  # fmt: skip
        self.state.apply(record)
        return record


def replay(lines: Iterable[str | bytes]) -> Replayed:
    """Decide everything again. Raises ReplayError."""
    source = iter(lines)
    found: Replayed | None = None
    try:
        head = json.loads(next(source, b"null"))
        if not isinstance(head, dict):
            raise ReplayError("no recording: its first line says nothing of it")
        if head.get("format") != FORMAT:
            raise ReplayError(f"format {head.get('format')}, this software reads {FORMAT}")
        if head.get("gap"):
            raise ReplayError(f"a part is missing: {head['gap']}")
        stage = _Stage(head)
        found = stage.found
        loop = asyncio.new_event_loop()  # it never runs: inputs carry futures, and nobody waits
        try:
            for raw in source:
                line = json.loads(raw)
                if "input" in line and not stage.take(line, loop):
                    break
        finally:
            loop.close()
    except ReplayError:
        raise
    except Exception as error:  # whatever else a file holds, or another version's brain meets
        where = "its first line" if found is None else f"behind {found.inputs} inputs"
        raise ReplayError(f"no recording that can be replayed: {where}: {error!r}") from error
    if not found.inputs:
        raise ReplayError("it holds no input: nothing would be decided")
    return found


class _Stage:
    """A brain over a journal in memory."""

    def __init__(self, head: dict[str, Any]) -> None:
        software, whole = str(head.get("software", "")), int(head.get("inputs", 0))
        self.found = Replayed(str(head.get("reason", "")), software, whole)
        self._codes: list[tuple[int, int, str]] = []
        self.clock = _Clock()
        memory = head["memory"]
        self.clock.mono_s = head["begun_s"]
        state = State.decode(head["state"].encode())
        journal = _Journal(state, head["boot"], decode(memory["label"]), self.clock)
        journal.disk_full = memory["disk_full"]
        settings = {name: decode(value) for name, value in head["configuration"].items()}
        self.desk = Desk(
            cast("Journal[State]", journal),
            settings["base_planogram"],
            settings["policy"],
            self.clock,
            self._mint,
            seal=self._mint,
        )
        for name, value in settings.items():
            setattr(self.desk, name, value)
        self.brain = Brain(self.desk, tuple(DeviceName(name) for name in head["devices"]))
        checkpoint.put(self.brain, memory)

    def _mint(self, seq: int, amount: int) -> str:
        for known in self._codes:
            if known[:2] == (seq, amount):
                return known[2]
        return f"no code was made for {seq} over {amount}"

    def take(self, line: dict[str, Any], loop: asyncio.AbstractEventLoop) -> bool:
        """Decide one input; False where it came out otherwise."""
        desk, found = self.desk, self.found
        self.clock.mono_s = line["at"]
        self.clock.wall = EPOCH + timedelta(microseconds=line["wall_us"])
        self._codes = [(seq, amount, code) for seq, amount, code in line.get("codes", ())]
        found.inputs += 1
        item = _input(line["input"], loop)
        self.brain.take(item)
        effects, desk.effects = desk.effects, []
        written, desk.written = desk.written, []
        answers, desk.answers = desk.answers, []
        for reply, answer in answers:
            if not reply.done():
                reply.set_result(answer)
        if isinstance(item, Act) and item.reply.done() and not item.reply.cancelled():
            item.reply.exception()  # a refusal was its caller's to read
        found.records += len(written)
        found.effects += len(effects)
        found.types += [record.type for record in written]
        pairs: tuple[tuple[str, Any, Any], ...] = (
            (
                "records",
                line.get("records", []),
                [record.body.decode() for record in written],
            ),
            ("effects", line.get("effects", []), effects_json(effects)),
            ("mode", line["mode"], desk.mode.value),
        )
        for what, recorded, decided in pairs:
            if recorded != decided:
                found.difference = Difference(
                    found.inputs, line["at"], what, json.dumps(recorded), json.dumps(decided)
                )
                return False
        return True


def _input(raw: dict[str, Any], loop: asyncio.AbstractEventLoop) -> Input:
    match raw:
        case {"money": report}:
            return Money(decode(report), loop.create_future())
        case {"act": command, "by": by}:
            return Act(decode(command), by, loop.create_future())
        case {"heard": event}:
            return Heard(decode(event))
        case {"other": other}:
            return cast("Input", decode(other))
        case {"lost": why}:
            raise ReplayError(f"an input is missing: {why}")
        case _:
            raise CodingError(f"no input: {str(raw)[:60]}")
