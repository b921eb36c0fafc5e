"""The conformance page names tests and examples that exist, and leaves no command out."""

import re
from pathlib import Path

import pytest

from drivers.mdb import bill_commands, changer_commands
from drivers.mdb.cashless_codec import Code
from drivers.mdb.explain_cashless import SUB_NAMES

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "mdb-conformance.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`C (test_\w+\.py)::(test_\w+)`")
EXAMPLE = re.compile(r"`((?:[0-9A-F]{2} ?)+)`")
ROWS = [line for line in PAGE.splitlines() if NAMED.search(line)]


@pytest.mark.parametrize("row", ROWS)
def test_each_row_names_a_test_that_holds_its_example(row: str) -> None:
    match = NAMED.search(row)
    assert match is not None
    source = (Path(__file__).parent / match[1]).read_text(encoding="utf-8")
    assert f"def {match[2]}(" in source
    for example in EXAMPLE.findall(row):
        assert example in source


def test_every_table_row_has_a_test() -> None:
    head = re.compile(r"^\|(---|\s?(what|command|reader|message)\b)")
    rows = [line for line in PAGE.splitlines() if line.startswith("|") and not head.match(line)]
    assert [row for row in rows if not NAMED.search(row)] == []


def test_no_command_of_the_changer_is_left_out() -> None:
    for command in changer_commands.Command:
        assert f"`{command:02X} " in PAGE
    for sub in changer_commands.Expansion:
        assert f"`0F {sub:02X} " in PAGE


def test_no_command_of_the_bill_validator_is_left_out() -> None:
    for command in bill_commands.Command:
        assert f"`{command:02X} " in PAGE
    for sub in bill_commands.Expansion:
        assert f"`37 {sub:02X} " in PAGE


def test_no_command_of_a_reader_is_left_out() -> None:
    for command, sub in SUB_NAMES:
        if (command, sub) != (7, 2):  # shares a row with its obsolete twin
            assert f"`1{command} {sub:02X} " in PAGE
    for code in Code:
        assert f"| {code:02X} " in PAGE
