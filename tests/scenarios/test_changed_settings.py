"""Another configuration, or another version's journal, at the next start: money stays right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from config.machine import MachineSettings
from controller.domain import accounts as acc
from controller.domain import commands as cmd
from controller.faults import ConfigError, FaultCode
from controller.journal import records as rec
from controller.journal.envelope import RecordData
from simulator.peripherals.changer import SimChanger
from simulator.peripherals.changer_settings import CoinSpec
from simulator.plan import changer_for
from simulator.truth import tube
from simulator.world import Link
from tests.scenarios.stage import SETTINGS, Stage, play, with_policy

MOTOR_ENDED_S = 2.5  # the turn takes 2.4 s; what falls after it falls within the next seconds
LATE_S = (3.0, 14.0, 16.0, 25.0)  # before and behind the start's own deadline


def without_column(selection: str) -> MachineSettings:
    columns = tuple(c for c in SETTINGS.columns if c.selection != selection)
    return SETTINGS.model_copy(update={"columns": columns})


async def remembers(stage: Stage, data: RecordData) -> None:
    """Let the journal hold a record that another version may have written."""
    assert stage.running is not None
    stage.running.machine.desk.write(data)
    await stage.coins(100)  # its turn commits both


@pytest.mark.parametrize("fell", [False, True])
def test_the_column_of_an_open_turn_has_left_the_configuration(fell: bool, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200, 20, 20)
        if fell:
            stage.breaks("B2", "late_drop")
        stage.press("B2")
        await stage.until(lambda: "dispense" in stage.intents)
        if fell:
            await stage.passes(MOTOR_ENDED_S)
        await stage.kill()
        await stage.passes_without(4.0)
        stage.settings = without_column("B2")
        await stage.opens()
        await stage.quiet()
        assert bool(stage.products) is fell
        assert stage.spent == (240 if fell else 0)
        assert stage.claimed == 0
        stage.settings = SETTINGS

    play(scenario, link)


def test_a_fault_of_a_column_that_has_left_the_configuration_is_closed(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("B2", "jam")
        await stage.coins(200, 20, 20)
        await stage.buys("B2")
        assert stage.has_fault("B2", FaultCode.COLUMN_JAMMED)
        await stage.kill()
        stage.settings = without_column("B2")
        await stage.opens()
        stage.settings = SETTINGS
        assert not stage.has_fault("B2", FaultCode.COLUMN_JAMMED)

    play(scenario, link)


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("currency", "USD", r"machine\.currency = USD.*counts in EUR"),
        ("id", "other", r"machine\.id = other: the journal in .* is of demo; allowed: demo"),
    ],
)
def test_what_a_journal_was_begun_with_is_not_another_one_s(
    link: Link, setting: str, value: str, told: str
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100)
        await stage.kill()
        machine = SETTINGS.machine.model_copy(update={setting: value})
        stage.settings = SETTINGS.model_copy(update={"machine": machine})
        with pytest.raises(ConfigError, match=told):
            await stage.boot()
        stage.settings = SETTINGS
        await stage.opens()
        assert stage.credit == 100

    play(scenario, link)


def test_a_device_known_in_another_shape_is_identified_anew(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        info = dict(stage.state.devices["cashless1"])
        info["levels"] = [info.pop("level")]
        await remembers(stage, rec.DeviceIdentified(device="cashless1", info=info))
        await stage.kill()
        await stage.opens()
        assert stage.state.devices["cashless1"]["level"] == 3
        assert stage.credit == 100

    play(scenario, link)


def test_faults_of_another_version_are_closed_like_any_other(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await remembers(stage, rec.FaultRaised(part="changer", code="changer.on_fire"))
        await remembers(stage, rec.FaultRaised(part="A1", code="column.on_fire"))
        await stage.kill()
        await stage.opens()
        await stage.act(cmd.EnableColumn("A1"))
        assert not stage.state.faults

    play(scenario, link)


@pytest.mark.parametrize("late_s", LATE_S)
def test_a_changer_that_comes_late_after_a_kill_in_mid_payout_proves_what_it_paid(
    late_s: float, link: Link
) -> None:
    """It was paid in full: a claim on top would pay it twice."""

    async def scenario(stage: Stage) -> None:
        await stage.coins(200, 100)
        stage.press("B4")
        await stage.until(lambda: "payout" in stage.intents)
        await stage.passes(0.2)
        await stage.kill()
        await stage.passes_without(2.0)
        stage.world.unplug("changer")
        await stage.boot()
        await stage.passes(late_s)
        stage.world.plug("changer")
        await stage.until(lambda: stage.state.recovered)
        await stage.quiet()
        assert stage.products == ["gum"]
        assert stage.spent == 50
        assert stage.claimed == 0

    play(scenario, link)


def test_the_guard_against_refunds_outlives_a_restart(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        for selection in ("B1", "B2", "B3", "B4"):
            stage.breaks(selection, "jam")
            for _ in range(2):
                if stage.has_fault("machine", FaultCode.MACHINE_REFUNDS):
                    break
                await stage.act(cmd.EnableColumn(selection))
                await stage.coins(200, 20, 20)
                await stage.buys(selection)
        await stage.shows("out of")
        await stage.kill()
        await stage.boot()
        await stage.passes(20.0)
        assert stage.has_fault("machine", FaultCode.MACHINE_REFUNDS)
        assert "out of" in stage.screen.lower()
        await stage.act(cmd.EnterService())
        await stage.act(cmd.LeaveService())
        await stage.shows("welcome")

    play(scenario, link)


@pytest.mark.parametrize("how", ["at fault", "refunds"])
def test_a_column_that_failed_too_often_for_its_next_owner_is_off(how: str, link: Link) -> None:
    retries = {"column_retries": 2, "column_refunds_max": 0}

    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        for _ in range(2):
            await stage.coins(100, 100)
            await stage.buys("A3")
        assert not stage.state.stock.of("A3").disabled
        await stage.kill()
        changed = {"column_retries": 1} if how == "at fault" else {"column_refunds_max": 2}
        stage.settings = with_policy(**{**retries, **changed})
        await stage.opens()
        code = FaultCode.COLUMN_JAMMED if how == "at fault" else FaultCode.COLUMN_REFUNDS
        assert stage.state.stock.of("A3").disabled == code.value
        stage.press("A3")
        await stage.shows("Not available")
        stage.settings = with_policy(**retries)

    play(scenario, link, settings=with_policy(**retries))


def test_a_machine_that_failed_too_often_for_its_next_owner_waits_for_a_technician(
    link: Link,
) -> None:
    async def scenario(stage: Stage) -> None:
        for column, price in (("A3", (100, 100)), ("B1", (100, 50, 20, 10))):
            stage.breaks(column, "jam")
            await stage.coins(*price)
            await stage.buys(column)
        await stage.kill()
        stage.settings = with_policy(machine_refunds_max=2)
        await stage.boot()
        await stage.shows("out of")
        await stage.passes(30.0)
        assert stage.has_fault("machine", FaultCode.MACHINE_REFUNDS)
        await stage.act(cmd.EnterService())
        await stage.act(cmd.LeaveService())
        await stage.sells()
        stage.settings = SETTINGS

    play(scenario, link)


def exchange_changer(stage: Stage, *coins: CoinSpec) -> None:
    """Staff take the changer out, with all coins in it, and put another one in."""
    world, old = stage.world, stage.world.changer
    assert old is not None
    for kind in range(len(old.settings.coin_table())):
        if count := world.truth.count(tube(kind)):
            old.empty_tube(kind, count)
    settings = replace(changer_for("EUR"), coins=coins)
    world.changer = SimChanger(world.timeline, world.truth, settings)
    world.devices["changer"] = world.bus.peripherals[old.address] = world.changer


@pytest.mark.parametrize("at_work", [False, True])
def test_another_changer_has_other_coins_under_the_same_types(at_work: bool, link: Link) -> None:
    """In the books the coins of the one before would be worth what this one's types are."""

    async def scenario(stage: Stage) -> None:
        if not at_work:
            await stage.kill()
        exchange_changer(stage, CoinSpec(10, 80, 25), CoinSpec(20, 70, 7), CoinSpec(100, 60))
        if not at_work:
            await stage.opens()
        await stage.passes(10.0)
        await stage.quiet()
        ledger = stage.state.ledger
        assert ledger.balance(acc.CASH_TUBES) == 25 * 10 + 7 * 20
        assert ledger.balance(acc.UNCLAIMED) == ledger.balance(acc.MISSING) == 0
        await stage.coins(100, 100)
        await stage.buys("A1")
        assert (stage.products, stage.spent) == (["water"], 150)

    play(scenario, link)
