"""Coins whose report is lost, comes again or comes damaged: each counts once, or is flagged.

Field lesson 10 (nodestark/mdb-esp32-cashless#32, #11: partial reads and lost ACKs).
"""

from __future__ import annotations

import re

import pytest

from controller.domain import accounts as acc
from drivers.mdb.changer_talk import SPOILT
from simulator.world import Link
from tests.scenarios.stage import Stage, play


@pytest.mark.parametrize("odd", ["deaf_to_acks", "lost_answers", "repeated_items", "bad_checksums"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_coin_whose_report_or_ack_is_lost_counts_once(odd: str, times: int, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("changer", odd, times)
        stage.world.insert_coin(100)
        stage.world.insert_coin(200)
        await stage.until(lambda: stage.credit == 300, within_s=30.0)
        stage.world.insert_coin(200)
        await stage.until(lambda: stage.credit == 500, within_s=30.0)
        await stage.passes(3.0)
        assert stage.credit == 500
        await stage.gives_back()
        assert stage.spent - stage.claimed == 0

    play(scenario, link)


def test_coins_that_come_in_reverse_order_and_again_count_once(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("changer", "deaf_to_acks", 2)
        stage.breaks("changer", "reversed_items", 2)
        for value in (100, 50, 20, 10):
            stage.world.insert_coin(value)
        await stage.until(lambda: stage.credit == 180, within_s=30.0)
        await stage.passes(3.0)
        assert stage.credit == 180
        await stage.gives_back()
        assert stage.spent == 0

    play(scenario, link)


@pytest.mark.parametrize("values", [(200, 50), (200, 200, 50), (50, 200), (200, 200)])
@pytest.mark.parametrize("deaf", [1, 2, 3, 8])
def test_repeats_behind_newer_coins_are_no_money_either(
    deaf: int, values: tuple[int, ...], link: Link
) -> None:
    """A coin of the cash box has no count that would tell: that two don't fall so fast does."""

    async def scenario(stage: Stage) -> None:
        stage.breaks("changer", "deaf_to_acks", deaf)
        stage.breaks("changer", "reversed_items", 20)
        for value in values:
            stage.world.insert_coin(value)
        await stage.passes(5.0)
        assert stage.credit == sum(values)
        await stage.gives_back()
        assert stage.spent == 0

    play(scenario, link)


def test_a_changer_that_never_hears_us_fills_no_journal(link: Link) -> None:
    """As one that we answer too late: it says the same coin ten times a second, for ever."""

    async def scenario(stage: Stage) -> None:
        stage.breaks("changer", "deaf_to_acks", 100_000)
        stage.world.insert_coin(200)
        await stage.passes(600.0)
        assert stage.credit == 200
        assert 1 <= len(stage.flags) <= 16
        stage.world.insert_coin(50)
        await stage.passes(5.0)
        stage.mends("changer", "deaf_to_acks")
        await stage.passes(5.0)
        assert stage.credit == 250
        await stage.gives_back()
        assert stage.spent == 0

    play(scenario, link)


@pytest.mark.parametrize(
    ("before", "dead", "extra"),
    [((200,), (50,), 200), ((200, 200), (50, 200), 400), ((200, 200), (50,), 400)],
)
def test_over_a_restart_a_coin_of_the_cash_box_is_counted_once_or_flagged(
    before: tuple[int, ...], dead: tuple[int, ...], extra: int
) -> None:
    """On record, its ACK lost with the life, and told again behind a newer one: order was all.

    Newer items are only appended, says the standard: what stands behind another is new, and
    credited. A changer that mixes them up can't be caught, so somebody has to look.
    """

    async def scenario(stage: Stage) -> None:
        stage.breaks("changer", "deaf_to_acks", 100)
        for value in before:
            stage.world.insert_coin(value)
        await stage.until(lambda: stage.credit == sum(before))
        seen = len(stage.flags)
        await stage.kill()
        stage.breaks("changer", "reversed_items", 20)
        for value in dead:
            stage.world.insert_coin(value)
        await stage.passes_without(1.0)
        stage.mends("changer", "deaf_to_acks")
        await stage.opens()
        await stage.passes(5.0)
        assert stage.credit == sum(before) + sum(dead) + extra
        assert stage.flags[seen:] == ["coin not told from a repeat"]
        assert stage.records("coins.deposited")[-1].suspect * 200 == extra

    play(scenario, "native", judged=False)  # what is credited twice is in nobody's cash box


def test_over_a_restart_a_newer_coin_in_front_of_one_like_the_last_is_credited_and_flagged() -> (
    None
):
    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        await stage.passes(5.0)
        await stage.kill()
        for value in (50, 200):
            stage.world.insert_coin(value)
            await stage.passes_without(1.0)
        await stage.opens()
        await stage.passes(5.0)
        assert stage.credit == 450
        assert stage.flags == ["coin not told from a repeat"]
        await stage.gives_back()
        assert stage.spent == 0

    play(scenario, "native")


def test_a_coin_whose_text_was_damaged_behind_the_adapter_s_own_ack_is_flagged() -> None:
    """The changer tells it no second time: of what is in the cash box nobody else would know."""

    async def scenario(stage: Stage) -> None:
        for damaged in range(1, 9):  # each time another of its characters is lost
            stage.breaks("line", "cut_texts", 1)
            stage.world.insert_coin(200)
            await stage.passes(5.0)
            assert (stage.credit, stage.flags) == (0, [SPOILT] * damaged)
        await stage.coins(200)
        await stage.buys("A3")
        assert len(stage.flags) == 8
        await stage.kill()
        await stage.opens()
        await stage.coins(200)
        assert len(stage.flags) == 8

    play(scenario, "adapter", judged=False)


def test_a_line_that_stays_noisy_fills_no_journal_and_leaves_no_coin_unflagged() -> None:
    """Each answer may have told of a coin; told of one by one, nobody would read of any."""

    async def scenario(stage: Stage) -> None:
        coins = 0
        began = len(stage.told)

        async def damaged(seconds: float) -> None:
            nonlocal coins
            end = stage.loop.time() + seconds
            while stage.loop.time() < end:
                stage.breaks("line", "cut_texts", 1)
                stage.world.insert_coin(200)
                coins += 1
                await stage.passes(3.0)

        def known() -> int:
            flagged = sum(int((times.findall(flag) or [1])[0]) for flag in stage.flags)
            return flagged + len(stage.records("coins.deposited"))  # that came through whole

        await damaged(600.0)
        assert len(stage.flags) == 8 + 3, "after one, two and four minutes"
        whole = len(stage.records("coins.deposited"))
        assert len(stage.told) - began == len(stage.flags) + whole
        await stage.passes(600.0)
        assert known() == coins
        before = len(stage.flags)
        await damaged(5.0)
        assert len(stage.flags) == before
        await stage.stop()
        assert known() == coins

    times = re.compile(r"\((\d+) times in \d+ min\)")
    play(scenario, "adapter", judged=False, ends=False)


def test_a_tube_coin_whose_text_was_damaged_is_found_by_the_count() -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("line", "cut_texts", 1)
        stage.world.insert_coin(100)
        await stage.until(lambda: bool(stage.flags))
        await stage.passes(10.0)
        assert stage.credit == 0
        assert stage.state.ledger.balance(acc.UNCLAIMED) == -100
        assert stage.world.truth.count("tube:4") == stage.state.tubes[4]

    play(scenario, "adapter", judged=False)


def test_a_tube_coin_whose_text_was_damaged_in_a_vend_is_found_when_that_has_ended() -> None:
    async def scenario(stage: Stage) -> None:
        stage.press("A3")
        await stage.until(lambda: "approval" in stage.intents)
        stage.world.insert_coin(100)
        await stage.until(lambda: stage.world.truth.count("tube:4") == 31)
        stage.breaks("line", "cut_texts", 1)
        await stage.until(lambda: bool(stage.flags))
        assert stage.flags == [SPOILT]
        assert stage.world.present_card("card")
        await stage.closes()
        await stage.until(lambda: stage.state.ledger.balance(acc.UNCLAIMED) == -100)
        assert stage.world.truth.count("tube:4") == stage.state.tubes[4]

    play(scenario, "adapter", judged=False)
