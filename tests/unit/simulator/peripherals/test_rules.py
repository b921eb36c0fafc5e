"""What every simulated peripheral must do, whichever it is."""

from __future__ import annotations

import asyncio

import pytest

from drivers.mdb.blocks import BYTE_TIME_S, RESPONSE_S, RESPONSE_TOLERANT_S
from simulator.bench import BenchSettings, MdbBench
from simulator.conversation import ScriptedMaster, run_story
from simulator.peripherals.base import Peripheral
from simulator.peripherals.changer_settings import ChangerSettings

# address, RESET, POLL, what JUST RESET looks like in an answer (disabled validators add 09)
DEVICES = [
    ("changer", "08", "0B", "0B"),
    ("bill", "30", "33", "06 09"),
    ("cashless1", "10", "12", "00"),
    ("cashless2", "60", "62", "00"),
]
EVERY = pytest.mark.parametrize(("name", "reset", "poll", "just_reset"), DEVICES)


def _settings() -> BenchSettings:
    fresh = BenchSettings()
    return BenchSettings(readers=fresh.readers * 2)


def _device(bench: MdbBench, name: str) -> Peripheral:
    return next(device for device in bench.peripherals if device.name == name)


@EVERY
def test_power_up_tells_just_reset_until_it_is_acknowledged(
    name: str, reset: str, poll: str, just_reset: str
) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        for _ in range(3):
            assert await master.ask(poll, ack=False) == bytes.fromhex(just_reset)
            await asyncio.sleep(0.05)
        assert await master.ask(poll) == bytes.fromhex(just_reset)
        assert await master.ask(poll) != bytes.fromhex(just_reset)

    run_story(story, _settings())


@EVERY
def test_reset_break_and_power_up_lead_to_the_same_state(
    name: str, reset: str, poll: str, just_reset: str
) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        device = _device(bench, name)
        await master.ask(poll)
        for cause in ("reset", "break", "power", "self"):
            if cause == "reset":
                assert await master.ask(reset) == b""
            elif cause == "break":
                bench.break_bus()
            elif cause == "power":
                bench.power_off()
                assert await master.ask(poll) is None
                bench.power_on()
            else:
                device.self_reset()
            assert await master.ask(poll) is None, "it may be silent at first"
            await asyncio.sleep(0.3)
            assert await master.ask(poll) == bytes.fromhex(just_reset)

    run_story(story, _settings())


@EVERY
def test_only_its_own_address_wakes_it(name: str, reset: str, poll: str, just_reset: str) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        for other in ("1A", "5B", "42", "F3"):
            assert await master.ask(other) is None
        assert await master.ask(poll) == bytes.fromhex(just_reset)

    run_story(story, _settings())


@EVERY
@pytest.mark.parametrize("tail", ["FF", "", "00 00"])
def test_a_wrong_checksum_or_length_meets_silence(
    name: str, reset: str, poll: str, just_reset: str, tail: str
) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        assert await master.exchange(bytes.fromhex(poll + tail)) is None
        assert await master.ask(poll) == bytes.fromhex(just_reset)

    run_story(story, _settings())


def test_unknown_commands_meet_silence() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        for unknown in ("0E", "0F 55", "37 55", "16 00", "13 44", "17 55"):
            assert await master.ask(unknown) is None

    run_story(story)


@EVERY
def test_answers_begin_in_time_without_gaps_and_mark_their_last_byte(
    name: str, reset: str, poll: str, just_reset: str
) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        setup = {"changer": "09 09", "bill": "31 31"}.get(name, f"{poll} {poll}")
        heard = await master.exchange(bytes.fromhex(setup))
        assert heard is not None
        assert heard.first_s - BYTE_TIME_S <= RESPONSE_S
        assert heard.last_s - heard.first_s == pytest.approx((len(heard.block) - 1) * BYTE_TIME_S)
        assert heard.marks == (False,) * (len(heard.block) - 1) + (True,)

    run_story(story, _settings())


