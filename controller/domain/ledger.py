"""The double-entry ledger: balances that every record's lines leave summing to zero.

Pure and synchronous. Amounts are ``int`` minor units; a debit is positive (see
``controller.domain.accounts`` for what each account means).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from controller.domain import accounts as acc
from controller.faults import InvariantError

_KNOWN: Final = frozenset(acc.ALL)
_OWED: Final = (
    *acc.CREDIT, acc.CREDIT_APP, acc.ESCROW_OWED, acc.HELD_CASH, acc.HELD_CARD, acc.HELD_APP,
    acc.PAYOUT_OWED, *acc.CLAIMS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the trial balance; one of ``debit`` and ``credit`` is zero."""

    account: str
    debit: int
    credit: int


class Ledger:
    """Balances per account. Owned by whoever folds the journal; nobody else posts."""

    __slots__ = ("_balances",)

    def __init__(self, balances: Mapping[str, int] | None = None) -> None:
        """Start empty, or from ``balances`` of a snapshot.

        Raises:
            InvariantError: They do not sum to zero, or name an account that does not exist.
        """
        self._balances: dict[str, int] = {}
        if balances:
            self.post(balances.items())

    def post(self, lines: Iterable[tuple[str, int]]) -> None:
        """Add the lines of one record; all of them or, when they are wrong, none.

        Raises:
            InvariantError: The lines do not sum to zero, or name an account that does not exist.
        """
        lines = tuple(lines)
        if total := sum(amount for _, amount in lines):
            raise InvariantError(f"postings sum to {total}, not to zero: {lines}")
        for account, _ in lines:
            if account not in _KNOWN:
                raise InvariantError(f"no such account: {account!r} in {lines}")
        balances = self._balances
        for account, amount in lines:
            balances[account] = balances.get(account, 0) + amount

    def balance(self, account: str) -> int:
        """Return an account's balance: positive for what we have, negative for what we owe."""
        return self._balances.get(account, 0)

    def cash(self) -> int:
        """Return the value of all coins and bills that must be in the machine."""
        return sum(self.balance(account) for account in acc.CASH)

    def owed(self) -> int:
        """Return what customers could ask for now: credit, escrow, held, ordered, claimed."""
        return -sum(self.balance(account) for account in _OWED)

    def trial_balance(self) -> tuple[Row, ...]:
        """Return every account in the chart's order; debits and credits have one sum."""
        return tuple(
            Row(account, max(self.balance(account), 0), max(-self.balance(account), 0))
            for account in acc.ALL
        )

    def to_json(self) -> dict[str, int]:
        """Return the non-zero balances, sorted, for a snapshot."""
        return {account: amount for account, amount in sorted(self._balances.items()) if amount}

    def __eq__(self, other: object) -> bool:
        """Compare balances; an account at zero equals one never used."""
        return isinstance(other, Ledger) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]  # it changes, so it is no key
