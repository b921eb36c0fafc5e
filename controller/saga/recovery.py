"""Recovery on boot, as one table: last durable record of a saga -> what is asked, and of whom.

The order is fixed, because a RESET charges every approved card, aborts a payout and returns the
bill in escrow:

1. *greet*: every device is polled without a RESET; money it still held is journaled.
2. *ask*: acts with an intent and no outcome are cleared up with the hardware (latch, reader,
   changer, stacker), and approved vends get SUCCESS or FAILURE.
3. *start*: devices are reset and initialised.
4. *count*: tubes and stacker are compared with the ledger.
5. *end*: every open saga is driven to its end (refunds, payouts, claims); then the machine sells.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from controller.faults import FaultCode
from controller.journal import records as rec
from controller.machine import promises
from controller.machine.desk import Desk
from controller.machine.effects import (
    CancelApproval,
    CountStacker,
    CountTubes,
    Failed,
    Greet,
    PayoutEvidenceAfterRestart,
    ReadEvidence,
    RevalueEvidence,
    Settle,
    StartDevice,
    Wake,
)
from controller.machine.table import Mode, Trigger
from controller.ports import (
    CancelOutcome,
    Charged,
    DeviceName,
    DispenseEvidence,
    DispenseOutcome,
    Greeting,
    PayoutEvidence,
    RefundOutcome,
    SettleOutcome,
    TubeCounts,
)
from controller.saga import cards, jackpot, proofs, revalue, rights, vend
from controller.state.saga import Saga

START_DEADLINE_S: Final = 15.0  # a device that takes longer joins later; the machine sells without


class Phase(StrEnum):
    """Where recovery stands."""

    GREET = "greet"
    ASK = "ask"
    START = "start"
    COUNT = "count"
    END = "end"
    DONE = "done"


@dataclass(slots=True)
class Recovery:
    """Progress of one boot. ``waiting`` names what the phase still waits for."""

    devices: tuple[DeviceName, ...]
    phase: Phase = Phase.GREET
    waiting: set[str] = field(default_factory=set)
    asked: set[tuple[int, str]] = field(default_factory=set)
    sagas: tuple[int, ...] = ()
    by_latch: list[int] = field(default_factory=list)  # sagas that the drop latch alone decided


def begin(desk: Desk, devices: tuple[DeviceName, ...]) -> Recovery:
    """Start with the greetings."""
    recovery = Recovery(devices, sagas=tuple(desk.state.sagas))
    rights.end_old(desk)
    if desk.mode is Mode.BOOTING:  # else asked to stop before it began: what is open ends first
        desk.fire(Trigger.START)
    for name in devices:
        recovery.waiting.add(name.value)
        desk.do(Greet(name))
    proceed(desk, recovery)
    return recovery


def greeted(desk: Desk, recovery: Recovery, device: DeviceName, result: Greeting | Failed) -> None:
    """A device's first contact is over."""
    greeting = Greeting(present=False) if isinstance(result, Failed) else result
    desk.live.greetings[device] = greeting
    recovery.waiting.discard(device.value)
    proceed(desk, recovery)


def started(desk: Desk, recovery: Recovery, device: DeviceName) -> None:
    """A device is ready, or is known to be silent."""
    recovery.waiting.discard(device.value)
    proceed(desk, recovery)


def deadline(desk: Desk, recovery: Recovery) -> None:
    """Go on without the devices that are not ready yet."""
    if recovery.phase in (Phase.START, Phase.COUNT):
        recovery.waiting.clear()
        proceed(desk, recovery)


def proceed(desk: Desk, recovery: Recovery) -> None:
    """Go to the next phase when nothing is waited for any more."""
    while not recovery.waiting and recovery.phase is not Phase.DONE:
        match recovery.phase:
            case Phase.GREET:
                recovery.phase = Phase.ASK
            case Phase.ASK:
                if _ask(desk, recovery):
                    return
                recovery.phase = Phase.START
                for name in recovery.devices:
                    desk.do(StartDevice(name))
                    if _present(desk, name):
                        recovery.waiting.add(name.value)
                desk.do(Wake("recovery", START_DEADLINE_S))
            case Phase.START:
                recovery.phase = Phase.COUNT
                if DeviceName.CHANGER in desk.live.ready:
                    recovery.waiting.add("tubes")
                    desk.do(CountTubes("boot"))
                if DeviceName.BILL in desk.live.ready:
                    recovery.waiting.add("stacker")
                    desk.do(CountStacker("boot"))
            case Phase.COUNT:
                recovery.phase = Phase.END
                for saga in list(desk.state.sagas.values()):
                    if saga.intent == "payout":
                        proofs.wait_for_proof(desk, saga)
                    vend.advance(desk, saga)
            case _:
                _finish(desk, recovery)
                return


