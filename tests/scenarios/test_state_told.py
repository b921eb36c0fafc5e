"""What the fleet is told of a machine's state is what is true of it."""

from cloud.contract.messages import State, read
from cloud.link.snapshot import snapshot
from controller.domain import commands as cmd
from tests.scenarios.stage import Stage, play


def told(stage: Stage, backlog: int = 3) -> State:
    assert stage.running is not None
    state = snapshot(stage.running.machine, "vendd 0.1.0", backlog)
    again = read(State, state.to_bytes())
    assert again == state
    return again


def test_a_machine_that_sells_tells_its_stock_its_money_and_its_devices() -> None:
    async def story(stage: Stage) -> None:
        before = told(stage)
        await stage.coins(100, 50)
        assert told(stage).mode == "credit"
        await stage.buys("A1")
        after = told(stage)

        assert (after.mode, after.why, after.currency, after.backlog) == ("idle", "", "EUR", 3)
        assert after.stock["A1"] == before.stock["A1"] - 1
        assert sum(after.cash.values()) == sum(before.cash.values()) + 150
        assert set(after.devices.values()) == {"ready"}
        assert after.versions["vendd"] == "vendd 0.1.0"
        assert all(count >= 0 for count in after.tubes.values())
        coins = sum(int(value) * count for value, count in after.tubes.items())
        assert after.cash["tubes"] == coins

    play(story)


def test_what_is_wrong_is_told_with_its_reason() -> None:
    async def story(stage: Stage) -> None:
        await stage.act(cmd.DisableColumn("A1", "wet"))
        await stage.act(cmd.EnableReader("cashless1", False))
        stage.world.cabinet.set_door(True)
        await stage.until(lambda: told(stage).why != "")
        state = told(stage)

        assert (state.mode, state.why) == ("out_of_service", "door open")
        assert "door door.open" in state.faults
        assert state.disabled == {"A1": "wet"}
        assert state.devices["cashless1"] == "disabled"
        stage.world.cabinet.set_door(False)
        await stage.sells()
        assert told(stage).why == ""

    play(story)
