"""Sessions of card readers: a card was put in, taken back, forgotten."""

from __future__ import annotations

from controller.machine import effects as fx
from controller.machine.desk import Desk
from controller.machine.table import Mode
from controller.ports import DeviceName, SessionBegun
from controller.saga import age, cards
from controller.state.saga import Saga


def begun(desk: Desk, device: DeviceName, session: SessionBegun) -> None:
    """A card was put in: let it pay, or send it away."""
    live = desk.live
    asked, mine = _asked_in_vain(desk, device), _asked_here(desk, device)
    taken = live.session not in (None, device) and not live.session_ends
    if taken or not (desk.mode.selling or asked is not None or mine is not None):
        desk.end_session(device)
        return
    live.session_ends = live.session_unwanted = live.revalue_asked = False
    live.revalue_limit = None
    if asked is not None:
        live.reselect = asked.selection  # by this card, once the other reader has let go
        cards.cancel_approval(desk, asked)
    live.session, live.session_funds, live.session_language = (
        device, session.funds, session.language,
    )  # fmt: skip
    live.session_refundable = session.refundable
    live.notice = None
    if mine is not None:
        cards.reader_decides(desk, mine)
    desk.do(fx.Wake(f"session {device.value}", desk.policy.session_timeout_s))


def _asked_here(desk: Desk, device: DeviceName) -> Saga | None:
    """Return a vend for which this reader is being asked: its card was read at that moment.

    The session is that vend's, which ends it.
    """
    saga = desk.customer_saga()
    if saga is None or saga.intent != "approval" or saga.device != device.value:
        return None
    return saga if desk.mode is Mode.AUTHORISING else None


def _asked_in_vain(desk: Desk, device: DeviceName) -> Saga | None:
    """Return a vend for which another reader waits for the card that came to this one."""
    saga = desk.customer_saga()
    if saga is None or desk.mode is not Mode.AUTHORISING or desk.live.session is not None:
        return None
    waits = saga.intent == "approval" and saga.device != device.value
    return saga if waits and saga.vend not in desk.live.cancelling else None


def cancel_requested(desk: Desk, device: DeviceName) -> None:
    """The customer wants the card back."""
    saga = desk.customer_saga()
    if saga is not None and saga.device == device.value:
        desk.live.session_unwanted = saga.kind == "revalue"  # which ends it, once it has ended
        cards.cancel_approval(desk, saga)  # a request is cancelled, a vend is finished
        return
    check = desk.live.age_check
    if check is not None and check.device is device:
        age.forget(desk)  # its reader hears of no end before that question has one
    desk.end_session(device)


def over(desk: Desk) -> None:
    """No card is there any more."""
    live = desk.live
    live.session, live.session_funds, live.session_language = None, None, ""
    live.session_ends = live.session_unwanted = live.revalue_asked = False
    live.revalue_limit = None


def timed_out(desk: Desk, device: str) -> None:
    """Nobody has chosen for a while: the card goes back."""
    session = desk.live.session
    if session is None or session.value != device:
        return
    saga = desk.customer_saga()
    if desk.mode.vending or (saga is not None and saga.device == device):
        # Its own vend ends it, also as the machine stops; one that is paid in cash does not.
        desk.do(fx.Wake(f"session {device}", desk.policy.session_timeout_s))
    else:
        desk.end_session(session)
