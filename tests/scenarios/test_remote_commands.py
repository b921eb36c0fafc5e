"""The fleet's commands at the machine: once for an id, in order, and told of an end."""

import asyncio

import pytest

from controller.domain import commands as cmd
from controller.machine.inputs import CommandRefused
from tests.scenarios.stage import Stage, play

DAY = 24 * 3_600_000


async def confirm(stage: Stage) -> int:
    assert stage.running is not None
    desk = stage.running.machine.desk
    now = desk.now_ms + 1_000
    await stage.running.machine.act(cmd.ConfirmTime(now, desk.now, first=True), "fleet")
    return now


def order(id_: str, now: int, command: cmd.Command | None, **more: object) -> cmd.Remote:
    fields: dict[str, object] = {
        "kind": "price.set",
        "target": "A1",
        "counter": 5,
        "issuer": "anna",
        "expires_ms": now + DAY,
        "command": command,
        **more,
    }
    return cmd.Remote(id=id_, **fields)  # type: ignore[arg-type]  # by their names


def ran(stage: Stage, kind: str = "price.set") -> list[str]:
    return [record.type for record in stage.told if record.type == kind]


def test_a_command_runs_once_and_a_repeat_gets_the_recorded_result() -> None:
    async def story(stage: Stage) -> None:
        assert stage.running is not None
        now = await confirm(stage)
        wanted = order("c1", now, cmd.SetPrice("A1", 170))

        first = await stage.running.machine.act(wanted, "fleet")
        written = stage.running.journal.next_seq
        again = await stage.running.machine.act(wanted, "fleet")

        assert first == again
        assert first["outcome"] == "done"
        assert stage.running.journal.next_seq == written, "a repeat writes nothing"
        assert ran(stage) == ["price.set"]

    play(story)


def test_a_repeat_after_a_restart_gets_the_recorded_result() -> None:
    async def story(stage: Stage) -> None:
        assert stage.running is not None
        now = await confirm(stage)
        wanted = order("c1", now, cmd.SetPrice("A1", 170))
        first = await stage.running.machine.act(wanted, "fleet")
        await stage.kill()
        await stage.opens()
        assert stage.running is not None

        again = await stage.running.machine.act(wanted, "fleet")

        assert again == first
        assert ran(stage) == ["price.set"]

    play(story)


def test_an_older_command_of_the_same_kind_and_target_is_superseded() -> None:
    async def story(stage: Stage) -> None:
        assert stage.running is not None
        now = await confirm(stage)
        act = stage.running.machine.act

        await act(order("c2", now, cmd.SetPrice("A1", 170), counter=7), "fleet")
        late = await act(order("c1", now, cmd.SetPrice("A1", 100), counter=6), "fleet")
        other = await act(
            order("c3", now, cmd.SetPrice("A2", 100), counter=1, target="A2"), "fleet"
        )

        assert (late["outcome"], other["outcome"]) == ("superseded", "done")
        assert ran(stage) == ["price.set"] * 2

    play(story)


def test_an_expired_command_does_not_run_and_says_so() -> None:
    async def story(stage: Stage) -> None:
        assert stage.running is not None
        now = await confirm(stage)

        late = await stage.running.machine.act(
            order("c1", now, cmd.SetPrice("A1", 170), expires_ms=now - 1), "fleet"
        )

        assert late["outcome"] == "expired"
        assert ran(stage) == []

    play(story)


def test_a_command_waits_for_the_time() -> None:
    async def story(stage: Stage) -> None:
        assert stage.running is not None
        with pytest.raises(CommandRefused, match="time is not known"):
            await stage.running.machine.act(order("c1", 0, cmd.SetPrice("A1", 170)), "fleet")
        assert ran(stage) == []

    play(story)


def test_what_the_machine_refuses_is_a_recorded_result() -> None:
    async def story(stage: Stage) -> None:
        assert stage.running is not None
        now = await confirm(stage)

        answer = await stage.running.machine.act(order("c1", now, cmd.SetPrice("Z9", 170)), "fleet")

        assert answer["outcome"] == "refused"
        assert "no column 'Z9'" in answer["detail"]

    play(story)


def test_a_long_command_ends_with_a_record_of_its_own() -> None:
    async def story(stage: Stage) -> None:
        assert stage.running is not None
        now = await confirm(stage)
        wanted = order("t", now, cmd.CountTubes(), kind="coins.count", target="")

        answer = await stage.running.machine.act(wanted, "fleet")

        assert answer["outcome"] == "done"
        assert answer["result"]
        kinds = [r.type for r in stage.told if r.type.startswith("command.")]
        assert kinds == ["command.started", "command.finished"]

    play(story)


def test_a_long_command_that_a_kill_cuts_short_ends_as_interrupted() -> None:
    async def story(stage: Stage) -> None:
        assert stage.running is not None
        now = await confirm(stage)
        enter = order("s", now, cmd.EnterService(), kind="service.enter", target="")
        await stage.running.machine.act(enter, "fleet")
        wanted = order("t", now, cmd.TryMotor("A1"), kind="motor.test", target="A1")
        waiting = asyncio.ensure_future(stage.running.machine.act(wanted, "fleet"))
        await stage.until(lambda: len(ran(stage, "command.started")) == 2)
        await stage.kill()
        waiting.cancel()
        await stage.boot()
        assert stage.running is not None
        await stage.until(lambda: len(ran(stage, "command.finished")) == 2)

        again = await stage.running.machine.act(wanted, "fleet")

        assert again["outcome"] == "interrupted"

    # A staff's test of a motor is no vend: the product that fell is nobody's in the books.
    play(story, judged=False)
