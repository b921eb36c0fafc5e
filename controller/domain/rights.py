"""What a customer may have without money of their own: tokens, free vends, credit paid in an app.

Pure. A right buys one product. A token came in through the coin slot and has no value in money; a
free vend is a technician's or the fleet's word; app credit is money that the app's operator owes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

RightKind = Literal["app", "free", "token"]

MAX_OPEN: Final = 8  # rights that wait at once: customers come one by one, and grants live minutes
REMEMBERED_MS: Final = 30 * 86_400_000  # as long as a signed command may be valid
MAX_IDS: Final = 10_000  # grants remembered, 333 a day: none more, rather than an old one twice
MIN_LIFE_S: Final = 1.0
MAX_LIFE_S: Final = 86_400.0
_ORDER: Final[dict[RightKind, int]] = {"app": 0, "free": 1, "token": 2}


@dataclass(slots=True)
class Right:
    """One product, or money towards it, that waits for its customer."""

    seq: int  # of the record that gave it
    kind: RightKind
    amount: int = 0  # app: minor units
    column: str = ""  # for this selection alone; "": any (a token: those of the configuration)
    id: str = ""  # the grant's
    boot: int = 0
    until_mono_ms: int = 0  # on the clock of that boot; 0: it does not end by itself
    vend: int = 0  # the open vend that holds it

    def worth(self, price: int) -> int:
        """Return how much of a price it covers, in minor units."""
        return min(self.amount, price) if self.kind == "app" else price


@dataclass(slots=True)
class Grant:
    """What became of a grant: a repeat of its id is answered from here."""

    right: int
    kind: RightKind
    amount: int
    column: str
    outcome: Literal["open", "used", "returned", "ended"] = "open"
    at_ms: int = 0  # UTC label of its record
    confirmed: bool = False  # that label was confirmed when it was written


def outlived(grants: Mapping[str, Grant], at_ms: int) -> list[str]:
    """Return the grants that need no longer be remembered at a confirmed time (UTC, ms)."""
    return [
        id_
        for id_, grant in grants.items()
        if grant.confirmed and grant.outcome != "open" and at_ms - grant.at_ms > REMEMBERED_MS
    ]


def best(rights: Iterable[Right], column: str, tokens_buy: frozenset[str]) -> Right | None:
    """Return the right to use for a selection: what is bound to it first, a token last."""
    fitting = [
        right
        for right in rights
        if not right.vend
        and (column in tokens_buy if right.kind == "token" else right.column in ("", column))
    ]
    return min(
        fitting, key=lambda right: (not right.column, _ORDER[right.kind], right.seq), default=None
    )


def reserved(rights: Iterable[Right]) -> dict[str, int]:
    """Return how many products of each column are set aside for app credit that waits."""
    kept: dict[str, int] = {}
    for right in rights:
        if right.kind == "app" and right.column and not right.vend:
            kept[right.column] = kept.get(right.column, 0) + 1
    return kept
