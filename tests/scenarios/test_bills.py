"""Bills that do not simply go through escrow into the stacker, and bills that are not taken.

Field lesson 17 (PyramidTechnologies/Python-RS-232#5: only certain notes, only up to an amount).
"""

from __future__ import annotations

from typing import Any

import pytest

from controller.domain import commands as cmd
from drivers.mdb.bill_validator import SPOILT
from drivers.mdb.changer_talk import SPOILT as SPOILT_COIN
from simulator.oracles import Allowance, check
from simulator.peripherals.bill_settings import AfterPowerUp
from simulator.truth import STACKER
from simulator.world import Link
from tests.scenarios.bill_kit import BILL, offer, offers, plan, right_after
from tests.scenarios.stage import Stage, play, with_mdb, with_policy

# -------------------------------------------------------------------- surprises in escrow


def test_bills_that_the_owner_names_are_validated_strictly(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        validator = stage.world.bill
        assert validator is not None
        assert validator.high_security == 0b0110
        validator.self_reset()
        await stage.passes(10.0)
        assert validator.high_security == 0b0110, "it was told anew"

    play(scenario, link, settings=with_mdb("bill", high_security=(1_000, 2_000)))


def test_a_bill_that_returns_although_it_was_to_be_stacked_is_no_credit(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(BILL, "return_when_stacking")
        await offer(stage, 1000)
        await stage.until(lambda: stage.account.returned == 1000)
        await right_after(stage, 1000)
        assert stage.credit == 0

    play(scenario, link)


def test_a_bill_that_is_stacked_although_it_was_to_return_is_credit(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        bill = stage.world.bill
        assert bill is not None
        stage.breaks(BILL, "stack_when_returning")
        await offer(stage, 1000)
        await stage.passes(0.9)
        bill.mute(0.8)  # it is in escrow before anybody hears of it
        await stage.passes(0.2)
        await stage.coins(200)  # together they are too much
        await stage.until(lambda: bool(stage.records("bill.stacked")))
        assert stage.records("bill.return_intended")
        assert stage.credit == 1200
        await stage.buys("A3")
        assert stage.spent - stage.claimed == 200

    play(scenario, link, settings=with_policy(max_credit=1100))


def test_a_bill_pulled_out_by_force_is_no_credit(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        bill = stage.world.bill
        assert bill is not None
        stage.breaks(BILL, "weak_stacker", "held")
        await offer(stage, 1000)
        await stage.until(lambda: bill.in_escrow)
        await stage.passes(3.0)
        assert bill.pull_from_escrow()
        stage.mends(BILL, "weak_stacker")
        await right_after(stage, 1000)
        assert stage.credit == 0

    play(scenario, link)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_validator_that_resets_itself_while_it_stacks(moment: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(BILL, "reset_in_stack", moment)
        await offer(stage, 1000)
        await stage.until(
            lambda: bool(stage.records("bill.stacked") or stage.records("bill.returned")),
            within_s=60.0,
        )
        await right_after(stage, 1000)
        assert stage.credit == (1000 if moment == "after" else 0)
        assert stage.claimed == 0

    play(scenario, link)


@pytest.mark.parametrize("after", list(AfterPowerUp))
@pytest.mark.parametrize("late_s", [0.9, 1.05, 1.2, 1.5, 2.0, 2.3, 2.6])
def test_a_power_cut_around_the_stacking_of_a_bill(
    after: AfterPowerUp, late_s: float, link: Link
) -> None:
    """In escrow, half stacked, stacked and not told: the stacker's count decides.

    A bill that no poll had told of, and that the validator stacks by itself when the power is
    back, has no known value: a person is asked to look.
    """

    async def scenario(stage: Stage) -> None:
        await offer(stage, 1000)
        await stage.passes(late_s)
        await stage.cut_power()
        await stage.passes_without(2.0)
        await stage.restore_power()
        await stage.passes_without(3.0)
        await stage.opens()
        await stage.quiet()
        if not stage.records("bill.escrowed") and after is AfterPowerUp.STACK:
            assert stage.flags == ["bills in the stacker that no record explains"]
        else:
            await right_after(stage, 1000)
            assert stage.claimed == 0
            assert check(stage) == []
        await stage.stop()

    play(scenario, link, plan=plan(after_power_up=after), ends=False)


@pytest.mark.parametrize("late_s", [0.5, 0.95, 1.0, 1.05, 1.2, 1.5, 2.0, 2.3, 2.6])
def test_a_kill_around_the_stacking_of_a_bill(late_s: float, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await offer(stage, 1000)
        await stage.passes(late_s)
        await stage.kill()
        await stage.passes_without(2.0)
        await stage.opens()
        await right_after(stage, 1000)
        assert stage.claimed == 0

    play(
        scenario, link, allowance=Allowance(lost_answer=1000) if link == "adapter" else Allowance()
    )


# --------------------------------------------------------------------------- what is taken


def test_a_bill_that_cannot_be_changed_goes_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        for value in (5, 10, 20, 50, 100):
            stage.world.empty_tube(value)
        await stage.act(cmd.CountTubes())
        await stage.passes(2.0)
        assert not offers(stage, 500), "no price fits it: it is not even pulled in"
        assert stage.spent == 0

    play(scenario, link)


def test_a_bill_whose_change_went_while_it_was_pulled_in_goes_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100, 50)
        await offer(stage, 2000)
        stage.press("A1")
        await stage.closes()
        await stage.quiet()
        assert stage.products == ["water"]
        assert stage.spent - stage.credit - stage.claimed == 150

    play(scenario, link)


def test_only_the_notes_that_the_owner_takes_and_only_up_to_his_amount(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.until(lambda: stage.world.insert_bill(5000))
        await stage.passes(4.0)
        assert stage.account.returned == 5000, "the validator knows it, the owner does not take it"
        assert stage.world.insert_bill(2000)
        await stage.passes(4.0)
        assert stage.account.returned == 7000, "more than the largest that is taken"
        await stage.bill(1000)
        await stage.buys("B2")
        assert stage.spent == 240

    play(scenario, link, settings=with_mdb("bill", accept=(500, 1000, 2000), max_value=1000))


def test_bills_beyond_the_largest_credit_stay_out(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(1000)
        await stage.passes(1.0)
        assert stage.world.insert_bill(1000)
        await stage.passes(4.0)
        assert stage.credit == 1000
        assert stage.account.returned == 1000
        await stage.gives_back()
        assert stage.spent - stage.claimed == 0

    play(scenario, link, settings=with_policy(max_credit=1500))


def test_an_unreadable_bill_and_odd_bytes_are_no_credit_and_no_trouble(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(BILL, "rejects")
        await offer(stage, 1000)
        await stage.until(lambda: stage.account.returned == 1000)
        stage.breaks(BILL, "undefined_byte", 2)
        await stage.bill(500)
        await stage.buys("B2")
        assert stage.spent == 240

    play(scenario, link)


@pytest.mark.parametrize("odd", ["deaf_to_acks", "lost_answers", "repeated_items", "bad_checksums"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_bill_whose_report_or_ack_is_lost_counts_once(odd: str, times: int, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(BILL, odd, times)
        await offer(stage, 500)
        await stage.until(lambda: stage.credit == 500, within_s=120.0)
        await stage.passes(3.0)
        assert stage.credit == 500
        await stage.buys("B2")
        assert stage.spent == 240

    play(scenario, link)


def test_a_validator_without_escrow_stacks_at_once(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(500)
        await stage.buys("B2")
        assert stage.spent == 240

    play(scenario, link, plan=plan(has_escrow=False))


# ------------------------------------------------- what an adapter acknowledged and spoilt


def spoils(stage: Stage, fact: str) -> None:
    """Damage the text that tells of a physical fact, each time that it happens."""

    def look(kind: str, data: dict[str, Any]) -> None:
        if kind == "fact" and fact in data["detail"]:
            stage.breaks("line", "cut_texts", 1)

    stage.world.listen(look)


def bill_faults(stage: Stage) -> list[str]:
    """Return the faults of the validator that stand."""
    return [fault for fault in stage.state.faults if fault.startswith("bill")]


def test_a_bill_in_escrow_whose_text_was_damaged_behind_the_adapter_s_own_ack_comes_back() -> None:
    """The validator tells it no second time: nobody would ever know of it."""

    async def scenario(stage: Stage) -> None:
        spoils(stage, "transport -> escrow")
        for damaged in range(1, 9):  # each time another of its characters is lost
            await stage.until(lambda: stage.world.insert_bill(1_000))
            await stage.until(lambda: stage.account.returned == 1_000 * damaged)  # noqa: B023 - awaited at once
            await stage.quiet()
            assert stage.flags == [SPOILT] * damaged
            assert (stage.spent, stage.credit) == (0, 0)
        assert bill_faults(stage) == []

    play(scenario, "adapter")


def test_a_stacked_bill_whose_text_was_damaged_is_told_by_the_count() -> None:
    async def scenario(stage: Stage) -> None:
        spoils(stage, "escrow -> stacker")
        await stage.until(lambda: stage.world.insert_bill(1_000))
        await stage.until(lambda: stage.credit == 1_000, within_s=60.0)
        assert stage.flags == [SPOILT]
        assert stage.records("bill.stacked")[0].proof == "counted"

    play(scenario, "adapter")


def test_a_returned_bill_whose_text_was_damaged_is_back_and_no_claim() -> None:
    """The validator says that none is in escrow, and its count that none was stacked."""

    async def scenario(stage: Stage) -> None:
        await stage.until(lambda: stage.world.insert_bill(1_000))
        await stage.until(lambda: stage.state.escrow is not None)
        spoils(stage, "escrow -> tray")
        stage.press("*")
        await stage.until(lambda: stage.account.returned == 1_000)
        await stage.until(lambda: stage.state.escrow is None, within_s=120.0)
        assert (stage.credit, stage.claimed, stage.flags) == (0, 0, [SPOILT])
        assert [record.proof for record in stage.records("bill.returned")] == ["counted"]
        await stage.until(lambda: stage.world.insert_bill(500))
        await stage.until(lambda: stage.state.escrow is not None)  # it takes bills again
        stage.press("*")
        await stage.until(lambda: stage.state.escrow is None, within_s=45.0)
        assert stage.claimed == 0

    play(scenario, "adapter", settings=with_policy(escrow="hold"))


def test_a_bill_stacked_without_escrow_whose_text_was_damaged_is_found_by_the_count() -> None:
    async def scenario(stage: Stage) -> None:
        spoils(stage, "-> stacker")
        await stage.until(lambda: stage.world.insert_bill(1_000))
        await stage.until(lambda: len(stage.flags) == 2, within_s=60.0)
        await stage.quiet()
        assert stage.flags == [SPOILT, "bills in the stacker that no record explains"]
        assert stage.world.truth.count(STACKER) == stage.state.stacker == 1

    play(scenario, "adapter", plan=plan(has_escrow=False), judged=False)


def test_an_answer_that_told_of_no_bill_and_was_damaged_leaves_no_fault() -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("bill", "rejects", 1)
        spoils(stage, "transport -> tray")
        await stage.until(lambda: stage.world.insert_bill(1_000))
        await stage.until(lambda: bool(stage.flags), within_s=60.0)
        await stage.passes(10.0)
        assert stage.flags == [SPOILT]
        assert bill_faults(stage) == []

    play(scenario, "adapter")


# --------------------------------------------------- what went with the adapter's own plug


def pulls_the_plug(stage: Stage, answer: bytes) -> None:
    """Somebody pulls the adapter's plug as it is about to hand an answer over, and puts it back."""
    left = 1

    def look(when: str, data: bytes) -> None:
        nonlocal left
        if when == "before receiving" and data.startswith(answer) and left:
            left -= 1
            for port in list(stage._lines):
                port.unplug()

    for port in stage._lines:
        port.on_traffic = look


def test_a_bill_in_escrow_whose_answer_went_with_the_plug_comes_back() -> None:
    """The adapter has acknowledged it: nobody would ever know of the bill, and it stayed there."""

    async def scenario(stage: Stage) -> None:
        pulls_the_plug(stage, b"p,91")
        await stage.until(lambda: stage.world.insert_bill(1_000))
        await stage.until(lambda: stage.account.returned == 1_000, within_s=60.0)
        assert SPOILT in stage.flags
        assert (stage.spent, stage.credit) == (0, 0)

    play(scenario, "adapter", judged=False)


def test_a_coin_whose_answer_went_with_the_plug_is_looked_for() -> None:
    """In the cash box nothing counts it: a person is asked to look."""

    async def scenario(stage: Stage) -> None:
        pulls_the_plug(stage, b"p,45")
        stage.world.insert_coin(200)
        await stage.until(lambda: bool(stage.flags), within_s=60.0)
        assert stage.flags == [SPOILT_COIN]
        assert (stage.spent, stage.credit) == (200, 0)

    play(scenario, "adapter", judged=False)
