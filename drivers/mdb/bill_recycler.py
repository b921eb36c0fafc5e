"""A bill validator that recycles: it pays bills out again, as the controller's `BillValidator`.

Recycling is an option of level 2 and off after each reset. Bills of the types that the owner names
go to the recycler while it has room, the others, and those beyond it, to the stacker.

Source: MDB/ICP 4.2, section 6 (EXPANSION 01 to 0A, recycler status).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from controller.faults import FaultCode, LinkError
from controller.ports import (
    BillEventKind,
    BillInfo,
    DeviceSink,
    EscrowLever,
    Known,
    PayoutEvidence,
    PayoutOrder,
    StackerCount,
    TubeCounts,
)
from drivers.links.mdb_link import Answer, AnswerKind
from drivers.mdb import bill_codec as codec
from drivers.mdb.bill_commands import (
    OPTION_RECYCLING,
    AskBillDispenseStatus,
    AskLevel2Identification,
    AskRecyclerSetup,
    BillType,
    FeatureEnable,
    RecycleQuality,
    RecyclerEnable,
    encode_command,
)
from drivers.mdb.bill_faults import DISPENSER_BUSY, DISPENSER_FAULTS
from drivers.mdb.bill_payout import ask_bills_paid, pay_bills
from drivers.mdb.bill_shots import RESULTS
from drivers.mdb.bill_validator import KINDS, MdbBillValidator
from drivers.mdb.blocks import MdbBlockError
from drivers.mdb.changer_payout import BUSY, wait_idle
from drivers.mdb.fields import TYPES, types_of
from drivers.mdb.identity import identity_of
from drivers.mdb.payout_evidence import evidence_of
from drivers.mdb.scheduler import MdbBus
from drivers.mdb.slots import Retry
from drivers.mdb.turns import Turn

COUNT_CAP: Final = 0xFFFF
"""Counts are two bytes."""

DISABLED_S: Final = 5.0
"""A dispenser that says "disabled" for so long is out of order; it says so as well while a bill is
on its way in, or in escrow."""

CLEAR_S: Final = 40.0
"""For a bill that is on its way in when a payout is ordered: drawn in, told, and sent back."""

LEVEL: Final = 2
"""From which on a validator has options."""

_KINDS: Final[Mapping[codec.BillRoute, BillEventKind]] = {
    **KINDS,
    codec.BillRoute.FILLED_MANUALLY: BillEventKind.FILLED,
    codec.BillRoute.DISPENSED_MANUALLY: BillEventKind.DISPENSED,
    codec.BillRoute.MOVED_TO_CASHBOX: BillEventKind.MOVED,
}
_AT_REST: Final = frozenset({codec.ValidatorStatus.DISABLED})
_COUNTS: Final = encode_command(AskBillDispenseStatus())


class MdbBillRecycler(MdbBillValidator):
    """Drives one validator with a recycler.

    Args:
        bus: The line it is on.
        sink: Where bills and faults go.
        currency: The machine's, ISO 4217 letters.
        recycle: Values to recycle, minor units; those that the device can't hold are stacked.
        high_security: Values to validate strictly; None leaves the choice to the validator.
    """

    def __init__(
        self,
        bus: MdbBus,
        sink: DeviceSink,
        *,
        currency: str,
        recycle: frozenset[int],
        high_security: frozenset[int] | None = None,
    ) -> None:
        super().__init__(bus, sink, currency=currency, high_security=high_security)
        self._kinds_of = _KINDS
        self._recycle = recycle
        self._payout_lock = asyncio.Lock()
        self._paying = False
        self._holding = False  # a bill is in escrow
        self._balked = False  # a payout stood still: not asked again before it has moved a bill
        self._disabled_since: float | None = None
        self._moving = False  # a bill is in motion, as the last poll answer said
        self._in_way = False  # or the dispenser is disabled
        self.busy = False

    @property
    def withholds_ack(self) -> bool:
        """Return whether an unacknowledged answer stays in the recycler."""
        return self._bus.link.capabilities.withholds_ack

    # ------------------------------------------------------------------------------ the port

    async def stacker(self) -> StackerCount:
        """Ask STACKER and BILL DISPENSE STATUS; see `BillValidator.stacker`."""
        count = await self._count()
        if self._info is None or not self._info.recycles:
            return count
        return replace(count, recycler=await self._bills_held())

    async def payout(self, order: PayoutOrder) -> PayoutEvidence:
        """Pay and bring the evidence; see `BillValidator.payout`."""
        async with self._payout_lock:
            if not self._ready or self._gone():
                raise LinkError("the bill recycler is not ready; nothing was paid")
            if self._info is None or not self._info.recycles or self._holding:
                raise LinkError("the bill recycler can pay nothing out now; nothing was paid")
            self._paying = True
            resets = self.resets
            try:
                await self._inhibit()
                await self._clear_way()
                ((bill_type, count),) = order.coins
                paid = await pay_bills(self, bill_type, count)
                if not paid.idle and await self._end_stuck():
                    resets -= 1  # a RESET like any other: the counts alone can tell
                if paid.status is not None and any(paid.status):
                    self._balked = False
                if paid.balked and not self._slot.lost:
                    self._balked = True
                    self._faults.raise_(FaultCode.BILL_DISPENSER, "a payout stood still")
                return await self._evidence(idle=paid.idle, status=paid.status, resets=resets)
            finally:
                self._paying = False
                self._stir.set()

    async def payout_evidence(self) -> PayoutEvidence:
        """Find out after a restart what a payout came to; see `BillValidator.payout_evidence`."""
        async with self._payout_lock:
            if not self._slot.polling:
                self._slot.start_polling()
            resets = self.resets - int(self._was_reset)
            idle = await wait_idle(self)
            status = None
            if idle and self.resets == resets:
                status = await ask_bills_paid(self)
                idle = status != BUSY
                if status is not None and not any(status):
                    status = None  # nothing held, or told already: only the counts know
            return await self._evidence(idle=idle, status=status, resets=resets)

    # ------------------------------------------------------------------------------- payouts

    async def send(self, payload: bytes, retry: Retry) -> Answer:
        """Send one command of a payout."""
        return await self._slot.command(payload, retry)

    async def turn(self, seconds: float) -> Turn | None:
        """Wait for the next poll's answer."""
        if self._slot.lost or not self._slot.polling:
            return Turn.LOST
        return await self._turn_or(seconds)

    async def _inhibit(self) -> None:
        """Take no bill while one may come the other way."""
        answer = await self._slot.command(encode_command(BillType(0, 0)), Retry.REPEAT)
        if not answer.heard:
            raise LinkError("the bill recycler did not take its inhibit; nothing was paid")
        self._applied = 0

    async def _clear_way(self) -> None:
        """Wait for a bill that is on its way in: the recycler would ignore the order.

        Raises:
            LinkError: It stays in the way, or the dispenser is out of order.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        moving_s = begun  # when a bill was there last
        while True:
            if await self.turn(1.0) is Turn.LOST:
                raise LinkError("the bill recycler fell silent; nothing was paid")
            now = loop.time()
            if not (self._holding or self._in_way):
                return
            if self._holding or self._moving:
                moving_s = now
            elif now - moving_s >= DISABLED_S:
                self._faults.raise_(FaultCode.BILL_DISPENSER, "it is disabled")
                raise LinkError("the bill dispenser is disabled; nothing was paid")
            if now - begun >= CLEAR_S:
                raise LinkError("a bill is in the recycler's way; nothing was paid")

    @property
    def _effective(self) -> int:
        return 0 if self._paying else super()._effective

    async def _evidence(
        self, *, idle: bool, status: tuple[int, ...] | None, resets: int
    ) -> PayoutEvidence:
        return await evidence_of(
            self._bills_held,
            lambda: self.resets != resets,
            idle=idle,
            status=status,
            lost=self._slot.lost,
        )

    async def _bills_held(self) -> TubeCounts:
        """BILL DISPENSE STATUS; one that was just reset does not know the question. LinkError."""
        answer = await self._slot.command(_COUNTS, Retry.ASK)
        if answer.kind is not AnswerKind.DATA:
            raise LinkError(f"bill recycler: its counts were answered by {answer.kind.value}")
        try:
            status = codec.decode_dispense_status(answer.data)
        except MdbBlockError as wrong:
            raise LinkError(f"bill recycler: {wrong}") from wrong
        return TubeCounts(
            status.counts,
            full=frozenset(types_of(status.full_mask)),
            defective=frozenset(status.defective_types),
            cap=COUNT_CAP,
        )

    # ------------------------------------------------------------------------- initialisation

    async def _bring_up_recycler(self, info: BillInfo) -> tuple[int, ...]:
        wanted = {bill.type for bill in info.bills if bill.value in self._recycle}
        options = 0
        if info.level >= LEVEL:
            answer = await self._ask(encode_command(AskLevel2Identification()), Retry.ASK)
            options = identity_of(answer)[1]
        if not options & OPTION_RECYCLING:
            self._faults.raise_(FaultCode.BILL_DISPENSER, "this validator does not recycle")
            return ()
        await self._tell(encode_command(FeatureEnable(OPTION_RECYCLING)))
        answer = await self._ask(encode_command(AskRecyclerSetup()), Retry.ASK)
        if answer.kind is not AnswerKind.DATA:
            self._faults.raise_(FaultCode.BILL_DISPENSER, "it does not say what it recycles")
            return ()
        try:
            wanted &= set(codec.decode_recycler_setup(answer.data).types)
        except MdbBlockError as wrong:
            self._faults.raise_(FaultCode.BILL_DISPENSER, str(wrong))
            return ()
        qualities = tuple(
            RecycleQuality.ALL if kind in wanted else RecycleQuality.NONE for kind in range(TYPES)
        )
        await self._tell(encode_command(RecyclerEnable(0, qualities)))
        return tuple(sorted(wanted))

    async def _beyond(self, known: Known) -> Counter[bytes] | None:
        beyond = await super()._beyond(known)
        recycles = known.info.recycles if isinstance(known.info, BillInfo) else ()
        if beyond is None or not recycles:
            return beyond
        if not known.tubes:
            return None
        held = await self._bills_held()
        for kind in recycles:
            event = bytes((0x80 | codec.BillRoute.RECYCLED << 4 | kind,))
            beyond[event] = held.counts[kind] - known.tubes[kind]
        return beyond

    def _forget(self) -> None:
        super()._forget()
        self._holding = self._balked = False

    # ------------------------------------------------------------------- the bus calls these

    def on_quiet(self) -> None:
        """POLL was answered by an ACK: enabled, idle, nothing wrong."""
        self.busy = self._moving = self._in_way = False
        self._holding = False  # with a bill in escrow its dispenser would be disabled
        self._disabled_since = None
        if self._recycles and not self._balked:
            self._faults.clear(FaultCode.BILL_DISPENSER)
        super().on_quiet()

    @property
    def _pays(self) -> bool:
        return self._paying

    @property
    def _recycles(self) -> bool:
        return self._info is not None and bool(self._info.recycles)

    def _conditions(self, answer: codec.PollAnswer) -> None:
        statuses = answer.recycler_statuses
        self.busy = bool(statuses & DISPENSER_BUSY)
        self._moving = codec.ValidatorStatus.BUSY in answer.statuses
        self._in_way = self._moving or codec.RecyclerStatus.DISPENSER_DISABLED in statuses
        super()._conditions(answer)
        if codec.RecyclerStatus.DISPENSER_DISABLED in statuses:
            now = asyncio.get_running_loop().time()
            if self._disabled_since is None or self._holding or self._paying:
                self._disabled_since = now
            elif now - self._disabled_since >= DISABLED_S:
                self._faults.raise_(FaultCode.BILL_DISPENSER, "it is disabled")
            return
        if answer.statuses == _AT_REST and len(answer.items) == 1:
            self._holding = False  # as when it is quiet: its dispenser would be disabled as well
        self._disabled_since = None
        if self._recycles and not self._balked and not statuses & DISPENSER_FAULTS.keys():
            self._faults.clear(FaultCode.BILL_DISPENSER)

    def _recycler_told(self, status: codec.RecyclerStatus) -> None:
        if status in DISPENSER_FAULTS:
            self._faults.raise_(FaultCode.BILL_DISPENSER, DISPENSER_FAULTS[status])
        elif status is codec.RecyclerStatus.ESCROW_REQUEST:
            self._sink.notify(EscrowLever(self._name))
        else:
            super()._recycler_told(status)

    def _bills(self, data: bytes, bills: list[codec.BillEvent]) -> None:
        for item in bills:
            if item.route is codec.BillRoute.ESCROW:
                self._holding = True
            elif item.route in RESULTS:
                self._holding = False
                if item.route is codec.BillRoute.RECYCLED:
                    self._balked = False
        super()._bills(data, bills)
