"""A simulated card reader, spoken to by a scripted master, and where its tests begin."""

from __future__ import annotations

import asyncio

from simulator.bench import BenchSettings, MdbBench
from simulator.conversation import ScriptedMaster, Story, run_story
from simulator.peripherals.reader_settings import (
    Card,
    ReaderSettings,
    ReaderState,
)
from simulator.truth import AuthState

REQUEST = "13 00 00 78 00 07"  # 1.20, item 7
SUCCESS = "13 02 00 07"
FAILURE = "13 03"
COMPLETE = "13 04"
CANCEL = "13 01"


def tell(story: Story, settings: ReaderSettings | None = None) -> None:
    run_story(story, BenchSettings(readers=(settings or ReaderSettings(),)))


async def ready(
    bench: MdbBench, master: ScriptedMaster, *, level: int = 3, options: int = 0
) -> None:
    """Initialise and enable the reader."""
    assert await master.ask("12") == b"\x00"
    assert await master.ask(f"11 00 {level:02X} 14 02 01") == b""
    config = await master.ask("12")
    assert config is not None
    assert config[0] == 1
    assert await master.ask("11 01 FF FF 00 00") == b""
    if options:
        assert await master.ask(f"17 04 {options:08X}") == b""
    assert await master.ask("14 01") == b""
    assert bench.reader.state is ReaderState.ENABLED


async def session(bench: MdbBench, master: ScriptedMaster, card: Card | None = None) -> Card:
    """Bring the reader into a session."""
    card = card or Card("card", balance=2000)
    await ready(bench, master)
    assert bench.reader.present_card(card)
    await asyncio.sleep(1)
    begin = await master.ask("12")
    assert begin is not None
    assert begin[0] == 3
    assert bench.reader.state is ReaderState.IDLE
    return card


async def approved(bench: MdbBench, master: ScriptedMaster, card: Card | None = None) -> Card:
    """Bring the reader into a vend that it has approved."""
    card = await session(bench, master, card)
    assert await master.ask(REQUEST) == b""
    await asyncio.sleep(2)
    assert await master.ask("12") == bytes.fromhex("05 00 78")
    assert bench.reader.approved
    return card


def only(bench: MdbBench) -> AuthState:
    (entry,) = bench.truth.authorisations.values()
    return entry.state
