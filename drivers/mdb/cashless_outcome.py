"""What a vend came to, told to its card reader: VEND SUCCESS, or VEND FAILURE and its refund.

Source: MDB/ICP 4.2, section 7 (VEND).
"""

from __future__ import annotations

import asyncio
from typing import Final

from controller.faults import LinkError
from controller.ports import RefundOutcome, SettleOutcome
from drivers.mdb.cashless_codec import Malfunction, OutOfSequence, ReaderState
from drivers.mdb.cashless_commands import VendFailure, VendSuccess
from drivers.mdb.cashless_expect import STANDING_S, Expectation, Phase
from drivers.mdb.cashless_revalue import ReaderRevalue
from drivers.mdb.slots import NEVER, POLL_LATEST_S, Retry
from drivers.mdb.turns import Turn

ITEM_MASK: Final = 0xFFFF
IN_VEND: Final = (ReaderState.VEND, ReaderState.NEGATIVE_VEND)


class ReaderOutcome(ReaderRevalue):
    """A reader that is told what its vend came to; constructed as `ReaderLife`."""

    _granted = False
    """An approval has been handed over: from then on it is its vend's, and no cancel's."""

    _untold = False
    """VEND SUCCESS was never acknowledged: the reader waits for it, or has charged."""

    _no_vend = False
    """The reader took the last VEND FAILURE for out of sequence."""

    async def vend_success(self, item: int) -> SettleOutcome:
        """Report the product as delivered; see `CardReader.vend_success`."""
        async with self.dialogue():
            try:
                return await self._succeed(item)
            finally:
                self._end_vend()

    async def _succeed(self, item: int) -> SettleOutcome:
        if self._charged():
            return SettleOutcome.RESET
        if self._gone():
            return self._never_told()
        expectation = self.expect(OutOfSequence)
        try:
            answer, tries = await self.send(
                VendSuccess(item & ITEM_MASK), expectation, Retry.REPEAT
            )
            if answer.heard and (tries > 1 or self._taken_back) and expectation.open:
                # The ACK of an earlier try may have been lost; then the next poll says 0B.
                await self._turn_or(2 * POLL_LATEST_S)
        except LinkError:
            return self._never_told()
        finally:
            self.drop(expectation)
        if self._charged():
            return SettleOutcome.RESET
        if expectation.message is not None:
            return SettleOutcome.DENIED if self._taken_back else SettleOutcome.ALREADY
        return SettleOutcome.DONE if answer.heard else self._never_told()

    def _never_told(self) -> SettleOutcome:
        """The reader still waits for an outcome: a RESET ends its vend, and charges it."""
        self._untold = True
        self._want_restart()
        return SettleOutcome.UNKNOWN

    async def vend_failure(self, refundable: bool | None = None) -> RefundOutcome:
        """Report the failed delivery; see `CardReader.vend_failure`."""
        self._recall(refundable)
        async with self.dialogue():
            # One that resets itself would acknowledge a repeat before it has said JUST RESET.
            _, outcome = await self._fail(Retry.ALIVE)
            return outcome

    async def _fail(self, retry: Retry) -> tuple[bool, RefundOutcome]:
        """VEND FAILURE and the refund dialogue: whether it was heard, and the outcome."""
        if self._charged():
            self._end_vend()
            return False, RefundOutcome.CHARGED
        if self._gone():
            self._end_vend()
            self._want_restart()
            return False, RefundOutcome.UNKNOWN
        self._no_vend = False
        expectation = self.expect(OutOfSequence)
        refused = self.expect(Malfunction)
        damaged = self._slot.damaged
        try:
            answer, tries = await self.send(VendFailure(), expectation, retry)
            if not answer.heard and expectation.message is None:
                self._want_restart()
                return False, self._lost_refund()
            outcome = await self._await_refund(expectation, refused, tries)
            withheld = self._bus.link.capabilities.withholds_ack
            if outcome is RefundOutcome.REFUNDED and self._slot.damaged != damaged and not withheld:
                # An adapter acknowledges what it then loses on its way: a refund error, say.
                return True, RefundOutcome.UNKNOWN
            return True, outcome
        except LinkError:
            self._want_restart()
            return False, RefundOutcome.UNKNOWN
        finally:
            self.drop(expectation)
            self.drop(refused)
            self._end_vend()

    async def _await_refund(
        self, expectation: Expectation, refused: Expectation, tries: int
    ) -> RefundOutcome:
        """At least one POLL: an ACK means refunded, Cx refused, silence "still busy".

        Some never answer by a plain ACK: what they say for a while, and no more, is as good.
        """
        loop = asyncio.get_running_loop()
        end, stood_from = loop.time() + self.response_s, NEVER
        before, misses = self._charged(), self._slot.misses
        while True:
            left = end - loop.time()
            turn = await self._turn_or(left) if left > 0 else None
            while (message := refused.message) is not None:
                if isinstance(message, Malfunction) and message.is_refund_error:
                    return RefundOutcome.REFUSED
                self.drop(refused)
                refused = self.expect(Malfunction)
            if self._charged():
                # One that resets itself behind the ACK completes a credit update first, if it
                # takes itself at its word; its refund error went with the reset.
                return RefundOutcome.CHARGED if before else RefundOutcome.UNKNOWN
            wrong = expectation.message
            if isinstance(wrong, OutOfSequence):
                heard_before = wrong.state is ReaderState.SESSION_IDLE and tries > 1
                if not heard_before and wrong.state not in IN_VEND:
                    self._no_vend = True
                    return self._over(wrong.state)
            stands, misses = self._standing and misses == self._slot.misses, self._slot.misses
            stood_from = min(stood_from, loop.time()) if stands else NEVER
            if turn is Turn.QUIET or loop.time() >= stood_from + STANDING_S:
                return self._refunded()
            if turn is Turn.LOST or turn is None:
                return RefundOutcome.UNKNOWN

    def _refunded(self) -> RefundOutcome:
        """What an ACK to the poll proves: something only from a reader that can refund.

        One of level 1 can't report a failure: its ACK leaves open whether the money went back.
        """
        info = self._info
        card = self._card_refundable
        if info is None or not (info.can_refund if card is None else card):
            return RefundOutcome.REFUSED
        return RefundOutcome.REFUNDED if info.level >= 2 else RefundOutcome.UNKNOWN

    def _over(self, state: ReaderState | None) -> RefundOutcome:
        """The reader is no longer in the vend, which only an outcome or a reset ends.

        In Session Idle or Enabled it was no reset, and nobody here says SUCCESS to a vend that
        failed: an earlier VEND FAILURE was heard, and its refund error would have been reported
        until it was acknowledged.
        """
        if state is None:
            return RefundOutcome.UNKNOWN  # level 1 does not say where it is, nor how it got there
        if state not in (ReaderState.SESSION_IDLE, ReaderState.ENABLED):
            return RefundOutcome.CHARGED
        if self._refund_error:
            return RefundOutcome.REFUSED  # told to a poll of the greeting
        proved = self._refunded()
        return RefundOutcome.ALREADY if proved is RefundOutcome.REFUNDED else proved

    def _lost_refund(self) -> RefundOutcome:
        return RefundOutcome.CHARGED if self._charged() else RefundOutcome.UNKNOWN

    def _charged(self) -> bool:
        """Whether a reset since the request has made an approval final."""
        return self._reset_since

    def _end_vend(self) -> None:
        self._phase = Phase.NONE
        self._granted = False
        self._disowned = self._late = False
        self._dialogue_ended()
        self._stir.set()
