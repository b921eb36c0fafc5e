"""Which peripherals there are, who they say they are, and what the line to them can do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class DeviceName(StrEnum):
    """The peripherals a machine may have; the name used in records, config and commands."""

    CHANGER = "changer"
    BILL = "bill"
    CASHLESS1 = "cashless1"
    CASHLESS2 = "cashless2"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a peripheral says it is; blanks and zero padding stripped."""

    manufacturer: str = ""
    serial: str = ""
    model: str = ""
    software: str = ""


UNKNOWN_IDENTITY: Final = Identity()


@dataclass(frozen=True, slots=True)
class LinkCapabilities:
    """What the line to the bus can do."""

    withholds_ack: bool  # False: an adapter acknowledges by itself
    bus_reset: bool = True
