"""``vendctl sync``: how far the fleet is, and what is said while a technician waits for it."""

import json
from typing import Any

from controller.domain import commands as cmd
from tests.unit.controller.conftest import FakeMachine


def test_how_far_the_fleet_is_fits_some_lines(ctl: Any, machine: FakeMachine) -> None:
    ended = ctl("sync")

    assert ended.code == 0
    assert ended.lines == [
        "Fleet    catching up over mqtt",
        "Has      records to 18 of 38",
        "Waiting  20 records, about 6000 bytes; the oldest for 1 d 2 h",
        "Heard    2026-11-21T20:00:00.000Z (fleet time), 1 min 1 s ago",
        "Clock    the system's is 2 min 5 s ahead",
        "Vouched  the fleet has countersigned the books to 4",
    ]


def test_without_a_network_it_says_why_and_when_it_tries_again(
    ctl: Any, machine: FakeMachine
) -> None:
    assert machine.sync is not None
    machine.sync.connected, machine.sync.error = False, "broker.example:8883: timed out"

    lines = ctl("sync").lines

    assert lines[0] == "Fleet     offline"
    assert lines[-2:] == ["Problem   broker.example:8883: timed out", "Next try  in 42 s"]


def test_sync_now_waits_until_the_fleet_has_everything(ctl: Any, machine: FakeMachine) -> None:
    ended = ctl("sync", "now")

    assert machine.sync is not None
    assert (ended.code, machine.sync.hurried) == (0, 1)
    assert ended.lines == ["in sync: the fleet has everything to 39; 21 records sent"]
    assert ended.err.startswith("catching up: 0 of 21 records\n"), "no bar in a pipe"
    assert isinstance(machine.told[-1][0], cmd.SyncNow)


def test_sync_now_ends_in_time_and_says_that_there_is_no_network(
    ctl: Any, machine: FakeMachine
) -> None:
    assert machine.sync is not None
    machine.sync.connected, machine.sync.error = False, "no route to host"

    ended = ctl("sync", "now", "--timeout", "1")

    assert ended.code == 1
    assert ended.lines == [
        "NOT IN SYNC: no way to the fleet: no route to host; 31 records wait here"
    ]


def test_sync_now_tells_scripts_how_it_ended(ctl: Any, machine: FakeMachine) -> None:
    told = json.loads(ctl("sync", "now", "--json").out)
    assert (told["synced"], told["to"], told["sent"]) == (True, 39, 21)

    assert machine.sync is not None
    machine.sync.per_look = 0
    ended = ctl("sync", "now", "--timeout", "1", "--json")
    assert (ended.code, ended.err, json.loads(ended.out)["synced"]) == (1, "", False)


def test_a_machine_without_a_fleet_says_so(ctl: Any, machine: FakeMachine) -> None:
    machine.sync = None

    for words in ("show", "now"):
        ended = ctl("sync", words)
        assert ended.code == 5
        assert "there is no [cloud] in its configuration" in ended.err
    assert machine.told == [], "what is refused is not begun"
