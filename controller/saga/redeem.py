"""A claim's code is keyed in: at its own machine without a network, elsewhere by the fleet's word.

Cash claims become credit that can be paid out, card claims credit that only buys. Five wrong codes
make a pause. Check digits tell a slip of the finger without asking anybody; it counts all the same,
for whoever guesses makes slips as well.

A code that is none of ours may be another machine's of the same owner: the fleet is asked, closes
the claim there, and only then has us give its credit, while our customer still waits. One that
nobody confirms in time is a wrong code, and counts.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final, Literal

from controller.domain import commands as cmd
from controller.journal import records as rec
from controller.machine.desk import AskedClaim, Desk
from controller.machine.effects import Beep, Wake
from controller.machine.inputs import CommandRefused
from controller.machine.promises import kept
from controller.panel.view import Message
from controller.ports import Tone
from controller.saga import cards, claims
from controller.state.claims import Claim

MAX_WRONG: Final = 5
PAUSE_S: Final = 900.0  # 15 min: 2**33 codes, 20 guesses an hour, 49,000 years
# So long a customer waits for the fleet's word: two ways to it and back (to the other machine, and
# to this one) over a slow line, and its own look for commands each second.
ASK_S: Final = 30.0
_DAY_MS: Final = 86_400_000


def redeem(desk: Desk, keyed: str) -> None:
    """Honour a code, or say why not."""
    if paused(desk):
        desk.tell(Message.CODE_PAUSE)
        return
    if not claims.well_formed(keyed):
        _wrong(desk, "unknown")
        return
    if desk.live.asked is not None:
        if desk.live.asked.digest == _digest(keyed):
            _wait(desk, desk.live.asked)
            return
        _wrong(desk, "unknown")  # whoever asks about the next one gives the last one up
        if paused(desk):
            return
    claim = next((c for c in desk.state.claims.values() if c.code == keyed), None)
    if claim is not None and claim.fleet_only:
        _not_here(desk, "fleet", Message.CODE_FLEET)
        return
    if claim is None:
        _not_ours(desk, keyed)
        return
    if _expired(desk, claim):
        _wrong(desk, "expired")
        return
    desk.write(
        rec.ClaimRedeemed(
            claim=claim.seq, amount=claim.amount, tender=claim.tender, **claim.named()
        )
    )
    kept(desk, keyed)
    _honoured(desk)


def _not_ours(desk: Desk, keyed: str) -> None:
    """Ask the fleet about a code of no open claim of ours, if it can be asked."""
    ended = {one.how for one in desk.state.ended.values() if one.code == keyed}
    if ended and rec.MOVED not in ended:
        _not_here(desk, "paid", Message.CODE_PAID)
    elif desk.live.fleet:
        _ask(desk, keyed)
    elif ended:
        _not_here(desk, "fleet", Message.CODE_LATER)
    else:
        _wrong(desk, "unknown")


def _honoured(desk: Desk) -> None:
    if desk.mode.selling:
        desk.live.notice = None
    desk.do(Beep(Tone.OK))
    desk.credit_is_new()
    cards.paid_meanwhile(desk)


def _wrong(
    desk: Desk, reason: Literal["unknown", "expired"], message: Message = Message.CODE_WRONG
) -> None:
    """Count a code; so many in a row make a pause."""
    desk.live.asked = None
    desk.write(rec.ClaimRefused(reason=reason))
    desk.tell(message)
    desk.do(Beep(Tone.ERROR))
    if desk.state.wrong_codes % MAX_WRONG == 0:
        desk.live.codes_paused_until = desk.now + PAUSE_S


def _not_here(
    desk: Desk, reason: Literal["paid", "fleet"], message: Message, machine: str = ""
) -> None:
    desk.write(rec.ClaimRefused(reason=reason))
    desk.tell(message, text=machine)
    desk.do(Beep(Tone.ERROR))


# ----------------------------------------------------------------------- another machine's claim


def _digest(keyed: str) -> str:
    return sha256(keyed.encode()).hexdigest()


def _ask(desk: Desk, keyed: str) -> None:
    digest = _digest(keyed)
    asked = desk.write(
        rec.ClaimAsked(
            digest=digest,
            end=keyed[-4:],
            waits_ms=round(ASK_S * 1000),
            days=desk.policy.claim_days,
        )
    )
    desk.live.asked = AskedClaim(asked.seq, digest, desk.now + ASK_S)
    _wait(desk, desk.live.asked)


def boot(desk: Desk) -> None:
    """End a question that the last life asked: whoever restarts us gets no guess for nothing.

    Nor does a restart end a pause. It begins anew now, and not with the next code: that may be a
    right one, keyed in days later.
    """
    if desk.state.asked:
        desk.write(rec.ClaimRefused(reason="unknown"))
    paused(desk)


def _wait(desk: Desk, asked: AskedClaim) -> None:
    left_s = max(0.0, asked.until_s - desk.now)
    desk.tell(Message.CODE_ASKED, seconds=left_s)
    desk.do(Wake("asked", left_s))


def timed_out(desk: Desk) -> None:
    """Nobody has confirmed a code in its time; a wake-up may be one of an earlier question.

    It counts as a wrong one, but nobody has said that it is: its customer had better keep it.
    """
    asked = desk.live.asked
    if asked is not None and desk.now >= asked.until_s:
        _wrong(desk, "unknown", Message.CODE_LATER)


def answered(desk: Desk, told: cmd.AnswerClaim) -> dict[str, Any]:
    """Take the fleet's answer; only now, while it is waited for.

    Raises:
        CommandRefused: Nobody waits for it any more, or money can't be had here now. With
            ``granted`` the fleet goes on owing it.
    """
    asked = desk.live.asked
    if asked is None or (told.journal, told.asked) != (desk.state.journal, asked.seq):
        raise CommandRefused("nobody waits for this answer any more")
    if desk.now >= asked.until_s:
        raise CommandRefused("its time was over")
    if told.answer == "granted" and not (desk.mode.selling or desk.mode.vending):
        raise CommandRefused("this machine sells nothing now")
    desk.live.asked = None
    match told.answer:
        case "granted":
            desk.write(
                rec.ClaimGranted(
                    asked=asked.seq, amount=told.amount, tender=told.tender, machine=told.machine
                )
            )
            _honoured(desk)
        case "unknown":
            _wrong(desk, "unknown")
        case "paid":
            _not_here(desk, "paid", Message.CODE_PAID)
        case "later":
            message = Message.CODE_THERE if told.machine else Message.CODE_LATER
            _not_here(desk, "fleet", message, told.machine)
    return {"answer": told.answer, "asked": asked.seq, "amount": told.amount}


def paused(desk: Desk) -> bool:
    """Tell whether codes are refused unread; a restart in a pause begins the pause anew."""
    wrong = desk.state.wrong_codes
    if desk.live.codes_paused_until is None:
        waits = wrong > 0 and wrong % MAX_WRONG == 0
        desk.live.codes_paused_until = desk.now + PAUSE_S if waits else 0.0
    return desk.now < desk.live.codes_paused_until


def _expired(desk: Desk, claim: Claim) -> bool:
    """Judge age in confirmed time only: a clock that is wrong takes nobody's money."""
    if not claim.confirmed or not desk.journal.label.confirmed:
        return False
    return desk.now_ms - claim.at_ms > desk.policy.claim_days * _DAY_MS
