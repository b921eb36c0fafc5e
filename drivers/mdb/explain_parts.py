"""The building blocks of an explanation: fields, parts, and the scribe that notes them.

Pure. Every byte of a block ends up in exactly one field, read or not; a block that breaks off or
goes on too long yields an error beside whatever could be read.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum, unique
from typing import Final

from drivers.mdb.blocks import hex_bytes
from drivers.mdb.fields import TOKEN_VALUE, TYPES, ascii_text, bcd_number, types_of
from drivers.mdb.ftl_codec import (
    DELAY_NEVER,
    DELAY_NOT_SUPPORTED,
    FTL_LENGTHS,
    FtlCode,
)
from drivers.mdb.money import CurrencyCode, Scale, ScaleError

Raw = int | str | bool | None
Meaning = str | Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Field:
    """Some bytes, what they are called and what they say."""

    offset: int
    """Of the first byte in the block, from 0."""
    bytes: str
    """Hexadecimal pairs."""
    name: str
    raw: Raw
    """The number on the wire, or the text of a text field."""
    meaning: str
    scaled: str | None = None
    """An amount in main units, when the scale is known."""
    detail: Mapping[str, object] | None = None
    """What the bits of a packed field say, by name."""


@dataclass(frozen=True, slots=True)
class Part:
    """A message, an item of a POLL answer, or a section of a block."""

    name: str
    meaning: str
    fields: tuple[Field, ...]


@unique
class Device(StrEnum):
    """What stands on the peripheral's side."""

    CHANGER = "changer"
    BILL = "bill"
    CASHLESS = "cashless"


@dataclass(frozen=True, slots=True)
class BlockExplanation:
    """One block. The fields of its parts cover each of its bytes, in order."""

    direction: str
    """`VMC to coin changer`, or the other way."""
    name: str
    """`POLL`, `SETUP answer`, `ACK`."""
    meaning: str
    bytes: str
    """As given, hexadecimal pairs."""
    parts: tuple[Part, ...]
    errors: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A request and its answer, either of which may be missing."""

    device: Device
    request: BlockExplanation | None
    response: BlockExplanation | None

    @property
    def errors(self) -> tuple[str, ...]:
        """All errors, each naming its block."""
        blocks = (("request", self.request), ("response", self.response))
        return tuple(
            f"{name}: {error}" for name, block in blocks if block for error in block.errors
        )

    def to_dict(self) -> dict[str, object]:
        """For JSON: plain dicts, lists, strings, numbers."""
        return {**asdict(self), "device": str(self.device), "errors": list(self.errors)}


@dataclass(slots=True)
class Money:
    """The scale amounts are read with; a SETUP answer sets it."""

    scale: Scale | None = None
    currency: str = ""

    def learn(self, factor: int, decimals: int, currency: CurrencyCode) -> str | None:
        """Take the scale of a SETUP answer; the complaint when it can't state money."""
        try:
            self.scale = Scale(factor, decimals)
        except ScaleError as wrong:
            return str(wrong)
        self.currency = currency.letters or ""
        return None

    def text(self, value: int) -> str | None:
        """The amount in main units, None without a scale."""
        if self.scale is None:
            return None
        return f"{self.scale.text(value)} {self.currency}".rstrip()


class CutShort(Exception):  # noqa: N818  # a signal between scribe and block, never an error outside
    """The block ended inside a field."""


