"""What reaches an operator's terminal."""

import pytest
from rich.console import Console

from cloud.fleet.cli import screen
from cloud.fleet.cli.machines import state_lines
from cloud.fleet.cli.stock import _price
from controller.cli import screen as shared


def test_a_table_that_a_terminal_is_too_narrow_for_is_a_block_for_each_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        shared, "console", lambda: Console(width=30, force_terminal=True, color_system=None)
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


def test_a_table_in_a_file_stays_a_table_and_an_empty_one_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen.table(("Machine", ">Vends"), [("x" * 300, "142")], "nothing sold")
    screen.table(("Machine", ">Vends"), [], "nothing sold")
    *table, nothing = capsys.readouterr().out.splitlines()
    assert (len(table), nothing) == (2, "nothing sold")


def test_amounts_are_in_main_units_where_the_currency_is_known() -> None:
    assert (screen.amount(150, "EUR"), screen.amount(150, "")) == ("1.50 EUR", "150")
    assert (screen.at(0), screen.at(None)) == ("", "")
    assert screen.at(1_795_332_900_123) == "2026-11-22 07:35:00"
    assert screen.at(253_402_300_799_999) == "9999-12-31 23:59:59"
    assert screen.at(2**53 - 1) == "9007199254740991 ms", "a machine's clock says what it likes"


def test_a_price_that_no_record_has_told_is_no_zero() -> None:
    line = {"price": 0, "product": "", "currency": "EUR"}
    assert _price(line) == ""
    assert _price(line | {"product": "water"}) == "0.00 EUR"
    assert _price(line | {"price": 170}) == "1.70 EUR"


def test_what_runs_at_a_machine_is_named_once() -> None:
    told = {
        line[0]: line[1]
        for line in state_lines({"versions": {"vendd": "vendd 0.1.0", "python": "3.11.7"}})
    }
    assert told["versions"] == "vendd 0.1.0, python 3.11.7"
