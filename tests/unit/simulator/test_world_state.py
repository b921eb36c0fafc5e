"""A world's state: saved and loaded it is the same world, and what is none is refused in words."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from config.machine import MachineSettings
from simulator.clock import VirtualClock, run_virtual
from simulator.plan import WorldPlan
from simulator.state_file import StateSaver, read_state, write_state
from simulator.swarm.build import base_settings, plan_of, settings_of
from simulator.swarm.draw import Luck, draw
from simulator.swarm.plan import Build, Life
from simulator.swarm.play import Player
from simulator.swarm.workers import quietly
from simulator.world import World
from simulator.world_state import StateError

BUILDS = {
    "changer, validator and reader": Build(),
    "recycler and two readers": Build(recycler=True, second_reader=True, escrow=False),
    "ccTalk": Build(cctalk=True),
    "pulse": Build(pulse=True),
    "climate": Build(cooled=600.0),
    "native, a changer of level 2": Build("native", changer_level=2),
    "tokens": Build(tokens=True),
}


def world_of(build: Build) -> World:
    settings = settings_of(base_settings(), build)
    return new_world(settings, plan_of(settings, build))


def new_world(settings: MachineSettings, plan: WorldPlan) -> World:
    loop = asyncio.get_running_loop()
    return World(loop, VirtualClock(loop), settings, plan=plan)


def through_json(state: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(state))
    return found


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_a_world_that_was_lived_in_is_the_same_when_it_is_loaded(build: Build) -> None:
    quietly()
    steps = draw(base_settings(), 11, 12, Luck(ends=(), trouble=0.2)).steps
    states: list[dict[str, Any]] = []

    async def live() -> None:
        player = Player(base_settings(), Life(11, build, steps))
        await player.play()
        world = player.machine.world
        assert world.truth.totals().inserted > 0, "somebody has paid"
        if world.cabin is not None:
            world.cabin.put(7.25)
        states.append(through_json(world.to_state()))

    async def load() -> None:
        world = world_of(build)
        world.from_state(states[0])
        states.append(through_json(world.to_state()))

    run_virtual(live())
    run_virtual(load())
    assert states[0]["devices"], "it has money devices"
    assert states[1] == states[0]


def broken(state: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    found = through_json(state)
    *way, last = path.split("/")
    place: Any = found
    for key in way:
        place = place[int(key)] if isinstance(place, list) else place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return found


WRONG: dict[str, tuple[str, object, str]] = {
    "another version": ("version", 2, "state of version 2: this program reads version 1"),
    "no version": ("version", ..., "no version: this is no state"),
    "another currency": ("currency", "USD", "a state in USD, and this machine takes EUR"),
    "a missing part": ("truth/places", ..., "truth.places: Field required"),
    "half a coin": ("truth/places/tube:0", [["coin", 5, "", 0.5]], "truth.places.tube:0.0.3"),
    "money from nowhere": ("truth/places/cashbox", [["coin", 200, "", 1]], "the money inside"),
    "too few sums": ("truth/sums", [0, 0], "truth.sums"),
    "an unknown fault": ("cabinet/columns/A1/faults", {"sings": True}, "cabinet: TypeError"),
    "a device without its memory": ("devices/bill", {}, "devices.bill: KeyError: 'count'"),
    "an unknown part": ("ghosts", 3, "ghosts: Extra inputs"),
    "a wrong kind": ("powered", "perhaps", "powered: Input should be a valid boolean"),
    "a line's fault": ("lines", {"line": {"hums": 1}}, "lines.line: UnknownFaultError"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_state_of_such_a_world_is_refused_with_its_place(wrong: str) -> None:
    path, value, words = WRONG[wrong]

    async def story() -> None:
        state = broken(world_of(Build()).to_state(), path, value)
        with pytest.raises(StateError) as error:
            world_of(Build()).from_state(state)
        assert words in str(error.value)

    run_virtual(story())


def test_what_a_machine_does_not_have_any_more_is_left_out() -> None:
    async def story() -> None:
        full = world_of(Build(second_reader=True))
        full.unplug("cashless2")
        fewer = world_of(Build())
        fewer.from_state(full.to_state())
        assert not fewer.unplugged
        assert fewer.truth.totals() == full.truth.totals()

    run_virtual(story())


def test_faults_of_every_line_are_kept() -> None:
    async def story() -> None:
        one, other = world_of(Build(cctalk=True)), world_of(Build(cctalk=True))
        for line in ("line", "bus", "cctalk"):
            one.faults.set(line, "loss", 0.25)
        other.from_state(through_json(one.to_state()))
        assert other.faults.active() == one.faults.active()

    run_virtual(story())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"1" * 5_000, "no JSON"),
        (b"[]", "holds no state"),
        (b"\xff\xfe\x00", "no text"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_name(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "world.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as error:
        read_state(path)
    assert str(path) in str(error.value)


async def test_saves_follow_each_other_and_the_last_one_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, writing = tmp_path / "world.json", 0

    def watched(where: Path, text: str) -> None:
        nonlocal writing
        writing += 1
        assert writing == 1, "one at a time: they share a temporary name"
        write_state(where, text)
        writing -= 1

    monkeypatch.setattr("simulator.state_file.write_state", watched)
    numbers = iter(range(1_000))
    count: Callable[[], dict[str, Any]] = lambda: {"number": next(numbers)}  # noqa: E731 - a stand-in
    saver = StateSaver(asyncio.get_running_loop(), path, count)
    saver.changed()
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(saver.save())
            saver.changed()
    assert read_state(path) == {"number": 7}
    assert [entry.name for entry in tmp_path.iterdir()] == ["world.json"]


def test_a_state_replaces_the_old_one_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    write_state(path, '{"number": 1}')
    with pytest.raises(TypeError):
        write_state(path, replace)  # type: ignore[arg-type]  # stands for a write that breaks
    assert read_state(path) == {"number": 1}
