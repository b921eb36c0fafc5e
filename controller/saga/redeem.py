"""A claim's code is keyed in at its own machine, without a network: honoured once.

Cash claims become credit that can be paid out, card claims credit that only buys. Check digits
catch slips of the finger, which do not count; five codes that are whole and wrong make a pause.
"""

from __future__ import annotations

from typing import Final, Literal

from controller.journal import records as rec
from controller.machine.desk import Desk
from controller.machine.effects import Beep
from controller.machine.promises import kept
from controller.panel.view import Message
from controller.ports import Tone
from controller.saga import claims
from controller.state.claims import Claim

MAX_WRONG: Final = 5
PAUSE_S: Final = 900.0  # 15 min: 2**33 codes, 20 guesses an hour, 49,000 years
_DAY_MS: Final = 86_400_000


def redeem(desk: Desk, keyed: str) -> None:
    """Honour a code, or say why not."""
    if paused(desk):
        desk.tell(Message.CODE_PAUSE)
        return
    if not claims.well_formed(keyed):
        desk.tell(Message.CODE_WRONG)
        desk.do(Beep(Tone.ERROR))
        return
    claim = next((c for c in desk.state.claims.values() if c.code == keyed), None)
    if claim is not None and claim.fleet_only:
        _not_here(desk, "fleet", Message.CODE_FLEET)
        return
    if claim is None and any(one.how and one.code == keyed for one in desk.state.ended.values()):
        _not_here(desk, "paid", Message.CODE_PAID)
        return
    if claim is None or _expired(desk, claim):
        reason = "unknown" if claim is None else "expired"
        desk.write(rec.ClaimRefused.model_validate({"reason": reason}))
        desk.tell(Message.CODE_WRONG)
        desk.do(Beep(Tone.ERROR))
        if desk.state.wrong_codes % MAX_WRONG == 0:
            desk.live.codes_paused_until = desk.now + PAUSE_S
        return
    desk.write(
        rec.ClaimRedeemed(
            claim=claim.seq, amount=claim.amount, tender=claim.tender, **claim.named()
        )
    )
    kept(desk, keyed)
    desk.live.notice = None
    desk.do(Beep(Tone.OK))
    desk.credit_is_new()


def _not_here(desk: Desk, reason: Literal["paid", "fleet"], message: Message) -> None:
    desk.write(rec.ClaimRefused(reason=reason))
    desk.tell(message)
    desk.do(Beep(Tone.ERROR))


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
