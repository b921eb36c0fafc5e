"""How far a long proof has come: a bar on a terminal, else a line now and then."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from controller.clock import Clock

EVERY_S: Final = 60.0  # between two lines where no bar can be drawn: a log of hours stays readable


class Bar:
    """The steps of one part.

    Args:
        console: Where to; whether it is a terminal decides how.
        clock: Times the lines and the estimate.
        what: The steps, in a word or two.
        total: How many there are to be; may be told later.
    """

    def __init__(self, console: Console, clock: Clock, what: str, total: int = 0) -> None:
        """Draw nothing yet."""
        self._console = console
        self._clock = clock
        self._what = what
        self._done = 0
        self._total = total
        self._began = self._told = clock.monotonic_s()
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeRemainingColumn(), console=console, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task(what, total=total)

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar as it stands."""
        self._bar.stop()

    def expect(self, more: int) -> None:
        """Add steps that are to be done."""
        self._total += more
        self._show("")

    def advance(self, steps: int = 1, words: str = "") -> None:
        """Count steps that are done, with what there is to say of them."""
        self._done += steps
        self._show(words)

    def _show(self, words: str) -> None:
        what = f"{self._what} ({words})" if words else self._what
        self._bar.update(self._task, completed=self._done, total=self._total, description=what)
        now = self._clock.monotonic_s()
        if self._console.is_terminal or now - self._told < EVERY_S:
            return
        self._told = now
        took = now - self._began
        line = f"{what}: {self._done:,} of {self._total:,} in {took / 60:.0f} min"
        if self._done and self._total > self._done:
            left_min = took * (self._total - self._done) / self._done / 60
            line += f", some {left_min:.0f} min left"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
