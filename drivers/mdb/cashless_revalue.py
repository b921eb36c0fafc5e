"""Revalue: money is put on the card of an open session.

The reader's answer is told to the controller before it is acknowledged, as money is: REVALUE
APPROVED comes once. The request is sent once, too: a lost ACK does not mean that it was lost.

Source: MDB/ICP 4.2, section 7, REVALUE (15).
"""

from __future__ import annotations

import asyncio
from typing import Final

from controller.faults import EffectUnknownError, LinkError
from controller.ports import RevalueOutcome
from drivers.mdb.cashless_age import ReaderAge
from drivers.mdb.cashless_codec import (
    OutOfSequence,
    ReaderMessage,
    RevalueApproved,
    RevalueDenied,
    RevalueLimit,
)
from drivers.mdb.cashless_commands import RevalueLimitRequest, RevalueRequest
from drivers.mdb.cashless_expect import Gone, Phase
from drivers.mdb.slots import Retry

ANSWERS_S: Final = 1.0  # a reader that answers polls has answered one within it


class ReaderRevalue(ReaderAge):
    """A reader whose cards may be revalued; constructed as `ReaderLife`."""

    _no_word = False
    """It took the question for its limit for out of sequence: it knows no revalue."""

    async def revalue_limit(self) -> int | None:
        """Ask how much may be put on the card; see `CardReader.revalue_limit`."""
        async with self.dialogue():
            if self._no_word or not self._may_revalue():
                return None
            expectation = self.expect(RevalueLimit, RevalueDenied, OutOfSequence)
            self._limit_asked = True
            try:
                answer, _ = await self.send(RevalueLimitRequest(), expectation, Retry.ASK)
                if not answer.heard and expectation.open:
                    return None
                message = await self.wait_for(expectation, self.response_s)
            except LinkError:
                return None
            finally:
                self._limit_asked = False
                self.drop(expectation)
            # What it complains of it goes on complaining of, and each time it is RESET for it.
            self._no_word = isinstance(message, OutOfSequence)
            return self.to_minor(message.amount) if isinstance(message, RevalueLimit) else None

    async def revalue(self, amount: int) -> bool:
        """Put money on the card; see `CardReader.revalue`."""
        async with self.dialogue():
            units = self.to_units(amount)
            if units is None or not self._may_revalue():
                return False
            expectation = self.expect(RevalueApproved, RevalueDenied, OutOfSequence)
            request = RevalueRequest(units, self._context.expanded)
            damaged = self._slot.damaged
            self._revaluing = True
            try:
                answer, _ = await self.send(request, expectation, Retry.ONCE)
                message = await self.wait_for(expectation, self.response_s)
                if isinstance(message, OutOfSequence) and message.state is not None:
                    message = await self._behind_a_complaint(message)
            except LinkError:
                self._revaluing = False
                raise
            finally:
                self.drop(expectation)
            match message:
                case RevalueApproved():
                    return True
                case RevalueDenied():
                    return False
                case OutOfSequence() if self._slot.damaged == damaged:
                    self._revaluing = False
                    return False  # acknowledged, and nothing done
                case Gone.TIMEOUT if not answer.heard and self._says_nothing(damaged):
                    # What it had done it would have told by now.
                    self._revaluing = False
                    raise LinkError(f"{self._name.value} never acknowledged REVALUE")
                case _:
                    raise EffectUnknownError(f"{self._name.value}: REVALUE was not answered")

    async def _behind_a_complaint(self, wrong: OutOfSequence) -> ReaderMessage | Gone:
        """Bring the answer that may come behind it: the reader complained of something else."""
        expectation = self.expect(RevalueApproved, RevalueDenied)
        message = await self.wait_for(expectation, self.response_s)
        return wrong if message is Gone.TIMEOUT else message

    async def revalue_evidence(self) -> RevalueOutcome:
        """Wait for the answer to the life before; see `CardReader.revalue_evidence`.

        On a link that can withhold an acknowledgement the reader tells it again until a life has
        recorded it: silence proves that it never heard the request.
        """
        async with self.dialogue():
            damaged = self._slot.damaged
            expectation = self.expect(RevalueApproved, RevalueDenied)
            match await self.wait_for(expectation, self.response_s):
                case RevalueApproved():
                    return RevalueOutcome.APPROVED
                case RevalueDenied():
                    return RevalueOutcome.DENIED
                case Gone.TIMEOUT if self._tells_again and self._says_nothing(damaged):
                    return RevalueOutcome.NOT_DONE
                case _:
                    return RevalueOutcome.UNKNOWN

    def _says_nothing(self, damaged: int) -> bool:
        """Whether it answers polls, and no answer has come damaged beyond so many."""
        silent_s = asyncio.get_running_loop().time() - self._slot.heard_at
        return silent_s < ANSWERS_S and self._slot.damaged == damaged

    @property
    def _tells_again(self) -> bool:
        return self._bus.link.capabilities.withholds_ack

    def _may_revalue(self) -> bool:
        info = self._info
        able = info is not None and info.level >= 2 and self._ready
        able = able and self._card_revaluable is not False
        return able and self._session and self._phase is Phase.NONE
