"""Age verification inside a card reader: what a card says of its holder's age, and nothing else.

The reader is told the age; it checks each card that is shown from then on, and tells the result.
It refuses nothing by itself: the machine does. A reset turns the check off.

Source: MDB/ICP 4.2, section 7, EXPANSION diagnostics (17 FF 05).
"""

from __future__ import annotations

import asyncio

from controller.faults import LinkError
from controller.ports import AgeAnswer
from drivers.mdb.cashless_codec import AgeFeatures, AgeResult
from drivers.mdb.cashless_commands import AgeRequest
from drivers.mdb.cashless_expect import Expectation, Gone
from drivers.mdb.cashless_reader import ReaderLife
from drivers.mdb.slots import NEVER, Retry


class ReaderAge(ReaderLife):
    """A reader that may be asked for proof of age; constructed as `ReaderLife`."""

    _age_asked: Expectation | None = None
    """What a question waits for, while one does."""

    _age_questions = 0
    """How many were asked."""

    _age_cancelled = 0
    """Up to which of them they were cancelled, those that still wait for their turn too."""

    async def verify_age(self, age: int) -> AgeAnswer:
        """Ask for a card that proves an age; see `CardReader.verify_age`."""
        self._age_questions += 1
        question = self._age_questions
        async with self.dialogue():
            if question <= self._age_cancelled:
                return AgeAnswer.CANCELLED
            if not self._ready or self._gone():
                return AgeAnswer.UNSUPPORTED
            features = self.expect(AgeFeatures)
            result = self._age_asked = self.expect(AgeResult)
            try:
                answer, _ = await self.send(AgeRequest(age), features, Retry.ASK)
                if not answer.heard and features.open:
                    return AgeAnswer.UNSUPPORTED
                if not isinstance(await self.wait_for(features, self.response_s), AgeFeatures):
                    return AgeAnswer.UNSUPPORTED
                return await self._judge(result, question)
            except LinkError:
                return AgeAnswer.UNSUPPORTED
            finally:
                self._age_asked = None
                self.drop(features)
                self.drop(result)
                foreign = self._foreign and self._session  # nobody else ends that one
                self._dialogue_ended()
                self._foreign = foreign

    async def _judge(self, result: Expectation, question: int) -> AgeAnswer:
        """Wait for a card, and turn the check off again."""
        while True:
            message = await self.wait_for(result, NEVER)
            if isinstance(message, AgeResult) and message.busy and question > self._age_cancelled:
                result = self._age_asked = self.expect(AgeResult)
                continue
            if message in (Gone.RESET, Gone.LOST):
                return AgeAnswer.UNSUPPORTED  # the reset has turned it off
            await self.send(AgeRequest(0), None, Retry.ASK)
            if not isinstance(message, AgeResult):
                return AgeAnswer.CANCELLED
            return AgeAnswer.PROVED if message.old_enough else AgeAnswer.NOT_PROVED

    async def cancel_age(self) -> None:
        """End every question so far; see `CardReader.cancel_age`."""
        self._age_cancelled = self._age_questions
        waiting = self._age_asked
        if waiting is not None and waiting.open:
            waiting.future.set_result(Gone.TIMEOUT)
        await asyncio.sleep(0)
