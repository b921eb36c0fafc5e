"""``vendcloud signer`` and ``vendcloud key``: who signs, and with what."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import structlog
import typer

from cloud.contract.commands import Role
from cloud.contract.messages import read
from cloud.contract.signing import KeyBody
from cloud.contract.topics import TopicError, check_name
from cloud.fleet import signer
from cloud.fleet.cli import screen
from cloud.fleet.cli.place import SERVER, AsJson, CliError, Exit, Place, place_of
from cloud.fleet.cli.running import log_to
from cloud.fleet.now import now_ms
from cloud.fleet.signatory import callers, desk_of
from cloud.fleet.signer import SignerError

log = structlog.get_logger("vendcloud.signer")


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("signer", rich_help_panel=SERVER)(serve)
    group = typer.Typer(help="Operational keys, which sign commands.", no_args_is_help=True)
    group.command("add")(add)
    group.command("list")(list_)
    app.add_typer(group, name="key", rich_help_panel=SERVER)


def serve(context: typer.Context) -> None:
    """Run the signer: the one process that holds signing keys, behind the socket of `signer`."""
    place = place_of(context)
    settings = place.settings.signer
    log_to(place.settings.log_level)
    if not settings.socket:
        raise CliError(
            f'{place.home.config}: [signer] socket is missing, e.g. socket = "signer.sock"',
            Exit.USAGE,
        )
    try:
        asyncio.run(_serve(place))
    except (OSError, SignerError) as error:
        raise CliError(str(error)) from error


async def _serve(place: Place) -> None:
    from cloud.fleet.signer_service import (  # noqa: PLC0415 - no other command serves
        SignerServer,
        give_to_group,
    )

    settings = place.settings.signer
    path = place.home.folder / settings.socket
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = SignerServer(desk_of(settings, place.home, now_ms), path, callers(settings.callers))
    async with server.listening():
        if settings.group:
            give_to_group(path, settings.group)
        log.info("listening", socket=str(path))
        await stopping.wait()


def add(
    context: typer.Context,
    tenant: Annotated[str, typer.Argument(help="Whose machines it may speak to.")],
    role: Annotated[list[Role], typer.Option("--role", help="What it may ask for.")],
    root: Annotated[
        Path | None, typer.Option("--root", help="The root key's file, from its safe.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Make an operational key and have the root key sign it."""
    place = place_of(context)
    keys = place.home.folder / place.settings.signer.keys
    try:
        check_name("tenant", tenant)
        last = max((int(key.kid.rpartition("-")[2]) for key in _keys(keys, tenant)), default=0)
        kid = f"{tenant}-{last + 1}"
        signer.make_key(
            place.home, kid, tenant, tuple(role), os.urandom(32), now_ms(),  # noqa: TID251 - a key
            keys=keys, root=root,
        )  # fmt: skip
    except TopicError as error:
        raise CliError(str(error), Exit.USAGE) from error
    except SignerError as error:
        raise CliError(str(error), Exit.REFUSED) from error
    if json:
        screen.as_json({"kid": kid, "roles": list(role)})
    else:
        screen.note(f"made {keys / kid}.key for {', '.join(role)}")


def _keys(keys: Path, tenant: str) -> list[signer.Signer]:
    return [key for key in signer.keys_of(keys, tenant) if key.kid.rpartition("-")[2].isdecimal()]


def list_(context: typer.Context, tenant: str, json: AsJson = False) -> None:
    """Show a tenant's operational keys."""
    place = place_of(context)
    try:
        found = signer.keys_of(place.home.folder / place.settings.signer.keys, tenant)
    except SignerError as error:
        raise CliError(str(error), Exit.REFUSED) from error
    bodies = [read(KeyBody, key.key.body) for key in found]
    if json:
        screen.as_json([body.model_dump(mode="json") for body in bodies])
        return
    screen.table(
        ("Key", "For", "Until"),
        [
            (
                body.kid,
                ", ".join(body.roles),
                datetime.fromtimestamp(body.not_after / 1000, UTC).strftime("%Y-%m-%d"),
            )
            for body in bodies
        ],
        f"{tenant} has no key: `vendcloud key add`",
    )
