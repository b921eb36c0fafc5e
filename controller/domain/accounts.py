"""The accounts of the double-entry ledger. A debit is positive; every record's lines sum to zero.

Assets have positive balances, what we owe or have earned negative ones.
"""

from __future__ import annotations

from typing import Final

CASH_TUBES: Final = "cash.tubes"
CASH_CASHBOX: Final = "cash.cashbox"
CASH_STACKER: Final = "cash.stacker"
CASH_RECYCLER: Final = "cash.recycler"  # bills that can be paid out again
CASH_ESCROW: Final = "cash.escrow"
CARD_RECEIVABLE: Final = "card.receivable"  # approved by a reader, paid to us by its acquirer
APP_RECEIVABLE: Final = "app.receivable"  # granted by an app, paid to us by its operator

CREDIT_COINS: Final = "credit.coins"  # what a customer can still spend or get back
CREDIT_BILLS: Final = "credit.bills"
CREDIT_PRODUCT: Final = (
    "credit.product"  # a card claim honoured here: it buys, it is never paid out
)
CREDIT_APP: Final = "credit.app"  # granted for one vend: it goes back to the app, never to coins
ESCROW_OWED: Final = "escrow.owed"  # the customer's bill while it is in escrow
HELD_CASH: Final = "held.cash"  # locked for a vend that has not ended
HELD_CARD: Final = "held.card"
HELD_APP: Final = "held.app"
PAYOUT_OWED: Final = "payout.owed"  # ordered to leave the machine
CLAIMS_CASH: Final = "claims.cash"
CLAIMS_CARD: Final = "claims.card"

REVENUE_CASH: Final = "revenue.cash"
REVENUE_CARD: Final = "revenue.card"
REVENUE_APP: Final = "revenue.app"
UNCLAIMED: Final = "unclaimed"  # money found that no record explains
MISSING: Final = "missing"  # money gone that no record explains
OPERATOR: Final = "operator"  # put in and taken out by staff

# Vend tokens are counted in pieces; they have no value in money.
TOKENS_CASHBOX: Final = "tokens.cashbox"
TOKENS_CREDIT: Final = "tokens.credit"  # the right to a product, not yet used
TOKENS_HELD: Final = "tokens.held"
TOKENS_CLAIMS: Final = "tokens.claims"
TOKENS_USED: Final = "tokens.used"
TOKENS_OPERATOR: Final = "tokens.operator"

CASH: Final = (CASH_TUBES, CASH_CASHBOX, CASH_STACKER, CASH_RECYCLER, CASH_ESCROW)
CREDIT: Final = (CREDIT_COINS, CREDIT_BILLS, CREDIT_PRODUCT)
CLAIMS: Final = (CLAIMS_CASH, CLAIMS_CARD)
TOKENS: Final = (
    TOKENS_CASHBOX, TOKENS_CREDIT, TOKENS_HELD, TOKENS_CLAIMS, TOKENS_USED, TOKENS_OPERATOR,
)  # fmt: skip
ALL: Final = (
    *CASH, CARD_RECEIVABLE, APP_RECEIVABLE, *CREDIT, CREDIT_APP, ESCROW_OWED, HELD_CASH, HELD_CARD,
    HELD_APP, PAYOUT_OWED, *CLAIMS, REVENUE_CASH, REVENUE_CARD, REVENUE_APP, UNCLAIMED, MISSING,
    OPERATOR, *TOKENS,
)  # fmt: skip
