"""A coin changer, level 2 or 3, as the controller's `Changer` port.

Source: MDB/ICP 4.2, section 5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from controller.faults import LinkError
from controller.money import exponent
from controller.ports import (
    PayoutEvidence,
    PayoutOrder,
    TubeCounts,
)
from drivers.links.mdb_link import Answer
from drivers.mdb.changer_commands import (
    CoinType,
    encode_command,
)
from drivers.mdb.changer_faults import (
    PAYOUT_CLEARS,
)
from drivers.mdb.changer_life import ChangerLife
from drivers.mdb.changer_payout import (
    BUSY,
    ask_status,
    late_coins,
    pay_coins,
    pay_value,
    wait_idle,
)
from drivers.mdb.fields import mask_of
from drivers.mdb.money import ScaleError
from drivers.mdb.payout_evidence import evidence_of
from drivers.mdb.slots import Retry
from drivers.mdb.turns import Turn

ALL_TYPES: Final = 0xFFFF


class MdbChanger(ChangerLife):
    """Drives one coin changer; constructed as `ChangerTalk`."""

    # ------------------------------------------------------------------------------ the port

    async def payout(self, order: PayoutOrder) -> PayoutEvidence:
        """Pay and bring the evidence; see `Changer.payout`."""
        async with self._payout_lock:
            self._payable()
            self._paying = True
            jams, resets = self._jams, self.resets
            before = await self.held()
            try:
                await self._inhibit()
                status = None
                value = self._value_of(order)
                if value is None:
                    idle = await pay_coins(self, order.coins)
                else:
                    idle, status = await pay_value(self, value)
                if not idle and await self._end_stuck():
                    resets -= 1  # a RESET like any other: the tubes alone can tell
                evidence = await self._evidence(idle=idle, status=status, resets=resets)
                if before is not None and max(before.counts) < before.cap:
                    other = partial(self._paid_other, order, before, by_value=value is not None)
                    evidence = await self._with_late_coins(evidence, other)
                    evidence = await self._or_none(evidence, before, jams)
                evidence = replace(evidence, before=before)
            finally:
                self._paying = False
                self._applied = None  # restored by the service loop
                self._stir.set()
            if evidence.idle and self._jams == jams:
                self._faults.clear(*PAYOUT_CLEARS)
            return evidence

    async def payout_evidence(self) -> PayoutEvidence:
        """Find out after a restart what a payout came to; see `Changer.payout_evidence`."""
        async with self._payout_lock:
            if not self._slot.polling:
                self._slot.start_polling()
            resets = self.resets - int(self._was_reset)
            idle = await wait_idle(self)
            status = None
            info = self._info
            if idle and info is not None and info.pays_by_value and self.resets == resets:
                status = await ask_status(self)
                idle = status != BUSY
                if status is not None and not any(status):
                    # Nothing held: paid by DISPENSE, or told already. Only the tubes know.
                    status = None
            evidence = await self._evidence(idle=idle, status=status, resets=resets)
            if status is not None:
                return evidence
            # The order may have left a moment ago, and its motor may not have begun.
            return await self._with_late_coins(evidence, lambda _: True)

    async def pour(self, type_: int, count: int) -> TubeCounts:
        """Raise LinkError: tubes count what is in them; see `Changer.pour`."""
        raise LinkError(
            f"a changer's tubes count their coins: `vendctl coins count` books {count} of type "
            f"{type_} as well"
        )

    def accept(self, types: frozenset[int], *, manual: bool = False) -> None:
        """Want these coin types accepted; see `Changer.accept`."""
        self._wanted = mask_of(types), ALL_TYPES if manual else 0
        self._stir.set()

    # ------------------------------------------------------------------------------- payouts

    async def send(self, payload: bytes, retry: Retry) -> Answer:
        """Send one command of a payout."""
        return await self._slot.command(payload, retry)

    async def turn(self, seconds: float) -> Turn | None:
        """Wait for the next poll's answer."""
        if self._slot.lost or not self._slot.polling:
            return Turn.LOST
        return await self._turn_or(seconds)

    async def held(self) -> TubeCounts | None:
        """Ask what the tubes hold; None where that is not answered."""
        try:
            return await self.tubes()
        except LinkError:
            return None

    def _paid_other(
        self, order: PayoutOrder, before: TubeCounts, now: TubeCounts, *, by_value: bool
    ) -> bool:
        """Tell whether other coins have left the tubes than were ordered: it may not be done.

        Of one coin too many may have fallen, and another one not yet.
        """
        fallen = [was - left for was, left in zip(before.counts, now.counts, strict=True)]
        if not by_value:
            # Of the others a count may waver for ever, and none of their coins was to fall.
            ordered = Counter[int]()
            for coin_type, count in order.coins:
                ordered[coin_type] += count
            return any(fallen[coin_type] != count for coin_type, count in ordered.items())
        kinds = [kind for kind in self._kinds.values() if kind.in_tube]
        return sum(kind.value * fallen[kind.type] for kind in kinds) != order.amount

    async def _with_late_coins(
        self, evidence: PayoutEvidence, other: Callable[[TubeCounts], bool]
    ) -> PayoutEvidence:
        """Wait for coins that may still fall, though the payout is said to be over."""
        after = evidence.tubes
        if after is None or not evidence.idle or evidence.was_reset:
            return evidence
        resets = self.resets
        held = await late_coins(self, after, other)
        if held is not None and held.counts == after.counts:
            return evidence
        idle = await wait_idle(self)
        if idle and self._info is not None and self._info.pays_by_value:
            # PAYOUT STATUS was told too early: asked again, lest it be told of the next payout.
            idle = await ask_status(self) != BUSY
        if not idle and await self._end_stuck():
            resets -= 1
        return await self._evidence(idle=idle, status=None, resets=resets)

    async def _or_none(
        self, evidence: PayoutEvidence, before: TubeCounts, jams: int
    ) -> PayoutEvidence:
        """RESET one that took an order, says that nothing runs, and let nothing fall.

        One that is stuck and says nothing of payouts looks so: what it may still let fall would
        come behind an order for the same money, or behind a claim.
        """
        after = evidence.tubes
        none = after is not None and after.counts == before.counts
        if evidence.was_reset or not evidence.idle or not none or self._jams != jams:
            return evidence
        if not await self._end_stuck():
            return evidence
        # the RESET that was asked for is not counted
        return await self._evidence(idle=True, status=None, resets=self.resets - 1)

    def _payable(self) -> None:
        if self._served and not self._ready:
            raise LinkError("the changer is not ready; nothing was paid")
        if self._gone():
            raise LinkError("the changer does not answer; nothing was paid")

    async def _inhibit(self) -> None:
        payload = encode_command(CoinType(0, self._wanted[1]))
        answer = await self._slot.command(payload, Retry.REPEAT)
        if not answer.heard:
            raise LinkError("the changer did not take its inhibit; nothing was paid")
        self._applied = 0, self._wanted[1]

    def _value_of(self, order: PayoutOrder) -> int | None:
        """The order in the changer's units, None when it is to be paid coin by coin."""
        info = self._info
        if not order.by_value or info is None or not info.pays_by_value or self._scale is None:
            return None
        try:
            return self._scale.from_minor(order.amount, exponent(self._currency), largest=1 << 32)
        except ScaleError:
            return None

    async def _evidence(
        self, *, idle: bool, status: tuple[int, ...] | None, resets: int
    ) -> PayoutEvidence:
        return await evidence_of(
            self.tubes,
            lambda: self.resets != resets,
            idle=idle,
            status=status,
            lost=self._slot.lost,
        )
