"""Samples: a machine that is online measures now and then; the fleet keeps the last ones."""

import asyncio
import math
from pathlib import Path

from typer.testing import CliRunner

from cloud.contract.messages import Progress, Telemetry, read
from cloud.contract.topics import Topic
from cloud.fleet import reports
from cloud.fleet.cli.app import app
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.ingest.samples import KEPT
from cloud.mqtt import Broker, StrictClient
from tests.fleet.machines import START, Machine, register
from tests.fleet.servers import Mosquitto, running
from tests.fleet.workers import working


def told(at: int, **samples: float) -> Telemetry:
    return Telemetry(at=at, samples=samples)


async def test_the_last_samples_of_each_machine_are_kept_and_no_more(
    database: FleetDatabase,
) -> None:
    one, other = Machine("lobby-1"), Machine("lobby-2", number=2)
    await register(database, one, other)
    ingest = Ingest(database)
    await ingest.sampled(other.address, told(1, stock=7.0), START)
    for number in range(KEPT + 20):
        await ingest.sampled(one.address, told(number, stock=float(number)), START + number)

    lines = await reports.samples(database, one.address)
    assert len(lines) == KEPT
    newest, oldest = KEPT + 19, 20
    assert lines[0] == {
        "received_ms": START + newest, "at_ms": newest, "samples": {"stock": float(newest)}
    }  # fmt: skip
    assert lines[-1]["at_ms"] == oldest
    assert [line["samples"] for line in await reports.samples(database, other.address)] == [
        {"stock": 7.0}
    ]


async def test_what_is_no_number_and_what_is_too_much_is_left_out(database: FleetDatabase) -> None:
    machine = Machine()
    await register(database, machine)
    ingest = Ingest(database)
    many = {f"n{number}": 1.0 for number in range(500)}
    for at, samples in enumerate(
        ({"celsius.cabin\0": 4.5, "x" * 90: 1.0, "nan": math.nan, "inf": math.inf}, many, {}), 1
    ):
        await ingest.sampled(machine.address, Telemetry(at=at, samples=samples), START + at)
    progress = Telemetry(at=9, progress=(Progress(id="c1", text="half"),))
    await ingest.sampled(machine.address, progress, START + 9)

    second, first = await reports.samples(database, machine.address)
    assert first["samples"] == {"celsius.cabin": 4.5, "x" * 48: 1.0}
    assert len(second["samples"]) == 64


async def test_a_sample_comes_over_the_broker_and_the_shell_tells_it(
    tmp_path: Path, migrated_file: Path
) -> None:
    (tmp_path / "fleet.db").write_bytes(migrated_file.read_bytes())
    database = FleetDatabase(f"sqlite+aiosqlite:///{tmp_path / 'fleet.db'}")
    machine = Machine()
    await register(database, machine)
    broker = Mosquitto(tmp_path / "broker")
    message = told(START, stock=31.0, **{"tube.50": 12.0})
    with running(broker):
        serve = Broker("127.0.0.1", broker.port, "serve")
        client = StrictClient(Broker("127.0.0.1", broker.port, "lobby-1"))
        async with working(database, serve), client, asyncio.timeout(60):
            await client.say(machine.address.topic(Topic.TELEMETRY), message.to_bytes(), qos=0)
            while not await reports.samples(database, machine.address):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.02)
    assert await reports.dead_letters(database) == []
    await database.close()
    assert read(Telemetry, message.to_bytes()) == message

    def shell(*words: str) -> str:
        done = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["--home", str(tmp_path), *words])
        assert done.exit_code == 0, done.exception
        return done.output

    said = await asyncio.to_thread(shell, "machine", "samples", "acme/lobby-1")
    assert "stock 31, tube.50 12" in said
    assert '"tube.50": 12.0' in await asyncio.to_thread(
        shell, "machine", "samples", "acme/lobby-1", "--json"
    )
    assert "nothing was measured" in await asyncio.to_thread(
        shell, "machine", "samples", "acme/nobody"
    )
