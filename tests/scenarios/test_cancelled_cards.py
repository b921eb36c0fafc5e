"""A customer who changes his mind before a reader, and a bus that swallows what he wanted."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from controller.journal.envelope import Record
from controller.ports import CancelOutcome, Charged, DeviceName, KeyPressed
from simulator.oracles import Allowance
from simulator.plan import WorldPlan, plan_for
from simulator.truth import AuthState
from simulator.world import Link
from tests.scenarios.stage import SETTINGS, Stage, play

PRICE = 50


async def asks(stage: Stage) -> None:
    """Key a selection; an always-idle reader waits for a card from now on."""
    stage.press("B4")
    await stage.until(lambda: "approval" in stage.intents)
    await stage.passes(1.0)


def paid_for_nothing(stage: Stage) -> int:
    return stage.account.charged - stage.claimed - PRICE * len(stage.products)


@pytest.mark.parametrize("lost", [3, 7, 8, 12])
def test_a_card_that_is_shown_after_a_cancel_that_got_lost_is_charged_nothing(
    lost: int, link: Link
) -> None:
    """The reader heard neither VEND CANCEL nor VEND FAILURE for a while: it still waits."""

    async def scenario(stage: Stage) -> None:
        await asks(stage)
        stage.breaks("cashless1", "silent_commands", lost)
        stage.press("*")
        await stage.passes(4.0)
        stage.world.present_card()
        await stage.passes(90.0)
        assert paid_for_nothing(stage) == 0
        assert not stage.state.sagas
        if not await took(stage):
            await stage.passes(30.0)
        assert paid_for_nothing(stage) == 0

    async def took(stage: Stage) -> bool:
        sold = len(stage.products)
        await stage.pays_by_card("B4")
        return len(stage.products) > sold

    play(scenario, link)


@pytest.mark.parametrize("refund", ["", "error", "silent"])
@pytest.mark.parametrize("late_s", [0.0, 0.4, 0.8, 1.0, 1.1, 1.2, 1.3, 1.5])
def test_a_cancel_that_meets_the_approval_is_a_sale_a_refund_or_a_claim(
    late_s: float, refund: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        if refund:
            stage.breaks("cashless1", "refund", refund)
        await asks(stage)
        assert stage.world.present_card()
        await stage.passes(late_s)
        stage.press("*")
        await stage.passes(90.0)
        assert paid_for_nothing(stage) <= 0
        if not refund:
            assert paid_for_nothing(stage) == 0

    play(scenario, link)


@pytest.mark.parametrize("lost", [4, 8, 12])
def test_a_stop_ends_a_request_although_its_cancel_gets_lost_for_a_while(
    lost: int, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await asks(stage)
        stage.breaks("cashless1", "silent_commands", lost)
        started = stage.loop.time()
        await stage.stop()
        assert stage.loop.time() - started < 25.0
        await stage.kill()

    play(scenario, link, ends=False)


def test_the_coin_return_key_does_not_interfere_with_recovery(link: Link) -> None:
    """Two cancels of one approved vend would each take the other's refund for their own."""

    async def scenario(stage: Stage) -> None:
        await asks(stage)
        await stage.kill()
        stage.breaks("cashless1", "silent_commands", 4)
        running = await stage.boot()
        reader = running.machine.hands.readers[DeviceName.CASHLESS1]
        cancel, cancels = reader.cancel_vend, 0

        async def counted(refundable: bool | None = None) -> CancelOutcome | Charged:
            nonlocal cancels
            cancels += 1
            return await cancel(refundable)

        reader.cancel_vend = counted  # type: ignore[method-assign]  # listens, and passes on
        while not stage.state.recovered:
            stage.press("*")
            await stage.passes(0.1)
        await stage.quiet()
        assert cancels == 1
        assert paid_for_nothing(stage) == 0

    play(scenario, link)


