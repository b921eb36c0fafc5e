"""A customer who changes his mind before a reader, and a bus that swallows what he wanted."""

from __future__ import annotations

import pytest

from controller.ports import CancelOutcome, DeviceName
from simulator.world import Link
from tests.scenarios.stage import Stage, play

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

        async def counted() -> CancelOutcome:
            nonlocal cancels
            cancels += 1
            return await cancel()

        reader.cancel_vend = counted  # type: ignore[method-assign]  # listens, and passes on
        while not stage.state.recovered:
            stage.press("*")
            await stage.passes(0.1)
        await stage.quiet()
        assert cancels == 1
        assert paid_for_nothing(stage) == 0

    play(scenario, link)
