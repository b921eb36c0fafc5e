"""Tokens, free vends and app credit in a vend: held before the motor turns, then used or returned.

A token stays in the cash box whatever happens: a vend that fails gives its right back, and coin
return makes a claim of it. App credit that did not buy goes back to its app, never to coins: the
machine lets go of it and asks for the refund. A free vend stays open until its time is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from controller.domain import commands as cmd
from controller.domain import rights as dom
from controller.domain.stock import Refusal
from controller.journal import records as rec
from controller.machine.desk import Desk
from controller.machine.effects import Beep, Wake
from controller.machine.inputs import CommandRefused
from controller.machine.promises import promise
from controller.panel.view import Message
from controller.ports import CoinRoute, CoinsReport, Tone
from controller.state.saga import Saga

STILL_OPEN: Final = ("denied", "cancelled", "not_sent")  # the customer may choose again

# ------------------------------------------------------------------------------ where they come in


def tokens_inserted(desk: Desk, report: CoinsReport) -> bool:
    """Write down each token of a report; True when there was one."""
    found = [c for c in report.deposited if c.token and c.route is not CoinRoute.REJECT]
    for coin in found:
        desk.write(rec.TokenInserted(device=report.device.value, coin=coin.type))
    return bool(found)


def takes_tokens(desk: Desk) -> bool:
    """Tell whether a token would buy something now."""
    waiting = sum(right.kind == "token" for right in desk.state.rights.values())
    if waiting >= dom.MAX_OPEN:
        return False
    on_sale = desk.state.stock.on_sale(desk.planogram)
    return not on_sale.isdisjoint(desk.policy.tokens_buy)


def grant(desk: Desk, command: cmd.GrantAppCredit | cmd.GiveFreeVend, by: str) -> dict[str, Any]:
    """Open a right, once for each id. Raises CommandRefused."""
    known = desk.state.grants.get(command.id)
    if known is not None:
        return _answer(command.id, known, repeat=True)
    app = isinstance(command, cmd.GrantAppCredit)
    _may_grant(desk, command)
    most = desk.policy.max_credit
    if isinstance(command, cmd.GrantAppCredit) and not 1 <= command.amount <= most:
        raise CommandRefused(
            f"app credit is {desk.money(1)} to {desk.money(most)}, not {desk.money(command.amount)}"
        )
    record = desk.write(
        rec.RightGranted(
            id=command.id,
            kind="app" if app else "free",
            amount=command.amount if isinstance(command, cmd.GrantAppCredit) else 0,
            column=command.column,
            lives_ms=round(command.lives_s * 1000),
            reason="" if isinstance(command, cmd.GrantAppCredit) else command.reason,
            by=by,
        )
    )
    if desk.mode.selling:
        desk.live.notice = None  # else somebody reads what to do, perhaps to show a card
    desk.do(Beep(Tone.OK))
    desk.do(Wake(f"right {record.seq}", command.lives_s))
    return _answer(command.id, desk.state.grants[command.id], repeat=False)


def _may_grant(desk: Desk, command: cmd.GrantAppCredit | cmd.GiveFreeVend) -> None:
    """Refuse what could not be bought, or not be remembered."""
    if not (desk.mode.selling or desk.mode.vending):
        raise CommandRefused(f"the machine is {desk.mode.value}: nothing is sold now")
    if not dom.MIN_LIFE_S <= command.lives_s <= dom.MAX_LIFE_S:
        low, high = dom.MIN_LIFE_S, dom.MAX_LIFE_S
        raise CommandRefused(f"it lives {low:.0f} to {high:.0f} s, not {command.lives_s}")
    waiting = [right for right in desk.state.rights.values() if right.kind != "token"]
    if len(waiting) >= dom.MAX_OPEN:
        raise CommandRefused(f"{len(waiting)} grants wait already; try again later")
    if _remembered(desk) >= dom.MAX_IDS:
        raise CommandRefused("too many grants to remember: none that may come again is forgotten")
    if not command.column:
        return
    if desk.planogram.find(command.column) is None:
        known = ", ".join(desk.planogram.columns)
        raise CommandRefused(f"no column {command.column!r}; there are: {known}")
    stock = desk.state.stock.of(command.column)
    kept = dom.reserved(desk.state.rights.values()).get(command.column, 0)
    if stock.disabled or stock.count <= kept:
        why = f"disabled: {stock.disabled}" if stock.disabled else "sold out, or set aside"
        raise CommandRefused(f"column {command.column} is {why}")


def _remembered(desk: Desk) -> int:
    """Return how many grants would be remembered beside one that is given now."""
    grants = desk.state.grants
    if len(grants) < dom.MAX_IDS or not desk.journal.label.confirmed:
        return len(grants)
    return len(grants) - len(dom.outlived(grants, desk.now_ms))


def _answer(id_: str, grant_: dom.Grant, *, repeat: bool) -> dict[str, Any]:
    return {
        "id": id_,
        "right": grant_.right,
        "kind": grant_.kind,
        "amount": grant_.amount,
        "column": grant_.column,
        "outcome": grant_.outcome,
        "repeat": repeat,
    }


# ------------------------------------------------------------------------------------ in a vend


def best(desk: Desk, column: str) -> dom.Right | None:
    """Return the right that a customer who keys this column uses."""
    return best_of(desk, desk.state.rights.values(), column)


def best_of(desk: Desk, waiting: Iterable[dom.Right], column: str) -> dom.Right | None:
    """Return the one of these rights that a customer who keys this column uses."""
    if desk.planogram.columns[column].price == 0:
        return None
    return dom.best(waiting, column, desk.policy.tokens_buy)


def candidates(desk: Desk, selection: str) -> tuple[str, ...] | Refusal:
    """Return the columns that may serve a selection, but none that was set aside for another."""
    found = desk.state.stock.candidates(desk.planogram, selection, desk.unhealthy)
    if isinstance(found, Refusal):
        return found
    kept = dom.reserved(desk.state.rights.values())
    able = tuple(
        name
        for name in found
        if name == selection or desk.state.stock.of(name).count > kept.get(name, 0)
    )
    return able or Refusal.SOLD_OUT


def hold(desk: Desk, saga: Saga, right: dom.Right) -> None:
    """Lock a right for a vend."""
    worth = right.worth(saga.price)
    desk.write(
        rec.RightHeld(right=right.seq, kind=right.kind, amount=right.amount, worth=worth),
        saga.vend,
    )


def use(desk: Desk, saga: Saga) -> None:
    """The product was delivered: what an app's credit has left goes back to the app."""
    if not saga.right:
        return
    right = desk.state.rights[saga.right]
    rest = saga.right_amount - saga.right_worth if right.kind == "app" else 0
    desk.write(
        rec.RightUsed(
            right=right.seq, kind=right.kind, amount=right.amount, worth=saga.right_worth
        ),
        saga.vend,
    )
    if rest:
        _ask_refund(desk, right.id, rest, "more than the price", saga.vend)


