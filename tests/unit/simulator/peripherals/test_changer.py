"""The coin changer: coins in, what goes wrong with them, its switches and counts."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from simulator.bench import BenchSettings, MdbBench
from simulator.conversation import ScriptedMaster, run_story
from simulator.peripherals.changer_settings import ChangerSettings, CoinSpec
from simulator.truth import CASHBOX, SLOT, TECHNICIAN, TRAY, tube
from tests.unit.simulator.peripherals.changer_kit import EURO, FIFTY, TEN, TWENTY, counts, ready


def test_coins_go_to_their_tubes_and_to_the_cash_box() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        for value in (100, 200, 5):
            bench.changer.insert_coin(value)
        assert bench.truth.value(SLOT) == 305
        await asyncio.sleep(1)
        assert await master.ask("0B") == bytes.fromhex("54 15 45 00 50 29")
        assert bench.truth.value(CASHBOX) == 200
        assert bench.truth.count(tube(EURO)) == 21
        assert bench.truth.totals().inserted == 305

    run_story(story)


def test_a_full_tube_sends_its_coins_to_the_cash_box() -> None:
    settings = ChangerSettings(coins=(CoinSpec(50, capacity=3, coins=2), CoinSpec(100, 10)))

    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.changer.insert_coin(50)
        await asyncio.sleep(1)
        assert await master.ask("0B") == bytes.fromhex("50 03")
        assert await master.ask("0A") == bytes.fromhex("00 01 03 00")
        bench.changer.insert_coin(50)
        await asyncio.sleep(1)
        assert await master.ask("0B") == bytes.fromhex("40 03")
        assert bench.truth.count(CASHBOX) == 1

    run_story(story, BenchSettings(changer=settings))


def test_an_inhibited_coin_comes_back_to_the_customer() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        await master.ask("0C 00 10 00 00")
        bench.truth.customer = "ann"
        bench.changer.insert_coin(50)
        await asyncio.sleep(1)
        assert await master.ask("0B") == b""
        assert bench.truth.accounts["ann"].spent == 0
        assert bench.truth.take_tray() == 50

    run_story(story)


def test_a_coin_that_rolls_while_acceptance_ends_comes_back() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.changer.insert_coin(50)
        await master.ask("0C 00 00 00 00")
        await asyncio.sleep(1)
        assert bench.truth.value(TRAY) == 50

    run_story(story)


def test_slugs_and_foreign_coins_come_back_and_are_counted() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        for _ in range(3):
            bench.changer.insert_coin(0, name="slug")
        bench.changer.insert_coin(25)
        await asyncio.sleep(2)
        assert await master.ask("0B") == b"\x24"
        assert bench.truth.count(TRAY) == 4
        bench.changer.insert_coin(0, name="slug")
        await asyncio.sleep(1)
        assert await master.ask("0B", ack=False) == b"\x21"
        bench.changer.insert_coin(0, name="slug")
        await asyncio.sleep(1)
        assert await master.ask("0B") == b"\x21\x21", "an item that was sent does not change"

    run_story(story)


def test_coins_come_one_by_one_however_fast_they_are_put_in() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        for _ in range(3):
            bench.changer.insert_coin(200)
        for coins in range(1, 4):
            await asyncio.sleep(0.26 if coins > 1 else 0.31)
            assert bench.truth.count(CASHBOX) == coins

    run_story(story)


def test_a_token_is_told_as_one() -> None:
    settings = ChangerSettings(coins=(CoinSpec(50, 10), CoinSpec(token=True)))

    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        setup = await master.ask("09")
        assert setup is not None
        assert setup[7:9] == bytes((10, 0xFF))
        bench.changer.insert_coin(0, name="token")
        await asyncio.sleep(1)
        assert await master.ask("0B") == bytes.fromhex("41 00")

    run_story(story, BenchSettings(changer=settings))


def test_two_types_may_have_one_value() -> None:
    settings = ChangerSettings(coins=(CoinSpec(50, 10), CoinSpec(50, 10)))

    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.changer.insert_coin(50)
        bench.changer.insert_coin(50, coin_type=1)
        await asyncio.sleep(1)
        assert await master.ask("0B") == bytes.fromhex("50 01 51 01")

    run_story(story, BenchSettings(changer=settings))


def test_while_nobody_polls_sixteen_bytes_are_taken_and_no_coin_more() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        for _ in range(12):
            bench.changer.insert_coin(200)
            await asyncio.sleep(1)
        assert bench.truth.value(CASHBOX) == 8 * 200
        assert bench.truth.value(TRAY) == 4 * 200
        answer = await master.ask("0B")
        assert answer == bytes.fromhex("45 00") * 8
        bench.changer.insert_coin(200)
        await asyncio.sleep(1)
        assert await master.ask("0B") == bytes.fromhex("45 00")

    run_story(story)


def test_rejected_coins_may_be_told() -> None:
    settings = ChangerSettings(reports_rejects=True)

    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        await master.ask("0C 00 10 00 00")
        bench.changer.insert_coin(50)
        await asyncio.sleep(1)
        assert await master.ask("0B") == bytes.fromhex("73 14")

    run_story(story, BenchSettings(changer=settings))


@pytest.mark.parametrize(
    ("fault", "told", "place"),
    [
        ("double_arrivals", "05", TRAY),
        ("lost_credits", "03", TRAY),
        ("misroutes", "53 14 09", CASHBOX),
    ],
)
def test_a_coin_that_goes_wrong_is_told_by_its_status(fault: str, told: str, place: str) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        setattr(bench.changer.faults, fault, 1)
        bench.changer.insert_coin(50)
        await asyncio.sleep(1)
        assert await master.ask("0B") == bytes.fromhex(told)
        assert bench.truth.value(place) == 50

    run_story(story)


def test_a_jammed_coin_stays_until_somebody_clears_it() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.changer.faults.coin_jam = True
        bench.changer.insert_coin(50)
        await asyncio.sleep(1)
        assert await master.ask("0B") == b"\x0c"
        assert bench.truth.value(SLOT) == 50
        bench.power_off()
        bench.power_on()
        assert bench.truth.value(SLOT) == 50
        bench.changer.insert_coin(10)
        bench.changer.clear_coin_jam()
        assert bench.truth.value(TRAY) == 50, "the coin that rolls is not stuck"
        await asyncio.sleep(1)
        assert bench.truth.value(TRAY) == 60

    run_story(story)


def test_an_unplugged_acceptor_says_so_at_each_poll() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.changer.faults.acceptor_unplugged = True
        assert await master.ask("0B") == b"\x06"
        assert await master.ask("0B") == b"\x06"
        bench.changer.insert_coin(50)
        assert bench.truth.value(TRAY) == 50
        assert await master.ask("0F 05") == bytes.fromhex("11 00")

    run_story(story)


def test_the_lever_is_told_once_or_as_long_as_it_is_held() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.changer.press_lever()
        assert await master.ask("0B") == b"\x01"
        assert await master.ask("0B") == b""
        bench.changer.lever_held = True
        assert await master.ask("0B") == b"\x01"
        assert await master.ask("0B") == b"\x01"
        bench.changer.lever_held = False
        assert await master.ask("0B") == b""

    run_story(story, BenchSettings(changer=ChangerSettings(lever_repeats=True)))


def test_a_coin_on_a_string_is_told_as_fraud() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.changer.insert_coin(200)
        await asyncio.sleep(1)
        bench.changer.steal_credited_coin(200)
        assert await master.ask("0B") == bytes.fromhex("45 00 0D")
        assert bench.truth.value(CASHBOX) == 0

    run_story(story)


def test_the_switches_work_after_a_reset_and_are_told() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.ask("0B")
        assert bench.changer.press_switch(EURO, 3) == 3
        assert await master.ask("0B") == bytes((0x80 | 3 << 4 | EURO, 17))
        assert bench.truth.value(TRAY) == 0, "the technician has them"
        await master.ask("0C 00 3F 00 00")
        assert bench.changer.press_switch(EURO) == 0, "switched off"
        await master.ask("0C 00 00 00 10")
        assert bench.changer.press_switch(EURO) == 1
        assert bench.changer.press_switch(FIFTY) == 0

    run_story(story)


def test_filling_by_hand_is_seen_or_not() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.changer.fill_tube(EURO, 5)
        bench.changer.fill_tube(FIFTY, 5, counted=False)
        bench.changer.empty_tube(TEN, 5)
        bench.changer.empty_tube(TWENTY, 5, counted=False)
        told = counts(await master.ask("0A"))
        assert told == [40, 35, 30, 20, 25]
        assert [bench.truth.count(tube(kind)) for kind in range(5)] == [40, 35, 25, 25, 25]

    run_story(story)


def test_the_controlled_manual_mode_reports_its_coins_once() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.changer.fill_mode = True
        bench.changer.fill_tube(EURO, 5)
        bench.changer.empty_tube(TEN, 2)
        assert await master.ask("0F 05") == bytes.fromhex("05 10")
        bench.changer.end_fill_mode()
        assert await master.ask("0F 05") == bytes.fromhex("03 00")
        assert await master.ask("0F 06") == bytes((0, 0, 0, 0, 5))
        assert await master.ask("0F 07") == bytes((0, 2, 0, 0, 0))
        assert await master.ask("0F 06") == bytes(5)

    run_story(story)


def test_a_defective_sensor_is_told_once_and_shown_as_full_and_empty() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.changer.break_tube_sensor(TWENTY)
        assert await master.ask("0B") == b"\x04"
        answer = await master.ask("0A")
        assert answer is not None
        assert answer[1] == 1 << TWENTY
        assert counts(answer)[TWENTY] == 0

    run_story(story)


def test_counts_are_capped_at_one_byte() -> None:
    settings = ChangerSettings(coins=(CoinSpec(10, 400, 300), CoinSpec(20, 9)))

    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        assert counts(await master.ask("0A")) == [255, 0]
        bench.changer.insert_coin(10)
        await asyncio.sleep(1)
        assert await master.ask("0B") == bytes((0x50, 255))

    run_story(story, BenchSettings(changer=settings))


def test_power_loss_opens_the_gate() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.changer.insert_coin(50)
        bench.power_off()
        assert bench.truth.value(TRAY) == 50
        bench.changer.insert_coin(20)
        assert bench.truth.value(TRAY) == 70
        bench.power_on()
        await asyncio.sleep(1)
        assert bench.truth.value(SLOT) == 0

    run_story(story)


def test_a_rom_error_is_told_after_each_reset() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        bench.changer.faults.rom_error = True
        bench.changer.self_reset()
        await asyncio.sleep(0.3)
        assert await master.ask("0B") == b"\x0b\x08"

    run_story(story)


def test_a_value_that_cannot_be_told_is_refused_when_the_changer_is_built() -> None:
    settings = replace(ChangerSettings(), coins=(CoinSpec(7, 9),))
    with pytest.raises(ValueError, match="cannot be told"):
        settings.scaled(settings.coins[0])


@pytest.mark.parametrize(
    ("scaling", "decimals", "exponent", "value", "units"),
    [(5, 2, 2, 20, 4), (1, 1, 2, 20, 2), (50, 3, 2, 20, 4), (10, 0, 0, 100, 10)],
)
def test_values_are_told_in_the_changers_own_units(
    scaling: int, decimals: int, exponent: int, value: int, units: int
) -> None:
    settings = ChangerSettings(scaling=scaling, decimals=decimals, exponent=exponent)
    assert settings.scaled(CoinSpec(value)) == units


def test_a_saved_changer_comes_back_as_after_power_up() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.changer.fill_mode = True
        bench.changer.fill_tube(EURO, 2)
        bench.changer.faults.count_error = {EURO: -1}
        bench.changer.insert_coin(50)
        saved = bench.to_state()
        fresh = MdbBench(bench.loop)
        fresh.from_state(saved)
        await asyncio.sleep(0.5)
        other = ScriptedMaster(fresh)
        assert await other.ask("0B") == b"\x0b"
        assert counts(await other.ask("0A"))[EURO] == 21
        await other.ask("0F 01 00 00 00 07")
        assert await other.ask("0F 06") == bytes((0, 0, 0, 0, 2))
        assert fresh.truth.value(TRAY) == 50
        assert fresh.truth.value(TECHNICIAN) == 0

    run_story(story)
