"""The customer reads the language of their choice, or their card's, and the next one the first."""

from __future__ import annotations

from typing import Any

import pytest

from config.machine import MachineSettings
from simulator.peripherals.reader_settings import OPTION_32_BIT, Card
from simulator.world import Link
from tests.scenarios.card_kit import plan as reader_plan
from tests.scenarios.stage import SETTINGS, Stage, play


def told(**changes: Any) -> MachineSettings:
    machine = SETTINGS.machine.model_copy(update=changes)
    return SETTINGS.model_copy(update={"machine": machine})


def test_a_key_shows_the_next_language_until_the_sale_is_over(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.shows("Welcome! Insert money or card  D = Deutsch")
        stage.press("D")
        await stage.shows("Willkommen! Bar oder mit Karte  D = Español")
        await stage.coins(200)
        await stage.shows("Guthaben")
        stage.press("D")
        await stage.shows("Crédito 2,00 €")
        await stage.buys("A3")
        await stage.shows("Recójalo, por favor ¡Que aproveche!")
        await stage.shows("¡Bienvenido!")
        await stage.shows("Welcome!")

    play(scenario, link)


def test_who_buys_nothing_leaves_the_first_language_behind_after_a_minute(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.press("D")
        await stage.shows("Willkommen!")
        await stage.passes(40.0)
        stage.press("A")
        await stage.passes(40.0)
        await stage.shows("Willkommen!", within_s=0.1)
        await stage.shows("Welcome!")
        stage.press("DDD")
        await stage.shows("Willkommen!")
        await stage.shows("¡Bienvenido!")
        await stage.shows("Welcome!", within_s=2.0)

    play(scenario, link)


def test_credit_keeps_its_language_for_as_long_as_it_waits(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.press("D")
        await stage.coins(100)
        await stage.passes(200.0)
        await stage.shows("Guthaben 1,00 €", within_s=0.1)
        await stage.gives_back()
        await stage.shows("Geldrückgabe")
        await stage.shows("Welcome!")

    play(scenario, link)


def test_a_cards_language_is_read_until_its_session_ends(link: Link) -> None:
    made = reader_plan(more=(Card("german", language="de"),), options=OPTION_32_BIT)

    async def scenario(stage: Stage) -> None:
        await stage.until(lambda: stage.world.present_card("german"), within_s=10.0)
        await stage.shows("Karte angenommen Bitte wählen")
        await stage.buys("A3")
        assert any("Ausgabe läuft" in text for text in stage.shown)
        await stage.shows("Welcome!")
        assert stage.products == ["cola"]

    play(scenario, link, plan=made)


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"language_key": "", "languages": ("en", "de")}, ""),
        ({"language_key": None, "languages": ("en", "de")}, "D = Deutsch"),
        ({"language_key": None, "languages": ("de",)}, ""),
        ({"language_key": "C", "languages": ("de", "es")}, "C = Español"),
    ],
)
def test_the_welcome_names_the_key_where_there_is_one(changes: dict[str, Any], hint: str) -> None:
    async def scenario(stage: Stage) -> None:
        first = {"en": "Insert money or card", "de": "Bar oder mit Karte"}
        await stage.shows(first[changes["languages"][0]])
        assert stage.screen.endswith(hint or first[changes["languages"][0]])

    play(scenario, settings=told(**changes))


def test_the_default_key_begins_no_selection_and_is_on_the_keypad() -> None:
    taken = SETTINGS.columns[0].model_copy(update={"selection": "D1"})
    assert (
        SETTINGS.model_copy(
            update={
                "machine": told(language_key=None).machine,
                "columns": (*SETTINGS.columns, taken),
            }
        ).language_key()
        == "C"
    )
    bare = told(language_key=None).model_copy(update={"keypad": None})
    assert bare.language_key() == ""