def keeps_what_it_took() -> WorldPlan:
    """The demo's devices with a reader that can't refund."""
    plan = plan_for(SETTINGS)
    reader = replace(plan.readers["cashless1"], can_refund=False, options=0)
    return replace(plan, readers={"cashless1": reader})


async def shows(stage: Stage, card: str) -> None:
    """Show a card, and key a selection."""
    await stage.until(lambda: stage.world.present_card(card))
    await stage.passes(1.5)
    await asks(stage)


def cancels_as_it_approves(stage: Stage) -> None:
    """The customer changes his mind in the moment in which an approval leaves the reader."""
    reader = stage.world.readers["cashless1"]
    tell = reader._approval_told

    def leaves() -> None:
        tell()
        assert stage.running is not None
        stage.running.machine.inbox.notify(KeyPressed("*"))

    reader._approval_told = leaves  # type: ignore[method-assign]  # listens, and passes on


@pytest.mark.parametrize("card", ["card", "discount", "token"])
def test_a_cancel_that_the_approval_has_overtaken_is_owed_to_the_cent_and_not_flagged(
    card: str, link: Link
) -> None:
    """The reader can't refund, and says so: nothing of it is in doubt (seed 903)."""

    async def scenario(stage: Stage) -> None:
        cancels_as_it_approves(stage)
        await shows(stage, card)
        await stage.closes()
        await stage.quiet()
        assert stage.products == []
        assert stage.last.result == "claimed"
        assert stage.claimed == stage.account.charged == (45 if card == "discount" else 50)
        assert stage.records("approval.finished")[-1].outcome == "charged"
        assert stage.flags == []

    play(scenario, link, plan=keeps_what_it_took())


def test_an_approval_that_comes_after_a_restart_and_stays_is_owed_to_the_cent_and_not_flagged(
    link: Link,
) -> None:
    """It was told to the life that asks what became of the request, and nobody else."""

    async def scenario(stage: Stage) -> None:
        stage.breaks("cashless1", "extra_approve_s", 2.0)
        await shows(stage, "discount")
        await stage.kill()
        await stage.passes_without(3.0)
        await stage.opens()
        assert stage.products == []
        assert stage.claimed == stage.account.charged == 45
        assert stage.records("approval.finished")[-1].outcome == "charged"
        assert stage.flags == []

    play(scenario, link, plan=keeps_what_it_took())


def test_a_refund_error_on_record_is_believed_behind_a_restart_that_finds_no_vend(
    link: Link,
) -> None:
    """The life that had cancelled died before it had written down how that ended."""

    async def scenario(stage: Stage) -> None:
        cancels_as_it_approves(stage)
        refused = asyncio.get_running_loop().create_future()

        def look(records: list[Record]) -> None:
            if any(record.type == "refund.refused" for record in records):
                stage.cut_strings()
                refused.set_result(None)

        assert stage.running is not None
        stage.running.machine.on_commit.append(look)
        await shows(stage, "one-way")
        await refused
        await stage.kill()
        await stage.opens()
        assert stage.records("approval.finished")[-1].outcome == "charged"
        assert stage.claimed == stage.account.charged == 50
        assert stage.flags == [], "how much it keeps is on record"

    plan = plan_for(SETTINGS)
    readers = {"cashless1": replace(plan.readers["cashless1"], options=0)}
    play(scenario, link, plan=replace(plan, readers=readers))


def test_a_refund_error_of_what_no_record_tells_the_amount_of_is_looked_at(link: Link) -> None:
    """A reader's own discount may have made it less than was asked for."""

    async def scenario(stage: Stage) -> None:
        cancels_as_it_approves(stage)
        auths = stage.world.truth.authorisations
        await shows(stage, "one-way")
        await stage.until(lambda: any(auth.amount for auth in auths.values()))
        await stage.passes(0.4)
        await stage.kill()
        await stage.opens()
        assert [data.amount for data in stage.records("refund.refused")] == [None]
        assert stage.records("approval.finished")[-1].outcome == "charged"
        assert stage.claimed == stage.account.charged == 50
        assert stage.flags == ["approval unknown"]

    plan = plan_for(SETTINGS)
    readers = {"cashless1": replace(plan.readers["cashless1"], options=0)}
    play(scenario, link, plan=replace(plan, readers=readers))


