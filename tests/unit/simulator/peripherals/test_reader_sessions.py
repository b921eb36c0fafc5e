"""The card reader and its cards: sessions, always idle, changes of mind."""

from __future__ import annotations

import asyncio

from simulator.bench import MdbBench
from simulator.conversation import ScriptedMaster
from simulator.peripherals.reader_settings import (
    Card,
    ReaderSettings,
    ReaderState,
)
from simulator.truth import AuthState
from tests.unit.simulator.peripherals.reader_kit import (
    CANCEL,
    COMPLETE,
    REQUEST,
    SUCCESS,
    approved,
    only,
    ready,
    session,
    tell,
)


def test_a_reader_takes_no_card_before_it_is_enabled_or_while_it_is_disabled() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        assert not bench.reader.present_card(Card())
        await ready(bench, master)
        await master.ask("14 00")
        assert bench.reader.state is ReaderState.DISABLED
        assert not bench.reader.present_card(Card())
        await master.ask("14 01")
        bench.reader.faults.dead = True
        assert not bench.reader.present_card(Card())
        bench.reader.faults.dead = False
        assert bench.reader.present_card(Card())
        assert not bench.reader.present_card(Card()), "one at a time"

    tell(story)


def test_a_disable_before_the_session_was_told_drops_it() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.reader.present_card(Card())
        await asyncio.sleep(1)
        await master.ask("14 00")
        assert await master.ask("12") == b""
        assert bench.reader.state is ReaderState.DISABLED

    tell(story)


def test_a_disable_in_a_session_takes_effect_at_its_end() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        assert await master.ask("14 00") == b""
        await master.ask(REQUEST)
        await asyncio.sleep(2)
        assert await master.ask("12") == bytes.fromhex("05 00 78")
        await master.ask(SUCCESS)
        await master.ask(COMPLETE)
        assert await master.ask("12") == b"\x07"
        assert bench.reader.state is ReaderState.DISABLED

    tell(story)


def test_one_vend_a_session_unless_the_reader_does_more() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await approved(bench, master)
        await master.ask(SUCCESS)
        await master.ask(REQUEST)
        await asyncio.sleep(2)
        answer = await master.ask("12")
        assert answer is not None
        assert answer[0] == (5 if bench.reader.settings.multivend else 6)

    tell(story)
    tell(story, ReaderSettings(multivend=True))


def test_always_idle_waits_for_the_card_after_the_request() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master, options=0x20)
        assert bench.reader.always_idle
        assert await master.ask(REQUEST) == b""
        await asyncio.sleep(20)
        assert await master.ask("12") == b""
        bench.truth.customer = "ann"
        assert bench.reader.present_card(Card("ann's", balance=500))
        await asyncio.sleep(2)
        assert await master.ask("12") == bytes.fromhex("05 00 78")
        await master.ask(SUCCESS)
        await master.ask(COMPLETE)
        assert await master.ask("12") == b"\x07"
        (entry,) = bench.truth.authorisations.values()
        assert (entry.customer, entry.card) == ("ann", "ann's")
        assert bench.truth.accounts["ann"].charged == 120

    tell(story)


def test_always_idle_gives_up_when_nobody_comes_and_when_it_is_cancelled() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master, options=0x20)
        await master.ask(REQUEST)
        await asyncio.sleep(121)
        assert await master.ask("12") == b"\x06"
        await master.ask(COMPLETE)
        assert await master.ask("12") == b"\x07"
        await master.ask(REQUEST)
        await master.ask(CANCEL)
        assert await master.ask("12") == b"\x06"
        await master.ask(COMPLETE)
        assert await master.ask("12") == b"\x07"
        assert bench.reader.state is ReaderState.ENABLED

    tell(story)


def test_without_the_option_a_request_belongs_into_a_session() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        assert await master.ask(REQUEST) == b""
        assert await master.ask("12") == b"\x0b\x03"

    tell(story)


def test_an_always_idle_reader_may_begin_a_classic_session_too() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master, options=0x20)
        bench.reader.present_card(Card("card"))
        await asyncio.sleep(1)
        await master.ask(REQUEST)
        assert await master.ask("12") == b"", "the request was quicker than the poll"
        await asyncio.sleep(2)
        assert await master.ask("12") == bytes.fromhex("05 00 78")

    tell(story)


def test_the_customer_can_cancel_a_session_but_not_an_approved_vend() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        bench.reader.cancel_session()
        assert await master.ask("12") == b"\x04"
        assert await master.ask("12") == b""
        await master.ask(COMPLETE)
        assert await master.ask("12") == b"\x07"
        bench.reader.present_card(Card("card"))
        await asyncio.sleep(1)
        await master.ask("12")
        await master.ask(REQUEST)
        await asyncio.sleep(2)
        await master.ask("12")
        bench.reader.cancel_session()
        assert await master.ask("12") == b""
        await master.ask(SUCCESS)
        assert await master.ask("12") == b"\x04"

    tell(story)


def test_some_readers_ask_for_the_end_at_each_poll() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        bench.reader.cancel_session()
        for _ in range(3):
            assert await master.ask("12") == b"\x04"
        await master.ask(COMPLETE)
        assert b"\x07" in (await master.ask("12") or b"")
        assert await master.ask("12") == b""

    tell(story, ReaderSettings(cancel_repeats=True))


def test_a_card_pulled_before_the_answer_is_denied() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        card = await session(bench, master)
        await master.ask(REQUEST)
        bench.reader.cancel_session()
        assert await master.ask("12") == b"\x06"
        assert await master.ask("12") == b"\x04"
        assert only(bench) is AuthState.DECLINED
        assert card.balance == 2000

    tell(story)


def test_a_card_taken_away_before_the_session_begins_leaves_nothing() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.reader.present_card(Card("card"))
        bench.reader.cancel_session()
        await asyncio.sleep(1)
        assert await master.ask("12") == b""

    tell(story)


def test_a_session_without_selection_ends_by_itself() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        await asyncio.sleep(119)
        assert await master.ask("12") == b""
        await asyncio.sleep(2)
        assert await master.ask("12") == b"\x04"

    tell(story)
