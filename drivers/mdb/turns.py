"""How a poll ends, and what may end a dialogue with a device."""

from __future__ import annotations

from enum import Enum, unique


@unique
class Turn(Enum):
    """How one poll ended."""

    QUIET = "quiet"
    ITEMS = "items"
    LOST = "lost"


class Lost(Exception):  # noqa: N818 - a turn of events inside a driver, no error
    """The device is silent, or never acknowledged what it must."""


class ResetItself(Exception):  # noqa: N818 - a turn of events inside a driver, no error
    """The device was reset in the middle of a dialogue."""


class Restart(Exception):  # noqa: N818 - a turn of events inside a driver, no error
    """The device must be RESET and initialised, and nobody lost it."""
