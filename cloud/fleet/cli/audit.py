"""``vendcloud audit``: proofs over what is stored."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Final

import typer

from cloud.fleet import signer
from cloud.fleet.audit import AuditReport, audit
from cloud.fleet.cli import screen
from cloud.fleet.cli.place import BOOKS, AsJson, CliError, Exit, MachineName, Place, address_of, run
from cloud.fleet.database import FleetDatabase

_LINE_EVERY: Final = 100_000  # records between two lines, where no terminal is


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Proofs over what is stored.", no_args_is_help=True)
    group.command("verify")(verify)
    group.callback()(_group)
    app.add_typer(group, name="audit", rich_help_panel=BOOKS)


def _group() -> None:
    """Proofs over what is stored."""


def verify(context: typer.Context, machine: MachineName, json: AsJson = False) -> None:
    """Check a machine's whole life in the database. Exit code 1 if one record is wrong.

    Every hash is made again from the stored bytes; every signature, checkpoint and balance is
    checked, and how journals follow each other.
    """
    address = address_of(machine)

    async def work(database: FleetDatabase, place: Place) -> AuditReport | None:
        root = bytes.fromhex(signer.root_public(place.home))
        with _progress(quiet=json) as told:
            return await audit(database, address, root, told)

    report = run(context, work)
    if report is None:
        raise CliError(f"no machine {address}", Exit.NOT_FOUND)
    if json:
        screen.as_json({**asdict(report), "ok": report.ok})
    else:
        _show(report)
    if not report.ok:
        raise typer.Exit(Exit.NO)


def _show(report: AuditReport) -> None:
    screen.table(
        ("Journal", ">Records", ">Checkpoints", ">Countersigned", ">Vouched to", "Follows"),
        [
            (
                one.journal,
                str(one.records),
                str(one.checkpoints),
                str(one.countersigned),
                str(one.proved or ""),
                one.follows,
            )
            for one in report.journals
        ],
        "no journal yet",
    )
    if report.ok:
        screen.line(f"verified: {report.records} records of {report.machine}")
    else:
        screen.line(f"NOT VERIFIED: {report.problem}")


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show how far it is: a bar on a terminal, a line now and then elsewhere."""
    if quiet:
        yield lambda _done, _all: None
    elif sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 - for people alone
        from rich.progress import Progress  # noqa: PLC0415 - as above

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("records")
            yield lambda done, all_: bar.update(task, completed=done, total=all_)
    else:
        yield _Lines().told


class _Lines:
    def __init__(self) -> None:
        self._next = _LINE_EVERY

    def told(self, done: int, everything: int) -> None:
        if done >= self._next:
            self._next = done - done % _LINE_EVERY + _LINE_EVERY
            sys.stderr.write(f"{done} of {everything} records\n")
