"""A claim's code is on the panel until somebody can have copied it, whatever else is said."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.app import BUILT
from controller.machine.desk import CLAIM_NOTICE_S, NOTICE_S
from controller.machine.promises import TURN_S
from controller.ports import DeviceName, ReaderDisplay
from simulator.oracles import Allowance
from simulator.world import Link
from tests.scenarios.stage import SETTINGS, Stage, play, with_policy
from tests.scenarios.test_baskets import BASKET, CLASSIC

BLIND = Allowance(blind=True)


def codes(stage: Stage) -> list[str]:
    return [claim.code for claim in stage.state.claims.values()]


def on_panel(stage: Stage, code: str) -> bool:
    return code in stage.screen.replace(" ", "")


def changer_was_reset(stage: Stage) -> bool:
    return any(
        fact.what == "changer" and "aborted" in fact.detail for fact in stage.world.truth.log
    )


async def no_coins(stage: Stage) -> None:
    """Nothing can be paid from now on."""
    for value in list(stage.world.tubes()):
        stage.world.empty_tube(value)
    await stage.kill()
    await stage.opens()


def test_the_code_of_a_cards_claim_stays_when_coins_are_paid_beside_it(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(50)
        stage.breaks("A3", "jam")
        stage.breaks("cashless1", "refund", "error")
        await stage.pays_by_card("A3")
        assert stage.claimed == stage.spent == 150
        await stage.passes(40.0)
        assert on_panel(stage, codes(stage)[0])
        await stage.passes(30.0)
        assert not on_panel(stage, codes(stage)[0])

    play(scenario, link)


def test_a_code_outlasts_a_payout_that_takes_longer_than_a_code_is_shown(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100)
        stage.breaks("A3", "jam")
        stage.breaks("cashless1", "refund", "error")
        stage.breaks("changer", "stall")
        stage.press("A3")
        await stage.until(lambda: "approval" in stage.intents)
        assert stage.world.present_card("card")
        await stage.until(lambda: "payout" in stage.intents)
        code = codes(stage)[0]
        assert not on_panel(stage, code)  # what is paid beside it has words of its own
        begun = stage.loop.time()
        await stage.passes(40.0)
        assert on_panel(stage, code)
        await stage.until(lambda: changer_was_reset(stage), within_s=90.0)
        stage.mends("changer", "stall")
        await stage.until(lambda: not stage.state.sagas)
        assert stage.loop.time() - begun > CLAIM_NOTICE_S
        await stage.passes(40.0)
        assert on_panel(stage, code)
        await stage.passes(30.0)
        assert not on_panel(stage, code)

    play(scenario, link)


def test_two_claims_of_one_vend_are_shown_in_turn(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await no_coins(stage)
        await stage.coins(200)  # for which there is no tube
        stage.breaks("B2", "jam")
        stage.breaks("cashless1", "refund", "error")
        await stage.pays_by_card("B2")
        first, second = codes(stage)
        assert stage.claimed == stage.spent == 240
        seen = set()
        for _ in range(6):
            seen |= {code for code in (first, second) if on_panel(stage, code)}
            await stage.passes(8.0)
        assert seen == {first, second}

    play(scenario, link)


def test_a_restart_shows_a_code_again_that_its_customer_could_not_copy(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.clock.set_wall(BUILT + timedelta(days=30))
        stage.breaks("A3", "jam")
        stage.breaks("cashless1", "refund", "error")
        await stage.pays_by_card("A3")
        await stage.kill()
        await stage.opens()
        await stage.quiet()
        assert on_panel(stage, codes(stage)[0])
        await stage.passes(70.0)
        await stage.kill()
        await stage.opens()
        await stage.quiet()
        assert not on_panel(stage, codes(stage)[0])

    play(scenario, link)


def test_after_a_restart_the_next_customer_reads_no_code_of_the_last(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.clock.set_wall(BUILT + timedelta(days=30))
        stage.breaks("A3", "jam")
        stage.breaks("cashless1", "refund", "error")
        await stage.pays_by_card("A3")
        stage.press("*")
        await stage.coins(100, 50)
        stage.press("A1")
        await stage.until(lambda: bool(stage.records("dispense.intended")[1:]))
        await stage.kill()
        await stage.opens()
        await stage.quiet()
        assert not on_panel(stage, codes(stage)[0])

    play(scenario, link)


def test_after_a_power_cut_a_stranger_reads_no_code(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        stage.breaks("cashless1", "refund", "error")
        await stage.pays_by_card("A3")
        await stage.cut_power()
        await stage.passes_without(5.0)
        await stage.restore_power()
        await stage.opens()
        await stage.quiet()
        assert not on_panel(stage, codes(stage)[0])

    play(scenario, link, allowance=BLIND)


def test_a_clock_that_stands_still_lets_no_stranger_read_a_code(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.clock.set_wall(BUILT - timedelta(days=30))
        stage.breaks("A3", "jam")
        stage.breaks("cashless1", "refund", "error")
        await stage.pays_by_card("A3")
        await stage.kill()
        await stage.opens()
        await stage.quiet()
        assert not on_panel(stage, codes(stage)[0])

    play(scenario, link)


def test_a_code_that_was_honoured_is_shown_no_more(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        stage.breaks("cashless1", "refund", "error")
        await stage.pays_by_card("A3")
        code = codes(stage)[0]
        stage.press("#" + code)
        await stage.until(lambda: stage.credit == 200, within_s=30.0)
        await stage.passes(15.0)
        assert not on_panel(stage, code)

    play(scenario, link)


@pytest.mark.parametrize("how", ["silent", "jam_on_stack"])
def test_the_code_of_a_stuck_bill_stays_when_the_vend_that_it_was_to_pay_ends(
    how: str, link: Link
) -> None:
    """That vend has nothing to give back: the bill is a claim of its own."""

    async def scenario(stage: Stage) -> None:
        await stage.until(lambda: stage.world.insert_bill(1000), within_s=10.0)
        await stage.shows("10.00")
        if how == "jam_on_stack":
            stage.breaks("bill", how)
        stage.press("A3")
        await stage.until(lambda: bool(stage.records("stack.intended")))
        if how == "silent":
            stage.breaks("bill", how)
        await stage.until(lambda: stage.claimed == 1000, within_s=90.0)
        await stage.until(lambda: not stage.state.sagas)
        for _ in range(5):
            assert on_panel(stage, codes(stage)[0])
            await stage.passes(8.0)
        await stage.passes(30.0)
        assert not on_panel(stage, codes(stage)[0])

    play(scenario, link, settings=with_policy(escrow="hold"), allowance=BLIND, judged=False)


def test_the_code_of_a_stuck_bill_is_read_before_anything_else_of_its_basket(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.until(lambda: stage.world.insert_bill(500), within_s=10.0)
        await stage.shows("5.00")
        for number, selection in enumerate(("A1", "A3", "B4"), 1):
            stage.press(selection)
            await stage.shows(f"Items {number}")
        stage.press("#")
        await stage.until(lambda: bool(stage.records("stack.intended")))
        stage.breaks("bill", "silent")
        await stage.until(lambda: stage.claimed == 500, within_s=90.0)
        for _ in range(5):
            assert on_panel(stage, codes(stage)[0])
            await stage.passes(8.0)
        assert len(stage.records("vend.opened")) == 1

    held = with_policy(escrow="hold", basket=True)
    play(scenario, link, settings=held, allowance=BLIND, judged=False)


def test_the_code_of_a_stuck_bill_stays_when_other_money_is_paid_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(1000)
        await stage.until(lambda: stage.world.insert_bill(1000), within_s=10.0)
        await stage.until(lambda: len(stage.records("stack.intended")) == 2)
        stage.breaks("bill", "jam_on_stack")
        stage.breaks("changer", "stall")
        stage.press("*")
        await stage.until(lambda: stage.claimed == 1000, within_s=90.0)
        assert on_panel(stage, codes(stage)[0])
        await stage.until(lambda: changer_was_reset(stage), within_s=90.0)
        stage.mends("changer", "stall")
        await stage.until(lambda: not stage.state.sagas)
        for _ in range(5):
            assert on_panel(stage, codes(stage)[0])
            await stage.passes(8.0)

    play(scenario, link, allowance=BLIND, judged=False)


def test_a_code_stays_when_its_customer_asks_for_the_other_money_at_once(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(50)
        await stage.until(lambda: stage.world.insert_bill(1000), within_s=10.0)
        stage.breaks("bill", "jam_on_stack")
        await stage.until(lambda: stage.claimed == 1000, within_s=90.0)
        code = codes(stage)[0]
        assert on_panel(stage, code)
        await stage.gives_back()
        assert stage.last.paid_back == 50
        assert on_panel(stage, code)
        await stage.passes(70.0)
        assert not on_panel(stage, code)

    play(scenario, link, allowance=BLIND, judged=False)


def test_a_code_is_not_shown_to_who_wants_money_back_that_came_after_it(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await no_coins(stage)
        await stage.coins(200)  # for which there is no tube
        await stage.gives_back()
        await stage.passes(TURN_S + 1.0)
        await stage.coins(50, 200)
        await stage.gives_back()
        assert (stage.last.paid_back, stage.last.claimed) == (50, 200)
        first, second = codes(stage)
        assert on_panel(stage, second)
        for _ in range(8):
            await stage.passes(8.0)
            assert not on_panel(stage, first)

    play(scenario, link)


async def promised_while_the_disk_wrote(stage: Stage, seconds: float = 15.0) -> None:
    """Coins, and the wish to have them back, on a disk that takes its time; nothing can be paid."""
    await no_coins(stage)
    stage.disk.sync_latency = lambda: seconds
    stage.world.insert_coin(200)
    await stage.passes(1.0)
    stage.press("*")


def test_coins_that_came_while_a_slow_disk_wrote_hide_no_code_that_nobody_has_read(
    link: Link,
) -> None:
    async def scenario(stage: Stage) -> None:  # seed 700000226
        await promised_while_the_disk_wrote(stage)
        stage.world.insert_coin(200)
        await stage.until(lambda: bool(stage.state.claims), within_s=90.0)
        stage.disk.sync_latency = None
        await stage.passes(30.0)
        assert on_panel(stage, codes(stage)[-1])

    play(scenario, link)


def test_a_code_that_came_behind_a_slow_disk_is_shown_behind_the_vend_that_was_keyed_meanwhile(
    link: Link,
) -> None:
    async def scenario(stage: Stage) -> None:  # seed 730166
        await promised_while_the_disk_wrote(stage)
        stage.press("A1#")
        await stage.until(lambda: len(stage.state.sagas) > 0, within_s=90.0)
        stage.disk.sync_latency = None
        await stage.until(lambda: not stage.state.sagas, within_s=200.0)
        await stage.passes(5.0)
        assert on_panel(stage, codes(stage)[-1])

    play(scenario, link)


def test_keys_behind_coins_of_a_slow_disk_hide_no_code_that_nobody_has_read(link: Link) -> None:
    async def scenario(stage: Stage) -> None:  # seed 700000226
        await promised_while_the_disk_wrote(stage)
        for _ in range(2):
            stage.world.insert_coin(200)
            await stage.passes(1.0)
        stage.press("B2")
        await stage.until(lambda: bool(stage.state.claims), within_s=90.0)
        stage.disk.sync_latency = None
        code = codes(stage)[0]
        await stage.until(lambda: on_panel(stage, code), within_s=30.0)
        for _ in range(5):
            await stage.passes(8.0)
            assert on_panel(stage, code)
        await stage.passes(30.0)
        assert not on_panel(stage, code)

    play(scenario, link)


def test_a_code_whose_minute_is_over_when_a_slow_disk_has_written_it_is_shown(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await promised_while_the_disk_wrote(stage, CLAIM_NOTICE_S + 5.0)
        await stage.until(lambda: bool(stage.state.claims), within_s=200.0)
        stage.disk.sync_latency = None
        code = codes(stage)[0]
        await stage.until(lambda: on_panel(stage, code), within_s=CLAIM_NOTICE_S + 20.0)
        await stage.passes(50.0)
        assert on_panel(stage, code)
        await stage.passes(15.0)
        assert not on_panel(stage, code)

    play(scenario, link)


async def promised(stage: Stage) -> str:
    """A claim that has just been made; its code."""
    await no_coins(stage)
    await stage.coins(200)
    await stage.gives_back()
    assert on_panel(stage, codes(stage)[0])
    return codes(stage)[0]


def test_coins_and_keys_take_no_code_away_before_it_has_stood_there_for_its_turn(
    link: Link,
) -> None:
    async def scenario(stage: Stage) -> None:
        code = await promised(stage)
        await stage.coins(200)
        await stage.shows("credit")  # it is seen for a moment
        await stage.until(lambda: on_panel(stage, code), within_s=5.0)
        await stage.passes(TURN_S - 1.0)
        stage.press("B")
        await stage.until(lambda: not on_panel(stage, code), within_s=1.0)
        await stage.until(lambda: on_panel(stage, code), within_s=12.0)
        await stage.passes(TURN_S - 1.0)
        assert on_panel(stage, code)
        await stage.passes(2.0)  # now it has
        await stage.coins(200)
        await stage.shows("credit")
        for _ in range(8):
            await stage.passes(8.0)
            assert not on_panel(stage, code)

    play(scenario, link)


def test_a_code_that_a_vend_has_hidden_too_soon_is_shown_behind_it(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        code = await promised(stage)
        await stage.coins(50, 50, 100)
        stage.press("A3")
        await stage.shows("take")
        await stage.until(lambda: on_panel(stage, code), within_s=5.0)
        await stage.passes(50.0)
        assert on_panel(stage, code)
        await stage.passes(15.0)
        assert not on_panel(stage, code)

    play(scenario, link)


def test_what_a_basket_lacks_puts_a_code_off_that_came_while_it_was_filled(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        code = await promised(stage)
        stage.press("A1")
        await stage.shows("Items 1")
        stage.press("A3")
        await stage.shows("Items 2")
        stage.press("#")
        await stage.shows("Missing")
        assert not on_panel(stage, code)
        await stage.until(lambda: on_panel(stage, code), within_s=NOTICE_S + 1.0)
        await stage.passes(TURN_S)
        assert on_panel(stage, code)

    play(scenario, link, settings=BASKET, plan=CLASSIC)


def test_on_a_small_glass_a_code_has_its_turn_when_all_its_pages_were_seen(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        code = await promised(stage)
        await stage.passes(1.0)
        await stage.coins(200, 200)
        stage.press("B2")
        await stage.shows("no change")  # three pages, longer than it is told
        await stage.until(lambda: on_panel(stage, code), within_s=12.0)
        await stage.passes(TURN_S - 1.0)
        await stage.coins(200)
        await stage.until(lambda: on_panel(stage, code), within_s=12.0)
        await stage.passes(TURN_S + 1.0)
        await stage.coins(200)
        for _ in range(8):
            await stage.passes(4.0)
            assert not on_panel(stage, code)

    assert SETTINGS.display is not None
    display = SETTINGS.display.model_copy(update={"cols": 16, "rows": 2})
    play(scenario, link, settings=SETTINGS.model_copy(update={"display": display}))


def test_a_code_that_was_hidden_for_long_is_shown_to_no_stranger() -> None:
    async def scenario(stage: Stage) -> None:
        code = await promised(stage)
        await stage.passes(1.0)
        assert stage.running is not None
        inbox = stage.running.machine.inbox
        for _ in range(60):  # a reader that will not be silent
            inbox.notify(ReaderDisplay(DeviceName.CASHLESS1, "Hello", 20.0))
            await stage.passes(11.0)
            assert not on_panel(stage, code)
        for _ in range(8):
            await stage.passes(8.0)
            assert not on_panel(stage, code)

    play(scenario)
