"""What a payout did, by its evidence; and what a count of tubes or recycler tells beside the books.

A device that falls silent while it pays is asked again when it is back; until the deadline makes
what it paid unknown.
"""

from __future__ import annotations

from typing import Final

from controller.faults import FaultCode
from controller.journal import records as rec
from controller.machine.desk import Desk
from controller.machine.effects import CountStacker, CountTubes, Failed, Wake
from controller.panel.view import Message
from controller.ports import BillInfo, DeviceName, PayoutEvidence, TubeCounts
from controller.saga import patience
from controller.saga.payout import reconcile
from controller.state.saga import Saga

PAYOUT_RETRY_S: Final = 3.0  # between two looks for a changer that is away


def payer_ready(desk: Desk, device: DeviceName) -> bool:
    """Tell whether a changer or recycler answers, and has been counted."""
    live = desk.live
    info = live.ready.get(device)
    if device is DeviceName.BILL:
        return isinstance(info, BillInfo) and bool(info.recycles) and live.stacker_checked
    return info is not None and live.tubes_checked


def payout_finished(desk: Desk, saga: Saga, result: PayoutEvidence | Failed) -> None:
    """Coins or bills have left, or not."""
    if saga.intent != "payout":
        return
    if isinstance(result, Failed) and not result.unknown:
        desk.write(
            rec.PayoutFinished(
                ordered=saga.ordered, paid=(), proof="tubes", certain=True, device=saga.paying
            ),
            saga.vend,
        )
        patience.paid_short(desk, saga)
        return
    evidence = PayoutEvidence(idle=False) if isinstance(result, Failed) else result
    if evidence.tubes is None and not _is_account(desk, saga, evidence.status):
        # It fell silent. What it paid its tubes will tell, when they can be asked again.
        wait_for_proof(desk, saga)
        return
    book_payout(desk, saga, evidence, seen=evidence.idle and not evidence.was_reset)


def _is_account(desk: Desk, saga: Saga, status: tuple[int, ...] | None) -> bool:
    """Tell whether a changer's own account can be booked from without its tubes.

    One of more than was ordered may be another device's answer in front of it, which shifts every
    count to the next type.
    """
    values = {type_: value for type_, value, _ in desk.state.pieces_of(saga.paying)}
    return status is not None and (
        sum(values.get(type_, 0) * n for type_, n in enumerate(status)) <= saga.ordered
    )


def wait_for_proof(desk: Desk, saga: Saga) -> None:
    """Nobody can say yet what a payout paid: ask the tubes when the changer answers again."""
    desk.live.unproved.add(saga.vend)
    desk.live.settling_since[saga.vend] = desk.now
    _look_again(desk, saga)


def _look_again(desk: Desk, saga: Saga) -> None:
    device = DeviceName(saga.paying)
    if payer_ready(desk, device):
        bills = device is DeviceName.BILL
        desk.do(CountStacker("check") if bills else CountTubes("check"))
    desk.do(Wake(f"payout {saga.vend}", PAYOUT_RETRY_S))
    desk.tell(Message.STARTING, seconds=PAYOUT_RETRY_S * 2)


def look_for_changer(desk: Desk, saga: Saga) -> None:
    """Wait on for the proof of a payout, until the deadline makes it unknown."""
    if saga.intent != "payout" or saga.vend not in desk.live.unproved:
        return
    if desk.now - desk.live.settling_since[saga.vend] < patience.limit_s(desk):
        _look_again(desk, saga)
        return
    desk.live.unproved.discard(saga.vend)
    book_payout(desk, saga, PayoutEvidence(idle=False))


def payout_proved(desk: Desk, saga: Saga, counts: TubeCounts) -> None:
    """The device is back, initialised (which ends any payout) and counted."""
    desk.live.unproved.discard(saga.vend)
    desk.live.settling_since.pop(saga.vend, None)
    book_payout(desk, saga, PayoutEvidence(idle=True, tubes=counts))


def book_payout(desk: Desk, saga: Saga, evidence: PayoutEvidence, *, seen: bool = False) -> None:
    """Write down what a payout did, and any difference of the tubes that it does not explain.

    ``seen``: from the order to its end, so that nothing but the device itself cut it short.
    """
    asked = None if saga.by_value else frozenset(type_ for type_, _ in saga.plan)
    bills = saga.paying == DeviceName.BILL.value
    pieces = desk.state.pieces_of(saga.paying)
    then = {type_: count for type_, _, count in desk.live.held_then.pop(saga.vend, pieces)}
    since = {type_: count - then.get(type_, count) for type_, _, count in pieces}
    done = reconcile(saga.ordered, pieces, evidence, asked, since)
    if done.amount > saga.ordered:
        desk.flag("payout paid too much", saga.vend, done.amount - saga.ordered)
    elif not done.certain:
        desk.flag("payout unknown", saga.vend, saga.ordered - done.amount)
    desk.write(
        rec.PayoutFinished(
            ordered=saga.ordered,
            paid=done.paid,
            proof=done.proof,
            certain=done.certain,
            device=saga.paying,
        ),
        saga.vend,
    )
    if done.amount == saga.ordered and done.certain:
        desk.clear_fault(saga.paying, FaultCode.CHANGER_PAID_OTHER)
    elif done.amount > saga.ordered or (seen and done.certain):
        words = f"{desk.money(done.amount)} instead of {desk.money(saga.ordered)}"
        desk.raise_fault(saga.paying, FaultCode.CHANGER_PAID_OTHER, words)
    if done.amount < saga.ordered:
        patience.paid_short(desk, saga)
    if evidence.tubes is not None and bills:
        book_recycler(desk, evidence.tubes, "payout")
    elif evidence.tubes is not None:
        desk.live.defective_tubes = evidence.tubes.defective
        book_tubes(desk, evidence.tubes, "payout")


def book_tubes(desk: Desk, counted: TubeCounts, cause: str) -> None:
    """Compare a tube count with the ledger and write down any difference."""
    first = cause == "first_start"
    rows = differences(desk, counted, all_rows=first)
    if rows or first:
        desk.write(rec.TubesCounted.model_validate({"cause": cause, "tubes": rows}))


def book_recycler(desk: Desk, counted: TubeCounts, cause: str) -> None:
    """As ``book_tubes``, for the recycler's bills."""
    desk.live.defective_recycler = counted.defective
    first = not desk.state.recycler_counted
    bills = DeviceName.BILL.value
    rows = differences(desk, counted, bills, all_rows=first)
    if rows or first:
        cause = "first_start" if first else cause
        desk.write(rec.RecyclerCounted.model_validate({"cause": cause, "bills": rows}))


def differences(
    desk: Desk,
    counted: TubeCounts,
    device: str = DeviceName.CHANGER.value,
    *,
    all_rows: bool = False,
) -> tuple[tuple[int, int, int, int], ...]:
    """Return (type, value, counted, believed) of each tube whose count is another.

    A defective tube tells nothing, and a capped count nothing about the coins beyond it.
    """
    rows = []
    for type_, value, believed in desk.state.pieces_of(device):
        count = counted.counts[type_] if type_ < len(counted.counts) else 0
        capped = count >= counted.cap and believed > count
        if type_ in counted.defective or (not all_rows and (count == believed or capped)):
            continue
        rows.append((type_, value, count, believed))
    return tuple(rows)
