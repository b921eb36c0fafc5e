"""``vendsim do``: what customers and technicians do to a machine, and what breaks in it."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from simulator.cli import show
from simulator.cli.common import (
    DEFAULT_HOME,
    Home,
    Json,
    connect,
    read_amount,
    show_amount,
    show_json,
)
from simulator.client import SimClient, SimulatorError
from simulator.shapes import FactView, Mark

app = typer.Typer(
    help="Do something to a running machine: as a customer, a technician, or fate.",
    no_args_is_help=True,
)

# Facts follow an act within this time, or they follow something else.
_FACT_GAP_S: Final = 0.6
_LONGEST_S: Final = 3.0

PATIENCE_S: Final = 5.0  # how long a customer holds a bill or a card

CUSTOMER: Final = "As a customer"
TECHNICIAN: Final = "As a technician"
FATE: Final = "As fate"

ColumnName = Annotated[str, typer.Argument(metavar="COLUMN", help="As on the door, e.g. A1.")]


def _facts_since(sim: SimClient, mark: Mark) -> list[FactView]:
    """Wait for what follows from an act, as long as one fact follows another."""
    after = mark.fact
    found: list[FactView] = []
    waited_s = 0.0
    while waited_s < _LONGEST_S:
        try:
            waited = sim.wait_for(fact="", since=Mark(fact=after), timeout_s=_FACT_GAP_S)
        except SimulatorError:
            break
        waited_s += max(waited.after_s, 0.01)
        new = sim.facts(after)
        found += new
        after = new[-1].seq if new else after
    return found


def _done(as_json: bool, words: str, **values: Any) -> None:
    if as_json:
        show_json(values)
    else:
        print(words)


def _told(as_json: bool, words: str, found: list[FactView], **values: Any) -> None:
    """Say what was done, and what followed."""
    if as_json:
        show_json(values | {"facts": found})
    else:
        print(words)
        show.facts(Console(soft_wrap=True), found)


# -------------------------------------------------------------------------------- customers


@app.command(rich_help_panel=CUSTOMER)
def coin(
    values: Annotated[
        list[str], typer.Argument(metavar="VALUE...", help="Minor units (50), or 0.50.")
    ],
    slug: Annotated[bool, typer.Option("--slug", help="Worthless discs of that size.")] = False,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Put coins into the slot."""
    with connect(home) as sim:
        hello = sim.hello()
        amounts = [read_amount(text, hello, () if slug else hello.coins, "coin") for text in values]
        mark = sim.mark()
        for amount in amounts:
            sim.insert_coin(amount, name="slug" if slug else "")
        words = ", ".join(show_amount(amount, hello) for amount in amounts)
        _told(as_json, f"put in: {words}", _facts_since(sim, mark), inserted=sum(amounts))


