"""The coin changer: payouts, and how they end."""

from __future__ import annotations

import asyncio

import pytest

from simulator.bench import BenchSettings, MdbBench
from simulator.conversation import ScriptedMaster, run_story
from simulator.peripherals.changer_settings import BusyStyle, ChangerSettings, CoinSpec
from simulator.truth import TRAY
from tests.unit.simulator.peripherals.changer_kit import EURO, counts, ready


def test_a_payout_takes_time_and_is_busy_until_it_ends() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        started = bench.loop.time()
        assert await master.ask("0D 54") == b""
        assert bench.changer.paying
        busy = 0
        while await master.ask("0B") == b"\x02":
            busy += 1
            await asyncio.sleep(0.1)
        assert busy >= 7
        assert 5 * 0.15 <= bench.loop.time() - started < 1.2
        assert bench.truth.value(TRAY) == 500
        assert counts(await master.ask("0A"))[EURO] == 15

    run_story(story)


def test_a_silent_changer_pays_too_and_answers_before_it_counts_as_gone() -> None:
    settings = ChangerSettings(busy=BusyStyle.SILENCE, payout_s=0.5)

    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        await master.ask("0D A4")
        silent_since, longest, answers = bench.loop.time(), 0.0, []
        while bench.changer.paying:
            answer = await master.ask("0B")
            if answer is not None:
                longest = max(longest, bench.loop.time() - silent_since)
                silent_since = bench.loop.time()
                answers.append(answer)
            await asyncio.sleep(0.1)
        assert set(answers) <= {b"\x02"}
        assert 1.0 < longest < 2.0
        assert await master.ask("0B") == b""
        assert bench.truth.value(TRAY) == 1000

    run_story(story, BenchSettings(changer=settings))


def test_payout_by_value_uses_the_largest_coins_that_are_there() -> None:
    settings = ChangerSettings(
        coins=(CoinSpec(5, 9, 5), CoinSpec(10, 9), CoinSpec(20, 9, 2), CoinSpec(50, 9, 1))
    )

    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        assert await master.ask("0F 02 15") == b""  # 1.05
        assert await master.ask("0F 03") == b"", "busy"
        assert await master.ask("0F 04") == b"\x00", "nothing yet"
        assert await master.ask("0F 02 01") is None, "one at a time"
        assert await master.ask("0D 10") is None
        await asyncio.sleep(0.15)
        assert await master.ask("0F 04", ack=False) == b"\x0a"
        assert await master.ask("0F 04") == b"\x0a", "told until it is acknowledged"
        assert await master.ask("0F 04") == b"\x00"
        await asyncio.sleep(2)
        assert await master.ask("0F 04") == b"", "finished"
        assert await master.ask("0F 03", ack=False) == bytes((3, 0, 2, 1))
        assert await master.ask("0F 03") == bytes((3, 0, 2, 1)), "kept until acknowledged"
        assert await master.ask("0F 03") == b"\x00", "then cleared"
        assert bench.truth.value(TRAY) == 105

    run_story(story, BenchSettings(changer=settings))


def test_options_are_off_until_they_are_enabled_and_after_each_reset() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.ask("0B")
        for command in ("0F 02 01", "0F 03", "0F 04", "0F 05", "0F 06", "0F 07"):
            assert await master.ask(command) is None
        await master.ask("0F 01 FF FF FF FF")
        assert bench.changer.options == 7, "only what it offers"
        assert await master.ask("0F 03") == b"\x00"
        bench.changer.self_reset()
        await asyncio.sleep(0.2)
        assert await master.ask("0F 03") is None

    run_story(story)


def test_a_level_2_changer_knows_no_expansion() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        assert await master.ask("0F 00") is None
        setup = await master.ask("09")
        assert setup is not None
        assert setup[0] == 2

    run_story(story, BenchSettings(changer=ChangerSettings(level=2)))


def test_a_type_without_a_tube_pays_nothing() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        assert await master.ask("0D 15") == b""
        await asyncio.sleep(1)
        assert await master.ask("0B") == b""
        assert bench.truth.value(TRAY) == 0

    run_story(story)


def test_an_empty_tube_ends_the_payout_early_and_the_status_says_so() -> None:
    settings = ChangerSettings(coins=(CoinSpec(10, 9, 9), CoinSpec(100, 9, 1)))

    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.changer.faults.count_error = {1: 3}
        assert counts(await master.ask("0A")) == [9, 4]
        await master.ask("0F 02 3C")  # 3.00
        await asyncio.sleep(2)
        assert await master.ask("0F 03") == bytes((0, 1))
        assert bench.truth.value(TRAY) == 100

    run_story(story, BenchSettings(changer=settings))


