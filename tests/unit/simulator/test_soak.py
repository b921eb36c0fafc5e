"""The long proof's figures come from real runs, and land between the marks of their page."""

from __future__ import annotations

import json
import signal
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from controller.clock import SystemClock
from simulator import soak, soak_fleet
from simulator.cuts import Cut, Point, Verdict
from simulator.soak_instants import Instants, Job
from simulator.soak_page import (
    NoSuchPlaceError,
    instants_lines,
    mutants_lines,
    replace_block,
    swarm_lines,
)
from simulator.swarm import coverage
from simulator.swarm.report import Tally
from tests.e2e.kill_kit import TURNS
from tests.swarm.stopping import stopped_in_the_third

PAGE = "head\n<!-- soak:swarm -->\nold\n<!-- /soak:swarm -->\ntail\n"
ROOT = Path(__file__).parents[3]
RELIABILITY = ROOT / "docs" / "reliability.md"


def test_the_soak_plays_every_days_share_of_the_kills() -> None:
    assert len(soak.KILL_DAYS) == TURNS
    assert all((ROOT / path).is_file() for path in (*soak.KILLS, soak.FAULTS))


def test_what_stands_between_the_marks_is_replaced_and_nothing_else() -> None:
    page = replace_block(PAGE, "swarm", ["new"])
    assert page == "head\n<!-- soak:swarm -->\n\nnew\n\n<!-- /soak:swarm -->\ntail\n"
    assert replace_block(page, "swarm", ["new"]) == page
    with pytest.raises(NoSuchPlaceError, match="soak:mutants"):
        replace_block(PAGE, "mutants", [])


def test_the_page_of_the_documentation_has_a_place_for_every_part() -> None:
    page = RELIABILITY.read_text(encoding="utf-8")
    for part in soak.PARTS:
        assert "\nfresh\n" in replace_block(page, part, ["fresh"])


def test_a_run_is_told_with_its_seeds_its_rate_and_every_missed_cell() -> None:
    tally = Tally(lives=2, customers=80, vends=50, seeds=[7, 8])
    tally.hits.update({"column.jam": 3, "kill": 2, "vend sold": 40})
    tally.cells.update(coverage.KEYS[1:])
    lines = "\n".join(swarm_lines(tally, 10.0, 40, 1))
    assert "| seeds | 7..8, 40 customers each |" in lines
    assert "| rate | 5 vends a second |" in lines
    assert "| troubles that struck | 3 |" in lines
    assert f"Cells missed in this run (1): `{coverage.KEYS[0]}`." in lines
    tally.cells.update(coverage.KEYS)
    assert "No cell was missed in this run." in list(swarm_lines(tally, 10.0, 40, 1))


def test_ends_at_instants_are_counted_by_story_and_findings_are_named() -> None:
    done = Instants()
    job = Job(0, "native", Cut.POWER, 2, (1, 2))
    done.add(job, [Verdict(Point(1, "disk"), []), Verdict(Point(2, "bus"), ["a coin is gone"])])
    lines = list(instants_lines(done, 3.0, 1, 2))
    assert lines[0].startswith("2 ends, every instant of each story, 2 disk image(s)")
    assert "a coin is gone" in lines[-1]
    assert "image 2, at 2 (bus)" in lines[-1]
    assert next(instants_lines(done, 3.0, 9, 0)).endswith(
        "one instant in 9 of each story, kills alone,"
    )


def test_planted_bugs_are_told_with_the_words_of_their_oracle() -> None:
    row = {"name": "skip the refund", "median": 8.0, "finding": "out | of pocket", "found": True}
    assert list(mutants_lines([row]))[-1] == "| skip the refund | 8 | out / of pocket |"


def test_a_short_run_of_the_swarm_writes_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    arguments = ["--only", "swarm", "--vends", "1", "--workers", "1", "--write", str(page)]
    assert soak.main(arguments) == 0
    assert "| broken promises | 0 |" in page.read_text(encoding="utf-8")
    assert "vends a second" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_tells_what_it_found_and_leaves_the_page_alone(
    number: signal.Signals,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(soak, "carry_out_all", partial(stopped_in_the_third, number))
    assert soak.main(["--only", "swarm", "--workers", "1", "--write", str(page)]) == 130
    assert page.read_text(encoding="utf-8") == PAGE
    said = capsys.readouterr().out
    assert "| lives | 2 |" in said
    assert "stopped before its end" in said


@pytest.mark.parametrize("text", [None, "no marks"])
def test_a_page_that_has_no_place_for_the_figures_is_told_of_before_the_run(
    text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    if text is not None:
        page.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        soak.main(["--only", "swarm", "--vends", "1", "--write", str(page)])
    assert ended.value.code == 2
    assert str(page) in capsys.readouterr().err


def test_a_few_instants_of_every_story_end_well(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--only", "instants", "--stride", "2000", "--images", "1", "--workers", "1"]
    assert soak.main(arguments) == 0
    assert "0 broken promises" in capsys.readouterr().out


def test_kills_around_a_fleet_are_counted_by_kind_and_a_loss_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"kills": 4, "records": 1_000, "lost": 0, "doubled": 0, "differ": 0, "waiting": 9}
    (tmp_path / "child.py").write_text(
        "import json, sys\n"
        "kind = sys.argv[sys.argv.index('--kind') + 1]\n"
        "if kind == 'bridge':\n    sys.exit('no broker')\n"
        f"print(json.dumps({{**{found}, 'lost': int(kind == 'server')}}))\n"
    )
    monkeypatch.setattr(soak_fleet, "CHILD", "child")
    rows = soak_fleet.kill_between(Console(quiet=True), SystemClock(), tmp_path, 7, 0.0)
    lines = list(soak_fleet.fleet_lines(rows, 3.0))
    assert lines[0] == "20 kills of real processes in 3 s: 2 problems."
    assert "| machine | 4 | 1,000 | 0 | 0 | 0 |" in lines
    assert "server: seed 7" in lines[-2]
    assert lines[-1] == "* bridge: seed 7: no broker"


def test_what_the_hunt_of_planted_bugs_found_is_read_from_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hunt = tmp_path / "tests" / "mutants"
    hunt.mkdir(parents=True)
    (tmp_path / "tests" / "__init__.py").touch()
    (hunt / "__init__.py").touch()
    row = {"name": "a bug", "median": 2001, "finding": "", "found": False}
    (hunt / "check.py").write_text(f"print({json.dumps([row])!r})")
    monkeypatch.setattr(soak, "ROOT", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert soak.main(["--only", "mutants", "--workers", "1"]) == 1
    assert "a bug" in capsys.readouterr().out
    monkeypatch.setattr(soak, "ROOT", tmp_path / "nowhere")
    assert soak.main(["--only", "mutants", "--workers", "1"]) == 0
