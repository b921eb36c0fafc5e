"""What the fleet orders and a restart must not forget: a lock, a notice, an update, an audit.

A lock takes hold when the vend under way has ended; what a customer has in comes back. An update
waits for a quiet moment, is handed over once, and is not handed over when nobody can say whether it
was: then it ends as interrupted, and the operator decides.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import asdict
from typing import Any, Final

from controller.domain import accounts as acc
from controller.domain import commands as cmd
from controller.journal import records as rec
from controller.machine import effects as fx
from controller.machine import promises
from controller.machine.desk import Desk
from controller.machine.inputs import CommandRefused
from controller.saga import redeem
from controller.state.audit import Tally
from controller.state.claims import Claim

FLEET: Final = "fleet: "  # before the name of whoever sent a command
TEXT_MAX: Final = 80  # four lines of twenty
SHOWN_MAX_S: Final = 7 * 86_400.0  # what is true for longer belongs on a sticker
UPDATE_KIND: Final = "software.update"

# What a display of ROM A00 shows, or its driver draws, beside plain letters.
_LETTERS: Final = frozenset("äöüßÄÖÜñÑáéíóúÁÉÍÓÚàèçÀÈÇ¿¡€°")


Order = (
    cmd.LockMachine
    | cmd.UnlockMachine
    | cmd.ShowMessage
    | cmd.SettleClaim
    | cmd.AnswerClaim
    | cmd.ReadAudit
    | cmd.UpdateSoftware
    | cmd.Echo
)


def obey_order(desk: Desk, command: Order, by: str) -> dict[str, Any]:
    """Carry out what can be done at once. Raises CommandRefused."""
    match command:
        case cmd.LockMachine(reason=reason):
            lock = desk.state.orders.lock
            if lock is None or (lock.by, lock.reason) != (by, reason):
                desk.write(rec.MachineLocked(reason=plain(reason), by=by))
            return {"locked": True}
        case cmd.UnlockMachine(reason=reason):
            lock = desk.state.orders.lock
            if lock is not None:
                desk.write(rec.MachineUnlocked(by=by, reason=reason))
                if lock.by.startswith(FLEET) and not by.startswith(FLEET):
                    desk.flag(f"the fleet's lock was overruled by {by}: {reason}", None)
            return {"locked": False}
        case cmd.ShowMessage():
            return _show(desk, command, by)
        case cmd.SettleClaim():
            return _settle(desk, command, by)
        case cmd.AnswerClaim():
            return redeem.answered(desk, command)
        case cmd.ReadAudit():
            return audit(desk)
        case cmd.UpdateSoftware():
            return _request(desk, command, by)
        case cmd.Echo(text=text):
            return {"text": text}


# ---------------------------------------------------------------------------------- a claim


def close_claim(desk: Desk, claim: Claim, how: str, by: str) -> None:
    """Record that a claim was paid otherwise; its code is worth nothing from now on."""
    desk.write(
        rec.ClaimClosed(
            claim=claim.seq,
            amount=claim.amount,
            tender=claim.tender,
            how=how,
            by=by,
            **claim.named(),
        )
    )
    promises.kept(desk, claim.code)


def _settle(desk: Desk, command: cmd.SettleClaim, by: str) -> dict[str, Any]:
    """Close a claim that the fleet has paid; one that is not open here needs no closing."""
    state = desk.state
    origin = "" if command.journal in ("", state.journal) else command.journal
    known = origin, command.number
    claim = next((one for one in state.claims.values() if one.identity == known), None)
    if claim is not None:
        close_claim(desk, claim, command.how, by)
        return {"claim": command.number, "amount": claim.amount, "open": True}
    ended = state.ended.get(f"{origin} {command.number}")
    if ended is not None and not ended.how:
        raise CommandRefused(f"claim {command.number} was honoured here: its code was keyed in")
    if ended is not None and ended.how == rec.MOVED != command.how:
        raise CommandRefused(
            f"claim {command.number} is the fleet's: its code was keyed in elsewhere"
        )
    return {"claim": command.number, "open": False, "how": "" if ended is None else ended.how}


# --------------------------------------------------------------------------------- the notice


def plain(text: str) -> str:
    """Return a text as the display can show it: one blank for any, no control or drawing."""
    found = []
    for letter in unicodedata.normalize("NFC", text):
        base = letter if letter in _LETTERS else unicodedata.normalize("NFKD", letter)[0]
        if letter.isspace():
            found.append(" ")
        elif letter in _LETTERS or " " <= base <= "~":
            found.append(base)
        elif unicodedata.category(letter)[0] not in "CM":
            found.append("?")
    return " ".join("".join(found).split())


def _show(desk: Desk, command: cmd.ShowMessage, by: str) -> dict[str, Any]:
    text = plain(command.text)
    if command.text.strip() and not text.strip("? "):
        raise CommandRefused("nothing of this text can be shown")
    if len(text) > TEXT_MAX:
        raise CommandRefused(f"a text has at most {TEXT_MAX} characters, this one {len(text)}")
    seconds = command.seconds
    if command.until_ms is not None:
        seconds = min(seconds, (command.until_ms - desk.now_ms) / 1000)
    if not 0 < seconds <= SHOWN_MAX_S:
        raise CommandRefused(f"it is shown for up to {SHOWN_MAX_S:.0f} s, not {seconds:.0f}")
    lives_ms = round(seconds * 1000)
    until = desk.now_ms + lives_ms
    desk.write(rec.MessageShown(text=text, until_ms=until, lives_ms=lives_ms, by=by))
    if text:
        desk.do(fx.Wake("notice", seconds))
    return {"text": text, "until": until}


def notice(desk: Desk) -> str:
    """Return the operator's text that holds now.

    After a restart only a time that is known can say that it still does.
    """
    shown = desk.state.orders.shown
    if shown is None:
        return ""
    if shown.boot == desk.state.boot:
        return shown.text if desk.now * 1000 < shown.until_mono_ms else ""
    known = desk.journal.label.confirmed
    return shown.text if known and desk.now_ms < shown.until_ms else ""


def boot(desk: Desk) -> None:
    """Go on with what a restart has not ended."""
    shown = desk.state.orders.shown
    if shown is not None and shown.until_ms > desk.now_ms:
        desk.do(fx.Wake("notice", min(SHOWN_MAX_S, (shown.until_ms - desk.now_ms) / 1000)))
    update = desk.state.orders.update
    if update is not None and update.intended:
        desk.do(_handing_over(desk, look=True))


# --------------------------------------------------------------------------------- the audit


def audit(desk: Desk) -> dict[str, Any]:
    """Return what an operator reads. Its size is bounded by the columns that a machine can have."""
    state = desk.state
    balance = state.ledger.balance
    return {
        "currency": state.currency,
        "at": desk.now_ms,
        "life": _tally(state.audit.life),
        "since_collection": _tally(state.audit.since),
        "cash": {
            "tubes": balance(acc.CASH_TUBES),
            "cashbox": balance(acc.CASH_CASHBOX),
            "stacker": balance(acc.CASH_STACKER),
            "recycler": balance(acc.CASH_RECYCLER),
            "bills": state.stacker,
            "by_tube": [[value, count] for _, value, count in state.tube_coins()],
        },
        "claims": [len(state.claims), sum(claim.amount for claim in state.claims.values())],
    }


def _tally(tally: Tally) -> dict[str, Any]:
    told = asdict(tally)
    for name in ("columns", "products", "tenders"):
        told[name] = {key: list(sold) for key, sold in told[name].items()}
    for name in ("claims_opened", "claims_ended"):
        told[name] = list(told[name])
    return told


# --------------------------------------------------------------------------------- the update


def _request(desk: Desk, command: cmd.UpdateSoftware, by: str) -> dict[str, Any]:
    if not desk.updates:
        raise CommandRefused("nothing here installs software: [update] spool is not configured")
    before = desk.state.orders.update
    if before is not None and before.intended:
        raise CommandRefused(f"version {before.version} is being handed over")
    if before is not None:
        finish(desk, "superseded", f"by version {command.version}")
    desk.write(
        rec.UpdateRequested(
            id=command.id,
            software=command.version,
            digest=command.digest,
            artefact=command.artefact,
            expires_ms=command.expires_ms,
            by=by,
        )
    )
    return {}


def finish(desk: Desk, outcome: rec.UpdateOutcome, detail: str = "") -> None:
    """Record what became of the update, and of its command."""
    update = desk.state.orders.update
    assert update is not None, "there is one"
    desk.write(rec.UpdateFinished(id=update.id, outcome=outcome, detail=detail))
    desk.write(
        rec.CommandFinished(
            id=update.id,
            kind=UPDATE_KIND,
            outcome=outcome,
            expires_ms=update.expires_ms,
            detail=detail,
            result={"version": update.version},
        )
    )


def quiet(desk: Desk) -> bool:
    """Tell whether no money is in the machine, nothing moves and nobody has begun."""
    live, state = desk.live, desk.state
    return (
        not desk.mode.vending
        and (desk.mode.selling or desk.mode.value in ("out_of_service", "service"))
        and not desk.credit
        and not state.sagas
        and state.escrow is None
        and not state.rights
        and live.session is None
        and not live.busy
        and not live.keyed
        and not live.replies
    )


def look_at_update(desk: Desk) -> None:
    """Hand an update over when the moment has come."""
    update = desk.state.orders.update
    if update is None or update.intended or not quiet(desk):
        return
    if desk.journal.label.confirmed and desk.now_ms > update.expires_ms:
        finish(desk, "expired")
        return
    desk.write(rec.UpdateIntended(id=update.id))
    desk.do(_handing_over(desk))


def _handing_over(desk: Desk, *, look: bool = False) -> fx.HandOver:
    update = desk.state.orders.update
    assert update is not None, "there is one"
    request = {
        "command": update.id,
        "version": update.version,
        "sha256": update.digest,
        "artefact": update.artefact,
    }
    content = json.dumps(request, indent=1, sort_keys=True).encode() + b"\n"
    return fx.HandOver(f"update-{update.id}.json", content, look)


def handed_over(desk: Desk, effect: fx.HandOver, result: bool | fx.Failed) -> None:
    """Take what became of the request."""
    if desk.state.orders.update is None:
        return
    if isinstance(result, fx.Failed):
        outcome: rec.UpdateOutcome = "interrupted" if result.unknown or effect.look else "refused"
        finish(desk, outcome, result.detail[:200])
    elif result:
        finish(desk, "handed_over")
    else:
        finish(desk, "interrupted", "vendd ended while it handed the request over")
