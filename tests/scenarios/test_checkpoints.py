"""A machine of a fleet states its books, every hour and at each collection."""

from typing import Any

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
