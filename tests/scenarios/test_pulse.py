"""A coin acceptor that tells its coins by pulses: each coin once, and nothing that is no coin."""

from __future__ import annotations

from typing import Any

import pytest

from config.models import Pulse
from config.pins import Pin
from controller.domain import accounts as acc
from controller.domain import commands as cmd
from controller.faults import FaultCode
from simulator.oracles import Allowance
from simulator.truth import CASHBOX
from simulator.world import Link
from tests.scenarios.stage import Scenario, Stage, play, with_mdb

BARE = with_mdb("changer", enabled=False)
PULSE = Pulse(
    pin=Pin(40, active_low=True, pull="up"),
    enable=Pin(41),
    return_lever=Pin(42, active_low=True, pull="up"),
    coins={1: 50, 2: 100, 4: 200},
)
SETTINGS = BARE.model_copy(update={"pulse": PULSE})


def plays(scenario: Scenario, link: Link, **more: Any) -> Stage:
    """Play it on a machine with a pulse acceptor instead of a changer."""
    return play(scenario, link, settings=more.pop("settings", SETTINGS), **more)


def gate(stage: Stage) -> bool:
    """Whether a coin would be taken now."""
    assert stage.world.pulse is not None
    return stage.world.pulse.taking


def test_coins_are_credit_the_moment_their_pulses_have_ended(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(50, 100, 200)
        assert stage.credit == 350
        assert stage.state.ledger.balance(acc.CASH_CASHBOX) == 350
        stage.press("A1")
        await stage.shows("exact change only")
        assert stage.products == [], "nothing could be paid back"

    plays(scenario, link)


def test_the_exact_amount_sells_and_the_rest_is_a_claim(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100, 50)
        await stage.buys("A1")
        assert stage.products == ["water"]
        assert stage.spent == 150
        await stage.coins(200)
        await stage.gives_back()
        assert stage.claimed == 200

    plays(scenario, link)


def test_coins_in_a_row_are_told_apart(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        for value in (200, 50, 50, 100, 200):
            stage.world.insert_coin(value)
        await stage.quiet()
        assert stage.credit == 600
        assert [d.coins[0][1] for d in stage.records("coins.deposited")] == [200, 50, 50, 100, 200]

    plays(scenario, link)


@pytest.mark.parametrize("noise", ["spikes", "bounces"])
def test_noise_on_the_line_makes_no_coin_and_hides_none(noise: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("pulse", noise, 3)
        await stage.coins(50, 100, 200)
        await stage.quiet()
        assert stage.credit == 350
        assert stage.flags == []

    plays(scenario, link)


@pytest.mark.parametrize("fault", ["lost_pulses", "long_pulse"])
def test_a_group_that_is_no_coin_is_flagged_and_never_taken_for_another(
    fault: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("pulse", fault, 1)
        stage.world.insert_coin(200)
        await stage.quiet()
        assert stage.credit == 0
        assert stage.flags == ["pulses that are no coin"]
        assert stage.records("coins.deposited")[-1].answer == "03" if fault == "lost_pulses" else 1

    plays(scenario, link, allowance=Allowance(lost_answer=200), judged=fault != "lost_pulses")


def test_a_line_that_stays_on_is_a_fault_until_it_is_off(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("pulse", "stuck_on", True)
        await stage.until(lambda: stage.has_fault("changer", FaultCode.CHANGER_COIN_JAM))
        stage.mends("pulse", "stuck_on")
        await stage.until(lambda: not stage.has_fault("changer", FaultCode.CHANGER_COIN_JAM))
        await stage.coins(100)
        assert stage.credit == 100

    plays(scenario, link)


def test_the_gate_is_open_only_while_every_coin_is_welcome(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        assert gate(stage)
        for _ in range(25):
            stage.world.insert_coin(200)
        await stage.quiet()
        assert 4_800 < stage.credit <= 5_000
        assert not gate(stage), "a 2.00 would be too much"
        before = stage.credit
        stage.world.insert_coin(50)
        await stage.quiet()
        assert stage.credit == before, "it came back"
        await stage.act(cmd.EnterService())
        assert not gate(stage)

    plays(scenario, link)


def test_nothing_is_taken_after_an_orderly_end(link: Link) -> None:
    stage = plays(lambda stage: stage.coins(50), link)
    assert not gate(stage)


def test_the_lever_gives_the_money_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100)
        stage.world.pull_lever()
        await stage.closes()
        await stage.quiet()
        assert stage.claimed == 100, "there is nothing to pay it from"

    plays(scenario, link)


@pytest.mark.parametrize("how", ["kill", "power"])
def test_a_coin_that_was_told_is_never_lost(how: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.world.insert_coin(200)
        await stage.until(lambda: bool(stage.records("coins.deposited")))
        if how == "kill":
            await stage.kill()
        else:
            await stage.cut_power()
            await stage.passes_without(2.0)
            await stage.restore_power()
        assert not gate(stage)
        stage.world.insert_coin(100)  # falls through: nobody would hear of it
        await stage.passes_without(2.0)
        await stage.opens()
        assert stage.credit == 200
        assert stage.world.truth.value(CASHBOX) == 200

    plays(scenario, link)


def test_a_kill_in_the_middle_of_a_coin_credits_no_smaller_one(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.world.insert_coin(200)
        await stage.until(lambda: stage.world.truth.value(CASHBOX) == 200)
        await stage.kill()
        await stage.opens()
        await stage.quiet()
        assert stage.credit == 0

    plays(scenario, link, allowance=Allowance(lost_answer=200), judged=False)


def test_a_pulse_acceptor_and_a_recycler_give_change_together(link: Link) -> None:
    bill = SETTINGS.mdb.bill.model_copy(update={"recycle": (500,)})
    mdb = SETTINGS.mdb.model_copy(update={"bill": bill})
    settings = SETTINGS.model_copy(update={"mdb": mdb})

    async def scenario(stage: Stage) -> None:
        await stage.coins(50)
        await stage.bill(500)
        await stage.buys("B4")
        assert stage.spent == 50

    plays(scenario, link, settings=settings)
