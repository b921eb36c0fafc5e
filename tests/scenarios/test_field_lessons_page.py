"""The page of field lessons names tests that exist, and leaves no row of the machine out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "field-lessons.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(S |U |)([\w/]+\.py)::(test_\w+)`")
FOLDERS = {"S ": "tests/scenarios", "U ": "tests/unit", "": ""}
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| (\d|[a-zA-Z])", line)]
HEADS = ("| # ", "| what ")


@pytest.mark.parametrize("row", [row for row in ROWS if not row.startswith(HEADS)])
def test_each_row_names_a_test_or_says_why_not(row: str) -> None:
    last = row.strip("| ").split("|")[-1].strip()
    named = NAMED.findall(last)
    assert named or last == "by reading" or last.startswith("later: "), last
    for folder, file, name in named:
        source = (ROOT / FOLDERS[folder] / file).read_text(encoding="utf-8")
        assert f"def {name}(" in source


def test_every_row_of_the_catalogue_about_machine_and_link_is_there() -> None:
    numbers = {int(row.split("|")[1]) for row in ROWS if re.match(r"\| \d+ \|", row)}
    assert set(range(1, 34)) <= numbers
