"""What an owner decides about selling, each decision on the byte-real machine.

Others stand where their subject is: escrow (test_escrow), must-vend, multi-vend and forgotten
credit (test_coins), largest bill (test_bills), after a failed vend (test_odd_moments).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from config.machine import MachineSettings
from controller.domain import accounts as acc
from controller.domain import commands as cmd
from controller.faults import FaultCode
from controller.machine.table import Mode
from simulator.plan import WorldPlan, plan_for
from simulator.world import Link
from tests.scenarios.stage import SETTINGS, Stage, play, with_policy


def with_column(selection: str, settings: MachineSettings = SETTINGS, **changes: Any) -> Any:
    """The demo machine with another column."""
    columns = tuple(
        column.model_copy(update=changes) if column.selection == selection else column
        for column in settings.columns
    )
    return settings.model_copy(update={"columns": columns})


def with_product(product: str, **changes: Any) -> MachineSettings:
    """The demo machine with another product."""
    products = tuple(
        one.model_copy(update=changes) if one.id == product else one for one in SETTINGS.products
    )
    return SETTINGS.model_copy(update={"products": products})


def few_coins() -> WorldPlan:
    """Tubes that pay two euros at most."""
    plan = plan_for(SETTINGS)
    assert plan.changer is not None
    coins = tuple(
        replace(coin, coins=2 if coin.value == 100 else 0) for coin in plan.changer.coin_table()
    )
    return replace(plan, changer=replace(plan.changer, coins=coins))


def holding(**products: int) -> WorldPlan:
    """Columns that hold so many, whatever vendd believes."""
    return replace(plan_for(SETTINGS), stock=products)


# ------------------------------------------------------------------------- bills and change


@pytest.mark.parametrize("needs", [True, False])
def test_a_bill_is_taken_only_if_its_change_is_there_unless_the_owner_takes_any(
    needs: bool, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.passes(1.0)
        taken = stage.world.insert_bill(500)
        assert taken is not needs
        if not taken:
            return
        await stage.until(lambda: stage.credit == 500)
        stage.press("A3")
        await stage.shows("No change")
        await stage.gives_back()
        assert stage.spent == stage.claimed == 300, "what the tubes do not have is promised"

    play(scenario, link, settings=with_policy(bill_needs_change=needs), plan=few_coins())


def test_no_bill_is_taken_that_would_need_more_change_than_the_owner_pays(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.passes(1.0)
        stage.world.insert_bill(1000)
        await stage.passes(5.0)
        assert stage.spent == 0, "it came back"
        await stage.bill(500)
        await stage.buys("A3")
        assert stage.spent == 200

    play(scenario, link, settings=with_policy(max_change=450))


# ------------------------------------------------------------------------- forgotten credit


def test_forgotten_coins_may_be_kept_with_a_record(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100)
        await stage.until(lambda: stage.credit == 0, within_s=60.0)
        assert stage.state.ledger.balance(acc.UNCLAIMED) == -100
        assert [data.coins for data in stage.records("credit.kept")] == [100]
        assert stage.spent == 100

    settings = with_policy(credit_timeout_s=20.0, on_credit_timeout="keep")
    play(scenario, link, settings=settings, judged=False)


def test_the_panel_tells_of_no_credit_that_was_just_kept(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(50)
        stage.press("B9")
        await stage.shows("B9")
        assert "Credit €0.50" in stage.screen
        await stage.until(lambda: stage.credit == 0, within_s=5.0)
        await stage.passes(0.1)
        assert "Credit" not in stage.screen, stage.screen

    settings = with_policy(credit_timeout_s=3.0, on_credit_timeout="keep")
    play(scenario, link, settings=settings, judged=False)


def test_whose_vend_has_just_failed_has_not_forgotten_the_credit(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        await stage.coins(200)
        await stage.passes(16.0)
        await stage.buys("A3")
        await stage.passes(15.0)
        assert stage.credit == 200  # they may choose again
        await stage.until(lambda: stage.credit == 0, within_s=10.0)

    settings = with_policy(credit_timeout_s=20.0, on_credit_timeout="keep", after_failure="keep")
    play(scenario, link, settings=settings, judged=False)


@pytest.mark.parametrize("keys", ["A1", "B9", "A", "#", "*"])
def test_whoever_keys_has_not_forgotten_the_credit(keys: str, link: Link) -> None:
    """A basket is filled one by one, a price asked for, and a code copied digit by digit."""

    async def scenario(stage: Stage) -> None:
        await stage.coins(100)
        await stage.passes(16.0)
        stage.press(keys)
        await stage.passes(16.0)
        assert stage.credit == 100
        await stage.until(lambda: stage.credit == 0, within_s=10.0)
        assert [data.coins for data in stage.records("credit.kept")] == [100]

    settings = with_policy(
        credit_timeout_s=20.0, on_credit_timeout="keep", basket=True, must_vend=True
    )
    play(scenario, link, settings=settings, judged=False)


def test_a_coin_that_comes_over_a_slow_disk_is_not_forgotten_with_the_one_before(
    link: Link,
) -> None:
    """The old time ends while the coin's record, behind which the new one begins, is written."""

    async def scenario(stage: Stage) -> None:
        await stage.coins(100)
        await stage.passes(18.5)
        stage.disk.sync_latency = lambda: 3.0
        stage.world.insert_coin(50)
        await stage.passes(8.0)
        stage.disk.sync_latency = lambda: 0.0
        await stage.passes(8.0)
        assert stage.credit == 150
        await stage.until(lambda: stage.credit == 0, within_s=15.0)
        assert stage.state.ledger.balance(acc.UNCLAIMED) == -150

    settings = with_policy(credit_timeout_s=20.0, on_credit_timeout="keep")
    play(scenario, link, settings=settings, judged=False)


