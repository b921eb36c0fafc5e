"""An approval that nobody waits for: given back, or owed.

A reader that was given up over a request may approve it all the same, minutes later or behind a
restart, and its next reset makes the charge final. So VEND FAILURE goes first, as a saga of its
own: with an intent, with an outcome, and with a claim where the money does not go back.
"""

from __future__ import annotations

from controller.journal import records as rec
from controller.machine.desk import Desk
from controller.machine.promises import show_again
from controller.ports import DeviceName, LateApprovalReport
from controller.saga import cards
from controller.saga.give_back import open_claim
from controller.saga.strategy import Strategy
from controller.state.saga import Saga


def heard(desk: Desk, report: LateApprovalReport, *, may_ask: bool) -> None:
    """A reader approved what nobody waits for.

    Args:
        desk: The machine's.
        report: Of the driver.
        may_ask: The reader is to hear VEND FAILURE now; else recovery asks it.
    """
    device = report.device.value
    if any(_knows(saga, device) for saga in desk.state.sagas.values()):
        # Recovery asks the reader about that one, whatever its greeting said: a reader that has
        # truly been reset approves nothing.
        desk.live.approved_again.add(device)
        return
    request, asked = desk.state.cards_asked.get(device, (0, 0))
    saga = desk.open(rec.LateApprovalOpened(device=device, request=request))
    # What no vend of ours is without a claim for was sold, or is promised: it is only given back.
    told = asked if report.amount is None else report.amount
    data = rec.ApprovalFinished(
        device=device, outcome="approved", amount=told if request else 0,
        token=report.amount is None, detail="nobody waited for it",
    )  # fmt: skip
    desk.write(data, saga.vend)
    if may_ask:
        advance(desk, saga)


def _knows(saga: Saga, device: str) -> bool:
    return saga.device == device and (saga.intent == "approval" or saga.card == "approved")


def advance(desk: Desk, saga: Saga) -> None:
    """Take the next step: tell the reader; then promise what it does not give back; then close."""
    if saga.card == "approved":
        cards.tell_outcome(desk, saga, success=False)
        return
    if saga.card == "lost" and saga.card_amount:
        open_claim(desk, saga, saga.card_amount, "card", "the reader could not refund")
    desk.write(
        rec.VendClosed(
            result="claimed" if saga.claimed else "refunded",
            flags=tuple(saga.flags),
            compensation=Strategy.TIME_OUT.value,
            kept=desk.state.basket_due,
        ),
        saga.vend,
    )
    show_again(desk, saga)
    device = DeviceName(saga.device)
    if device in desk.live.ready and not desk.state.sagas:
        desk.end_session(device)
