"""What a technician sees of the lines: what was odd, what was missed and with whom."""

from __future__ import annotations

import asyncio
from typing import Any

from controller.api import views
from controller.machine.service import RunningService
from simulator.world import Link
from tests.scenarios.stage import Stage, play
from tests.scenarios.test_cctalk import MACHINE as CCTALK
from tests.scenarios.test_pulse import SETTINGS as PULSE


def bus(stage: Stage) -> Any:
    running = stage.running
    assert running is not None
    return views.bus(RunningService(running.machine, "vendd 0", counted=running.counted))


def oddities(stage: Stage) -> dict[str, dict[str, int]]:
    return {device["name"]: device["oddities"] for device in bus(stage)["devices"]}


def test_slugs_and_double_arrivals_leave_a_trace(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        changer = stage.world.changer
        assert changer is not None
        for _ in range(5):
            stage.world.insert_coin(0, name="slug")
            await asyncio.sleep(2.0)
        changer.faults.double_arrivals = 2
        for _ in range(2):
            stage.world.insert_coin(100)
            await asyncio.sleep(2.0)
        assert stage.credit == 0
        assert oddities(stage)["changer"] == {"slugs": 5, "double arrival": 2}

    play(scenario, link)


def test_silences_are_those_of_the_device_that_is_away(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        (before,) = bus(stage)["lines"]
        assert before["name"] == "mdb"
        assert not before["down"]
        assert before["counts"]["reopened"] == 1
        stage.world.unplug("bill")
        await asyncio.sleep(30.0)
        (after,) = bus(stage)["lines"]
        more = {
            name: misses["silences"] - before["devices"][name]["silences"]
            for name, misses in after["devices"].items()
        }
        assert more.pop("bill") > 5
        assert set(more.values()) == {0}
        assert after["counts"]["silences"] > before["counts"]["silences"]
        assert after["counts"]["exchanges"] > before["counts"]["exchanges"]
        stage.world.plug("bill")
        await stage.sells()

    play(scenario, link)


def test_damage_on_the_line_is_counted_with_whom_it_met(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        (before,) = bus(stage)["lines"]
        stage.world.wire.line.flip = 0.02
        await asyncio.sleep(20.0)
        stage.world.wire.line.flip = 0.0
        (line,) = bus(stage)["lines"]
        for what in ("silences", "naks", "garbled"):
            with_whom = sum(one[what] for one in line["devices"].values())
            assert with_whom <= line["counts"][what]
        missed = [sum(one.values()) for one in line["devices"].values()]
        assert sum(missed) > sum(sum(one.values()) for one in before["devices"].values())
        assert all(missed)
        await asyncio.sleep(20.0)
        await stage.sells()

    play(scenario, link)


def test_a_line_that_is_gone_says_why(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.world.unplug("line")
        await asyncio.sleep(20.0)
        (line,) = bus(stage)["lines"]
        assert line["down"] or line["counts"]["silences"] > 20
        stage.world.plug("line")
        await asyncio.sleep(30.0)
        await stage.sells()

    play(scenario, link)


def test_a_cctalk_line_is_counted_beside_the_readers(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        mdb, cctalk = bus(stage)["lines"]
        assert (mdb["name"], cctalk["name"]) == ("mdb", "cctalk")
        assert set(mdb["devices"]) == {"cashless1"}
        assert set(cctalk["devices"]) == {"acceptor", "hopper 3", "hopper 4", "hopper 5", "bill"}
        stage.world.unplug("acceptor")
        await asyncio.sleep(20.0)
        (_, cctalk) = bus(stage)["lines"]
        assert cctalk["devices"]["acceptor"]["unanswered"] > 0
        assert cctalk["devices"]["bill"]["unanswered"] == 0
        stage.world.plug("acceptor")
        await asyncio.sleep(30.0)

    play(scenario, link, settings=CCTALK)


def test_pulses_that_are_no_coin_are_counted(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        pulse = stage.world.pulse
        assert pulse is not None
        pulse.faults.lost_pulses = 1
        stage.world.insert_coin(200)
        await asyncio.sleep(5.0)
        assert oddities(stage)["changer"] == {"pulses that are no coin": 1}

    play(scenario, link, settings=PULSE, judged=False)
