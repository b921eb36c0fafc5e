"""The ledger against the physical truth, line by line.

Takes what vendd's API and the simulator's control socket answer; knows neither's inside. Ask when
nothing moves: a coin between slot and tube is in the truth before any machine can know of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.domain import accounts as acc
from simulator.shapes import TruthView


@dataclass(frozen=True, slots=True)
class Line:
    """One figure from both sides.

    Args:
        name: The ledger's account or accounts.
        words: What stands on the other side.
        ledger: What vendd believes, minor units.
        truth: What is physically so, minor units.
    """

    name: str
    words: str
    ledger: int
    truth: int

    @property
    def equal(self) -> bool:
        """Tell whether both sides agree to the cent."""
        return self.ledger == self.truth


@dataclass(frozen=True, slots=True)
class Reckoning:
    """All lines of one instant.

    Args:
        lines: Money.
        stock: Products per column: what vendd believes, and what is there.
    """

    lines: tuple[Line, ...]
    stock: Mapping[str, tuple[int, int]]

    @property
    def agrees(self) -> bool:
        """Tell whether every line of money is equal."""
        return all(line.equal for line in self.lines)

    @property
    def differences(self) -> list[str]:
        """Return every line that is not equal, in words."""
        return [
            f"{line.name}: the ledger says {line.ledger}, {line.words}: {line.truth}"
            for line in self.lines
            if not line.equal
        ]


def reckon(
    ledger: Mapping[str, Any],
    stock: Mapping[str, Any],
    truth: TruthView,
    staff: int,
    by_hand: int = 0,
    left_behind: int = 0,
    by_app: int = 0,
    unheard: int = 0,
) -> Reckoning:
    """Hold one against the other.

    Args:
        ledger: The answer to ``ledger.show``.
        stock: The answer to ``stock.show``.
        truth: All that is physically so.
        staff: What staff have put into the tubes since the first start, less what they took.
        by_hand: What staff have paid of claims from their own pockets, less credit they gave away.
        left_behind: Credit that customers never came back for, and that the machine kept.
        by_app: What was paid in an app, which the world knows nothing of.
        unheard: Coins in the cash box that were told to nobody who lived to write them down.
    """
    balance = dict.fromkeys(acc.ALL, 0)
    for row in ledger["accounts"]:
        balance[row["account"]] = int(row["debit"] - row["credit"])
    prices: dict[str, int] = {column["product"]: column["price"] for column in stock["columns"]}
    totals, people = truth.totals, truth.accounts.values()
    sold = sum(prices[product] for one in people for product in one.products)
    spent = sum(one.spent for one in people)

    def owed(*accounts: str) -> int:
        return -sum(balance[account] for account in accounts)

    lines: tuple[Line, ...] = (
        Line(acc.CASH_TUBES, "coins in the tubes", balance[acc.CASH_TUBES], totals.tubes),
        Line(
            acc.CASH_CASHBOX,
            "coins in the cash box",
            balance[acc.CASH_CASHBOX],
            totals.cashbox - unheard,
        ),
        Line(acc.CASH_STACKER, "bills in the stacker", balance[acc.CASH_STACKER], totals.stacker),
        Line(
            acc.CASH_RECYCLER, "bills in the recycler", balance[acc.CASH_RECYCLER], totals.recycler
        ),
        Line(acc.CASH_ESCROW, "bill in escrow", balance[acc.CASH_ESCROW], totals.escrow),
        Line(
            acc.CARD_RECEIVABLE,
            "taken from cards",
            balance[acc.CARD_RECEIVABLE],
            totals.card_captured + totals.card_approved - totals.card_credited,
        ),
        Line(
            "revenue.*",
            "prices of what fell",
            owed(acc.REVENUE_CASH, acc.REVENUE_CARD, acc.REVENUE_APP),
            sold,
        ),
        Line(
            "credit.*, claims.*",
            "owed to customers",
            owed(
                *acc.CREDIT, acc.CREDIT_APP, acc.ESCROW_OWED, acc.HELD_CASH, acc.HELD_CARD,
                acc.HELD_APP, acc.PAYOUT_OWED, *acc.CLAIMS,
            ),
            spent + by_app - sold - by_hand - left_behind - unheard,
        ),
        Line(acc.OPERATOR, "put in by staff", owed(acc.OPERATOR), staff + by_hand),
        Line(
            acc.UNCLAIMED,
            "left behind" if left_behind else "nothing",
            owed(acc.UNCLAIMED),
            left_behind,
        ),
        Line(acc.MISSING, "nothing", balance[acc.MISSING], 0),
    )  # fmt: skip
    if by_app or balance[acc.APP_RECEIVABLE]:
        paid = Line(acc.APP_RECEIVABLE, "paid in an app", balance[acc.APP_RECEIVABLE], by_app)
        lines = (*lines[:6], paid, *lines[6:])
    return Reckoning(
        lines,
        {
            column["column"]: (column["count"], truth.columns[column["column"]].stock)
            for column in stock["columns"]
        },
    )
