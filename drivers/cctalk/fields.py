"""Small fields that several devices share: numbers, masks, strings, priorities, dates.

Pure. Multi-byte numbers are least significant byte first, except for the devices that their drivers
name. Source: ccTalk Generic Specification 4.7, part 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from drivers.cctalk.frames import CcTalkError, FrameFault


def number(data: bytes, size: int, name: str) -> int:
    """The number in exactly `size` bytes, low byte first.

    Raises:
        CcTalkError: Another length.
    """
    expect_length(data, size, size, name)
    return int.from_bytes(data, "little")


def unsigned(value: int, size: int, name: str) -> bytes:
    """`value` in `size` bytes, low byte first.

    Raises:
        CcTalkError: Negative, or too large for the field.
    """
    if not 0 <= value < 1 << 8 * size:
        raise CcTalkError(
            FrameFault.BAD_VALUE, f"{name} must be 0 to {(1 << 8 * size) - 1}, not {value}"
        )
    return value.to_bytes(size, "little")


def expect_length(data: bytes, least: int, most: int, name: str) -> None:
    """Refuse data outside `least` to `most` bytes.

    Raises:
        CcTalkError: TRUNCATED when it is too short, WRONG_LENGTH when it is too long.
    """
    if least <= len(data) <= most:
        return
    wanted = str(least) if least == most else f"{least} to {most}"
    reason = FrameFault.TRUNCATED if len(data) < least else FrameFault.WRONG_LENGTH
    raise CcTalkError(reason, f"{name} has {wanted} bytes, not {len(data)}", data)


def text(data: bytes) -> str:
    """A string without its padding (blanks, dots, zeros); any byte has a character."""
    return data.decode("latin-1").strip(" \0.")


def positions_of(mask: bytes) -> tuple[int, ...]:
    """The positions whose bit is set, ascending; bit 0 of the first byte is position 1."""
    return tuple(
        8 * index + bit + 1
        for index, byte in enumerate(mask)
        for bit in range(8)
        if byte >> bit & 1
    )


def mask_of(positions: Iterable[int], size: int) -> bytes:
    """The mask of `size` bytes with the bit of each position (from 1) set: those are enabled.

    Raises:
        CcTalkError: A position outside the mask.
    """
    mask = bytearray(size)
    for position in positions:
        if not 1 <= position <= 8 * size:
            raise CcTalkError(
                FrameFault.BAD_VALUE, f"position must be 1 to {8 * size}, not {position}"
            )
        mask[(position - 1) // 8] |= 1 << (position - 1) % 8
    return bytes(mask)


@dataclass(frozen=True, slots=True)
class PollingPriority:
    """Header 249: the longest pause between two buffered reads that the device advises."""

    unit: int
    value: int

    @property
    def seconds(self) -> float | None:
        """The pause, None when the device refers to its manual or to a hardware line."""
        factor = _UNIT_S.get(self.unit)
        return None if factor is None or not self.value else self.value * factor

    @property
    def words(self) -> str:
        """The pause in words."""
        if self.unit == 0:
            return "by a hardware line" if self.value == 255 else "see the product's manual"
        seconds = self.seconds
        if seconds is None:
            return f"unit {self.unit}, value {self.value}: undefined"
        return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:g} s"


_UNIT_S: Final[dict[int, float]] = {
    1: 0.001,
    2: 0.010,
    3: 1.0,
    4: 60.0,
    5: 3600.0,
    6: 86400.0,
    7: 7 * 86400.0,
    8: 30 * 86400.0,
    9: 365 * 86400.0,
}


def decode_polling_priority(data: bytes) -> PollingPriority:
    """The answer of header 249.

    Raises:
        CcTalkError: Not two bytes.
    """
    expect_length(data, 2, 2, "polling priority")
    return PollingPriority(data[0], data[1])


@dataclass(frozen=True, slots=True)
class ReleaseDate:
    """Headers 196 and 195; the year counts from the base year of header 170."""

    day: int
    month: int
    years: int

    @property
    def words(self) -> str:
        """The date in words."""
        return f"day {self.day}, month {self.month}, {self.years} years after the base year"


def decode_date(value: int) -> ReleaseDate:
    """The date packed into a 16-bit number: bits 4-0 day, 8-5 month, 13-9 year."""
    return ReleaseDate(value & 0x1F, value >> 5 & 0x0F, value >> 9 & 0x1F)