@pytest.mark.parametrize("refunds", [True, False])
@pytest.mark.parametrize("later_s", [0.0, 0.03, 0.1, 0.6, 0.68, 0.75, 0.8])
def test_a_life_that_dies_over_a_cancel_leaves_nobody_charged_unseen(
    later_s: float, refunds: bool, link: Link
) -> None:
    """What became of a VEND FAILURE, a reader says once: here to a life that died of it."""

    async def scenario(stage: Stage) -> None:
        cancels_as_it_approves(stage)
        auths = stage.world.truth.authorisations
        await shows(stage, "one-way")
        await stage.until(lambda: any(auth.amount for auth in auths.values()))
        await stage.passes(later_s)
        await stage.kill()
        await stage.opens()
        lost = paid_for_nothing(stage)
        if refunds and link == "adapter":  # which acknowledges a refund error by itself
            assert lost <= 0 or stage.flags == ["card refund already"]
        else:
            assert lost <= 0
        assert lost == 0 or stage.flags

    plan = plan_for(SETTINGS)
    reader = replace(plan.readers["cashless1"], options=0, can_refund=refunds)
    plan = replace(plan, readers={"cashless1": reader})
    play(scenario, link, plan=plan, allowance=Allowance(blind=True))


@pytest.mark.parametrize("later_s", [0.0, 0.03, 0.06, 0.1, 0.13, 0.2, 0.3])
def test_a_life_that_dies_over_a_denial_behind_an_approval_leaves_nobody_charged_unseen(
    later_s: float, link: Link
) -> None:
    """The reader denies what it approved, keeps it all the same, and can't give it back."""

    async def scenario(stage: Stage) -> None:
        stage.breaks("cashless1", "denies_approved", "stays")
        auths = stage.world.truth.authorisations
        await shows(stage, "one-way")
        await stage.until(lambda: any(auth.state is AuthState.CAPTURED for auth in auths.values()))
        await stage.passes(later_s)
        await stage.kill()
        await stage.opens()
        lost = paid_for_nothing(stage)
        assert lost <= 0 or (link == "adapter" and stage.flags == ["card refund already"])

    play(scenario, link, plan=one_way(), allowance=Allowance(blind=True))


@pytest.mark.parametrize("later_s", [0.0, 0.021, 0.024, 0.027, 0.03, 0.033, 0.1])
def test_a_life_that_dies_over_the_cancel_of_the_life_before_leaves_nobody_charged_unseen(
    later_s: float, link: Link
) -> None:
    """Recovery's own VEND FAILURE: its refund error, too, is said once."""

    async def scenario(stage: Stage) -> None:
        stage.breaks("cashless1", "extra_approve_s", 2.0)
        auths = stage.world.truth.authorisations
        await shows(stage, "one-way")
        await stage.kill()
        await stage.passes_without(3.0)
        await stage.boot()
        await stage.until(lambda: any(auth.state is AuthState.CAPTURED for auth in auths.values()))
        await asyncio.sleep(later_s)
        await stage.kill()
        await stage.opens()
        lost = paid_for_nothing(stage)
        assert lost <= 0 or (link == "adapter" and stage.flags == ["card refund already"])

    play(scenario, link, plan=one_way(), allowance=Allowance(blind=True))


def one_way() -> WorldPlan:
    """The demo's devices with a classic reader that can refund; some of its cards can't."""
    plan = plan_for(SETTINGS)
    return replace(plan, readers={"cashless1": replace(plan.readers["cashless1"], options=0)})
