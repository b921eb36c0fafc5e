"""A coin changer, level 2 or 3, as the controller's `Changer` port.

Source: MDB/ICP 4.2, section 5.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import Final

from controller.faults import DeviceFault, FaultCode, LinkError, PeerProtocolError
from controller.money import exponent
from controller.ports import (
    ChangerInfo,
    CoinKind,
    CoinsReport,
    DepositedCoin,
    DeviceName,
    DeviceSink,
    EscrowLever,
    Identity,
    Known,
    ManualCoins,
    PayoutEvidence,
    PayoutOrder,
    TubeCounts,
)
from controller.ports import CoinRoute as Route
from drivers.links.mdb_link import Answer, AnswerKind
from drivers.mdb.blocks import (
    NON_RESPONSE_CHANGER_S,
    TUBE_STATUS_AFTER_RESET_S,
    Address,
    MdbBlockError,
)
from drivers.mdb.changer_codec import (
    ChangerStatus,
    CoinDeposited,
    CoinRoute,
    CoinsDispensedManually,
    FtlReceived,
    PollAnswer,
    PollItem,
    Slugs,
    StatusReported,
    decode_diagnostic_status,
    decode_poll,
    decode_setup,
    decode_tube_status,
)
from drivers.mdb.changer_commands import (
    OPTION_ALTERNATIVE_PAYOUT,
    OPTION_EXTENDED_DIAGNOSTICS,
    POLL_PAYLOAD,
    AskDiagnosticStatus,
    AskIdentification,
    AskSetup,
    AskTubeStatus,
    CoinType,
    FeatureEnable,
    Reset,
    encode_command,
)
from drivers.mdb.changer_faults import (
    DEPOSIT_CLEARS,
    ONE_SHOT,
    PAYOUT_CLEARS,
    STATUS_FAULTS,
    diagnostic_fault,
)
from drivers.mdb.changer_payout import ask_status, pay_coins, pay_value, wait_idle
from drivers.mdb.device import MdbDriver, Turn
from drivers.mdb.fields import mask_of
from drivers.mdb.ftl_codec import RetryDeny
from drivers.mdb.identity import identity_of, refuse_other_currency
from drivers.mdb.money import Scale, ScaleError
from drivers.mdb.money_gate import MoneyGate
from drivers.mdb.scheduler import MdbBus
from drivers.mdb.slots import NEVER, Retry

DIAGNOSTIC_S: Final = 5.0
"""Between two SEND DIAGNOSTIC STATUS; the standard says 1-10 s."""

ALL_TYPES: Final = 0xFFFF

_ROUTES: Final = {
    CoinRoute.CASHBOX: Route.CASHBOX,
    CoinRoute.TUBE: Route.TUBE,
    CoinRoute.NOT_USED: Route.REJECT,
    CoinRoute.REJECT: Route.REJECT,
}
_WANTED_OPTIONS: Final = OPTION_ALTERNATIVE_PAYOUT | OPTION_EXTENDED_DIAGNOSTICS
"""Controlled manual fill (b2) stays off: then what a technician does in that mode keeps coming
through POLL, where it is journaled before it is acknowledged. File transport (b3) is not served."""

_DENY_FTL: Final = encode_command(RetryDeny(Address.CHANGER, Address.VMC, 0))
_TUBE_STATUS: Final = encode_command(AskTubeStatus())
_COUNT_CAP: Final = 255


class MdbChanger(MdbDriver):
    """Drives one coin changer.

    Args:
        bus: The line it is on.
        sink: Where coins, levers and faults go.
        currency: The machine's, ISO 4217 letters.
    """

    def __init__(self, bus: MdbBus, sink: DeviceSink, *, currency: str) -> None:
        super().__init__(
            DeviceName.CHANGER,
            bus,
            sink,
            poll=POLL_PAYLOAD,
            reset=encode_command(Reset()),
            silence_s=NON_RESPONSE_CHANGER_S,
        )
        self._currency = currency
        self._gate = MoneyGate(sink)
        self._info: ChangerInfo | None = None
        self._kinds: dict[int, CoinKind] = {}
        self._scale: Scale | None = None
        self._known_tubes: tuple[int, ...] = ()
        self._diagnostics = False
        self._diagnosed: set[FaultCode] = set()
        self._diagnose_at = 0.0
        self._wanted = 0, 0  # accept mask, manual dispense mask
        self._applied: tuple[int, int] | None = None
        self._paying = False
        self._payout_lock = asyncio.Lock()
        self._lever_down = False
        self._chores: deque[bytes] = deque(maxlen=4)
        self._jams = 0
        self.busy = False
        self.oddities: Counter[str] = Counter()

    @property
    def info(self) -> ChangerInfo | None:
        """Return what it is, or None before it was ever identified."""
        return self._info

    @property
    def withholds_ack(self) -> bool:
        """Return whether an unacknowledged answer stays in the changer."""
        return self._bus.link.capabilities.withholds_ack

    # ------------------------------------------------------------------------------ the port

    async def tubes(self) -> TubeCounts:
        """Ask TUBE STATUS; see `Changer.tubes`."""
        left = self._reset_at + TUBE_STATUS_AFTER_RESET_S - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)
        answer = await self._slot.command(_TUBE_STATUS, Retry.REPEAT)
        if answer.kind is not AnswerKind.DATA:
            raise LinkError(f"changer: TUBE STATUS was answered by {answer.kind.value}")
        try:
            status = decode_tube_status(answer.data)
        except MdbBlockError as wrong:
            raise LinkError(f"changer: {wrong}") from wrong
        defective = frozenset(status.defective_types)
        if not defective:
            self._faults.clear(FaultCode.CHANGER_TUBE_SENSOR)
        return TubeCounts(status.counts, frozenset(status.full_types), defective)

    async def payout(self, order: PayoutOrder) -> PayoutEvidence:
        """Pay and bring the evidence; see `Changer.payout`."""
        async with self._payout_lock:
            self._payable()
            self._paying = True
            jams, resets = self._jams, self.resets
            try:
                await self._inhibit()
                status = None
                value = self._value_of(order)
                if value is None:
                    idle = await pay_coins(self, order.coins)
                else:
                    idle, status = await pay_value(self, value)
                evidence = await self._evidence(idle=idle, status=status, resets=resets)
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
                if status is not None and not any(status):
                    # Nothing held: paid by DISPENSE, or told already. Only the tubes know.
                    status = None
            return await self._evidence(idle=idle, status=status, resets=resets)

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
        try:
            tubes = await self.tubes() if idle or not self._slot.lost else None
        except LinkError:
            tubes = None
        was_reset = self.resets != resets
        return PayoutEvidence(
            idle=idle or was_reset,
            status=None if was_reset else status,
            tubes=tubes,
            was_reset=was_reset,
        )

    # ------------------------------------------------------------------------- initialisation

    def _adopt(self, known: Known) -> None:
        if isinstance(known.info, ChangerInfo):
            self._take(known.info)
        if known.last_answer:
            shots = _one_shots(decode_poll(known.last_answer))
            proved = all(isinstance(item, CoinDeposited) and self._in_tube(item) for item in shots)
            if self.withholds_ack or (proved and known.tubes):
                self._known_tubes = known.tubes
                self._gate.repeats.restore([item.raw for item in shots])
                self._gate.restored = True

    async def _learn(self) -> None:
        """SETUP without RESET, so that coins found in the changer have a value."""
        if self._info is not None:
            return
        answer = await self._slot.command(encode_command(AskSetup()), Retry.ASK)
        if answer.kind is AnswerKind.DATA:
            try:
                self._take(self._read_setup(answer.data))
            except (DeviceFault, PeerProtocolError):
                return  # told by `start`, which asks again

    def _take(self, info: ChangerInfo) -> None:
        self._info = info
        self._kinds = {kind.type: kind for kind in info.coins}
        self._scale = Scale(info.scaling, info.decimals)
        self._gate.release()

    def _read_setup(self, data: bytes) -> ChangerInfo:
        try:
            setup = decode_setup(data)
        except MdbBlockError as wrong:
            raise PeerProtocolError(f"changer: {wrong}") from wrong
        refuse_other_currency(setup.currency, self._currency)
        digits = exponent(self._currency)
        tubes = frozenset(setup.tube_types)
        try:
            coins = tuple(
                CoinKind(
                    coin_type,
                    0 if setup.is_token(coin_type) else setup.scale.to_minor(credit, digits),
                    coin_type in tubes,
                    setup.is_token(coin_type),
                )
                for coin_type, credit in enumerate(setup.credits)
                if credit
            )
        except ScaleError as wrong:
            raise DeviceFault(FaultCode.DEVICE_UNSUITABLE, str(wrong)) from wrong
        return ChangerInfo(setup.level, setup.scaling, setup.decimals, coins)

    async def _initialise(self) -> ChangerInfo:
        self._applied = None
        answer = await self._ask(encode_command(AskSetup()))
        if answer.kind is not AnswerKind.DATA:
            raise PeerProtocolError(f"changer: SETUP was answered by {answer.kind.value}")
        info = self._read_setup(answer.data)
        self._faults.clear_all()  # it starts anew; what still holds is told again
        self._diagnosed = set()
        identity, options = Identity(), 0
        if info.level >= 3:
            identity, options = await self._expansion()
        self._diagnostics = bool(options & OPTION_EXTENDED_DIAGNOSTICS)
        info = ChangerInfo(
            info.level,
            info.scaling,
            info.decimals,
            info.coins,
            pays_by_value=bool(options & OPTION_ALTERNATIVE_PAYOUT),
            identity=identity,
        )
        self._take(info)
        if self._diagnostics:
            await self._diagnose()
        try:
            await self.tubes()
        except LinkError as silent:
            self._check()
            raise PeerProtocolError(str(silent)) from silent
        await self._apply()
        return info

    async def _expansion(self) -> tuple[Identity, int]:
        """Identify a level 3 changer and enable what we use; silence means "has none"."""
        answer = await self._ask(encode_command(AskIdentification()), Retry.ASK)
        identity, offered = identity_of(answer)
        options = offered & _WANTED_OPTIONS
        if options:
            enabled = await self._ask(encode_command(FeatureEnable(options)), Retry.ASK)
            if not enabled.heard:
                options = 0
        return identity, options

    # -------------------------------------------------------------------------------- service

    async def _work(self) -> float:
        while self._chores:
            await self._ask(self._chores.popleft(), Retry.ASK)
        if self._applied != self._wanted and not self._paying:
            await self._apply()
        if not self._diagnostics:
            return NEVER
        now = asyncio.get_running_loop().time()
        if now >= self._diagnose_at and not self._paying:
            await self._diagnose()
        return max(self._diagnose_at - asyncio.get_running_loop().time(), 1.0)

    async def _apply(self) -> None:
        wanted = (0, self._wanted[1]) if self._paying else self._wanted
        await self._tell(encode_command(CoinType(*wanted)))
        self._applied = wanted

    async def _diagnose(self) -> None:
        self._diagnose_at = asyncio.get_running_loop().time() + DIAGNOSTIC_S
        answer = await self._ask(encode_command(AskDiagnosticStatus()), Retry.ASK)
        if answer.kind is not AnswerKind.DATA:
            return
        found: set[FaultCode] = set()
        for pair in decode_diagnostic_status(answer.data).pairs:
            code = diagnostic_fault(pair)
            if code is not None:
                found.add(code)
                self._faults.raise_(code, pair.words)
        self._faults.clear(*sorted(self._diagnosed - found))
        self._diagnosed = found

    def _not_ready(self) -> None:
        self._applied = None

    # ------------------------------------------------------------------- the bus calls these

    def on_quiet(self) -> None:
        """POLL was answered by an ACK."""
        self.busy = self._lever_down = False
        self._reset_reported = False
        self._gate.quiet()
        self._faults.clear(FaultCode.CHANGER_ACCEPTOR_UNPLUGGED)
        if self._turns:
            self._end_turn(Turn.QUIET)

    def on_items(self, data: bytes) -> asyncio.Future[None] | None:
        """POLL was answered by activity."""
        answer = decode_poll(data)
        if answer.error is not None:
            self.oddities[str(answer.error.reason.value)] += 1
        self._statuses(answer)
        shots = _one_shots(answer)
        new = self._new(shots)
        for item, is_new in zip(shots, new, strict=True):
            if is_new and isinstance(item, StatusReported):
                self._status(item.status)
        money = any(isinstance(item, CoinDeposited | CoinsDispensedManually) for item in shots)
        if money:
            self._money(data, shots, new)
        self._gate.restored = False
        self._end_turn(Turn.ITEMS)
        if not money:
            return None
        waiting = self._gate.waiting()
        if waiting is None:
            self._slot.poll_soon()  # a repeat, durable by now: see whether this ACK is heard
        return waiting

    def on_told(self, *, acked: bool) -> None:
        """Note whether the last answer with money was acknowledged."""
        self._gate.repeats.told(acked=acked)

    def _statuses(self, answer: PollAnswer) -> None:
        """What stands in each poll as long as it lasts, and a reset."""
        statuses = answer.statuses
        self.busy = answer.busy
        if ChangerStatus.JUST_RESET in statuses:
            self.busy = False
            self._note_just_reset()
        else:
            self._reset_reported = False
        if ChangerStatus.ACCEPTOR_UNPLUGGED in statuses:
            self._status(ChangerStatus.ACCEPTOR_UNPLUGGED)
        else:
            self._faults.clear(FaultCode.CHANGER_ACCEPTOR_UNPLUGGED)
        lever = ChangerStatus.ESCROW_REQUEST in statuses
        if lever and not self._lever_down:
            self._sink.notify(EscrowLever(self._name))
        self._lever_down = lever
        for item in answer.items:
            match item:
                case Slugs(count):
                    self.oddities["slugs"] += count
                case StatusReported(ChangerStatus.UNDEFINED, code):
                    self.oddities[f"status {code:02X}"] += 1
                case FtlReceived():
                    self._chores.append(_DENY_FTL)
                    self._stir.set()
                case _:
                    continue

    def _status(self, status: ChangerStatus) -> None:
        self._jams += status is ChangerStatus.TUBE_JAM
        code = STATUS_FAULTS.get(status)
        if code is None:
            self.oddities[status.name] += 1
        else:
            self._faults.raise_(code)

    def _new(self, shots: list[PollItem]) -> list[bool]:
        """Which one-shot items were not reported before."""
        repeats = self._gate.repeats
        new = repeats.fresh([item.raw for item in shots])
        if self._gate.restored and not all(new):
            for item, is_new in zip(shots, new, strict=True):
                if not is_new and isinstance(item, CoinDeposited) and self._counts_up(item):
                    # The tube holds one coin more than was recorded: same bytes, another coin.
                    repeats.clear()
                    return repeats.fresh([item.raw for item in shots])
        return new

    def _money(self, data: bytes, shots: list[PollItem], new: list[bool]) -> None:
        fresh = [item for item, is_new in zip(shots, new, strict=True) if is_new]
        suspect = 0
        if self._gate.restored:
            old = [item for item, is_new in zip(shots, new, strict=True) if not is_new]
            coins = [item for item in old if isinstance(item, CoinDeposited)]
            if not any(self._in_tube(coin) and coin.tube_count < _COUNT_CAP for coin in coins):
                suspect = sum(coin.route.gives_credit for coin in coins)

        def report() -> CoinsReport:
            return CoinsReport(
                self._name,
                data,
                tuple(self._deposit(item) for item in fresh if isinstance(item, CoinDeposited)),
                tuple(
                    self._manual(item) for item in fresh if isinstance(item, CoinsDispensedManually)
                ),
                suspect,
            )

        if any(isinstance(item, CoinDeposited) for item in fresh):
            self._faults.clear(*DEPOSIT_CLEARS)
        if any(isinstance(item, CoinDeposited | CoinsDispensedManually) for item in fresh) or (
            suspect
        ):
            if self._info is None:
                self._gate.keep(report)
            else:
                self._gate.report(report())

    def _deposit(self, item: CoinDeposited) -> DepositedCoin:
        kind = self._kinds.get(item.coin_type)
        return DepositedCoin(
            item.coin_type,
            kind.value if kind else 0,
            _ROUTES[item.route],
            item.tube_count,
            bool(kind and kind.token),
        )

    def _manual(self, item: CoinsDispensedManually) -> ManualCoins:
        kind = self._kinds.get(item.coin_type)
        return ManualCoins(item.coin_type, kind.value if kind else 0, item.count, item.tube_count)

    def _in_tube(self, item: CoinDeposited) -> bool:
        return item.route is CoinRoute.TUBE

    def _counts_up(self, item: CoinDeposited) -> bool:
        tubes = self._known_tubes
        return (
            self._in_tube(item)
            and item.coin_type < len(tubes)
            and tubes[item.coin_type] < item.tube_count
        )

    @property
    def _unsettled(self) -> bool:
        return self._gate.repeats.pending

    def _forget(self) -> None:
        self._gate.repeats.clear()
        self._gate.restored = False
        self.busy = False


def _one_shots(answer: PollAnswer) -> list[PollItem]:
    return [
        item
        for item in answer.items
        if isinstance(item, CoinDeposited | CoinsDispensedManually)
        or (isinstance(item, StatusReported) and item.status in ONE_SHOT)
    ]
