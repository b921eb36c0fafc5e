"""The top commands: run a machine, look at it, watch it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from simulator.cli import show
from simulator.cli.common import DEFAULT_HOME, Home, Json, connect, show_json
from simulator.cli.do import app as do_app
from simulator.cli.fleet import fleet
from simulator.cli.live import live
from simulator.cli.replay import replay
from simulator.cli.swarm import swarm
from simulator.client import SimulatorError

app = typer.Typer(
    name="vendsim",
    help="A simulated vending machine: the hardware that a vendd drives, down to the byte and the "
    "pin, and the customers in front of it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(do_app, name="do")
app.command()(swarm)
app.command()(replay)
app.command()(live)
app.command()(fleet)


@app.callback()
def about() -> None:
    """Keep the commands apart even if there were only one."""


@app.command()
def machine(
    config: Annotated[
        Path, typer.Option("--config", help="The machine's file, the one that vendd gets.")
    ] = Path("config/machines/demo.toml"),
    home: Home = DEFAULT_HOME,
    state: Annotated[
        Path | None,
        typer.Option(help="Keep the world in this file, across restarts of the simulator."),
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0.1, max=100.0, help="How much faster than life parts move.")
    ] = 1.0,
    link: Annotated[
        str | None, typer.Option(help="adapter or native; by default what the file says.")
    ] = None,
    release: Annotated[
        str,
        typer.Option(
            "--pins-on-exit",
            help="keep or input: what pins do when the process that drives them ends.",
        ),
    ] = "keep",
    as_json: Json = False,
) -> None:
    """Run the hardware of one machine until Ctrl-C; it outlives every vendd that uses it."""
    from simulator.machine import (  # noqa: PLC0415 - this command alone needs a whole world
        Machine,
        MachineError,
        MachineOptions,
    )
    from simulator.pins.board import OnRelease  # noqa: PLC0415 - see above

    if link not in (None, "adapter", "native"):
        raise typer.BadParameter(f"no link {link!r}; there are: adapter, native")
    if release not in tuple(OnRelease):
        raise typer.BadParameter(f"no way {release!r}; there are: {', '.join(OnRelease)}")

    def ready(hello: dict[str, Any]) -> None:
        if as_json:
            show_json({"ready": True} | hello)
        else:
            _show_ready(hello)
        console.file.flush()

    console = Console()
    options = MachineOptions(
        config=config,
        home=home.expanduser().absolute(),
        state=None if state is None else state.expanduser().absolute(),
        speed=speed,
        link=link,  # type: ignore[arg-type]  # checked above
        on_release=OnRelease(release),
    )
    try:
        asyncio.run(Machine(options).run(ready))
    except MachineError as error:
        raise SimulatorError(str(error)) from error


def _show_ready(hello: dict[str, Any]) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    paths = hello["paths"]
    for name, path in (
        ("MDB", f"{paths['mdb']} ({hello['link']})"),
        ("ccTalk", paths.get("cctalk")),
        ("pins", paths["pins"]),
        ("display", paths["i2c"]),
        ("keypad", paths["keypad"]),
        ("control", paths["control"]),
        ("state", paths["state"]),
    ):
        if path:
            table.add_row(f"  {name}", path)
    console = Console(soft_wrap=True)
    console.print(
        f"ready: machine [bold]{hello['machine']}[/], process {hello['pid']}, "
        f"{hello['speed']:g} x the speed of life",
        highlight=False,
    )
    console.print(table, highlight=False)
    folder = paths["home"]
    console.print(f"  do things: vendsim do --help (with VENDSIM_DIR={folder})", highlight=False)


@app.command()
def truth(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """Show all that is physically so: each coin, bill, card payment and product."""
    with connect(home) as sim:
        if as_json:
            show_json(sim.truth())
        else:
            show.truth(Console(), sim.truth(), sim.hello())


@app.command()
def display(
    home: Home = DEFAULT_HOME,
    history: Annotated[
        int, typer.Option("--history", "-n", min=0, help="Show the last N texts as well.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Show what the customer reads."""
    with connect(home) as sim:
        view = sim.display()
    if as_json:
        show_json(view)
    else:
        show.display(Console(), view, history)


@app.command()
def pins(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """Show the pins that the machine's file names."""
    with connect(home) as sim:
        found = sim.pins()
    if as_json:
        show_json(found)
    else:
        show.pins(Console(), found)


@app.command()
def watch(
    home: Home = DEFAULT_HOME,
    edges: Annotated[bool, typer.Option("--edges", help="Each edge of each pin, too.")] = False,
    as_json: Json = False,
) -> None:
    """Print what happens, as it happens, until Ctrl-C or the simulator's end."""
    console = Console(soft_wrap=True)
    with connect(home) as sim:
        sim.subscribe(["fact", "display", *(["edge"] if edges else [])])
        try:
            while True:
                for event in sim.events(timeout_s=3_600.0):
                    if as_json:
                        show_json(event)
                    else:
                        show.event(console, event)
        except KeyboardInterrupt:
            return
