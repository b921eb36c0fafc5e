"""A world in words and tables, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from controller.money import Money
from simulator.shapes import DisplayView, FactView, Hello, PinView, TruthView


def truth(console: Console, view: TruthView, hello: Hello) -> None:
    """Print all that is physically so."""
    _money(console, view)
    _columns(console, view)
    if view.cards:
        _cards(console, view)
    if len(view.accounts) > 1 or (view.accounts and "" not in view.accounts):
        _accounts(console, view)
    _state(console, view, hello)


def _amount(value: int, view: TruthView) -> str:
    return str(Money(value, view.currency))


def _money(console: Console, view: TruthView) -> None:
    totals = view.totals
    table = Table(title="Money", title_justify="left", show_header=False, box=None)
    table.add_column(justify="left")
    table.add_column(justify="right")
    tubes = ", ".join(f"{count} x {value}" for value, count in view.tubes.items())
    rows: list[tuple[str, int, str]] = [
        ("put in by customers", totals.inserted, ""),
        ("given back to them", totals.returned, f"{_amount(view.tray, view)} still in the tray"
         if view.tray else ""),
        ("in the tubes", totals.tubes, tubes),
        ("in the cash box", totals.cashbox, ""),
        ("in escrow", totals.escrow, ""),
        ("in the stacker", totals.stacker, ""),
        ("in the recycler", totals.recycler, ""),
        ("on its way inside", totals.in_transit, ""),
        ("cards: approved, still open", totals.card_approved, ""),
        ("cards: charged", totals.card_captured, ""),
        ("cards: given back", totals.card_refunded, ""),
        ("cards: put on", totals.card_credited, ""),
    ]  # fmt: skip
    shown_always = {"put in by customers", "given back to them", "in the tubes", "cards: charged"}
    for name, value, note in rows:
        if value or name in shown_always:
            table.add_row(name, _amount(value, view), f"[dim]{note}[/]")
    console.print(table, highlight=False)


def _columns(console: Console, view: TruthView) -> None:
    table = Table(title="\nColumns", title_justify="left", box=None)
    for name in ("column", "product"):
        table.add_column(name)
    table.add_column("left", justify="right")
    table.add_column("turns", justify="right")
    table.add_column("motor")
    table.add_column("broken")
    for name, column in view.columns.items():
        motor = "[bold]turning[/]" if column.running else ""
        if not column.at_home and not column.running:
            motor = f"off home, {column.phase:.0%} of a turn"
        broken = ", ".join(
            _fault(fault, value) for fault, value in view.faults.get(name, {}).items()
        )
        table.add_row(
            name, column.product, str(column.stock), str(column.turns), motor, f"[red]{broken}[/]"
        )
    console.print(table, highlight=False)


def _cards(console: Console, view: TruthView) -> None:
    table = Table(title="\nCard payments", title_justify="left", box=None)
    for name in ("#", "card", "reader", "item", "asked", "taken", "state", "because of"):
        table.add_column(
            name, justify="right" if name in ("#", "item", "asked", "taken") else "left"
        )
    for card in view.cards:
        table.add_row(
            str(card.id), card.card, card.reader, str(card.item), _amount(card.requested, view),
            _amount(card.amount, view), card.state, card.why,
        )  # fmt: skip
    console.print(table, highlight=False)


def _accounts(console: Console, view: TruthView) -> None:
    table = Table(title="\nCustomers", title_justify="left", box=None)
    for name in ("customer", "put in", "got back", "card", "out of pocket", "products"):
        table.add_column(name, justify="left" if name in ("customer", "products") else "right")
    for name, account in view.accounts.items():
        table.add_row(
            escape(name) or "(nobody)",
            _amount(account.inserted, view), _amount(account.returned, view),
            _amount(account.charged - account.credited, view), _amount(account.spent, view),
            ", ".join(account.products),
        )  # fmt: skip
    console.print(table, highlight=False)


def _state(console: Console, view: TruthView, hello: Hello) -> None:
    words = []
    if not view.powered:
        words.append("[red]no power[/]")
    words.append("door open" if view.door_open else "door closed")
    words.append("drop latch set" if view.latched else "drop latch clear")
    lying = f"in the bin: {', '.join(view.bin)}" if view.bin else "bin empty"
    words.append(lying)
    if view.unplugged:
        words.append(f"[red]unplugged: {', '.join(view.unplugged)}[/]")
    for part, faults in view.faults.items():
        if part not in view.columns:
            listed = ", ".join(_fault(name, value) for name, value in faults.items())
            words.append(f"[red]{part}: {listed}[/]")
    on = ", ".join(str(pin) for pin in view.outputs_on)
    words.append(f"outputs on: {on}" if on else "no output on")
    controllers = {0: "no vendd holds the pins", 1: "one process holds the pins"}
    words.append(controllers.get(view.controllers, f"{view.controllers} processes hold pins"))
    console.print(f"\n{hello.machine}: {'; '.join(words)}.", highlight=False)


def _fault(name: str, value: object) -> str:
    return name if value is True else f"{name} {value}"


def display(console: Console, view: DisplayView, history: int) -> None:
    """Print what the customer reads."""
    if history:
        for frame in view.history[-history:]:
            text = " | ".join(line.rstrip() for line in frame.lines)
            console.print(f"[dim]{frame.at_s:12.3f}[/]  {escape(text)}", highlight=False)
    light = "" if view.backlight else "backlight off"
    console.print(Panel.fit(Text("\n".join(view.lines)), subtitle=light or None), highlight=False)


def pins(console: Console, found: Mapping[int, PinView]) -> None:
    """Print pins with what they are for."""
    table = Table(box=None)
    for name in ("pin", "use", "direction", "level", "state", "longest on"):
        table.add_column(name, justify="right" if name in ("pin", "longest on") else "left")
    for number, pin in sorted(found.items()):
        longest = f"{pin.longest_on_s:.3f} s" if pin.output and pin.longest_on_s else ""
        table.add_row(
            str(number), pin.use, "out" if pin.output else "in", "high" if pin.level else "low",
            "[bold]on[/]" if pin.on else "off", longest,
        )  # fmt: skip
    console.print(table, highlight=False)


def facts(console: Console, found: list[FactView]) -> None:
    """Print facts, a line each."""
    for fact in found:
        console.print(f"  {fact.what}: {escape(fact.detail)}", highlight=False)


def event(console: Console, params: dict[str, Any]) -> None:
    """Print one event of ``watch``."""
    kind, data = params["kind"], params["data"]
    if kind == "fact":
        who = f" [dim]({escape(data['customer'])})[/]" if data["customer"] else ""
        words = f"{data['what']:8} {escape(data['detail'])}{who}"
    elif kind == "display":
        text = " | ".join(line.rstrip() for line in data["lines"])
        words = f"display  [bold]{escape(text)}[/]"
    elif kind == "edge":
        by = "vendd" if data["driven"] else "world"
        words = f"pin      {data['pin']:2} {'high' if data['level'] else 'low '} by {by}"
    else:
        words = f"{kind:8} {data}"
    at_s = data.get("at_s")
    stamp = f"{at_s:12.3f}" if isinstance(at_s, float) else " " * 12
    console.print(f"[dim]{stamp}[/]  {words}", highlight=False)