def _finish(desk: Desk, recovery: Recovery) -> None:
    """Sell, once every saga has ended."""
    if desk.state.sagas:
        return
    if desk.state.basket_due and vend.give_credit_back(desk, "basket") and desk.state.sagas:
        return  # its customer was served in part when the last life ended
    recovery.phase = Phase.DONE
    jackpot.hold_to_policy(desk)  # it may be another one than in the life before
    desk.write(rec.BootFinished(sagas=recovery.sagas))
    if desk.state.credit.total:
        desk.credit_is_new()
    promises.after_restart(desk)
    if desk.mode is Mode.RECOVERING:
        desk.fire(Trigger.ENTER_SERVICE if desk.state.service_by else Trigger.RECOVERED)


def will_ask(recovery: Recovery | None) -> bool:
    """Tell whether readers are still to be asked about what is open."""
    return recovery is None or recovery.phase in (Phase.GREET, Phase.ASK)


def _present(desk: Desk, name: DeviceName) -> bool:
    greeting = desk.live.greetings.get(name)
    return greeting is not None and greeting.present


def _was_reset(desk: Desk, saga: Saga, name: DeviceName) -> bool:
    """Tell whether the device lost what it knew of a saga: a power cut, or a bus break.

    It says so only once, and a boot that died since may have heard it.
    """
    greeting = desk.live.greetings.get(name)
    told = greeting is not None and greeting.just_reset
    return told or desk.state.power_cut_since(saga)


def _can_tell(desk: Desk, reader: DeviceName, *, reset: bool) -> bool:
    """Tell whether a reader can still know of a saga, and is there to be asked."""
    if reader.value in desk.live.approved_again:
        return True
    return _present(desk, reader) and not reset


def _ask(desk: Desk, recovery: Recovery) -> bool:
    """Ask the hardware about every unfinished act; True while an answer is awaited."""
    for saga in list(desk.state.sagas.values()):
        key = (saga.vend, f"{saga.intent} {len(saga.turns)} {saga.card}")
        if key in recovery.asked:
            continue
        recovery.asked.add(key)
        if _ask_about(desk, saga):
            recovery.waiting.add(f"saga {saga.vend}")
            return True
    return False


def _ask_about(desk: Desk, saga: Saga) -> bool:
    """Take one row of the table; True if an effect will answer."""
    match saga.intent:
        case "dispense":
            desk.do(ReadEvidence(saga.vend, saga.column))
            return True
        case "approval":
            reader = DeviceName(saga.device)
            if _can_tell(desk, reader, reset=_was_reset(desk, saga, reader)):
                begun = saga.cancel_intended
                if not begun:
                    desk.write(rec.ApprovalCancelIntended(device=saga.device), saga.vend)
                desk.do(
                    CancelApproval(
                        saga.vend,
                        reader,
                        after_restart=True,
                        begun=begun,
                        refundable=saga.card_refundable,
                    )
                )
                return True
            cancelled(desk, saga, CancelOutcome.UNKNOWN)
        case "settle":
            reset = _was_reset(desk, saga, DeviceName(saga.device))
            return _settle_again(desk, saga, saga.intent_success, reset=reset, told_before=True)
        case "revalue":
            reader = DeviceName(saga.device)
            if _present(desk, reader) and not _was_reset(desk, saga, reader):
                desk.do(RevalueEvidence(saga.vend, reader))
                return True
            revalue.book(desk, saga, "unknown", "after restart")
        case "payout":
            payer = DeviceName(saga.paying)
            if _present(desk, payer):
                desk.do(PayoutEvidenceAfterRestart(saga.vend, payer))
                return True
        case _:
            pass
    if saga.intent:
        return False
    if saga.kind == "vend" and not saga.dispensed and not saga.failed:
        # Before the (next) dispense intent: compensate everything.
        desk.write(rec.DispenseRefused(column=saga.column, reason="restart"), saga.vend)
    if saga.card == "approved":
        # The reader must hear it before any RESET, which would charge the card. Whether the power
        # went is asked before the intent, which is one of this start.
        reset = _was_reset(desk, saga, DeviceName(saga.device))
        desk.write(
            rec.SettleIntended(
                device=saga.device,
                success=saga.dispensed,
                item=saga.item,
                amount=saga.card_amount,
            ),
            saga.vend,
        )
        return _settle_again(desk, saga, saga.dispensed, reset=reset, told_before=False)
    return False


def _settle_again(desk: Desk, saga: Saga, success: bool, *, reset: bool, told_before: bool) -> bool:
    """Tell the reader (again), unless it can't know the vend any more.

    A reader that was reset has charged, unless it had heard VEND FAILURE before.
    """
    reader = DeviceName(saga.device)
    if not success and saga.refund_refused:
        cards.book_settle(desk, saga, success=False, result=RefundOutcome.REFUSED)
        return False
    if _can_tell(desk, reader, reset=reset):
        card = saga.card_refundable
        desk.do(Settle(saga.vend, reader, success, saga.item, after_restart=True, refundable=card))
        return True
    if success:
        cards.book_settle(desk, saga, success=True, result=SettleOutcome.RESET)
    elif reset and not told_before:
        cards.book_settle(desk, saga, success=False, result=RefundOutcome.CHARGED)
    else:
        cards.book_settle(desk, saga, success=False, result=RefundOutcome.UNKNOWN)
    return False


