"""The building blocks of an explanation: fields, parts, and the scribe that notes them.

Pure, and the same for every wire. Every byte of a block ends up in exactly one field, read or not;
a block that breaks off or goes on too long yields an error beside whatever could be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

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
    """A message, an item of a poll's answer, or a section of a block."""

    name: str
    meaning: str
    fields: tuple[Field, ...]


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


class Exchange(Protocol):
    """A request and its answer in words, either of which may be missing."""

    @property
    def request(self) -> BlockExplanation | None:
        """Return what the machine sent."""
        ...

    @property
    def response(self) -> BlockExplanation | None:
        """Return what came back."""
        ...

    @property
    def errors(self) -> tuple[str, ...]:
        """Return all errors, each naming its block."""
        ...

    def to_dict(self) -> dict[str, object]:
        """Return plain dicts, lists, strings, numbers, for JSON."""
        ...


def errors_of(
    request: BlockExplanation | None, response: BlockExplanation | None
) -> tuple[str, ...]:
    """Return all errors of an exchange, each naming its block."""
    blocks = (("request", request), ("response", response))
    return tuple(f"{name}: {error}" for name, block in blocks if block for error in block.errors)


class CutShort(Exception):  # noqa: N818  # a signal between scribe and block, never an error outside
    """The block ended inside a field."""


@dataclass(slots=True)
class Scribe:
    """Reads a payload from left to right and notes what each byte is."""

    data: bytes
    at: int = 0
    order: Literal["big", "little"] = "big"
    """Which byte of a number comes first."""
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

    def number(
        self,
        size: int,
        name: str,
        meaning: Meaning = "",
        *,
        scaled: Callable[[int], str | None] | None = None,
        detail: Mapping[str, object] | None = None,
    ) -> int:
        """Read a number of `size` bytes.

        Raises:
            CutShort: Fewer bytes are left; they are noted with an error.
        """
        raw = self._next(size, name)
        value = int.from_bytes(raw, self.order)
        words = meaning(value) if callable(meaning) else meaning
        amount = None if scaled is None else scaled(value)
        self._note(raw, name, value, words or str(value), amount, detail)
        return value

    def options(self, size: int, name: str, names: Mapping[int, str]) -> int:
        """Read option bits."""
        raw = self._next(size, name)
        value = int.from_bytes(raw, self.order)
        bits = [bit for bit in range(8 * size) if value >> bit & 1]
        words = [f"b{bit} {names.get(bit, 'undefined')}" for bit in bits]
        self._note(raw, name, value, ", ".join(words) or "none", None, {"bits": bits})
        return value

    def blob(self, size: int, name: str, meaning: str) -> None:
        """Read `size` bytes that have no structure for us."""
        if size:
            raw = self._next(size, name)
            self._note(raw, name, hex_pairs(raw), meaning)

    def unread(self, what: str) -> None:
        """Note all remaining bytes as not understood, with an error."""
        if self.left:
            raw = self.data[self.at :]
            where = f"byte {self.at + 1}" if len(raw) == 1 else f"from byte {self.at + 1} on"
            self.errors.append(f"{what} ({where}: {hex_pairs(raw)})")
            self._note(raw, "not understood", hex_pairs(raw), what)
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
                self._note(raw, name, hex_pairs(raw), message)
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
        self._fields.append(Field(self.at, hex_pairs(raw), name, value, meaning, scaled, detail))
        self.at += len(raw)


def hex_pairs(data: bytes) -> str:
    """Upper-case pairs separated by blanks."""
    return data.hex(" ").upper()


def counted(number: int, noun: str) -> str:
    """`1 coin`, `2 coins`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
