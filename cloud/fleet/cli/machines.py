"""``vendcloud machine``: which machines there are, their certificates and journals."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cloud.fleet import certificates, own, registry, reports, signer
from cloud.fleet.broker_files import broker_told
from cloud.fleet.cli import samples, screen
from cloud.fleet.cli.place import (
    MACHINES,
    AsJson,
    CliError,
    Exit,
    MachineName,
    Place,
    address_of,
    place_of,
    run,
)
from cloud.fleet.database import FleetDatabase
from cloud.fleet.now import now_ms

_ID_CHARACTERS = 32
Journal = Annotated[str, typer.Argument(help="The journal's id, 32 hex digits.")]


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Machines, their certificates and journals.", no_args_is_help=True)
    group.command("add")(add)
    group.command("list")(list_)
    group.command("show")(show)
    group.command("samples")(samples.show)
    group.command("certificate")(certificate)
    group.command("revoke")(revoke)
    group.command("adopt-journal")(adopt)
    group.command("take-back")(take_back)
    group.command("release-journal")(release)
    group.command("accept-key")(accept_key)
    app.add_typer(group, name="machine", rich_help_panel=MACHINES)


def add(context: typer.Context, machine: MachineName, json: AsJson = False) -> None:
    """Add a machine and issue its certificate."""
    address = address_of(machine)

    async def work(database: FleetDatabase, place: Place) -> dict[str, str]:
        now = datetime.now(UTC)  # noqa: TID251 - where the operating system's clock ends
        serial = await registry.add(database, place.home, address, now)
        certificate, key = place.home.machine_files(address)
        return {
            "machine": str(address),
            "serial": serial,
            "certificate": str(certificate),
            "key": str(key),
            "ca": str(place.home.tls / "ca.pem"),
            "host": _broker_of(place),
            "root_key": signer.root_public(place.home),
        }

    made = run(context, work)
    if json:
        screen.as_json(made)
        return
    for text in (
        "Copy these files into the machine's folder (`machine.home`),",
        *(f"  {made[name]}" for name in ("ca", "certificate", "key")),
        f'and add to its configuration, whose `machine.id` is "{address.machine}":',
        "",
        "[cloud]",
        f'tenant = "{address.tenant}"',
        f'host = "{made["host"]}"',
        'ca = "ca.pem"',
        f'certificate = "{address.machine}.pem"',
        f'key = "{address.machine}-key.pem"',
        f'root_key = "{made["root_key"]}"',
    ):
        screen.console().print(text, soft_wrap=True)  # whole: it is copied


def _broker_of(place: Place) -> str:
    """Return a name that the broker's certificate vouches for."""
    try:
        return own.hosts_of(place.home)[0]
    except (OSError, ValueError):
        return place.settings.broker.host


def list_(context: typer.Context, json: AsJson = False) -> None:
    """Show every machine."""
    lines = run(context, lambda database, _: reports.machines(database))
    if json:
        screen.as_json(lines)
        return
    screen.table(
        ("Machine", "Online", ">Records", "Seen", "Software", "State"),
        [_row(line) for line in lines],
        "no machines yet: `vendcloud machine add TENANT/NAME`",
    )


def _row(line: dict[str, Any]) -> tuple[screen.Cell, ...]:
    if line["quarantine"]:
        state: screen.Cell = (f"quarantined: {line['quarantine']}", screen.BAD)
    else:
        state = (line["state"] or {}).get("mode", "")
    return (
        f"{line['tenant']}/{line['machine']}",
        ("yes", screen.GOOD) if line["online"] else ("no", screen.WARN),
        str(line["records"]),
        screen.at(line["seen_ms"]),
        line["software"],
        state,
    )


