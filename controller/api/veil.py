"""Claim codes are money: who may only look sees the first digits, which are the claim's seq.

A code stands in many places (claims, records, traces, what the customer reads), so whatever is
sent to such a caller is looked through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from controller.saga.claims import CODE_DIGITS, SEQ_DIGITS

_CODE: Final = re.compile(rf"(?<!\d)(\d{{{SEQ_DIGITS}}})\d{{{CODE_DIGITS - SEQ_DIGITS}}}(?!\d)")
# On the panel also one that is being keyed in, and one in groups, on as many lines as it takes.
_PART: Final = re.compile(rf"(?<!\d)(\d{{{SEQ_DIGITS}}})\d+(?!\d)")
_GROUPS: Final = re.compile(r"\s*\d{1,4}(?: \d{1,4})*\s*")
_GLASS: Final = ("display", "lines")  # keys of what the customer reads


def veiled(value: Any, *, glass: bool = False) -> Any:
    """Return a JSON value without claim codes; what has none is the same object's equal."""
    match value:
        case str():
            return (_PART if glass else _CODE).sub(_hide, value)
        case dict():
            return {key: veiled(item, glass=key in _GLASS) for key, item in value.items()}
        case list() | tuple():
            return _glass(value) if glass else [veiled(item) for item in value]
        case _:
            return value


def _glass(lines: Iterable[Any]) -> list[Any]:
    """Hide what stands in groups, one line below the other."""
    hidden, digits = [], 0
    for line in lines:
        if not isinstance(line, str) or _GROUPS.fullmatch(line) is None:
            digits = 0
            hidden.append(veiled(line, glass=True))
            continue
        shown = max(0, SEQ_DIGITS - digits)
        digits += sum(key.isdigit() for key in line)
        parts = re.split(r"(\d)", line)  # each second one is a digit
        parts[2 * shown + 1 :: 2] = ["*"] * len(parts[2 * shown + 1 :: 2])
        hidden.append("".join(parts))
    return hidden


def _hide(code: re.Match[str]) -> str:
    return code[1] + "*" * (len(code[0]) - SEQ_DIGITS)
