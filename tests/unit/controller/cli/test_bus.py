"""What was counted on the lines, for a technician: each count has its words and its cause."""

import json
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from controller.api.service import Counted, LineCounts
from controller.cli.bus import COUNTS, MISSES
from drivers.cctalk.bus import BusCounters as CcTalkCounters
from drivers.links.mdb_link import LinkCounters
from drivers.mdb.changer_codec import ChangerStatus
from drivers.mdb.changer_faults import STATUS_FAULTS
from drivers.mdb.scheduler import BusCounters

ROOT = Path(__file__).parents[4]
TELL_HOW_LONG_AGO = {"worst_at_s": "worst_ago_s"}
MDB = LineCounts(
    "mdb",
    None,
    {
        "exchanges": 20_000, "silences": 12, "naks": 0, "garbled": 40, "rets": 38,
        "stray_bytes": 3, "reopened": 1, "polls": 19_000, "commands": 1_000, "withheld": 2,
        "skipped_polls": 0, "worst_late_s": 0.004, "worst_ago_s": 62.5,
    },
    {
        "changer": {"silences": 0, "naks": 0, "garbled": 40, "resets": 1},
        "cashless1": {"silences": 12, "naks": 0, "garbled": 0, "resets": 0},
    },
)  # fmt: skip
CCTALK = LineCounts(
    "cctalk", "no such port", {"asked": 0, "repeated": 0}, {"hopper 3": {"unanswered": 4}}
)


def test_what_was_counted_fits_a_screen(ctl: Any, machine: Any) -> None:
    odd = {"changer": {"double arrival": 2, "slugs": 5}}
    machine.now = replace(machine.now, drivers=Counted((MDB, CCTALK), odd))
    ended = ctl("bus")
    assert (ended.code, ended.err) == (0, "")
    assert ended.lines == [
        "counted for 2 h 13 min",
        "",
        "mdb works",
        "Count                 Of 1000  What it is",
        "exchanges      20000           blocks sent",
        "polls          19000           of them polls",
        "commands        1000           of them commands",
        "silences          12      0.6  no answer in time",
        "naks               0      0.0  a device did not understand us",
        "garbled           40      2.0  damaged answers",
        "rets              38      1.9  damaged answers that we asked for again",
        "stray_bytes        3           bytes that nobody had asked for",
        "withheld           2      0.1  answers with money held back: the disk was slow",
        "reopened           1           times the port was opened; the first is the start",
        "worst_late_s   0.004           s: the latest start of a poll",
        "worst_ago_s   62.500           s since then",
        "",
        "Device     Silences  NAK  Garbled  Resets",
        "changer           0    0       40       1",
        "cashless1        12    0        0       0",
        "",
        "cctalk down: no such port",
        "Count        Of 1000  What it is",
        "asked     0           questions sent",
        "repeated  0           questions asked again",
        "",
        "Device    Unanswered",
        "hopper 3           4",
        "",
        "Device   Told            Times",
        "changer  slugs               5",
        "changer  double arrival      2",
        'docs/wiring.md, "What vendctl bus counts", says what to look at',
    ]


def test_a_machine_without_lines_has_nothing_to_tell(ctl: Any) -> None:
    lines = ctl("bus").lines
    assert "no device told anything odd" in lines
    assert json.loads(ctl("bus", "--json").out)["lines"] == []


def test_scripts_find_the_counts_in_the_status_too(ctl: Any, machine: Any) -> None:
    machine.now = replace(machine.now, drivers=Counted((MDB,), {"changer": {"slugs": 5}}))
    status = json.loads(ctl("status", "--json").out)
    assert status["lines"] == json.loads(ctl("bus", "--json").out)["lines"]
    assert status["lines"][0]["counts"]["garbled"] == 40
    assert status["devices"][0]["oddities"] == {"slugs": 5}


@pytest.mark.parametrize("counters", [LinkCounters, BusCounters, CcTalkCounters])
def test_every_count_has_its_words_and_its_cause(counters: Any) -> None:
    guide = (ROOT / "docs" / "wiring.md").read_text()
    for field in fields(counters):
        name = TELL_HOW_LONG_AGO.get(field.name, field.name)
        assert name in COUNTS
        assert re.search(rf"^\|.*`{name}`.* \|", guide, re.MULTILINE), name


def test_what_is_missed_with_a_device_and_what_is_odd_has_its_cause() -> None:
    guide = (ROOT / "docs" / "wiring.md").read_text()
    odd = {
        words
        for source in (ROOT / "drivers").rglob("*.py")
        for words in re.findall(r'oddities\.note\(f?"([a-z ]+)', source.read_text())
    }
    assert {"slugs", "selection requests", "unread "} <= odd
    odd |= {
        status.name.replace("_", " ").lower()
        for status in (ChangerStatus.NO_CREDIT, ChangerStatus.DOUBLE_ARRIVAL)
        if status not in STATUS_FAULTS
    }
    for words in (*odd, *MISSES, "pulses too short", "pulses that are no coin", "others"):
        assert f"`{words.strip()}" in guide, words
