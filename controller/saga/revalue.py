"""Revalue: cash credit goes to the card in the reader, by a key of the owner's choice.

The reader is asked for its limit behind BEGIN SESSION, and while one is known only bills up to it
are taken. The key opens a saga of its own: a bill that waits in escrow is stacked first, the money
is locked by a durable intent, and then REVALUE REQUEST is sent, once. Denied, it is credit again
and comes back as change; and whatever nobody can tell is never put on a card a second time: it is
presumed against the operator, flagged, and owed as a claim.

Source: MDB/ICP 4.2, section 7, REVALUE (15).
"""

from __future__ import annotations

from typing import Any, Final

from controller.journal import records as rec
from controller.machine.desk import Desk
from controller.machine.effects import AskRevalueLimit, Beep, Failed, Revalue
from controller.machine.table import Mode, Trigger
from controller.money import minor_units
from controller.panel.view import Message
from controller.ports import DeviceName, ReaderInfo, RevalueOutcome, RevalueReport, Tone
from controller.saga import escrow, patience
from controller.saga.give_back import open_claim
from controller.saga.strategy import Strategy
from controller.state.cash import Escrow
from controller.state.saga import Saga

REVALUES_FROM: Final = 2  # the level of a reader that has a word for it
WAIT_S: Final = 60.0  # "please wait" is shown so long
DOUBT: Final = "revalue unknown"


# ------------------------------------------------------------------------------------- offer


def look(desk: Desk) -> None:
    """Ask for the limit of a session, once behind its beginning and behind each change."""
    live = desk.live
    if live.session is None or live.revalue_asked or not desk.policy.revalue_key:
        return
    info = live.ready.get(live.session)
    if not desk.mode.selling or live.session_ends or not isinstance(info, ReaderInfo):
        return
    live.revalue_asked = True
    if info.level >= REVALUES_FROM:
        desk.do(AskRevalueLimit(live.session))


def bill_limit(desk: Desk) -> int | None:
    """Return the largest bill that may come in while a card can be revalued; None: any."""
    return desk.live.revalue_limit if desk.live.session is not None else None


def offered(desk: Desk) -> int:
    """Return how much the key would put on the card now, in minor units; 0: nothing."""
    live, credit = desk.live, desk.state.credit
    session, limit = live.session, live.revalue_limit
    if session is None or not limit or live.session_ends or not desk.mode.selling:
        return 0
    if live.basket.items or desk.state.basket_due:
        return 0  # it is for what is in the basket
    bill = _bill(desk, limit)
    return _whole(desk, session, min(limit, credit.cash + (bill.value if bill else 0)))


def _bill(desk: Desk, limit: int) -> Escrow | None:
    """Return the bill in escrow that would be stacked for it, if one may be.

    Denied, its worth has to come back in coins.
    """
    bill = escrow.waiting(desk)
    if bill is None or bill.value > limit or not escrow.worth_returnable(desk, bill):
        return None
    return bill


def _whole(desk: Desk, device: DeviceName, amount: int) -> int:
    """Return the most of an amount that a reader's units can express."""
    info = desk.live.ready.get(device)
    if not isinstance(info, ReaderInfo):
        return 0
    unit = minor_units(
        1, scaling=info.scaling, decimals=info.decimals, currency=desk.state.currency
    )
    return amount - amount % max(1, unit)


# ------------------------------------------------------------------------------------- saga


def begin(desk: Desk) -> Saga | None:
    """Its key was pressed: put what there is on the card, or say that it can't be."""
    amount, session = offered(desk), desk.live.session
    if not amount or session is None:
        desk.tell(Message.REVALUE_REFUSED)
        desk.do(Beep(Tone.ERROR))
        return None
    bill = _bill(desk, desk.live.revalue_limit or 0)
    saga = desk.open(
        rec.RevalueOpened(
            device=session.value, amount=amount, bill=0 if bill is None else bill.value
        )
    )
    desk.live.tried = True  # whatever comes of it, the money may go back
    desk.step(Trigger.AUTHORISE)
    desk.tell(Message.REVALUE_WAIT, amount=amount, seconds=WAIT_S)
    advance(desk, saga)
    return saga


def advance(desk: Desk, saga: Saga) -> None:
    """Take the next step: stack the bill, ask the reader, close."""
    if saga.intent:
        return
    if saga.revalued or saga.failed or saga.boot != desk.state.boot:
        _close(desk, saga)
    elif not _bill_moves(desk, saga):
        _ask(desk, saga)


def _bill_moves(desk: Desk, saga: Saga) -> bool:
    """Have the bill in escrow stacked; True while it is on its way."""
    if not saga.bill_due:
        return False
    bill = desk.state.escrow
    if not saga.bill_asked:
        if escrow.waiting(desk) is None:
            return False  # it is gone: what else there is goes alone
        escrow.stack(desk, saga)
        return True
    if bill is None:
        return False
    waited = desk.live.bill_until is not None and desk.now >= desk.live.bill_until
    return not waited and bill.vend == saga.vend and bill.asked == "stack" and not bill.claimed


