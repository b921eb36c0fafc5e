"""A sample of the instants at which `./run soak` ends the controller; all of them must be right."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from config.settings import load
from simulator.cuts import Cut, Point, cut, points_of
from simulator.stories import EVERY
from simulator.story_kit import Story
from simulator.world import Link

SETTINGS = load(
    Path(__file__).parents[2] / "config" / "machines" / "demo.toml", home=Path("/nonexistent")
)
SAMPLE = 10  # instants per story, link and kind of cut; other ones for each
STEP = 7_919  # a prime: spreads the sample over the story, the same one in each run


@cache
def points(story: Story, link: Link) -> list[Point]:
    """Play a story undisturbed, once for both kinds of cut."""
    return points_of(SETTINGS, story, link)


def sample(found: list[Point], salt: int) -> list[Point]:
    """Take all instants around commits in turn, and as many of the bus and the pins."""
    disk = [p for p in found if p.what.startswith("disk") and "sync" in p.what]
    rest = [p for p in found if not p.what.startswith("disk")]
    half = SAMPLE // 2
    return [
        *(disk[(salt + i * STEP) % len(disk)] for i in range(half)),
        *(rest[(salt + i * STEP) % len(rest)] for i in range(half)),
    ]


def test_a_kill_around_a_refund_error_leaves_a_claim_that_nobody_has_to_look_at() -> None:
    """On a line that can wait, the error is recorded before it is acknowledged."""
    story = next(story for story in EVERY if story.name == "card and refund error")
    found = points(story, "native")
    told = next(p.number for p in found if "receiving c1" in p.what)
    ended = next(p.number for p in found if "sending 13 04" in p.what)
    wrong = {}
    for number in range(told - 4, ended):  # from the error's first byte to SESSION COMPLETE
        verdict = cut(SETTINGS, story, "native", Cut.KILL, number)
        if verdict.findings or verdict.flagged:
            wrong[f"{number}: {verdict.point.what}"] = [*verdict.findings, verdict.flagged]
    assert wrong == {}


@pytest.mark.parametrize("how", list(Cut))
@pytest.mark.parametrize(
    ("story", "link"),
    [
        pytest.param(story, link, id=f"{story.name.replace(' ', '-')}-{link}")
        for story in EVERY
        for link in story.links
    ],
)
def test_the_money_is_right_after_an_end_at(story: Story, link: Link, how: Cut) -> None:
    salt = EVERY.index(story) * 31 + (link == "native") * 17 + (how is Cut.POWER) * 13
    wrong = {}
    for point in sample(points(story, link), salt):
        verdict = cut(SETTINGS, story, link, how, point.number)
        if verdict.findings:
            wrong[f"{point.number}: {verdict.point.what}"] = verdict.findings
    assert wrong == {}
