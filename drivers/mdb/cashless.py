"""A cashless device, classic or always idle, as the controller's `CardReader` port.

The money rules: after an approval the reader is owed exactly one of VEND SUCCESS and VEND FAILURE,
and any reset in between charges the customer. A request that is given up is cancelled; an approval
that comes all the same is failed. What can't be told for sure is said to be unknown.

Source: MDB/ICP 4.2, section 7 (VEND) and appendix 3.
"""

from __future__ import annotations

import asyncio

from controller.faults import EffectUnknownError, FaultCode, JournalError, LinkError
from controller.money import Money
from controller.ports import (
    Approved,
    CancelOutcome,
    Charged,
    Denied,
    RefundOutcome,
    RequestGivenUpReport,
)
from drivers.mdb.cashless_codec import (
    BeginSession,
    EndSession,
    OutOfSequence,
    VendApproved,
    VendDenied,
)
from drivers.mdb.cashless_commands import (
    SessionComplete,
    VendCancel,
    VendRequest,
)
from drivers.mdb.cashless_expect import Expectation, Gone, Phase
from drivers.mdb.cashless_outcome import IN_VEND, ITEM_MASK, ReaderOutcome
from drivers.mdb.slots import NEVER, POLL_LATEST_S, Retry
from drivers.mdb.turns import Turn


