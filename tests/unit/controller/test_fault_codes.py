"""Each stable code of a fault can be told by somebody, and has an end."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.faults import FaultCode

ROOT = Path(__file__).parents[3]

RAISES = frozenset({"raise_fault", "raised", "raise_", "FaultRaised", "DeviceFault"})
RAISING_TABLES = frozenset(
    {
        "STATUS_FAULTS", "_MAIN_FAULTS", "_PAIR_FAULTS",  # a changer's status and diagnostics
        "DISABLING", "_RAISES",  # bill validators
        "_BY_NIBBLE",  # a reader's malfunctions
        "_COLUMN_FAULTS",  # how a dispense failed
    }
)  # fmt: skip
CLEARS = frozenset({"clear_fault", "cleared", "clear", "FaultCleared"})
CLEARING_TABLES = frozenset(
    {
        "DEPOSIT_CLEARS", "PAYOUT_CLEARS", "_CLEARS", "_LASTING", "_OURS", "DISABLING",
        "_BY_NIBBLE",  # READER_FAULTS are its values: what is told no more has ended
    }
)  # fmt: skip
BY_THE_NEXT_DIAGNOSIS = {  # FaultBook.stand
    FaultCode.CHANGER_ROM,
    FaultCode.CHANGER_FAILURE,
    FaultCode.CHANGER_VOLTAGE,
    FaultCode.CHANGER_ACCEPTOR,
    FaultCode.CHANGER_COIN_PATH_OPEN,
    FaultCode.CHANGER_GATE,
    FaultCode.CHANGER_CASSETTE_REMOVED,
    FaultCode.CHANGER_CASHBOX_SENSOR,
}
ELSEWHERE = {
    FaultCode.JOURNAL_BROKEN: "controller/stranded.py",  # in no record; ends with that mode
}


def codes(node: ast.AST) -> Iterator[FaultCode]:
    """Every ``FaultCode.X`` below a node."""
    for found in ast.walk(node):
        if (
            isinstance(found, ast.Attribute)
            and isinstance(found.value, ast.Name)
            and found.value.id == "FaultCode"
        ):
            yield FaultCode[found.attr]


def sites() -> dict[FaultCode, set[str]]:
    """By code: the calls it is an argument of, and the tables that it stands in."""
    found: dict[FaultCode, set[str]] = defaultdict(set)
    for package in ("controller", "drivers"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
                        inside: ast.AST = node
                    case ast.Assign(targets=[ast.Name(id=name)], value=inside):
                        pass
                    case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as inside):
                        pass
                    case _:
                        continue
                for code in codes(inside):
                    found[code].add(name)
    return found


SITES = sites()


@pytest.mark.parametrize("code", FaultCode)
def test_somebody_raises_it(code: FaultCode) -> None:
    if code in ELSEWHERE:
        assert f"FaultCode.{code.name}" in (ROOT / ELSEWHERE[code]).read_text(encoding="utf-8")
    else:
        assert SITES[code] & (RAISES | RAISING_TABLES)


@pytest.mark.parametrize("code", FaultCode)
def test_something_ends_it(code: FaultCode) -> None:
    if code in ELSEWHERE or code in BY_THE_NEXT_DIAGNOSIS:
        return
    if code.value.startswith("column."):
        return  # `stock enable` ends whatever stands of a column
    assert SITES[code] & (CLEARS | CLEARING_TABLES)


@pytest.mark.parametrize("code", FaultCode)
def test_a_test_speaks_of_it(code: FaultCode) -> None:
    words = (f"FaultCode.{code.name}", f'"{code.value}"', f" {code.value}")
    here = Path(__file__)
    assert any(
        any(word in source for word in words)
        for path in (ROOT / "tests").rglob("test_*.py")
        if path != here
        for source in (path.read_text(encoding="utf-8"),)
    )
