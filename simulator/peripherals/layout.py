"""How fields are laid out in blocks: lengths by command, name plates, scaled money. Pure.

Source: MDB/ICP 4.2, sections 2 and 5 to 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from drivers.mdb.blocks import MAX_BLOCK_BYTES


def fixed_lengths(payload: bytes, lengths: Mapping[bytes, int]) -> int | None:
    """Look a head up in a table of payload lengths by first byte, or by first and second.

    Returns:
        The block's length, None while the second byte is missing, 0 when unknown.
    """
    if not payload:
        return None
    size = lengths.get(payload[:1])
    if size is None:
        size = lengths.get(payload[:2])
        if size is None and len(payload) < 2 and any(key[:1] == payload for key in lengths):
            return None
    return 0 if size is None else min(size + 1, MAX_BLOCK_BYTES)


class NamePlate(Protocol):
    """What a device's settings say about its maker."""

    @property
    def manufacturer(self) -> str:
        """Three letters."""

    @property
    def serial(self) -> str:
        """At most twelve characters; zeros are put in front."""

    @property
    def model(self) -> str:
        """At most twelve characters; blanks are put behind."""

    @property
    def software(self) -> int:
        """Packed BCD: 0x0123 is 1.23."""


def identification(plate: NamePlate) -> bytes:
    """Lay out manufacturer, serial, model and software version: 29 bytes."""
    text = f"{plate.manufacturer:<3.3}{plate.serial:0>12.12}{plate.model:<12.12}"
    return text.encode("ascii") + plate.software.to_bytes(2, "big")


def scaled_units(value_minor: int, factor: int, shift: int, *, largest: int) -> int:
    """Return an amount in a device's units.

    Args:
        value_minor: Minor units of the currency.
        factor: The device's scaling factor.
        shift: The device's decimal places less the currency's.
        largest: Largest number the field can hold.

    Raises:
        ValueError: The amount is no whole number of units, or too large.
    """
    numerator, unit = value_minor, factor
    if shift >= 0:
        numerator *= int(10**shift)
    else:
        unit *= int(10**-shift)
    units, rest = divmod(numerator, unit)
    if rest or not 0 <= units <= largest:
        raise ValueError(f"{value_minor} minor units cannot be told in units of {factor}")
    return units


def minor_units(units: int, factor: int, shift: int) -> int:
    """Return the minor units of a device's amount, rounded down; the way back of `scaled_units`."""
    amount = units * factor
    return amount // int(10**shift) if shift >= 0 else amount * int(10**-shift)