@app.command(rich_help_panel=CUSTOMER)
def bill(
    value: Annotated[str, typer.Argument(help="Minor units (1000), or 10.00.")],
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Offer a bill until the validator pulls it in."""
    with connect(home) as sim:
        hello = sim.hello()
        amount = read_amount(value, hello, hello.bills, "bill")
        mark = sim.mark()
        if not sim.insert_bill(amount, PATIENCE_S):
            raise SimulatorError("the validator did not pull the bill in: it is off, full or busy")
        words = f"offered: {show_amount(amount, hello)}"
        _told(as_json, words, _facts_since(sim, mark), offered=amount)


@app.command(rich_help_panel=CUSTOMER)
def card(
    name: Annotated[str, typer.Argument(metavar="CARD")] = "card",
    reader: Annotated[str | None, typer.Option(help="cashless1 or cashless2.")] = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Hold a card to the reader. An unknown name lists the cards there are."""
    with connect(home) as sim:
        mark = sim.mark()
        if not sim.present_card(name, reader, PATIENCE_S):
            raise SimulatorError("the reader took no notice: it is disabled, dead or busy")
        _told(as_json, f"held to the reader: {name}", _facts_since(sim, mark), card=name)


@app.command(rich_help_panel=CUSTOMER)
def uncard(
    reader: Annotated[str | None, typer.Option(help="cashless1 or cashless2.")] = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Pull the card, or press the reader's cancel key."""
    with connect(home) as sim:
        sim.remove_card(reader)
    _done(as_json, "card pulled")


@app.command(rich_help_panel=CUSTOMER)
def key(
    keys: Annotated[str, typer.Argument(metavar="KEYS", help="E.g. A1, or '*' for coin return.")],
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Press keys, one after the other."""
    with connect(home) as sim:
        mark = sim.mark()
        sim.press_keys(keys)
        frames = sim.display(after=mark.frame).history
    words = f"pressed: {' '.join(keys)}"
    if frames:
        words += f"\n  display: {' | '.join(line.strip() for line in frames[-1].lines)}"
    _done(as_json, words, pressed=keys, frames=frames)


@app.command(rich_help_panel=CUSTOMER)
def lever(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """Press the coin return lever."""
    with connect(home) as sim:
        mark = sim.mark()
        sim.pull_lever()
        _told(as_json, "pressed the coin return lever", _facts_since(sim, mark))


@app.command(rich_help_panel=CUSTOMER)
def take(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """Take what lies in the bin and in the coin tray."""
    with connect(home) as sim:
        hello = sim.hello()
        products, money = sim.take_product(), sim.take_money()
    words = ", ".join([*products, *([show_amount(money, hello)] if money else [])])
    _done(as_json, f"taken: {words or 'nothing'}", products=list(products), money=money)


@app.command(rich_help_panel=CUSTOMER)
def customer(name: str, home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """Let somebody else stand in front of the machine; `truth` keeps accounts for each."""
    with connect(home) as sim:
        sim.customer(name)
    _done(as_json, f"now there: {name}", customer=name)


# ------------------------------------------------------------------------------ technicians


@app.command(rich_help_panel=TECHNICIAN)
def door(
    how: Annotated[str, typer.Argument(metavar="open|closed")],
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Open or close the service door."""
    if how not in ("open", "closed"):
        raise typer.BadParameter("say open or closed")
    with connect(home) as sim:
        sim.door(how == "open")
    _done(as_json, f"door {how}", open=how == "open")


@app.command(rich_help_panel=FATE)
def temperature(
    celsius: Annotated[float | None, typer.Argument(help="Of the cabinet; left as it is.")] = None,
    ambient: Annotated[float | None, typer.Option(help="Of the room.")] = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Make the cabinet's air, or the room, so warm; without a value: say how warm it is."""
    with connect(home) as sim:
        now = sim.temperature(celsius, ambient)
    _done(as_json, f"the cabinet has {now:.1f} °C", celsius=now)


@app.command(rich_help_panel=TECHNICIAN)
def load(
    column: Annotated[str | None, typer.Argument(help="By default every one.")] = None,
    count: Annotated[int | None, typer.Argument(help="By default as many as fit.")] = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Put products into a column, or into all."""
    with connect(home) as sim:
        stock = sim.load(column, count)
    _done(as_json, ", ".join(f"{name}: {left}" for name, left in stock.items()), stock=stock)


@app.command(rich_help_panel=TECHNICIAN)
def unload(column: ColumnName, home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """Take all products out of a column: sold out."""
    with connect(home) as sim:
        taken = sim.unload(column)
    _done(as_json, f"taken out of {column}: {taken}", taken=taken)


@app.command(rich_help_panel=TECHNICIAN)
def fill(
    value: Annotated[str | None, typer.Argument(help="A coin; by default every tube.")] = None,
    count: Annotated[int | None, typer.Argument(help="By default as many as fit.")] = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Put coins into the changer's tubes by hand."""
    with connect(home) as sim:
        hello = sim.hello()
        coin_value = None if value is None else read_amount(value, hello, hello.coins, "coin")
        tubes = sim.fill_tubes(coin_value, count)
    _done(as_json, _tubes(tubes), tubes=tubes)


@app.command(rich_help_panel=TECHNICIAN)
def empty(
    value: Annotated[str | None, typer.Argument(help="A coin; by default every tube.")] = None,
    leave: Annotated[int, typer.Option(help="Leave so many coins.")] = 0,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Take coins out of the changer's tubes by hand."""
    with connect(home) as sim:
        hello = sim.hello()
        coin_value = None if value is None else read_amount(value, hello, hello.coins, "coin")
        tubes = sim.empty_tubes(coin_value, leave)
    _done(as_json, _tubes(tubes), tubes=tubes)


@app.command(rich_help_panel=TECHNICIAN)
def switch(
    value: Annotated[str, typer.Argument(help="A coin that has a tube.")],
    count: Annotated[int, typer.Argument(help="How often; seven at most are told at once.")] = 1,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Let coins out by the changer's own switch, which works in service mode."""
    with connect(home) as sim:
        hello = sim.hello()
        coin_value = read_amount(value, hello, hello.coins, "coin")
        out = sim.press_switch(coin_value, count)
        words = f"let out: {out} x {show_amount(coin_value, hello)}"
    _done(as_json, words if out else "nothing came: the switch is off, or the tube empty", out=out)


def _tubes(tubes: dict[int, int]) -> str:
    return "tubes: " + ", ".join(f"{count} x {value}" for value, count in tubes.items())


# ------------------------------------------------------------------------------------- fate


@app.command(rich_help_panel=FATE)
def jam(column: ColumnName, home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """Let a column's motor stall in mid turn, until `unjam`."""
    with connect(home) as sim:
        sim.jam(column)
    _done(as_json, f"{column} jams", column=column)


@app.command(rich_help_panel=FATE)
def unjam(
    column: ColumnName,
    by_hand: Annotated[bool, typer.Option("--home", help="Turn the spiral home, too.")] = False,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """End a jam."""
    with connect(home) as sim:
        sim.unjam(column, home=by_hand)
    _done(as_json, f"{column} turns again", column=column)


@app.command(rich_help_panel=FATE)
def hang(
    column: ColumnName,
    turns: Annotated[int, typer.Argument(help="Turns that leave it hanging.")] = 1,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Let the next products stay in the spiral: the motor turns, nothing falls."""
    with connect(home) as sim:
        sim.set_fault(column, "hang", turns)
    _done(as_json, f"{column}: the next {turns} turns drop nothing", column=column, turns=turns)


@app.command(rich_help_panel=FATE)
def blind(
    how: Annotated[str, typer.Argument(metavar="on|off")] = "on",
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Blind the drop sensor, or mend it."""
    if how not in ("on", "off"):
        raise typer.BadParameter("say on or off")
    with connect(home) as sim:
        sim.blind(how == "on")
    _done(
        as_json, "the drop sensor is " + ("blind" if how == "on" else "mended"), blind=how == "on"
    )


@app.command(rich_help_panel=FATE)
def fault(
    part: Annotated[str, typer.Argument(help="A device, column, sensor, line or bus.")],
    name: Annotated[str, typer.Argument(help="See `vendsim do faults`.")],
    value: Annotated[str, typer.Argument(help="on, off, how often, or what it wants.")] = "on",
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Break something by name. An unknown name lists those there are."""
    with connect(home) as sim:
        taken = sim.set_fault(part, name, True if value == "on" else value)
    _done(as_json, f"{part}.{name} = {taken}", part=part, fault=name, value=taken)


@app.command(rich_help_panel=FATE)
def heal(
    part: Annotated[str | None, typer.Argument(help="By default everything.")] = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Mend every fault of a part, or of all."""
    with connect(home) as sim:
        sim.clear_faults(part)
    _done(as_json, f"mended: {part or 'everything'}", part=part)


@app.command(rich_help_panel=FATE)
def faults(
    part: Annotated[str | None, typer.Argument(help="By default all parts.")] = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """List what can be broken, and what is."""
    with connect(home) as sim:
        found = sim.list_faults(part)
    if as_json:
        show_json(found)
        return
    # Columns can all break alike: one table for those that do.
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name, known in found.known.items():
        groups.setdefault(tuple(known.items()), []).append(name)
    table = Table(box=None, show_header=False)
    for entries, parts in groups.items():
        table.add_row(f"[bold]{', '.join(parts)}[/]", "")
        for name, text in entries:
            on = [p for p in parts if name in found.active.get(p, {})]
            state = ", ".join(f"{p} = {found.active[p][name]}" for p in on)
            table.add_row(f"  {name}", f"{text}{f'  [red]{state}[/]' if state else ''}")
    Console().print(table, highlight=False)


@app.command(rich_help_panel=FATE)
def unplug(
    part: Annotated[str, typer.Argument(help="A device, display, or line (the bus's cable).")],
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Pull a cable."""
    with connect(home) as sim:
        sim.unplug(part)
    _done(as_json, f"unplugged: {part}", part=part)


@app.command(rich_help_panel=FATE)
def plug(
    part: Annotated[str, typer.Argument(help="A device, display, or line (the bus's cable).")],
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Put a cable back."""
    with connect(home) as sim:
        sim.plug(part)
    _done(as_json, f"plugged in: {part}", part=part)


@app.command("cut-power", rich_help_panel=FATE)
def cut_power(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """Take the whole machine's power away. Kill its vendd yourself: it is another process."""
    with connect(home) as sim:
        sim.cut_power()
    _done(as_json, "the power is off")


@app.command("restore-power", rich_help_panel=FATE)
def restore_power(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """Give the power back."""
    with connect(home) as sim:
        sim.restore_power()
    _done(as_json, "the power is on")


@app.command(rich_help_panel=FATE)
def save(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """Save the world's state now, where the simulator was started with --state FILE."""
    with connect(home) as sim:
        state = sim.save()
    _done(as_json, f"saved: {state}", state=state)


@app.command(rich_help_panel=FATE)
def stop(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """End the simulator."""
    with connect(home) as sim:
        sim.stop()
    _done(as_json, "the simulator ends")
