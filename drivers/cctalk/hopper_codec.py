"""Hopper: status, flags, levels, and the ways to dispense.

Pure. A dispense is sent once; whether it was heard is found out by the status and the running count
(`dispensed_between`), never by sending it again.

Source: ccTalk Generic Specification 4.7, part 2 (headers 160-168, 172, 217); power failure:
Money Controls SCH2 manual; serial number variant: Suzo-Happ Flow manual.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from drivers.cctalk.fields import expect_length, number, unsigned
from drivers.cctalk.frames import CcTalkError, FrameFault

ENABLE: Final = 165
"""Header 164: this byte enables a hopper, any other disables it."""
MAX_DISPENSE: Final = 255
SERIAL_BYTES: Final = 3
CIPHER_BYTES: Final = 8
DISPENSE_COUNT_STEPS: Final = 1 << 24


@unique
class DispenseKind(StrEnum):
    """How a hopper wants its dispense command proved."""

    SERIAL = "serial"
    """Its own serial number, three bytes, before the count."""
    NO_CIPHER = "no_cipher"
    """Eight bytes that nobody checks, after a cipher key was asked for."""
    PLAIN = "plain"
    """Eight zero bytes; a plain ACK answers."""


@dataclass(frozen=True, slots=True)
class HopperStatus:
    """Header 166."""

    event: int
    """0 after power-up or reset, one more with each dispense command, 255 goes on with 1."""
    remaining: int
    """Coins still to pay in the running payout; 0 when none runs."""
    paid: int
    """Coins paid by the last or the running payout."""
    unpaid: int
    """Coins the last payout did not pay; set when it ends."""

    @property
    def running(self) -> bool:
        """Whether the motor still pays."""
        return self.remaining > 0

    @property
    def words(self) -> str:
        """The status in words."""
        if self.running:
            return f"paying: {self.paid} paid, {self.remaining} to go"
        if self.unpaid:
            return f"stopped: {self.paid} paid, {self.unpaid} not paid"
        return f"idle: the last payout paid {self.paid}"


def decode_hopper_status(data: bytes) -> HopperStatus:
    """The answer of header 166.

    Raises:
        CcTalkError: Not four bytes.
    """
    expect_length(data, 4, 4, "hopper status")
    return HopperStatus(*data)


def encode_hopper_status(status: HopperStatus) -> bytes:
    """The answer of header 166.

    Raises:
        CcTalkError: A number above 255.
    """
    values = (status.event, status.remaining, status.paid, status.unpaid)
    return b"".join(unsigned(value, 1, "hopper status") for value in values)


FLAG_WORDS: Final[tuple[dict[int, str], ...]] = (
    {
        0: "absolute maximum current exceeded",
        1: "payout timeout: probably empty",
        2: "motor reversed during the last payout",
        3: "opto path blocked while idle",
        4: "opto short-circuit while idle",
        5: "opto blocked permanently during a payout",
        6: "power-up detected",
        7: "payout disabled",
    },
    {
        0: "opto short-circuit during a payout",
        1: "single-coin payout mode",
        2: "use the other hopper for change",
        3: "opto fraud: finger or slider mismatch",
        4: "motor reverse limit reached",
        5: "inductive coil fault",
        6: "power failed during a memory write: counts not to be trusted",
        7: "PIN mechanism enabled",
    },
    {
        0: "power-down during a payout",
        1: "unknown coin type paid",
        2: "PIN number incorrect",
        3: "incorrect cipher key",
        4: "encryption enabled",
    },
)
"""Registers 1 to 3 of header 163, by bit."""

Flag = tuple[int, int]
"""Register (from 1) and bit."""

TIMEOUT: Final[Flag] = (1, 1)
DISABLED: Final[Flag] = (1, 7)
MEMORY_FAILED: Final[Flag] = (2, 6)
POWER_DOWN_IN_PAYOUT: Final[Flag] = (3, 0)
_BLOCKING: Final[frozenset[Flag]] = frozenset(
    {(1, 0), (1, 3), (1, 4), (1, 5), (2, 0), (2, 3), (2, 4), (2, 5), (3, 0), (3, 1), (3, 2), (3, 3)}
)
"""Payout is refused until a reset."""


@dataclass(frozen=True, slots=True)
class HopperFlags:
    """Header 163: one to three registers."""

    registers: bytes

    def has(self, flag: Flag) -> bool:
        """Whether a flag is set; a register that was not sent has none."""
        register, bit = flag
        return register <= len(self.registers) and bool(self.registers[register - 1] >> bit & 1)

    @property
    def all(self) -> tuple[Flag, ...]:
        """Every flag that is set."""
        return tuple(
            (index + 1, bit)
            for index, register in enumerate(self.registers)
            for bit in range(8)
            if register >> bit & 1
        )

    @property
    def blocking(self) -> tuple[Flag, ...]:
        """Flags that keep it from paying until it is reset."""
        return tuple(flag for flag in self.all if flag in _BLOCKING)

    @property
    def words(self) -> str:
        """The flags in words."""
        return ", ".join(map(flag_words, self.all)) or "none"


def flag_words(flag: Flag) -> str:
    """One flag in words."""
    register, bit = flag
    if register > len(FLAG_WORDS):
        return f"register {register} bit {bit}, reserved"
    return FLAG_WORDS[register - 1].get(bit, f"register {register} bit {bit}, reserved")


def decode_hopper_flags(data: bytes) -> HopperFlags:
    """The answer of header 163.

    Raises:
        CcTalkError: Not one to three bytes.
    """
    expect_length(data, 1, 3, "hopper flags")
    return HopperFlags(data)


@dataclass(frozen=True, slots=True)
class HopperLevel:
    """Header 217. None where no sensor is fitted."""

    low: bool | None
    high: bool | None

    @property
    def words(self) -> str:
        """The level in words."""
        low = {None: "no low level sensor", True: "below the low level", False: "above low"}
        high = {None: "no high level sensor", True: "at the high level", False: "below high"}
        return f"{low[self.low]}, {high[self.high]}"


def decode_hopper_level(data: bytes) -> HopperLevel:
    """The answer of header 217: bits 4 and 5 say what bits 0 and 1 are worth.

    Raises:
        CcTalkError: Not one byte.
    """
    expect_length(data, 1, 1, "payout level")
    level = data[0]
    return HopperLevel(
        bool(level & 0x01) if level & 0x10 else None,
        bool(level & 0x02) if level & 0x20 else None,
    )


def encode_hopper_level(level: HopperLevel) -> bytes:
    """The answer of header 217."""
    value = 0
    if level.low is not None:
        value |= 0x10 | int(level.low)
    if level.high is not None:
        value |= 0x20 | 2 * int(level.high)
    return bytes((value,))


def dispense_data(kind: DispenseKind, count: int, serial: bytes = b"") -> bytes:
    """The data of header 167.

    Args:
        kind: What the hopper wants before the count.
        count: Coins, 1 to 255.
        serial: The three bytes of header 242 as they came, for `SERIAL`.

    Raises:
        CcTalkError: A count out of range, or a serial number of another length.
    """
    if not 1 <= count <= MAX_DISPENSE:
        raise CcTalkError(FrameFault.BAD_VALUE, f"1 to {MAX_DISPENSE} coins, not {count}")
    if kind is DispenseKind.SERIAL:
        expect_length(serial, SERIAL_BYTES, SERIAL_BYTES, "serial number of a hopper")
        return serial + bytes((count,))
    return bytes(CIPHER_BYTES) + bytes((count,))


def read_dispense(data: bytes) -> tuple[bytes, int]:
    """Security bytes and coin count of header 167, the way back of `dispense_data`.

    Raises:
        CcTalkError: Not four to nine bytes.
    """
    expect_length(data, SERIAL_BYTES + 1, CIPHER_BYTES + 1, "a dispense command")
    return data[:-1], data[-1]


def decode_dispense_count(data: bytes) -> int:
    """The answer of header 168: coins ever dispensed, modulo 2^24, kept without power.

    Raises:
        CcTalkError: Not three bytes.
    """
    return number(data, 3, "dispense count")


def dispensed_between(before: int, now: int) -> int:
    """Coins dispensed between two counts of header 168."""
    return (now - before) % DISPENSE_COUNT_STEPS
