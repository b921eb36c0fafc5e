"""Carrying effects out: which hand does it, and what it says; when, the runner knows.

What is asked of a device that is not there raises LinkError: nothing has happened.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from controller.faults import InvariantError, LinkError
from controller.machine import effects as fx
from controller.machine.desk import READERS, Desk
from controller.machine.plan import Planner
from controller.ports import (
    BillInfo,
    BillValidator,
    CardReader,
    Changer,
    ChangerInfo,
    DeviceName,
    Hands,
    Known,
    MdbDevice,
    PayoutEvidence,
    ReaderInfo,
    RevalueOutcome,
    StackerCount,
    TubeCounts,
)
from controller.state.state import State

_INFO: Final[dict[DeviceName, TypeAdapter[ChangerInfo | BillInfo | ReaderInfo]]] = {
    DeviceName.CHANGER: TypeAdapter(ChangerInfo),
    DeviceName.BILL: TypeAdapter(BillInfo),
    DeviceName.CASHLESS1: TypeAdapter(ReaderInfo),
    DeviceName.CASHLESS2: TypeAdapter(ReaderInfo),
}


def known(state: State, device: DeviceName) -> Known:
    """Return what the journal remembers of a device, for its driver's first words."""
    raw = state.devices.get(device.value)
    try:
        info = _INFO[device].validate_python(raw) if raw else None
    except ValidationError:
        info = None  # written by another version: it will be identified anew
    answer = bytes.fromhex(state.last_answers.get(device.value, ""))
    bills = device is DeviceName.BILL
    counts = state.recycler if bills else state.tubes
    counted = state.recycler_counted if bills else state.tubes_counted
    tubes = tuple(counts.get(t, 0) for t in range(16)) if counted else ()
    return Known(info, answer, tubes, state.stacker if state.stacker_counted else None)


