"""A database that is not there, is none or is somebody else's: told, without a password."""

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cloud.fleet.cli.app import app
from cloud.fleet.cli.place import CliError

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
