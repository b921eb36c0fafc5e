"""What reaches an operator's terminal."""

import sys

import pytest
from rich.console import Console

from cloud.fleet.cli import screen


def test_a_table_that_a_terminal_is_too_narrow_for_is_a_block_for_each_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        screen, "console", lambda: Console(width=30, force_terminal=True, color_system=None)
    )
    rows: list[tuple[screen.Cell, ...]] = [
        ("acme/lobby-1", "142", "213.00 EUR"),
        ("acme/lobby-2", "", ("0.00 EUR", screen.DIM)),
    ]
    screen.table(("Machine", ">Vends", ">Turnover"), rows, "nothing sold")
    assert [text.rstrip() for text in capsys.readouterr().out.splitlines()] == [
        "Machine   acme/lobby-1",
        "Vends     142",
        "Turnover  213.00 EUR",
        "",
        "Machine   acme/lobby-2",
        "Turnover  0.00 EUR",
    ]


def test_a_table_in_a_file_stays_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    screen.table(("Machine", ">Vends"), [("x" * 300, "142")], "nothing sold")
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_an_error_is_folded_between_words_on_a_terminal_and_whole_in_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "vendcloud: no machine acme/lobby-9; `vendcloud machine list` shows them"
    screen.error(words)
    assert capsys.readouterr().err == f"{words}\n"
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    screen.error(words)
    assert capsys.readouterr().err.splitlines() == [
        "vendcloud: no machine acme/lobby-9;",
        "`vendcloud machine list` shows them",
    ]
