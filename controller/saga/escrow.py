"""A bill that waits in escrow: its customer's credit, until a vend needs it or it goes back.

It is stacked when a cash vend is authorised, in a mixed vend after the card's approval; with a
reader that can't refund before the card is asked, and then only if its worth can be paid back in
change (MDB/ICP 4.2, section 7). Coin return, and any end that gives credit back, returns the bill
itself. While one waits no other can come: coins or a card pay the rest. Once it is plain that it
does not suffice and that no card pays, "auto" has it stacked, so that the next bill can come.
"""

from __future__ import annotations

from enum import Enum, unique
from typing import Final

from controller.domain.tubes import can_change
from controller.journal import records as rec
from controller.machine.desk import READERS, Desk
from controller.machine.effects import ReturnBill, StackBill, Wake
from controller.panel.view import Message
from controller.ports import DeviceName, ReaderInfo
from controller.state.cash import Escrow
from controller.state.saga import Saga

STOPPING_S: Final = 8.0  # for a bill on its way when the machine stops; then its start finds it
ESCROW_DEADLINE_S: Final = 32.0  # the result of ESCROW is due within 30 s (MDB/ICP 4.2, section 6)
TELLS_REFUNDS: Final = 2  # from this level on a reader can say that it could not refund


@unique
class Secured(Enum):
    """Whether the part of a price that a bill pays is locked."""

    YES = "yes"
    ON_ITS_WAY = "on its way"  # into the stacker
    GONE = "gone"  # it will not be ours: the vend has failed


def waits(desk: Desk, credit: int) -> bool:
    """Tell whether a bill that has just come waits; ``credit`` is what there is with it.

    "auto": it waits where a card may have to pay the rest, else it is stacked at once.
    """
    match desk.policy.escrow:
        case "hold":
            return True
        case "keep":
            return False
        case "auto":
            dearer = any(price > credit for price in desk.planogram.prices())
            return dearer and any(map(desk.takes_cards, READERS))


def waiting(desk: Desk) -> Escrow | None:
    """Return the bill that waits and can be had: its validator answers."""
    bill = desk.state.escrow
    if bill is None or not bill.waits or DeviceName.BILL not in desk.live.ready:
        return None
    return bill


def make_room(desk: Desk) -> None:
    """Have a bill that does not suffice stacked: another may be what its customer has.

    Only under "auto", and only if its worth can be paid back: it will not come back itself.
    """
    bill = waiting(desk)
    if desk.policy.escrow == "auto" and bill is not None and worth_returnable(desk, bill):
        stack(desk, None)


def hand_back(desk: Desk, reason: str) -> int:
    """Return the bill that waits to its customer; its value, 0 when there is none."""
    bill = waiting(desk)
    if bill is None:
        return 0
    desk.write(
        rec.BillReturnIntended(device=bill.device, bill=bill.bill, value=bill.value, reason=reason)
    )
    desk.do(ReturnBill())
    desk.live.escrow_asked = True
    desk.do(Wake("escrow", ESCROW_DEADLINE_S))
    desk.tell(Message.BILL_BACK, amount=bill.value)
    return bill.value


def stack(desk: Desk, saga: Saga | None) -> None:
    """Make the bill in escrow ours, for a vend or for no certain one."""
    bill = desk.state.escrow
    assert bill is not None, "there is one"
    desk.write(
        rec.StackIntended(
            device=bill.device, bill=bill.bill, value=bill.value, stacker=desk.state.stacker
        ),
        None if saga is None else saga.vend,
    )
    desk.do(StackBill())
    desk.live.escrow_asked = True
    desk.do(Wake("escrow", ESCROW_DEADLINE_S))


def secure(desk: Desk, saga: Saga) -> Secured:
    """Lock what the bill in escrow pays of a vend's price; have it stacked before."""
    if not saga.bill_due:
        return Secured.YES
    bill = desk.state.escrow
    if not saga.bill_asked:
        if waiting(desk) is None:
            return _fails(desk, saga, "bill gone")
        stack(desk, saga)
        if saga.card != "approved":
            desk.tell(Message.STARTING, seconds=ESCROW_DEADLINE_S)
        return Secured.ON_ITS_WAY
    if bill is not None:
        waited = desk.live.bill_until is not None and desk.now >= desk.live.bill_until
        ours = not waited and bill.vend == saga.vend and bill.asked == "stack" and not bill.claimed
        return Secured.ON_ITS_WAY if ours else _fails(desk, saga, "bill not stacked")
    picked = desk.state.credit.pick(saga.bill_due)
    if picked is None:
        return _fails(desk, saga, "bill not stacked")
    desk.write(
        rec.CreditAuthorised(
            coins=picked.coins, bills=picked.bills, lots=picked.lots, product=picked.product
        ),
        saga.vend,
    )
    return Secured.YES


def _fails(desk: Desk, saga: Saga, why: str) -> Secured:
    desk.write(rec.DispenseRefused(column=saga.column, reason=why), saga.vend)
    return Secured.GONE


def stacked_first(desk: Desk, reader: DeviceName) -> bool:
    """Tell whether the bill must be ours before this reader is asked: it could not undo it."""
    info = desk.live.ready.get(reader)
    can = isinstance(info, ReaderInfo) and info.can_refund and info.level >= TELLS_REFUNDS
    if desk.live.session is reader and desk.live.session_refundable is not None:
        can = can and desk.live.session_refundable
    return not can


def worth_returnable(desk: Desk, bill: Escrow) -> bool:
    """Tell whether the tubes could pay the bill's worth back, with the credit beside it."""
    return can_change(bill.value + desk.state.credit.cash, desk.tubes())
