"""The closing tables: the stories, and the ledger against the physical truth."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from simulator.demo.ledgers import Compared
from simulator.demo.teller import Teller
from simulator.demo.verdict import Verdict
from simulator.reckoning import Reckoning


def _table(title: str) -> Table:
    table = Table(
        box=SIMPLE_HEAD,
        title=title,
        title_justify="left",
        title_style="bold",
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("", no_wrap=True)
    return table


def _sign(good: bool) -> str:
    return "[green]✓[/]" if good else "[bold red]✗[/]"


def stories(console: Console, teller: Teller, verdicts: Sequence[Verdict]) -> None:
    """Print a row per story."""
    table = _table("The stories")
    table.add_column("story", overflow="fold")
    table.add_column("paid in", justify="right", no_wrap=True)
    table.add_column("product", no_wrap=True)
    table.add_column("paid back", justify="right", no_wrap=True)
    table.add_column("by", no_wrap=True)
    for verdict in verdicts:
        table.add_row(
            _sign(verdict.good),
            verdict.title,
            teller.money(verdict.paid_in) if verdict.paid_in else "",
            ", ".join(verdict.products),
            teller.money(verdict.paid_back) if verdict.paid_back else "",
            " + ".join(verdict.ways),
        )
    console.print()
    console.print(table, highlight=False)


def fleet(console: Console, teller: Teller, machines: Sequence[Compared]) -> None:
    """Print each machine's figures from three sides."""
    table = _table("The fleet: what the cloud has added up, against ledger and truth")
    table.add_column("machine", no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("the cloud", justify="right", no_wrap=True)
    table.add_column("its ledger", justify="right", no_wrap=True)
    table.add_column("the truth", justify="right", no_wrap=True)
    for machine in machines:
        name = machine.machine
        for line in machine.lines:
            shown = teller.money if line.money else str
            figures = (shown(line.cloud), shown(line.ledger), shown(line.truth))
            table.add_row(_sign(line.equal), f"[bold]{name}[/]", f"[dim]{line.words}[/]", *figures)
            name = ""
        table.add_section()
    console.print()
    console.print(table, highlight=False)


def ledger(console: Console, teller: Teller, reckoning: Reckoning) -> None:
    """Print a line per account."""
    table = _table("The ledger against the physical truth")
    table.add_column("account", no_wrap=True)
    table.add_column("vendd's ledger", justify="right", no_wrap=True)
    table.add_column("the truth", justify="right", no_wrap=True)
    table.add_column("which is", overflow="fold")
    for line in reckoning.lines:
        table.add_row(
            _sign(line.equal),
            line.name,
            teller.money(line.ledger),
            teller.money(line.truth),
            f"[dim]{line.words}[/]",
        )
    console.print(table, highlight=False)
