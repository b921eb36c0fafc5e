"""Records of tokens, free vends and app credit: rights to a product that no cash stands behind.

Lines of ``tokens.*`` accounts count pieces, not money; those of one record sum to zero all the
same. App credit is money that the app's operator owes the machine's; it never becomes coins.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from controller.domain import accounts as acc
from controller.domain.rights import RightKind
from controller.journal.envelope import RecordData
from controller.journal.records.lines import Lines, lines_of


class TokenInserted(RecordData):
    """A vend token reached the cash box (or a tube): the right to one product."""

    type: ClassVar[str] = "token.inserted"
    device: str
    coin: int  # its type

    def postings(self) -> Lines:
        """One more is there, and owed."""
        return lines_of((acc.TOKENS_CASHBOX, 1), (acc.TOKENS_CREDIT, -1))


class TokensCollected(RecordData):
    """Staff took the tokens out of the cash box; ``counted`` against what the ledger expects."""

    type: ClassVar[str] = "tokens.collected"
    counted: int
    expected: int
    by: str = ""

    def postings(self) -> Lines:
        """The operator has them."""
        return lines_of((acc.TOKENS_CASHBOX, -self.expected), (acc.TOKENS_OPERATOR, self.expected))


class RightGranted(RecordData):
    """App credit, or a free vend, bound to an id: it runs once, and a repeat changes nothing."""

    type: ClassVar[str] = "right.granted"
    id: str
    kind: Literal["app", "free"]
    amount: int = 0  # app: minor units
    column: str = ""
    lives_ms: int = 0  # on the monotonic clock
    reason: str = ""
    by: str = ""

    def postings(self) -> Lines:
        """The app's operator owes it to us, and we to the customer."""
        return lines_of((acc.APP_RECEIVABLE, self.amount), (acc.CREDIT_APP, -self.amount))


class _OfARight(RecordData):
    """What happens to a right; ``amount`` is the whole of an app's credit."""

    type: ClassVar[str] = ""
    right: int  # seq of the record that gave it
    kind: RightKind
    amount: int = 0

    @property
    def lots(self) -> tuple[tuple[int, int], ...]:
        """Name the money, as records of lots do."""
        return ((self.right, self.amount),) if self.amount else ()

    def _between(self, app: str, app_to: str, token: str, token_to: str) -> Lines:
        """Move the app's money, or the token, from one account to another."""
        pieces = 1 if self.kind == "token" else 0
        return lines_of(
            (app, self.amount), (app_to, -self.amount), (token, pieces), (token_to, -pieces)
        )


class RightHeld(_OfARight):
    """A vend uses it: ``worth`` of the price is covered."""

    type: ClassVar[str] = "right.held"
    worth: int

    def postings(self) -> Lines:
        """Credit becomes held."""
        return self._between(acc.CREDIT_APP, acc.HELD_APP, acc.TOKENS_CREDIT, acc.TOKENS_HELD)


class RightUsed(_OfARight):
    """The product was delivered."""

    type: ClassVar[str] = "right.used"
    worth: int

    def postings(self) -> Lines:
        """Held becomes revenue; what the price left of an app's credit is not owed to us."""
        if self.kind != "app":
            return self._between("", "", acc.TOKENS_HELD, acc.TOKENS_USED)
        return lines_of(
            (acc.HELD_APP, self.amount),
            (acc.REVENUE_APP, -self.worth),
            (acc.APP_RECEIVABLE, self.worth - self.amount),
        )


class RightReturned(_OfARight):
    """The vend came to nothing. ``ended``: it is over for good (the app gets its money back)."""

    type: ClassVar[str] = "right.returned"
    ended: bool
    reason: str = ""

    def postings(self) -> Lines:
        """Held becomes credit again, or the app's operator owes nothing any more."""
        app_to = acc.APP_RECEIVABLE if self.ended else acc.CREDIT_APP
        return self._between(acc.HELD_APP, app_to, acc.TOKENS_HELD, acc.TOKENS_CREDIT)


class RightEnded(_OfARight):
    """Nobody used it in time, a restart came between, or staff ended it."""

    type: ClassVar[str] = "right.ended"
    reason: Literal["expired", "restart", "by staff", "left behind"]
    by: str = ""

    def postings(self) -> Lines:
        """The app's operator owes nothing any more; a token that was left behind is used up."""
        return self._between(acc.CREDIT_APP, acc.APP_RECEIVABLE, acc.TOKENS_CREDIT, acc.TOKENS_USED)


class RefundRequested(RecordData):
    """Money that only its payer's operator can give back; asked for once for each record."""

    type: ClassVar[str] = "refund.requested"
    tender: Literal["app", "card"]
    reference: str  # app: the grant's id
    amount: int
    reason: str


ALL: Final[tuple[type[RecordData], ...]] = (
    TokenInserted, TokensCollected, RightGranted, RightHeld, RightUsed, RightReturned, RightEnded,
    RefundRequested,
)  # fmt: skip
