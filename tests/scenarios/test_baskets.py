"""Baskets: several items on one credit or one card; what fails is given back, the others stand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.domain import commands as cmd
from simulator.oracles import Allowance
from simulator.peripherals.reader_settings import OPTION_ALWAYS_IDLE
from simulator.plan import WorldPlan, plan_for
from simulator.truth import AuthState
from simulator.world import Link
from tests.scenarios.card_kit import charged
from tests.scenarios.stage import SETTINGS, Stage, play, with_mdb, with_policy
from tests.scenarios.test_cards_two_readers import two_readers

BASKET = with_policy(basket=True)


def reader(**settings: Any) -> WorldPlan:
    plan = plan_for(SETTINGS)
    readers = {name: replace(found, **settings) for name, found in plan.readers.items()}
    return replace(plan, readers=readers)


CLASSIC = reader(options=0, multivend=False)
MULTIVEND = reader(options=0, multivend=True)
ALWAYS_IDLE = reader(options=OPTION_ALWAYS_IDLE, multivend=False)


async def keys(stage: Stage, *selections: str) -> None:
    """Key selections, and see each one listed."""
    for number, selection in enumerate(selections, 1):
        stage.press(selection)
        await stage.shows(f"Items {number}")


async def shows_card(stage: Stage, card: str = "card") -> None:
    """Hold a card to the reader until it has begun a session."""
    assert stage.running is not None
    live = stage.running.machine.desk.live
    await stage.until(lambda: stage.world.present_card(card))
    await stage.until(lambda: live.session is not None)


async def buys_all(stage: Stage, items: int) -> None:
    """Confirm, and wait until so many vends have ended and nothing moves."""
    before = len(stage.records("vend.closed"))
    stage.press("#")
    await stage.until(lambda: len(stage.records("vend.closed")) >= before + items)
    await stage.quiet()


def sold(stage: Stage) -> list[tuple[str, str, int, int]]:
    """Return (selection, result, place, of) of each vend."""
    opened = {r.seq: r.data for r in stage.told if r.type == "vend.opened"}
    closed = {r.vend: r.data for r in stage.told if r.type == "vend.closed"}
    return [
        (data.selection, closed[seq].result, data.place, data.of)  # type: ignore[union-attr]
        for seq, data in opened.items()
        if seq in closed
    ]


def test_three_items_on_one_credit_and_the_change_at_the_end(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200, 200, 50)
        await keys(stage, "A1", "B4", "A3")
        await buys_all(stage, 3)
        assert sorted(stage.products) == ["cola", "gum", "water"]
        assert stage.spent == 400
        assert sold(stage) == [
            ("A1", "sold", 1, 3), ("B4", "sold", 2, 3), ("A3", "sold", 3, 3)
        ]  # fmt: skip
        opened = [r.data for r in stage.told if r.type == "vend.opened"]
        first = next(r.seq for r in stage.told if r.type == "vend.opened")
        assert {data.basket for data in opened} == {first}  # type: ignore[union-attr]
        assert len(stage.records("payout.intended")) == 1

    play(scenario, link, settings=BASKET)


@pytest.mark.parametrize("which", ["A1", "A3", "B2"])
def test_an_item_that_fails_is_paid_back_and_the_others_stand(which: str, link: Link) -> None:
    price = {"A1": 150, "A3": 200, "B2": 240}

    async def scenario(stage: Stage) -> None:
        stage.breaks(which, "jam")
        if which == "A1":
            stage.breaks("A2", "jam")  # which holds water as well
        await stage.coins(200, 200, 100, 50, 50)
        await keys(stage, "A1", "A3", "B2")
        await buys_all(stage, 3)
        assert stage.spent == 590 - price[which]
        assert len(stage.products) == 2
        assert stage.claimed == 0
        assert [result for name, result, _, _ in sold(stage) if name == which] == ["refunded"]
        assert stage.credit == 0

    play(scenario, link, settings=BASKET)


def test_a_basket_that_costs_more_than_there_is_waits_for_the_rest(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        await keys(stage, "A1", "A3")
        stage.press("#")
        await stage.shows("Missing")
        assert stage.products == []
        await stage.coins(100, 50)
        await buys_all(stage, 2)
        assert sorted(stage.products) == ["cola", "water"]
        assert stage.spent == 350

    play(scenario, link, settings=BASKET, plan=CLASSIC)


def test_coin_return_empties_the_basket_first_and_then_gives_the_credit_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        await keys(stage, "A1")
        stage.press("*")
        await stage.shows("Please choose")
        assert stage.credit == 200
        await stage.gives_back()
        assert stage.spent == 0

    play(scenario, link, settings=BASKET)


def test_no_more_is_listed_than_the_columns_hold(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.SetStock("A3", 1))
        await stage.coins(200)
        await keys(stage, "A3")
        stage.press("A3")
        await stage.shows("Sold out")
        stage.press("*")
        await stage.passes(1.0)
        await stage.gives_back()
        await stage.act(cmd.SetStock("A3", stage.world.cabinet.stock("A3")))

    play(scenario, link, settings=BASKET)


def test_a_card_of_a_multivend_reader_pays_each_item_in_one_session(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await shows_card(stage)
        await keys(stage, "A1", "A3")
        await buys_all(stage, 2)
        assert sorted(stage.products) == ["cola", "water"]
        assert stage.spent == 350
        amounts = [a.amount for a in stage.world.truth.authorisations.values()]
        assert amounts == [150, 200]
        assert stage.running is not None
        assert stage.running.machine.desk.live.session is None

    play(scenario, link, settings=BASKET, plan=MULTIVEND)


def test_an_item_that_fails_is_given_back_to_the_card_alone(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        await shows_card(stage)
        await keys(stage, "A3", "A1", "B4")
        await buys_all(stage, 3)
        assert sorted(stage.products) == ["gum", "water"]
        assert stage.spent == 200
        states = [a.state for a in stage.world.truth.authorisations.values()]
        assert states == [AuthState.REFUNDED, AuthState.CAPTURED, AuthState.CAPTURED]

    play(scenario, link, settings=BASKET, plan=MULTIVEND)


@pytest.mark.parametrize("plan", [CLASSIC, ALWAYS_IDLE], ids=["classic", "always-idle"])
def test_a_reader_without_multivend_is_shown_the_card_for_each_item(
    plan: WorldPlan, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await shows_card(stage)
        await keys(stage, "A1", "A3")
        stage.press("#")
        await stage.until(lambda: len(stage.records("vend.closed")) == 1)
        await stage.shows("Hold your card")
        await stage.until(lambda: stage.world.present_card("card"))
        await stage.until(lambda: len(stage.records("vend.closed")) == 2)
        await stage.quiet()
        assert sorted(stage.products) == ["cola", "water"]
        assert stage.spent == 350

    play(scenario, link, settings=BASKET, plan=plan)


def test_what_coins_do_not_pay_any_more_is_paid_by_card_in_the_same_basket(link: Link) -> None:
    """The reader was off while the first item fell: it is on before it is asked for the second."""

    async def scenario(stage: Stage) -> None:
        await stage.coins(50)
        await keys(stage, "B4", "A3")
        stage.press("#")
        await stage.shows("Hold your card to the reader")
        await stage.until(lambda: stage.world.present_card("card"), within_s=30.0)
        await stage.until(lambda: len(stage.records("vend.closed")) == 2, within_s=30.0)
        await stage.quiet()
        assert sold(stage) == [("B4", "sold", 1, 2), ("A3", "sold", 2, 2)]
        assert stage.spent == 250
        assert stage.records("fault.raised") == []

    play(scenario, link=link, settings=BASKET, plan=ALWAYS_IDLE)


def test_a_card_that_never_comes_again_ends_the_basket(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await shows_card(stage)
        await keys(stage, "A1", "A3")
        await buys_all(stage, 1)
        await stage.passes(70.0)
        await stage.quiet()
        assert stage.products == ["water"]
        assert stage.spent == 150
        await stage.coins(100, 100)
        await keys(stage, "A3")
        await buys_all(stage, 1)
        assert stage.products == ["water", "cola"]

    play(scenario, link, settings=BASKET, plan=CLASSIC)


def test_a_declined_card_ends_the_basket_and_gives_back_what_failed_before(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        await stage.coins(100, 100)
        await keys(stage, "A3", "B2")
        await shows_card(stage, "declined")
        await buys_all(stage, 2)
        assert stage.products == []
        assert stage.spent == 0
        assert stage.credit == 0
        assert [result for _, result, _, _ in sold(stage)] == ["refunded", "refused"]

    play(scenario, link, settings=BASKET, plan=MULTIVEND)


@pytest.mark.parametrize("how", ["kill", "power"])
@pytest.mark.parametrize("item", [1, 2])
def test_a_basket_that_is_cut_gives_back_what_was_not_bought(
    item: int, how: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200, 200, 50)
        stage.breaks("A1", "jam")
        stage.breaks("A2", "jam")
        await keys(stage, "A1", "A3", "B4")
        stage.press("#")
        column = ("A1", "A3")[item - 1]
        await stage.until(
            lambda: any(
                saga.selection == column and saga.intent == "dispense"
                for saga in stage.state.sagas.values()
            )
        )
        if how == "kill":
            await stage.kill()
        else:
            await stage.cut_power()
            await stage.passes_without(2.0)
            await stage.restore_power()
        await stage.opens()
        await stage.quiet()
        assert stage.credit == 0
        assert stage.spent - stage.claimed in (0, 200)
        assert not stage.state.basket_due

    blind = Allowance(blind=True) if how == "power" else Allowance()
    play(scenario, link, settings=BASKET, allowance=blind)


def test_a_stop_in_the_middle_ends_the_item_and_gives_the_rest_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200, 200)
        await keys(stage, "A1", "A3")
        stage.press("#")
        await stage.until(lambda: "dispense" in stage.intents)
        assert stage.running is not None
        stage.running.machine.stop("test")
        await stage.ends()
        assert stage.products == ["water"]
        assert stage.spent == 150

    play(scenario, link, settings=BASKET, ends=False)


def test_a_customer_who_gives_up_in_the_middle_gets_the_rest_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200, 200)
        await keys(stage, "A1", "A3")
        stage.press("#")
        await stage.until(lambda: "dispense" in stage.intents)
        stage.press("*")
        await stage.quiet()
        assert stage.products == ["water"]
        assert stage.spent == 150

    play(scenario, link, settings=BASKET)


def test_a_claim_ends_the_basket_so_that_its_code_can_be_read(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        stage.breaks("cashless1", "refund", "error")
        await shows_card(stage)
        await keys(stage, "A3", "A1")
        await buys_all(stage, 1)
        await stage.shows("write down")
        assert stage.products == []
        assert stage.claimed == 200

    play(scenario, link, settings=BASKET, plan=MULTIVEND)


def test_a_basket_that_left_nothing_takes_nothing_of_the_next_customer_s_credit(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await shows_card(stage)
        await keys(stage, "A1", "A3")
        await buys_all(stage, 1)
        await stage.passes(70.0)  # no second card comes
        await stage.quiet()
        await stage.coins(200)
        await stage.kill()
        await stage.boot()
        assert stage.credit == 200

    play(scenario, link, settings=BASKET, plan=CLASSIC)


async def waits_with_credit(stage: Stage) -> None:
    """A basket of two: 50 are left, and the second waits for a card that never comes."""
    await stage.coins(200)
    await shows_card(stage)
    await keys(stage, "A1", "A3")
    stage.press("#")
    await stage.until(lambda: bool(stage.records("dispense.intended")))
    stage.world.remove_card()
    await stage.until(lambda: len(stage.records("vend.closed")) == 1)
    assert stage.credit == 50


async def is_over(stage: Stage) -> None:
    """The next customer's coin buys what they choose, and nothing else."""
    assert stage.credit == 0
    await stage.coins(200)
    await stage.passes(8.0)
    assert (stage.products, stage.credit) == (["water"], 200)
    await keys(stage, "A1")
    await buys_all(stage, 1)
    assert stage.products == ["water", "water"]


