"""Waiting for something to happen in a world, so that nobody who tests it needs to sleep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from simulator.shapes import Mark, Waited
from simulator.world import World

# Quiet can't announce itself: it is looked for.
LOOK_EVERY_S: Final = 0.01

Condition = Callable[[], str | None]
"""Returns what met the condition, None while it is not met."""


def mark(world: World) -> Mark:
    """Return this instant."""
    log = world.truth.log
    return Mark(
        frame=world.panel.frames,
        fact=log[-1].seq if log else 0,
        edge=world.board.edges_seen,
    )


def display_shows(world: World, text: str, since: Mark | None) -> Condition:
    """Be met by a display that shows ``text`` now, or that showed it after ``since``."""
    wanted = _plain(text)

    def met() -> str | None:
        if wanted in _plain("\n".join(world.panel.lines)):
            return "\n".join(world.panel.lines)
        if since is not None:
            for frame in reversed(world.panel.history):
                if frame.seq <= since.frame:
                    break
                if wanted in _plain("\n".join(frame.lines)):
                    return "\n".join(frame.lines)
        return None

    return met


def fact_noted(world: World, text: str, since: Mark) -> Condition:
    """Be met by a fact after ``since`` whose words contain ``text``."""

    def met() -> str | None:
        for fact in reversed(world.truth.log):
            if fact.seq <= since.fact:
                break
            words = f"{fact.what} {fact.detail}"
            if text in words:
                return words
        return None

    return met


def edge_seen(world: World, pin: int, level: bool | None, since: Mark) -> Condition:
    """Be met by an edge of ``pin`` after ``since``, to ``level`` if given."""

    def met() -> str | None:
        for edge in reversed(world.board.edges):
            if edge.seq <= since.edge:
                break
            if edge.pin == pin and level in (None, edge.level):
                return f"pin {pin} went {'high' if edge.level else 'low'} at {edge.at_s:.6f}"
        return None

    return met


def totals_are(world: World, wanted: Mapping[str, int]) -> Condition:
    """Be met when each total named in ``wanted`` has its value."""

    def met() -> str | None:
        totals = world.truth.totals()
        if all(getattr(totals, name) == value for name, value in wanted.items()):
            return ", ".join(f"{name} = {value}" for name, value in wanted.items())
        return None

    return met


def lasts(world: World, state: Callable[[], bool], seconds: float) -> Condition:
    """Be met when ``state`` has held for so long, on the wall."""
    since_s: float | None = None

    def met() -> str | None:
        nonlocal since_s
        now_s = world.loop.time()
        if not state():
            since_s = None
        elif since_s is None:
            since_s = now_s
        if since_s is not None and now_s - since_s >= seconds:
            return f"nothing for {seconds:g} s"
        return None

    return met


async def wait_until(world: World, conditions: list[Condition], timeout_s: float) -> Waited:
    """Wait until all conditions are met, at most ``timeout_s`` on the wall."""
    began_s = world.loop.time()
    happened = asyncio.Event()

    def event(kind: str, data: dict[str, Any]) -> None:
        del kind, data
        happened.set()

    end = world.listen(event)
    try:
        while True:
            happened.clear()
            found = [condition() for condition in conditions]
            after_s = world.loop.time() - began_s
            if all(text is not None for text in found):
                return Waited(met=True, after_s=after_s, text="; ".join(map(str, found)))
            if after_s >= timeout_s:
                return Waited(met=False, after_s=after_s, text=_instead(world))
            try:
                async with asyncio.timeout(min(LOOK_EVERY_S, timeout_s - after_s)):
                    await happened.wait()
            except TimeoutError:
                continue
    finally:
        end()


def _plain(text: str) -> str:
    """Return text with every run of blanks as one, since a display fills its lines with them."""
    return " ".join(text.split())


def _instead(world: World) -> str:
    shown = " | ".join(line.strip() for line in world.panel.lines)
    totals = world.truth.totals()
    last = world.truth.log[-1].detail if world.truth.log else "nothing"
    return (
        f"display: {shown!r}; inserted {totals.inserted}, returned {totals.returned}, products "
        f"{totals.products}; last fact: {last}"
    )
