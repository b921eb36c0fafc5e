"""Refunds of a card that vendd hears of although it died, the disk is slow or the line is lost."""

from __future__ import annotations

import pytest

from simulator.peripherals.reader_settings import OPTION_32_BIT
from simulator.world import Link
from tests.scenarios.card_kit import (
    READER,
    ask,
    begin,
    charged,
    plan,
)
from tests.scenarios.stage import Stage, play


@pytest.mark.parametrize("refund", ["", "error"])
def test_the_outcome_of_a_refund_is_heard_although_vendd_died_over_it(
    refund: str, link: Link
) -> None:
    """The reader gives back, or fails to, while nobody listens; the first poll tells."""

    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        stage.breaks(READER, "refund", refund)
        await ask(stage, "A3")
        await stage.until(lambda: "settle" in stage.intents)
        await stage.kill()
        await stage.passes_without(2.0)
        await stage.opens()
        await stage.quiet()
        assert stage.claimed == (200 if refund else 0)
        assert stage.spent == (200 if refund else 0)

    play(scenario, link)


@pytest.mark.parametrize("link", ["native"], indirect=True)
def test_a_refund_error_of_a_slow_disk_is_told_twice_and_counted_once(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        stage.breaks(READER, "refund", "error")
        await ask(stage, "A3")
        await stage.until(lambda: "settle" in stage.intents)
        stage.disk.sync_latency = lambda: 0.4
        await stage.closes()
        stage.disk.sync_latency = lambda: 0.0
        await stage.quiet()
        assert stage.claimed == 200
        assert len(stage.records("refund.refused")) == 1
        assert stage.flags == []

    play(scenario, link)


def test_a_refund_error_on_a_line_that_loses_everything_is_never_taken_for_a_refund(
    link: Link,
) -> None:
    """An adapter acknowledges what it then loses on its way to us."""

    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        stage.breaks(READER, "refund", "error")
        await ask(stage, "A3")
        await stage.until(lambda: "settle" in stage.intents)
        await stage.passes(0.3)
        stage.breaks("line", "loss", 1.0)
        await stage.passes(0.3)
        stage.mends("line", "loss")
        await stage.until(lambda: bool(stage.state.closed))
        await stage.quiet()
        assert charged(stage) == 200
        assert stage.claimed == 200

    play(scenario, link)


@pytest.mark.parametrize("dies_in", ["approval", "dispense", "settle"])
@pytest.mark.parametrize(("reader", "card"), [(False, "card"), (True, "one-way")])
def test_what_a_card_says_of_refunds_is_known_to_the_life_that_follows(
    reader: bool, card: str, dies_in: str, link: Link
) -> None:
    """In expanded currency mode the card's own word overrides the reader's (seed 993000029)."""

    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        await begin(stage, card)
        stage.press("A3")
        await stage.until(lambda: dies_in in stage.intents)
        await stage.passes(0.05)
        await stage.kill()
        await stage.passes_without(2.0)
        await stage.opens()
        await stage.quiet()
        stays = 0 if card == "card" else 200
        assert stage.account.charged == stays
        assert stage.claimed == stays
        # A refund error may have been told to the life that died.
        told_before = dies_in == "settle" and not stays
        assert stage.flags == (["card refund already"] if told_before else [])

    wide = plan("expanded", options=OPTION_32_BIT, can_refund=reader)
    play(scenario, link, plan=wide)
