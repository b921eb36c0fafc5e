"""The card reader's messages: levels, answers at once, wrong moments, repeats."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from simulator.bench import MdbBench
from simulator.conversation import ScriptedMaster
from simulator.peripherals.reader_settings import (
    ALL_AT_ONCE,
    AtOnce,
    Card,
    ReaderSettings,
    WrongMoment,
)
from tests.unit.simulator.peripherals.reader_kit import (
    CANCEL,
    COMPLETE,
    FAILURE,
    REQUEST,
    SUCCESS,
    ready,
    session,
    tell,
)


@pytest.mark.parametrize(
    ("level", "reader", "begin", "out_of_sequence", "identity"),
    [
        (1, 3, "03 07 D0", "0B", 30),
        (3, 1, "03 07 D0", "0B", 30),
        (2, 3, "03 07 D0 00 12 34 56 00 00 00", "0B 03", 30),
        (3, 2, "03 07 D0 00 12 34 56 00 00 00", "0B 03", 30),
        (3, 3, "03 07 D0 00 12 34 56 00 00 00", "0B 03", 34),
    ],
)
def test_the_lower_of_both_levels_shapes_the_messages(
    level: int, reader: int, begin: str, out_of_sequence: str, identity: int
) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master, level=level)
        await master.ask("17 00" + " 20" * 29)
        name = await master.ask("12")
        assert name is not None
        assert len(name) == identity
        assert await master.ask("13 03") == b""
        assert await master.ask("12") == bytes.fromhex(out_of_sequence)
        bench.reader.present_card(Card("card", balance=2000, media_id=0x00123456))
        await asyncio.sleep(1)
        assert await master.ask("12") == bytes.fromhex(begin)

    tell(story, ReaderSettings(level=reader))


def test_some_readers_send_the_long_identity_at_any_level() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master, level=2)
        await master.ask("17 00" + " 20" * 29)
        name = await master.ask("12")
        assert name is not None
        assert len(name) == 34

    tell(story, ReaderSettings(long_id_always=True))


@pytest.mark.parametrize(
    ("card", "funds"),
    [
        (Card("card"), "FF FF"),
        (Card("card", balance=2000, show_balance=False), "FF FF"),
        (Card("card", balance=1_000_000), "FF FE"),
    ],
)
def test_funds_that_are_not_known_or_too_large(card: Card, funds: str) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.reader.present_card(replace(card))
        await asyncio.sleep(1)
        begin = await master.ask("12")
        assert begin is not None
        assert begin[1:3] == bytes.fromhex(funds)

    tell(story)


def test_reader_cancel_is_answered_with_cancelled() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        assert await master.ask("14 02") == b""
        assert await master.ask("12") == b"\x08"

    tell(story)


def test_a_reader_may_answer_at_once() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        assert await master.ask("12") == b"\x00"
        config = await master.ask("11 00 03 00 00 00")
        assert config is not None
        assert config[0] == 1
        await master.ask("11 01 FF FF 00 00")
        name = await master.ask("17 00" + " 20" * 29)
        assert name is not None
        assert name[0] == 9
        await master.ask("14 01")
        assert await master.ask("14 02") == b"\x08"
        bench.reader.present_card(Card("card"))
        await asyncio.sleep(1)
        await master.ask("12")
        assert await master.ask("15 01") == bytes.fromhex("0F 13 88")
        assert await master.ask(REQUEST) == bytes.fromhex("05 00 78")
        await master.ask(SUCCESS)
        assert await master.ask(COMPLETE) == b"\x07"

    tell(story, ReaderSettings(at_once=ALL_AT_ONCE, approve_s=0))


def test_data_that_was_not_acknowledged_comes_again_by_poll() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        assert await master.ask(COMPLETE, ack=False) == b"\x07"
        await asyncio.sleep(0.1)
        assert await master.ask("12") == b"\x07"
        assert await master.ask("12") == b""

    tell(story, ReaderSettings(at_once=frozenset({AtOnce.END})))


def test_reset_may_be_answered_with_just_reset() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        assert await master.ask("10") == b"\x00"
        assert await master.ask("12") == b""

    tell(story, ReaderSettings(reset_tells_at_once=True, boot_s=0))


def test_just_reset_stands_alone_in_its_block() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        bench.reader.malfunction(0x51)
        assert await master.ask("12") == b"\x00"
        assert await master.ask("12") == bytes.fromhex("0A 51")

    tell(story)


@pytest.mark.parametrize("command", [REQUEST, FAILURE, SUCCESS, CANCEL, "14 00", "15 01"])
def test_commands_at_a_wrong_moment_are_acknowledged_and_reported(command: str) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.ask("12")
        assert await master.ask("11 00 03 00 00 00") == b""
        await master.ask("12")
        assert await master.ask(command) == b""
        assert await master.ask("12") == b"\x0b\x01"

    tell(story)


def test_some_readers_stay_silent_at_a_wrong_moment() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        assert await master.ask(REQUEST) is None
        assert await master.ask("12") == b""

    tell(story, ReaderSettings(wrong_moment=WrongMoment.SILENCE))


def test_an_exchange_whose_data_is_owed_must_not_be_broken() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.ask("12")
        assert await master.ask("11 00 03 00 00 00") == b""
        assert await master.ask("11 00 03 00 00 00") == b"", "a repeat does no harm"
        assert await master.ask("11 01 FF FF 00 00") == b""
        answer = await master.ask("12")
        assert answer is not None
        assert answer[0] == 1
        assert answer[8:] == b"\x0b\x01"
        assert bench.reader.prices is None

    tell(story)


def test_repeats_are_tolerated_or_reported() -> None:
    async def tolerant(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        await master.ask(REQUEST)
        assert await master.ask(REQUEST) == b""
        await asyncio.sleep(2)
        assert await master.ask("12") == bytes.fromhex("05 00 78")
        await master.ask(SUCCESS)
        assert await master.ask(SUCCESS) == b""
        assert await master.ask("12") == b""
        await master.ask(COMPLETE)
        await master.ask("12")
        assert await master.ask(COMPLETE) == b""
        assert await master.ask("12") == b""
        assert bench.truth.totals().card_captured == 120, "counted once"

    async def strict(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        await master.ask(REQUEST)
        assert await master.ask(REQUEST) == b""
        assert await master.ask("12") == b"\x0b\x05"
        await asyncio.sleep(2)
        await master.ask("12")
        await master.ask(SUCCESS)
        assert await master.ask(SUCCESS) == b""
        assert await master.ask("12") == b"\x0b\x04", "already done"
        assert bench.truth.totals().card_captured == 120

    tell(tolerant)
    tell(strict, ReaderSettings(tolerates_repeats=False))
