"""Baskets: several items on one credit or one card session, bought one after the other.

Each item is a vend of its own, with its own VEND REQUEST: a reader has one amount for each request
and takes back only the whole of it (MDB/ICP 4.2, section 7), so that per item what fails can be
refunded and what fell stays sold. A reader that offers multivend keeps its session open from item
to item; any other one ends it, and is asked for a card anew. Credit that an item leaves, or gets
back, waits for the rest of the basket; the last item's end returns it. A life that ends in between
loses the list alone: what credit waited is returned by recovery.
"""

from __future__ import annotations

from controller.domain.basket import MAX_ITEMS, Basket
from controller.domain.stock import Refusal
from controller.domain.tubes import can_change
from controller.machine.desk import Desk
from controller.machine.effects import Beep, Wake
from controller.machine.table import Mode
from controller.panel.view import Message
from controller.ports import Tone
from controller.saga import age, cards, escrow, rights, vend

# --------------------------------------------------------------------------------- what is keyed


def add(desk: Desk, selection: str) -> None:
    """A customer keyed one more selection."""
    basket = desk.live.basket
    column = desk.planogram.find(selection)
    if column is None:
        desk.tell(Message.INVALID_SELECTION, selection=selection)
        desk.do(Beep(Tone.ERROR))
        return
    refused = _refused(desk, selection)
    if refused is not None:
        desk.live.tried = True
        message = vend.REFUSED.get(refused, Message.SOLD_OUT)
        desk.tell(message, selection=selection, price=column.price)
        desk.do(Beep(Tone.ERROR))
        return
    if len(basket.items) >= MAX_ITEMS:
        desk.do(Beep(Tone.ERROR))
        return
    basket.items.append(selection)
    desk.live.notice = None
    desk.do(Wake("basket", desk.policy.session_timeout_s))


def _refused(desk: Desk, selection: str) -> Refusal | None:
    """Tell why one more of this can't be listed; None: it can."""
    candidates = rights.candidates(desk, selection)
    if isinstance(candidates, Refusal):
        return candidates
    columns = desk.planogram.columns
    if any(columns[name].sells_on for name in candidates):
        return None  # until its own switch says that it is empty
    there = sum(desk.state.stock.of(name).count for name in candidates)
    served = {selection, *desk.planogram.siblings(selection)}
    wanted = sum(item in served for item in desk.live.basket.items)
    return None if wanted < there else Refusal.SOLD_OUT


def confirm(desk: Desk) -> None:
    """Buy what was keyed, or say what is missing."""
    basket = desk.live.basket
    needed, credit = price_of(desk, basket.items), desk.credit
    last = basket.items[-1]
    if credit < needed and not _may_ask(desk):
        escrow.make_room(desk)
        desk.tell(Message.INSERT_MORE, selection=last, price=needed, amount=needed - credit)
        return
    flagged = max(basket.items, key=desk.planogram.min_age)
    if age.missing(desk, flagged):
        age.ask(desk, flagged)
        return
    change = max(0, min(credit - needed, credit - desk.state.credit.product))
    desk.live.tried = True
    if change and not desk.policy.multi_vend and not can_change(change, desk.tubes()):
        desk.tell(Message.EXACT_CHANGE_ONLY, selection=last, price=needed)
        desk.do(Beep(Tone.ERROR))
        desk.asks_tubes()
        return
    basket.of = len(basket.items)
    proceed(desk)


def price_of(desk: Desk, items: list[str]) -> int:
    """Return what credit must pay for these selections, rights taken off."""
    left = [right for right in desk.state.rights.values() if not right.vend]
    total = 0
    for item in items:
        price = desk.planogram.columns[item].price
        right = rights.best_of(desk, left, item)
        if right is not None:
            left.remove(right)
            price -= right.worth(price)
        total += price
    return total


def _may_ask(desk: Desk) -> bool:
    """Tell whether a card can pay: one is in, or a reader can be asked before one is."""
    return desk.live.session is not None or bool(cards.readers_that_wait(desk, always_idle=True))


# ---------------------------------------------------------------------------------- buying them


def proceed(desk: Desk) -> None:
    """Buy the next item; at the end return what waited, and end the session."""
    basket = desk.live.basket
    if not basket.buying or desk.state.sagas or desk.live.reselect:
        return
    if desk.mode is Mode.OUT_OF_SERVICE:
        basket.items.clear()
    elif not desk.mode.selling:
        return
    while basket.items and not desk.state.sagas:
        if not _affordable(desk, basket):
            return
        item = basket.items.pop(0)
        basket.begun += 1
        basket.asks_until = None
        vend.select(desk, item)
    if not desk.state.sagas:
        _over(desk)


def _affordable(desk: Desk, basket: Basket) -> bool:
    """Tell whether the next item can be asked for now; False while a card is waited for."""
    live, item = desk.live, basket.items[0]
    if vend.enough(desk, item):
        return True
    if live.session is not None and not live.session_ends:
        return True
    if not live.session_ends and cards.readers_that_wait(desk, always_idle=True):
        return True
    if basket.asks_until is None:
        basket.asks_until = desk.now + desk.policy.approval_timeout_s
        desk.do(Wake("basket card", desk.policy.approval_timeout_s))
        price = desk.planogram.columns[item].price
        desk.tell(
            Message.CARD_PRESENT, selection=item, price=price,
            seconds=desk.policy.approval_timeout_s,
        )  # fmt: skip
    if desk.now < basket.asks_until and cards.readers_that_wait(desk):
        return False
    basket.items.clear()
    return False


def no_card_came(desk: Desk) -> None:
    """The wait for the next card is over."""
    basket = desk.live.basket
    if basket.asks_until is not None and desk.now >= basket.asks_until:
        basket.items.clear()
        desk.live.notice = None
        proceed(desk)


def _over(desk: Desk) -> None:
    desk.live.basket.clear()
    if desk.live.session is not None and not desk.live.session_ends:
        desk.end_session(desk.live.session)
    if desk.state.basket_due:
        vend.give_credit_back(desk, "basket")