@dataclass(slots=True)
class Scribe:
    """Reads a payload from left to right and notes what each byte is."""

    data: bytes
    money: Money
    at: int = 0
    parts: list[Part] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _name: str = ""
    _meaning: str = ""
    _fields: list[Field] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self.data) - self.at

    def begin(self, name: str, meaning: str = "") -> None:
        """Begin a new part; the one before it is closed."""
        self.close()
        self._name, self._meaning = name, meaning

    def close(self) -> None:
        """Close the current part, if it has fields."""
        if self._fields:
            self.parts.append(Part(self._name, self._meaning, tuple(self._fields)))
        self._name, self._meaning, self._fields = "", "", []

    def take(
        self,
        size: int,
        name: str,
        meaning: Meaning = "",
        *,
        money: bool = False,
        detail: Mapping[str, object] | None = None,
    ) -> int:
        """Read a number of `size` bytes; with `money` its scaled amount is noted too.

        Raises:
            CutShort: Fewer bytes are left; they are noted with an error.
        """
        raw = self._next(size, name)
        value = int.from_bytes(raw, "big")
        words = meaning(value) if callable(meaning) else meaning
        scaled = self.money.text(value) if money else None
        self._note(raw, name, value, words or str(value), scaled, detail)
        return value

    def mask(self, name: str, meaning: Callable[[str], str], none: str = "") -> int:
        """Read a two-byte mask of types; `none` is what an empty one says."""
        raw = self._next(2, name)
        value = int.from_bytes(raw, "big")
        words = none if none and not value else meaning(type_list(value))
        self._note(raw, name, value, words, None, {"types": list(types_of(value))})
        return value

    def options(self, size: int, name: str, names: Mapping[int, str]) -> None:
        """Read option bits."""
        raw = self._next(size, name)
        value = int.from_bytes(raw, "big")
        bits = [bit for bit in range(8 * size) if value >> bit & 1]
        words = [f"b{bit} {names.get(bit, 'undefined')}" for bit in bits]
        self._note(raw, name, value, ", ".join(words) or "none", None, {"bits": bits})

    def text(self, size: int, name: str) -> str:
        """Read ASCII of `size` bytes."""
        raw = self._next(size, name)
        text = ascii_text(raw)
        self._note(raw, name, text, f"{text!r}")
        return text

    def bcd(self, size: int, name: str, meaning: Callable[[int], str]) -> None:
        """Read packed BCD of `size` bytes."""
        raw = self._next(size, name)
        value = bcd_number(raw)
        words = "not BCD" if value is None else meaning(value)
        self._note(raw, name, value, words)

    def blob(self, size: int, name: str, meaning: str) -> None:
        """Read `size` bytes that have no structure for us."""
        if size:
            raw = self._next(size, name)
            self._note(raw, name, hex_bytes(raw), meaning)

    def amount(self, size: int, name: str, none: str) -> int:
        """Read an amount; all bits set has the meaning `none`."""
        raw = self._next(size, name)
        value = int.from_bytes(raw, "big")
        if value == (1 << 8 * size) - 1:
            self._note(raw, name, value, none)
        else:
            self._note(raw, name, value, factors(value), self.money.text(value))
        return value

    def unread(self, what: str) -> None:
        """Note all remaining bytes as not understood, with an error."""
        if self.left:
            raw = self.data[self.at :]
            where = f"byte {self.at + 1}" if len(raw) == 1 else f"from byte {self.at + 1} on"
            self.errors.append(f"{what} ({where}: {hex_bytes(raw)})")
            self._note(raw, "not understood", hex_bytes(raw), what)
            self.at = len(self.data)

    def trailer(self, byte: int, name: str, meaning: str) -> None:
        """Note the byte behind the payload as a part of its own."""
        self.begin(name)
        self._note(bytes((byte,)), name, byte, meaning)
        self.close()

    def finish(self) -> None:
        """Close the last part; bytes that are left are an error."""
        if self.left:
            self.begin("leftover")
            self.unread("more bytes than this message has")
        self.close()

    def _next(self, size: int, name: str) -> bytes:
        raw = self.data[self.at : self.at + size]
        if len(raw) < size:
            message = f"cut short: {name} has {size} byte{'s' * (size > 1)}, {len(raw)} left"
            self.errors.append(f"{message} (after byte {len(self.data)})")
            if raw:
                self._note(raw, name, hex_bytes(raw), message)
                self.at = len(self.data)
            raise CutShort
        return raw

    def _note(
        self,
        raw: bytes,
        name: str,
        value: Raw,
        meaning: str,
        scaled: str | None = None,
        detail: Mapping[str, object] | None = None,
    ) -> None:
        self._fields.append(Field(self.at, hex_bytes(raw), name, value, meaning, scaled, detail))
        self.at += len(raw)


