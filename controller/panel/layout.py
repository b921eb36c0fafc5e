"""Lines onto a glass, in pages where they are more than it has: pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

PAGE_S: Final = 2.0  # two lines are read in that; a notice of four seconds has two pages
COPY_S: Final = 6.0  # a code is copied digit by digit, in as many turns as it takes

_SHOWN: Final = str.maketrans({"\u00a0": " "})


@dataclass(frozen=True, slots=True)
class Glass:
    """The display's size in characters."""

    cols: int = 20
    rows: int = 4


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that stay together; ``first``, unless blank: its page is the one to begin with."""

    lines: tuple[str, ...]
    copied: bool = False  # holds a code
    first: bool = False

    @property
    def blank(self) -> bool:
        """Tell whether there is nothing to read."""
        return not any(line.strip() for line in self.lines)


@dataclass(frozen=True, slots=True)
class Page:
    """What the glass shows at a time, each line exactly as wide as it is."""

    lines: tuple[str, ...]
    seconds: float = PAGE_S  # until the next one, if there is another


def wrapped(text: str, cols: int) -> list[str]:
    """Return a text in lines of ``cols`` at most; blanks that may not break are U+00A0."""
    if len(text) <= cols:
        return [text]
    return textwrap.wrap(text, cols, break_on_hyphens=False) or [""]


def laid_out(blocks: Sequence[Block], glass: Glass) -> tuple[Page, ...]:
    """Return the pages, one at least; blank lines are left out where there is no room for them."""
    if sum(len(block.lines) for block in blocks) > glass.rows:
        blocks = [block for block in blocks if not block.blank]
    pages = list(_pages(blocks, glass.rows)) or [[]]
    begin = next(
        (n for n, page in enumerate(pages) if any(b.first and not b.blank for b in page)), 0
    )
    return tuple(_page(page, glass) for page in (*pages[begin:], *pages[:begin]))


def _pages(blocks: Sequence[Block], rows: int) -> Iterator[list[Block]]:
    page: list[Block] = []
    left = rows
    for block in blocks:
        for part in _parts(block, rows):
            if len(part.lines) > left:
                yield page
                page, left = [], rows
            page.append(part)
            left -= len(part.lines)
    if page:
        yield page


def _parts(block: Block, rows: int) -> Iterator[Block]:
    """Yield a block, or what of it stands on one page each."""
    for at in range(0, len(block.lines), rows):
        yield Block(block.lines[at : at + rows], block.copied, block.first)


def _page(blocks: Sequence[Block], glass: Glass) -> Page:
    lines = [line.translate(_SHOWN) for block in blocks for line in block.lines]
    shown = [line[: glass.cols].ljust(glass.cols) for line in lines]
    copied = any(block.copied for block in blocks)
    rest = [" " * glass.cols] * (glass.rows - len(shown))
    return Page((*shown, *rest), COPY_S if copied else PAGE_S)
