"""What a vend asks about the basket that it belongs to; ``basket`` buys its items."""

from __future__ import annotations

from controller.machine.desk import Desk
from controller.machine.promises import codes_of
from controller.machine.table import Mode
from controller.ports import DeviceName, ReaderInfo
from controller.saga.strategy import REFUSALS
from controller.state.saga import Saga


def goes_on(desk: Desk, saga: Saga) -> bool:
    """Tell whether more of the basket comes after this vend: credit and session wait for it.

    Not after a refusal: that customer chooses again. Nor after a claim: its code has to be read.
    """
    basket = desk.live.basket
    again = saga.failed in REFUSALS and bool(desk.live.reselect)  # this very item is bought anew
    refused = saga.failed in REFUSALS and not again
    if not (basket.buying and (basket.items or again)) or desk.mode is Mode.STOPPING:
        return False
    return not (saga.kind != "vend" or refused or saga.claimed or codes_of(desk, saga))


def keeps_session(desk: Desk, saga: Saga) -> bool:
    """Tell whether a card's session stays open for the next item."""
    device = DeviceName(saga.device)
    info = desk.live.ready.get(device)
    multivend = isinstance(info, ReaderInfo) and info.multivend
    return goes_on(desk, saga) and multivend and desk.live.session is device


def closed(desk: Desk, saga: Saga) -> None:
    """One of its vends has ended: the last one, if nothing goes on."""
    if desk.live.basket.buying and not goes_on(desk, saga) and not desk.live.reselect:
        desk.live.basket.items.clear()


def place(desk: Desk) -> tuple[int, int, int]:
    """Return the basket of the vend that is about to open, its place in it, and of how many."""
    basket = desk.live.basket
    if not basket.buying:
        return 0, 0, 0
    basket.first = basket.first or desk.journal.next_seq
    return basket.first, basket.begun, basket.of


def forgotten(desk: Desk) -> None:
    """Nobody confirmed it."""
    if not desk.live.basket.buying:
        desk.live.basket.clear()


def give_up(desk: Desk) -> bool:
    """The customer wants no more of it; True when there was something to forget."""
    basket = desk.live.basket
    had = bool(basket.items) and not basket.buying
    if basket.buying:
        basket.items.clear()
    else:
        basket.clear()
    return had