@pytest.mark.parametrize("then", ["pay", "keep"])
def test_a_basket_whose_credit_was_forgotten_takes_nothing_of_the_next_customer_s(
    then: str, link: Link
) -> None:
    # Swarm, seed 970000897: it waited for a card that would pay for its rest.
    async def scenario(stage: Stage) -> None:
        await waits_with_credit(stage)
        await stage.passes(15.0)  # no second card comes
        await stage.until(lambda: stage.credit == 0)
        await stage.quiet()
        assert len(stage.records("credit.kept")) == (then == "keep")
        await is_over(stage)

    settings = with_policy(
        basket=True, credit_timeout_s=12.0, on_credit_timeout=then, approval_timeout_s=40.0
    )
    play(scenario, link, settings=settings, plan=CLASSIC, judged=then == "pay")


@pytest.mark.parametrize("why", ["staff", "lock"])
def test_nor_does_one_whose_credit_was_given_back_by_others(why: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await waits_with_credit(stage)
        if why == "staff":
            await stage.act(cmd.ReturnCredit())
        else:
            await stage.act(cmd.LockMachine("recall"))
            await stage.quiet()
            await stage.act(cmd.UnlockMachine())
        await stage.quiet()
        await is_over(stage)

    play(scenario, link, settings=BASKET, plan=CLASSIC)


def test_a_bill_that_comes_as_the_door_is_opened_is_no_missing_credit(link: Link) -> None:
    """What lacked was told a moment before the bill was in the stacker (seed 997002645)."""

    async def scenario(stage: Stage) -> None:
        await stage.until(lambda: stage.world.insert_bill(500))
        await stage.until(lambda: bool(stage.records("bill.escrowed")))
        stage.press("B3#")
        await stage.shows("Missing")
        stage.world.cabinet.set_door(True)
        await stage.until(lambda: stage.credit == 500)
        stage.world.cabinet.set_door(False)
        await stage.passes(0.3)
        assert "0.00" not in stage.screen, stage.screen

    devices = plan_for(SETTINGS)
    readers = {name: replace(one, options=0) for name, one in devices.readers.items()}
    settings = with_policy(basket=True)
    play(scenario, link, settings=settings, plan=replace(devices, readers=readers))


def test_coins_that_come_while_a_card_is_asked_buy_the_last_item_of_a_basket(link: Link) -> None:
    """What the first one left waits on for them; it was given back, and the item was not sold."""

    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        await keys(stage, "A1", "A2")  # 1.50 each
        stage.press("#")
        await stage.until(lambda: "approval" in stage.intents)
        await stage.passes(1.0)
        await stage.coins(100)
        await stage.until(lambda: not stage.state.sagas)
        await stage.quiet()
        assert (stage.spent, stage.account.returned, stage.claimed) == (300, 0, 0)
        assert len(stage.products) == 2

    play(scenario, link, settings=BASKET, plan=ALWAYS_IDLE)


@pytest.mark.parametrize("coins", [(200,), (200, 20)])
def test_a_card_at_the_other_reader_pays_what_the_last_item_of_a_basket_lacks(
    coins: tuple[int, ...], link: Link
) -> None:
    settings = with_mdb("cashless2", enabled=True)
    settings = settings.model_copy(update={"policy": BASKET.policy})

    async def scenario(stage: Stage) -> None:
        await stage.coins(*coins)
        await keys(stage, "A1", "A2")  # 1.50 each
        stage.press("#")
        await stage.until(lambda: "approval" in stage.intents)
        await stage.passes(1.0)
        assert stage.world.present_card("card", "cashless2")
        await stage.until(lambda: len(stage.products) == 2)
        await stage.quiet()
        assert (stage.spent, stage.account.returned, stage.claimed) == (300, 0, 0)
        assert charged(stage) == 300 - sum(coins)

    play(scenario, link, settings=settings, plan=two_readers(settings, "cashless1"))


def test_a_column_that_sells_until_its_switch_says_empty_is_listed_at_a_count_of_zero(
    link: Link,
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.SetStock("B1", 0))
        await stage.coins(200, 100, 50, 10)
        await keys(stage, "B1", "B1")
        await buys_all(stage, 2)
        assert stage.products == ["crisps"] * 2
        assert stage.spent == 360

    columns = tuple(
        one.model_copy(update={"sold_out": "sensor"}) if one.selection == "B1" else one
        for one in BASKET.columns
    )
    play(scenario, link, settings=BASKET.model_copy(update={"columns": columns}), judged=False)


def test_columns_that_do_not_stand_in_for_each_other_are_each_listed_by_their_own_count(
    link: Link,
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.SetStock("A1", 1))
        await stage.act(cmd.SetStock("A2", 1))
        await stage.coins(200, 100)
        await keys(stage, "A1", "A2")
        stage.press("A1")
        await stage.shows("Sold out")
        await stage.passes(5.0)
        await buys_all(stage, 2)
        assert stage.products == ["water"] * 2

    products = tuple(
        one.model_copy(update={"sold_out": "column"}) if one.id == "water" else one
        for one in BASKET.products
    )
    play(scenario, link, settings=BASKET.model_copy(update={"products": products}), judged=False)
