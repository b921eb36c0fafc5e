"""Claims of other machines in the swarm: given once, by the fleet's word, while somebody waits."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

import pytest

from controller.machine import promises
from controller.saga import redeem
from controller.saga.claims import mint
from simulator.swarm import build, elsewhere
from simulator.swarm.draw import draw, luck
from simulator.swarm.elsewhere import DELAYS_S, FATES, GRANTED, SILENT, TWICE
from simulator.swarm.plan import Act, Build, End, Life, Step, Trouble
from simulator.swarm.play import play
from simulator.swarm.verdict import Verdict
from tests.mutants import owners
from tests.mutants.planting import Mutant, planted

BASE = build.base_settings()
CODE = mint(b"another machine's key, 32 bytes.", elsewhere.THERE, 77, 200)
CHOICE = Act("keys", text="A3", after_s=0.5, until="credit")
STAR = Act("keys", text="*", after_s=0.5, until="credit")


def keys_in(
    fate: str, delay_s: float = 0.2, tender: str = "cash", waits_s: float = 2.0
) -> list[Act]:
    text = f"{CODE} {tender} {fate} {delay_s}"
    return [Act("elsewhere", 200, text, after_s=0.5), Act("wait", after_s=delay_s + waits_s)]


def lived(*acts: Act, end: End | None = None, **fields: Any) -> tuple[Verdict, list[str]]:
    life = Life(7, Build(ordered=True, **fields), (Step(1, tuple(acts), end=end), Step(2, (STAR,))))
    verdict, trace = play(BASE, life, keep=True)
    told = [word for line in trace for word in re.findall(r"claim\.(asked|granted|refused)", line)]
    return verdict, told


@pytest.mark.parametrize(
    ("fate", "delay_s", "expected"),
    [
        (GRANTED, 0.2, ["asked", "granted"]),
        (GRANTED, 29.5, ["asked", "granted"]),
        (GRANTED, 31.0, ["asked", "refused"]),
        (TWICE, 0.2, ["asked", "granted"]),
        (SILENT, 30.0, ["asked", "refused"]),
        ("unknown", 0.2, ["asked", "refused"]),
        ("paid", 0.2, ["asked", "refused"]),
        ("later", 0.2, ["asked", "refused"]),
    ],
)
@pytest.mark.parametrize("tender", ["cash", "card"])
def test_each_answer_is_taken_for_what_it_is(
    fate: str, delay_s: float, tender: str, expected: list[str]
) -> None:
    verdict, told = lived(*keys_in(fate, delay_s, tender), CHOICE)
    assert verdict.findings == []
    assert told == expected


def test_what_was_granted_and_not_given_is_given_when_it_is_keyed_in_again() -> None:
    verdict, told = lived(*keys_in(GRANTED, 31.0), *keys_in(GRANTED), *keys_in(GRANTED), CHOICE)
    assert verdict.findings == []
    assert told == ["asked", "refused", "asked", "granted", "asked", "refused"]


@pytest.mark.parametrize("when", ["claim.asked", "command.started", "claim.granted"])
@pytest.mark.parametrize("after", [1, 3, 10])
@pytest.mark.parametrize("how", ["kill", "power"])
def test_an_end_around_an_answer_gives_it_once_or_not_yet(how: str, when: str, after: int) -> None:
    end = End(how, when=when, after=after)
    verdict, told = lived(*keys_in(TWICE, 1.0, waits_s=15.0), *keys_in(GRANTED), CHOICE, end=end)
    assert verdict.findings == []
    assert told.count("granted") == 1


def test_a_question_behind_a_slow_disk_ends_by_its_timer() -> None:
    """Its answers come when its time is over, and are refused (seed 8190, dense)."""
    slow = Trouble("disk", "latency_s", 30.0, for_s=20.0)
    step = Step(1, tuple(keys_in(GRANTED, 1.0)), (slow,))
    verdict, _ = play(BASE, Life(7, Build(ordered=True), (step, Step(2, (STAR,)))))
    assert verdict.findings == []


HASTY: Final[Any] = {"basket": True, "credit_timeout": 3.0, "reader_level": 2, "always_idle": True}
ECHO: Final = Act("order", 600, 'c-1 good echo {"text": "hello"}', after_s=0.2)
FILLS: Final = (  # behind a slow disk: its keys come in the very turn of the credit's end
    *keys_in(GRANTED, 1.0, "card", 2.5),
    ECHO,
    *(Act("keys", text=text, after_s=0.2) for text in ("B3", "B3", "#")),
)


def fills_a_basket() -> Verdict:
    slow = Trouble("disk", "latency_s", 1.0, at_s=7.0, for_s=3.0)
    life = Life(7, Build(ordered=True, **HASTY), (Step(1, FILLS, (slow,)), Step(2, (STAR,))))
    return play(BASE, life)[0]


def test_who_fills_a_basket_as_the_credit_ends_reads_its_code_behind_the_basket() -> None:
    """What is missing stands on the panel when nothing moves any more (seed 8170, dense)."""
    assert fills_a_basket().findings == []


def test_a_code_that_stays_away_behind_a_basket_is_found() -> None:
    with planted(Mutant("no look", lambda soil: soil.put(promises, "look", lambda desk: None))):
        found = fills_a_basket().findings
    assert any("never showed the claim's code" in one for one in found), found


def test_what_is_granted_in_mid_vend_is_no_change_that_was_promised_before() -> None:
    """35 came beside a card's vend, and the tubes have no coin of 5 for it (seed 8134, dense)."""
    text = f"{CODE} cash {GRANTED} 3.5"
    come = Act("elsewhere", 35, text, after_s=0.5)
    card = Act("card", text="card", after_s=0.3, until="card")
    verdict, told = lived(come, replace(CHOICE, until=""), card, tubes=(0, 9, 9, 9, 9))
    assert (verdict.findings, verdict.vends) == ([], 1)
    assert told == ["asked", "granted"]