class Performer:
    """Has the hands, the journal and the planner do what was decided."""

    def __init__(self, desk: Desk, hands: Hands, planner: Planner | None = None) -> None:
        """Bind the parts; without a planner no configuration of the fleet is judged."""
        self._desk = desk
        self._hands = hands
        self._planner = planner

    async def perform(self, effect: fx.Effect) -> Any:
        """Do what an effect says, and return what came of it; patience is the caller's.

        Raises:
            LinkError, PeerProtocolError: Nothing has happened.
            EffectUnknownError: It may have.
            InvariantError: It is an effect that begins and ends at once.
        """
        dispenser = self._hands.dispenser
        match effect:
            case fx.CheckSensor(column=column, again=again):
                return await dispenser.check_sensor(column, again=again)
            case fx.Turn(vend=vend, column=column, extra=extra):
                if not vend:  # a technician's test: what fell before is past
                    await dispenser.check_sensor(column)
                return await dispenser.turn(column, extra=extra)
            case fx.ReadEvidence(column=column):
                return await dispenser.evidence(column)
            case fx.Greet(device=device):
                return await self._device(device).greet(known(self._desk.state, device))
            case fx.StartDevice(device=device):
                return await self._device(device).start()
            case fx.CountTubes() | fx.PourCoins():
                return await self._coins(self._changer(), effect)
            case fx.Payout() | fx.PayoutEvidenceAfterRestart():
                return await self._payout(effect)
            case fx.RestoreBallast() | fx.JudgeConfig() | fx.HandOver():
                return await self._inside(effect)
            case fx.CountStacker() | fx.StackBill() | fx.ReturnBill():
                return await self._bills(self._bill(), effect)
            case _:
                return await self._card(effect)

    async def _inside(self, effect: fx.RestoreBallast | fx.JudgeConfig | fx.HandOver) -> Any:
        if isinstance(effect, fx.RestoreBallast):
            return await self._desk.journal.restore_ballast()
        if isinstance(effect, fx.HandOver):
            return await self._hand_over(effect)
        if self._planner is None:
            raise LinkError("this machine's configuration is its file alone")
        return await self._planner.judge(effect.proposal, effect.held, effect.prices)

    async def _hand_over(self, effect: fx.HandOver) -> bool:
        spool = self._hands.spool
        if spool is None:
            raise LinkError("no [update] spool is configured")
        if effect.look:
            return await spool.has(effect.name)
        await spool.put(effect.name, effect.content)
        return True

    async def _coins(self, changer: Changer, effect: fx.CountTubes | fx.PourCoins) -> TubeCounts:
        if isinstance(effect, fx.PourCoins):
            return await changer.pour(effect.type, effect.count)
        return await changer.tubes()

    async def _bills(
        self, bill: BillValidator, effect: fx.CountStacker | fx.StackBill | fx.ReturnBill
    ) -> StackerCount | None:
        match effect:
            case fx.CountStacker():
                return await bill.stacker()
            case fx.StackBill():
                await bill.stack()
            case fx.ReturnBill():
                await bill.return_bill()
        return None

    async def _payout(self, effect: fx.Payout | fx.PayoutEvidenceAfterRestart) -> PayoutEvidence:
        payer = self._bill() if effect.device is DeviceName.BILL else self._changer()
        if isinstance(effect, fx.Payout):
            return await payer.payout(effect.order)
        return await payer.payout_evidence()

    async def _card(self, effect: fx.Effect) -> Any:
        match effect:
            case fx.RequestApproval(device=device, amount=amount, item=item):
                return await self._reader(device).request_vend(amount, item)
            case fx.CancelApproval(device=device, refundable=refundable):
                return await self._reader(device).cancel_vend(refundable)
            case fx.Settle(device=device, success=True, item=item):
                return await self._reader(device).vend_success(item)
            case fx.Settle(device=device, refundable=refundable):
                return await self._reader(device).vend_failure(refundable)
            case fx.VerifyAge(device=device, age=age):
                return await self._reader(device).verify_age(age)
            case fx.CancelAge(device=device):
                return await self._reader(device).cancel_age()
            case fx.EndSession(device=device):
                return await self._reader(device).end_session()
            case fx.ReportCashSale(device=device, amount=amount, item=item):
                return await self._reader(device).cash_sale(amount, item)
            case fx.AskRevalueLimit() | fx.Revalue() | fx.RevalueEvidence():
                return await self._revalue(self._reader(effect.device), effect)
            case _:
                raise InvariantError(f"nobody carries out {effect}")

    async def _revalue(
        self, reader: CardReader, effect: fx.AskRevalueLimit | fx.Revalue | fx.RevalueEvidence
    ) -> int | RevalueOutcome | None:
        match effect:
            case fx.AskRevalueLimit():
                return await reader.revalue_limit()
            case fx.Revalue(amount=amount):
                return await reader.revalue(amount)
            case fx.RevalueEvidence():
                return await reader.revalue_evidence()

    # ----------------------------------------------------------------------------- devices

    def devices(self) -> list[DeviceName]:
        """Return which money devices there are."""
        names = []
        if self._hands.changer is not None:
            names.append(DeviceName.CHANGER)
        if self._hands.bill is not None:
            names.append(DeviceName.BILL)
        return [*names, *(name for name in READERS if name in self._hands.readers)]

    def _device(self, name: DeviceName) -> MdbDevice:
        if name is DeviceName.CHANGER:
            return self._changer()
        if name is DeviceName.BILL:
            return self._bill()
        return self._reader(name)

    def _changer(self) -> Changer:
        if self._hands.changer is None:
            raise LinkError("there is no coin changer")
        return self._hands.changer

    def _bill(self) -> BillValidator:
        if self._hands.bill is None:
            raise LinkError("there is no bill validator")
        return self._hands.bill

    def _reader(self, name: DeviceName) -> CardReader:
        reader = self._hands.readers.get(name)
        if reader is None:
            raise LinkError(f"there is no {name.value}")
        return reader
