"""What the journal asks of the state that is folded from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

from controller.journal.envelope import Postings, Record


class State(Protocol):
    """Current state, a pure function of the records. Its encoding depends on nothing else."""

    def apply(self, record: Record) -> None:
        """Take the next record in."""
        ...

    def encode(self) -> bytes:
        """Return the state as bytes; equal states give equal bytes."""
        ...

    def prune_floor(self) -> int:
        """Return the lowest seq that must stay readable.

        That is the opening record of the oldest open saga, open claim, lot still in use, or
        command id within its validity; ``next seq`` or more when nothing is needed.
        """
        ...


S = TypeVar("S", bound=State)
S_co = TypeVar("S_co", bound=State, covariant=True)


class Fold(Protocol[S]):
    """Makes states."""

    @property
    def version(self) -> int:
        """Return the version of the encoding; a snapshot of another one is folded again."""
        ...

    def initial(self) -> S:
        """Return the state before the first record."""
        ...

    def decode(self, raw: bytes, version: int) -> S:
        """Return the state that ``encode`` wrote in ``version`` (a base outlives upgrades).

        Raises:
            ValueError: It cannot be read.
        """
        ...

    def balances(self, state: S) -> Postings:
        """Return the balances that are not zero, which a new journal's first record tells."""
        ...

    def previous(self, state: S) -> tuple[str, int, Postings] | None:
        """Return which journal this one follows, behind which record, and what it began with."""
        ...

    def forked(self, state: S) -> None:
        """Take back what only the fleet may honour now, which holds another chain than ours."""
        ...

    def told_again(self, state: S, journal: str, numbers: Mapping[int, int]) -> None:
        """Take in that records of ``journal`` (hex) are records of the new one: old seq -> new."""
        ...

    def inherit(self, old: S) -> S:
        """Return the state with which a new journal begins when ``old`` was the last one's.

        Seqs begin anew there, so whatever names a record of the old journal must go or be named
        differently.
        """
        ...
