"""Hardware that answers at once, at the controller's ports: for measuring the brain alone.

No bytes and no pins; the byte-real machine is ``simulator.world``. It keeps what is physically
there, so that a test can compare it with the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from controller.faults import LinkError
from controller.ports import (
    AgeAnswer,
    Approved,
    BillEvent,
    BillEventKind,
    BillInfo,
    BillKind,
    BillsReport,
    CancelOutcome,
    ChangerInfo,
    Charged,
    CoinKind,
    CoinRoute,
    CoinsReport,
    Denied,
    DepositedCoin,
    DeviceName,
    DeviceReady,
    DeviceSink,
    DispenseEvidence,
    DispenseOutcome,
    DispenseResult,
    Greeting,
    Hands,
    Known,
    PayoutEvidence,
    PayoutOrder,
    ReaderInfo,
    RefundOutcome,
    RevalueOutcome,
    SensorCheck,
    SettleOutcome,
    StackerCount,
    Tone,
    TubeCounts,
)

COINS: Final = (5, 10, 20, 50, 100, 200)
BILLS: Final = (500, 1000, 2000)
TUBE_TYPES: Final = (1, 2, 3, 4)  # 10, 20, 50 and 100 have tubes


class _Sink:
    """Bound later: drivers and the machine know each other."""

    sink: DeviceSink | None = None

    def bind(self, sink: DeviceSink) -> None:
        self.sink = sink

    @property
    def out(self) -> DeviceSink:
        assert self.sink is not None, "bind() comes first"
        return self.sink


@dataclass
class InstantChanger(_Sink):
    """A level 3 changer whose coins move in no time."""

    counts: list[int] = field(default_factory=lambda: [0, 20, 20, 20, 20, *[0] * 11])
    cashbox: int = 0
    paid: list[tuple[int, int]] = field(default_factory=list)
    pays_at_most: int | None = None  # coins per payout; None: all
    level: int = 3
    accepted: frozenset[int] = frozenset()
    name: DeviceName = DeviceName.CHANGER
    just_reset: bool = False
    last: tuple[int, ...] | None = None
    info: ChangerInfo | None = None

    async def greet(self, known: Known) -> Greeting:
        """Answer at once."""
        del known
        return Greeting(present=True, just_reset=self.just_reset)

    async def start(self) -> None:
        """Be ready, and stay."""
        coins = tuple(CoinKind(t, v, in_tube=t in TUBE_TYPES) for t, v in enumerate(COINS))
        self.info = ChangerInfo(self.level, 5, 2, coins, pays_by_value=self.level == 3)
        self.out.notify(DeviceReady(self.name, self.info))
        await asyncio.Event().wait()

    async def pour(self, type_: int, count: int) -> TubeCounts:
        """Count by itself."""
        raise LinkError(f"its tubes count, and {count} of type {type_} as well")

    def insert(self, value: int) -> asyncio.Future[None]:
        """A customer's coin arrives and is reported."""
        type_ = COINS.index(value)
        if type_ in TUBE_TYPES:
            self.counts[type_] += 1
            coin = DepositedCoin(type_, value, CoinRoute.TUBE, self.counts[type_])
        else:
            self.cashbox += value
            coin = DepositedCoin(type_, value, CoinRoute.CASHBOX, 0)
        answer = bytes([0x40 | (coin.route is CoinRoute.TUBE) << 4 | type_, self.counts[type_]])
        return self.out.money(CoinsReport(self.name, answer, (coin,)))

    async def tubes(self) -> TubeCounts:
        """Tell the counts."""
        return TubeCounts(tuple(self.counts))

    async def payout(self, order: PayoutOrder) -> PayoutEvidence:
        """Pay the plan, or as much of it as ``pays_at_most`` lets through."""
        left = self.pays_at_most if self.pays_at_most is not None else 1_000
        status = [0] * 16
        for type_, count in order.coins:
            n = min(count, left, self.counts[type_])
            left -= n
            status[type_] += n
            self.counts[type_] -= n
            if n:
                self.paid.append((type_, n))
        self.last = tuple(status)
        return await self.payout_evidence()

    async def payout_evidence(self) -> PayoutEvidence:
        """Tell the last payout."""
        status = self.last if self.level == 3 else None
        return PayoutEvidence(idle=True, status=status, tubes=TubeCounts(tuple(self.counts)))

    def accept(self, types: frozenset[int], *, manual: bool = False) -> None:
        """Note what is wanted."""
        del manual
        self.accepted = types

    @property
    def cash(self) -> int:
        """Return what is in tubes and cash box."""
        return sum(n * COINS[t] for t, n in enumerate(self.counts) if n) + self.cashbox


