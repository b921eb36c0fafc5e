"""A technician's visit: tests, coins, counts, prices; each call journaled with who called."""

from __future__ import annotations

import asyncio

import pytest

from controller.domain import accounts as acc
from controller.domain import commands as cmd
from controller.machine.inputs import CommandRefused
from simulator.truth import CASHBOX, STACKER, TECHNICIAN
from simulator.world import Link
from tests.scenarios.stage import SETTINGS, Stage, play


async def enter(stage: Stage) -> None:
    """Take the machine out of sale."""
    await stage.act(cmd.EnterService())
    await stage.shows("service")
    await stage.passes(1.0)


async def leave(stage: Stage) -> None:
    """Give it back."""
    await stage.act(cmd.LeaveService())
    await stage.passes(3.0)


def test_in_service_nothing_is_sold_and_nothing_is_taken(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await enter(stage)
        stage.world.insert_coin(100)
        assert not stage.world.insert_bill(500)
        assert not stage.world.present_card("card")
        stage.press("A1")
        await stage.passes(5.0)
        assert stage.spent == 0
        assert stage.products == []
        await leave(stage)
        await stage.coins(50)
        await stage.buys("B4")
        assert stage.spent == 50
        assert [data.by for data in stage.records("service.entered")] == ["tech"]
        assert [data.by for data in stage.records("service.left")] == ["tech"]

    play(scenario, link)


def test_a_customers_credit_outlives_a_visit(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100)
        await enter(stage)
        await leave(stage)
        await stage.shows("1.00")
        await stage.gives_back()
        assert stage.spent == 0

    play(scenario, link)


def test_a_visit_outlives_a_restart(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await enter(stage)
        await stage.kill()
        await stage.boot()
        await stage.shows("service")
        stage.world.insert_coin(100)
        await stage.passes(3.0)
        assert stage.spent == 0
        await leave(stage)

    play(scenario, link)


@pytest.mark.parametrize("column", ["A3", "B2"])
def test_a_test_vend_delivers_without_money_and_says_what_happened(column: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await enter(stage)
        said = await stage.act(cmd.TryVend(column))
        assert said["result"] == "tested"
        assert said["turns"] == [{"column": column, "outcome": "dropped"}]
        assert stage.state.counters.tests == 1
        assert stage.state.counters.vends == 0
        assert stage.state.stock.of(column).count == stage.world.cabinet.stock(column)
        stage.breaks(column, "jam")
        said = await stage.act(cmd.TryVend(column))
        assert said["turns"] == [{"column": column, "outcome": "jammed"}]
        await leave(stage)

    play(scenario, link, judged=False)


def test_a_motor_test_turns_once_and_tells_what_the_sensors_saw(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await enter(stage)
        for column in ("A3", "B3"):
            said = await stage.act(cmd.TryMotor(column))
            assert said["outcome"] == "dropped"
            assert 1_000 < said["run_ms"] < 3_000
            assert stage.state.stock.of(column).count == stage.world.cabinet.stock(column)
        stage.breaks("A3", "no_start")
        assert (await stage.act(cmd.TryMotor("A3")))["outcome"] == "no_start"
        await leave(stage)

    play(scenario, link, judged=False)


@pytest.mark.parametrize(
    "command",
    [cmd.TryVend("A1"), cmd.TryMotor("A1"), cmd.PayCoins(100), cmd.FillCoins(on=True)],
    ids=lambda command: type(command).__name__,
)
def test_what_only_a_technician_may_do_is_refused_while_it_sells(
    command: cmd.Command, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        with pytest.raises(CommandRefused, match="service"):
            await stage.act(command)

    play(scenario, link)


def test_what_a_changer_says_of_new_inventory_is_counted_at_once(link: Link) -> None:
    """Diagnostic 05 20: somebody has filled the tubes, and no coin of it came through POLL."""

    async def scenario(stage: Stage) -> None:
        await enter(stage)
        before = stage.state.ledger.balance(acc.OPERATOR)
        tubes = stage.state.ledger.balance(acc.CASH_TUBES)
        changer = stage.world.changer
        assert changer is not None
        changer.fill_tube(1, 5)
        changer.faults.diagnostic = 0x0520
        await stage.until(lambda: stage.state.ledger.balance(acc.CASH_TUBES) == tubes + 50)
        assert stage.state.ledger.balance(acc.OPERATOR) == before - 50
        changer.faults.diagnostic = 0
        await leave(stage)

    play(scenario, link, judged=False)


def test_coins_that_are_filled_in_are_the_operators_not_a_customers(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        before = stage.state.ledger.balance(acc.OPERATOR)
        await enter(stage)
        await stage.act(cmd.FillCoins(on=True))
        await stage.passes(1.0)
        for value in (10, 20, 50, 100):
            stage.world.insert_coin(value)
            await stage.passes(0.5)
        await stage.passes(2.0)
        assert stage.credit == 0
        assert stage.state.ledger.balance(acc.OPERATOR) == before - 180
        await stage.act(cmd.FillCoins(on=False))
        await leave(stage)

    play(scenario, link, judged=False)


def test_tubes_that_are_filled_by_hand_are_counted_when_the_visit_ends(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await enter(stage)
        stage.world.fill_tube(10, 20)
        await leave(stage)
        assert stage.state.ledger.balance(acc.UNCLAIMED) == 0
        assert stage.booked()[acc.CASH_TUBES] == stage.physical()[acc.CASH_TUBES]

    play(scenario, link)


@pytest.mark.parametrize("closes", ["before it is left", "when it has been left"])
def test_what_staff_take_out_of_the_tubes_is_theirs_whenever_the_door_closes(
    closes: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await enter(stage)
        stage.world.cabinet.set_door(True)
        await stage.passes(1.0)
        stage.world.empty_tube(50, 2)
        stage.world.empty_tube(100, 1)
        if closes == "before it is left":
            stage.world.cabinet.set_door(False)
            await stage.passes(5.0)
            await leave(stage)
        else:
            await stage.act(cmd.LeaveService())
            stage.world.cabinet.set_door(False)
            await stage.passes(5.0)
        assert stage.state.ledger.balance(acc.MISSING) == 0
        assert stage.booked()[acc.CASH_TUBES] == stage.physical()[acc.CASH_TUBES]

    play(scenario, link)


@pytest.mark.parametrize("amount", [10, 185])
def test_coins_are_paid_to_staff_and_are_the_operators(amount: int, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        before = stage.state.ledger.balance(acc.OPERATOR)
        await enter(stage)
        said = await stage.act(cmd.PayCoins(amount))
        assert said["paid_back"] == amount
        assert stage.state.ledger.balance(acc.OPERATOR) == before + amount
        with pytest.raises(CommandRefused, match=r"0\.03 EUR can't be paid exactly"):
            await stage.act(cmd.PayCoins(3))
        with pytest.raises(CommandRefused, match=r"0\.00 EUR is nothing to pay"):
            await stage.act(cmd.PayCoins(0))
        with pytest.raises(CommandRefused, match=r"0\.01 EUR to 50\.00 EUR, not 60\.00 EUR"):
            await stage.act(cmd.GrantCredit(6_000, "sorry"))
        await leave(stage)

    play(scenario, link, judged=False)


def test_a_collection_books_what_was_counted_and_shows_the_difference(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        bill = stage.world.bill
        assert bill is not None
        await stage.coins(200)
        await stage.buys("A3")
        await stage.bill(500)
        await stage.buys("B2")
        await enter(stage)
        assert stage.world.truth.empty(CASHBOX, TECHNICIAN) == 200
        assert bill.remove_cashbox() == 500
        bill.insert_cashbox()
        said = await stage.act(cmd.Collect(cashbox=200, stacker=500, bills=1))
        assert said["difference"] == 0
        await leave(stage)
        assert stage.state.ledger.balance(acc.CASH_CASHBOX) == 0
        assert stage.state.ledger.balance(acc.CASH_STACKER) == 0
        await stage.bill(500)
        await stage.buys("B2")
        assert stage.flags == []
        assert stage.world.truth.value(STACKER) == 500

    play(scenario, link)


@pytest.mark.parametrize(
    ("counted", "account", "amount"),
    [(150, acc.MISSING, 50), (230, acc.UNCLAIMED, -30)],
)
def test_a_cash_box_that_holds_something_else_than_booked_shows(
    counted: int, account: str, amount: int, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        await stage.buys("A3")
        stage.world.truth.empty(CASHBOX, TECHNICIAN)
        said = await stage.act(cmd.Collect(cashbox=counted, stacker=0, bills=0))
        assert said["difference"] == counted - 200
        assert stage.state.ledger.balance(account) == amount

    play(scenario, link, judged=False)


def test_a_price_that_changes_between_two_vends_holds_for_the_next_one(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(50)
        await stage.buys("B4")
        await stage.act(cmd.SetPrice("B4", 70))
        await stage.coins(100)
        await stage.buys("B4")
        assert stage.spent == 120
        await stage.kill()
        await stage.opens()
        await stage.coins(100)
        await stage.buys("B4")
        assert stage.spent == 190, "it outlives a restart"
        await stage.act(cmd.SetPrice("B4", 50))
        with pytest.raises(CommandRefused):
            await stage.act(cmd.SetPrice("B4", -1))

    play(scenario, link, judged=False)


def test_a_price_that_changes_in_mid_vend_is_not_this_customers(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        stage.press("B4")
        await stage.until(lambda: "dispense" in stage.intents)
        await stage.act(cmd.SetPrice("B4", 120))
        await stage.closes()
        await stage.quiet()
        assert stage.spent == 50

    play(scenario, link, judged=False)


def test_a_column_that_is_switched_off_sells_nothing_until_it_is_on(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.DisableColumn("B4", "wrong product"))
        await stage.coins(50)
        stage.press("B4")
        await stage.passes(3.0)
        assert stage.state.sagas == {}
        await stage.act(cmd.EnableColumn("B4"))
        await stage.buys("B4")
        assert stage.spent == 50

    play(scenario, link)


def test_credit_that_staff_grants_buys_and_credit_that_staff_returns_is_paid(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.GrantCredit(50, "goodwill"))
        assert stage.state.counters.vends == 0, "credit is no sale"
        assert stage.state.counters.value == 0
        await stage.buys("B4")
        assert stage.products == ["gum"]
        assert stage.spent == 0
        await stage.coins(100)
        said = await stage.act(cmd.ReturnCredit())
        assert said["paid_back"] == 100
        assert stage.spent == 0

    play(scenario, link, judged=False)


def test_a_claim_that_staff_pays_is_closed_once(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        for value in (5, 10, 20, 50, 100):
            stage.world.empty_tube(value)
        await stage.act(cmd.CountTubes())
        await stage.coins(200)
        await stage.gives_back()
        (claim,) = stage.state.claims.values()
        wrong = f"{(int(claim.code) + 1):0{len(claim.code)}d}"
        with pytest.raises(CommandRefused, match="digit"):
            await stage.act(cmd.CloseClaim(wrong, "cash"))
        await stage.act(cmd.CloseClaim(claim.code, "cash"))
        assert stage.state.claims == {}
        with pytest.raises(CommandRefused, match="no open claim"):
            await stage.act(cmd.CloseClaim(claim.code, "cash"))

    play(scenario, link, judged=False)


def test_large_counts_and_numbers_survive_a_narrow_wire(link: Link) -> None:
    """The item number has 16 bits in VEND REQUEST and 12 in CASH SALE; a count has no width."""
    columns = tuple(
        c.model_copy(update={"capacity": 999, "item_number": 65_500}) if c.selection == "B4" else c
        for c in SETTINGS.columns
    )

    async def scenario(stage: Stage) -> None:
        await stage.pays_by_card("B4")
        assert stage.world.truth.authorisations[1].item == 65_500
        await stage.coins(50)
        await stage.buys("B4")
        assert list(stage.world.reader().cash_sales) == [(50, 65_500 & 0x0FFF)]
        assert stage.state.stock.of("B4").count == 997

    play(scenario, link, settings=SETTINGS.model_copy(update={"columns": columns}))


def test_nobody_waits_for_ever_for_an_answer_whose_record_was_never_durable(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.disk.sync_latency = lambda: 3.0
        asked = asyncio.get_running_loop().create_task(stage.act(cmd.SetPrice("B4", 70)))
        await stage.passes(1.0)
        assert not asked.done()
        await stage.kill()
        await asyncio.wait({asked}, timeout=1.0)
        assert asked.cancelled()
        stage.disk.sync_latency = None
        await stage.opens()

    play(scenario, link, judged=False)


def test_what_a_card_was_asked_for_is_not_bought_when_the_technician_has_gone(link: Link) -> None:
    async def story(stage: Stage) -> None:
        stage.press("B4")
        await stage.until(lambda: "approval" in stage.intents)
        stage.world.insert_coin(50)
        await stage.until(lambda: stage.credit == 50)
        await stage.act(cmd.EnterService())
        await stage.quiet()

        await stage.act(cmd.LeaveService())
        await stage.sells()
        await stage.passes(5.0)

        assert (stage.products, stage.credit) == ([], 50), "nobody has chosen since"

    play(story, link=link)


def test_what_a_card_was_asked_for_is_not_bought_in_coins_behind_an_open_door(link: Link) -> None:
    async def story(stage: Stage) -> None:
        stage.press("B4")
        await stage.until(lambda: "approval" in stage.intents)
        stage.world.insert_coin(50)
        await stage.passes(0.25)  # it falls
        stage.world.cabinet.set_door(True)
        await stage.until(lambda: stage.credit == 50)
        await stage.shows("out of service")
        await stage.passes(5.0)
        assert stage.products == []

        stage.world.cabinet.set_door(False)
        await stage.sells()
        await stage.passes(5.0)
        assert (stage.products, stage.credit) == ([], 50), "nobody has chosen since"

        await stage.buys("B4")
        assert stage.products == ["gum"]

    play(story, link=link)


@pytest.mark.parametrize("command", [cmd.LeaveService(), cmd.TryVend("B4"), cmd.TryMotor("B4")])
def test_nothing_else_begins_while_a_motor_is_tested(command: cmd.Command, link: Link) -> None:
    async def story(stage: Stage) -> None:
        await enter(stage)
        test = asyncio.ensure_future(stage.act(cmd.TryMotor("A3")))
        await stage.passes(0.5)
        with pytest.raises(CommandRefused, match="test"):
            await stage.act(command)
        assert (await test)["outcome"] == "dropped"
        await leave(stage)

    play(story, link, judged=False)


def test_two_technicians_who_collect_at_once_book_it_once(link: Link) -> None:
    async def story(stage: Stage) -> None:
        await stage.coins(200)
        await stage.buys("A3")
        stage.world.truth.empty(CASHBOX, TECHNICIAN)
        await stage.act(cmd.Collect(200, 0, 0, expected=200))
        with pytest.raises(CommandRefused, match=r"0\.00 EUR must be there by now, not 2\.00 EUR"):
            await stage.act(cmd.Collect(200, 0, 0, expected=200))
        assert len(stage.records("cash.collected")) == 1
        assert stage.state.ledger.balance(acc.UNCLAIMED) == 0

    play(story, link)


@pytest.mark.parametrize("counted", ["in the visit", "behind it"])
def test_bills_that_were_taken_out_are_missed_once_whenever_they_are_counted(
    counted: str, link: Link
) -> None:
    async def story(stage: Stage) -> None:
        bill = stage.world.bill
        assert bill is not None
        await stage.bill(500)
        await stage.buys("B2")
        await enter(stage)
        taken = bill.remove_cashbox()
        bill.insert_cashbox()
        if counted == "behind it":
            await leave(stage)
            await stage.kill()
            await stage.opens()  # the validator tells that its stacker is empty
        said = await stage.act(cmd.Collect(cashbox=0, stacker=taken, bills=1))
        assert said["difference"] == 0
        if counted != "behind it":
            await leave(stage)
        assert stage.state.stacker == 0
        await stage.bill(500)
        await stage.buys("B2")
        await stage.kill()
        await stage.opens()
        assert stage.state.stacker == 1
        assert stage.flags == []

    play(story, link)


def test_credit_that_staff_give_while_a_card_is_awaited_buys_what_was_chosen(link: Link) -> None:
    async def story(stage: Stage) -> None:
        stage.press("B4")
        await stage.shows("Hold your card")
        await stage.act(cmd.GrantCredit(50, "goodwill"))
        await stage.until(lambda: stage.products == ["gum"])
        await stage.quiet()
        assert (stage.spent, stage.credit) == (0, 0)

    play(story, link, judged=False)
