"""``vendsim fleet``: many machines against a real broker and a real server."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import structlog
import typer
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

from simulator.cli.common import Json, show_json
from simulator.client import SimulatorError

if TYPE_CHECKING:
    from simulator.fleet.run import FleetRun
    from simulator.fleet.tally import Result

LOOK_S: Final = 0.25
LINE_EVERY_S: Final = 5.0  # where nobody sees a line change
EXIT_NO: Final = 1
EXIT_INTERRUPTED: Final = 130


def fleet(
    *,
    machines: Annotated[int, typer.Option(min=1, max=5_000, help="How many.")] = 500,
    seconds: Annotated[
        float, typer.Option(min=1.0, max=86_400.0, help="How long they sell, or idle.")
    ] = 30.0,
    rate: Annotated[
        float | None,
        typer.Option(min=0.01, max=1_000.0, help="Vends a second over all; by default one "
                     "in ten seconds in each."),
    ] = None,
    backlog: Annotated[
        int, typer.Option(min=0, max=1_000, help="Vends that each has behind it at first.")
    ] = 5,
    idle: Annotated[
        bool, typer.Option("--idle", help="Nobody sells: measure what idle machines cost.")
    ] = False,
    chaos: Annotated[
        bool, typer.Option("--chaos", help="Cut connections, kill broker and server meanwhile.")
    ] = False,
    home: Annotated[
        Path | None,
        typer.Option("--home", help="The folder of a server that runs; by default an own one."),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Where that server's broker is, as its certificate says.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Everything is drawn from it.")] = 1,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Run many machines with real journals and the real link; differences end it with 1.

    Broker and server are real processes, of this run alone unless --home names others. Prints
    rates, lag and bytes, and compares what machines hold with what the fleet has stored.
    """
    from simulator.fleet.run import FleetError, FleetRun, Options  # noqa: PLC0415 - a whole fleet
    from simulator.fleet.site import SiteError  # noqa: PLC0415 - see above

    if idle and chaos:
        raise typer.BadParameter("--idle and --chaos are two runs")
    logging.disable(logging.CRITICAL)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    run = FleetRun(
        Options(
            machines=machines,
            seconds=seconds,
            rate=rate or machines / 10,
            backlog=backlog,
            idle=idle,
            chaos=chaos,
            home=None if home is None else home.expanduser().absolute(),
            host=host,
            seed=seed,
        ),
        os.urandom,  # noqa: TID251 - where this program's randomness begins
        lambda: datetime.now(UTC),  # noqa: TID251 - and its time
    )
    try:
        result = asyncio.run(_watched(run, console))
    except (FleetError, SiteError, OSError) as error:
        raise SimulatorError(str(error)) from error
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("interrupted; everything that was started has ended")
        sys.exit(EXIT_INTERRUPTED)
    if as_json:
        show_json(result.to_json())
    else:
        _show(console, result)
    if not result.ok:
        sys.exit(EXIT_NO)


async def _watched(run: FleetRun, console: Console) -> Result:
    task = asyncio.current_task()
    assert task is not None, "in a loop"
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    telling = asyncio.create_task(_tell(run, console))
    try:
        return await run.run()
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _tell(run: FleetRun, console: Console) -> None:
    """Say how far it is: a line that changes on a terminal, a line now and then elsewhere."""
    if console.is_terminal:
        spinner = Spinner("dots", run.words())
        with Live(spinner, console=console, transient=True, refresh_per_second=8):
            while True:
                spinner.update(text=run.words())
                await asyncio.sleep(LOOK_S)
    stage, waited_s = "", 0.0
    while True:
        if run.stage != stage or waited_s >= LINE_EVERY_S:
            stage, waited_s = run.stage, 0.0
            console.print(run.words())
            console.file.flush()
        await asyncio.sleep(LOOK_S)
        waited_s += LOOK_S


def _show(console: Console, result: Result) -> None:
    found = result.to_json()
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()

    def row(name: str, words: str) -> None:
        table.add_row(name, words)

    row("machines", f"{found['machines']}, all connected after {found['connected_s']:g} s")
    row(
        "caught up",
        f"{found['caught_up']:,} records in {found['caught_up_s']:g} s, "
        f"{found['caught_up_per_s']:,} a second",
    )
    if result.mode != "idle":
        row(
            "sold",
            f"{found['vends']:,} vends in {found['seconds']:g} s: {found['written_per_s']:,} "
            f"records a second written, {found['acked_per_s']:,} acknowledged",
        )
        row("lag", f"p50 {_ms(found['lag_p50_ms'])}, p99 {_ms(found['lag_p99_ms'])}")
        row("drained", f"{found['drain_s']:g} s after the last vend")
    row(
        "bytes",
        f"{found['bytes']:,} for {found['records']:,} records, {found['bytes_per_record']:g} each",
    )
    row("processor", ", ".join(f"{name} {share:.1%}" for name, share in result.cpu.items()))
    if result.broken:
        row("broken", f"{', '.join(result.broken)}; {found['connections']:,} connections made")
    console.print(table)
    for words in (*result.problems, *result.differences):
        console.print(words, style="red", markup=False)
    if result.ok:
        console.print("no differences: every record once, and equal books", style="green")


def _ms(value: Any) -> str:
    return "-" if value is None else f"{value:g} ms"
