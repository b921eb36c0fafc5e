"""The codes of claims on the panel: each stays for a minute, several come in turn.

A vend may end with two claims (a card's and a cash one), a basket with more; and what is paid
beside a claim has words of its own, for as long as a changer takes. No code may be gone before
somebody could copy it: its minute begins when its saga has ended.

Until it has stood there for a turn, without a break and with all its pages, a code is owed to the
panel, whatever comes: keys and coins may have been put in before anybody could read it, behind a
slow disk for one, and a vend that they began has much to say. Whatever else is told comes first,
and so does what is being keyed; then the code comes back, for some minutes. That it has stood
there is known by a timer alone: a timer begins when what set it is durable, and then the panel is
told as well.
"""

from __future__ import annotations

from typing import Final

from controller.machine.desk import CLAIM_NOTICE_S, NOTICE_S, Desk, Notice
from controller.machine.effects import Beep, Wake
from controller.panel.view import Message
from controller.ports import Tone
from controller.state.saga import Saga

TURN: Final = "promises"  # the timer of a code's turn: the runner prolongs it for a small glass
TURN_S: Final = 10.0  # each of several; twenty digits are copied in less
OWED_S: Final = 600.0  # whoever stands there by then is somebody else


def promise(desk: Desk, message: Message, code: str, amount: int | None = None) -> None:
    """Show a new claim's code, and beep."""
    notice = Notice(message, 0.0, amount=amount, code=code, owed_until_s=desk.now + OWED_S)
    desk.live.promises = [*_open(desk), notice]
    desk.do(Beep(Tone.CLAIM))
    _show(desk, notice)


def codes_of(desk: Desk, saga: Saga) -> list[Notice]:
    """Return what is to be read on behind a saga.

    A bill that got stuck in escrow meanwhile is a claim of its own. And whoever wants the money
    back that was in before a code came may not have copied it yet.
    """
    codes = _minted(desk, saga)
    return [notice for notice in desk.live.promises if notice.code in codes]


def show_again(desk: Desk, saga: Saga) -> bool:
    """A saga has ended, and what was said in it may have hidden its codes: show them on.

    Returns:
        Whether there are any.
    """
    mine = codes_of(desk, saga)
    for notice in mine:
        notice.until_s = desk.now + CLAIM_NOTICE_S
    desk.live.promises = _open(desk)
    if mine:
        _show(desk, mine[-1])  # the newest: an older one may be somebody else's
    return bool(mine)


def kept(desk: Desk, code: str) -> None:
    """A claim was honoured: its code is shown no more."""
    desk.live.promises = [notice for notice in desk.live.promises if notice.code != code]
    if code and desk.live.notice is not None and desk.live.notice.code == code:
        desk.live.notice = None


def left(desk: Desk) -> None:
    """Somebody puts money in: whose codes stood there has gone, or has done with them."""
    waiting = _of_open_sagas(desk)
    desk.live.promises = [
        one for one in desk.live.promises if one.owed(desk.now) or one.code in waiting
    ]
    desk.live.notice = None


def look(desk: Desk) -> None:
    """Show what is owed to the panel, or belongs to an open saga, when nothing else is said.

    What took a code's place without a word, as the credit does, may be read first.
    """
    live = desk.live
    if not live.promises:
        return
    if live.notice is not None and desk.now < live.notice.until_s:
        live.aside_until = None
        return
    if live.keyed or live.code is not None or (due := _due(desk)) is None:
        return
    if live.notice is None:
        if live.aside_until is None:
            live.aside_until = desk.now + NOTICE_S
        if desk.now < live.aside_until:
            desk.do(Wake("show", live.aside_until - desk.now))
            return
    _show(desk, due)


def turn(desk: Desk) -> None:
    """A code has stood for its turn, unless something else is said by now: show the next one."""
    told, promises = desk.live.notice, _open(desk)
    desk.live.promises = promises
    # By code: a recording that is replayed has two of the same.
    at = next((n for n, one in enumerate(promises) if told and one.code == told.code), None)
    if at is None:
        return
    if desk.now < promises[at].until_s:  # else it was over before a slow disk let it be shown
        promises[at].owed_until_s = 0.0
    desk.live.notice = promises[at]
    if len(promises) > 1:
        _show(desk, promises[(at + 1) % len(promises)])


def after_restart(desk: Desk) -> None:
    """Show the codes again that a restart took from the panel, where their customer still stands.

    After a power cut, or with a clock that stands before our build date, nobody knows how long
    that was: a stranger may stand there. And somebody does who has bought since.
    """
    if desk.state.power_was_cut or desk.now_ms <= desk.journal.label.floor_ms:
        return
    newest = max((closed.vend for closed in desk.state.closed), default=0)
    shown = {notice.code for notice in _open(desk)}
    for claim in desk.state.claims.values():
        age_s = (desk.now_ms - claim.at_ms) / 1_000
        if (
            not claim.fleet_only
            and claim.code not in shown
            and 0 <= age_s < CLAIM_NOTICE_S
            and newest <= claim.seq
        ):
            product = claim.tender == "token"
            message = Message.CLAIM_PRODUCT if product else Message.CLAIM
            promise(desk, message, claim.code, None if product else claim.amount)


def _due(desk: Desk) -> Notice | None:
    """Return the code that has to be shown next; of those that are owed the newest."""
    owed = [one for one in desk.live.promises if one.owed(desk.now)]
    if owed:
        return owed[-1]
    waiting = _of_open_sagas(desk)
    return next((one for one in desk.live.promises if one.code in waiting), None)


def _open(desk: Desk) -> list[Notice]:
    promises = desk.live.promises
    if not promises:
        return []
    now, waiting = desk.now, _of_open_sagas(desk)
    return [one for one in promises if one.owed(now) or one.until_s > now or one.code in waiting]


def _of_open_sagas(desk: Desk) -> set[str]:
    return {code for saga in desk.state.sagas.values() for code in _minted(desk, saga)}


def _minted(desk: Desk, saga: Saga) -> set[str]:
    since = saga.vend
    if saga.kind == "return" and saga.payout_lots:
        since = max(lot for lot, _ in saga.payout_lots)
    return {
        claim.code
        for claim in desk.state.claims.values()
        if claim.vend == saga.vend or (claim.tender == "cash" and claim.seq > since)
    }


def _show(desk: Desk, notice: Notice) -> None:
    owed = notice.owed(desk.now)
    if owed:
        notice.until_s = desk.now + CLAIM_NOTICE_S
    elif notice.until_s <= desk.now:  # its saga goes on
        notice.until_s = desk.now + TURN_S
    desk.live.notice, desk.live.aside_until = notice, None
    desk.do(Wake("show", notice.until_s - desk.now))
    if owed or len(desk.live.promises) > 1:
        desk.do(Wake(TURN, TURN_S))
