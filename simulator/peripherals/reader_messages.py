"""The messages of a cashless device, laid out for the level and the currency mode in use.

Source: MDB/ICP 4.2, section 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from simulator.peripherals.layout import identification, minor_units, scaled_units
from simulator.peripherals.reader_settings import Card, ReaderSettings

JUST_RESET: Final = b"\x00"
SESSION_CANCEL: Final = b"\x04"
VEND_DENIED: Final = b"\x06"
END_SESSION: Final = b"\x07"
CANCELLED: Final = b"\x08"
REVALUE_APPROVED: Final = b"\x0d"
REVALUE_DENIED: Final = b"\x0e"
TIME_REQUEST: Final = b"\x11"
ENTRY_CANCEL: Final = b"\x13"
MAX_DISPLAY: Final = 32
"""Characters of a DISPLAY REQUEST."""

_LENGTHS: Final[Mapping[bytes, int]] = {
    b"\x00": 1, b"\x01\x00": 6, b"\x01\x01": 6, b"\x02": 1,
    b"\x03\x00": 6, b"\x03\x01": 2, b"\x03\x02": 4, b"\x03\x03": 2, b"\x03\x04": 2,
    b"\x03\x05": 6, b"\x03\x06": 6,
    b"\x04\x00": 2, b"\x04\x01": 2, b"\x04\x02": 2, b"\x04\x03": 10,
    b"\x05\x00": 4, b"\x05\x01": 2,
    b"\x07\x00": 31, b"\x07\x01": 3, b"\x07\x03": 12, b"\x07\x04": 6,
    b"\x07\xfa": 7, b"\x07\xfb": 5, b"\x07\xfd": 4, b"\x07\xfe": 7,
    b"\x07\xff": 10,  # a question for an age; other diagnostics are not known here
}  # fmt: skip
_EXPANDED: Final[Mapping[bytes, int]] = {
    b"\x01\x01": 12, b"\x03\x00": 8, b"\x03\x05": 10, b"\x03\x06": 8, b"\x05\x00": 6,
}  # fmt: skip


def command_lengths(address: int, *, expanded: bool) -> dict[bytes, int]:
    """Return the payload length of each command, by its first byte or its first two."""
    table = {**_LENGTHS, **_EXPANDED} if expanded else _LENGTHS
    return {bytes((key[0] | address,)) + key[1:]: size for key, size in table.items()}


class Money:
    """A reader's amounts on the wire.

    Args:
        settings: Scale and decimal places.
        expanded: Four bytes instead of two.
    """

    def __init__(self, settings: ReaderSettings, *, expanded: bool) -> None:
        self._factor = settings.scale
        self._shift = settings.decimals - settings.exponent
        self.size = 4 if expanded else 2

    def minor(self, data: bytes) -> int:
        """Return the minor units of an amount."""
        return minor_units(int.from_bytes(data, "big"), self._factor, self._shift)

    def wire(self, value_minor: int) -> bytes:
        """Return an amount, rounded down to what the reader can tell."""
        largest = (1 << 8 * self.size) - 2
        step = minor_units(1, self._factor, self._shift) or 1
        units = scaled_units(value_minor // step * step, self._factor, self._shift, largest=1 << 62)
        return min(units, largest).to_bytes(self.size, "big")

    def unknown(self) -> bytes:
        """Return the amount that stands for unknown, or for a token."""
        return b"\xff" * self.size


def reader_config(settings: ReaderSettings) -> bytes:
    """READER CONFIG DATA."""
    flags = (
        settings.can_refund
        | settings.multivend << 1
        | settings.own_display << 2
        | settings.cash_sale << 3
    )
    return (
        bytes((0x01, settings.level))
        + settings.currency.to_bytes(2, "big")
        + bytes((settings.scale, settings.decimals, settings.max_response_s, flags))
    )


def peripheral_id(settings: ReaderSettings, level: int) -> bytes:
    """PERIPHERAL ID: with option bits when both sides are of level 3."""
    body = b"\x09" + identification(settings)
    if level >= 3 or settings.long_id_always:
        body += settings.options.to_bytes(4, "big")
    return body


def begin_session(card: Card, settings: ReaderSettings, money: Money, level: int) -> bytes:
    """BEGIN SESSION in the form of the level and the currency mode."""
    known = card.show_balance and card.balance is not None
    funds = money.wire(card.balance or 0) if known else money.unknown()
    body = b"\x03" + funds
    if level < 2:
        return body
    body += card.media_id.to_bytes(4, "big") + bytes((card.payment_type,))
    body += card.payment_data.to_bytes(2, "big")
    if money.size == 2:
        return body
    flags = card.hide_credit | card.refundable << 1 | card.revaluable << 2
    return (
        body
        + f"{card.language:<2.2}".encode("ascii")
        + settings.currency.to_bytes(2, "big")
        + bytes((flags,))
    )


def display_request(text: str, seconds: float, size: int) -> bytes:
    """DISPLAY REQUEST of exactly `size` characters."""
    shown = f"{text:<{size}.{size}}".encode("ascii", "replace")
    return bytes((0x02, min(255, max(0, round(seconds * 10))))) + shown


AGE_FEATURES: Final = b"\xff\x05\x06\x01DRAVP"
"""It can check ages."""


def age_result(*, enough: bool, known: bool) -> bytes:
    """Return what a card said about its holder's age; status bits as in MDB/ICP 4.2, section 7."""
    status = 0x80 | (0x10 if enough else 0) | (0x02 if known else 0)
    return b"\xff\x06\x07" + bytes((status, 0x01)) + b"DRAVS"
