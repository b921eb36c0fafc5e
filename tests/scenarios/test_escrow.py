"""A bill that waits in escrow for its vend: credit that has not been taken yet."""

from __future__ import annotations

import pytest

from controller.domain import commands as cmd
from controller.faults import FaultCode
from simulator.world import Link
from tests.scenarios.escrow_kit import BILL, DEAR, bill, machine, reader, stacked
from tests.scenarios.stage import SETTINGS, Stage, play

# ---------------------------------------------------------------------------- cash alone


def test_a_bill_waits_for_its_vend_and_is_stacked_before_the_motor_turns(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await bill(stage)
        assert stage.credit == 0, "it is not ours yet"
        closed = await stage.buys("A3")
        assert closed.result == "sold"
        types = [record.type for record in stage.told]
        order = [types.index(t) for t in ("stack.intended", "bill.stacked", "dispense.intended")]
        assert order == sorted(order)
        assert (stage.spent, stage.products, stacked(stage)) == (200, ["cola"], 1)

    play(scenario, link, settings=machine("hold"))


def test_coin_return_gives_the_bill_itself_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await bill(stage)
        await stage.coins(100)
        await stage.gives_back()
        await stage.until(lambda: stage.state.escrow is None)
        assert stage.spent == 0
        assert stacked(stage) == 0
        assert stage.account.returned == 600
        assert [data.amount for data in stage.records("payout.intended")] == [100]

    play(scenario, link, settings=machine("hold"))


def test_a_bill_alone_comes_back_without_a_payout(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await bill(stage)
        stage.press("*")
        await stage.shows("Your banknote")
        await stage.until(lambda: stage.spent == 0)
        await stage.quiet()
        assert not stage.records("payout.intended")
        await stage.shows("Welcome")

    play(scenario, link, settings=machine("hold"))


def test_a_bill_that_the_vend_does_not_need_comes_back_with_the_change(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await bill(stage)
        await stage.coins(200, 50)
        await stage.buys("A3")
        assert stage.spent == 200
        assert stacked(stage) == 0

    play(scenario, link, settings=machine("hold"))


def test_no_second_bill_comes_while_one_waits_and_coins_pay_the_rest(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await bill(stage)
        assert not stage.world.insert_bill(500)
        await stage.coins(200, 50)
        await stage.buys("B2")
        assert stage.spent == DEAR

    play(scenario, link, settings=machine("hold"))


def test_a_bill_that_does_not_suffice_makes_room_for_another_once_a_selection_tells_so(
    link: Link,
) -> None:
    """A reader that starts with the card is there: a card could pay the rest, and none comes."""

    async def scenario(stage: Stage) -> None:
        await stage.passes(1.0)
        await bill(stage)
        stage.press("B2")
        await stage.shows("Missing")
        await stage.until(lambda: stage.credit == 500)
        assert stacked(stage) == 1
        assert not any("0.00" in shown for shown in stage.shown)
        await stage.passes(1.0)
        assert stage.world.insert_bill(500)
        await stage.until(lambda: stage.credit == 1000)
        await stage.buys("B2")
        assert (stage.products, stage.spent) == (["nuts"], DEAR)

    settings = machine()
    play(scenario, link, settings=settings, plan=reader(settings, options=0))


@pytest.mark.parametrize("fault", [("reset_in_stack", "before"), ("return_when_stacking", True)])
def test_a_bill_that_comes_back_as_it_makes_room_is_shown_as_credit_no_more(
    fault: tuple[str, object], link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.passes(1.0)
        stage.breaks(BILL, *fault)
        await bill(stage)
        stage.press("B2")
        await stage.shows("Missing")
        await stage.until(lambda: stage.state.escrow is None)
        await stage.passes(0.1)
        assert "Credit" not in stage.screen, stage.screen
        await stage.until(lambda: stage.spent == 0)

    settings = machine()
    play(scenario, link, settings=settings, plan=reader(settings, options=0))


def test_a_card_may_still_pay_the_rest_of_a_bill_that_made_room(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.passes(1.0)
        await bill(stage)
        stage.press("B2")
        await stage.until(lambda: stage.credit == 500)
        assert stage.world.present_card("card")
        await stage.passes(1.0)
        await stage.buys("B2")
        assert (stage.products, stage.spent) == (["nuts"], DEAR)
        assert [data.amount for data in stage.records("approval.requested")] == [DEAR - 500]

    settings = machine()
    play(scenario, link, settings=settings, plan=reader(settings, options=0))


def test_a_bill_makes_room_when_no_card_came_for_the_rest(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.passes(1.0)
        await bill(stage)
        stage.press("B2")
        await stage.until(lambda: "approval" in stage.intents)
        await stage.passes(30.0)
        assert stacked(stage) == 0
        await stage.until(lambda: stacked(stage) == 1, within_s=60.0)
        await stage.quiet()
        assert stage.credit == 500
        assert stage.world.insert_bill(500)
        await stage.until(lambda: stage.credit == 1000)
        await stage.buys("B2")
        assert (stage.products, stage.spent) == (["nuts"], DEAR)

    play(scenario, link, settings=machine())


def test_a_bill_that_its_owner_wants_held_makes_no_room(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.passes(1.0)
        await bill(stage)
        stage.press("B2")
        await stage.shows("Missing")
        await stage.passes(2.0)
        assert stacked(stage) == 0
        stage.press("*")
        await stage.until(lambda: stage.spent == 0)

    settings = machine("hold")
    play(scenario, link, settings=settings, plan=reader(settings, options=0))


@pytest.mark.parametrize("fault", ["return_when_stacking", "jam_on_stack"])
def test_a_bill_that_is_not_stacked_fails_the_vend_and_everything_goes_back(
    fault: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(BILL, fault)
        await stage.coins(100)
        await bill(stage)
        closed = await stage.buys("A3")
        assert closed.result == "refunded"
        assert stage.products == []
        assert stage.spent - stage.claimed == 0
        assert stage.claimed == (500 if fault == "jam_on_stack" else 0)
        assert not stage.records("dispense.intended")

    play(scenario, link, settings=machine("hold"))


def test_a_motor_that_jams_pays_the_stacked_bill_back_in_coins(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        await bill(stage)
        await stage.buys("A3")
        assert stage.spent == 0
        assert stacked(stage) == 1

    play(scenario, link, settings=machine("hold"))


@pytest.mark.parametrize("how", ["kill", "power", "stop"])
def test_a_bill_that_waits_comes_back_with_the_next_start(how: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await bill(stage)
        if how == "kill":
            await stage.kill()
        elif how == "power":
            await stage.cut_power()
            await stage.restore_power()
        else:
            assert stage.running is not None
            stage.running.machine.stop("test")
            await stage.ends()
            assert stage.spent == 0, "it went back before the end"
            await stage.kill()
        await stage.opens()
        await stage.quiet()
        assert stage.spent == 0
        assert stage.credit == stage.claimed == 0

    play(scenario, link, settings=machine("hold"))


def test_a_bill_that_its_validator_gives_up_is_no_credit_any_more(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await bill(stage)
        assert stage.world.bill is not None
        assert stage.world.bill.pull_from_escrow()
        await stage.until(lambda: stage.state.escrow is None)
        await stage.shows("Welcome")
        stage.press("A3")
        await stage.passes(1.0)
        assert not stage.records("dispense.intended")

    play(scenario, link, settings=machine("hold"))


@pytest.mark.parametrize("asks", ["A3", "*"])
def test_a_bill_that_a_reset_nobody_heard_of_gave_back_is_not_owed_as_well(asks: str) -> None:
    """JUST RESET came damaged behind the adapter's own ACK; ESCROW is told that there is no bill.

    So it went while nobody could hear it: a RESET gives nothing back any more, and the count behind
    it tells whether it is in the stacker.
    """

    async def scenario(stage: Stage) -> None:
        await bill(stage)
        stage.breaks("line", "cut_texts", 3)
        stage.breaks(BILL, "resets", 1)
        await stage.passes(1.0)
        stage.press(asks)
        await stage.until(lambda: stage.state.escrow is None, within_s=60.0)
        await stage.quiet()
        assert stage.spent == stage.claimed == stage.credit == 0
        assert stage.records("bill.returned")[0].proof == "counted"
        assert not stage.records("claim.opened")

    play(scenario, "adapter", settings=machine("hold"))


def test_a_validator_that_dies_with_the_bill_leaves_a_claim(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await bill(stage)
        stage.world.unplug(BILL)
        await stage.until(lambda: stage.claimed == 500, within_s=90.0)
        assert stage.has_fault(BILL, FaultCode.BILL_STUCK_IN_ESCROW)

    play(scenario, link, settings=machine("hold"), judged=False)


def test_a_technician_s_visit_gives_the_bill_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await bill(stage)
        await stage.act(cmd.EnterService())
        await stage.until(lambda: stage.spent == 0)
        await stage.act(cmd.LeaveService())

    play(scenario, link, settings=machine("hold"))


@pytest.mark.parametrize("then", ["pay", "keep"])
def test_a_forgotten_bill_goes_back_or_is_kept_with_a_record(then: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await bill(stage)
        await stage.passes(30.0)
        await stage.quiet()
        if then == "pay":
            assert stage.spent == 0
        else:
            assert [data.bills for data in stage.records("credit.kept")] == [500]
            assert stacked(stage) == 1

    settings = machine("hold", credit_timeout_s=10.0, on_credit_timeout=then)
    play(scenario, link, settings=settings, judged=then == "pay")


# ------------------------------------------------------------------------- the settings


@pytest.mark.parametrize("escrow", ["auto", "keep"])
def test_where_no_card_may_have_to_pay_the_rest_a_bill_is_kept_at_once(
    escrow: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(500)
        assert stacked(stage) == 1

    play(scenario, link, settings=machine(escrow) if escrow == "keep" else SETTINGS)


def test_a_count_that_tells_of_another_bill_does_not_stack_the_one_that_waits(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await bill(stage)
        stage.breaks(BILL, "stacker_error", 1)  # one came in of which no record tells
        assert stage.running is not None
        stage.running.machine.desk.poke("stacker check")
        await stage.until(lambda: bool(stage.flags))
        assert stage.flags == ["bills in the stacker that no record explains"]
        assert stage.state.escrow is not None
        assert (stage.credit, stacked(stage)) == (0, 0)
        stage.press("*")
        await stage.until(lambda: stage.account.returned == 500)

    play(scenario, link, settings=machine("hold"))


def test_a_count_behind_a_visit_that_comes_late_does_not_lose_the_bill_that_waits(
    link: Link,
) -> None:
    """It was to tell where another one went that had been stuck, and failed at first."""

    async def scenario(stage: Stage) -> None:
        validator = stage.world.bill
        assert validator is not None
        stage.breaks(BILL, "jam_on_return")
        await bill(stage)
        stage.press("*")
        await stage.until(lambda: stage.claimed == 500, within_s=60.0)
        answer = validator._handle
        validator._handle = (  # type: ignore[method-assign] # it does not answer STACKER
            lambda payload: None if payload[0] == 0x36 else answer(payload)
        )
        validator.clear_jam("technician")
        await stage.until(lambda: not stage.has_fault(BILL, FaultCode.BILL_JAM))
        validator.say(b"\xa0")  # "returned"
        await stage.until(lambda: stage.state.escrow is None)
        await stage.until(lambda: stage.world.insert_bill(1000), within_s=10.0)
        await stage.until(lambda: stage.state.escrow is not None)
        await stage.passes(6.0)
        validator._handle = answer  # type: ignore[method-assign]
        await stage.passes(10.0)
        assert stage.state.escrow is not None, "it is there"
        stage.press("*")
        await stage.until(lambda: stage.account.returned == 1000)

    play(scenario, link, settings=machine("hold"))
