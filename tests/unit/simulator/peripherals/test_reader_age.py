"""A simulated reader that checks ages, on the wire."""

from __future__ import annotations

import asyncio

import pytest

from simulator.bench import BenchSettings, MdbBench
from simulator.conversation import ScriptedMaster, Story, run_story
from simulator.peripherals.reader_settings import Card, ReaderSettings

ASK_18 = "17 FF 05 06 12 44 52 41 56 50"
OFF = "17 FF 05 06 00 44 52 41 56 50"


def tell(story: Story, settings: ReaderSettings | None = None) -> None:
    run_story(story, BenchSettings(readers=(settings or ReaderSettings(options=0),)))


async def enabled(master: ScriptedMaster) -> None:
    for command in ("12", "11 00 03 14 02 01", "12", "11 01 FF FF 00 00", "14 01"):
        assert await master.ask(command) is not None


@pytest.mark.parametrize(("age", "status"), [(18, 0x92), (17, 0x82), (None, 0x80)])
def test_each_card_tells_whether_its_holder_is_old_enough(age: int | None, status: int) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await enabled(master)
        assert await master.ask(ASK_18) == b""
        assert await master.ask("12") == b"\xff\x05\x06\x01DRAVP"
        assert bench.reader.present_card(Card("identity", age=age, pays=False))
        await asyncio.sleep(2)
        assert await master.ask("12") == b"\xff\x06\x07" + bytes((status, 1)) + b"DRAVS"
        assert await master.ask("12") == b"", "an identity card begins no session"

    tell(story)


def test_a_bank_card_begins_its_session_as_well() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await enabled(master)
        assert await master.ask(ASK_18) == b""
        assert await master.ask("12") is not None
        assert bench.reader.present_card(Card("card", age=30))
        await asyncio.sleep(2)
        told = await master.ask("12")
        assert told is not None
        assert told[0] == 0x03
        assert told.endswith(b"DRAVS")

    tell(story)


def test_a_reset_and_an_age_of_zero_turn_it_off() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await enabled(master)
        assert await master.ask(ASK_18) == b""
        assert bench.reader.age_asked == 18
        assert await master.ask(OFF) == b""
        assert bench.reader.age_asked == 0
        assert await master.ask(ASK_18) == b""
        bench.reader.self_reset()
        assert bench.reader.age_asked == 0

    tell(story)


def test_a_reader_without_it_is_silent() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        del bench
        await enabled(master)
        assert await master.ask(ASK_18) is None

    tell(story, ReaderSettings(options=0, checks_age=False))
