"""Claim codes are money: who may only look sees the first digits, which are the claim's seq.

A code stands in many places (claims, records, traces, what the customer reads), so whatever is
sent to such a caller is looked through.
"""

from __future__ import annotations

import re
from typing import Any, Final

from controller.saga.claims import CODE_DIGITS, SEQ_DIGITS

_CODE: Final = re.compile(rf"(?<!\d)(\d{{{SEQ_DIGITS}}})\d{{{CODE_DIGITS - SEQ_DIGITS}}}(?!\d)")
# On the panel also one that is being keyed in.
_PART: Final = re.compile(rf"(?<!\d)(\d{{{SEQ_DIGITS}}})\d+(?!\d)")
_GLASS: Final = ("display", "lines")  # keys of what the customer reads


def veiled(value: Any, *, glass: bool = False) -> Any:
    """Return a JSON value without claim codes; what has none is the same object's equal."""
    match value:
        case str():
            return (_PART if glass else _CODE).sub(_hide, value)
        case dict():
            return {key: veiled(item, glass=key in _GLASS) for key, item in value.items()}
        case list() | tuple():
            return [veiled(item, glass=glass) for item in value]
        case _:
            return value


def _hide(code: re.Match[str]) -> str:
    return code[1] + "*" * (len(code[0]) - SEQ_DIGITS)