def test_who_has_tried_to_buy_gets_the_money_back_of_a_must_vend_machine(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        await stage.coins(200)
        await stage.buys("A3")
        assert stage.credit == 200
        stage.press("*")
        await stage.closes()
        assert stage.credit == stage.spent == 0
        await stage.coins(100)
        stage.press("*")
        await stage.passes(3.0)
        assert stage.credit == 100  # whoever comes next has not

    play(scenario, link, settings=with_policy(must_vend=True, after_failure="keep"))


def test_who_can_t_buy_what_is_sold_out_has_tried_as_well(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.SetStock("A3", 0))
        await stage.coins(200)
        stage.press("A3")
        await stage.shows("sold out")
        stage.press("*")
        await stage.closes()
        assert stage.credit == stage.spent == 0

    play(scenario, link, settings=with_policy(must_vend=True), judged=False)


# ------------------------------------------------------------------------- columns that fail


def test_a_column_with_a_fault_is_off_at_once_by_default(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        await stage.coins(200)
        await stage.buys("A3")
        assert stage.state.stock.of("A3").disabled == FaultCode.COLUMN_JAMMED.value
        assert stage.spent == 0

    play(scenario, link)


def test_or_it_is_tried_twice_more_and_then_off(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        for failed in range(1, 4):
            await stage.coins(100, 100)
            closed = await stage.buys("A3")
            assert closed.result == "refunded"
            off = bool(stage.state.stock.of("A3").disabled)
            assert off == (failed == 3), f"after {failed} failed vends"
        assert stage.faults_raised("A3") == 1
        stage.press("A3")
        await stage.shows("Not available")

    play(scenario, link, settings=with_policy(column_retries=2, column_refunds_max=0))


def test_a_sale_in_between_makes_it_whole_again(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        for jams in (True, True, False, True, True):
            if jams:
                stage.breaks("A3", "jam")
            else:
                stage.mends("A3", "jam")
            await stage.coins(100, 100)
            await stage.buys("A3")
            assert stage.has_fault("A3", FaultCode.COLUMN_JAMMED) == jams
        assert not stage.state.stock.of("A3").disabled
        assert stage.products == ["cola"]

    play(scenario, link, settings=with_policy(column_retries=2, column_refunds_max=0))


def test_tries_are_counted_through_restarts(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        for _ in range(3):
            await stage.coins(100, 100)
            await stage.buys("A3")
            await stage.kill()
            await stage.opens()
        assert stage.state.stock.of("A3").disabled

    play(scenario, link, settings=with_policy(column_retries=2, column_refunds_max=0))


def test_what_an_end_cut_off_tells_nothing_of_a_column(link: Link) -> None:
    """The latch says that a product fell, and not that the column is whole again."""

    async def scenario(stage: Stage) -> None:
        for fails in (True, True, False, True):
            stage.breaks("A3", "hang", 2 * fails)
            await stage.coins(100, 100)
            if fails:
                assert (await stage.buys("A3")).result == "refunded"
                continue
            stage.press("A3")
            await stage.until(lambda: "dispense" in stage.intents)
            await stage.passes(1.95)  # it falls just before the motor comes home
            await stage.kill()
            await stage.opens()
        proofs = [turn.proof for turn in stage.records("dispense.finished")]
        assert proofs == [*["watched"] * 4, "latch", *["watched"] * 2]
        assert stage.products == ["cola"]
        assert stage.state.stock.of("A3").disabled == FaultCode.COLUMN_NOT_SEEN.value

    play(scenario, link, settings=with_policy(column_retries=2, column_refunds_max=0))


def test_a_turn_that_was_cut_off_is_no_fault_of_its_column(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        for _ in range(3):
            await stage.coins(100, 100)
            stage.press("A3")
            await stage.until(lambda: "dispense" in stage.intents)
            await stage.kill()
            await stage.opens()
            await stage.quiet()
        stage.breaks("A3", "hang", 3)
        await stage.coins(100, 100)
        await stage.buys("A3")
        assert stage.has_fault("A3", FaultCode.COLUMN_NOT_SEEN)
        assert not stage.state.stock.of("A3").disabled, "one vend has found it at fault, of three"

    play(scenario, link, settings=with_policy(column_retries=2, column_refunds_max=0))


def test_a_column_that_delivers_with_a_fault_is_off_after_as_many_vends(link: Link) -> None:
    """It would go on giving two for one."""

    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "no_home")
        for sold in range(1, 4):
            await stage.coins(100, 100)
            await stage.buys("A3")
            off = bool(stage.state.stock.of("A3").disabled)
            assert off == (sold == 3), f"after {sold} vends"
        assert stage.has_fault("A3", FaultCode.COLUMN_NO_HOME)

    settings = with_policy(column_retries=2, column_refunds_max=0)
    play(scenario, link, settings=settings, judged=False)


def test_a_test_that_delivers_ends_the_row_of_faults(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        for jams in (True, True, False, True):
            (stage.breaks if jams else stage.mends)("A3", "jam")
            if jams:
                await stage.coins(100, 100)
                await stage.buys("A3")
            else:
                await stage.act(cmd.EnterService())
                await stage.act(cmd.TryVend("A3"))
                await stage.act(cmd.LeaveService())
                await stage.sells()
                assert not stage.has_fault("A3", FaultCode.COLUMN_JAMMED)
        assert not stage.state.stock.of("A3").disabled

    settings = with_policy(column_retries=2, column_refunds_max=0)
    play(scenario, link, settings=settings, judged=False)  # a test's product is nobody's


def test_a_machine_that_fails_again_and_again_stops_until_somebody_has_looked(link: Link) -> None:
    """The jackpot guard: who knows how to make it refund gets the same money, six times."""

    async def scenario(stage: Stage) -> None:
        for column in ("A3", "B1", "B2"):
            stage.breaks(column, "jam")
            await stage.coins(100, 100, 50)
            await stage.buys(column)
        assert stage.running is not None
        desk = stage.running.machine.desk
        assert desk.mode is Mode.OUT_OF_SERVICE
        assert not stage.world.insert_bill(500)
        await stage.act(cmd.EnterService())
        await stage.act(cmd.LeaveService())
        await stage.sells()
        await stage.coins(50)
        await stage.buys("B4")
        assert stage.products == ["gum"]

    play(scenario, link, settings=with_policy(machine_refunds_max=3))


# ------------------------------------------------------------------------------ sold out


def test_a_column_is_sold_out_at_a_count_of_zero(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.SetStock("A3", 1))
        await stage.coins(200)
        await stage.buys("A3")
        stage.press("A3")
        await stage.shows("Sold out")

    play(scenario, link, plan=holding(A3=3), judged=False)


def test_or_sells_on_until_its_switch_says_so(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.SetStock("A3", 1))
        for _ in range(3):
            await stage.coins(200)
            await stage.buys("A3")
        assert stage.products == ["cola"] * 3
        await stage.coins(200)
        closed = await stage.buys("A3")
        assert closed.result == "refunded"
        assert stage.state.stock.of("A3").disabled == FaultCode.COLUMN_EMPTY.value
        stage.press("A3")
        await stage.shows("Sold out")
        stage.world.cabinet.load("A3", 8)
        await stage.act(cmd.FillStock("A3"))
        await stage.coins(200)
        await stage.buys("A3")
        assert len(stage.products) == 4

    play(scenario, link, settings=with_column("A3", sold_out="sensor"), plan=holding(A3=3))


def test_or_until_nothing_is_seen_to_drop_where_it_has_no_switch(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.SetStock("B1", 1))
        for _ in range(2):
            await stage.coins(100, 50, 20, 10)
            await stage.buys("B1")
        assert stage.products == ["crisps"] * 2
        await stage.coins(100, 50, 20, 10)
        assert (await stage.buys("B1")).result == "refunded"
        assert stage.state.stock.of("B1").disabled == FaultCode.COLUMN_EMPTY.value
        stage.world.cabinet.load("B1", 10)
        await stage.act(cmd.FillStock("B1"))
        assert not stage.state.stock.of("B1").disabled

    play(scenario, link, settings=with_column("B1", sold_out="sensor"), plan=holding(B1=2))


@pytest.mark.parametrize("rule", ["product", "column"])
def test_columns_of_one_product_stand_in_for_each_other_or_each_is_sold_out_by_itself(
    rule: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.SetStock("A1", 0))
        await stage.coins(100, 50)
        stage.press("A1")
        if rule == "column":
            await stage.shows("Sold out")
            await stage.buys("A2")
        else:
            await stage.until(lambda: bool(stage.products))
            await stage.quiet()
        assert stage.products == ["water"]

    play(scenario, link, settings=with_product("water", sold_out=rule), plan=holding(A1=0))


def test_a_column_that_stands_for_itself_is_not_helped_out_when_it_fails(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A1", "jam")
        await stage.coins(100, 50)
        assert (await stage.buys("A1")).result == "refunded"
        assert stage.spent == 0
        await stage.coins(100, 50)
        await stage.buys("A2")
        assert stage.products == ["water"]

    play(scenario, link, settings=with_product("water", sold_out="column"))


def test_a_failed_vend_is_told_though_its_money_is_kept(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        await stage.coins(200)
        await stage.buys("A3")
        assert stage.credit == 200
        told = stage.shown[stage.shown.index("A3 Cola 0.33 l On its way ...") + 1 :]
        assert told[0] == "Sorry! A3 Cola 0.33 l could not be sold"
        await stage.shows("Credit €2.00 Please choose")
        await stage.gives_back()

    play(scenario, link, settings=with_policy(after_failure="keep"))


def test_a_failed_vend_on_a_card_is_told_while_its_reader_refunds(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        await stage.pays_by_card("A3")
        assert stage.spent == 0
        told = next(n for n, text in enumerate(stage.shown) if "could not be sold" in text)
        assert any("is not charged" in text for text in stage.shown[told:])

    play(scenario, link)


def test_who_has_paid_a_part_reads_what_is_there_and_what_card_or_coins_must_pay(
    link: Link,
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(50)
        stage.press("A3")
        await stage.shows("Missing €1.50 Credit €0.50 Hold your card to the reader or coins")
        await stage.coins(20)
        await stage.shows("Missing €1.30 Credit €0.70")
        before = len(stage.state.closed)
        await stage.coins(100)
        stage.world.insert_coin(50)
        await stage.until(lambda: len(stage.state.closed) > before + 1)
        await stage.quiet()
        assert stage.products == ["cola"]
        assert stage.spent == 200

    play(scenario, link)


def test_a_coin_that_comes_while_a_card_is_asked_for_is_seen(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.press("A3")
        await stage.shows("Price €2.00 Hold your card to the reader")
        await stage.coins(50)
        await stage.shows("Missing €1.50 Credit €0.50 Hold your card")
        stage.press("*")
        await stage.until(lambda: not stage.state.sagas)
        await stage.gives_back()
        assert stage.spent == 0

    play(scenario, link)
