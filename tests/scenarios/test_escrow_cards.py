"""A bill in escrow, and a card that pays the rest.

The bill waits for the card's approval; with a reader that can't refund it is stacked first, and
only if the tubes could pay it back.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.domain import commands as cmd
from simulator.oracles import Allowance
from simulator.world import Link
from tests.scenarios.escrow_kit import BILL, DEAR, bill, machine, reader, stacked
from tests.scenarios.stage import Stage, play

# ------------------------------------------------------------------------- mixed tender


@pytest.mark.parametrize("coins", [(), (100, 20)])
def test_the_bill_waits_for_the_card_and_the_card_pays_the_rest(
    coins: tuple[int, ...], link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await bill(stage)
        await stage.coins(*coins)
        stage.press("B2")
        await stage.until(lambda: "approval" in stage.intents)
        await stage.passes(2.0)
        assert stacked(stage) == 0
        assert stage.world.present_card("card")
        await stage.closes()
        await stage.quiet()
        assert (stage.products, stage.spent, stacked(stage)) == (["nuts"], DEAR, 1)
        asked = stage.records("approval.requested")
        assert [data.amount for data in asked] == [DEAR - 500 - sum(coins)]
        types = [record.type for record in stage.told]
        assert types.index("approval.finished") < types.index("stack.intended")

    play(scenario, link, settings=machine())


def test_coins_and_a_card_pay_together(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200, 50)
        closed = await stage.pays_by_card("B2")
        assert closed.result == "sold"
        assert stage.spent == DEAR

    play(scenario, link, settings=machine())


def test_a_declined_card_leaves_the_bill_where_it_is(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await bill(stage)
        await stage.pays_by_card("B2", "declined")
        assert stacked(stage) == 0
        await stage.buys("A3")
        assert (stage.products, stage.spent) == (["cola"], 200)

    play(scenario, link, settings=machine())


def test_a_customer_who_cancels_gets_the_bill_itself_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await bill(stage)
        stage.press("B2")
        await stage.until(lambda: "approval" in stage.intents)
        await stage.gives_back()
        stage.press("*")
        await stage.until(lambda: stage.spent == 0)
        assert stacked(stage) == 0

    play(scenario, link, settings=machine())


def test_coins_instead_of_the_card_buy_with_the_bill(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await bill(stage)
        stage.press("B2")
        await stage.until(lambda: "approval" in stage.intents)
        stage.world.insert_coin(200)
        await stage.passes(1.0)
        stage.world.insert_coin(50)
        await stage.until(lambda: stage.products == ["nuts"])
        await stage.quiet()
        assert stage.spent == DEAR
        assert not stage.world.truth.open_cards()

    play(scenario, link, settings=machine())


@pytest.mark.parametrize("fault", ["return_when_stacking", "jam_on_stack"])
def test_a_bill_that_is_not_stacked_after_the_approval_takes_the_card_back(
    fault: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(BILL, fault)
        await bill(stage)
        await stage.coins(100)
        closed = await stage.pays_by_card("B2")
        assert closed.result == "refunded"
        assert stage.spent - stage.claimed == 0
        assert [data.outcome for data in stage.records("settle.finished")] == ["refunded"]

    play(scenario, link, settings=machine())


def test_a_motor_that_jams_gives_card_and_coins_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("B2", "jam")
        await bill(stage)
        await stage.pays_by_card("B2")
        assert stage.spent == 0
        assert stage.claimed == 0

    play(scenario, link, settings=machine())


# ------------------------------------------------------------- a reader that can't refund


@pytest.mark.parametrize("card", ["card", "declined"])
def test_with_a_reader_that_cannot_refund_the_bill_is_stacked_first(card: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await bill(stage)
        await stage.pays_by_card("B2", card)
        types = [record.type for record in stage.told]
        assert types.index("bill.stacked") < types.index("approval.requested")
        assert stacked(stage) == 1
        if card == "declined":
            await stage.gives_back()
        assert stage.spent == (DEAR if card == "card" else 0)

    play(scenario, link, settings=machine(), plan=reader(machine(), can_refund=False))


@pytest.mark.parametrize("how", ["kill", "power"])
@pytest.mark.parametrize(
    "moment", ["stack.intended", "bill.stacked", "approval.requested", "approval.finished"]
)
def test_whenever_it_ends_the_bill_is_credit_or_back_and_the_card_is_undone_or_owed(
    moment: str, how: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await bill(stage)
        stage.press("B2")
        await stage.until(lambda: bool(stage.records(moment)) or "approval" in stage.intents)
        if not stage.records(moment):
            assert stage.world.present_card("card")
            await stage.until(lambda: bool(stage.records(moment)))
        if how == "kill":
            await stage.kill()
        else:
            await stage.cut_power()
            await stage.restore_power()
        await stage.opens()
        await stage.quiet()
        assert stage.products == []
        asked = "approval.requested" in {record.type for record in stage.told}
        unknown = how == "power" and asked and moment != "approval.finished"
        assert stage.claimed == (240 if unknown or moment == "approval.finished" else 0)
        # A power cut takes what the reader knew of the request, or the latch of the turn.
        assert bool(stage.flags) == (how == "power" and asked)
        assert stage.spent == stage.credit + (0 if unknown else stage.claimed)
        if stage.credit:
            await stage.gives_back()

    play(
        scenario,
        link,
        settings=machine(),
        plan=reader(machine(), can_refund=False),
        allowance=Allowance(blind=how == "power"),
    )


def test_and_not_at_all_while_its_worth_could_not_be_paid_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await bill(stage)
        stage.press("B2")
        await stage.shows("Missing")
        await stage.passes(2.0)
        assert not stage.records("approval.requested")
        assert stacked(stage) == 0
        stage.press("*")
        await stage.until(lambda: stage.spent == 0)

    plan = reader(machine(), can_refund=False)
    assert plan.changer is not None
    coins = tuple(
        replace(coin, coins=3 if coin.value == 100 else 0) for coin in plan.changer.coin_table()
    )  # change for some products, and not for the bill
    plan = replace(plan, changer=replace(plan.changer, coins=coins))
    play(scenario, link, settings=machine(), plan=plan)


@pytest.mark.parametrize("what", ["the door is opened", "the column is switched off"])
def test_its_card_is_not_asked_once_nothing_can_turn_for_it(what: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await bill(stage)
        stage.press("B2")
        await stage.until(lambda: bool(stage.records("stack.intended")))
        if what == "the door is opened":
            stage.world.cabinet.set_door(True)
        else:
            await stage.act(cmd.DisableColumn("B2", "spoiled"))
        await stage.closes()
        await stage.quiet()
        assert stage.records("approval.requested") == [], "it could not be undone"
        assert (stage.spent, stage.claimed) == (0, 0)

    play(scenario, link, settings=machine(), plan=reader(machine(), can_refund=False))


def test_nor_once_the_machine_stops(link: Link) -> None:
    """Nobody may come with one for a minute, and systemd waits for less."""

    async def scenario(stage: Stage) -> None:
        assert stage.running is not None
        await bill(stage)
        stage.press("B2")
        await stage.until(lambda: bool(stage.records("stack.intended")))
        stage.running.machine.stop("test")
        stopped = stage.loop.time()
        await stage.ends()
        assert stage.loop.time() < stopped + 20.0
        assert stage.records("approval.requested") == []
        assert (stage.spent, stage.claimed) == (0, 0)
        await stage.kill()
        await stage.opens()

    play(scenario, link, settings=machine(), plan=reader(machine(), can_refund=False))
