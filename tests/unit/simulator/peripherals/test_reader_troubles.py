"""The card reader in trouble: malfunctions, deaths, resets, silence, nonsense."""

from __future__ import annotations

import asyncio

import pytest

from simulator.bench import MdbBench
from simulator.conversation import ScriptedMaster
from simulator.peripherals.reader_settings import (
    Card,
)
from simulator.truth import AuthState
from tests.unit.simulator.peripherals.reader_kit import (
    CANCEL,
    COMPLETE,
    FAILURE,
    REQUEST,
    SUCCESS,
    approved,
    only,
    ready,
    session,
    tell,
)


def test_passing_malfunctions_are_told_once_others_until_they_are_cleared() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.reader.malfunction(0x11)
        assert await master.ask("12") == bytes.fromhex("0A 11")
        assert await master.ask("12") == b""
        bench.reader.malfunction(0x51)
        bench.reader.malfunction(0x51)
        for _ in range(3):
            assert await master.ask("12") == bytes.fromhex("0A 51")
        assert bench.reader.present_card(Card("card"))
        await asyncio.sleep(1)
        answer = await master.ask("12")
        assert answer is not None
        assert answer[0] == 3
        assert answer[-2:] == bytes.fromhex("0A 51"), "it works on"
        bench.reader.clear_malfunction()
        assert await master.ask("12") == b""

    tell(story)


def test_a_reader_that_has_failed_reads_no_card_and_denies() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        await master.ask(REQUEST)
        bench.reader.malfunction(0x80)
        await asyncio.sleep(2)
        assert await master.ask("12") == bytes.fromhex("06 0A 80")
        await master.ask(COMPLETE)
        await master.ask("12")
        assert not bench.reader.present_card(Card())

    tell(story)


def test_several_messages_come_in_one_answer() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        bench.reader.faults.declines = 1
        await master.ask(REQUEST)
        await asyncio.sleep(2)
        bench.reader.malfunction(0x11)
        bench.reader.request_time()
        assert await master.ask("12") == bytes.fromhex("06 0A 11 11")

    tell(story)


@pytest.mark.parametrize("moment", ["request", "approval", "success", "failure", "session"])
@pytest.mark.parametrize("how", ["dies_at", "resets_at"])
def test_a_reader_can_die_or_reset_at_each_moment(moment: str, how: str) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        faults = bench.reader.faults
        faults.dies_for_s = 10
        await ready(bench, master)
        setattr(faults, how, moment)
        bench.reader.present_card(Card("card"))
        await asyncio.sleep(1)
        await master.ask("12")
        await asyncio.sleep(0.5)
        steps = {"session": [], "request": [REQUEST], "approval": [REQUEST, "12"]}
        for step in steps.get(moment, [REQUEST, "12", SUCCESS if moment == "success" else FAILURE]):
            await master.ask(step)
            await asyncio.sleep(2)
        assert getattr(faults, how) == "", "it happened"
        assert await master.ask("12") == (None if how == "dies_at" else b"\x00")
        await asyncio.sleep(10)
        assert await master.ask("12") is not None
        held = moment in ("approval", "success", "failure")
        if held:
            expected = AuthState.APPROVED if how == "dies_at" else AuthState.CAPTURED
            assert only(bench) is expected

    tell(story)


def test_requests_may_stay_without_an_answer_and_ends_without_an_end() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        bench.reader.faults.no_answers = 1
        await master.ask(REQUEST)
        await asyncio.sleep(60)
        assert await master.ask("12") == b""
        await master.ask(CANCEL)
        assert await master.ask("12") == b"\x06"
        bench.reader.faults.no_end = 1
        assert await master.ask(COMPLETE) == b""
        assert await master.ask("12") == b""
        assert await master.ask(COMPLETE) == b""
        assert await master.ask("12") == b"\x07"

    tell(story)


def test_a_reader_may_talk_nonsense() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.reader.faults.out_of_sequence = 1
        assert await master.ask("12") == b"\x0b\x03"
        bench.reader.faults.unasked_ends = 1
        assert await master.ask("12") == b"\x07"
        bench.reader.faults.extra_approve_s = 10
        bench.reader.present_card(Card("card"))
        await asyncio.sleep(1)
        await master.ask("12")
        await master.ask(REQUEST)
        await asyncio.sleep(10)
        assert await master.ask("12") == b""
        await asyncio.sleep(2)
        assert await master.ask("12") == bytes.fromhex("05 00 78")

    tell(story)


def test_a_saved_reader_has_charged_what_was_open() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await approved(bench, master)
        fresh = MdbBench(bench.loop)
        fresh.from_state(bench.to_state())
        await asyncio.sleep(0.5)
        assert fresh.truth.totals().card_captured == 120
        assert await ScriptedMaster(fresh).ask("12") == b"\x00"

    tell(story)


def test_malfunctions_can_be_planted_by_name() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.reader.faults.malfunction = 0x11
        assert await master.ask("12") == bytes.fromhex("0A 11")
        assert await master.ask("12") == b""
        bench.reader.faults.malfunction = 0x80
        assert await master.ask("12") == bytes.fromhex("0A 80")
        assert await master.ask("12") == bytes.fromhex("0A 80")
        assert not bench.reader.present_card(Card())
        bench.reader.clear_malfunction()
        assert await master.ask("12") == b""

    tell(story)