@pytest.mark.parametrize("seed", range(301, 305))
def test_whoever_keys_in_and_whatever_breaks_the_promises_hold(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulator.swarm.orders.SHARE", 1.1)
    monkeypatch.setattr(elsewhere, "SHARE", 0.7)
    assert play(BASE, draw(BASE, seed, 25, luck("all")))[0].findings == []


def test_all_that_is_drawn_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.swarm.orders.SHARE", 1.1)
    drawn = {
        tuple(act.text.split()[2:])
        for seed in range(60)
        for step in draw(BASE, seed, 20, luck("none")).steps
        for act in step.acts
        if act.what == "elsewhere"
    }
    assert {fate for fate, _ in drawn} == set(FATES)
    assert {float(delay) for _, delay in drawn} == set(DELAYS_S)


@pytest.mark.parametrize(
    ("name", "acts", "finding"),
    [
        ("give a granted claim with each answer", keys_in(TWICE), "given 2 times"),
        ("take a grant and give nothing", keys_in(GRANTED), "told as given, and was not"),
        ("give a claim behind its time", keys_in(GRANTED, 31.0), "nobody waited"),
        ("give a claim on a code's word", keys_in("unknown"), "nobody has granted it"),
    ],
)
def test_a_planted_bug_is_found(name: str, acts: list[Act], finding: str) -> None:
    (mutant,) = (one for one in owners.MUTANTS if one.name == name)
    with planted(mutant):
        verdict, _ = lived(*acts, CHOICE)
    assert any(finding in one for one in verdict.findings), verdict.findings


def test_a_question_that_nobody_ends_is_found() -> None:
    with planted(Mutant("no end", lambda soil: soil.put(redeem, "timed_out", lambda desk: None))):
        verdict, _ = lived(*keys_in(SILENT, 31.0))
    assert any("nobody waits for its answer" in one for one in verdict.findings)
