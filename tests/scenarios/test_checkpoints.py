"""A machine of a fleet states its books, every hour and at each collection."""

import asyncio
from typing import Any

import pytest

from config.models import Cloud
from controller.domain import commands as cmd
from controller.journal import attested
from controller.recorder.replay import replay
from simulator.truth import CASHBOX, TECHNICIAN
from tests.scenarios.stage import SETTINGS, Stage, play
from tests.scenarios.test_recorder import kept

FLEET = SETTINGS.model_copy(
    update={"cloud": Cloud(tenant="acme", host="localhost", tls=False, root_key="00" * 32)}
)


def stated(stage: Stage) -> list[Any]:
    return [record for record in stage.told if record.type == "checkpoint.signed"]


def test_every_hour_and_soon_after_a_start() -> None:
    async def story(stage: Stage) -> None:
        await stage.passes(2.5 * 3_600)

    stage = play(story, settings=FLEET, fold_idle=True)

    assert len(stated(stage)) == 3
    assert {record.data.reason for record in stated(stage)} == {"hourly"}


def test_at_a_collection_with_what_is_left() -> None:
    async def story(stage: Stage) -> None:
        assert stage.running is not None
        await stage.coins(100, 50)
        await stage.buys("A1")
        expected = stage.state.ledger.balance("cash.cashbox")
        stage.world.truth.empty(CASHBOX, TECHNICIAN)
        await stage.act(cmd.Collect(cashbox=expected, stacker=0, bills=0))
        report = await stage.running.journal.verify()
        assert (report.ok, report.checkpoints, report.proved) == (True, 1, 0)

    stage = play(story, settings=FLEET)

    (record,) = stated(stage)
    told = attested.read(record.data.body)
    hashes = {one.seq: one.hash.hex() for one in stage.told}
    assert record.data.reason == "collection"
    assert (told.seq, told.hash) == (record.seq - 1, hashes[record.seq - 1])
    assert "cash.cashbox" not in told.balances
    assert sum(told.balances.values()) == 0
    assert not told.confirmed


def test_a_machine_without_a_fleet_states_nothing() -> None:
    async def story(stage: Stage) -> None:
        await stage.passes(2 * 3_600)

    assert stated(play(story, fold_idle=True)) == []


def test_a_recording_of_a_collection_decides_the_same_again() -> None:
    async def story(stage: Stage) -> None:
        await stage.coins(100, 50)
        await stage.buys("A1")
        held = stage.state.ledger.balance("cash.cashbox")
        stage.world.truth.empty(CASHBOX, TECHNICIAN)
        await stage.act(cmd.Collect(cashbox=held, stacker=0, bills=0))
        await stage.act(cmd.KeepRecording())

    for lines in kept(play(story, settings=FLEET)).values():
        assert replay(lines).same
        assert b"checkpoint.signed" in b"".join(lines)


@pytest.mark.parametrize("turns", range(12))
def test_a_kill_around_a_collection_leaves_it_with_its_checkpoint_or_not_at_all(turns: int) -> None:
    async def story(stage: Stage) -> None:
        await stage.coins(100, 50)
        await stage.buys("A1")
        held = stage.state.ledger.balance("cash.cashbox")
        stage.world.truth.empty(CASHBOX, TECHNICIAN)
        work = asyncio.create_task(stage.act(cmd.Collect(cashbox=held, stacker=0, bills=0)))
        for _ in range(turns):
            await asyncio.sleep(0)
        await stage.kill()
        await asyncio.gather(work, return_exceptions=True)
        await stage.opens()
        assert stage.running is not None

        journal = stage.running.journal
        types = [record.type async for record in journal.records()]
        assert types.count("cash.collected") == types.count("checkpoint.signed") <= 1
        report = await journal.verify()
        assert (report.ok, report.checkpoints) == (True, types.count("checkpoint.signed"))

    play(story, settings=FLEET, judged=False)


def test_the_fleets_word_is_kept_once_through_a_kill() -> None:
    async def story(stage: Stage) -> None:
        assert stage.running is not None
        word = cmd.KeepCountersignature(3, "{}", "k", "00", "{}", "00")
        await stage.running.machine.act(word, "fleet")
        await stage.kill()
        await stage.opens()
        assert stage.state.proved_seq == 3
        again = await stage.running.machine.act(word, "fleet")
        assert again == {"seq": 3}

    stage = play(story, settings=FLEET)
    assert len(stage.records("checkpoint.countersigned")) == 1
