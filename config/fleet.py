"""The fleet server's configuration: one TOML file, read and checked whole, like a machine's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from config.explain import explain
from config.models import Section, between, shaped
from config.reading import as_json, read_toml
from controller.faults import ConfigError

__all__ = ["ConfigError", "FleetSettings", "load"]

Port = Annotated[int, between(1, 65_535)]


class FleetDatabase(Section):
    """Where everything is kept."""

    url: Annotated[
        str,
        shaped(
            r"(sqlite\+aiosqlite:///|postgresql\+psycopg://).+",
            "sqlite+aiosqlite:///PATH or postgresql+psycopg://USER@HOST/NAME",
        ),
    ] = "sqlite+aiosqlite:///fleet.db"


class FleetBroker(Section):
    """The MQTT broker that machines connect to."""

    enabled: bool = True  # off where every machine comes over HTTPS
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Port = 8883
    tls: bool = True  # with the certificates in ``tls/``; off only on this computer
    version: Literal[3, 5] = 5


class FleetHttp(Section):
    """Health, and later the API."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Port = 8080


class FleetWorker(Section):
    """One of several `vendcloud worker`s."""

    # Of its health endpoints, on the host of ``http``; without one, and no ``--port``: none.
    port: Port | None = None


class FleetHttps(Section):
    """The door for machines whose network blocks MQTT, with the fleet's own certificates."""

    host: Annotated[str, Field(min_length=1)] = "0.0.0.0"  # noqa: S104 - it is there for machines
    port: Port = 8443


class FleetSigner(Section):
    """Who signs commands and configurations, and what may be signed."""

    socket: str = ""  # of `vendcloud signer`, in the server's folder; empty: in each process itself
    group: str = ""  # whose members may open the socket
    keys: str = "keys"  # a folder, in the server's own unless it is absolute
    # By user's name; root and the signer's own user may ask for anything.
    callers: dict[str, tuple[Literal["operator", "support", "config", "update"], ...]] = Field(
        default_factory=dict
    )
    max_hours: Annotated[int, between(1, 720)] = 720
    per_minute: Annotated[int, between(1, 100_000)] = 120
    never: tuple[str, ...] = ()  # kinds of commands that are signed for nobody


class FleetSettings(Section):
    """Everything that a server is told before it starts."""

    database: FleetDatabase = FleetDatabase()
    broker: FleetBroker = FleetBroker()
    http: FleetHttp = FleetHttp()
    worker: FleetWorker = FleetWorker()
    https: FleetHttps | None = None  # the section alone opens the door
    signer: FleetSigner = FleetSigner()
    log_level: Literal["debug", "info", "warning", "error"] = "info"


def load(path: Path) -> FleetSettings:
    """Read and check a server's file; without one, the defaults hold.

    Raises:
        ConfigError: It can't be read, is no TOML, or says something wrong; every mistake at once.
    """
    try:
        raw = read_toml(path)
    except FileNotFoundError:
        raw = {}
    try:
        return FleetSettings.model_validate_json(as_json(raw))
    except ValidationError as error:
        raise ConfigError("\n".join(explain(path, raw, error, FleetSettings))) from error
