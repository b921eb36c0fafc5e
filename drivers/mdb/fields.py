"""Small fields shared by the codecs: integers, masks, identification strings.

Pure. Multi-byte numbers are most significant byte first, as everywhere on the bus.

Source: MDB/ICP 4.2, sections 4 to 7.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from drivers.mdb.blocks import BlockFault, MdbBlockError

TYPES: Final = 16
"""Coin and bill types are numbered 0-15."""
TOKEN_VALUE: Final = 0xFF
"""A coin or bill worth one vend instead of money (section 5)."""

IDENTIFICATION_BYTES: Final = 29
IDENTIFICATION_OPTIONS_BYTES: Final = 33


def unsigned(value: int, size: int, name: str) -> bytes:
    """`value` in `size` bytes.

    Raises:
        MdbBlockError: Negative, or too large for the field.
    """
    if not 0 <= value < 1 << 8 * size:
        raise MdbBlockError(
            BlockFault.BAD_VALUE, f"{name} must be 0 to {(1 << 8 * size) - 1}, not {value}"
        )
    return value.to_bytes(size, "big")


def nibble(value: int, name: str) -> int:
    """`value` itself when it is 0-15."""
    if not 0 <= value <= 0x0F:
        raise MdbBlockError(BlockFault.BAD_VALUE, f"{name} must be 0 to 15, not {value}")
    return value


def number(data: bytes, start: int, size: int) -> int:
    """The unsigned number of `size` bytes at `start`."""
    return int.from_bytes(data[start : start + size], "big")


def expect_length(payload: bytes, least: int, most: int, name: str) -> None:
    """Refuse a payload outside `least` to `most` bytes.

    Raises:
        MdbBlockError: TRUNCATED when it is too short, WRONG_LENGTH when it is too long.
    """
    size = len(payload)
    if least <= size <= most:
        return
    wanted = str(least) if least == most else f"{least} to {most}"
    reason = BlockFault.TRUNCATED if size < least else BlockFault.WRONG_LENGTH
    raise MdbBlockError(reason, f"{name} has {wanted} bytes, not {size}", payload)


def types_of(mask: int) -> tuple[int, ...]:
    """The types whose bit is set, ascending; bit 0 is type 0."""
    return tuple(index for index in range(TYPES) if mask >> index & 1)


def mask_of(types: Iterable[int]) -> int:
    """The mask with the bit of each given type set.

    Raises:
        MdbBlockError: A type outside 0-15.
    """
    mask = 0
    for index in types:
        mask |= 1 << nibble(index, "type")
    return mask


def padded(values: Sequence[int], size: int = TYPES) -> tuple[int, ...]:
    """`values` filled up with zeros: missing trailing bytes of a list are zero (section 5)."""
    return tuple(values) + (0,) * (size - len(values))


def bcd_number(data: bytes) -> int | None:
    """Packed BCD as a number, None when a nibble is not a digit."""
    digits = data.hex()
    return int(digits) if digits.isdecimal() else None


def bcd_bytes(value: int, size: int, name: str) -> bytes:
    """A number as packed BCD.

    Raises:
        MdbBlockError: Negative, or more than 2 x `size` digits.
    """
    if not 0 <= value < 10 ** (2 * size):
        raise MdbBlockError(BlockFault.BAD_VALUE, f"{name} does not fit {2 * size} digits: {value}")
    return bytes.fromhex(f"{value:0{2 * size}d}")


@dataclass(frozen=True, slots=True)
class Identification:
    """Who made a peripheral. The strings are stripped of padding (blanks or zeros, either side).

    Do not compare them blindly: the field pads as it likes (section 5).
    """

    manufacturer: str
    """Three letters of the EVA-DTS list."""
    serial: str
    """At most twelve characters."""
    model: str
    """Model or tuning revision, at most twelve characters."""
    version: int
    """Software version, four digits: 123 is 1.23. -1 when the bytes are not BCD."""
    options: int | None = None
    """32 option bits the device offers, None in an answer without them."""

    @property
    def version_text(self) -> str:
        """The version as people write it, `1.23`."""
        return "unknown" if self.version < 0 else f"{self.version // 100}.{self.version % 100:02d}"


def ascii_text(data: bytes) -> str:
    """ASCII with the padding of either kind (blanks, NUL) removed; other bytes become `?`."""
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "?" for byte in data.strip(b" \0"))
    return text.strip()


def ascii_field(
    text: str, size: int, name: str, *, fill: bytes = b" ", right: bool = False
) -> bytes:
    """`text` padded to `size` bytes, on the right (default) or, with `right`, on the left.

    Raises:
        MdbBlockError: Not ASCII, or too long.
    """
    try:
        data = text.encode("ascii")
    except UnicodeEncodeError as error:
        raise MdbBlockError(BlockFault.BAD_VALUE, f"{name} must be ASCII: {text!r}") from error
    if len(data) > size:
        raise MdbBlockError(BlockFault.BAD_VALUE, f"{name} has at most {size} characters: {text!r}")
    return data.rjust(size, fill) if right else data.ljust(size, fill)


def encode_identification(value: Identification) -> bytes:
    """29 bytes, or 33 with options. The serial number is padded with zeros on its left."""
    body = (
        ascii_field(value.manufacturer, 3, "manufacturer")
        + ascii_field(value.serial, 12, "serial number", fill=b"0", right=True)
        + ascii_field(value.model, 12, "model")
        + bcd_bytes(value.version, 2, "software version")
    )
    return body if value.options is None else body + unsigned(value.options, 4, "options")


def decode_identification(payload: bytes) -> Identification:
    """29 bytes without, 33 with option bits.

    Raises:
        MdbBlockError: Any other length.
    """
    expect_length(payload, IDENTIFICATION_BYTES, IDENTIFICATION_OPTIONS_BYTES, "identification")
    if len(payload) not in (IDENTIFICATION_BYTES, IDENTIFICATION_OPTIONS_BYTES):
        raise MdbBlockError(
            BlockFault.WRONG_LENGTH,
            f"identification has {IDENTIFICATION_BYTES} or {IDENTIFICATION_OPTIONS_BYTES} bytes, "
            f"not {len(payload)}",
            payload,
        )
    version = bcd_number(payload[27:29])
    return Identification(
        manufacturer=ascii_text(payload[0:3]),
        serial=ascii_text(payload[3:15]),
        model=ascii_text(payload[15:27]),
        version=-1 if version is None else version,
        options=number(payload, 29, 4) if len(payload) == IDENTIFICATION_OPTIONS_BYTES else None,
    )
