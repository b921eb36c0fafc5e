"""``vendsim live``: days of a machine in virtual time, for a real vendd to take over."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from controller.clock import SystemClock
from controller.money import Money
from simulator.cli.common import Json, show_json
from simulator.client import SimulatorError

if TYPE_CHECKING:
    from simulator.lived.live import Past
    from simulator.lived.live import Progress as Lived

NOWHERE: Final = Path("/nonexistent/vendd")  # nothing of the machine's own folder is touched
JOURNAL: Final = "journal"
STATE: Final = "world.json"


def live(
    config: Annotated[
        Path, typer.Option("--config", help="The machine's file, the one that vendd gets.")
    ] = Path("config/machines/demo.toml"),
    days: Annotated[float, typer.Option(min=0.1, max=366.0, help="How many days.")] = 7.0,
    customers: Annotated[
        int, typer.Option(min=1, max=1_000, help="How many come on a day, on average.")
    ] = 40,
    seed: Annotated[int, typer.Option(help="Everybody and everything is drawn from it.")] = 1,
    faults: Annotated[
        bool, typer.Option("--faults/--no-faults", help="Whether anything breaks.")
    ] = True,
    journal: Annotated[
        Path | None, typer.Option(help="The journal's folder; by default journal below --dir.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="The world's file; by default world.json below --dir.")
    ] = None,
    home: Annotated[
        Path, typer.Option("--dir", envvar="VENDSIM_DIR", help="A machine's folder.")
    ] = Path(),
    as_json: Json = False,
) -> None:
    """Live days of a machine in virtual time; vendd and `vendsim machine --state` take over.

    The real controller, drivers and journal live them, with customers, faults, kills and power
    cuts. The days end now, and the books are right to the cent, or it fails.
    """
    from config.settings import load  # noqa: PLC0415 - this command alone needs a whole world
    from controller.faults import ConfigError  # noqa: PLC0415 - see above
    from simulator.lived.draw import Days  # noqa: PLC0415 - see above
    from simulator.lived.keep import fits, keep  # noqa: PLC0415 - see above
    from simulator.lived.live import LivedError  # noqa: PLC0415 - see above
    from simulator.lived.live import live as lived  # noqa: PLC0415 - see above
    from simulator.plan import UnknownCurrencyError  # noqa: PLC0415 - see above

    clock = SystemClock()
    began = clock.monotonic_s()
    folder = (journal or home / JOURNAL).expanduser().absolute()
    file = (state or home / STATE).expanduser().absolute()
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    try:
        settings = load(config, home=NOWHERE)
        fits(folder)
        asked = Days(days, customers, seed, faults)
        with _Told(console, days) as told:
            past = lived(settings, asked, datetime.now(UTC), told)  # noqa: TID251 - a shell's now
        keep(past, folder, file)
    except (ConfigError, LivedError, UnknownCurrencyError, OSError) as error:
        raise SimulatorError(str(error)) from error
    about = _about(past, settings.machine.currency, folder, file, clock.monotonic_s() - began)
    if as_json:
        show_json(about)
    else:
        _show(console, about)


class _Told:
    """Shows how far it is: a bar on a terminal, a line a day elsewhere."""

    def __init__(self, console: Console, days: float) -> None:
        self._console = console
        self._days = days
        self._bar: Progress | None = None
        self._day = 0
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("day {task.completed:.1f} of {task.total:g}"),
                BarColumn(40),
                TextColumn("{task.fields[words]}"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self._task = self._bar.add_task("", total=days, words="")

    def __enter__(self) -> _Told:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, progress: Lived) -> None:
        words = f"{progress.vends} vends, {progress.records} records"
        if self._bar is not None:
            self._bar.update(self._task, completed=progress.days, words=words)
        elif int(progress.days) > self._day:
            self._day = int(progress.days)
            self._console.print(f"day {self._day} of {self._days:g}: {words}")
            sys.stdout.flush()


def _about(past: Past, currency: str, journal: Path, state: Path, took_s: float) -> dict[str, Any]:
    return {
        "customers": past.customers,
        "vends": past.vends,
        "records": past.records,
        "starts": past.starts,
        "faults": past.faults,
        "currency": currency,
        "balances": past.balances,
        "by_hand": past.by_hand,
        "left_behind": past.left_behind,
        "journal": str(journal),
        "state": str(state),
        "took_s": round(took_s, 1),
    }


def _show(console: Console, about: dict[str, Any]) -> None:
    currency = about["currency"]
    broke = sum(count for name, count in about["faults"].items() if "." in name)
    cash = sum(amount for name, amount in about["balances"].items() if name.startswith("cash."))
    console.print(
        f"{about['customers']} customers, {about['vends']} vends, {about['records']} records, "
        f"{about['starts']} starts of vendd, {broke} faults, in {about['took_s']:g} s; "
        f"{Money(cash, currency)} are in the machine, as its ledger says."
    )
    console.print(f"  journal  {about['journal']}")
    console.print(f"  state    {about['state']}")
