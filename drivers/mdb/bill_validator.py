"""A bill validator, with or without escrow, as the controller's `BillValidator` port.

Source: MDB/ICP 4.2, section 6.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from controller.faults import (
    DeviceFault,
    EffectUnknownError,
    FaultCode,
    LinkError,
    PeerProtocolError,
)
from controller.money import exponent
from controller.ports import (
    BillEvent,
    BillEventKind,
    BillInfo,
    BillKind,
    BillsReport,
    DeviceName,
    DeviceRestarts,
    DeviceSink,
    EscrowEmpty,
    Greeting,
    Known,
    StackerCount,
)
from drivers.links.mdb_link import AnswerKind
from drivers.mdb import bill_codec as codec
from drivers.mdb.bill_commands import (
    POLL_PAYLOAD,
    AskLevel1Identification,
    AskSetup,
    AskStacker,
    BillType,
    Escrow,
    Reset,
    Security,
    encode_command,
)
from drivers.mdb.bill_faults import (
    DISABLING,
    INCIDENTS,
    RECYCLER_ONE_SHOT,
)
from drivers.mdb.bill_shots import RESULTS, Shot, but_what_is_held, one_shots
from drivers.mdb.blocks import NON_RESPONSE_BILL_S, PAYOUT_ANSWER_S, Address, MdbBlockError
from drivers.mdb.denominations import BILLS, refuse_odd_money
from drivers.mdb.device import MdbDriver
from drivers.mdb.fields import mask_of
from drivers.mdb.ftl_codec import RetryDeny
from drivers.mdb.identity import identity_of, refuse_other_currency
from drivers.mdb.money import ScaleError
from drivers.mdb.money_gate import MoneyGate
from drivers.mdb.scheduler import MdbBus
from drivers.mdb.slots import NEVER, Retry
from drivers.mdb.turns import Restart, Turn
from drivers.pays_nothing import PaysNothing

ESCROW_RESULT_S: Final = PAYOUT_ANSWER_S
"""Stacked, returned or "invalid" must come within this after ESCROW was acknowledged."""

INTAKE_S: Final = 10.0
"""From the slot into escrow, or back: a bill that was on its way when it was told to take none."""

SPOILT: Final = "an answer of the validator came damaged, and may have told of a bill"
"""The flag of an answer that an adapter acknowledged itself, and whose text then came damaged."""

FULL_STACKER_S: Final = 10.0
"""Between two STACKER questions while it is full: somebody may have emptied it."""

REFUSES_S: Final = 5.0
"""So long it may say that it is disabled though it was told to take bills; then it is told again,
and after as long once more it is a fault."""

KINDS: Final[Mapping[codec.BillRoute, BillEventKind]] = {
    codec.BillRoute.STACKED: BillEventKind.STACKED,
    codec.BillRoute.ESCROW: BillEventKind.ESCROWED,
    codec.BillRoute.RETURNED: BillEventKind.RETURNED,
    codec.BillRoute.RECYCLED: BillEventKind.RECYCLED,
    codec.BillRoute.REJECTED: BillEventKind.REJECTED,
}
"""The recycler's other routes are audit of a mode that is enabled where it recycles."""

STACKED: Final = bytes((0x80,))
"""Any bill in the stacker."""

_DENY_FTL: Final = encode_command(RetryDeny(Address.BILL_VALIDATOR, Address.VMC, 0))
_STACKER: Final = encode_command(AskStacker())
_TAKE_NOTHING: Final = encode_command(BillType(0, 0))