@dataclass
class InstantBill(_Sink):
    """A validator with escrow."""

    bills: int = 0
    value: int = 0
    held: int | None = None
    returned: list[int] = field(default_factory=list)
    accepted: frozenset[int] = frozenset()
    name: DeviceName = DeviceName.BILL
    info: BillInfo | None = None

    async def greet(self, known: Known) -> Greeting:
        """Answer at once."""
        del known
        return Greeting(present=True)

    async def start(self) -> None:
        """Be ready, and stay."""
        kinds = tuple(BillKind(t, v) for t, v in enumerate(BILLS))
        self.info = BillInfo(1, 500, 2, kinds, has_escrow=True, stacker_capacity=500)
        self.out.notify(DeviceReady(self.name, self.info))
        await asyncio.Event().wait()

    def insert(self, value: int) -> asyncio.Future[None]:
        """A bill goes into escrow and is reported."""
        self.held = BILLS.index(value)
        return self._report(BillEventKind.ESCROWED, self.held)

    def _report(self, kind: BillEventKind, type_: int) -> asyncio.Future[None]:
        event = BillEvent(kind, type_, BILLS[type_])
        return self.out.money(BillsReport(self.name, bytes([0x90 | type_]), (event,)))

    async def stacker(self) -> StackerCount:
        """Tell the count."""
        return StackerCount(self.bills, full=False)

    async def stack(self) -> None:
        """Stack what is held."""
        if self.held is None:
            raise LinkError("no bill in escrow")
        type_, self.held = self.held, None
        self.bills += 1
        self.value += BILLS[type_]
        self._report(BillEventKind.STACKED, type_)

    async def payout(self, order: PayoutOrder) -> PayoutEvidence:
        """Pay nothing: it does not recycle."""
        raise LinkError(f"no recycler, so {order.amount} is not paid")

    async def payout_evidence(self) -> PayoutEvidence:
        """Tell nothing."""
        raise LinkError("no recycler")

    async def return_bill(self) -> None:
        """Give back what is held."""
        if self.held is None:
            raise LinkError("no bill in escrow")
        type_, self.held = self.held, None
        self.returned.append(BILLS[type_])
        self._report(BillEventKind.RETURNED, type_)

    def accept(self, types: frozenset[int]) -> None:
        """Note what is wanted."""
        self.accepted = types


