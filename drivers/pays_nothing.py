"""The half of the `BillValidator` port that a validator without a recycler has no use for."""

from __future__ import annotations

from controller.faults import LinkError
from controller.ports import PayoutEvidence, PayoutOrder


class PaysNothing:
    """A validator that keeps every bill it takes."""

    async def payout(self, order: PayoutOrder) -> PayoutEvidence:
        """Raise LinkError: nothing was paid."""
        raise LinkError(f"this bill validator pays nothing out, and not {order.amount}")

    async def payout_evidence(self) -> PayoutEvidence:
        """Raise LinkError: a recycler was here when the payout began, and is not any more."""
        raise LinkError("this bill validator has no recycler that could tell")
