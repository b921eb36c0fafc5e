"""Counts of tubes, stacker and recycler: proof of a payout, or compared with the ledger."""

from __future__ import annotations

from typing import Final

from controller.faults import FaultCode
from controller.journal import records as rec
from controller.machine import effects as fx
from controller.machine import recovering
from controller.machine.cash import CashHandling
from controller.machine.desk import Desk
from controller.machine.inputs import CommandRefused
from controller.ports import BillInfo, ChangerInfo, DeviceName, StackerCount, TubeCounts
from controller.saga import proofs, vend
from controller.saga import recovery as boot

RECOUNT_S: Final = 1.0  # some polls: whatever the changer had to tell is told by then


def tubes_counted(
    desk: Desk, recovery: boot.Recovery | None, cause: str, result: TubeCounts | fx.Failed
) -> None:
    """Take the coins that the tubes hold; what is sold or paid back goes on behind it."""
    if isinstance(result, TubeCounts):
        desk.live.defective_tubes = result.defective
        proof = _proves_payout(desk, recovery, DeviceName.CHANGER, result)
        if not proof and not _told_twice(desk, cause, result):
            desk.do(fx.Wake(f"recount {cause}", RECOUNT_S))
            return
        if not proof and not desk.tubes_out:  # counted when they are back
            if desk.live.staff_counts:
                cause = "fill"  # whoever asked first: the door closes as the visit ends
            first = not desk.state.tubes_counted
            if "tubes" in desk.live.replies and not proofs.differences(desk, result):
                # A technician has counted, and the books are right.
                desk.clear_fault(DeviceName.CHANGER.value, FaultCode.CHANGER_PAID_OTHER)
            proofs.book_tubes(desk, result, "first_start" if first else cause)
            desk.live.staff_counts = False
        # A device that is being reset is counted once more when it is ready.
        desk.live.tubes_checked = DeviceName.CHANGER in desk.live.ready
    elif DeviceName.CHANGER in desk.live.ready:
        desk.do(fx.Wake(f"tubes {cause}", 5.0))
    recovering.counted(desk, recovery, "tubes")
    tubes = [{"type": t, "value": v, "count": n} for t, v, n in desk.state.tube_coins()]
    desk.answer("tubes", {"ok": isinstance(result, TubeCounts), "tubes": tubes})
    for open_saga in list(desk.state.sagas.values()):
        if recovery is None or recovery.phase in (boot.Phase.END, boot.Phase.DONE):
            vend.advance(desk, open_saga)


def coins_poured(desk: Desk, result: TubeCounts | fx.Failed) -> None:
    """Take what staff have poured into the tubes."""
    if isinstance(result, TubeCounts):
        proofs.book_tubes(desk, result, "fill")
        tubes = [{"type": t, "value": v, "count": n} for t, v, n in desk.state.tube_coins()]
        desk.answer("pour", {"ok": True, "tubes": tubes})
        return
    reply = desk.live.replies.pop("pour", None)
    if reply is not None and not reply.done():
        reply.set_exception(CommandRefused(result.detail))


def _told_twice(desk: Desk, cause: str, counts: TubeCounts) -> bool:
    """Tell whether a count may be booked: not while a difference may be a coin not yet told.

    A coin lies in its tube before a poll tells of it. After a reset there is none such.
    """
    differs = proofs.differences(desk, counts)
    again, desk.live.tubes_doubt = desk.live.tubes_doubt, differs
    return cause == "boot" or not differs or differs == again


def stacker_counted(
    desk: Desk,
    recovery: boot.Recovery | None,
    cash: CashHandling,
    result: StackerCount | fx.Failed,
    cause: str,
) -> None:
    """Take the bills that stacker and recycler hold."""
    if DeviceName.BILL not in desk.live.ready:
        pass  # lost or reset meanwhile: the count after its reset tells what became of a bill
    elif isinstance(result, StackerCount):
        desk.live.stacker_full = result.full
        cash.stacker_counted(result, after_reset=cause == "boot")
        desk.live.stacker_checked = True
        if result.recycler is not None:
            _recycler_counted(desk, recovery, result.recycler, cause)
    else:
        desk.do(fx.Wake(f"stacker {cause}", 5.0))
    recovering.counted(desk, recovery, "stacker")


def _recycler_counted(
    desk: Desk, recovery: boot.Recovery | None, counts: TubeCounts, cause: str
) -> None:
    """Take the bills that a recycler holds: proof of a payout, or compared with the ledger.

    A difference is booked as one of the tubes is: when it is no bill that nobody told of yet.
    """
    if _proves_payout(desk, recovery, DeviceName.BILL, counts):
        return
    differs = proofs.differences(desk, counts, DeviceName.BILL.value)
    again, desk.live.recycler_doubt = desk.live.recycler_doubt, differs
    if cause == "boot" or not differs or differs == again:
        proofs.book_recycler(desk, counts, cause)
    else:
        desk.do(fx.Wake(f"stacker {cause}", RECOUNT_S))


def _proves_payout(
    desk: Desk, recovery: boot.Recovery | None, device: DeviceName, counts: TubeCounts
) -> bool:
    """Take a count for a payout of this device that is under way, or waits for its proof.

    Returns:
        False: There is none; the count is compared with the ledger.
    """
    saga = desk.customer_saga()
    if saga is None or saga.intent != "payout" or saga.paying != device.value:
        return False
    if recovery is not None and recovery.phase is boot.Phase.COUNT:
        boot.payout_counted(desk, saga, counts)
    elif saga.vend in desk.live.unproved:
        proofs.payout_proved(desk, saga, counts)
    return True


def exchanged(desk: Desk, info: ChangerInfo | BillInfo) -> None:
    """Let go of what another changer or recycler held, before this one is counted.

    A type is a number of the device's own: where it is worth something else now, or has no tube, no
    count tells of the coins that were there. Whoever exchanged the device has them.
    """
    if isinstance(info, ChangerInfo):
        coins = {kind.type: kind.value for kind in info.coins if kind.in_tube}
        gone = [(t, v, 0, n) for t, v, n in desk.state.tube_coins() if n and coins.get(t) != v]
        if gone:
            desk.write(rec.TubesCounted(cause="fill", tubes=tuple(gone)))
            desk.live.staff_counts = True
        return
    # What is recycled the owner decides, and what is in there stays in there.
    bills = {kind.type: kind.value for kind in info.bills}
    gone = [(t, v, 0, n) for t, v, n in desk.state.recycler_bills() if n and bills.get(t, v) != v]
    if gone:
        desk.write(rec.RecyclerCounted(cause="fill", bills=tuple(gone)))