def show(context: typer.Context, machine: MachineName, json: AsJson = False) -> None:
    """Show one machine: its journals, its books."""
    address = address_of(machine)

    async def work(database: FleetDatabase, _: Place) -> dict[str, Any]:
        found = await reports.machines(database, address)
        if not found:
            raise CliError(f"no machine {address}", Exit.NOT_FOUND)
        return {
            **found[0],
            "certificates": await certificates.of_machine(database, address),
            "journals": await reports.journals(database, address),
            "balances": await reports.balances(database, address),
        }

    told = run(context, work)
    if json:
        screen.as_json(told)
        return
    screen.table(("Machine", "Online", ">Records", "Seen", "Software", "State"), [_row(told)], "")
    screen.console().print()
    screen.table(("As it says", ""), state_lines(told["state"]), "it has not said how it is yet")
    screen.console().print()
    screen.table(
        ("Journal", ">Records", "Counts", "Follows"),
        [
            (
                line["journal"],
                str(line["records"]),
                ("yes", screen.GOOD) if line["adopted"] else ("waits to be adopted", screen.WARN),
                f"{line['previous_uid']} after {line['previous_seq']}"
                if line["previous_uid"]
                else "",
            )
            for line in told["journals"]
        ],
        "no journal yet",
    )
    screen.console().print()
    screen.table(
        ("Certificate", "Issued", "Ends", "State"),
        [_certificate(line) for line in told["certificates"]],
        "no certificate",
    )
    screen.console().print()
    screen.table(
        ("Account", ">Balance"),
        [
            (account, screen.amount(amount, told["currency"]))
            for account, amount in sorted(told["balances"].items())
        ],
        "no money yet",
    )


def state_lines(state: dict[str, Any] | None) -> list[tuple[screen.Cell, ...]]:
    """Return a machine's own words about itself, a line each."""
    if not state:
        return []
    currency = state.get("currency", "")
    pairs: list[tuple[str, screen.Cell]] = [
        ("at", screen.at(state.get("at"))),
        ("why it sells nothing", (state.get("why", ""), screen.BAD)),
        ("faults", (", ".join(state.get("faults", ())), screen.BAD)),
        ("columns off", (_named(state.get("disabled")), screen.WARN)),
        ("stock", _named(state.get("stock"))),
        ("devices", _named(state.get("devices"))),
        ("tubes", _pieces(state.get("tubes"), currency)),
        ("recycler", _pieces(state.get("recycler"), currency)),
        ("bills in the stacker", str(state.get("stacker", ""))),
        (
            "cash",
            _named({k: screen.amount(v, currency) for k, v in state.get("cash", {}).items()}),
        ),
        ("configuration", _configuration(state.get("configuration"))),
        ("changed there", (", ".join(sorted(state.get("drift", {}))), screen.WARN)),
        ("versions", _versions(state.get("versions") or {})),
        ("records not acknowledged", str(state.get("backlog", "") or "")),
    ]
    return [(name, cell) for name, cell in pairs if (cell if isinstance(cell, str) else cell[0])]


def _versions(told: dict[str, Any]) -> str:
    """Return what runs there; some tell their name with their version."""
    return ", ".join(
        text if (text := str(version)).startswith(name) else f"{name} {text}"
        for name, version in told.items()
    )


def _configuration(told: dict[str, Any] | None) -> str:
    if not told:
        return ""
    revision = told.get("revision", 0)
    words = [f"revision {revision}" if revision else "its own file"]
    words += ["on trial"] if told.get("trial") else []
    if told.get("outcome") in ("refused", "rolled_back"):
        reasons = "; ".join(told.get("errors", ()))
        words.append(f"{told['outcome']} {told.get('seen')}: {reasons}")
    words += [f"{told['waiting']} waits"] if told.get("waiting") else []
    return ", ".join(words)


def _named(values: dict[str, Any] | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in (values or {}).items())


def _pieces(counts: dict[str, int] | None, currency: str) -> str:
    return ", ".join(
        f"{count} x {screen.amount(int(value), currency)}"
        for value, count in sorted((counts or {}).items(), key=lambda pair: int(pair[0]))
    )