@EVERY
def test_ret_brings_the_same_block_again(name: str, reset: str, poll: str, just_reset: str) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        device = _device(bench, name)
        bench.bus_line.flip_answers = 1
        block = bytes.fromhex(poll * 2)
        garbled = await master.exchange(block)
        again = await master.control(0xAA)
        assert garbled is not None
        assert again is not None
        assert garbled.block != again.block
        assert again.payload == bytes.fromhex(just_reset)
        assert not device.quiet
        await master.control(0x00)
        assert await master.ask(poll) != bytes.fromhex(just_reset)

    run_story(story, _settings())


@pytest.mark.parametrize("lost", ["silence", "nak", "other device", "late"])
def test_what_is_not_acknowledged_is_told_again_with_newer_items_behind_it(lost: str) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.ask("0B")
        await master.ask("0C 00 3F 00 00")
        bench.changer.insert_coin(100)
        await asyncio.sleep(1)
        first = await master.ask("0B", ack=False)
        assert first == bytes.fromhex("54 15")
        match lost:
            case "nak":
                await master.control(0xFF)
            case "other device":
                await master.ask("12")
            case "late":
                await asyncio.sleep(RESPONSE_TOLERANT_S * 1.5)
                await master.control(0x00)
        bench.changer.insert_coin(50)
        await asyncio.sleep(1)
        assert await master.ask("0B") == first + bytes.fromhex("53 15")
        assert await master.ask("0B") == b""

    run_story(story)


def test_an_acknowledgement_belongs_to_the_device_that_has_just_sent_data() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        assert await master.ask("0B", ack=False) == b"\x0b"
        assert await master.ask("12", ack=False) == b"\x00"
        await master.control(0x00)  # the reader's
        assert await master.ask("12") == b""
        assert await master.ask("0B") == b"\x0b"

    run_story(story)


def test_a_stray_acknowledgement_is_ignored() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.control(0x00)
        assert await master.control(0xAA) is None
        assert await master.ask("0B") == b"\x0b"

    run_story(story)


def test_a_flipped_bit_in_an_acknowledgement_does_not_turn_it_into_another_word() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.ask("0B", ack=False)
        await master.control(0x10)  # an ACK with one bit turned
        assert await master.ask("0B") == b""

    run_story(story)


# -- the faults that every device has ---------------------------------------------------------


def test_a_lost_ack_of_the_host_repeats_the_item() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        bench.bus_line.lose_host_acks = 1
        assert await master.ask("0B") == b"\x0b"
        await asyncio.sleep(0.1)
        assert await master.ask("0B") == b"\x0b"
        assert await master.ask("0B") == b""

    run_story(story)


def test_a_lost_ack_of_the_device_hides_a_command_that_was_carried_out() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.ask("0B")
        bench.bus_line.lose_device_acks = 1
        assert await master.ask("0D 14") is None
        await asyncio.sleep(1)
        assert bench.truth.totals().returned == 100
        bench.changer.faults.lost_answers = 1
        assert await master.ask("0D 14") is None
        await asyncio.sleep(1)
        assert bench.truth.totals().returned == 200

    run_story(story)


def test_a_command_that_is_not_heard_does_nothing() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        bench.changer.faults.silent_commands = 1
        assert await master.ask("0D 14") is None
        bench.bus_line.lose_blocks = 1
        assert await master.ask("0D 14") is None
        bench.bus_line.flip_blocks = 1
        assert await master.ask("0D 14") is None
        await asyncio.sleep(1)
        assert bench.truth.totals().returned == 0

    run_story(story)


def test_silence_lasts_as_long_as_asked() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.ask("0B")
        bench.changer.mute(1.9)
        await asyncio.sleep(1.8)
        assert await master.ask("0B") is None
        await asyncio.sleep(0.1)
        assert await master.ask("0B") == b""
        bench.changer.faults.silent = True
        await asyncio.sleep(100)
        assert await master.ask("0B") is None
        assert await master.control(0xAA) is None

    run_story(story)


