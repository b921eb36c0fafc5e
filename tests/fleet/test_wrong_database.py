"""A wrong database, a machine that is not there, a port that is taken: told, without a password."""

import socket
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cloud.fleet.cli.app import app
from cloud.fleet.cli.place import CliError, Exit
from cloud.fleet.home import Home
from cloud.fleet.service import Service
from config.fleet import ConfigError, FleetBroker, FleetHttp, FleetSettings

SECRET = "geheim"
NOWHERE = "127.0.0.1:1"  # a port that nobody listens on


def _server(folder: Path, url: str) -> Path:
    (folder / "fleet.toml").write_text(f'[database]\nurl = "{url}"\n', encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("command", "url", "code", "words"),
    [
        ("sales", f"postgresql+psycopg://anna:{SECRET}@{NOWHERE}/x", 7, "anna:***@127.0.0.1:1/x"),
        ("migrate", f"postgresql+psycopg://anna:{SECRET}@{NOWHERE}/x", 7, "anna:***@127.0.0.1:1/x"),
        ("rebuild", f"postgresql+psycopg://{NOWHERE}/x?password={SECRET}", 7, "127.0.0.1:1/x"),
        ("rebuild", f"postgresql+psycopg://anna:{SECRET}@host:notaport/x", 2, "is no address"),
        ("sales", f"postgres://anna:{SECRET}@host/x", 2, "anna:***@host/x"),
        ("sales", f"postgres://host/x?password={SECRET}", 2, "password=***"),
        ("migrate", "sqlite+aiosqlite:///.", 7, "Is a directory"),
        ("sales", "sqlite+aiosqlite:///fleet.db", 7, "no database; `vendcloud init` makes"),
        ("migrate", "sqlite+aiosqlite:///nowhere/x.db", 7, "its folder is not there"),
        ("migrate", "sqlite+aiosqlite:///fleet.toml", 7, "file is not a database"),
    ],
)
def test_a_wrong_database_is_told_in_a_line_and_without_its_password(
    tmp_path: Path, command: str, url: str, code: int, words: str
) -> None:
    ended = CliRunner().invoke(app, ["--home", str(_server(tmp_path, url)), command])
    assert isinstance(ended.exception, CliError)
    assert ended.exception.code == code
    assert words in str(ended.exception)
    assert SECRET not in str(ended.exception) + ended.output
    assert not (tmp_path / "fleet.db").exists()


def test_the_database_is_its_owners_alone(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["--home", str(tmp_path), "migrate"]).exit_code == 0
    assert stat.S_IMODE((tmp_path / "fleet.db").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "command",
    ["sales", "cash", "claims", "refunds", "alerts", "stock", "stock picklist", "cmd show"],
)
def test_a_machine_that_is_not_there_is_not_told_as_one_that_did_nothing(
    tmp_path: Path, command: str
) -> None:
    assert CliRunner().invoke(app, ["--home", str(tmp_path), "migrate"]).exit_code == 0
    words = [*command.split(), "--machine", "acme/none"]
    ended = CliRunner().invoke(app, ["--home", str(tmp_path), *words])
    assert isinstance(ended.exception, CliError)
    assert ended.exception.code is Exit.NOT_FOUND
    assert "no machine acme/none" in str(ended.exception)


async def test_the_port_of_another_server_is_refused_before_anything_is_taken(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        http = FleetHttp(port=other.getsockname()[1])
        settings = FleetSettings(http=http, broker=FleetBroker(enabled=False))
        service = Service(settings, Home(tmp_path), shared=False, name="second")
        with pytest.raises(ConfigError, match=r"already in use: does another server run here\?"):
            await service.run(http=http)
        await service.database.close()
