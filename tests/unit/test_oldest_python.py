"""What Debian 12's Python 3.11.2 does otherwise than later ones, and no linter knows."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path
    for package in ("controller", "drivers", "cloud", "config", "simulator")
    for path in (ROOT / package).rglob("*.py")
)


def raised_in_except_star(source: str) -> list[int]:
    """Return the lines that raise within an ``except*``."""
    return [
        inner.lineno
        for tried in ast.walk(ast.parse(source))
        if isinstance(tried, ast.TryStar)
        for handler in tried.handlers
        for inner in ast.walk(handler)
        if isinstance(inner, ast.Raise)
    ]


def test_a_raise_within_an_except_star_is_found() -> None:
    source = (
        "try:\n    pass\nexcept* OSError as errors:\n    if errors:\n        raise ValueError\n"
    )
    assert raised_in_except_star(source) == [5]


@pytest.mark.parametrize("package", ["controller", "drivers", "cloud", "config", "simulator"])
def test_nothing_is_raised_within_an_except_star(package: str) -> None:
    """Python before 3.11.4 wraps it in a group, which nobody expects: a link did not come back."""
    found = {
        str(path.relative_to(ROOT)): lines
        for path in SOURCES
        if path.relative_to(ROOT).parts[0] == package
        and (lines := raised_in_except_star(path.read_text(encoding="utf-8")))
    }
    assert found == {}