def _certificate(line: dict[str, Any]) -> tuple[screen.Cell, ...]:
    state: screen.Cell = ("valid", screen.GOOD)
    if line["revoked_ms"]:
        state = (f"revoked {screen.at(line['revoked_ms'])}", screen.BAD)
    elif line["not_after_ms"] < now_ms():
        state = ("ended", screen.WARN)
    return line["serial"], screen.at(line["issued_ms"]), screen.at(line["not_after_ms"]), state


def certificate(context: typer.Context, machine: MachineName, json: AsJson = False) -> None:
    """Issue another certificate, to be carried to the machine; earlier ones stay valid."""
    address = address_of(machine)

    async def work(database: FleetDatabase, place: Place) -> str:
        now = datetime.now(UTC)  # noqa: TID251 - where the operating system's clock ends
        return await certificates.replace(database, place.home, address, now)

    serial = run(context, work)
    files = [str(path) for path in place_of(context).home.machine_files(address)]
    if json:
        screen.as_json({"machine": str(address), "serial": serial, "files": files})
    else:
        screen.note(f"{address}: certificate {serial}: {' and '.join(files)}")


def revoke(
    context: typer.Context,
    machine: MachineName,
    serial: Annotated[str, typer.Option(help="This certificate alone.", show_default=False)] = "",
    json: AsJson = False,
) -> None:
    """Revoke a machine's certificates: it comes in no more, and is sent away where it is in."""
    address = address_of(machine)

    async def work(database: FleetDatabase, place: Place) -> list[str]:
        now = datetime.now(UTC)  # noqa: TID251 - where the operating system's clock ends
        return await certificates.revoke(database, place.home, address, serial, now)

    revoked = run(context, work)
    place = place_of(context)
    told = ""
    if place.settings.broker.enabled:
        told = asyncio.run(broker_told(place.settings, place.home, address))
    if json:
        screen.as_json({"machine": str(address), "revoked": revoked, "broker": told or "told"})
        return
    screen.note(f"{address}: {len(revoked)} certificates revoked")
    if told:
        screen.note(f"the broker does not know it yet: {told}")


def _journal(text: str) -> bytes:
    try:
        uid = bytes.fromhex(text)
    except ValueError:
        uid = b""
    if len(text) != _ID_CHARACTERS or not uid:
        raise CliError(f"{text!r} is no journal's id: 32 hex digits", Exit.USAGE)
    return uid


def adopt(
    context: typer.Context, machine: MachineName, journal: Journal, json: AsJson = False
) -> None:
    """Let a journal count that a machine has begun: a new disk, or one that went back."""
    address, uid = address_of(machine), _journal(journal)
    count = run(
        context, lambda database, _: registry.adopt_journal(database, address, uid, now_ms())
    )
    if json:
        screen.as_json({"journal": journal, "records": count})
    else:
        screen.note(f"{address}: {count} records of {journal} count now")


def take_back(
    context: typer.Context, machine: MachineName, journal: Journal, json: AsJson = False
) -> None:
    """Go on from an old disk that a machine runs again: it begins a new journal behind it."""
    address, uid = address_of(machine), _journal(journal)
    seq = run(context, lambda database, _: registry.take_back(database, address, uid))
    if json:
        screen.as_json({"journal": journal, "seq": seq})
    else:
        screen.note(
            f"{address} begins a new journal behind record {seq} of {journal} when it is heard "
            "next; `vendcloud machine adopt-journal` lets that one count"
        )


def release(context: typer.Context, journal: Journal, json: AsJson = False) -> None:
    """End a journal's quarantine."""
    uid = _journal(journal)
    run(context, lambda database, _: registry.release(database, uid, now_ms()))
    if json:
        screen.as_json({"journal": journal, "quarantined": False})
        return
    screen.note(f"{journal} is taken in again")


def accept_key(context: typer.Context, machine: MachineName, json: AsJson = False) -> None:
    """Take the key that a machine shows now for its own: it has a new disk."""
    address = address_of(machine)
    key = run(context, lambda database, _: registry.accept_key(database, address, now_ms()))
    if json:
        screen.as_json({"machine": str(address), "key": key.hex()})
    else:
        screen.note(f"{address} signs with {key.hex()} from now on")
