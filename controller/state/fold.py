"""How the journal makes states: from nothing, from bytes, from the journal before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from controller.domain import accounts as acc
from controller.journal.envelope import Postings
from controller.state.inherit import inherit
from controller.state.state import State


class StateFold:
    """Makes states for the journal."""

    version: Final = 28  # rises with each change of State's shape; a test holds its schema

    def initial(self) -> State:
        """Return the state before the first record."""
        return State()

    def decode(self, raw: bytes, version: int) -> State:
        """Read a snapshot or a base, also an older one: a field it lacks has its default.

        Raises ValueError when it is newer, or none.
        """
        if version > self.version:
            raise ValueError(f"state version {version}, this software reads {self.version}")
        return State.decode(raw)

    def balances(self, state: State) -> Postings:
        """Return the balances that are not zero."""
        return tuple(
            (account, state.ledger.balance(account))
            for account in acc.ALL
            if state.ledger.balance(account)
        )

    def previous(self, state: State) -> tuple[str, int, Postings] | None:
        """Return which journal this one follows, behind which record, and what it began with."""
        if state.previous is None:
            return None
        return *state.previous, tuple(state.begun_with.items())

    def forked(self, state: State) -> None:
        """Let no code be keyed in that the other chain may have honoured: the fleet pays claims."""
        for claim in state.claims.values():
            claim.fleet_only = True

    def told_again(self, state: State, journal: str, numbers: Mapping[int, int]) -> None:
        """Know claims by the records that tell of them now: old seqs of ``journal`` to new ones."""
        for claim in state.claims.values():
            if claim.origin == journal and claim.number in numbers:
                claim.origin, claim.number = "", numbers[claim.number]

    def inherit(self, old: State) -> State:
        """Return what a new journal begins with after a broken one."""
        new = State.decode(old.encode())
        inherit(old, new)
        return new
