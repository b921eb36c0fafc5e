"""The conformance page names tests and examples that exist."""

import re
from pathlib import Path

import pytest

from drivers.cctalk.headers import Header

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "cctalk-conformance.md").read_text(encoding="utf-8")
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
    head = re.compile(r"^\|(---|\s?(what|header)\b)")
    rows = [line for line in PAGE.splitlines() if line.startswith("|") and not head.match(line)]
    assert [row for row in rows if not NAMED.search(row)] == []


def test_the_page_counts_the_headers_right() -> None:
    assert f"All {len(Header)} headers" in PAGE
