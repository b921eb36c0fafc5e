"""The codes of claims on the panel: each stays for a minute, several come in turn.

A vend may end with two claims (a card's and a cash one), a basket with more; and what is paid
beside a claim has words of its own, for as long as a changer takes. No code may be gone before
somebody could copy it: its minute begins when its saga has ended.
"""

from __future__ import annotations

from typing import Final

from controller.machine.desk import CLAIM_NOTICE_S, Desk, Notice
from controller.machine.effects import Beep, Wake
from controller.panel.view import Message
from controller.ports import Tone
from controller.state.saga import Saga

TURN_S: Final = 10.0  # each of several; twenty digits are copied in less


def promise(desk: Desk, message: Message, code: str, amount: int | None = None) -> None:
    """Show a new claim's code, and beep."""
    notice = Notice(message, desk.now + CLAIM_NOTICE_S, amount=amount, code=code)
    desk.live.promises = [*_open(desk), notice]
    desk.do(Beep(Tone.CLAIM))
    _show(desk, notice)


def codes_of(desk: Desk, saga: Saga) -> list[Notice]:
    """Return what is to be read on behind a saga.

    A bill that got stuck in escrow meanwhile is a claim of its own. And whoever wants the money
    back that was in before a code came may not have copied it yet; nor has anybody who keyed the
    next selection before a slow disk let the code come.
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
        notice.until_s, notice.behind = desk.now + CLAIM_NOTICE_S, 0
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
    """Somebody puts money in: whose codes stood there has gone, or has done with them.

    Not behind a slow disk, which took in what came before anybody could read them.
    """
    unread = [one for one in desk.live.promises if one.unread(desk.now)]
    waiting = _of_open_sagas(desk)
    desk.live.promises = [one for one in desk.live.promises if one in unread or one.code in waiting]
    desk.live.notice = None
    if unread:
        _show(desk, unread[-1])


def unsaid(desk: Desk) -> None:
    """Show a code again as soon as nothing else is said while its saga goes on."""
    notice = desk.live.notice
    if not desk.live.promises or (notice is not None and desk.now < notice.until_s):
        return
    waiting = _of_open_sagas(desk)
    for promised in desk.live.promises:
        if promised.code in waiting:
            _show(desk, promised)
            return


def turn(desk: Desk) -> None:
    """Show the next of several codes, unless something else is shown by now."""
    promises = desk.live.promises = _open(desk)
    # Not by identity: a recording that is replayed has two of the same.
    at = next((n for n, notice in enumerate(promises) if notice == desk.live.notice), None)
    if at is not None and len(promises) > 1:
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


def _open(desk: Desk) -> list[Notice]:
    promises = desk.live.promises
    if not promises:
        return []
    waiting = _of_open_sagas(desk)
    return [one for one in promises if one.until_s > desk.now or one.code in waiting]


def _of_open_sagas(desk: Desk) -> set[str]:
    return {code for saga in desk.state.sagas.values() for code in _minted(desk, saga)}


def _minted(desk: Desk, saga: Saga) -> set[str]:
    since = saga.vend
    if saga.kind == "return" and saga.payout_lots:
        since = max(lot for lot, _ in saga.payout_lots)
    hidden = {one.code for one in desk.live.promises if one.behind == saga.vend}
    return hidden | {
        claim.code
        for claim in desk.state.claims.values()
        if claim.vend == saga.vend or (claim.tender == "cash" and claim.seq > since)
    }


def _show(desk: Desk, notice: Notice) -> None:
    if notice.until_s <= desk.now:  # its saga goes on
        notice.until_s = desk.now + TURN_S
    desk.live.notice = notice
    desk.do(Wake("show", notice.until_s - desk.now))
    if len(desk.live.promises) > 1:
        desk.do(Wake("promises", TURN_S))