def _ask(desk: Desk, saga: Saga) -> None:
    live, credit = desk.live, desk.state.credit
    device, limit = DeviceName(saga.device), live.revalue_limit or 0
    there = live.session is device and not live.session_ends and desk.mode is Mode.AUTHORISING
    amount = _whole(desk, device, min(limit, credit.cash, saga.card_amount)) if there else 0
    if not amount:
        _close(desk, saga)
        return
    picked = credit.pick_cash(amount)
    desk.write(
        rec.RevalueIntended(
            device=saga.device, amount=amount, coins=picked.coins, bills=picked.bills,
            lots=picked.lots, limit=limit,
        ),
        saga.vend,
    )  # fmt: skip
    desk.do(Revalue(saga.vend, device, amount))


def outcome(desk: Desk, effect: AskRevalueLimit | Revalue, result: Any) -> None:
    """A reader told its limit, or REVALUE REQUEST has ended."""
    if isinstance(effect, AskRevalueLimit):
        if desk.live.session is effect.device:
            desk.live.revalue_limit = None if isinstance(result, Failed) else result
        return
    saga = desk.state.sagas.get(effect.vend)
    if saga is not None and saga.intent == "revalue":  # else the answer is on record by now
        _finished(desk, saga, result)


def _finished(desk: Desk, saga: Saga, result: bool | Failed) -> None:
    if isinstance(result, Failed):
        book(desk, saga, "unknown" if result.unknown else "not_sent", result.detail)
    else:
        book(desk, saga, "approved" if result else "denied")
    advance(desk, saga)


def heard(desk: Desk, report: RevalueReport) -> None:
    """A reader said what it made of a revalue: recorded before it is acknowledged."""
    device = report.device.value
    saga = next(
        (s for s in desk.state.sagas.values() if s.device == device and s.intent == "revalue"),
        None,
    )
    if saga is None:
        # Said once more to this life, what the one before has recorded tells nobody anything.
        if any(one.kind == "revalue" and DOUBT in one.flags for one in desk.state.closed):
            desk.write(rec.RevalueHeard(device=device, approved=report.approved))
        return
    book(desk, saga, "approved" if report.approved else "denied")
    if saga.boot == desk.state.boot:
        advance(desk, saga)


def told_after_restart(desk: Desk, saga: Saga, result: RevalueOutcome | Failed) -> None:
    """What a reader can tell of a request of the life before."""
    if saga.intent != "revalue":
        return
    known: dict[object, rec.RevalueOutcome] = {
        RevalueOutcome.APPROVED: "approved",
        RevalueOutcome.DENIED: "denied",
        RevalueOutcome.NOT_DONE: "not_sent",
    }
    book(desk, saga, known.get(result, "unknown"), "after restart")


def book(desk: Desk, saga: Saga, outcome: rec.RevalueOutcome, detail: str = "") -> None:
    """Write down what became of it."""
    if outcome == "unknown":
        desk.flag(DOUBT, saga.vend, saga.card_amount)
    desk.write(
        rec.RevalueFinished(
            device=saga.device, outcome=outcome, coins=saga.held_coins, bills=saga.held_bills,
            lots=tuple(saga.lots), detail=detail[:100],
        ),
        saga.vend,
    )  # fmt: skip


def _close(desk: Desk, saga: Saga) -> None:
    live, device = desk.live, DeviceName(saga.device)
    if saga.owed:
        open_claim(desk, saga, saga.owed, "cash", DOUBT)
    result = "revalued" if saga.revalued else "claimed" if saga.claimed else "refused"
    doubtful = Strategy.TIME_OUT if saga.claimed else Strategy.NONE
    desk.write(
        rec.VendClosed.model_validate(
            {
                "result": result,
                "flags": tuple(saga.flags),
                "compensation": doubtful.value,
                "kept": desk.state.basket_due,
            }
        ),
        saga.vend,
    )
    patience.forget(desk, saga)
    if desk.state.credit.total:
        desk.credit_is_new()  # its customer was here just now
    if saga.revalued:
        desk.tell(Message.REVALUED, amount=saga.revalued)
        desk.do(Beep(Tone.OK))
    elif not saga.claimed and saga.boot == desk.state.boot:
        desk.tell(Message.REVALUE_REFUSED)
        desk.do(Beep(Tone.ERROR))
    if desk.mode.vending:
        desk.fire(Trigger.FINISH)
    live.revalue_asked, live.revalue_limit = False, None  # it has changed
    if live.session is device and (saga.claimed or live.session_unwanted or not desk.mode.selling):
        desk.end_session(device)