def type_list(mask: int) -> str:
    """A mask in words: which types have their bit set."""
    types = types_of(mask)
    if len(types) == TYPES:
        return "all types"
    if not types:
        return "no type"
    return ("type " if len(types) == 1 else "types ") + ", ".join(map(str, types))


def counted(number: int, noun: str) -> str:
    """`1 coin`, `2 coins`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def factors(value: int) -> str:
    """A scaled value in words."""
    return counted(value, "scaling factor")


def value_list(scribe: Scribe, noun: str) -> None:
    """The values of types 0-15 of a SETUP answer, as many as were sent."""
    for index in range(TYPES):
        if not scribe.left:
            scribe.notes.append(f"types {index} to {TYPES - 1} were not sent: unused")
            return
        value = scribe.data[scribe.at]
        if value == 0:
            scribe.take(1, f"{noun} type {index}", "unused")
        elif value == TOKEN_VALUE:
            scribe.take(1, f"{noun} type {index}", "vend token")
        else:
            scribe.take(1, f"{noun} type {index}", factors(value), money=True)


def identification(scribe: Scribe, option_words: Mapping[int, str] | None) -> None:
    """Manufacturer, serial, model, version and, with words for them, option bits."""
    scribe.text(3, "manufacturer")
    scribe.text(12, "serial number")
    scribe.text(12, "model")
    scribe.bcd(2, "software version", lambda v: f"{v // 100}.{v % 100:02d}")
    if option_words is not None:
        scribe.options(4, "options", option_words)


_DEVICES: Final = {
    0x00: "VMC",
    0x08: "coin changer",
    0x10: "cashless device 1",
    0x18: "communications gateway",
    0x30: "bill validator",
    0x60: "cashless device 2",
}

_FTL_NAMES: Final = {
    FtlCode.REQ_TO_RCV: "FTL REQ TO RCV",
    FtlCode.RETRY_DENY: "FTL RETRY/DENY",
    FtlCode.SEND_BLOCK: "FTL SEND BLOCK",
    FtlCode.OK_TO_SEND: "FTL OK TO SEND",
    FtlCode.REQ_TO_SEND: "FTL REQ TO SEND",
}


def device_words(address: int) -> str:
    """A base address in words."""
    return _DEVICES.get(address, f"device at address {address:02X}")


def ftl_name(code: FtlCode) -> str:
    """The name of a File Transport Layer message."""
    return _FTL_NAMES[code]


def ftl_fields(scribe: Scribe, code: FtlCode) -> None:
    """The fields of a File Transport Layer message behind its code."""
    scribe.take(1, "destination", device_words)
    if code is FtlCode.SEND_BLOCK:
        scribe.take(1, "block number")
        size = min(scribe.left, FTL_LENGTHS[code][1] - 3)
        scribe.blob(size, "file data", counted(size, "byte"))
        return
    scribe.take(1, "source", device_words)
    if code is FtlCode.RETRY_DENY:
        scribe.take(1, "retry delay", _delay_words)
    elif code is not FtlCode.OK_TO_SEND:
        scribe.take(1, "file id", _file_words)
        scribe.take(1, "length", lambda blocks: counted(blocks, "block"))
        scribe.options(1, "control", _CONTROL_WORDS)


_CONTROL_WORDS: Final = {0: "reset after transfer", 1: "end of file in this session"}


def _delay_words(delay: int) -> str:
    if delay == DELAY_NEVER:
        return "never: do not try again"
    return "not supported" if delay == DELAY_NOT_SUPPORTED else f"try again in {delay} s"


def _file_words(file_id: int) -> str:
    if file_id == 0:
        return "manufacturer information"
    if file_id == 1:
        return "EVA-DTS file"
    return "private file" if file_id >= 0xF0 else f"file {file_id:02X}"