@dataclass
class InstantReader(_Sink):
    """A reader whose card says yes or no as it is told."""

    approves: bool = True
    refund: RefundOutcome = RefundOutcome.REFUNDED
    cancel: CancelOutcome | Charged = CancelOutcome.CANCELLED
    log: list[str] = field(default_factory=list)
    always_idle: bool = True
    name: DeviceName = DeviceName.CASHLESS1
    just_reset: bool = False
    info: ReaderInfo | None = None

    async def greet(self, known: Known) -> Greeting:
        """Answer at once."""
        del known
        return Greeting(present=True, just_reset=self.just_reset)

    async def start(self) -> None:
        """Be ready, and stay."""
        self.info = ReaderInfo(
            3, 1, 2, can_refund=True, multivend=False, cash_sale=False,
            always_idle=self.always_idle,
        )  # fmt: skip
        self.log.append("start")
        self.out.notify(DeviceReady(self.name, self.info))
        await asyncio.Event().wait()

    def enable(self, on: bool) -> None:
        """Take note of nothing: cards come by script."""

    def set_prices(self, prices: Collection[int]) -> None:
        """Any price can be sent."""

    def cancel_reading(self) -> None:
        """No card is ever held."""

    async def request_vend(self, price: int, item: int) -> Approved | Denied | Charged:
        """Answer as told."""
        self.log.append(f"request {price} {item}")
        return Approved(price) if self.approves else Denied("declined")

    async def cancel_vend(self, refundable: bool | None = None) -> CancelOutcome | Charged:
        """Answer as told."""
        del refundable
        self.log.append("cancel")
        return self.cancel

    async def vend_success(self, item: int) -> SettleOutcome:
        """Charge."""
        self.log.append(f"success {item}")
        return SettleOutcome.DONE

    async def vend_failure(self, refundable: bool | None = None) -> RefundOutcome:
        """Refund, or not, as told."""
        del refundable
        self.log.append("failure")
        return self.refund

    async def end_session(self) -> None:
        """End."""
        self.log.append("end")

    async def cash_sale(self, price: int, item: int) -> None:
        """Not wanted."""

    async def verify_age(self, age: int) -> AgeAnswer:
        """Say nothing."""
        del age
        return AgeAnswer.UNSUPPORTED

    async def cancel_age(self) -> None:
        """Nothing waits."""

    async def revalue_limit(self) -> int | None:
        """Not possible."""
        return None

    async def revalue(self, amount: int) -> bool:
        """Not possible."""
        del amount
        return False

    async def revalue_evidence(self) -> RevalueOutcome:
        """Nobody knows."""
        return RevalueOutcome.UNKNOWN


@dataclass
class InstantDispenser:
    """Columns that drop at once, or do what ``script`` says, turn by turn."""

    script: list[DispenseOutcome] = field(default_factory=list)
    check: SensorCheck = SensorCheck.READY
    known: DispenseEvidence = field(default_factory=lambda: DispenseEvidence(None, None))
    turns: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    off: int = 0

    async def check_sensor(self, column: str, *, again: bool = False) -> SensorCheck:
        """Answer as told."""
        del column, again
        return self.check

    async def turn(self, column: str, *, extra: bool = False) -> DispenseResult:
        """Do what the script says."""
        self.turns.append(column + ("+" if extra else ""))
        outcome = self.script.pop(0) if self.script else DispenseOutcome.DROPPED
        drops = int(outcome is DispenseOutcome.DROPPED)
        if drops:
            self.dropped.append(column)
        return DispenseResult(outcome, 1.0, drops)

    async def evidence(self, column: str) -> DispenseEvidence:
        """Answer as told."""
        del column
        return self.known

    def all_off(self) -> None:
        """Count it."""
        self.off += 1


@dataclass
class InstantPanel:
    """A display and a buzzer that remember."""

    shown: list[tuple[str, ...]] = field(default_factory=list)
    tones: list[Tone] = field(default_factory=list)

    def show(self, lines: Sequence[str]) -> None:
        """Remember."""
        self.shown.append(tuple(lines))

    def beep(self, tone: Tone) -> None:
        """Remember."""
        self.tones.append(tone)


@dataclass
class InstantHardware:
    """All of it, as the brain's hands."""

    changer: InstantChanger = field(default_factory=InstantChanger)
    bill: InstantBill = field(default_factory=InstantBill)
    reader: InstantReader = field(default_factory=InstantReader)
    dispenser: InstantDispenser = field(default_factory=InstantDispenser)
    panel: InstantPanel = field(default_factory=InstantPanel)

    def hands(self) -> Hands:
        """Return the hands."""
        return Hands(
            dispenser=self.dispenser,
            display=self.panel,
            buzzer=self.panel,
            changer=self.changer,
            bill=self.bill,
            readers={self.reader.name: self.reader},
        )

    def bind(self, sink: DeviceSink) -> None:
        """Tell every device where to report."""
        for device in (self.changer, self.bill, self.reader):
            device.bind(sink)
