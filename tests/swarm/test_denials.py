"""A reader that denies what it approved, and a vendd that dies over its VEND FAILURE."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from controller.saga import cards
from drivers.mdb.cashless import MdbCardReader
from simulator.swarm import build
from simulator.swarm import draw as drawing
from simulator.swarm.draw import denial, draw, luck
from simulator.swarm.plan import Act, Build, End, Life, Step, Trouble
from simulator.swarm.play import play
from simulator.swarm.verdict import Verdict
from simulator.world import Link

BASE = build.base_settings()
NEXT = Step(2, (Act("coin", 50), Act("keys", text="B4", until="credit")))


def died(end: End, *, always_idle: bool = False) -> tuple[Verdict, bool]:
    machine = Build(always_idle=always_idle)
    step = replace(denial(random.Random(1), 1, machine), end=end)
    verdict, trace = play(BASE, Life(9, machine, (step, NEXT)), keep=True)
    return verdict, any("card refund already" in line for line in trace)


@pytest.mark.parametrize("always_idle", [False, True])
@pytest.mark.parametrize("how", ["kill", "power"])
def test_whenever_it_dies_behind_its_intent_nobody_is_charged_unseen(
    how: str, always_idle: bool
) -> None:
    flagged = 0
    for after in range(2, 29, 3):
        end = End(how, "approval.cancel_intended", after)
        verdict, told = died(end, always_idle=always_idle)
        assert verdict.findings == [], after
        flagged += told
    assert flagged or how == "power", "of none of these instants would anybody know"


def test_a_driver_that_tells_nobody_before_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(self: MdbCardReader) -> None:
        del self

    monkeypatch.setattr(MdbCardReader, "_intend", nothing)
    found = [died(End("kill", "approval.requested", after))[0].findings for after in range(36, 48)]
    assert any("out of pocket by 50" in one for findings in found for one in findings)


@pytest.mark.parametrize("link", ["adapter", "native"])
def test_a_refund_error_that_nobody_writes_down_is_found(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts = Act("keys", text="A3"), Act("card", text="card", until="card")
    fails = Trouble("A3", "jam", when="approval.requested", for_s=20.0)
    keeps = Trouble("cashless1", "refund", "error", when="approval.requested")
    life = Life(9, Build(link=link), (Step(1, acts, (fails, keeps)), NEXT))
    assert play(BASE, life)[0].findings == []
    monkeypatch.setattr(cards, "refund_refused", lambda desk, report: None)
    found = play(BASE, life)[0].findings
    assert found == ["cashless1 told that it could not give back, and nobody wrote it down"]


def test_it_is_drawn_where_vendd_may_be_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "DENIALS", 0.5)
    deaths = {
        step.end.when
        for step in draw(BASE, 1, 20, luck("all")).steps
        if step.end is not None and any(one.name == "denies_approved" for one in step.troubles)
    }
    assert deaths >= {"approval.requested", "approval.cancel_intended"}
    assert all(step.end is None for step in draw(BASE, 1, 20, luck("none")).steps)
