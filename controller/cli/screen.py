"""What a technician sees: tables that line up, colours on a terminal only, JSON on request."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from textwrap import fill as fold
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

GOOD, BAD, DIM, BOLD = "green", "bold red", "dim", "bold"
WARN: Final = "yellow"

Cell = str | tuple[str, str]  # words, or words and their style
_LEAST: Final = 20  # columns that a cell which goes on below needs to be readable
_GAP: Final = 2  # columns between two cells of a table
_BELOW: Final = 8  # columns before a cell that has the lines below
_WIDE: Final = 400  # columns for a file or a pipe: nothing is folded


def as_json(value: object) -> None:
    """Print a value for scripts."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def as_json_line(value: object) -> None:
    """Print a value as one line, at once."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    print(text, flush=True)


def console() -> Console:
    """Return where people read; it knows by itself whether that is a terminal."""
    from rich.console import Console  # noqa: PLC0415 - 40 ms that --json does not spend

    width = None if sys.stdout.isatty() else _WIDE
    return Console(highlight=False, markup=False, emoji=False, width=width)


def cell(value: Cell) -> Text:
    """Return words that cannot do anything to a terminal, whatever a device calls itself."""
    from rich.text import Text  # noqa: PLC0415 - as above

    words, style = (value, "") if isinstance(value, str) else value
    return Text(_safe(words), style=style)


def _safe(words: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in words)


def line(*cells: Cell) -> None:
    """Print cells on one line, a blank between them.

    On a terminal too narrow for it the last cell goes on below its own beginning, between words;
    on one too narrow for that it has the lines below.
    """
    from rich.text import Text  # noqa: PLC0415 - as above

    told = [one for one in cells if one]
    shown = [cell(one) for one in told]
    text, out = Text(" ").join(shown), console()
    if text.cell_len <= out.width or not out.is_terminal:
        out.print(text, soft_wrap=True)
        return
    before = text.cell_len - shown[-1].cell_len
    if len(shown) == 1:
        out.print(text)
    elif before <= out.width - _LEAST:
        from rich.table import Table  # noqa: PLC0415 - as above

        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(Text(" ").join(shown[:-1]), shown[-1])
        out.print(grid)
    else:
        from rich.padding import Padding  # noqa: PLC0415 - as above

        heads = (cell(_bare(one)) for one in told[:-1])
        out.print(Text(" ").join(head for head in heads if head))
        out.print(Padding(shown[-1], (0, 0, 0, _BELOW)))


def _bare(one: Cell) -> Cell:
    """Return a cell without the room that only makes columns."""
    return one.strip() if isinstance(one, str) else (one[0].strip(), one[1])


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print a table. A head that begins with ">" stands over figures, which end at its right.

    A terminal too narrow for it folds cells between words; where that is not enough either, each
    row is a block: a cell a line, with its head.
    """
    from rich.table import Table  # noqa: PLC0415 - as above

    out, names = console(), [head.removeprefix(">") for head in heads]
    told = [tuple(row) for row in rows]
    shown = [[cell(one) for one in row] for row in told]
    figures = [head.startswith(">") for head in heads]
    least, most = _needs(names, figures, shown)
    widths = _shared(least, most, out.width - _GAP * (len(heads) - 1))
    if widths is None:
        _blocks(names, told)
        return
    grid = Table(box=None, header_style=BOLD, pad_edge=False, padding=(0, _GAP, 0, 0))
    for name, right, width in zip(names, figures, widths, strict=True):
        grid.add_column(name, justify="right" if right else "left", width=width)
    for row in shown:
        grid.add_row(*row)
    out.print(grid)


def _needs(
    names: Sequence[str], figures: Sequence[bool], rows: Sequence[Sequence[Text]]
) -> tuple[list[int], list[int]]:
    """Return how wide each column is at least, its longest word, and at most; figures stay whole.

    A head may be folded as well, but over figures.
    """
    most = [max(len(name), *(row[at].cell_len for row in rows)) if rows else len(name)
            for at, name in enumerate(names)]  # fmt: skip
    words = [[name, *(row[at].plain for row in rows)] for at, name in enumerate(names)]
    longest = [max((len(word) for text in texts for word in text.split()), default=0)
               for texts in words]  # fmt: skip
    return [many if whole else few
            for few, many, whole in zip(longest, most, figures, strict=True)], most  # fmt: skip


def _shared(least: Sequence[int], most: Sequence[int], room: int) -> list[int] | None:
    """Return the columns' widths in ``room``, who needs little first; none if it is too little."""
    spare = room - sum(least)
    if spare < 0:
        return None
    widths = list(least)
    places = sorted(range(len(least)), key=lambda at: most[at] - least[at])
    for number, place in enumerate(places):
        more = min(most[place] - least[place], spare // (len(places) - number))
        widths[place] += more
        spare -= more
    return widths


def _blocks(names: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    for number, row in enumerate(rows):
        if number:
            print()
        fields((name, one) for name, one in zip(names, row, strict=True) if one and one[0])


def fields(pairs: Iterable[tuple[str, Cell]]) -> None:
    """Print names and their values, the values one below the other."""
    from rich.table import Table  # noqa: PLC0415 - as above

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(cell((name, BOLD)), cell(value))
    console().print(grid)


def note(text: str) -> None:
    """Say something beside the answer, where a pipe does not take it along."""
    error(text)


def error(text: str) -> None:
    """Say what went wrong, beside the answer; on a terminal folded between words."""
    lines = [_safe(line.expandtabs(4)) for line in text.splitlines()]
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        lines = [fold(one, width, break_long_words=False, break_on_hyphens=False) for one in lines]
    print("\n".join(lines), file=sys.stderr)


def many(count: int, noun: str) -> str:
    """Return "1 bill" or "2 bills"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def duration(seconds: float) -> str:
    """Return a time span in its two greatest units: "2 h 13 min"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s"))
    shown = [f"{count} {unit}" for count, unit in units if count][:2]
    return " ".join(shown) or "0 s"


def record_line(record: dict[str, Any], currency: str) -> None:
    """Print a record on one line."""
    from controller.cli.words import summary  # noqa: PLC0415 - only records need them

    vend = record["vend"]
    line(
        (f"{record['seq']:>7}", DIM),
        (record["at"][11:19] if record["at"][:1] != "@" else record["at"], DIM),
        (f"{record['type']:<22}", _STYLES.get(record["type"], BOLD)),
        (f"{'' if vend is None else f'vend {vend}':<11}", DIM),
        summary(record, currency),
    )


_STYLES: Final = {
    "fault.raised": BAD,
    "claim.opened": BAD,
    "review.flagged": BAD,
    "fault.cleared": GOOD,
    "vend.closed": GOOD,
}
