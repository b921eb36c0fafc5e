"""Proof of age before a flagged product is sold: asked of a reader, before any money is locked.

The machine refuses the product, not the reader. A proof holds for some seconds, and for the basket
or the vend that is begun within them. Whoever gave it goes with what was bought or given back: it
is no good to the next one. It is forgotten with the process, as is who stood there.
"""

from __future__ import annotations

from typing import Final

from controller.journal.records import AgeChecked
from controller.machine.desk import READERS, AgeCheck, Desk
from controller.machine.effects import Beep, CancelAge, Failed, VerifyAge, Wake
from controller.panel.view import Message
from controller.ports import AgeAnswer, DeviceName, Tone

HOLDS_S: Final = 30.0  # an answer is good for about so long (MDB/ICP 4.2, section 7)


def missing(desk: Desk, selection: str) -> bool:
    """Tell whether somebody has to prove an age before this may be sold."""
    age = desk.planogram.min_age(selection)
    proved, until = desk.live.age_proved
    return age > 0 and not (proved >= age and (desk.now < until or desk.live.basket.buying))


def ask(desk: Desk, selection: str, tried: frozenset[DeviceName] = frozenset()) -> None:
    """Have the customer prove it, or say that nobody can here."""
    age = desk.planogram.min_age(selection)
    device = _next_reader(desk, tried)
    if device is None:
        _refuse(desk, "", age, selection, "unsupported")
        return
    seconds = desk.policy.approval_timeout_s
    desk.live.ages_asked += 1
    number = desk.live.ages_asked
    desk.live.age_check = AgeCheck(selection, device, age, number, tried)
    desk.do(VerifyAge(device, age, number))
    desk.do(Wake("age", seconds))
    desk.tell(Message.AGE_PROVE, selection=selection, code=str(age), seconds=seconds)


def _next_reader(desk: Desk, tried: frozenset[DeviceName]) -> DeviceName | None:
    """Return who is asked: where a card is in, then one after the other."""
    there = [name for name in READERS if desk.takes_cards(name)]
    if desk.live.session is not None:
        there.insert(0, desk.live.session)
    return next((name for name in there if name not in tried), None)


def forget(desk: Desk) -> bool:
    """The customer wants something else; True when a proof was waited for."""
    check = desk.live.age_check
    if check is None:
        return False
    desk.live.age_check = None
    desk.live.notice = None
    desk.do(CancelAge(check.device))
    _write(desk, check.device.value, check.age, check.selection, "cancelled")
    return True


def gone(desk: Desk) -> None:
    """Who stood there has the product, or the money: the next one has proved nothing."""
    if not desk.live.basket.items:
        desk.live.age_proved = 0, 0.0


def answered(desk: Desk, asked: VerifyAge, result: AgeAnswer | Failed) -> str:
    """A reader told; returns the selection to go on with, or an empty string."""
    check, device = desk.live.age_check, asked.device
    if check is None or check.number != asked.number:
        return ""  # taken back before it was answered
    desk.live.age_check = None
    desk.live.notice = None
    outcome = "unsupported" if isinstance(result, Failed) else result.value
    tried = check.tried | {device}
    if outcome == "unsupported" and desk.mode.selling and _next_reader(desk, tried):
        _write(desk, device.value, check.age, check.selection, outcome)
        ask(desk, check.selection, tried)  # of two readers the other one may be able to
        return ""
    if outcome != AgeAnswer.PROVED.value:
        _refuse(desk, device.value, check.age, check.selection, outcome)
        return ""
    _write(desk, device.value, check.age, check.selection, outcome)
    desk.live.age_proved = check.age, desk.now + HOLDS_S
    return check.selection if desk.mode.selling else ""


def _refuse(desk: Desk, device: str, age: int, selection: str, outcome: str) -> None:
    _write(desk, device, age, selection, outcome)
    told = Message.AGE_UNKNOWN if outcome == "unsupported" else Message.AGE_REFUSED
    desk.tell(told, selection=selection, code=str(age))
    desk.do(Beep(Tone.ERROR))


def _write(desk: Desk, device: str, age: int, column: str, outcome: str) -> None:
    desk.write(
        AgeChecked.model_validate(
            {"device": device, "age": age, "column": column, "outcome": outcome}
        )
    )