def test_a_blind_changer_believes_in_coins_that_never_came() -> None:
    settings = ChangerSettings(coins=(CoinSpec(100, 9, 1),), detects_empty=False)

    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.changer.faults.count_error = {0: 3}
        await master.ask("0F 02 3C")
        await asyncio.sleep(2)
        assert await master.ask("0F 03") == bytes((3,))
        assert counts(await master.ask("0A")) == [1]
        assert bench.truth.value(TRAY) == 100

    run_story(story, BenchSettings(changer=settings))


def test_a_jam_ends_the_payout_and_its_tube_is_defective() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.changer.faults.jam_after = 2
        await master.ask("0F 02 64")  # 5.00
        await asyncio.sleep(2)
        assert await master.ask("0B") == b"\x07"
        assert await master.ask("0F 03") == bytes((0, 0, 0, 0, 2))
        answer = await master.ask("0A")
        assert answer is not None
        assert answer[1] & 1 << EURO
        assert counts(answer)[EURO] == 0
        assert await master.ask("0F 05") == bytes.fromhex("15 00")
        bench.changer.insert_coin(100)
        await asyncio.sleep(1)
        assert await master.ask("0B") == bytes.fromhex("44 00")
        bench.changer.mend_tube(EURO)
        assert counts(await master.ask("0A"))[EURO] == 18

    run_story(story)


@pytest.mark.parametrize("coins", [0, 1, 2, 3])
def test_a_self_reset_in_a_payout_leaves_it_unfinished_and_forgets_it(coins: int) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.changer.faults.reset_after = coins
        await master.ask("0F 02 3C")  # 3.00
        await asyncio.sleep(2)
        assert await master.ask("0B") == b"\x0b"
        await master.ask("0F 01 00 00 00 07")
        assert await master.ask("0F 03") == b"\x00"
        assert bench.truth.value(TRAY) == coins * 100
        assert counts(await master.ask("0A"))[EURO] == 20 - coins

    run_story(story)


@pytest.mark.parametrize("how", ["reset", "break", "power"])
def test_reset_break_and_power_loss_abort_a_payout(how: str) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        await master.ask("0D 54")
        await asyncio.sleep(0.2)
        if how == "reset":
            await master.ask("08")
        elif how == "break":
            bench.break_bus()
        else:
            bench.power_off()
            await asyncio.sleep(1)
            bench.power_on()
        paid = bench.truth.value(TRAY)
        assert 0 < paid < 500
        await asyncio.sleep(2)
        assert bench.truth.value(TRAY) == paid

    run_story(story)


def test_the_changer_goes_on_paying_when_nobody_listens_any_more() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        await master.ask("0D 54")
        bench.port("native").close()
        await asyncio.sleep(2)
        assert bench.truth.value(TRAY) == 500

    run_story(story)


@pytest.mark.parametrize(
    ("fault", "value", "paid", "status"),
    [
        ("short_by", 1, 200, (0, 0, 0, 0, 2)),
        ("extra_coins", 1, 400, (0, 0, 0, 0, 4)),
        ("status_error", {EURO: 1}, 300, (0, 0, 0, 0, 4)),
    ],
)
def test_a_payout_may_differ_from_its_order_or_from_its_report(
    fault: str, value: object, paid: int, status: tuple[int, ...]
) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        setattr(bench.changer.faults, fault, value)
        await master.ask("0F 02 3C")
        await asyncio.sleep(2)
        assert await master.ask("0F 03") == bytes(status)
        assert bench.truth.value(TRAY) == paid

    run_story(story)


def test_a_stalled_payout_ends_with_reset_only() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.changer.faults.stall = True
        await master.ask("0D 14")
        await asyncio.sleep(60)
        assert await master.ask("0B") == b"\x02"
        bench.changer.faults.stall = False
        await master.ask("08")
        await asyncio.sleep(1)
        assert await master.ask("0B") == b"\x0b"
        assert not bench.changer.paying

    run_story(story)


def test_a_stuck_value_poll_and_a_busy_changer_say_so() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.changer.faults.value_poll_stuck = True
        bench.changer.faults.busy_s = 1.0
        await master.ask("0F 02 14")
        assert await master.ask("0B") == b"\x02\x0a"
        await asyncio.sleep(0.5)
        assert await master.ask("0B") == b"\x0a"
        await asyncio.sleep(0.6)
        assert await master.ask("0B") == b""
        assert await master.ask("0F 04") == b"\x02"

    run_story(story)