def test_naks_bad_checksums_and_late_answers_are_drawn_when_asked() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        faults = bench.changer.faults
        faults.naks = 1
        heard = await master.exchange(b"\x0b\x0b")
        assert str(heard) == "FF*"
        faults.bad_checksums = 1
        heard = await master.exchange(b"\x0b\x0b")
        assert str(heard) == "0B 0C*"
        again = await master.control(0xAA)
        assert str(again) == "0B 0B*"
        faults.late_answers = 1
        faults.late_s = 0.012
        heard = await master.exchange(b"\x0b\x0b")
        assert heard is not None
        assert heard.first_s == pytest.approx(0.012 + BYTE_TIME_S)

    run_story(story)


def test_acknowledged_items_come_again_from_a_device_that_does_not_hear() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        bench.changer.faults.deaf_to_acks = 1
        assert await master.ask("0B") == b"\x0b"
        bench.changer.faults.repeated_items = 1
        assert await master.ask("0B") == b"\x0b"
        assert await master.ask("0B") == b"\x0b"
        assert await master.ask("0B") == b""

    run_story(story)


def test_items_can_come_in_reverse_order() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.ask("0B")
        await master.ask("0C 00 3F 00 00")
        bench.changer.insert_coin(100)
        bench.changer.insert_coin(200)
        await asyncio.sleep(1)
        bench.changer.faults.reversed_items = 1
        assert await master.ask("0B", ack=False) == bytes.fromhex("45 00 54 15")
        await asyncio.sleep(0.1)
        assert await master.ask("0B") == bytes.fromhex("54 15 45 00")

    run_story(story)


def test_a_device_that_chatters_spoils_the_answers_of_others() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.ask("12")
        bench.changer.faults.chatter = 2
        heard = await master.exchange(bytes.fromhex("12 12"))
        assert heard is not None
        assert heard.block == b"\x00\x00"
        heard = await master.exchange(bytes.fromhex("42 42"))
        assert heard is not None, "nobody has this address"

    run_story(story)


def test_a_late_answer_comes_even_when_another_block_has_begun() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        bench.changer.faults.late_answers = 1
        bench.changer.faults.late_s = 0.015
        port = bench.port("native")
        heard: list[bytes] = []
        port.start(heard.append, lambda error: None)
        port.write_block(b"\x0b\x0b")
        await asyncio.sleep(0.008)
        port.write_block(b"\x12\x12")
        await asyncio.sleep(0.05)
        assert b"".join(heard).count(b"\xff\x00") == 2

    run_story(story)


def test_another_block_cuts_an_answer_short() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        port = bench.port("native")
        heard: list[bytes] = []
        port.start(heard.append, lambda error: None)
        port.write_block(b"\x09\x09")
        await asyncio.sleep(0.010)
        port.write_block(b"\x12\x12")
        await asyncio.sleep(0.05)
        bytes_of_setup = 24
        assert 2 < len(heard) < bytes_of_setup
        assert b"".join(heard).endswith(b"\x00\xff\x00\x00"), "the reader is heard undisturbed"

    run_story(story)


def test_a_response_delay_can_be_chosen() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        heard = await master.exchange(b"\x0b\x0b")
        assert heard is not None
        assert heard.first_s == pytest.approx(0.004 + BYTE_TIME_S)

    run_story(story, BenchSettings(changer=ChangerSettings(response_s=0.004)))


def test_a_device_that_nobody_speaks_to_may_reset_itself() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        bench.changer.faults.unpolled_reset_s = 20
        for _ in range(5):
            await master.ask("0B")
            await asyncio.sleep(15)
        assert await master.ask("0B") == b""
        await asyncio.sleep(25)
        assert await master.ask("0B") == b"\x0b"
        bench.changer.faults.unpolled_reset_s = 0
        await asyncio.sleep(100)
        assert await master.ask("0B") == b""

    run_story(story)


