"""vendd, the very same, with an end that is planned: SIGKILL around a chosen commit or act.

    crashing_vendd.py guard|run --config FILE --home DIR RECORD_TYPE before|after
    crashing_vendd.py guard|run --config FILE --home DIR ACT amid|done

The kill comes with the first commit that holds a record of the type, or with the first act of that
name (``act_name``), while the file ``armed`` is in DIR; what else that commit held is written to
``killed`` there. ``amid`` is a moment after the act has begun, ``done`` when it has ended and
nothing of its outcome is written yet. Nothing of this is in vendd: its composition is handed
another storage, and the runner is watched from outside.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.machine import MachineSettings
from config.settings import load
from controller.guard import GuardTimes, guard_main
from controller.journal.database import Access, Database, LogSize, Row, Statement, Storage, Value
from controller.machine import effects as fx
from controller.machine.performing import Performer
from controller.machine.runner import Machine
from controller.ports import Heartbeat
from drivers.gpio.safe import SafeOutputs

ARMED = "armed"
KILLED = "killed"
AMID_S = 0.05  # a block has gone out and is being answered, a motor is turning

_TYPE = re.compile(rb'"type":"([a-z_.]+)"')


@dataclass(frozen=True)
class Trap:
    """When to die."""

    home: Path
    kind: str
    when: str

    def holds(self, statements: Sequence[Statement]) -> bool:
        """Tell whether this commit is the one; note what is in it."""
        return self.springs([
            name.decode()
            for _, values in statements
            for value in values
            if isinstance(value, bytes)
            for name in _TYPE.findall(value)[:1]
        ])  # fmt: skip

    def springs(self, found: list[str]) -> bool:
        """Tell whether this is the one, once; note what was found."""
        if self.kind not in found or not (self.home / ARMED).exists():
            return False
        (self.home / ARMED).unlink()
        (self.home / KILLED).write_text(json.dumps(found))
        return True


def die() -> None:
    """End here and now."""
    os.kill(os.getpid(), signal.SIGKILL)


def act_name(effect: fx.Effect) -> str:
    """Name a kind of act."""
    match effect:
        case fx.Settle(success=success):
            return "SettleSuccess" if success else "SettleFailure"
        case fx.CancelApproval(after_restart=True):
            return "CancelApprovalAfterRestart"
        case fx.Turn(vend=0):
            return "TestTurn"
        case fx.Turn(extra=True):
            return "ExtraTurn"
        case _:
            return type(effect).__name__


def watch_acts(trap: Trap) -> None:
    """Have the runner's acts end the process, if the trap is for one."""
    begin, perform = Machine._begin, Performer.perform

    def beginning(self: Machine, effect: fx.Effect) -> None:
        begin(self, effect)
        at_once = isinstance(effect, fx.Beep | fx.Wake | fx.Exit | fx.AskTime | fx.SwitchClimate)
        if at_once and trap.springs([act_name(effect)]):
            die()  # they are over when they have begun

    async def performing(self: Performer, effect: fx.Effect) -> Any:
        if not trap.springs([act_name(effect)]):
            return await perform(self, effect)
        if trap.when == "amid":
            asyncio.get_running_loop().call_later(AMID_S, die)
            return await perform(self, effect)
        try:
            return await perform(self, effect)
        finally:
            die()

    Machine._begin = beginning  # type: ignore[method-assign] # watched from outside
    Performer.perform = performing  # type: ignore[method-assign] # watched from outside


class CrashingDatabase:
    """A database that takes its process along."""

    def __init__(self, inner: Database, trap: Trap) -> None:
        self._inner = inner
        self._trap = trap

    async def transaction(self, statements: Sequence[Statement]) -> None:
        deadly = self._trap.holds(statements)
        if deadly and self._trap.when == "before":
            die()
        await self._inner.transaction(statements)
        if deadly:
            die()

    async def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        return await self._inner.query(sql, parameters)

    async def checkpoint(self, *, truncate: bool = False) -> LogSize:
        return await self._inner.checkpoint(truncate=truncate)

    async def close(self) -> None:
        await self._inner.close()


class CrashingStorage:
    """A storage whose databases do so; everything else is the inner one's."""

    def __init__(self, inner: Storage, trap: Trap) -> None:
        self._inner = inner
        self._trap = trap

    async def open(self, name: str, access: Access) -> Database:
        return CrashingDatabase(await self._inner.open(name, access), self._trap)

    async def read(self, name: str) -> bytes | None:
        return await self._inner.read(name)

    async def write(self, name: str, content: bytes, *, private: bool = False) -> None:
        await self._inner.write(name, content, private=private)

    async def reserve(self, name: str, size: int) -> None:
        await self._inner.reserve(name, size)

    async def remove(self, names: Iterable[str]) -> None:
        await self._inner.remove(names)

    async def rename(self, old: str, new: str) -> None:
        await self._inner.rename(old, new)

    async def link(self, name: str, other: str) -> None:
        await self._inner.link(name, other)

    async def names(self) -> list[str]:
        return await self._inner.names()

    async def size(self, name: str) -> int | None:
        return await self._inner.size(name)

    async def free_bytes(self) -> int:
        return await self._inner.free_bytes()


def main(arguments: list[str]) -> int:
    command, _, config, _, home, kind, when = arguments
    settings = load(Path(config), home=Path(home))
    if command == "guard":
        safe = SafeOutputs.of(
            settings.outputs(), settings.gpio.pin_factory, dict(settings.gpio.factory_arguments)
        )
        return guard_main(
            [sys.executable, __file__, "run", *arguments[1:]],
            safe.drive,
            prepare=safe.prepare,
            times=GuardTimes(silence_s=settings.guard.heartbeat_timeout_ms / 1000),
        )
    from controller import app, daemon

    real = app.real_parts

    trap = Trap(Path(home), kind, when)

    def parts(settings: MachineSettings, heartbeat: Heartbeat | None) -> app.Parts:
        made = real(settings, heartbeat)
        made.storage = CrashingStorage(made.storage, trap)
        return made

    app.real_parts = parts
    if when in ("amid", "done"):
        watch_acts(trap)
    return daemon.run(settings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