def evidence_read(desk: Desk, saga: Saga, result: DispenseEvidence | Failed) -> None:
    """What the latch and the home switch say about a turn that nobody watched to its end.

    The latch is outside of vendd and keeps what fell; a power cut clears it, and then it proves
    nothing. The home switch decides nothing: a motor at home may never have started or have gone
    all the way round, and one that is off home may have let its product fall or not. It stands in
    the record's detail, for who looks at a flagged vend.
    """
    cut = desk.state.power_cut_since(saga)
    latched = None if isinstance(result, Failed) or cut else result.latched
    at_home = None if isinstance(result, Failed) else result.at_home
    detail = f"after restart; latch {latched}, home {at_home}, power cut {cut}"
    if latched is None:
        outcome, proof, drops = DispenseOutcome.UNKNOWN, "none", 0
    elif latched:
        outcome, proof, drops = DispenseOutcome.DROPPED, "latch", 1
    else:
        outcome, proof, drops = DispenseOutcome.NOT_SEEN, "latch", 0
    column = saga.column
    desk.write(
        rec.DispenseFinished.model_validate(
            {
                "column": column,
                "outcome": outcome.value,
                "drops": drops,
                "proof": proof,
                "detail": detail,
            }
        ),
        saga.vend,
    )
    if outcome is DispenseOutcome.UNKNOWN:
        desk.flag("drop not known", saga.vend, saga.price)
        desk.write(rec.DispenseDecided(column=column, policy=desk.policy.on_unknown), saga.vend)
    elif outcome is DispenseOutcome.NOT_SEEN:
        desk.write(rec.DispenseRefused(column=column, reason="restart"), saga.vend)


def latch_doubted(desk: Desk, recovery: Recovery) -> None:
    """The drop sensor fails its self-test: what its latch said at this start proves nothing."""
    desk.raise_fault("sensor", FaultCode.SENSOR_BLIND, "found by the look behind a restart")
    for vend_seq in recovery.by_latch:
        desk.flag("drop not known", vend_seq)
    recovery.by_latch.clear()


def cancelled(
    desk: Desk, saga: Saga, result: CancelOutcome | Charged | Failed, *, begun: bool = False
) -> None:
    """What became of a VEND REQUEST that was open when vendd died.

    ``begun``: a life before had begun to cancel it.
    """
    if saga.intent != "approval":
        return
    if isinstance(result, Charged):
        data = cards.charged(saga, result)
    elif saga.refund_refused:
        # It said so, whatever else it says: by now it is in no vend any more. How much it had
        # approved, which may be less than was asked for, it may have told a life that is over.
        if not saga.kept_known:
            desk.flag("approval unknown", saga.vend, saga.card_amount)
        data = rec.ApprovalFinished(
            device=saga.device, outcome="charged", amount=saga.card_amount, detail="after restart"
        )
    elif result is CancelOutcome.NO_VEND and begun:
        data = _cancelled_before(desk, saga)
    elif not isinstance(result, Failed) and result is not CancelOutcome.UNKNOWN:
        data = rec.ApprovalFinished(
            device=saga.device, outcome="cancelled", detail=f"after restart: {result}"
        )
    else:
        desk.flag("approval unknown", saga.vend, saga.card_amount)
        data = rec.ApprovalFinished(
            device=saga.device, outcome="unknown", amount=saga.card_amount, detail="after restart"
        )
    desk.write(data, saga.vend)


def _cancelled_before(desk: Desk, saga: Saga) -> rec.ApprovalFinished:
    """The life before had begun to cancel it: how that ended, the reader told nobody else.

    One that can refund has done so if it was approved at all, but for an error that it said once.
    One that can't has charged what it had approved.
    """
    info = desk.state.devices.get(saga.device) or {}
    card = saga.card_refundable
    refunds = (info.get("can_refund", False) if card is None else card) and info.get("level", 1) > 1
    if refunds:
        desk.flag("card refund already", saga.vend, saga.card_amount)
        return rec.ApprovalFinished(
            device=saga.device, outcome="cancelled", detail="by the life before"
        )
    desk.flag("approval unknown", saga.vend, saga.card_amount)
    return rec.ApprovalFinished(
        device=saga.device, outcome="unknown", amount=saga.card_amount, detail="by the life before"
    )


def payout_cleared(desk: Desk, saga: Saga, result: PayoutEvidence | Failed) -> None:
    """The device told what it paid; the refund itself goes on after the count."""
    if saga.intent != "payout":
        return
    if isinstance(result, Failed) or not result.idle:
        return  # silent, or busy for ever: its RESET ends that, and then the tubes are asked
    if result.tubes is None and result.status is None:
        return  # a recycler that was reset tells nothing before it is initialised
    if desk.state.power_cut_since(saga):
        result = replace(result, was_reset=True)
    proofs.book_payout(desk, saga, result)


def payout_counted(desk: Desk, saga: Saga, counts: TubeCounts) -> None:
    """The device is initialised and counted: its counts are the only proof that is left."""
    proofs.book_payout(desk, saga, PayoutEvidence(idle=True, tubes=counts))
