"""The steps of a start-up, by name: what a fault says when one of them fails. Pure tables.

Source: MDB/ICP 4.2, sections 5 to 7.
"""

from __future__ import annotations

from typing import Final

from drivers.mdb.blocks import ADDRESS_MASK, COMMAND_MASK, Address

_CHANGER: Final = (
    "RESET",
    "SETUP",
    "TUBE STATUS",
    "POLL",
    "COIN TYPE",
    "DISPENSE",
    "",
    "EXPANSION",
)
_BILL: Final = ("RESET", "SETUP", "SECURITY", "POLL", "BILL TYPE", "ESCROW", "STACKER", "EXPANSION")
_READER: Final = ("RESET", "SETUP", "POLL", "VEND", "READER", "REVALUE", "", "EXPANSION")
_COMMANDS: Final[dict[int, tuple[str, ...]]] = {
    Address.CHANGER: _CHANGER,
    Address.BILL_VALIDATOR: _BILL,
    Address.CASHLESS_1: _READER,
    Address.CASHLESS_2: _READER,
}


def step_of(payload: bytes) -> str:
    """Return a command's name and its first bytes: ``SETUP (11 00)``."""
    names = _COMMANDS.get(payload[0] & ADDRESS_MASK, ())
    number = payload[0] & COMMAND_MASK
    name = names[number] if number < len(names) else ""
    return f"{name or 'command'} ({payload[:2].hex(' ').upper()})"
