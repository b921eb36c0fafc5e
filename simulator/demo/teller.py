"""Tells a story as it happens: the display as a strip of frames, beside each what led to it.

Knows nothing of the machine; words and frames come in, lines go out, within ``HOLD_S``.
"""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Final, Protocol

from babel.numbers import format_currency
from rich.console import Console
from rich.text import Text

from controller.money import exponent

# What somebody does is told beside the frame that follows from it, if one follows so soon.
HOLD_S: Final = 0.7
# A text is on the glass when it stays so long: it is written letter by letter.
STEADY_S: Final = 0.12
MARGIN: Final = 2
GAP: Final = 2
NARROWEST: Final = 24  # columns for words beside the display


class Tone(StrEnum):
    """Who speaks; the value is a style."""

    ACT = "bold"  # a customer does something
    FACT = "cyan"  # something happens in the machine
    FATE = "yellow"  # nobody in front of the machine knows
    GOOD = "green"
    BAD = "bold red"
    PLAIN = ""


LCD: Final = "bold white on blue"
FRAME: Final = "blue"
DIM: Final = "dim"


class Border(Protocol):
    """The pieces of a frame."""

    top: tuple[str, str]
    between: tuple[str, str]
    bottom: tuple[str, str]
    side: str
    line: str


class Round:
    """For terminals that can."""

    top = ("╭", "╮")
    between = ("├", "┤")
    bottom = ("╰", "╯")
    side = "│"
    line = "─"


class Ascii:
    """For those that can't."""

    top = ("+", "+")
    between = ("+", "+")
    bottom = ("+", "+")
    side = "|"
    line = "-"


class Teller:
    """Prints to a console.

    Args:
        console: Where to.
        currency: Of all amounts.
        products: Names by id.
        now: Seconds, of the clock that frames carry.
    """

    def __init__(
        self, console: Console, currency: str, products: Mapping[str, str], columns: int = 20
    ) -> None:
        self._console = console
        self._currency = currency
        self._products = products
        self._columns = columns
        self._border: Border = Round() if console.encoding.lower().startswith("utf") else Ascii()
        self._held: list[tuple[str, Tone]] = []
        self._coins: list[int] = []  # that the last words held are about
        self._timer: asyncio.TimerHandle | None = None
        self._newest: tuple[str, ...] = ()  # not yet told
        self._steady: asyncio.TimerHandle | None = None
        self._strip = False  # a frame's lower edge is still to be printed
        self.frames: list[tuple[str, ...]] = []

    # --------------------------------------------------------------------------------- words

    def money(self, amount: int) -> str:
        """Return an amount as people write it."""
        value = Decimal(amount).scaleb(-exponent(self._currency))
        return str(format_currency(value, self._currency, locale="en_IE"))

    def product(self, name: str) -> str:
        """Return a product's name."""
        return self._products.get(name, name)

    # --------------------------------------------------------------------------------- story

    def begin(self, number: int, of: int, title: str, who: str) -> None:
        """A story begins."""
        self._newest = ()
        self._settle()
        self._close()
        self.frames.clear()
        width = self._width
        head = Text()
        head.append(f"{self._border.line * 2} {number} of {of}  ", DIM)
        head.append(title, "bold")
        head.append(f"  {who} ", DIM)
        head.append(self._border.line * max(2, width - head.cell_len), DIM)
        self._console.print()
        self._line(head)

    def caption(self, words: str, tone: Tone = Tone.PLAIN) -> None:
        """Something is done or happens."""
        self._coins.clear()
        self._held.append((words, tone))
        self._hold()

    def coin_falls(self, value: int) -> None:
        """A coin falls into the tray; several in a row are told in one line."""
        if self._coins:
            self._held.pop()
        self._coins.append(value)
        falls = "fall" if len(self._coins) > 1 else "falls"
        words = f"{' + '.join(map(self.money, self._coins))} {falls} into the tray"
        self._held.append((words, Tone.FACT))
        self._hold()

    def _hold(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(HOLD_S, self.flush)

    def frame(self, lines: Sequence[str]) -> None:
        """The display shows something else; told when it stays so."""
        self._newest = tuple(lines)
        if self._steady is not None:
            self._steady.cancel()
        self._steady = asyncio.get_running_loop().call_later(STEADY_S, self._settle)

    def _settle(self) -> None:
        if self._steady is not None:
            self._steady.cancel()
            self._steady = None
        lines, self._newest = self._newest, ()
        if not lines or (self._strip and self.frames and self.frames[-1] == lines):
            return
        self.frames.append(lines)
        self._release()
        beside = self._wrapped()
        while len(beside) > len(lines):
            self._print_words([beside.pop(0)])
        self._edge(self._border.between if self._strip else self._border.top)
        self._strip = True
        blank = [Text()] * (len(lines) - len(beside))
        for line, words in zip(lines, [*beside, *blank], strict=True):
            row = Text(" " * MARGIN)
            row.append(self._border.side, FRAME)
            row.append(line.ljust(self._columns)[: self._columns], LCD)
            row.append(self._border.side, FRAME)
            row.append(" " * GAP)
            row.append_text(words)
            self._line(row)

    def flush(self) -> None:
        """Print what waits for a frame that does not come."""
        if self._steady is not None:
            return  # it is coming
        self._release()
        self._print_words(self._wrapped())

    def end(self, words: str, *, good: bool, details: Sequence[str] = ()) -> None:
        """The story is over."""
        self._settle()
        self.flush()
        self._close()
        sign = (
            ("✓" if good else "✗") if isinstance(self._border, Round) else ("ok" if good else "!")
        )
        self._line(Text(f"{' ' * MARGIN}{sign} {words}", Tone.GOOD if good else Tone.BAD))
        for detail in details:
            for part in textwrap.wrap(detail, self._width - MARGIN - 2):
                self._line(Text(f"{' ' * MARGIN}  {part}", Tone.BAD))

    def say(self, words: str, tone: Tone = Tone.PLAIN) -> None:
        """Say something outside of a story."""
        for part in textwrap.wrap(words, self._width):
            self._line(Text(part, tone))

    # -------------------------------------------------------------------------------- inside

    @property
    def _width(self) -> int:
        return min(self._console.width, 100)

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wrapped(self) -> list[Text]:
        room = max(NARROWEST, self._width - MARGIN - self._columns - 2 - GAP)
        found: list[Text] = []
        for words, tone in self._held:
            for number, part in enumerate(textwrap.wrap(words, room - 2)):
                found.append(Text(f"{'› ' if number == 0 else '  '}{part}", tone))
        self._held.clear()
        self._coins.clear()
        return found

    def _print_words(self, lines: Sequence[Text]) -> None:
        if not lines:
            return
        self._close()
        for line in lines:
            indent = " " * (MARGIN + self._columns + 2 + GAP)
            self._line(Text(indent).append_text(line))

    def _close(self) -> None:
        if self._strip:
            self._strip = False
            self._edge(self._border.bottom)

    def _edge(self, ends: tuple[str, str]) -> None:
        edge = f"{ends[0]}{self._border.line * self._columns}{ends[1]}"
        self._line(Text(" " * MARGIN).append(edge, FRAME))

    def _line(self, text: Text) -> None:
        self._console.print(text, no_wrap=True, overflow="ellipsis", highlight=False)
