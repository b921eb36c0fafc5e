"""Card readers that die, reset themselves, or answer late or never."""

from __future__ import annotations

import pytest

from controller.faults import FaultCode
from simulator.world import Link
from tests.scenarios.card_kit import (
    KINDS,
    MOMENTS,
    READER,
    begin,
    fair,
    is_classic,
    pay,
    plan,
)
from tests.scenarios.stage import Stage, play


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("away_s", [4.0, 40.0])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_reader_that_dies_at_a_moment_of_the_vend(
    moment: str, away_s: float, kind: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(READER, "dies_for_s", away_s)
        stage.breaks(READER, "dies_at", moment)
        if moment == "failure":
            stage.breaks("A3", "jam")
        await pay(stage, "A3")
        await stage.passes(60.0)
        stage.mends("A3", "jam")
        fair(stage, 200)
        before = stage.spent
        await pay(stage, "B4")
        assert stage.spent == before + 50, "it sells by card again"
        assert not stage.has_fault(READER, FaultCode.DEVICE_SILENT)

    play(scenario, link, plan=plan(kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_reader_that_resets_itself_at_a_moment_of_the_vend(
    moment: str, kind: str, link: Link
) -> None:
    """Its reset charges what was approved and told: delivered, or a claim."""

    async def scenario(stage: Stage) -> None:
        stage.breaks(READER, "resets_at", moment)
        if moment == "failure":
            stage.breaks("A3", "jam")
        if moment == "session" and is_classic(stage):
            await begin(stage)
            await stage.passes(3.0)
        await pay(stage, "A3")
        await stage.passes(5.0)
        stage.mends("A3", "jam")
        fair(stage, 200)
        before = stage.spent
        await pay(stage, "B4")
        assert stage.spent == before + 50

    play(scenario, link, plan=plan(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_that_is_never_answered_is_cancelled(kind: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(READER, "no_answers")
        await pay(stage, "A3")
        assert stage.spent == 0
        assert stage.products == []
        await pay(stage, "A3")
        assert stage.products == ["cola"]

    play(scenario, link, plan=plan(kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("late_s", [5.0, 25.0, 61.0])
def test_an_approval_that_comes_late(kind: str, late_s: float, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(READER, "extra_approve_s", late_s)
        await pay(stage, "A3")
        fair(stage, 200)
        assert stage.claimed == 0
        stage.mends(READER, "extra_approve_s")
        await stage.passes(5.0)
        before = stage.spent
        await pay(stage, "B4")
        assert stage.spent == before + 50

    play(scenario, link, plan=plan(kind))
