"""Who is where: default addresses, category strings, kinds of device.

Pure. Addresses are habits, not types: any address from 2 on may hold any device, and only the
category (header 245) tells. The defaults say where to look first, and how to read a trace.

Source: ccTalk Generic Specification 4.7, part 1 (addresses) and part 2 (header 245).
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final

from drivers.cctalk.frames import BROADCAST, HOST


@unique
class Category(StrEnum):
    """What a device calls itself in answer to header 245, capitals exactly so."""

    COIN_ACCEPTOR = "Coin Acceptor"
    PAYOUT = "Payout"
    REEL = "Reel"
    BILL_VALIDATOR = "Bill Validator"
    CARD_READER = "Card Reader"
    CHANGER = "Changer"
    DISPLAY = "Display"
    KEYPAD = "Keypad"
    DONGLE = "Dongle"
    METER = "Meter"
    BOOTLOADER = "Bootloader"
    POWER = "Power"
    PRINTER = "Printer"
    RNG = "RNG"
    HOPPER_SCALE = "Hopper Scale"
    COIN_FEEDER = "Coin Feeder"
    BILL_RECYCLER = "Bill Recycler"
    ESCROW = "Escrow"
    DEBUG = "Debug"


_DEFAULTS: Final[tuple[tuple[int, int, Category], ...]] = (
    (2, 2, Category.COIN_ACCEPTOR),
    (3, 10, Category.PAYOUT),
    (11, 17, Category.COIN_ACCEPTOR),
    (30, 34, Category.REEL),
    (40, 47, Category.BILL_VALIDATOR),
    (50, 50, Category.CARD_READER),
    (55, 55, Category.CHANGER),
    (60, 60, Category.DISPLAY),
    (70, 70, Category.KEYPAD),
    (80, 80, Category.DONGLE),
    (85, 89, Category.DONGLE),
    (90, 90, Category.METER),
    (99, 99, Category.BOOTLOADER),
    (100, 100, Category.POWER),
    (110, 110, Category.PRINTER),
    (120, 120, Category.RNG),
    (130, 130, Category.HOPPER_SCALE),
    (140, 140, Category.COIN_FEEDER),
    (150, 150, Category.BILL_RECYCLER),
    (160, 160, Category.ESCROW),
    (240, 255, Category.DEBUG),
)

_ALIASES: Final = {"bill acceptor": Category.BILL_VALIDATOR}
"""The specification's own example answers "Bill Acceptor"."""

_BY_TEXT: Final = {category.lower(): category for category in Category} | _ALIASES


def usual_category(address: int) -> Category | None:
    """What usually stands at an address; None where nothing does."""
    for first, last, category in _DEFAULTS:
        if first <= address <= last:
            return category
    return None


def category_of(text: str) -> Category | None:
    """The category a device's answer names; blanks and capitals are forgiven."""
    return _BY_TEXT.get(" ".join(text.split()).lower())


def address_words(address: int) -> str:
    """An address in words: `host`, `broadcast`, `coin acceptor 2`, `device 77`."""
    if address == BROADCAST:
        return "broadcast"
    if address == HOST:
        return "host"
    category = usual_category(address)
    return f"{category.lower() if category else 'device'} {address}"
