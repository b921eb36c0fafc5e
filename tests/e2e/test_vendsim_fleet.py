"""`vendsim fleet`: many machines with the real link against a real broker and a real server."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from asyncio.subprocess import PIPE
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from cloud.fleet import schema as t
from simulator.fleet.run import FleetError, FleetRun, Options, enough_descriptors
from simulator.fleet.site import Site
from simulator.fleet.tally import Lag, Result
from simulator.rig import run_program
from tests.e2e.test_demo import processes_of

END_S = 60.0


async def fleet(*arguments: str, code: int = 0) -> dict[str, Any]:
    ended, said = await run_program("-m", "simulator", "fleet", "--json", *arguments, stderr=False)
    assert ended == code, said
    found: dict[str, Any] = json.loads(said)
    return found


def a_run(options: Options) -> FleetRun:
    return FleetRun(options, os.urandom, lambda: datetime.now(UTC))


async def test_machines_sell_and_the_fleet_has_every_record_once() -> None:
    found = await fleet("--machines", "8", "--seconds", "3", "--rate", "12", "--backlog", "40")
    assert (found["ok"], found["differences"], found["problems"]) == (True, [], [])
    assert found["vends"] > 10
    assert found["caught_up"] > 8 * 40 * 7
    assert found["records"] == found["caught_up"] + found["written"]
    assert 0 < found["lag_p50_ms"] <= found["lag_p99_ms"]
    assert found["bytes_per_record"] < 100, "packed, as batches are"
    assert set(found["cpu"]) == {"machines", "broker", "server"}


async def test_what_dies_meanwhile_loses_and_doubles_nothing() -> None:
    found = await fleet(
        "--machines", "6", "--seconds", "8", "--rate", "15", "--chaos", "--seed", "2"
    )
    assert (found["ok"], found["differences"], found["problems"]) == (True, [], [])
    assert {words.partition(" ")[2] for words in found["chaos"]} >= {"connections cut", "killed"}
    assert found["connections"] > 6


async def test_idle_machines_cost_the_server_next_to_nothing() -> None:
    found = await fleet("--machines", "10", "--seconds", "3", "--idle")
    assert found["ok"]
    assert found["vends"] == 0
    assert found["cpu"]["server"] <= 0.05


class Tampered(FleetRun):
    """Somebody changes the fleet's database before both sides are compared."""

    async def _sell(self, server: Any) -> None:
        await super()._sell(server)
        first, second, *_ = self.machines
        async with server.database.writing() as connection:
            ids = {
                bytes(row.uid): (row.id, row.machine_id)
                for row in await connection.execute(select(t.journal))
            }
            journal, _ = ids[first.journal.journal_id]
            await connection.execute(
                delete(t.record).where(t.record.c.journal_id == journal, t.record.c.seq == 3)
            )
            _, machine = ids[second.journal.journal_id]
            await connection.execute(
                update(t.balance)
                .where(t.balance.c.machine_id == machine, t.balance.c.account == "cash.tubes")
                .values(amount=t.balance.c.amount + 1)
            )


async def test_a_record_that_is_missing_and_a_cent_too_much_are_differences_by_name(
    run_folder: Path,
) -> None:
    async with Site(run_folder / "site") as site:
        options = Options(3, 1.0, 5.0, home=site.home.folder, host="localhost")
        run = Tampered(options, os.urandom, lambda: datetime.now(UTC))
        result = await run.run()
        assert not result.ok
        missing, cent = result.differences
        durable = run.machines[0].journal.durable_seq
        first = f"{run.machines[0].address}: {durable - 1} records are stored"
        assert missing.startswith(first)
        assert cent.startswith(f"{run.machines[1].address}: balances cash.tubes ")

        again = await a_run(options).run()
        assert again.ok, "machines of another run beside those of the first"


def test_too_few_file_descriptors_are_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _what, limits: asked.append(limits))
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (256, 1_024))
    with pytest.raises(FleetError, match=r"need 2200 file descriptors, and 1024 are allowed.*206"):
        enough_descriptors(500)
    enough_descriptors(10)
    assert asked == []
    enough_descriptors(100)
    assert asked == [(600, 1_024)]


async def test_chaos_is_only_for_what_it_started_itself(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="started itself"):
        await a_run(Options(1, 1.0, 1.0, chaos=True, home=tmp_path)).run()
    with pytest.raises(FleetError, match="no server's folder"):
        await a_run(Options(1, 1.0, 1.0, home=tmp_path)).run()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_an_end_in_the_middle_leaves_nothing_running(
    run_folder: Path, how: signal.Signals
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulator", "fleet", "--machines", "4", "--seconds", "300",
        stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "TMPDIR": str(run_folder)}, process_group=0,
    )  # fmt: skip
    assert process.stdout is not None
    said = b""
    try:
        async with asyncio.timeout(60):
            while b"selling" not in said:
                said += await process.stdout.readline()
        process.send_signal(how)
        async with asyncio.timeout(END_S):
            said += await process.stdout.read()
            assert await process.wait() == 130, said.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert b"Traceback" not in said
    assert processes_of(run_folder) == []
    assert list(run_folder.glob("vendd-fleet-*")) == []


def test_lag_keeps_a_bounded_number_of_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.fleet.tally.MOST_SAMPLES", 100)
    lag = Lag()
    assert lag.at(0.5) is None
    for number in range(10_000):
        lag.add(number / 10_000)
    assert len(lag.samples) <= 100
    p50, p99 = lag.at(0.5), lag.at(0.99)
    assert p50 is not None
    assert p99 is not None
    assert abs(p50 - 0.5) < 0.1
    assert p99 > 0.9
    assert Result(1, "idle").to_json()["ok"]
