"""``vendsim swarm``: seeds of bad luck, each a machine in virtual time, judged to the cent."""

from __future__ import annotations

import sys
from textwrap import fill as fold
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from controller.clock import SystemClock
from simulator.cli.common import Json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from simulator.swarm.report import Tally
    from simulator.swarm.run import Order
    from simulator.swarm.verdict import Verdict

FEW: Final = 12  # names on one line; --json has all
INTERRUPTED: Final = 130  # as a shell tells of Ctrl-C
LINKS: Final = ("adapter", "native")


def swarm(
    *,
    seeds: Annotated[
        str, typer.Option(help="One seed, or the first and the last: 1..100.")
    ] = "1..10",
    vends: Annotated[int, typer.Option(min=1, help="Customers in each life.")] = 100,
    faults: Annotated[
        str, typer.Option(help="all, none, or parts, faults and ends: changer,line.loss,power.")
    ] = "all",
    link: Annotated[
        str | None, typer.Option(help="adapter or native; by default the seed draws it.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes to play in.")] = 1,
    only: Annotated[str | None, typer.Option(help="Play these customers only: 3,17.")] = None,
    replay: Annotated[
        str | None, typer.Option(help="Play this one life, as a report names it.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=1.0, help="Begin no further seed after so many seconds.")
    ] = None,
    shrink: Annotated[
        bool, typer.Option(help="Look for the shortest life that fails in the same way.")
    ] = True,
    fold: Annotated[
        bool, typer.Option("--fold/--no-fold", help="Answer runs of idle polls as one step.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Search seeds for broken promises.

    Exit code 1 when there is one, 2 when what is asked for can't be played.
    """
    from simulator.swarm import report  # noqa: PLC0415 - this command alone needs a whole world
    from simulator.swarm.run import carry_out_all  # noqa: PLC0415 - see above
    from simulator.swarm.workers import stopped_by_term  # noqa: PLC0415 - see above

    orders, lives = _orders(
        seeds=seeds, vends=vends, faults=faults, link=link, only=only, replay=replay,
        shrink=shrink, fold=fold,
    )  # fmt: skip
    clock = SystemClock()
    began = clock.monotonic_s()
    tally = report.Tally()
    commands: list[str] = []
    console = Console(highlight=False)
    console.soft_wrap = not console.is_terminal  # whoever reads a file folds nothing
    bar = _bar(console, quiet=as_json)
    bar.add_task("", total=lives, words="")

    def in_time() -> Iterator[Order]:
        for order in orders:
            if seconds is not None and clock.monotonic_s() - began > seconds:
                return
            yield order

    stopped = False
    try:
        with stopped_by_term(), bar:
            for verdict in carry_out_all(in_time(), workers):
                tally.add(verdict)
                if verdict.findings:
                    commands.append(report.replay_command(verdict))
                    if not as_json:
                        _show(console, verdict, commands[-1])
                _tell(bar, tally)
    except KeyboardInterrupt:
        stopped = True  # what was played until now is told all the same
    spent = clock.monotonic_s() - began
    if as_json:
        print(report.as_json(tally, spent, commands, stopped=stopped))
    else:
        if stopped:
            console.print("stopped before its end")
        _summary(console, tally, spent, tally.lives == 1)
    if tally.broken:
        sys.exit(1)
    if stopped:
        sys.exit(INTERRUPTED)


def _orders(
    *,
    seeds: str,
    vends: int,
    faults: str,
    link: str | None,
    only: str | None,
    replay: str | None,
    shrink: bool,
    fold: bool,
) -> tuple[Iterable[Order], int]:
    """Read what is asked for, and count it. Raises typer.BadParameter."""
    from simulator.swarm.draw import UnknownFaultsError, luck  # noqa: PLC0415 - see above
    from simulator.swarm.run import Order  # noqa: PLC0415 - see above
    from simulator.swarm.token import BadTokenError, decode  # noqa: PLC0415 - see above

    if replay is not None:
        try:
            life = decode(replay)
        except BadTokenError as error:
            raise typer.BadParameter(str(error)) from error
        return [Order(life.seed, len(life.steps), shrink=False, fold=fold, life=life)], 1
    if link not in (None, *LINKS):
        raise typer.BadParameter(f"no link {link!r}; there are: {', '.join(LINKS)}")
    try:
        luck(faults)
    except UnknownFaultsError as error:
        raise typer.BadParameter(str(error)) from error
    first, last = _range(seeds)
    orders = (
        Order(seed, vends, faults, link, _numbers(only, vends), shrink, fold)  # type: ignore[arg-type]  # checked above
        for seed in range(first, last + 1)
    )
    return orders, last - first + 1


def _bar(console: Console, *, quiet: bool) -> Progress:
    """Return how far it is, on a terminal; drawn after each life, by no thread of its own."""
    return Progress(
        TextColumn("{task.completed} of {task.total} lives"),
        BarColumn(20),
        TextColumn("{task.fields[words]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        auto_refresh=False,
        disable=quiet or not console.is_terminal,
    )


def _tell(bar: Progress, tally: Tally) -> None:
    words = f"{tally.vends} vends, {len(tally.broken)} broken"
    for task in bar.task_ids:
        bar.update(task, completed=tally.lives, words=words, refresh=True)


def _show(console: Console, verdict: Verdict, command: str) -> None:
    from simulator.swarm.report import side_by_side, story  # noqa: PLC0415 - see above

    console.print(f"seed {verdict.life.seed}, customer {verdict.step}:", style="red")
    for finding in verdict.findings:
        _line(console, f"  {finding}", below=4, style="red")
    for line in story(verdict.life):
        _line(console, f"  {line}", below=8)
    for line in side_by_side(verdict):
        _line(console, line, below=22)
    console.print(f"  again: {command}", markup=False, soft_wrap=True)  # whole: it is copied


def _line(console: Console, text: str, below: int, style: str | None = None) -> None:
    """Print a line; what a terminal has no room for goes on under its words."""
    if console.is_terminal:
        text = fold(text, console.width, subsequent_indent=" " * below, break_on_hyphens=False)
    console.print(text, style=style, markup=False)


def _summary(console: Console, tally: Tally, seconds: float, one: bool) -> None:
    from simulator.swarm import coverage  # noqa: PLC0415 - see above

    console.print(
        f"{tally.lives} lives, {tally.customers} customers, {tally.vends} vends, {tally.boots} "
        f"starts, {tally.records} records, {tally.virtual_s / 3600:.1f} h in {seconds:.1f} s: "
        f"{tally.vends / max(seconds, 1e-9):.0f} vends a second; {len(tally.broken)} broken"
    )
    if tally.seeds:
        console.print(f"seeds {min(tally.seeds)}..{max(tally.seeds)}")
    lost = coverage.missed(tally.cells)
    console.print(f"cells of the failure table: {coverage.share(tally.cells):.1%} hit", end="")
    console.print(f", {len(lost)} missed" + (f": {', '.join(lost)}" if len(lost) <= FEW else ""))
    if one and tally.traces:
        console.print(f"trace {tally.traces[0]}")


def _range(text: str) -> tuple[int, int]:
    first, dots, last = text.partition("..")
    if not first.isdecimal() or (dots and not last.isdecimal()):
        raise typer.BadParameter(f"{text!r} is no seed and no range as 1..100")
    begin, end = int(first), int(last) if dots else int(first)
    if end < begin:
        raise typer.BadParameter(f"{text!r} holds no seed: {end} comes before {begin}")
    return begin, end


def _numbers(text: str | None, vends: int) -> tuple[int, ...]:
    if not text:
        return ()
    words = text.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise typer.BadParameter(f"{text!r} is no list of numbers as 3,17")
    numbers = tuple(int(word) for word in words)
    beyond = [number for number in numbers if not 1 <= number <= vends]
    if beyond:
        raise typer.BadParameter(f"there is no customer {beyond[0]}: they are 1 to {vends}")
    return numbers