def give_back(desk: Desk, saga: Saga) -> None:
    """The vend came to nothing: the right waits again, or is over."""
    if not saga.right:
        return
    right = desk.state.rights[saga.right]
    refused = saga.failed in STILL_OPEN
    over = right.kind != "token" and (
        right.boot != desk.state.boot or _late(desk, right) or (right.kind == "app" and not refused)
    )
    desk.write(
        rec.RightReturned(
            right=right.seq, kind=right.kind, amount=right.amount, ended=over, reason=saga.failed
        ),
        saga.vend,
    )
    if over and right.amount:
        _ask_refund(desk, right.id, right.amount, saga.failed or "vend failed", saga.vend)


def _ask_refund(desk: Desk, id_: str, amount: int, reason: str, vend: int | None) -> None:
    desk.write(rec.RefundRequested(tender="app", reference=id_, amount=amount, reason=reason), vend)


# --------------------------------------------------------------------------------- how they end


def _late(desk: Desk, right: dom.Right) -> bool:
    return bool(right.until_mono_ms) and desk.now * 1000 >= right.until_mono_ms


def timed_out(desk: Desk, seq: int) -> None:
    """A grant's time is over; one that a vend holds ends with the vend."""
    right = desk.state.rights.get(seq)
    if right is None or right.vend:
        return
    if _late(desk, right):
        _end(desk, right, "expired")
    else:
        desk.do(Wake(f"right {seq}", max(0.1, right.until_mono_ms / 1000 - desk.now)))


def end_old(desk: Desk) -> None:
    """At boot: what lived on another boot's clock is over. What a vend holds ends with the vend."""
    for right in list(desk.state.rights.values()):
        if right.kind != "token" and not right.vend and right.boot != desk.state.boot:
            _end(desk, right, "restart")


def end_by_staff(desk: Desk, id_: str, by: str) -> dict[str, Any]:
    """End a grant before its time. Raises CommandRefused."""
    known = desk.state.grants.get(id_)
    if known is None:
        raise CommandRefused(f"no grant {id_!r} is known here")
    right = desk.state.rights.get(known.right)
    if right is not None:
        if right.vend:
            raise CommandRefused("a vend uses it just now; try again when it has ended")
        _end(desk, right, "by staff", by)
    return _answer(id_, known, repeat=False)


def _end(desk: Desk, right: dom.Right, reason: str, by: str = "") -> None:
    desk.write(
        rec.RightEnded.model_validate(
            {
                "right": right.seq,
                "kind": right.kind,
                "amount": right.amount,
                "reason": reason,
                "by": by,
            }
        )
    )
    if right.amount:
        _ask_refund(desk, right.id, right.amount, reason, None)


def tokens(desk: Desk) -> list[dom.Right]:
    """Return the tokens' rights that wait."""
    return [r for r in desk.state.rights.values() if r.kind == "token" and not r.vend]


def claim_tokens(desk: Desk, saga: Saga) -> None:
    """The customer wants nothing for the tokens now: a claim for each."""
    for right in tokens(desk):
        code = desk.mint(desk.journal.next_seq, 0)
        desk.write(
            rec.ClaimOpened(amount=0, tender="token", code=code, reason="not used",
                            right=right.seq),
            saga.vend,
        )  # fmt: skip
        promise(desk, Message.CLAIM_PRODUCT, code)


def leave_tokens(desk: Desk) -> None:
    """Nobody came back for them."""
    for right in tokens(desk):
        _end(desk, right, "left behind")
