"""Fixed seeds keep every promise, and a seed is the same life wherever and whenever it is lived."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from controller.saga.failures import TABLE
from simulator.peripherals.cctalk_base import CcTalkDevice
from simulator.swarm import build, coverage
from simulator.swarm.causes import CAUSES
from simulator.swarm.draw import HOW_TO_END, UnknownFaultsError, draw, luck
from simulator.swarm.plan import Act, Life, Step, Trouble
from simulator.swarm.play import play
from simulator.swarm.run import Order, carry_out, life_of
from simulator.swarm.troubles import KINDS

TIME = 9  # letters of the time, in a line of a trace
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", range(1, 9))
def test_without_faults_every_customer_gets_what_they_paid_for(seed: int) -> None:
    assert carry_out(Order(seed, 25, "none", shrink=False)).findings == []


@pytest.mark.parametrize("seed", range(101, 125))
def test_whatever_breaks_nobody_pays_for_nothing(seed: int) -> None:
    assert carry_out(Order(seed, 25, "all", shrink=False)).findings == []


def traces(hash_seed: str) -> list[str]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "simulator",
            "swarm",
            "--seeds",
            "31..33",
            "--vends",
            "20",
            "--no-shrink",  # a finding is told at once
            "--json",
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        check=False,
    )
    found: list[str] = json.loads(done.stdout)["traces"]
    return found


def test_the_same_seed_is_the_same_run_to_the_byte_in_any_process() -> None:
    here = [carry_out(Order(seed, 20, shrink=False)).trace for seed in (31, 32, 33)]
    assert here == traces("1") == traces("4711")
    assert len(set(here)) == 3


def test_a_step_is_drawn_by_its_number_alone() -> None:
    base = build.base_settings()
    short, long = (draw(base, 7, vends, luck("all")) for vends in (10, 30))
    assert long.steps[:10] == short.steps
    assert life_of(Order(7, 30, only=(3, 9))).steps == (short.steps[2], short.steps[8])


def test_a_list_of_faults_is_read_or_refused() -> None:
    assert {kind.part for kind in luck("changer,power").kinds} == {"changer"}
    assert luck("changer,power").ends == ("power",)
    assert luck("line.loss").kinds[0].name == "loss"
    with pytest.raises(UnknownFaultsError, match="no fault 'chnger'; there are: all, none"):
        luck("chnger")
    with pytest.raises(UnknownFaultsError, match="'all' stands alone"):
        luck("changer,all")


def test_a_fault_that_chance_never_draws_is_drawn_when_it_is_asked_for_by_name() -> None:
    seldom = [kind.key for kind in KINDS if not kind.weight]
    assert seldom
    for name in seldom:
        life = draw(build.base_settings(), 1, 20, luck(name))
        assert {t.name for step in life.steps for t in step.troubles} == {name.split(".")[1]}


def test_the_trace_tells_records_and_facts() -> None:
    life = draw(build.base_settings(), 3, 3, luck("none"))
    verdict, trace = play(build.base_settings(), life, keep=True)
    assert verdict.findings == []
    assert any("coins.deposited" in line or "vend.opened" in line for line in trace)


def happened(trace: list[str]) -> list[str]:
    """Return what was physically so and how each vend ended, without when.

    A poll more or less moves the others by milliseconds, which may decide whether two coins of the
    same tenth of a second come in one report, or a thermometer's reading before a bill.
    """
    found = []
    for line in trace:
        told = line[TIME:]
        ended = re.search(r" vend\.closed .*('result': '\w+')", told)
        if ended is not None:
            found.append(ended[1])
        elif re.match(r" *\d+ v", told) is None:  # no record
            found.append(told)
    return found


@pytest.mark.parametrize("seed", [1, *range(3, 10)])
def test_the_same_happens_when_every_idle_poll_is_sent(seed: int) -> None:
    base = build.base_settings()
    drawn = draw(base, seed, 12, luck("none"))
    # A cabin cools by the clock and not by what customers do: milliseconds would change the order.
    life = replace(drawn, build=replace(drawn.build, cooled=0.0, heated=0.0))
    folded, sent = (play(base, life, fold=fold, keep=True) for fold in (True, False))
    assert folded[0].findings == sent[0].findings == []
    assert happened(folded[1]) == happened(sent[1])
    assert "'result': 'sold'" in happened(sent[1])


def recorded(trace: list[str]) -> list[str]:
    """Return each fact, trouble and end, and each record's type, in their order; without when."""
    found = []
    for line in trace:
        told = line[TIME:]
        record = re.match(r" *\d+ v\S* +(\S+)", told)
        found.append(told if record is None else record[1])
    return found


