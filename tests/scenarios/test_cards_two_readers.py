"""Two card readers beside each other serve one customer at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from config.machine import MachineSettings
from controller.ports import DeviceName
from simulator.peripherals.reader_settings import OPTION_ALWAYS_IDLE
from simulator.plan import WorldPlan, plan_for, reader_for
from simulator.truth import AuthState
from simulator.world import Link
from tests.scenarios.card_kit import (
    charged,
)
from tests.scenarios.stage import Stage, play, with_mdb


def test_two_readers_serve_one_customer_at_a_time(link: Link) -> None:
    settings = with_mdb("cashless2", enabled=True)

    async def serve(stage: Stage, name: DeviceName) -> None:
        assert stage.running is not None
        live = stage.running.machine.desk.live
        await stage.until(lambda: stage.world.present_card("card", name.value))
        await stage.until(lambda: live.session is name)
        stage.press("B4")
        await stage.closes()
        await stage.quiet()
        assert stage.world.truth.authorisations[len(stage.products)].reader == name.value

    async def scenario(stage: Stage) -> None:
        for name in (DeviceName.CASHLESS2, DeviceName.CASHLESS1, DeviceName.CASHLESS2):
            await serve(stage, name)
        assert charged(stage) == 150

    play(
        scenario,
        link,
        settings=settings,
        plan=replace(
            plan_for(settings),
            readers={
                name: replace(reader_for("EUR"), options=0, serial=f"{n:012d}")
                for n, name in enumerate(("cashless1", "cashless2"), 1)
            },
        ),
    )


def two_readers(settings: MachineSettings, idle: str) -> WorldPlan:
    """Two readers, one of them always idle; the other begins a session with each card."""
    made = {
        name: replace(
            reader_for("EUR"), serial=f"{n:012d}", options=OPTION_ALWAYS_IDLE * (name == idle)
        )
        for n, name in enumerate(("cashless1", "cashless2"), 1)
    }
    return replace(plan_for(settings), readers=made)


@pytest.mark.parametrize("coins", [(), (100,)])
@pytest.mark.parametrize("idle", ["cashless1", "cashless2"])
def test_while_one_reader_is_asked_a_card_may_come_to_the_other(
    idle: str, coins: tuple[int, ...], link: Link
) -> None:
    settings = with_mdb("cashless2", enabled=True)
    other = "cashless2" if idle == "cashless1" else "cashless1"

    async def scenario(stage: Stage) -> None:
        await stage.coins(*coins)
        stage.press("A3")
        await stage.until(lambda: "approval" in stage.intents)
        await stage.passes(1.0)
        assert stage.world.present_card("card", other)
        await stage.until(lambda: bool(stage.products))
        await stage.quiet()
        assert (stage.products, stage.spent) == (["cola"], 200)
        authorisations = stage.world.truth.authorisations.values()
        assert [(a.reader, a.state) for a in authorisations] == [
            (idle, AuthState.CANCELLED),
            (other, AuthState.CAPTURED),
        ]
        # And the first one is free again.
        stage.press("B4")
        await stage.until(lambda: "approval" in stage.intents)
        assert stage.world.present_card("card", idle)
        await stage.closes()
        await stage.quiet()
        assert stage.spent == 250

    play(scenario, link, settings=settings, plan=two_readers(settings, idle))


@pytest.mark.parametrize("later_s", [0.0, 0.1, 0.3, 0.5, 0.8])
def test_of_two_cards_at_two_readers_one_pays(later_s: float, link: Link) -> None:
    settings = with_mdb("cashless2", enabled=True)

    async def scenario(stage: Stage) -> None:
        stage.press("A3")
        await stage.until(lambda: "approval" in stage.intents)
        assert stage.world.present_card("card", "cashless1")
        await stage.passes(later_s)
        stage.world.present_card("prepaid", "cashless2")
        await stage.until(lambda: bool(stage.products))
        await stage.quiet()
        assert (stage.products, stage.spent) == (["cola"], 200)
        await stage.passes(5.0)
        assert stage.running is not None
        assert stage.running.machine.desk.live.session is None

    play(scenario, link, settings=settings, plan=two_readers(settings, "cashless1"))


def test_a_cancelled_request_is_not_taken_up_by_a_card_elsewhere(link: Link) -> None:
    settings = with_mdb("cashless2", enabled=True)

    async def scenario(stage: Stage) -> None:
        stage.press("A3")
        await stage.until(lambda: "approval" in stage.intents)
        stage.world.present_card("card", "cashless2")
        await stage.passes(0.35)
        stage.press("*")
        await stage.passes(5.0)
        await stage.quiet()
        assert charged(stage) == 200 * len(stage.products)
        if not stage.products:
            await stage.gives_back_session()

    play(scenario, link, settings=settings, plan=two_readers(settings, "cashless1"))


def test_a_second_session_waits_for_the_first_customer(link: Link) -> None:
    settings = with_mdb("cashless2", enabled=True)

    async def scenario(stage: Stage) -> None:
        await stage.until(lambda: stage.world.present_card("card", "cashless1"))
        assert stage.running is not None
        live = stage.running.machine.desk.live
        await stage.until(lambda: live.session is DeviceName.CASHLESS1)
        stage.world.present_card("prepaid", "cashless2")
        await stage.passes(3.0)
        stage.press("B4")
        await stage.closes()
        await stage.quiet()
        assert [a.reader for a in stage.world.truth.authorisations.values()] == ["cashless1"]
        assert charged(stage) == 50

    play(
        scenario,
        link,
        settings=settings,
        plan=replace(
            plan_for(settings),
            readers={
                name: replace(reader_for("EUR"), options=0, serial=f"{n:012d}")
                for n, name in enumerate(("cashless1", "cashless2"), 1)
            },
        ),
    )
