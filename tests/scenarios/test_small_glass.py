"""On every glass a customer reads the whole code and the amount, in the display's real bytes."""

from __future__ import annotations

import pytest

from config.machine import MachineSettings
from simulator.world import Link
from tests.scenarios.stage import SETTINGS, Stage, play

GLASSES = [(16, 2), (16, 4), (20, 2), (20, 4), (40, 2)]


def with_glass(cols: int, rows: int) -> MachineSettings:
    assert SETTINGS.display is not None
    display = SETTINGS.display.model_copy(update={"cols": cols, "rows": rows})
    return SETTINGS.model_copy(update={"display": display})


def frames(stage: Stage) -> list[str]:
    return [" ".join(" ".join(frame.lines).split()) for frame in stage.world.panel.history]


async def without_change(stage: Stage) -> str:
    """Have a claim of 2.00 made; its code."""
    for value in list(stage.world.tubes()):
        stage.world.empty_tube(value)
    await stage.kill()
    await stage.opens()
    await stage.coins(200)
    await stage.gives_back()
    assert stage.claimed == 200
    return next(iter(stage.state.claims.values())).code


@pytest.mark.parametrize(("cols", "rows"), GLASSES)
def test_a_claims_code_and_amount_are_read_whole(cols: int, rows: int, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        code = await without_change(stage)
        await stage.passes(20.0)
        seen = frames(stage)
        assert any(code in text.replace(" ", "") for text in seen), seen
        assert any("2.00" in text and "You get" in text for text in seen), seen
        assert any("write down." in text for text in seen), seen

    play(scenario, link, settings=with_glass(cols, rows))


@pytest.mark.parametrize(("cols", "rows"), GLASSES)
def test_a_code_that_is_keyed_in_is_seen_to_its_last_digits(cols: int, rows: int) -> None:
    async def scenario(stage: Stage) -> None:
        code = await without_change(stage)
        stage.press("#" + code[:-1])
        await stage.passes(10.0)
        assert any(code[:-1] in text.replace(" ", "") for text in frames(stage)[-6:])
        stage.press(code[-1])
        await stage.until(lambda: stage.credit == 200, within_s=30.0)
        await stage.gives_back()

    play(scenario, settings=with_glass(cols, rows))


def test_two_codes_in_turn_are_both_read_on_the_smallest_glass(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        for value in list(stage.world.tubes()):
            stage.world.empty_tube(value)
        await stage.kill()
        await stage.opens()
        await stage.coins(200)
        stage.breaks("B2", "jam")
        stage.breaks("cashless1", "refund", "error")
        await stage.pays_by_card("B2")
        await stage.passes(50.0)
        seen = [text.replace(" ", "") for text in frames(stage)]
        for claim in stage.state.claims.values():
            assert any(claim.code in text for text in seen), seen

    play(scenario, link, settings=with_glass(16, 2))


def test_a_notice_stays_until_its_last_page_was_there() -> None:
    """Exact change only: that has three pages of two lines, and is told for four seconds."""

    async def scenario(stage: Stage) -> None:
        for value in list(stage.world.tubes()):
            stage.world.empty_tube(value)
        await stage.kill()
        await stage.opens()
        await stage.coins(200, 50)
        before = len(stage.shown)
        stage.press("A1")
        await stage.passes(12.0)
        told = stage.shown[before:]
        assert any("No change" in text for text in told), told
        assert any("Exact change" in text for text in told), told
        at = next(n for n, text in enumerate(told) if "No change" in text)
        assert any("Credit" in text for text in told[at:]), told
        await stage.gives_back()

    play(scenario, settings=with_glass(16, 2))


def test_a_key_is_seen_at_once_though_pages_are_turned() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        stage.press("A")
        await stage.until(lambda: stage.screen.split()[-1:] == ["A"], within_s=1.0)
        await stage.passes(6.0)  # and is forgotten
        await stage.gives_back()

    play(scenario, settings=with_glass(16, 2))