@pytest.mark.parametrize("seed", range(1, 9))
def test_the_same_is_recorded_when_every_idle_poll_is_sent_whatever_breaks(seed: int) -> None:
    """Fact by fact, record by record, with troubles of devices, line and disk.

    Ends are left out: they are counted in instants, of which a poll that is not sent has none. So
    is the cabin, as above, and the texts of records, in which milliseconds stand.
    """
    base = build.base_settings()
    drawn = draw(base, seed, 10, replace(luck("all"), ends=(), guided=0.0))
    life = replace(drawn, build=replace(drawn.build, cooled=0.0, heated=0.0), finale="")
    folded, sent = (play(base, life, fold=fold, keep=True) for fold in (True, False))
    assert folded[0].findings == sent[0].findings == []
    assert recorded(folded[1]) == recorded(sent[1])
    assert sent[0].hits == folded[0].hits != {}


@pytest.mark.parametrize("seed", [3, 5, 7, 19])
def test_the_same_happens_when_every_idle_read_of_a_cctalk_line_is_sent(seed: int) -> None:
    base = build.base_settings()
    drawn = draw(base, seed, 12, luck("none"))
    assert drawn.build.cctalk, "drawn with such a line"
    life = replace(drawn, build=replace(drawn.build, cooled=0.0, heated=0.0))
    asked: list[int] = []
    looks = CcTalkDevice.look

    def counted(device: CcTalkDevice, header: int) -> bytes:
        asked.append(header)
        return looks(device, header)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CcTalkDevice, "look", counted)
        folded, sent = (play(base, life, fold=fold, keep=True) for fold in (True, False))
    assert asked, "the line was spared something"
    assert folded[0].findings == sent[0].findings == []
    assert happened(folded[1]) == happened(sent[1])
    assert "'result': 'sold'" in happened(sent[1])


def drawable() -> set[str]:
    """Every mark that a seed may bring about."""
    troubles = {f"{kind.key}={value}" for kind in KINDS for value in kind.values}
    troubles |= {kind.key for kind in KINDS}
    of_readers = {mark.removeprefix("reader") for mark in troubles if mark.startswith("reader.")}
    troubles |= {whose + mark for mark in of_readers for whose in ("own", "other")}
    ends = {f"end.{how}" for how in HOW_TO_END}
    base = build.base_settings()
    steps = [step for seed in range(60) for step in draw(base, seed, 20, luck("none")).steps]
    acts = {f"act.{act.what} {act.text}" for step in steps for act in step.acts}
    if any(act.what == "card" and act.value for step in steps for act in step.acts):
        acts.add("other.card")
    return troubles | ends | acts | {mark.split(" ")[0] for mark in acts}


def test_a_seed_may_draw_nearly_every_cell_of_the_table() -> None:
    found = drawable()
    missing = [
        cell.key
        for cell in TABLE
        if not any(
            mark in found or mark.startswith("seen.") for mark in CAUSES.get(cell.failure, ())
        )
    ]
    assert len(missing) <= 0.05 * len(TABLE), f"add their marks to CAUSES: {missing}"


def test_a_life_counts_the_cells_that_it_came_through() -> None:
    jam = Step(
        1, (Act("coin", 50), Act("keys", text="B4", until="credit")), (Trouble("B4", "jam"),)
    )
    verdict, _ = play(build.base_settings(), Life(1, steps=(jam,)))
    assert verdict.cells["motor-jams/coins/turn"] == 1
    assert set(coverage.missed(verdict.cells)) == set(coverage.KEYS) - set(verdict.cells)
    unhurt, _ = play(build.base_settings(), Life(1, steps=(Step(1, jam.acts),)))
    assert not unhurt.cells