class MdbBillValidator(PaysNothing, MdbDriver):
    """Drives one bill validator.

    Args:
        bus: The line it is on.
        sink: Where bills and faults go.
        currency: The machine's, ISO 4217 letters.
        high_security: Values to validate strictly, minor units; None leaves the choice to the
            validator. Values that it does not know are left out (MDB/ICP 4.2, section 6: 32).
    """

    _refusal = _TAKE_NOTHING

    def __init__(
        self,
        bus: MdbBus,
        sink: DeviceSink,
        *,
        currency: str,
        high_security: frozenset[int] | None = None,
    ) -> None:
        super().__init__(
            DeviceName.BILL,
            bus,
            sink,
            poll=POLL_PAYLOAD,
            reset=encode_command(Reset()),
            silence_s=NON_RESPONSE_BILL_S,
        )
        self._currency = currency
        self._kinds_of = KINDS
        self._high_security = high_security
        self._gate = MoneyGate(sink)
        self._info: BillInfo | None = None
        self._kinds: dict[int, BillKind] = {}
        self._wanted = 0
        self._applied: int | None = None
        self._full = False
        self._stacker_due: float | None = None
        self._escrow_lock = asyncio.Lock()
        self._results = 0  # escrow results and refusals so far
        self._result_due: float | None = None
        self._chores: deque[bytes] = deque(maxlen=4)
        self._surplus: Counter[bytes] | None = None
        self._applied_at = NEVER
        self._held = False  # a bill is in escrow, and was told
        self._unsure = False  # an answer came damaged that may have told of another one
        self._refusal_due: float | None = None  # until when it may say that it is disabled
        self._told_again = False  # it was, since it said so

    @property
    def info(self) -> BillInfo | None:
        """Return what it is, or None before it was ever identified."""
        return self._info

    # ------------------------------------------------------------------------------ the port

    async def stacker(self) -> StackerCount:
        """Ask STACKER; see `BillValidator.stacker`."""
        return await self._count()

    async def _count(self) -> StackerCount:
        answer = await self._slot.command(_STACKER)
        if answer.kind is not AnswerKind.DATA:
            raise LinkError(f"bill validator: STACKER (36) was answered by {answer.kind.value}")
        try:
            status = codec.decode_stacker(answer.data)
        except MdbBlockError as wrong:
            raise LinkError(f"bill validator: STACKER (36): {wrong}") from wrong
        self._note_stacker(full=status.full)
        return StackerCount(status.count, status.full)

    async def stack(self) -> None:
        """Stack the bill in escrow; see `BillValidator.stack`."""
        await self._escrow(stack=True)

    async def return_bill(self) -> None:
        """Return the bill in escrow; see `BillValidator.return_bill`."""
        await self._escrow(stack=False)

    def accept(self, types: frozenset[int]) -> None:
        """Want these bill types accepted; see `BillValidator.accept`."""
        self._wanted = mask_of(types)
        self._stir.set()

    async def _escrow(self, *, stack: bool) -> None:
        async with self._escrow_lock:
            if self._gone():
                raise LinkError("the bill validator does not answer; nothing was asked")
            before = self._results
            answer = await self._slot.command(
                encode_command(Escrow(stack)), wanted=lambda: self._results == before
            )
            if self._results != before:
                return  # the result came by POLL: it was heard
            if answer.heard:
                self._result_due = asyncio.get_running_loop().time() + ESCROW_RESULT_S
                self._stir.set()
                return
            if self._gone() or self._was_reset:
                raise EffectUnknownError("ESCROW was sent and the bill validator fell silent")
            raise LinkError("the bill validator answers polls but never acknowledged ESCROW")

    # ------------------------------------------------------------------------------- greeting

    async def greet(self, known: Known) -> Greeting:
        """Count before the first poll where that tells a repeat; see `MdbDevice.greet`."""
        self._surplus = await self._weigh(known)
        return await super().greet(known)

    async def _weigh(self, known: Known) -> Counter[bytes] | None:
        """Return the bills that lie there and are in no record, where a repeat may be told.

        Two bills of one type in a row look like one and its repeat: the counts tell them apart.
        By the code of their event; those of the stacker, whose types it does not count, by STACKED
        alone. None: no count tells.
        """
        told = codec.decode_poll(known.last_answer).items if known.last_answer else ()
        credited = any(isinstance(t, codec.BillEvent) and t.route.gives_credit for t in told)
        if not credited or not self._bus.link.capabilities.withholds_ack:
            return None
        try:
            return await self._beyond(known)
        except (LinkError, MdbBlockError):
            return None

    async def _beyond(self, known: Known) -> Counter[bytes] | None:
        """Ask the counts and compare. Raises LinkError, or MdbBlockError."""
        answer = await self._slot.command(_STACKER, Retry.ASK)
        if known.stacker is None or answer.kind is not AnswerKind.DATA:
            return None
        return Counter({STACKED: codec.decode_stacker(answer.data).count - known.stacker})

    def _unrepeated(self, shots: list[Shot]) -> None:
        """Take an answer's bills as new, if just so many lie there that are in no record."""
        surplus, self._surplus = self._surplus, None
        if surplus is None or not self._gate.restored:
            return
        bills = [s for s in shots if isinstance(s, codec.BillEvent) and s.route.gives_credit]
        kinds = (STACKED if b.route is codec.BillRoute.STACKED else b.raw for b in bills)
        if bills and Counter(kinds) == +surplus:
            self._gate.repeats.clear()

    # ------------------------------------------------------------------------- initialisation

    def _adopt(self, known: Known) -> None:
        if isinstance(known.info, BillInfo):
            self._take(known.info)
        if known.last_answer and self._bus.link.capabilities.withholds_ack:
            shots = one_shots(codec.decode_poll(known.last_answer))
            self._gate.repeats.restore([item.raw for item in shots])
            self._gate.restored = True

    async def _learn(self) -> None:
        """SETUP without RESET, so that bills found in the validator have a value."""
        if self._info is not None:
            return
        answer = await self._slot.command(encode_command(AskSetup()), Retry.ASK)
        if answer.kind is AnswerKind.DATA:
            try:
                self._take(self._read_setup(answer.data)[0])
            except (DeviceFault, PeerProtocolError):
                return  # told by `start`, which asks again

    def _take(self, info: BillInfo) -> None:
        self._info = info
        self._kinds = {kind.type: kind for kind in info.bills}
        self._gate.release()

    def _read_setup(self, data: bytes) -> tuple[BillInfo, codec.BillSetup]:
        try:
            setup = codec.decode_setup(data)
        except MdbBlockError as wrong:
            raise PeerProtocolError(f"bill validator: SETUP (31): {wrong}") from wrong
        refuse_other_currency(setup.currency, self._currency)
        digits = exponent(self._currency)
        try:
            scale = setup.scale  # also where no bill has a value
            bills = tuple(
                BillKind(
                    bill_type,
                    0 if setup.is_token(bill_type) else scale.to_minor(value, digits),
                    setup.is_token(bill_type),
                )
                for bill_type, value in enumerate(setup.values)
                if value
            )
        except ScaleError as wrong:
            raise DeviceFault(FaultCode.DEVICE_UNSUITABLE, str(wrong)) from wrong
        refuse_odd_money((kind.value for kind in bills if not kind.token), self._currency, BILLS)
        info = BillInfo(
            setup.level,
            setup.scaling,
            setup.decimals,
            bills,
            has_escrow=setup.has_escrow,
            stacker_capacity=setup.stacker_capacity,
        )
        return info, setup

    async def _initialise(self) -> BillInfo:
        self._applied = None
        answer = await self._ask(encode_command(AskSetup()))
        if answer.kind is not AnswerKind.DATA:
            raise PeerProtocolError(
                f"bill validator: SETUP (31) was answered by {answer.kind.value}"
            )
        info, _ = self._read_setup(answer.data)
        if self._high_security is not None:
            strict = {kind.type for kind in info.bills if kind.value in self._high_security}
            await self._tell(encode_command(Security(mask_of(frozenset(strict)))))
        identity, _ = identity_of(
            await self._ask(encode_command(AskLevel1Identification()), Retry.ASK)
        )
        info = replace(info, identity=identity, recycles=await self._bring_up_recycler(info))
        self._take(info)
        try:
            await self._count()
        except LinkError as silent:
            self._check()
            raise PeerProtocolError(str(silent)) from silent
        await self._apply()
        return info

    async def _bring_up_recycler(self, info: BillInfo) -> tuple[int, ...]:
        """Have it recycle; return the types it pays out again. Raises Lost or ResetItself."""
        del info
        return ()

    # -------------------------------------------------------------------------------- service

    async def _work(self) -> float:
        if self._unsure and not self._pays:
            raise Restart
        while self._chores:
            await self._ask(self._chores.popleft(), Retry.ASK)
        now = asyncio.get_running_loop().time()
        if self._stacker_due is not None and now >= self._stacker_due:
            self._stacker_due = None
            await self._count()
        if self._applied != self._effective:
            await self._apply()
        if self._refusal_due is not None and now >= self._refusal_due:
            await self._still_disabled(now)
        if self._result_due is not None and now >= self._result_due:
            self._result_due = None
            self._held = False
            self._faults.raise_(
                FaultCode.BILL_STUCK_IN_ESCROW, f"no result in {ESCROW_RESULT_S:.0f} s"
            )
        return min(map(self._due_in, (self._stacker_due, self._result_due, self._refusal_due)))

    async def _still_disabled(self, now: float) -> None:
        """It is disabled, and not by us: it has forgotten what it was told, or is out of order."""
        self._refusal_due = None
        if self._said_why or self._held or self._pays or not self._applied:
            return
        if self._told_again:
            words = "it says that it is disabled, though it was told to take bills"
            self._faults.raise_(FaultCode.BILL_DISABLED, words)
            return
        self._told_again = True
        await self._apply()
        self._refusal_due = now + REFUSES_S

    @property
    def _pays(self) -> bool:
        """Tell whether it pays bills out, which a RESET would end."""
        return False

    async def _leave_service(self) -> None:
        await super()._leave_service()
        if self._unsure:
            self._unsure = False
            self._sink.notify(DeviceRestarts(self._name))  # and is counted when it is ready

    @property
    def _effective(self) -> int:
        """What may be accepted: nothing into a full stacker."""
        return 0 if self._full else self._wanted

    async def _apply(self) -> None:
        mask = self._effective
        escrow = mask if self._info is not None and self._info.has_escrow else 0
        await self._tell(encode_command(BillType(mask, escrow)))
        if mask != self._applied:
            self._applied_at = asyncio.get_running_loop().time()
            self._refusal_due = None
        self._applied = mask

    def _note_stacker(self, *, full: bool) -> None:
        self._full = full
        if full:
            self._faults.raise_(FaultCode.BILL_STACKER_FULL)
            self._ask_stacker(FULL_STACKER_S)
        else:
            self._faults.clear(FaultCode.BILL_STACKER_FULL)
        self._stir.set()

    def _ask_stacker(self, seconds: float) -> None:
        self._stacker_due = asyncio.get_running_loop().time() + seconds
        self._stir.set()

    def _due_in(self, due: float | None) -> float:
        if due is None:
            return NEVER
        return max(0.0, due - asyncio.get_running_loop().time())

    def _not_ready(self) -> None:
        self._applied = None

    def _forget(self) -> None:
        self._gate.repeats.clear()
        self._gate.restored = False
        self._result_due = None
        self._held = False

    @property
    def _unsettled(self) -> bool:
        return self._gate.repeats.pending

    # ------------------------------------------------------------------- the bus calls these

    def on_quiet(self) -> None:
        """POLL was answered by an ACK: enabled, idle, nothing wrong."""
        self._reset_told = None
        self._gate.quiet()
        if self._slot.spoilt:
            self._tell_spoilt()
        self._takes_bills()
        if self._turns:
            self._end_turn(Turn.QUIET)

    def on_items(self, data: bytes) -> asyncio.Future[None] | None:
        """POLL was answered by activity."""
        if self._slot.spoilt:
            self._tell_spoilt()
        answer = codec.decode_poll(data)
        self._conditions(answer)
        shots = one_shots(answer)
        if shots and self._surplus is not None:
            self._unrepeated(shots)
        new = self._gate.repeats.fresh([item.raw for item in shots])
        fresh = [item for item, is_new in zip(shots, new, strict=True) if is_new]
        if self._held:
            fresh = but_what_is_held(fresh)
        bills = [item for item in fresh if isinstance(item, codec.BillEvent)]
        for item in fresh:
            if isinstance(item, codec.ValidatorReported):
                self._status(item.status, bills)
            elif isinstance(item, codec.RecyclerReported):
                self._recycler_told(item.status)
        self._bills(data, bills)
        self._gate.restored = False
        self._end_turn(Turn.ITEMS)
        if not any(isinstance(item, codec.BillEvent) for item in shots):
            return None
        waiting = self._gate.waiting()
        if waiting is None:
            self._slot.poll_soon()  # a repeat, durable by now: see whether this ACK is heard
        return waiting

    def _tell_spoilt(self) -> None:
        """An answer came damaged behind an adapter's own ACK: what it told is told by nobody again.

        A bill that is known to be in escrow goes its way: its deadline asks the count. Else one
        may be there of which nobody knows: a RESET gives it back, and the count behind it tells
        of one that was stacked.
        """
        self._slot.spoilt = False
        closed_s = asyncio.get_running_loop().time() - self._applied_at
        if self._applied == 0 and closed_s > INTAKE_S and not (self._held or self._pays):
            return  # it takes nothing, and says so in each poll
        self._unsure = not self._held
        self._stir.set()
        self._sink.money(BillsReport(self._name, b"", (), doubt=SPOILT))

    def on_told(self, *, acked: bool) -> None:
        """Note whether the last answer with bills was acknowledged."""
        self._gate.repeats.told(acked=acked)
        self._note_told(acked=acked)

    def _conditions(self, answer: codec.PollAnswer) -> None:
        """What stands in each poll as long as it lasts, and a reset."""
        statuses = answer.statuses
        if codec.ValidatorStatus.JUST_RESET in statuses:
            self._note_just_reset()
        else:
            self._reset_told = None
        if codec.ValidatorStatus.DISABLED in statuses:
            self._says_disabled()
        elif not (statuses & DISABLING.keys()):
            self._takes_bills()
        for item in answer.items:
            match item:
                case codec.DisabledInsertions(count):
                    self.oddities.note("inserted while disabled", count)
                case codec.UndefinedByte(code):
                    self.oddities.note(f"byte {code:02X}")
                case codec.RecyclerReported(status) if status not in RECYCLER_ONE_SHOT:
                    self.oddities.note(status)
                case codec.FtlReceived():
                    self._chores.append(_DENY_FTL)
                    self._stir.set()
                case _:
                    continue

    def _says_disabled(self) -> None:
        if self._refusal_due is None and self._applied and not self._said_why:
            self._refusal_due = asyncio.get_running_loop().time() + REFUSES_S
            self._stir.set()

    @property
    def _said_why(self) -> bool:
        """Tell whether a fault stands already that says why it is disabled."""
        faults = self._faults
        return FaultCode.BILL_DISABLED in faults or any(c in faults for c in DISABLING.values())

    def _takes_bills(self) -> None:
        self._refusal_due, self._told_again = None, False
        self._faults.clear(FaultCode.BILL_DISABLED, *DISABLING.values())

    def _status(self, status: codec.ValidatorStatus, bills: list[codec.BillEvent]) -> None:
        if status in DISABLING:
            self._faults.raise_(DISABLING[status])
        elif status in INCIDENTS:
            self._faults.raise_(FaultCode.BILL_REMOVED, INCIDENTS[status])
        elif status is codec.ValidatorStatus.INVALID_ESCROW_REQUEST and not bills:
            # There was no bill. A repeated ESCROW whose first ACK was lost looks the same; its
            # result follows and clears the fault.
            self._end_escrow()
            self._faults.raise_(FaultCode.BILL_REMOVED, "no bill was in escrow")
            self._sink.notify(EscrowEmpty(self._name))
        else:
            self.oddities.note(status)

    def _recycler_told(self, status: codec.RecyclerStatus) -> None:
        """A one-shot status of a recycler that was never enabled: audit."""
        self.oddities.note(status)

    def _bills(self, data: bytes, bills: list[codec.BillEvent]) -> None:
        known = [item for item in bills if item.route in self._kinds_of]
        for item in bills:
            if item.route not in self._kinds_of:
                self.oddities.note(item.route)
            self._held = item.route is codec.BillRoute.ESCROW
            if item.route in RESULTS:
                self._end_escrow()
                self._faults.clear(FaultCode.BILL_STUCK_IN_ESCROW, FaultCode.BILL_REMOVED)
            if item.route.gives_credit:
                self._ask_stacker(0.0)
        if not known:
            return

        def report() -> BillsReport:
            return BillsReport(self._name, data, tuple(map(self._event, known)))

        if self._info is None:
            self._gate.keep(report)
        else:
            self._gate.report(report())

    def _event(self, item: codec.BillEvent) -> BillEvent:
        kind = self._kinds.get(item.bill_type)
        return BillEvent(self._kinds_of[item.route], item.bill_type, kind.value if kind else 0)

    def _end_escrow(self) -> None:
        self._results += 1
        self._result_due = None
