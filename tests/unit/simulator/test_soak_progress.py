"""A long proof says how far it is, on a terminal and in a log."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from simulator.soak_progress import EVERY_S, Bar
from tests.journal_kit import HandClock


def test_a_log_gets_a_line_a_minute_with_what_is_left() -> None:
    out, clock = StringIO(), HandClock()
    with Bar(Console(file=out, width=40), clock, "vends", 1_000_000) as bar:
        bar.advance(10, "9/s")
        assert out.getvalue() == ""
        clock.advance(2 * EVERY_S)
        bar.advance(99_990, "833/s, 40% of the cells")
        bar.advance(1)
        clock.advance(EVERY_S)
        bar.advance(899_999)
    assert out.getvalue().splitlines() == [
        "vends (833/s, 40% of the cells): 100,000 of 1,000,000 in 2 min, some 18 min left",
        "vends: 1,000,000 of 1,000,000 in 3 min",
    ]


def test_steps_may_turn_out_to_be_more() -> None:
    out, clock = StringIO(), HandClock()
    with Bar(Console(file=out, width=40), clock, "kills") as bar:
        bar.expect(4)
        clock.advance(EVERY_S)
        bar.advance()
        clock.advance(EVERY_S)
        bar.expect(4)
    assert out.getvalue().splitlines() == [
        "kills: 1 of 4 in 1 min, some 3 min left",
        "kills: 1 of 8 in 2 min, some 14 min left",
    ]


def test_a_terminal_gets_a_bar_and_no_lines() -> None:
    out, clock = StringIO(), HandClock()
    console = Console(file=out, width=60, force_terminal=True, color_system=None)
    with Bar(console, clock, "instants", 4) as bar:
        clock.advance(2 * EVERY_S)
        bar.advance(2)
    assert "2/4" in out.getvalue()
    assert "min left" not in out.getvalue()
