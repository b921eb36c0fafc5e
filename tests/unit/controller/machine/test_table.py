"""The table is complete, is what runs, and is what the documentation shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.faults import InvariantError
from controller.machine.diagram import page
from controller.machine.modes import Modes
from controller.machine.table import PROMISES, TABLE, Mode, Trigger

DOCS = Path(__file__).parents[4] / "docs"


def test_the_documented_diagram_is_current() -> None:
    assert (DOCS / "state-machine.md").read_text(encoding="utf-8") == page()


def test_every_mode_has_a_promise_and_can_be_reached() -> None:
    assert set(PROMISES) == set(Mode)
    assert {row.dest for row in TABLE} | {Mode.BOOTING} == set(Mode)


def test_no_mode_has_two_rows_for_one_trigger() -> None:
    pairs = [(row.trigger, source) for row in TABLE for source in row.sources]
    assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("trigger", list(Trigger))
def test_the_engine_follows_the_table_and_nothing_else(mode: Mode, trigger: Trigger) -> None:
    modes = Modes()
    modes.mode = mode
    row = next((r for r in TABLE if r.trigger is trigger and mode in r.sources), None)
    if row is None:
        with pytest.raises(InvariantError, match="not legal"):
            modes.fire(trigger)
    else:
        assert modes.fire(trigger) is row.dest


def test_only_idle_and_credit_sell() -> None:
    assert [mode for mode in Mode if mode.selling] == [Mode.IDLE, Mode.CREDIT]
