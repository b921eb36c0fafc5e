"""The command line of the demo, from the first process to the exit status."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from controller.clock import SystemClock
from simulator.demo.fleet import WEEK_DAYS, Fleet
from simulator.demo.performance import WENT_WRONG, Performance
from simulator.demo.scenes import SCENES, Scene
from simulator.demo.stories import STORIES, Story
from simulator.rig import BUSY_MS, Rig, RigOptions

CONFIG: Final = Path(__file__).parents[2] / "config" / "machines" / "demo.toml"
PICTURE_COLUMNS: Final = 84
_FETCHED_FONT: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
SPEED: Final = 3.0  # a turn takes 0.7 s: fast enough for an audience, slow enough to be read
EXIT_FAILED: Final = 1
EXIT_INTERRUPTED: Final = 130  # as a shell reports Ctrl-C


def main(
    arguments: Sequence[str] | None = None,
    stories: Sequence[Story] = STORIES,
    scenes: Sequence[Scene] = SCENES,
) -> int:
    """Run the demo; returns 0 only if every story, every scene and all books hold."""
    given = _parser(stories, scenes).parse_args(arguments)
    if given.list:
        for name, title in _titles(stories, scenes):
            print(f"{name:16} {title}")
        return 0
    chosen = Chosen(
        [story for story in stories if not given.story or story.name in given.story],
        [scene for scene in scenes if not given.story or scene.name in given.story],
    )
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without a euro sign gets a ?
    picture: Path | None = given.picture
    console = Console(
        stderr=given.json,
        highlight=False,
        record=picture is not None,
        force_terminal=True if picture is not None else None,
        width=PICTURE_COLUMNS if picture is not None else None,
    )
    try:
        status = asyncio.run(_perform(given, chosen, console))
        if picture is not None:
            drawn = console.export_svg(title="./run demo")
            # The reader's own fixed-width font will do: a picture fetches nothing.
            picture.write_text(_FETCHED_FONT.sub("", drawn), encoding="utf-8")
        return status
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except WENT_WRONG as error:  # before the first story: later ones are a story's problem
        sys.stderr.write(f"demo: {error}\n")
        return EXIT_FAILED


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is played: stories on one machine, then scenes of a fleet."""

    stories: Sequence[Story]
    scenes: Sequence[Scene]


async def _perform(given: argparse.Namespace, chosen: Chosen, console: Console) -> int:
    clock = SystemClock()
    began_s = clock.monotonic_s()
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    good, told = True, {}
    try:
        async with AsyncExitStack() as stack:
            fleet = None
            if chosen.scenes:
                fleet = Fleet(
                    given.config,
                    console,
                    given.speed,
                    chosen.scenes,
                    given.dir,
                    link=given.link,
                    days=given.days,
                )
                await stack.enter_async_context(fleet)
            if chosen.stories:
                performance = await _first_act(given, chosen.stories, console)
                good = performance.good and len(performance.verdicts) == len(chosen.stories)
                took_s = clock.monotonic_s() - began_s
                performance.close(took_s)
                told = performance.to_json(took_s)
            if fleet is not None:
                await _second_act(fleet, chosen.scenes, console)
                fleet.close(clock.monotonic_s() - began_s)
                good = good and fleet.good
                told = {**told, "ok": good, "fleet": fleet.to_json()}
            if given.json:
                told["took_s"] = round(clock.monotonic_s() - began_s, 1)
                print(json.dumps(told, indent=2, ensure_ascii=False))
    except asyncio.CancelledError:
        return EXIT_INTERRUPTED
    return 0 if good else EXIT_FAILED


async def _first_act(
    given: argparse.Namespace, stories: Sequence[Story], console: Console
) -> Performance:
    options = RigOptions(
        given.config, home=given.dir, link=given.link, speed=given.speed, heartbeat_ms=BUSY_MS
    )
    async with Rig(options) as rig:
        performance = Performance(rig, console)
        performance.teller.say(
            f"A simulated machine at {given.speed:g} x the speed of life, and vendd on it. "
            f"What passes between them are real bytes and pins ({rig.hello.link} link)."
        )
        await performance.play(stories)
    return performance


async def _second_act(fleet: Fleet, scenes: Sequence[Scene], console: Console) -> None:
    machines = list(dict.fromkeys(scene.machine for scene in scenes))
    console.print()
    console.print(
        "A fleet: a Mosquitto broker with TLS and access rules, `vendcloud serve`, and real vendds "
        f"on {', '.join(machines)}.",
        highlight=False,
    )
    await fleet.play()


def _titles(stories: Sequence[Story], scenes: Sequence[Scene]) -> list[tuple[str, str]]:
    first = [(story.name, story.title) for story in stories]
    return first + [(scene.name, scene.title) for scene in scenes]


def _parser(stories: Sequence[Story], scenes: Sequence[Scene]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run demo",
        description="Start a simulated machine and a vendd on it, and play stories through the "
        "real bytes; then three of them with a broker and a fleet's server. Ends with 0 only if "
        "every story and all books hold.",
    )
    parser.add_argument(
        "--story",
        action="append",
        metavar="NAME",
        choices=[name for name, _ in _titles(stories, scenes)],
        help="play this one only; may be given again",
    )
    parser.add_argument("--list", action="store_true", help="say which stories there are")
    parser.add_argument("--json", action="store_true", help="print the closing tables as JSON")
    parser.add_argument("--link", choices=("adapter", "native"), help="how the bus is reached")
    parser.add_argument(
        "--speed", type=float, default=SPEED, metavar="N", help="times the speed of life"
    )
    parser.add_argument(
        "--days", type=float, default=WEEK_DAYS, metavar="N",
        help="how long the machine was alone that comes back to its fleet",
    )  # fmt: skip
    parser.add_argument(
        "--config", type=Path, default=CONFIG, metavar="FILE", help="by default the demo's machine"
    )
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="draw what is printed as an SVG picture"
    )
    parser.add_argument(
        "--dir", type=Path, metavar="DIR", help="run here, and leave journal and logs behind"
    )
    return parser