def test_silence_and_resets_can_be_planted_by_name() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.ask("0B")
        bench.changer.faults.mute_s = 1
        assert await master.ask("0B") is None
        await asyncio.sleep(1)
        assert await master.ask("0B") == b""
        bench.changer.faults.resets = 1
        assert await master.ask("0B") is None
        await asyncio.sleep(0.5)
        assert await master.ask("0B") == b"\x0b"

    run_story(story)


@pytest.mark.parametrize(
    ("poll", "deny"), [("0B", "0F FB 08 00 00"), ("33", "37 FB 30 00 00"), ("12", "17 FB 10 00 00")]
)
def test_any_bytes_can_be_told_and_a_file_denied(poll: str, deny: str) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        device = next(d for d in bench.peripherals if d.address == int(poll, 16) & 0xF8)
        await master.ask(poll)
        device.say(bytes.fromhex("1F 00 08 01 02 00"), alone=True)
        assert await master.ask(poll) == bytes.fromhex("1F 00 08 01 02 00")
        assert await master.ask(deny) == b""

    run_story(story)


def test_a_quiet_bench_would_only_acknowledge() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        def quiet() -> bool:
            return bench.native.quiet

        def adapter_quiet() -> bool:
            return bench.adapter.quiet

        assert not quiet()
        for poll in ("0B", "33", "12"):
            await master.ask(poll)
        await master.ask("34 00 0F 00 0F")
        assert quiet()
        assert adapter_quiet()
        for fault in ("naks", "lost_answers", "chatter", "resets"):
            setattr(bench.changer.faults, fault, 1)
            assert not quiet()
            setattr(bench.changer.faults, fault, 0)
        bench.reader.faults.out_of_sequence = 1
        assert not quiet()
        bench.reader.faults.out_of_sequence = 0
        bench.bus_line.lose_answers = 1
        assert not quiet()
        assert not adapter_quiet()
        bench.bus_line.heal()
        bench.changer.mute(1)
        assert not quiet()
        await asyncio.sleep(1)
        assert quiet()
        bench.port("native").write_block(b"\x0b\x0b")
        assert not quiet()

    run_story(story)


def test_an_acknowledgement_during_the_answer_is_not_heard() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        port = bench.port("native")
        port.start(lambda data: None, lambda error: None)
        port.write_block(b"\x0b\x0b")
        await asyncio.sleep(0.0035)
        port.write(b"\x00")
        await asyncio.sleep(0.1)
        assert await ScriptedMaster(bench).ask("0B") == b"\x0b"

    run_story(story)


def test_speed_divides_physical_times_and_no_bus_times() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.ask("0B")
        await master.ask("0C 00 3F 00 00")
        bench.changer.insert_coin(100)
        await asyncio.sleep(0.031)
        assert await master.ask("0B") == bytes.fromhex("54 15")
        await master.ask("0D A4")
        await asyncio.sleep(0.2)
        assert bench.truth.totals().returned == 1000
        heard = await master.exchange(b"\x0b\x0b")
        assert heard is not None
        assert heard.first_s == pytest.approx(0.0015 + BYTE_TIME_S)

    run_story(story, BenchSettings(speed=10))


def test_a_bench_runs_on_a_real_loop_too() -> None:
    async def main() -> None:
        bench = MdbBench(asyncio.get_running_loop(), BenchSettings(speed=100))
        master = ScriptedMaster(bench)
        async with asyncio.timeout(10):  # it starts up first; a slow machine may miss some
            while await master.ask("0B", ack=False) != b"\x0b":
                pass
        await master.ask("0D 54")
        async with asyncio.timeout(10):
            while bench.truth.totals().returned < 500:  # noqa: ASYNC110 - no event says so
                await asyncio.sleep(0.01)

    asyncio.run(main())


def test_no_device_runs_against_the_clock() -> None:
    with pytest.raises(ValueError, match="above zero"):
        run_story(_nothing, BenchSettings(speed=0))


async def _nothing(bench: MdbBench, master: ScriptedMaster) -> None:
    raise AssertionError("it must not start")
