"""Acceptors stay enabled when vendd dies; the money that they take then counts exactly once."""

from __future__ import annotations

import pytest

from controller.domain import accounts as acc
from simulator.oracles import Allowance
from simulator.world import Link
from tests.scenarios.stage import Stage, play


@pytest.mark.parametrize("dead_s", [0.2, 5.0, 120.0])
def test_coins_that_were_put_in_while_vendd_was_dead_are_credit(dead_s: float, link: Link) -> None:
    """To a tube and to the cash box; the changer keeps what nobody asked for."""

    async def scenario(stage: Stage) -> None:
        await stage.coins(20)
        await stage.kill()
        for value in (100, 200, 50):
            stage.world.insert_coin(value)
            await stage.passes_without(0.5)
        await stage.passes_without(dead_s)
        await stage.opens()
        await stage.quiet()
        assert stage.credit == 370
        assert stage.flags == []
        await stage.gives_back()
        assert stage.spent == 0

    play(scenario, link)


def test_it_dies_again_and_again_while_coins_come(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        put_in = 0
        for value in (100, 50, 20, 10):
            await stage.kill()
            stage.world.insert_coin(value)
            await stage.passes_without(1.0)
            await stage.opens()
            await stage.quiet()
            put_in += value
            assert stage.credit == put_in
        await stage.gives_back()
        assert stage.spent == 0

    play(scenario, link)


@pytest.mark.parametrize("late_s", [0.0, 0.31, 0.35, 0.4, 0.45, 0.5, 0.6])
@pytest.mark.parametrize("value", [100, 200])
def test_a_kill_around_a_coin_counts_it_once(value: int, late_s: float, link: Link) -> None:
    """Only a cash-box coin that an adapter had acknowledged can be lost to the ledger."""

    async def scenario(stage: Stage) -> None:
        stage.world.insert_coin(value)
        await stage.passes_without(late_s)
        held = stage.held_by_an_answer()
        await stage.kill()
        await stage.opens()
        await stage.quiet()
        box = value == 200
        if stage.credit != value:
            assert stage.credit == 0
            assert link == "adapter"
            assert held
            if not box:
                assert stage.state.ledger.balance(acc.UNCLAIMED) == -value
                assert stage.flags

    play(scenario, link, allowance=Allowance(lost_answer=200 if link == "adapter" else 0))


@pytest.mark.parametrize("value", [100, 200])
def test_a_coin_that_falls_at_any_moment_of_the_next_start_is_credit_or_comes_back(
    value: int, link: Link
) -> None:
    """A changer that was never told to stop takes coins until its RESET, which forgets them."""

    async def scenario(stage: Stage) -> None:
        credited = 0
        for hundredths in range(-30, 50, 2):  # it falls 0.3 s later
            await stage.kill()
            if hundredths < 0:
                stage.world.insert_coin(value)
                await stage.passes_without(-hundredths / 100)
            else:
                stage.loop.call_later(hundredths / 100, stage.world.insert_coin, value)
            await stage.opens()
            await stage.quiet()
            assert stage.spent == stage.credit, f"{hundredths} hundredths after the start"
            assert stage.flags == []
            credited += stage.credit // value
            if stage.credit:
                await stage.gives_back()
        assert credited

    play(scenario, link)


def test_a_bill_that_was_put_in_while_vendd_was_dead_is_dealt_with(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.kill()
        assert stage.world.insert_bill(1000)
        await stage.passes_without(5.0)
        await stage.opens()
        await stage.quiet()
        assert stage.spent - stage.credit == 0
        await stage.bill(500)
        await stage.buys("B2")

    play(scenario, link)


def test_a_stranger_may_use_the_credit_that_a_dead_machine_kept(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100)
        await stage.kill()
        stage.world.insert_coin(50)
        await stage.passes_without(2.0)
        await stage.opens()
        await stage.shows("1.50")
        await stage.buys("A1")
        assert stage.spent == 150

    play(scenario, link)


def test_the_lever_that_was_pulled_while_vendd_was_dead_gives_the_money_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100)
        await stage.kill()
        stage.world.insert_coin(50)
        await stage.passes_without(1.0)
        await stage.opens()
        await stage.quiet()
        stage.world.pull_lever()
        await stage.closes()
        await stage.quiet()
        assert stage.spent == 0

    play(scenario, link)


def test_a_payout_goes_on_while_vendd_is_dead_and_is_counted_afterwards(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        changer = stage.world.changer
        assert changer is not None
        await stage.coins(200, 200)
        stage.press("B4")
        await stage.until(lambda: changer.paying)
        await stage.passes(0.2)
        await stage.kill()
        await stage.passes_without(3.0)
        await stage.opens()
        await stage.quiet()
        assert stage.products == ["gum"]
        assert stage.spent == 50
        assert stage.claimed == 0

    play(scenario, link)