class MdbCardReader(ReaderOutcome):
    """Drives one reader; constructed as `ReaderLife`."""

    _unsent = False
    """A request waits for its turn: its reader has not heard of it."""

    _withdrawn = False
    """That one is cancelled."""

    _damaged_before = 0
    """Damaged answers before the request."""

    _decision: Expectation | None = None
    """What the request waits for, while one does."""

    _cancelling: asyncio.Future[CancelOutcome | Charged] | None = None
    """What becomes, or became, of the cancel of this request."""

    _refused = False
    """The reader has denied the last request: nothing of it is open."""

    # -------------------------------------------------------------------------------- request

    async def request_vend(self, price: int, item: int) -> Approved | Denied | Charged:
        """Ask for approval; see `CardReader.request_vend`."""
        self._unsent, self._withdrawn = True, False
        try:
            async with self.dialogue():
                return await self._in_turn(price, item)
        finally:
            self._unsent = False

    async def _in_turn(self, price: int, item: int) -> Approved | Denied | Charged:
        if self._foreign and self._phase is Phase.NONE:
            self._foreign = False
            await self._complete()  # what is asked in its session would be in its currency
        if not self._ready or self._gone():
            raise LinkError(f"{self._name.value} is not ready; nothing was asked")
        if self._phase is Phase.APPROVED:
            raise LinkError(f"{self._name.value} has an earlier approval; nothing was asked")
        info = self._info
        if not self._session:
            if not (info is not None and info.always_idle):
                return Denied("no session")
            await self._be_enabled()
        if self._withdrawn:
            return Denied("cancelled")
        self._unsent = False
        if waits_for_card := not self._session:
            self._card_refundable = None
        units = self.to_units(price)
        if units is None:
            self._faults.raise_(
                FaultCode.DEVICE_UNSUITABLE,
                f"{Money(price, self._currency)} is no whole number of its units",
            )
            return Denied("the price can't be told to the reader")
        self._phase = Phase.REQUESTED
        self._asked = True
        self._reset_since = self._disowned = self._refused = False
        self._approval_seen = self._untouched = self._refund_error = False
        self._approved_units = None
        self._damaged_before = self._slot.damaged
        self._cancelling = None
        self._granted = self._untold = False
        decision = self._decision = self.expect(VendApproved, VendDenied)
        wrong = self.expect(OutOfSequence)
        try:
            answer = await self._request(
                VendRequest(units, item & ITEM_MASK, self._context.expanded),
                decision,
                wrong,
                NEVER if waits_for_card else self.response_s,
            )
            self._granted = isinstance(answer, Approved)
            return answer
        except asyncio.CancelledError:
            self._disown()
            raise
        finally:
            self._decision = None
            self.drop(decision)
            self.drop(wrong)
            if self._phase is Phase.REQUESTED:
                self._phase = Phase.NONE
            self._dialogue_ended()

    async def _request(
        self, command: VendRequest, decision: Expectation, wrong: Expectation, seconds: float
    ) -> Approved | Denied | Charged:
        answer, _ = await self.send(command, decision, Retry.REPEAT)
        if not answer.heard and decision.open:
            return await self._give_up(never_heard=True)
        message = await self.wait_for_first(decision, wrong, seconds)
        if isinstance(message, OutOfSequence) and message.state in IN_VEND:
            # The request runs all the same: the ACK of an earlier try was lost and its repeat was
            # out of sequence, or the reader complains of something else.
            message = await self.wait_for(decision, seconds)
        if isinstance(message, VendApproved) and self._cancelling is None:
            # Its denial may stand right behind it, in the next answer at the latest.
            await self._turn_or(2 * POLL_LATEST_S)
        match message:
            case VendApproved() | VendDenied() | Gone.TIMEOUT if self._cancelling is not None:
                return await self._ended_by(self._cancelling)
            case VendApproved() if self._taken_back:
                return await self._denied_after_all()
            case VendApproved(amount):
                return Approved(None if amount is None else self.to_minor(amount))
            case VendDenied() if self._phase is Phase.APPROVED:
                return await self._denied_after_all()  # it approved behind it, in one answer
            case VendDenied():
                self._refused = True
                self._disowned = True  # an approval after all would have to be failed
                return Denied("declined")
            case OutOfSequence(state_code=code) if code is not None:
                self._disowned = True
                return Denied("out of sequence")
            case OutOfSequence() | Gone.TIMEOUT:
                return await self._give_up(never_heard=False)
            case Gone() if self._nothing_told:
                self._disowned = True
                return Denied(f"{message.value} before it answered", review=True)
            case _:
                self._disowned = True
                why = message.value if isinstance(message, Gone) else "confused"
                raise EffectUnknownError(f"{self._name.value}: {why} while a request was open")

    async def _ended_by(self, cancel: asyncio.Future[CancelOutcome | Charged]) -> Denied | Charged:
        """The request was cancelled: what that came to is its end."""
        outcome = await asyncio.shield(cancel)
        if isinstance(outcome, Charged):
            return outcome
        if outcome is CancelOutcome.APPROVED:
            return Denied("cancelled")  # and given back
        nothing = self._nothing_told
        self._disown()
        if outcome is CancelOutcome.CANCELLED:
            self._refused = True
            return Denied("cancelled")
        self._want_restart()
        if nothing:
            return Denied("cancel unanswered", review=True)
        raise EffectUnknownError(f"{self._name.value}: approved, and the cancel unanswered")

    async def _denied_after_all(self) -> Denied:
        """VEND DENIED came behind VEND APPROVED, or before it in one answer: nothing is sold.

        Messages count in their order, and behind a denial the reader is in no vend any more
        (MDB/ICP 4.2, section 7). VEND FAILURE asks it: one that has kept the approval all the same
        gives it back, or what it took is unknown.
        """
        ended = self._cancelling = asyncio.get_running_loop().create_future()
        outcome: CancelOutcome | Charged = CancelOutcome.UNKNOWN
        try:
            await self._intend()
            outcome = await self._fail_approved(retry=Retry.ASK, surely=False)
        finally:
            unknown = outcome is CancelOutcome.UNKNOWN
            ended.set_result(outcome if unknown else CancelOutcome.CANCELLED)
        if unknown:
            raise EffectUnknownError(f"{self._name.value}: approved, denied, and not given back")
        self._refused = self._disowned = True  # as behind any denial
        return Denied("declined")

    async def _give_up(self, *, never_heard: bool) -> Denied | Charged:
        """No answer came in time: cancel; an approval that comes all the same is failed."""
        if self._cancelling is not None:
            return await self._ended_by(self._cancelling)
        ended = self._cancelling = asyncio.get_running_loop().create_future()
        denied = self.expect(VendDenied)
        outcome: CancelOutcome | Charged = CancelOutcome.UNKNOWN
        try:
            await self._intend()
            if denied.message is not None and self._phase is not Phase.APPROVED:
                self._refused = self._disowned = True  # as behind any denial
                outcome = CancelOutcome.CANCELLED
                return Denied("declined")
            outcome = await self._cancel()
        finally:
            self.drop(denied)
            none = outcome is CancelOutcome.NO_VEND
            ended.set_result(CancelOutcome.CANCELLED if none else outcome)
        match outcome:
            case Charged() as charged:
                return charged
            case CancelOutcome.CANCELLED | CancelOutcome.NO_VEND:
                self._disowned = True  # it may have been silence
                if never_heard:
                    raise LinkError(f"{self._name.value} never acknowledged the request")
                return Denied("no answer in time")
            case CancelOutcome.APPROVED:
                return Denied("approved too late, given back")
            case CancelOutcome.UNKNOWN:
                nothing = self._nothing_told
                self._disown()
                self._want_restart()
                if nothing:
                    return Denied("request and cancel unanswered", review=True)
                raise EffectUnknownError(f"{self._name.value}: request and cancel unanswered")

    async def _intend(self) -> None:
        """Have it on record that the request is about to be ended: by us, and not by a customer.

        Raises:
            EffectUnknownError: It is on no disk, and so nothing is said to the reader.
        """
        try:
            await self._sink.money(RequestGivenUpReport(self._name))
        except JournalError as failed:
            raise EffectUnknownError(f"{self._name.value}: not on record, not ended") from failed

    @property
    def _nothing_told(self) -> bool:
        """Whether no approval can have been told since the request.

        Each answer came whole, or there was none. A reader charges nothing that it has not told;
        an approval that comes yet must be failed.
        """
        return not self._approval_seen and self._slot.damaged == self._damaged_before

    def _disown(self) -> None:
        """Nobody waits for this request any more: an approval must be failed."""
        if self._phase is Phase.APPROVED:
            self._came_late()
        else:
            self._disowned = True

    # --------------------------------------------------------------------------------- cancel

    async def cancel_vend(self, refundable: bool | None = None) -> CancelOutcome | Charged:
        """End a request that has no answer yet; see `CardReader.cancel_vend`."""
        self._recall(refundable)
        if self._unsent and self._decision is None:
            self._withdrawn = True
            return CancelOutcome.CANCELLED
        if self._gone() or self._granted:
            return CancelOutcome.UNKNOWN
        if self._is_refused:
            return CancelOutcome.CANCELLED  # a cancel now would be out of sequence
        if self._cancelling is not None and not self._cancelling.done():
            return await asyncio.shield(self._cancelling)  # two would see each other's VEND FAILURE
        decision = self._decision
        ended = self._cancelling = asyncio.get_running_loop().create_future()
        outcome: CancelOutcome | Charged = CancelOutcome.UNKNOWN
        try:
            # A reader that took the request must take this: its silence is no answer.
            outcome = await self._cancel(Retry.ASK if decision is None else Retry.REPEAT)
            if outcome is CancelOutcome.NO_VEND and decision is not None:
                outcome = CancelOutcome.CANCELLED  # nothing has escaped the life that asked
        finally:
            ended.set_result(outcome)
            if decision is not None and decision.open:
                decision.future.set_result(Gone.TIMEOUT)
        return outcome

    @property
    def _is_refused(self) -> bool:
        denied = self._decision is not None and isinstance(self._decision.message, VendDenied)
        return (denied or self._refused) and self._phase is not Phase.APPROVED

    async def _cancel(self, retry: Retry = Retry.ASK) -> CancelOutcome | Charged:
        if self._charged():
            return CancelOutcome.UNKNOWN  # an approval on its way would have been charged
        if self._phase is Phase.APPROVED:
            return await self._fail_approved(surely=not self._taken_back)
        self._phase = Phase.REQUESTED
        expectation = self.expect(VendApproved, VendDenied, OutOfSequence)
        try:
            answer, _ = await self.send(VendCancel(), expectation, retry)
            if not answer.heard and expectation.open and not self._gone():
                # Some readers answer a command at a wrong moment by silence: either there is no
                # vend, or it is approved and we were not told.
                return await self._fail_approved(retry=Retry.ASK, surely=False)
            match message := await self.wait_for(expectation, self.response_s):
                case VendDenied():
                    # A refund error over it may stand in the next answer.
                    await self._turn_or(2 * POLL_LATEST_S)
                    if self._phase is Phase.APPROVED:
                        return await self._fail_approved()
                    return CancelOutcome.CANCELLED
                case VendApproved():
                    # What it says to a cancel at a wrong moment must not be taken for what it says
                    # to the VEND FAILURE: one of level 1 does not tell in which state it was.
                    await self._turn_or(2 * POLL_LATEST_S)
                    return await self._fail_approved(surely=not self._taken_back)
                case OutOfSequence(state_code=code):
                    if code is None or message.state in IN_VEND:
                        self._approval_seen = True  # or so it seems
                        return await self._fail_approved(surely=False)
                    return self._in_no_vend()
                case _:
                    return CancelOutcome.UNKNOWN
        except LinkError:
            return CancelOutcome.UNKNOWN
        finally:
            self.drop(expectation)
            if self._phase is Phase.REQUESTED:
                self._phase = Phase.NONE

    async def _fail_approved(
        self, *, retry: Retry = Retry.REPEAT, surely: bool = True
    ) -> CancelOutcome | Charged:
        """VEND FAILURE for an approval that came, or (not `surely`) may have come unheard.

        Then a reader that takes the failure for out of sequence, or is silent to it as it was to
        the cancel, is in no vend at all.
        """
        heard, outcome = await self._fail(retry)
        if outcome is RefundOutcome.REFUNDED or (outcome is RefundOutcome.ALREADY and surely):
            return CancelOutcome.APPROVED
        # One that had ended the vend by itself by then may have given the money back, or not.
        if outcome is RefundOutcome.REFUSED and surely and not self._no_vend:
            return Charged(self._approved_amount(), "approved too late, not given back")
        lives = not heard and not surely and await self._lives()
        if self._phase is Phase.APPROVED:  # its first word is the approval that was not heard
            return await self._fail_approved()
        no_vend = self._no_vend or lives
        if no_vend and not surely and not self._charged() and not self._gone():
            return self._in_no_vend()
        return CancelOutcome.UNKNOWN

    async def _lives(self) -> bool:
        """Whether it answers a poll: its silence to a command was no death of its own."""
        self._phase = Phase.REQUESTED
        try:
            return await self._turn_or(self.response_s) not in (None, Turn.LOST)
        finally:
            if self._phase is Phase.REQUESTED:
                self._phase = Phase.NONE

    def _in_no_vend(self) -> CancelOutcome:
        """What it proves that a reader is in no vend: on this link its refund error comes again."""
        info = self._info
        withheld = self._bus.link.capabilities.withholds_ack
        tells = info is not None and info.can_refund and info.level >= 2
        return CancelOutcome.CANCELLED if withheld and tells else CancelOutcome.NO_VEND

    # -------------------------------------------------------------------------------- session

    async def end_session(self) -> None:
        """SESSION COMPLETE and END SESSION; see `CardReader.end_session`."""
        async with self.dialogue():
            if self._phase is Phase.APPROVED:
                return  # its vend is owed an outcome first, and ends the session behind it
            await self._complete()

    async def _complete(self) -> None:
        if self._gone():
            self._want_restart()  # the reader, if it lives, waits for this
            raise LinkError(f"{self._name.value} does not answer")
        if self._untouched or (self._reset_since and not self._session):
            return  # the reset has ended it, and a fresh reader would never answer
        untold, self._untold = self._untold, False
        if untold and self._restart_due is not None:
            # Some readers take SESSION COMPLETE in VEND SUCCESS's place for a cancel, and charge
            # nothing of what was delivered. The RESET that is due ends the session as well.
            self._close_session()
            self._dialogue_ended()
            self._stir.set()
            return
        nothing_to_end, self._nothing_to_end = self._nothing_to_end, False
        began = (BeginSession,) if nothing_to_end and not self._session else ()
        expectation = self.expect(EndSession, OutOfSequence, *began)
        answer, _ = await self.send(SessionComplete(), expectation, Retry.REPEAT)
        if not answer.heard and expectation.message is None:
            self.drop(expectation)
            self._want_restart()
            raise LinkError(f"{self._name.value} never acknowledged SESSION COMPLETE")
        message = await self.wait_for(expectation, self.response_s)
        if isinstance(message, BeginSession):
            self._foreign = False
            return  # there was none before this one
        if message is Gone.TIMEOUT and nothing_to_end:
            self._note_untouched()  # one that is in no session need not answer
        elif message is Gone.TIMEOUT:
            self._want_restart()  # the standard's answer to a missing END SESSION
        self._close_session()
        self._dialogue_ended()
        self._stir.set()

    async def _end_foreign(self) -> None:
        try:
            await self._complete()
        except LinkError:
            self._want_restart()
