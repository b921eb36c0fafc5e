"""A journal that breaks in the middle of a card vend: what the card paid is not forgotten."""

from __future__ import annotations

import random

import pytest

from config.climate import Health
from controller import app
from controller.domain import accounts as acc
from controller.journal.beginning import BootInfo, begin_new
from controller.journal.database import Access
from controller.journal.errors import JournalBrokenError
from controller.journal.identity import ID_FILE, journal_file
from controller.journal.records import REGISTRY
from controller.ports import DeviceName
from controller.state.fold import StateFold
from simulator.disk_sqlite import DiskStorage
from simulator.oracles import Allowance
from simulator.world import Link
from tests.climate_kit import cooled
from tests.scenarios.stage import Stage, play


async def breaks_and_begins(stage: Stage, away_s: float = 0.0) -> None:
    """The last record is damaged; a technician, who comes then, begins a new journal."""
    assert stage.running is not None
    journal, seq = stage.running.journal.journal_id, stage.state.seq
    await stage.kill()
    database = await DiskStorage(stage.disk).open(journal_file(journal), Access.WRITE)
    await database.transaction(
        [
            ("UPDATE record SET hash = zeroblob(32) WHERE seq = ?", (seq,)),
            ("DELETE FROM snapshot", ()),
        ]
    )
    await database.close()
    with pytest.raises(JournalBrokenError):
        await stage.boot()
    await stage.passes_without(away_s)
    await begin_new(
        DiskStorage(stage.disk),
        fold=StateFold(),
        registry=REGISTRY,
        clock=stage.clock,
        entropy=random.Random(7).randbytes,
        boot=BootInfo("demo", "EUR", "test", "", app.BUILT, "power-up 1"),
        reason="a broken record",
        by="tech",
    )
    stage.told.clear()
    await stage.opens()
    await stage.quiet()


@pytest.mark.parametrize("again", [False, True])
def test_what_a_card_paid_is_a_claim_on_the_card(again: bool, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.press("A3")
        await stage.until(lambda: "approval" in stage.intents)
        assert stage.world.present_card("card")
        await stage.until(lambda: "dispense" in stage.intents)
        await breaks_and_begins(stage)
        if again:
            await stage.kill()
            await stage.opens()
        claims = list(stage.state.claims.values())
        assert [(claim.amount, claim.tender, claim.flagged) for claim in claims] == [
            (200, "card", False)
        ]
        assert claims[0].code in stage.screen.replace(" ", "") or again
        assert stage.state.ledger.balance(acc.HELD_CARD) == 0
        assert stage.state.ledger.balance(acc.UNCLAIMED) == 0
        assert stage.state.cards_owed == []
        assert DeviceName.CASHLESS1.value in stage.state.devices

    play(scenario, link, allowance=Allowance(blind=True))


def test_the_cash_of_a_mixed_tender_comes_back_and_the_card_is_owed(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100)
        stage.press("A3")
        await stage.until(lambda: "approval" in stage.intents)
        assert stage.world.present_card("card")
        await stage.until(lambda: "dispense" in stage.intents)
        await breaks_and_begins(stage)
        assert stage.credit == 100
        assert stage.claimed == 100
        await stage.gives_back()

    play(scenario, link, allowance=Allowance(blind=True))


def test_food_that_was_warm_until_a_technician_came_is_not_sold_behind_a_broken_journal() -> None:
    rule = Health(products=("cola",), above_c=5.0, allowed_s=60.0, after_filling_s=60.0)

    async def scenario(stage: Stage) -> None:
        await stage.passes(65.0)
        assert stage.world.cabin is not None
        stage.world.cabin.put(12.0)
        await breaks_and_begins(stage, away_s=120.0)
        await stage.passes(12.0)  # a reading, and the next
        assert stage.state.climate.unhealthy == ["A3"]

    play(scenario, settings=cooled(health=(rule,)), allowance=Allowance(blind=True))


def test_the_last_of_several_journals_is_found_without_the_file_that_names_it() -> None:
    async def scenario(stage: Stage) -> None:
        await breaks_and_begins(stage)
        await stage.coins(100, 50)
        await stage.kill()
        stage.disk.remove(ID_FILE)
        with pytest.raises(JournalBrokenError, match="2 journals"):
            await stage.boot()
        await stage.begin_journal("the id file is gone")
        await stage.opens()
        assert stage.credit == 150
        await stage.buys("A1")
        assert stage.products == ["water"]

    play(scenario, allowance=Allowance(blind=True))


@pytest.mark.parametrize("went_on", [True, False], ids=["the old one went on", "a third was begun"])
def test_a_journal_that_a_kill_has_left_unnamed_is_not_taken_for_the_last(went_on: bool) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100)
        await stage.kill()
        named = bytes(stage.disk.files[ID_FILE].data)
        await stage.begin_journal("killed before it is named")
        stage.disk.files[ID_FILE].data[:] = named
        if not went_on:
            await stage.begin_journal("once more")
        await stage.opens()
        await stage.coins(50)
        await stage.kill()
        stage.disk.remove(ID_FILE)
        with pytest.raises(JournalBrokenError, match="journals"):
            await stage.boot()
        await stage.begin_journal("the id file is gone")
        await stage.opens()
        assert stage.credit == 150

    play(scenario)
