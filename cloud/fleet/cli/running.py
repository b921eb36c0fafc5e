"""``vendcloud init``, ``migrate``, ``serve``, ``worker``, ``rebuild``: the server itself."""

from __future__ import annotations

import asyncio
import logging
import os
from datetime import UTC, datetime
from typing import Annotated, Any

import structlog
import typer
from sqlalchemy.exc import SQLAlchemyError

from cloud.contract.commands import Role
from cloud.contract.journal import to_ms
from cloud.contract.topics import TopicError, check_name
from cloud.fleet import authority, broker_files, certificates, own, signer
from cloud.fleet.cli import screen
from cloud.fleet.cli.place import (
    SERVER,
    AsJson,
    CliError,
    Exit,
    Place,
    database_problem,
    open_file,
    place_of,
    run,
)
from cloud.fleet.database import FleetDatabase
from cloud.fleet.home import Home, write_private, write_public
from cloud.fleet.migrate import NotMigratedError, newest, upgrade
from cloud.fleet.now import now_ms
from cloud.fleet.projections.rebuild import rebuild as rebuild_all
from cloud.log import Heedless
from config.fleet import ConfigError, FleetHttp


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("init", rich_help_panel=SERVER)(init)
    app.command("migrate", rich_help_panel=SERVER)(migrate)
    app.command("serve", rich_help_panel=SERVER)(serve)
    app.command("worker", rich_help_panel=SERVER)(worker)
    app.command("rebuild", rich_help_panel=SERVER)(rebuild)


def init(
    context: typer.Context,
    tenant: Annotated[str, typer.Argument(help="The first tenant's name.")],
    host: Annotated[list[str] | None, typer.Option("--host", help="A name of the broker.")] = None,
    json: AsJson = False,
) -> None:
    """Make a new server: its folder, authority, keys, database, and the broker's files."""
    place = place_of(context)
    home = place.home
    try:
        check_name("tenant", tenant)
    except TopicError as error:
        raise CliError(str(error), Exit.USAGE) from error
    if (home.tls / "ca.pem").exists():
        raise CliError(f"{home.folder}: there is a server already", Exit.REFUSED)
    now = datetime.now(UTC)  # noqa: TID251 - where the operating system's clock ends
    hosts = tuple(dict.fromkeys([*(host or []), place.settings.broker.host, "localhost"]))
    _make_certificates(home, hosts, now)
    root = signer.make_root(home, os.urandom(32))  # noqa: TID251 - a key of its own
    roles = (Role.OPERATOR, Role.SUPPORT, Role.CONFIG)
    signer.make_key(home, f"{tenant}-1", tenant, roles, os.urandom(32), to_ms(now))  # noqa: TID251 - as above
    broker_files.make(home, place.settings.broker.port, certificates.pair_of(home), now)
    _bring_up(place)
    made = {"home": str(home.folder), "root_key": root.hex(), "broker": str(home.broker)}
    if json:
        screen.as_json(made)
        return
    screen.note(f"made {home.folder}")
    screen.note(f"broker:   mosquitto -c {home.broker / 'mosquitto.conf'}")
    screen.note(f"machines: vendcloud --home {home.folder} machine add {tenant}/NAME")
    screen.note(f"they pin the root key {root.hex()}")
    screen.note(f"keep {home.keys / 'root.key'} on a medium in a safe, not here")


def _make_certificates(home: Home, hosts: tuple[str, ...], now: datetime) -> None:
    ca = authority.make_authority(now)
    write_public(home.tls / "ca.pem", ca.certificate)
    write_private(home.tls / "ca-key.pem", ca.key)
    for name in own.NAMES:
        own.make(home, ca, name, hosts, now)


def _bring_up(place: Place) -> None:
    open_file(place, make=True)
    try:
        asyncio.run(_migrate(place))
    except (SQLAlchemyError, OSError) as error:
        raise database_problem(place, error) from error


async def _migrate(place: Place) -> None:
    database = FleetDatabase(place.home.database_url(place.settings))
    try:
        await upgrade(database)
    finally:
        await database.close()


def migrate(context: typer.Context, json: AsJson = False) -> None:
    """Bring the database's tables to what this software knows."""
    _bring_up(place_of(context))
    if json:
        screen.as_json({"revision": newest()})
        return
    screen.note(f"the database is at {newest()}")


def serve(context: typer.Context) -> None:
    """Run the whole server in one process: ingest, commands, health."""
    _run(context, shared=False, http=place_of(context).settings.http)


def worker(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="This worker's name for the broker.")] = "worker",
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65_535,
            help="Where its health endpoints answer, of several on one computer each at another.",
        ),
    ] = None,
) -> None:
    """Run one of several ingest workers, which share the machines' messages."""
    settings = place_of(context).settings
    port = port or settings.worker.port
    http = settings.http.model_copy(update={"port": port}) if port else None
    _run(context, shared=True, http=http, name=name)


def _run(
    context: typer.Context, *, shared: bool, http: FleetHttp | None, name: str = "serve"
) -> None:
    from cloud.fleet.service import Service  # noqa: PLC0415 - the web server is a second of imports

    place = place_of(context)
    log_to(place.settings.log_level)
    open_file(place, make=not shared)

    async def work() -> None:
        service = Service(place.settings, place.home, shared=shared, name=name)
        await service.prepare(migrate=not shared)
        await service.run(http=http)

    try:
        asyncio.run(work())
    except NotMigratedError as error:
        raise CliError(str(error)) from error
    except ConfigError as error:
        raise CliError(str(error), Exit.USAGE) from error
    except SQLAlchemyError as error:
        raise database_problem(place, error) from error
    except OSError as error:
        hint = "" if (place.home.tls / "ca.pem").exists() else "; `vendcloud init` makes a server"
        raise CliError(f"{place.home.folder}: {error.strerror or error}{hint}") from error


def log_to(level: str) -> None:
    """Log JSON lines to standard error, those of libraries, warnings and a crash as well.

    Libraries tell no more than their information: at "debug" a database's driver tells every
    statement with its values, and claim codes are among them.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    stamps: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper("iso", utc=True),
    ]
    writes: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
    stream: Any = Heedless()  # a full disk under it stops no ingest
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*stamps, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *writes],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.INFO))
    logging.captureWarnings(True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    structlog.configure(
        processors=[*stamps, *writes],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(stream),
    )


def rebuild(context: typer.Context, json: AsJson = False) -> None:
    """Make every projection again from the stored records."""

    async def work(database: FleetDatabase, _: Place) -> int:
        return await rebuild_all(
            database, now_ms(), lambda machine, count: screen.note(f"{machine}: {count} records")
        )

    count = run(context, work)
    if json:
        screen.as_json({"records": count})
