"""Coins at odd moments and on odd ways: each is credited exactly once, or comes back.

The reports of routing errors, double arrivals and lost credits that every changer's manual lists.
A coin that is told again, or not whole: ``test_coins_told_again``.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.domain import accounts as acc
from controller.domain import commands as cmd
from controller.faults import FaultCode
from simulator.peripherals.changer_settings import CoinSpec
from simulator.plan import WorldPlan, changer_for, plan_for
from simulator.world import Link
from tests.scenarios.stage import SETTINGS, Stage, play, with_mdb, with_policy


def plan(**changer: object) -> WorldPlan:
    """The demo's devices with another changer."""
    made = replace(changer_for("EUR"), **changer)  # type: ignore[arg-type]
    return replace(plan_for(SETTINGS), changer=made)


def test_a_coin_in_mid_vend_comes_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100, 50)
        stage.press("A1")
        await stage.until(lambda: "dispense" in stage.intents)
        await stage.passes(0.5)
        stage.world.insert_coin(20)
        await stage.closes()
        await stage.quiet()
        assert stage.products == ["water"]
        assert stage.spent == 150
        assert stage.credit == 0

    play(scenario, link)


@pytest.mark.parametrize("late_s", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_a_coin_that_rolls_while_a_selection_is_keyed_is_not_lost(
    late_s: float, link: Link
) -> None:
    """It is past the gate before the inhibit: credit that goes back with the change."""

    async def scenario(stage: Stage) -> None:
        await stage.coins(100, 50)
        stage.press("A1")
        await stage.passes(0.05 + late_s)
        stage.world.insert_coin(20)
        await stage.closes()
        await stage.quiet()
        assert stage.products == ["water"]
        assert stage.spent - stage.credit == 150

    play(scenario, link, plan=plan(transport_s=0.1))


@pytest.mark.parametrize("late_s", [0.0, 0.05, 0.1, 0.15, 0.3, 0.5])
def test_a_coin_in_mid_payout_is_not_taken_for_a_coin_that_was_not_paid(
    late_s: float, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        changer = stage.world.changer
        assert changer is not None
        await stage.coins(100, 100)
        stage.press("B4")
        await stage.until(lambda: bool(stage.records("dispense.finished")))
        await stage.passes(late_s)
        stage.world.insert_coin(50)
        await stage.closes()
        await stage.quiet()
        assert stage.products == ["gum"]
        assert stage.spent - stage.credit == 50
        assert stage.claimed == 0
        assert stage.flags == []

    play(scenario, link, plan=plan(transport_s=0.1))


@pytest.mark.parametrize("odd", ["lost_credits", "double_arrivals"])
def test_a_coin_that_never_reached_the_credit_point_gives_none(odd: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("changer", odd)
        stage.world.insert_coin(100)
        await stage.passes(2.0)
        assert stage.credit == 0
        await stage.coins(100, 50)
        await stage.buys("A1")
        assert stage.spent == 150

    play(scenario, link)


def test_a_misrouted_coin_is_credited_and_booked_where_it_lies(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("changer", "misroutes")
        await stage.coins(100)
        await stage.quiet()
        assert stage.faults_raised("changer", FaultCode.CHANGER_ROUTING) == 1
        await stage.coins(50)
        await stage.buys("A1")
        assert stage.spent == 150
        assert not stage.has_fault("changer", FaultCode.CHANGER_ROUTING)
        assert stage.state.ledger.balance(acc.MISSING) == 0

    play(scenario, link)


def test_a_coin_jam_is_told_once_and_the_next_coin_shows_that_it_is_over(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        changer = stage.world.changer
        assert changer is not None
        stage.breaks("changer", "coin_jam")
        stage.world.insert_coin(100)
        await stage.until(lambda: stage.has_fault("changer", FaultCode.CHANGER_COIN_JAM))
        await stage.passes(20.0)
        assert stage.credit == 0
        changer.clear_coin_jam()
        await stage.coins(100)
        await stage.until(lambda: not stage.has_fault("changer", FaultCode.CHANGER_COIN_JAM))
        assert stage.faults_raised("changer", FaultCode.CHANGER_COIN_JAM) == 1
        await stage.gives_back()
        assert stage.spent == 0

    play(scenario, link)


def test_an_unplugged_acceptor_is_one_incident(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("changer", "acceptor_unplugged")
        await stage.until(lambda: stage.has_fault("changer", FaultCode.CHANGER_ACCEPTOR_UNPLUGGED))
        await stage.passes(60.0)
        stage.world.insert_coin(100)
        await stage.passes(2.0)
        assert stage.spent == 0
        stage.mends("changer", "acceptor_unplugged")
        await stage.coins(100)
        assert stage.faults_raised("changer", FaultCode.CHANGER_ACCEPTOR_UNPLUGGED) == 1
        assert not stage.has_fault("changer", FaultCode.CHANGER_ACCEPTOR_UNPLUGGED)
        await stage.gives_back()

    play(scenario, link)


def test_a_slug_is_nothing(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.world.insert_coin(0, name="slug")
        stage.world.insert_coin(3)
        await stage.passes(2.0)
        assert stage.credit == 0
        assert stage.spent == 0

    play(scenario, link)


def test_coins_beyond_the_largest_credit_come_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200, 100)
        stage.world.insert_coin(100)
        await stage.passes(2.0)
        assert stage.credit == 300
        await stage.coins(50)
        await stage.gives_back()
        assert stage.spent == 0

    play(scenario, link, settings=with_policy(max_credit=350))


def test_forgotten_credit_goes_back_by_itself_once_nothing_moved_it(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100)
        await stage.passes(7.0)
        await stage.coins(20)
        await stage.passes(8.0)
        assert stage.credit == 120, "the second coin began the time anew"
        await stage.closes()
        assert stage.spent == 0
        assert stage.last.kind == "return"

    play(scenario, link, settings=with_policy(credit_timeout_s=10.0))


def test_a_must_vend_machine_gives_back_only_after_a_try(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100, 50)
        stage.press("*")
        await stage.passes(3.0)
        assert stage.credit == 150
        stage.breaks("A1", "jam")
        stage.breaks("A2", "jam")
        await stage.buys("A1")
        assert stage.spent == 0

    play(scenario, link, settings=with_policy(must_vend=True))


def test_several_vends_from_one_credit_and_the_change_at_the_end(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200, 100)
        await stage.buys("B4")
        assert stage.credit == 250
        await stage.buys("B3")
        assert stage.credit == 130
        await stage.buys("A3")
        assert stage.credit == 130, "too little for cola: asked for more, or for a card"
        await stage.gives_back()
        assert stage.products == ["gum", "bar"]
        assert stage.spent == 170

    play(scenario, link, settings=with_policy(multi_vend=True, approval_timeout_s=5.0))


def test_without_change_the_machine_says_exact_change_only_and_sells_for_exact_coins(
    link: Link,
) -> None:
    async def scenario(stage: Stage) -> None:
        for value in (5, 10, 20, 50, 100):
            stage.world.empty_tube(value)
        await stage.act(cmd.CountTubes())
        await stage.shows("exact change")
        await stage.coins(200)
        stage.press("A1")
        await stage.shows("exact change")
        await stage.passes(5.0)
        assert stage.products == []
        assert stage.credit == 200
        await stage.buys("A3")
        assert stage.products == ["cola"]
        assert stage.spent == 200

    play(scenario, link)


def test_coins_that_cannot_be_given_back_become_a_claim_not_nothing(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        for value in (5, 10, 20, 50, 100):
            stage.world.empty_tube(value)
        await stage.act(cmd.CountTubes())
        await stage.coins(200)
        await stage.gives_back()
        assert stage.claimed == 200
        assert stage.account.returned == 0

    play(scenario, link)


def test_a_kept_reserve_is_never_paid_out(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        for value in (5, 50, 100):
            stage.world.empty_tube(value)
        stage.world.empty_tube(20, leave=3)
        stage.world.empty_tube(10, leave=7)
        await stage.act(cmd.CountTubes())
        await stage.coins(20, 20, 20, 10)
        await stage.gives_back()
        assert stage.spent == 0
        assert stage.world.tubes()[20] >= 3
        assert stage.world.tubes()[10] >= 5

    play(scenario, link)


def test_coins_of_a_defective_tube_go_to_the_box_and_change_comes_from_others(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        changer = stage.world.changer
        assert changer is not None
        changer.break_tube_sensor(4)
        await stage.until(lambda: stage.has_fault("changer", FaultCode.CHANGER_TUBE_SENSOR))
        await stage.coins(100, 100)
        await stage.gives_back()
        assert stage.spent == 0
        changer.mend_tube(4)
        await stage.act(cmd.CountTubes())
        await stage.until(lambda: not stage.has_fault("changer", FaultCode.CHANGER_TUBE_SENSOR))
        await stage.coins(100)
        await stage.gives_back()
        assert stage.spent == 0

    play(scenario, link)


@pytest.mark.parametrize(("change", "account"), [(-4, acc.MISSING), (4, acc.UNCLAIMED)])
def test_coins_that_no_record_explains_show_at_the_next_count(
    change: int, account: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        if change > 0:
            stage.world.fill_tube(50, change)
        else:
            stage.world.empty_tube(50, leave=stage.world.tubes()[50] + change)
        await stage.act(cmd.CountTubes())
        assert abs(stage.state.ledger.balance(account)) == 200
        await stage.coins(200)
        await stage.buys("B4")
        assert stage.spent == 50

    play(scenario, link)


def test_coins_that_are_let_out_by_the_switches_are_the_operators(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        changer = stage.world.changer
        assert changer is not None
        assert changer.press_switch(3, 2) == 0, "the switches are dead while it sells"
        await stage.act(cmd.EnterService())
        await stage.passes(1.0)
        assert changer.press_switch(3, 2) == 2
        await stage.until(lambda: bool(stage.records("coins.released")))
        await stage.act(cmd.LeaveService())
        await stage.passes(2.0)
        assert stage.state.ledger.balance(acc.MISSING) == 0

    play(scenario, link)


def test_a_coin_that_the_owner_does_not_want_comes_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.world.insert_coin(5)
        await stage.passes(2.0)
        assert stage.credit == 0
        await stage.coins(100, 50)
        await stage.buys("A1")
        assert stage.spent == 150

    play(scenario, link, settings=with_mdb("changer", accept=(10, 20, 50, 100, 200)))


def test_a_changer_of_another_currency_takes_nothing_and_cards_still_sell(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        assert stage.has_fault("changer", FaultCode.DEVICE_UNSUITABLE)
        stage.world.insert_coin(100)
        await stage.passes(2.0)
        assert stage.spent == 0
        await stage.pays_by_card("A3")
        assert stage.products == ["cola"]
        assert stage.faults_raised("changer") == 1
        assert stage.loop.time() < 15.0, "nobody waited for it"

    play(scenario, link, plan=plan(currency=0x1840, coins=(CoinSpec(100, 60),)))


def test_a_changer_that_tells_credited_coins_were_pulled_out_is_a_fault(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        changer = stage.world.changer
        assert changer is not None
        await stage.coins(200)
        changer.steal_credited_coin(200)
        await stage.until(lambda: stage.has_fault("changer", FaultCode.CHANGER_COIN_REMOVED))
        assert stage.faults_raised("changer", FaultCode.CHANGER_COIN_REMOVED) == 1
        await stage.stop()

    play(scenario, link, ends=False)


def test_a_coin_pulled_while_it_rolls_gives_no_credit_when_power_is_gone(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.world.insert_coin(100)
        await stage.passes(0.1)
        await stage.cut_power()
        await stage.restore_power()
        await stage.opens()
        assert stage.credit == 0
        assert stage.spent == 0

    play(scenario, link)


@pytest.mark.parametrize("late_s", [0.0, 0.02, 0.05, 0.1, 0.15, 0.2])
def test_a_count_of_the_tubes_takes_no_coin_for_found_that_was_not_told_yet(
    late_s: float, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        for _ in range(4):
            before = stage.credit
            stage.world.insert_coin(100)
            await stage.passes(0.1 + late_s)
            await stage.act(cmd.CountTubes())
            await stage.until(lambda before=before: stage.credit > before)  # type: ignore[misc]
        await stage.passes(2.0)
        assert stage.state.ledger.balance(acc.UNCLAIMED) == 0
        assert stage.state.ledger.balance(acc.MISSING) == 0
        await stage.gives_back()
        assert stage.spent == 0

    play(scenario, link, plan=plan(transport_s=0.1))


@pytest.mark.parametrize(
    "habit",
    [
        {"setup_values": 6},
        {"lever_repeats": True},
        {"reports_rejects": True},
        {"reports_slugs": False},
        {"scaling": 1},
        {"scaling": 50, "decimals": 3},
        {"detects_empty": False},
        {"full_without_tube": 0xFF20},
        {"pays_first": (0, 1, 2)},
        {"level": 2, "options": 0, "setup_values": 7},
        {"options": 0},
        {"response_s": 0.0048},
        {"boot_s": 1.5},
    ],
    ids=lambda habit: "-".join(f"{name}={value}" for name, value in habit.items()),
)
def test_changers_with_habits_of_their_own_sell_and_give_back(
    habit: dict[str, object], link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200, 50)
        await stage.buys("B4")
        assert stage.spent == 50
        await stage.coins(100)
        changer = stage.world.changer
        assert changer is not None
        changer.lever_held = True
        stage.world.pull_lever()
        await stage.closes()
        await stage.passes(2.0)
        changer.lever_held = False
        await stage.quiet()
        assert stage.spent == 50
        stage.breaks("changer", "resets")
        await stage.passes(5.0)
        await stage.coins(50)
        await stage.buys("B4")
        assert stage.spent == 100
        assert stage.claimed == 0

    play(scenario, link, plan=plan(**habit))


@pytest.mark.parametrize(
    ("part", "told", "flag"),
    [
        ("changer", "4F 00", "a coin of which nobody knows the value"),
        ("bill", "8F", "a bill of which nobody knows the value"),
    ],
)
def test_money_of_a_type_that_was_never_told_is_somebodys_and_flagged(
    part: str, told: str, flag: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        device = stage.world.changer if part == "changer" else stage.world.bill
        assert device is not None
        device.say(bytes.fromhex(told))
        await stage.until(lambda: bool(stage.flags))
        assert stage.flags == [flag]
        assert stage.credit == 0

    play(scenario, link, judged=False)
