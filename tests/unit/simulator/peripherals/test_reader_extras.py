"""The card reader besides vends: cash sales, revalue, the machine's display and keys."""

from __future__ import annotations

import asyncio

from simulator.bench import MdbBench
from simulator.conversation import ScriptedMaster
from simulator.peripherals.reader_settings import (
    OPTION_DATA_ENTRY,
    OPTION_NEGATIVE_VEND,
    Card,
    ReaderSettings,
    ReaderState,
)
from tests.unit.simulator.peripherals.reader_kit import (
    FAILURE,
    SUCCESS,
    ready,
    session,
    tell,
)


def test_cash_sales_are_kept_for_the_audit() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        assert await master.ask("13 05 00 78 00 07") == b""
        assert list(bench.reader.cash_sales) == [(120, 7)]
        assert bench.reader.state is ReaderState.ENABLED

    async def without(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        assert await master.ask("13 05 00 78 00 07") is None

    tell(story)
    tell(without, ReaderSettings(cash_sale=False))


def test_revalue_puts_money_on_the_card_up_to_the_limit() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        bench.truth.customer = "ann"
        card = await session(bench, master)
        await master.ask("15 01")
        assert await master.ask("12") == bytes.fromhex("0F 13 88")
        await master.ask("15 00 01 F4")
        assert await master.ask("12") == b"\x0d"
        assert card.balance == 2500
        assert bench.truth.totals().card_credited == 500
        assert bench.truth.accounts["ann"].credited == 500
        await master.ask("15 00 FF 00")
        assert await master.ask("12") == b"\x0e"

    async def refused(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        await master.ask("15 01")
        assert await master.ask("12") == b"\x0e"

    async def level1(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master, level=1)
        assert await master.ask("15 01") is None

    tell(story)
    tell(refused, ReaderSettings(revalue_limit=0))
    tell(level1)


def test_a_product_that_comes_back_credits_the_card_only_on_success() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master, options=OPTION_NEGATIVE_VEND)
        card = Card("card", balance=100)
        bench.reader.present_card(card)
        await asyncio.sleep(1)
        await master.ask("12")
        await master.ask("13 06 00 19 00 07")
        assert await master.ask("12") == bytes.fromhex("05 00 19")
        await master.ask(FAILURE)
        assert card.balance == 100
        await master.ask("13 06 00 19 00 07")
        await master.ask("12")
        await master.ask(SUCCESS)
        assert card.balance == 125

    tell(story, ReaderSettings(options=OPTION_NEGATIVE_VEND))


def test_display_requests_fit_the_machines_display() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        assert not bench.reader.request_display("too early", 1)
        await ready(bench, master)
        assert bench.reader.request_display("Hello", 2.5)
        answer = await master.ask("12")
        assert answer == b"\x02\x19" + b"Hello".ljust(32)

    tell(story)


def test_keys_are_collected_until_the_last_one() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master, options=OPTION_DATA_ENTRY)
        assert bench.reader.request_keys(3)
        assert await master.ask("12") == bytes.fromhex("12 03")
        assert await master.ask("14 03 37 00 00 00 00 00 00 00") == b""
        assert await master.ask("14 03 38 39 00 00 00 00 00 00") == b""
        assert bench.reader.keys == b"789"
        assert bench.reader.request_keys(3)
        await master.ask("12")
        await master.ask("14 03" + " FF" * 8)
        assert bench.reader.keys == b""
        assert bench.reader.request_keys(3)
        bench.reader.cancel_keys()
        assert await master.ask("12") == bytes.fromhex("12 03 13")

    tell(story, ReaderSettings(options=OPTION_DATA_ENTRY))
