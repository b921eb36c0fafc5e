"""Whether somebody keeps the system's clock right, by the kernel's own word.

systemd-timesyncd leaves a marker file when it has set the clock; chrony and ntpd leave none, and
tell the kernel alone. adjtimex(2) with no modes reads that and changes nothing: STA_UNSYNC is
cleared while the clock is disciplined, and comes back when its daemon was silent for too long.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Final

STA_UNSYNC: Final = 0x0040  # <linux/timex.h>
TIME_ERROR: Final = 5  # what adjtimex returns for a clock that is not synchronised
_REST: Final = 256  # bytes behind what we read: the kernel writes the whole structure


class Timex(ctypes.Structure):
    """The first fields of ``struct timex``."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * _REST),
    )


Adjtimex = Callable[[Timex], int]


def _kernel(timex: Timex) -> int:
    return int(ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex)))


def synchronised(adjtimex: Adjtimex = _kernel) -> bool:
    """Tell whether the kernel's clock is disciplined; False where it can't be asked."""
    timex = Timex()
    try:
        state = adjtimex(timex)
    except (AttributeError, OSError):  # a C library without it
        return False
    return 0 <= state != TIME_ERROR and not timex.status & STA_UNSYNC
