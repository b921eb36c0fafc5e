"""What the explanations of all MDB devices share: who they are, money, a scribe for their fields.

Pure.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum, unique
from typing import Final

from drivers.explanation import BlockExplanation, Meaning, counted, errors_of, hex_pairs
from drivers.explanation import Scribe as Words
from drivers.mdb.cashless_commands import ITEM_UNDEFINED
from drivers.mdb.fields import TOKEN_VALUE, TYPES, ascii_text, bcd_number, types_of
from drivers.mdb.ftl_codec import (
    DELAY_NEVER,
    DELAY_NOT_SUPPORTED,
    FTL_LENGTHS,
    FtlCode,
)
from drivers.mdb.money import CurrencyCode, Scale, ScaleError


@unique
class Device(StrEnum):
    """What stands on the peripheral's side."""

    CHANGER = "changer"
    BILL = "bill"
    CASHLESS = "cashless"


@dataclass(frozen=True, slots=True)
class Explanation:
    """A request and its answer, either of which may be missing."""

    device: Device
    request: BlockExplanation | None
    response: BlockExplanation | None

    @property
    def errors(self) -> tuple[str, ...]:
        """All errors, each naming its block."""
        return errors_of(self.request, self.response)

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


@dataclass(slots=True)
class Scribe(Words):
    """Reads an MDB payload: numbers with the most significant byte first, amounts in a scale."""

    money: Money = field(default_factory=Money)

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
        scaled = self.money.text if money else None
        return self.number(size, name, meaning, scaled=scaled, detail=detail)

    def mask(self, name: str, meaning: Callable[[str], str], none: str = "") -> int:
        """Read a two-byte mask of types; `none` is what an empty one says."""
        raw = self._next(2, name)
        value = int.from_bytes(raw, "big")
        words = none if none and not value else meaning(type_list(value))
        self._note(raw, name, value, words, None, {"types": list(types_of(value))})
        return value

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
        if value is None:
            self.errors.append(f"{name} {hex_pairs(raw)} is not BCD (byte {self.at + 1})")
            self._note(raw, name, hex_pairs(raw), "not BCD")
        else:
            self._note(raw, name, value, meaning(value))

    def amount(self, size: int, name: str, none: str) -> int:
        """Read an amount; all bits set has the meaning `none`."""
        raw = self._next(size, name)
        value = int.from_bytes(raw, "big")
        if value == (1 << 8 * size) - 1:
            self._note(raw, name, value, none)
        else:
            self._note(raw, name, value, factors(value), self.money.text(value))
        return value


def type_list(mask: int) -> str:
    """A mask in words: which types have their bit set."""
    types = types_of(mask)
    if len(types) == TYPES:
        return "all types"
    if not types:
        return "no type"
    return ("type " if len(types) == 1 else "types ") + ", ".join(map(str, types))


def factors(value: int) -> str:
    """A scaled value in words."""
    return counted(value, "scaling factor")


def item_words(item: int) -> str:
    """An item number of a reader's command or message."""
    return "undefined" if item == ITEM_UNDEFINED else f"item {item}"


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
    0x20: "display",
    0x28: "energy management",
    0x30: "bill validator",
    0x40: "universal satellite device 1",
    0x48: "universal satellite device 2",
    0x50: "universal satellite device 3",
    0x58: "coin hopper or tube dispenser 1",
    0x60: "cashless device 2",
    0x68: "age verification device",
    0x70: "coin hopper or tube dispenser 2",
    0xE0: "experimental device 1",
    0xE8: "experimental device 2",
    0xF0: "machine's own device 1",
    0xF8: "machine's own device 2",
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
    return _DEVICES.get(address, f"reserved address {address:02X}")


def ftl_name(code: FtlCode) -> str:
    """The name of a File Transport Layer message."""
    return _FTL_NAMES[code]


def lone_ftl(scribe: Scribe) -> None:
    """A File Transport Layer message, which fills its answer."""
    code = FtlCode(scribe.data[scribe.at])
    scribe.begin(ftl_name(code), "fills the whole answer")
    scribe.take(1, "message", ftl_name(code))
    ftl_fields(scribe, code)


def mixed_ftl(scribe: Scribe) -> None:
    """A File Transport Layer message behind other items, where none may stand."""
    name = ftl_name(FtlCode(scribe.data[scribe.at]))
    scribe.begin("leftover")
    scribe.unread(f"{name} behind other items: it is never mixed with them")


POLL_ITEM_BYTES: Final = 16
"""Most bytes of items in one POLL answer of a changer or validator (MDB/ICP 4.2, 5 and 6)."""


def limit_poll(scribe: Scribe) -> None:
    """Note an answer that is longer than its items may be together."""
    if len(scribe.data) > POLL_ITEM_BYTES:
        scribe.notes.append(
            f"{len(scribe.data)} bytes of items, a POLL answer has {POLL_ITEM_BYTES} at most"
        )


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
