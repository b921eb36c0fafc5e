"""What the shell tells is the same on both databases, for people and for programs."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cloud.fleet.cli.app import app
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from tests.fleet.machines import START, Machine, register

LISTINGS: dict[str, list[dict[str, Any]]] = {
    "sales": [{"sold": 2, "cash": 300, "card": 0, "app": 0, "tokens": 0, "free": 0}],
    "sales --each": [{"cash": 150}, {"cash": 150}],
    "cash": [{}],
    "stock": [{"column": "A1"}],
    "stock picklist": [],
    "machine list": [{"records": 17}],
    "claims": [],
    "refunds": [],
    "alerts": [],
    "dlq list": [],
    "cmd show": [],
}


@pytest.mark.parametrize("listing", LISTINGS)
async def test_each_listing_is_told_to_people_and_to_programs(
    database_url: str, tmp_path: Path, listing: str
) -> None:
    database = FleetDatabase(database_url)
    machine = Machine()
    machine.begin()
    machine.sell()
    machine.sell()
    await register(database, machine)
    await Ingest(database).take(machine.address, machine.batch(1), START)
    await database.close()
    (tmp_path / "fleet.toml").write_text(f'[database]\nurl = "{database_url}"\n', encoding="utf-8")

    def shell(*more: str) -> str:
        done = CliRunner().invoke(app, ["--home", str(tmp_path), *listing.split(), *more])
        assert done.exit_code == 0, done.output
        return done.output

    people = await asyncio.to_thread(shell)
    lines: list[dict[str, Any]] = json.loads(await asyncio.to_thread(shell, "--json"))
    wanted = LISTINGS[listing]
    assert len(lines) == len(wanted)
    assert [line | want for line, want in zip(lines, wanted, strict=True)] == lines
    assert all("acme/lobby-1" in people for _ in lines[:1])
