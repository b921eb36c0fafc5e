"""The root of ``vendcloud``."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from cloud.fleet.cli import (
    audit,
    desired,
    keys,
    machines,
    own,
    refunds,
    reports,
    running,
    screen,
    stock,
    tell,
)
from cloud.fleet.cli.place import CliError

_HELP: Final = """The fleet server of vending machines.

Amounts are in main units, times UTC. Every command has --json.

Exit codes:
0  done
1  the answer is no
2  wrong arguments or configuration
5  refused, and says why
6  not found
7  something is broken
"""

app = typer.Typer(
    name="vendcloud", help=_HELP, no_args_is_help=True, pretty_exceptions_enable=False
)


@app.callback()
def root(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(
            "--home",
            envvar="VENDCLOUD_HOME",
            help="The server's folder (/var/lib/vendcloud).",
            show_default=False,
        ),
    ] = None,
) -> None:
    """The fleet server of vending machines."""
    context.obj = home


for part in (running, own, keys, reports, refunds, stock, audit, machines, tell, desired):
    part.mount(app)


def main() -> None:
    """Run ``vendcloud``; the entry point of the console script."""
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells what it would do anyway
    try:
        app()
    except CliError as error:
        screen.error(f"vendcloud: {error}")
        sys.exit(int(error.code))
