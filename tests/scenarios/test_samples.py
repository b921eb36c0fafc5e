"""What a machine measures for its fleet: on a connection, and then so many minutes apart."""

from __future__ import annotations

import pytest

from cloud.contract.messages import Telemetry, read
from cloud.contract.topics import Topic
from cloud.link import assembly
from tests.scenarios import little_fleet
from tests.scenarios.little_fleet import CLOUD, LittleFleet
from tests.scenarios.stage import SETTINGS, Stage, play


class Heard(LittleFleet):
    """Keeps what is said over telemetry."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.told: list[Telemetry] = []

    async def say(self, topic: Topic, payload: bytes, *, retain: bool = False) -> None:
        await super().say(topic, payload, retain=retain)
        if topic is Topic.TELEMETRY:
            self.told.append(read(Telemetry, payload))


def measured(minutes: int) -> list[Telemetry]:
    found: list[Telemetry] = []

    cloud = CLOUD.model_copy(update={"sample_minutes": minutes})

    async def story(stage: Stage) -> None:
        fleet = Heard(stage)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(little_fleet, "CLOUD", cloud)
            patch.setattr(assembly.Ways, "transport", lambda _ways: fleet)
            fleet.tie()
            await stage.passes(5.0)
            await stage.coins(50)
            await stage.passes(minutes * 60.0 or 900.0)
            for _ in range(10):  # a line that comes and goes makes no flood
                fleet.cut()
                await stage.passes(3.0)
            await stage.gives_back()
            await stage.passes(minutes * 60.0)
            await fleet.untie()
        found.extend(fleet.told)

    play(story, settings=SETTINGS.model_copy(update={"cloud": cloud}), fold_idle=True)
    return found


def test_a_machine_that_is_online_tells_what_it_measures() -> None:
    first, second, third = measured(5)
    assert (first.samples["served"], second.samples["served"], third.samples["served"]) == (0, 1, 0)
    tubes = [one.samples["tube.50"] for one in (first, second, third)]
    assert tubes == [tubes[0], tubes[0] + 1, tubes[0]]
    assert first.samples["stock"] > 0
    assert 290_000 <= second.at - first.at <= 310_000
    assert not first.progress


def test_one_that_is_not_to_measure_tells_nothing() -> None:
    assert measured(0) == []
