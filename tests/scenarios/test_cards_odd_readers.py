"""Card readers that do not fit, or have ways of their own.

Of a fork's history: a level that is not reset by RESET, wrong answers of level 2 and 3.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.domain import commands as cmd
from controller.faults import FaultCode
from simulator.oracles import Allowance
from simulator.peripherals.reader_settings import WrongMoment
from simulator.world import Link
from tests.scenarios.card_kit import (
    KINDS,
    READER,
    begin,
    charged,
    is_classic,
    pay,
    plan,
    quarters,
)
from tests.scenarios.stage import Stage, play, with_mdb


@pytest.mark.parametrize("kind", KINDS)
def test_a_price_that_the_reader_cannot_express_is_a_fault_and_never_rounded(
    kind: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.SetPrice("B4", 55))
        await stage.until(lambda: stage.has_fault(READER, FaultCode.DEVICE_UNSUITABLE))
        if is_classic(stage):
            await begin(stage)
        before = len(stage.records("vend.closed"))
        stage.press("B4")
        await stage.until(lambda: len(stage.records("vend.closed")) > before)
        assert stage.world.truth.authorisations == {}
        await stage.quiet()
        await stage.coins(50, 20, 5)
        await stage.buys("A3")
        await stage.act(cmd.SetPrice("B4", 75))
        await stage.until(lambda: not stage.has_fault(READER, FaultCode.DEVICE_UNSUITABLE))
        await stage.quiet()
        await pay(stage, "B4")
        assert charged(stage) == 75

    play(scenario, link, plan=plan(kind, scale=25), settings=quarters())


def test_a_reader_of_another_currency_is_refused_and_cash_sells(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.until(lambda: stage.has_fault(READER, FaultCode.DEVICE_UNSUITABLE))
        assert not stage.world.present_card("card")
        await stage.coins(50)
        await stage.buys("B4")
        assert stage.spent == 50
        await stage.passes(120.0)
        assert stage.faults_raised(READER) == 1

    play(scenario, link, plan=plan(currency=0x1840))


@pytest.mark.parametrize(
    "odd",
    [
        {"long_id_always": True, "level": 2, "options": 0},
        {"reset_tells_at_once": True},
        {"tolerates_repeats": False},
        {"wrong_moment": WrongMoment.SILENCE},
        {"cancel_repeats": True},
        {"complete_cancels": True},
        {"session_end_s": 3.0},
        {"level": 1, "options": 0, "cash_sale": False},
        {"approval_timeout_s": 30.0},
    ],
    ids="-".join,
)
def test_readers_with_habits_of_their_own_sell_and_refund(odd: dict[str, Any], link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await pay(stage, "B4")
        assert charged(stage) == 50
        stage.breaks("A3", "jam")
        await pay(stage, "A3")
        if odd.get("level") == 1:  # its ACK proves no refund
            assert stage.claimed == 200
            assert stage.flags
        else:
            assert stage.claimed == 0
        assert stage.spent == 50
        stage.breaks(READER, "resets")
        await stage.passes(5.0)
        await pay(stage, "B4")
        assert stage.products == ["gum", "gum"]

    play(scenario, link, plan=plan(**odd), allowance=Allowance(blind=odd.get("level") == 1))


def test_the_levels_state_is_forgotten_at_a_reset(link: Link) -> None:
    """A reader that is replaced by one of a lower level in mid life is spoken to in its level."""

    async def scenario(stage: Stage) -> None:
        await pay(stage, "B4")
        reader = stage.world.reader()
        stage.world.unplug(READER)
        await stage.passes(25.0)
        reader.settings = replace(reader.settings, level=1, options=0)
        stage.world.plug(READER)
        await stage.passes(30.0)
        await begin(stage)
        stage.press("B4")
        await stage.closes()
        assert charged(stage) == 100

    play(scenario, link)


def test_a_reader_is_spoken_to_no_higher_than_the_owner_says(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await begin(stage)
        stage.press("A3")
        await stage.closes()
        assert stage.world.reader().level == 1
        assert charged(stage) == 200

    play(scenario, link, settings=with_mdb(READER, level=1))


def test_always_idle_is_left_off_where_the_owner_wants_it_so(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        assert not stage.world.reader().always_idle
        stage.press("A3")
        await stage.shows("2.00")
        assert stage.state.sagas == {}
        await begin(stage)
        stage.press("A3")
        await stage.closes()
        assert charged(stage) == 200

    play(scenario, link, settings=with_mdb(READER, always_idle=False))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["answer", "poll", "stays"])
def test_an_approval_that_the_reader_denies_right_behind_sells_nothing(
    how: str, kind: str, link: Link
) -> None:
    """The last word counts: nothing is dispensed, and nothing stays charged."""

    async def scenario(stage: Stage) -> None:
        stage.breaks(READER, "denies_approved", how)
        await pay(stage, "A3")
        assert stage.products == []
        assert charged(stage) == 0
        assert stage.last.result == "refused"
        assert (stage.flags, stage.claimed) == ([], 0)
        await stage.sells()
        await pay(stage, "A3")
        assert stage.products == ["cola"]
        assert charged(stage) == 200

    play(scenario, link, plan=plan(kind))


def test_a_reader_that_dies_over_what_it_denied_may_have_charged_it(link: Link) -> None:
    """Its silence is no word that it is in no vend: our RESET makes an approval final."""

    async def scenario(stage: Stage) -> None:
        stage.breaks(READER, "denies_approved", "stays")
        stage.breaks(READER, "dies_at", "failure")
        await pay(stage, "A3")
        stage.mends(READER, "dies_at")
        await stage.sells()
        await stage.passes(60.0)
        assert (stage.products, charged(stage)) == ([], 200)
        assert (stage.flags, stage.claimed) == (["approval unknown"], 200)

    play(scenario, link, plan=plan())


def test_a_denial_that_comes_when_the_product_has_fallen_is_flagged(link: Link) -> None:
    """No reader may: what it approved is delivered, and a person asks who pays."""

    async def scenario(stage: Stage) -> None:
        stage.breaks(READER, "denies_approved", "late")
        await pay(stage, "A3")
        assert stage.products == ["cola"]
        assert charged(stage) == 0
        assert [(flag.reason, flag.amount) for flag in stage.records("review.flagged")] == [
            ("card denied after all", 200)
        ]

    play(scenario, link, plan=plan(), judged=False)
