"""``vendctl status`` and ``vendctl watch``: the machine now, and what happens to it."""

from __future__ import annotations

from typing import Any, Final

import typer

from controller.cli import screen
from controller.cli.amounts import full, plain
from controller.cli.client import Client
from controller.cli.collect import stacked_bills
from controller.cli.place import AsJson, ask, place
from controller.cli.screen import Cell

_STATE: Final = {
    "ready": screen.GOOD,
    "starting": screen.WARN,
    "lost": screen.BAD,
    "disabled": screen.DIM,
}
_MODE: Final = {"idle": screen.GOOD, "credit": screen.GOOD, "out_of_service": screen.BAD}
_RARE: Final = ("escrow", "recycler")  # places that are shown when something is there
_RESULT: Final = {"sold": screen.GOOD, "refunded": screen.WARN, "claimed": screen.BAD}


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("status")(show)
    app.command("watch")(watch)


def show(context: typer.Context, json: AsJson = False) -> None:
    """Show the machine at a glance."""
    status = ask(context, "status")
    if json:
        screen.as_json(status)
        return
    currency: str = status["currency"]
    screen.fields(_head(status, currency))
    _devices(status["devices"])
    if status["faults"]:
        print()
        rows = [
            ((fault["part"], screen.BAD), fault["code"], fault["detail"])
            for fault in status["faults"]
        ]
        screen.table(("Fault", "Code", "Detail"), rows)
    if status["claims"]:
        print()
        claims(status["claims"], currency)
    _vends([*status["open"], *reversed(status["last"])], currency)


def _journal(journal: dict[str, Any]) -> Cell:
    if not journal["id"]:
        return "none is open", screen.WARN
    return f"{journal['id'][:8]}, records {journal['first']} to {journal['last']}"


def _head(status: dict[str, Any], currency: str) -> list[tuple[str, Cell]]:
    mode: str = status["mode"]
    by = f" ({status['service_by']})" if status["service_by"] else ""
    cash, journal = status["cash"], status["journal"]
    rows: list[tuple[str, Cell]] = [
        ("Machine", f"{status['machine']}, {status['software']}"),
        ("Mode", (f"{mode}{by}: {status['promise']}", _MODE.get(mode, screen.WARN))),
        *_locked(status["lock"]),
        ("Up", _up(status)),
        ("Journal", _journal(journal)),
        ("Credit", full(status["credit"], currency)),
    ]
    if status["escrow"]:
        rows.append(("Escrow", full(status["escrow"], currency)))
    if status["exact_change_only"]:
        rows.append(("Change", ("exact change only", screen.WARN)))
    places = ("tubes", "cashbox", "stacker", "recycler", "escrow")
    words = ", ".join(
        f"{name} {plain(cash[name], currency)}"
        for name in places
        if cash[name] or name not in _RARE
    )
    rows.append(("Cash", f"{words} {currency} ({stacked_bills(cash)})"))
    if status["sold_out"]:
        rows.append(("Sold out", (", ".join(status["sold_out"]), screen.WARN)))
    for column, reason in status["disabled"].items():
        rows.append(("Disabled", (f"{column}: {reason}", screen.BAD)))
    if shown := _glass(status["display"]):
        rows.append(("Display", shown))
    return rows


def _up(status: dict[str, Any]) -> str:
    start = (
        "a start that no journal counts" if status["boot"] is None else f"start {status['boot']}"
    )
    return f"{screen.duration(status['up_s'])}, {start}"


def _locked(lock: dict[str, Any] | None) -> list[tuple[str, Cell]]:
    if lock is None:
        return []
    words = f"by {lock['by']} since {lock['at']}: {lock['reason'] or 'no reason given'}"
    return [("Locked", (f"{words}; `vendctl unlock --reason …`", screen.BAD))]


def _glass(lines: list[str]) -> str:
    """Return what the customer reads, on one line."""
    return " | ".join(text.strip() for text in lines if text.strip())


def _devices(devices: list[dict[str, Any]]) -> None:
    if not devices:
        return
    print()
    screen.table(
        ("Device", "State", "Level", "Maker", "Model", "Serial", "Software"),
        [
            (
                f"{device['name']} ({device['title']})" if device.get("title") else device["name"],
                (device["state"], _STATE.get(device["state"], screen.WARN)),
                "" if device["level"] is None else str(device["level"]),
                device["manufacturer"],
                device["model"],
                device["serial"],
                device["software"],
            )
            for device in devices
        ],
    )


def claims(open_claims: list[dict[str, Any]], currency: str) -> None:
    """Print the claims that are open."""
    screen.table(
        ("Claim", f">{currency}", "Tender", "Vend", "Reason", ""),
        [
            (
                (_grouped(claim["code"]), screen.BAD),
                "1 product" if claim["tender"] == "token" else plain(claim["amount"], currency),
                claim["tender"],
                str(claim["vend"]),
                claim["reason"],
                ("to be reviewed", screen.WARN) if claim["flagged"] else "",
            )
            for claim in open_claims
        ],
    )


def _grouped(code: str) -> str:
    """Return a code as the panel shows it."""
    return " ".join(code[start : start + 4] for start in range(0, len(code), 4))


def _vends(vends: list[dict[str, Any]], currency: str) -> None:
    if not vends:
        return
    print()
    screen.table(
        ("Vend", "What", f">Price {currency}", "Result", ">Paid back", ">Claimed", "Flags"),
        [
            (
                str(vend["vend"]),
                vend["selection"] or "credit returned",
                plain(vend["price"], currency) if vend["kind"] == "vend" else "",
                (vend["result"], _RESULT.get(vend["result"], "")),
                plain(vend["paid_back"], currency) if vend["paid_back"] else "",
                plain(vend["claimed"], currency) if vend["claimed"] else "",
                (", ".join(vend["flags"]), screen.WARN),
            )
            for vend in vends
        ],
    )


def watch(context: typer.Context, json: AsJson = False) -> None:
    """Show what happens, as it happens, until Ctrl-C."""
    with Client(place(context).socket) as client:
        currency: str = client.call("status")["currency"]
        for event in client.events():
            if json:
                screen.as_json_line(event)
            else:
                _event(event, currency)


def _event(event: dict[str, Any], currency: str) -> None:
    kind = event.get("kind")
    if kind == "record":
        screen.record_line(event["record"], currency)
    elif kind == "mode":
        screen.line((f"{'':>7} mode", screen.DIM), event["mode"])
    elif kind == "display":
        screen.line((f"{'':>7} display", screen.DIM), _glass(event["lines"]))
    elif kind == "lost":
        screen.line((f"{event['events']} events were too fast for this terminal", screen.BAD))
