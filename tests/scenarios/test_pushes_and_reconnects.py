"""Field lesson 20: pushes of configuration and reconnects, in any order, never touch the journal.

A gateway of others destroyed its buffer and made it anew at each reconnect when remote
configuration was on. Here whatever comes, and whenever the line or the machine goes: what was
durable stays byte for byte, in one journal, and all of it arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.link import assembly
from controller.domain import commands as cmd
from controller.machine.runner import Machine
from tests.mutants.planting import Mutant, Soil, planted
from tests.scenarios.little_fleet import CLOUD, LittleFleet
from tests.scenarios.stage import SETTINGS, Stage, play

Step = Callable[[Stage, LittleFleet], Awaitable[None]]
GOOD: Final[dict[str, Any]] = {"policy": {"max_credit": 4_000}}
FORGED: Final = bytes([9]) * 32


async def push(stage: Stage, fleet: LittleFleet) -> None:
    price = 100 + 10 * (stage.state.config.seen % 5)
    fleet.push({**GOOD, "planogram": {"columns": {"A1": {"price": price}}}})


async def push_what_is_wrong(stage: Stage, fleet: LittleFleet) -> None:
    fleet.push({"gpio": {"rows": [1]}, "journal": {"folder": "/elsewhere"}})


async def push_an_old_one(stage: Stage, fleet: LittleFleet) -> None:
    fleet.push(GOOD, revision=max(1, stage.state.config.seen - 1))


async def push_a_forged_one(stage: Stage, fleet: LittleFleet) -> None:
    before = fleet.desired
    fleet.push(GOOD, revision=99, seed=FORGED)
    fleet.desired = before
    fleet.garble()


async def command_one(stage: Stage, fleet: LittleFleet) -> None:
    fleet.command("config.apply", {"revision": stage.state.config.seen + 1, "settings": GOOD})


async def plan_anew(stage: Stage, fleet: LittleFleet) -> None:
    fleet.command("planogram.apply", {"columns": {"B1": {"product": "nuts"}}})


async def reconnect(stage: Stage, fleet: LittleFleet) -> None:
    fleet.cut()


async def be_away(stage: Stage, fleet: LittleFleet) -> None:
    fleet.up = False
    fleet.cut()
    await stage.passes(30.0)
    fleet.up = True


async def lose_batches(stage: Stage, fleet: LittleFleet) -> None:
    fleet.deaf = True


async def take_batches(stage: Stage, fleet: LittleFleet) -> None:
    fleet.deaf = False


async def take_a_coin(stage: Stage, fleet: LittleFleet) -> None:
    stage.world.insert_coin(50)
    await stage.passes(3.0)


async def give_back(stage: Stage, fleet: LittleFleet) -> None:
    stage.press("*")


async def set_a_price(stage: Stage, fleet: LittleFleet) -> None:
    await stage.act(cmd.SetPrice("A1", 130))


async def wait(stage: Stage, fleet: LittleFleet) -> None:
    await stage.passes(61.0)


async def restart(stage: Stage, fleet: LittleFleet) -> None:
    await stage.quiet()
    await fleet.untie()
    await stage.stop()
    stage.cut_strings()
    await stage.opens()
    fleet.tie()


async def kill(stage: Stage, fleet: LittleFleet) -> None:
    await fleet.untie()
    await stage.kill()
    await stage.opens()
    fleet.tie()


STEPS: Final[tuple[Step, ...]] = (
    push, push_what_is_wrong, push_an_old_one, push_a_forged_one, command_one, plan_anew,
    reconnect, be_away, lose_batches, take_batches, take_a_coin, give_back, set_a_price, wait,
    restart, kill,
)  # fmt: skip


async def rows_of(stage: Stage) -> list[tuple[int, bytes]]:
    assert stage.running is not None
    return [(row[0], row[3]) async for row in stage.running.journal.rows()]


async def plays(stage: Stage, steps: Sequence[Step], found: list[str]) -> None:
    """Play steps; tell whatever touched what was durable."""
    assert stage.running is not None
    fleet = LittleFleet(stage)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly.Ways, "transport", lambda _ways: fleet)
        await stage.act(
            cmd.ConfirmTime(fleet.now_ms + 1_000, stage.running.machine.desk.now, first=True)
        )
        journal = stage.running.journal.journal_id
        fleet.tie()
        held = await rows_of(stage)
        acked = 0
        for step in steps:
            await step(stage, fleet)
            await stage.passes(0.5)
            now, books = await rows_of(stage), stage.running.journal
            if now[: len(held)] != held or books.journal_id != journal:
                found.append(f"{step.__name__} touched what was durable")
            if step is not restart and step is not kill and books.acked_seq < acked:
                found.append(f"{step.__name__} set the acknowledgement back")
            if books.acked_seq > len(fleet.chains.get(journal.hex(), [])):
                found.append(f"{step.__name__} made it count as stored what no server has")
            held, acked = now, books.acked_seq
        fleet.deaf = False
        fleet.cut()
        await stage.passes(0.5)
        await fleet.untie()
        stage.press("*")
        await stage.quiet()
        fleet.tie()
        books = stage.running.journal
        try:
            await stage.until(lambda: books.acked_seq == books.durable_seq, within_s=400.0)
        except AssertionError:
            found.append("not all of it arrived")
        if fleet.chains.get(journal.hex(), []) != await rows_of(stage):
            found.append("the fleet holds other records")
        found += fleet.wrong
        report = await books.verify()
        if not report.ok:
            found.append("the chain is broken")
        await fleet.untie()
        await asyncio.sleep(0)


def lives(steps: Sequence[Step]) -> list[str]:
    """Play steps; return what was found.

    A journal that is gone ends the controller, too: by then it was found, or nothing was.
    """
    found: list[str] = []
    try:
        play(lambda stage: plays(stage, steps, found), judged=False, fold_idle=True)
    except Exception:
        if not found:
            raise
    return found


@settings(max_examples=12)
@given(st.lists(st.sampled_from(STEPS), min_size=4, max_size=10))
def test_pushes_and_reconnects_in_any_order_never_touch_the_journal(steps: Sequence[Step]) -> None:
    assert lives(steps) == []


def test_every_step_after_every_other_leaves_the_journal_alone() -> None:
    order = [step for first in STEPS[::2] for step in (first, *STEPS[1::3])]
    assert lives(order[:40]) == []


def test_a_push_is_applied_over_the_link_and_its_state_is_told() -> None:
    async def story(stage: Stage) -> None:
        assert stage.running is not None
        fleet = LittleFleet(stage)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(assembly.Ways, "transport", lambda _ways: fleet)
            fleet.tie()
            fleet.push({"policy.max_credit": 4_000, "cloud.state_minutes": 1})
            await stage.until(lambda: stage.state.config.held.revision == 1, within_s=30.0)
            assert stage.running.machine.desk.policy.max_credit == 4_000
            await stage.passes(12.0)
            told = fleet.states[-1].configuration
            assert told is not None
            assert (told.revision, told.outcome) == (1, "applied")
            count = len(fleet.states)
            await stage.passes(200.0)
            assert len(fleet.states) >= count + 3, "once a minute"
            await fleet.untie()

    play(story, settings=SETTINGS.model_copy(update={"cloud": CLOUD}), fold_idle=True)


def test_a_command_that_waits_keeps_no_other_waiting() -> None:
    async def story(stage: Stage) -> None:
        assert stage.running is not None
        fleet = LittleFleet(stage)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(assembly.Ways, "transport", lambda _ways: fleet)
            fleet.tie()
            await stage.passes(2.0)
            await stage.coins(50)
            fleet.command("config.apply", {"revision": 1, "settings": GOOD})
            fleet.command("price.set", {"column": "B1", "price": 111})
            await stage.until(lambda: stage.state.prices.get("B1") == 111, within_s=30.0)
            assert stage.state.config.seen == 0
            await stage.gives_back()
            await stage.until(lambda: stage.state.config.seen == 1, within_s=30.0)
            await stage.quiet()
            ended = {data.kind: data.outcome for data in stage.records("command.finished")}
            assert ended == {"price.set": "done", "config.apply": "done"}
            await fleet.untie()

    play(story, fold_idle=True)


# ------------------------------------------------------------------------------- planted bugs


def make_the_buffer_anew(soil: Soil) -> None:
    """The lesson itself: what was not acknowledged goes when a configuration comes."""

    def make(real: Any) -> Any:
        def adopted(self: Machine, plan: Any) -> None:
            real(self, plan)
            database = self.desk.journal._database
            acked = self.desk.journal.acked_seq
            statement = ("DELETE FROM record WHERE seq > ?", (acked,))
            asyncio.get_running_loop().create_task(database.transaction([statement]))

        return adopted

    soil.wrap(Machine, "_adopted", make)


def take_sent_for_received(soil: Soil) -> None:
    """Behind a push everything counts as acknowledged, as if all had arrived."""

    def make(real: Any) -> Any:
        def planned(self: assembly.Fleet, plan: Any) -> None:
            real(self, plan)
            books = self._journal
            asyncio.get_running_loop().create_task(books.acknowledge(books.durable_seq, books.head))

        return planned

    soil.wrap(assembly.Fleet, "_planned", make)


@pytest.mark.parametrize(
    ("plant", "finding"),
    [
        (make_the_buffer_anew, "push touched what was durable"),
        (take_sent_for_received, "push made it count as stored what no server has"),
    ],
)
def test_a_planted_bug_of_that_kind_is_found(plant: Callable[[Soil], None], finding: str) -> None:
    steps = [lose_batches, take_a_coin, give_back, push, wait, take_batches, reconnect]
    assert lives(steps) == []
    with planted(Mutant(plant.__name__, plant)):
        assert finding in lives(steps)
