"""The fleet's commands through kills: whatever the instant, each takes effect at most once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from controller.domain import commands as cmd
from tests.scenarios.stage import Stage, play
from tests.scenarios.test_remote_commands import DAY, confirm, order

# Virtual seconds behind the order: before its commit, in it, between commit and effect, behind it.
INSTANTS = (0.0, 0.002, 0.01, 0.05, 0.5)

Made = Callable[[Stage], cmd.Command]

# Kind -> the command, the records that are its effect, and what must hold where it was told done.
KINDS: dict[str, tuple[Made, str, Callable[[Stage], bool]]] = {
    "price.set": (
        lambda _: cmd.SetPrice("A1", 170), "price.set", lambda s: s.state.prices["A1"] == 170
    ),
    "machine.lock": (
        lambda _: cmd.LockMachine("recall"), "machine.locked",
        lambda s: s.state.orders.lock is not None,
    ),
    "message.show": (
        lambda _: cmd.ShowMessage("Hello", 600.0), "message.shown",
        lambda s: s.state.orders.shown is not None,
    ),
    "credit.grant": (
        lambda _: cmd.GrantAppCredit("pay-1", 150, 600.0, "A1"), "right.granted",
        lambda s: "pay-1" in s.state.grants,
    ),
    "audit.read": (lambda _: cmd.ReadAudit(), "command.finished", lambda _: True),
    "software.update": (
        lambda s: cmd.UpdateSoftware("c", "1.2.0", "ab" * 32, "vendd-1.2.0", 10**15),
        "update.intended", lambda _: True,
    ),
    "coins.count": (lambda _: cmd.CountTubes(), "operator.acted", lambda _: True),
    "refund.local": (
        lambda _: cmd.ReturnCredit(), "credit_return.opened", lambda s: s.credit == 0
    ),
    "service.enter": (
        lambda _: cmd.EnterService(), "service.entered", lambda s: bool(s.state.service_by)
    ),
}  # fmt: skip


@pytest.mark.parametrize("after_s", INSTANTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_command_that_a_kill_meets_at_any_instant_takes_effect_at_most_once(
    kind: str, after_s: float
) -> None:
    make, effect, holds = KINDS[kind]

    async def story(stage: Stage) -> None:
        now = await confirm(stage)
        if kind == "refund.local":
            await stage.coins(100)
        assert stage.running is not None
        sent = order("c", now, make(stage), kind=kind, target="", expires_ms=now + DAY)
        waiting = asyncio.ensure_future(stage.running.machine.act(sent, "fleet"))
        await asyncio.sleep(after_s)
        await stage.kill()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await stage.boot()
        await stage.until(lambda: stage.state.recovered)
        await confirm(stage)
        for _ in range(3):  # the fleet publishes it until it knows the answer
            await stage.running.machine.act(sent, "fleet")
            await stage.passes(2.0)
        await stage.quiet()

        journal = stage.running.journal
        records = [record async for record in journal.records()]
        types = [record.type for record in records]
        assert types.count("command.started") == 1
        assert types.count("command.finished") == 1
        assert types.count(effect) <= 1
        assert len(stage.spool.written) <= 1
        command = stage.state.remote.commands["c"]
        assert command.outcome in ("done", "interrupted", "handed_over")
        if command.outcome == "done":
            assert types.count(effect) == 1
            assert holds(stage)
        if command.outcome == "handed_over":
            assert len(stage.spool.files) == 1

    play(story)
