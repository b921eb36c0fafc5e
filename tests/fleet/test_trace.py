"""One trace from the machine to the fleet's log, whatever becomes of a batch."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog

from cloud.contract.batch import read_head, traceparent
from cloud.contract.messages import Urgent
from cloud.contract.topics import Address
from cloud.fleet import worker
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.ingest.verdict import Fate
from cloud.link import packing
from cloud.mqtt import Broker
from tests.fleet.books import known, open_books, sell_many
from tests.fleet.links import in_sync, link_of, linked, over_mqtt
from tests.fleet.machines import START, Machine, register
from tests.fleet.servers import Mosquitto, running
from tests.fleet.workers import working

LOBBY = Address("acme", "lobby-1")


def traces(lines: Sequence[Any], event: str, **fields: object) -> set[str]:
    return {
        line["trace"]
        for line in lines
        if line["event"] == event and all(line.get(name) == fields[name] for name in fields)
    }


async def test_a_batch_is_followed_from_the_machines_log_to_the_servers(
    tmp_path: Path, database: FleetDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Loggers of their own: whatever this process has made of the common ones, these tell all.
    kept = structlog.testing.LogCapture()
    every = structlog.make_filtering_bound_logger(logging.NOTSET)
    for module in (packing, worker):
        logger = structlog.wrap_logger(None, processors=[kept], wrapper_class=every)
        monkeypatch.setattr(module, "log", logger)
    await known(database, LOBBY)
    books = await open_books(tmp_path / "journal")
    await sell_many(books, 3)
    broker = Mosquitto(tmp_path / "broker")
    with running(broker):
        link = link_of(books, over_mqtt(broker.port, LOBBY))
        serve = working(database, Broker("127.0.0.1", broker.port, "serve"))
        async with serve, linked(link):
            await in_sync(link)
    await books.close()

    sent = {line["trace"] for line in kept.entries if "first" in line}
    taken = traces(kept.entries, "batch", machine="acme/lobby-1")
    assert taken
    assert taken <= sent
    ours = traceparent(books.journal_id, 1, "").split("-")[1]
    assert ours in {trace.split("-")[1] for trace in taken}


async def test_each_fate_names_the_trace_that_its_machine_gave(database: FleetDatabase) -> None:
    machine = Machine()
    machine.begin()
    machine.sell()
    await register(database, machine)
    ingest = Ingest(database)

    def traced(first: int, last: int | None = None) -> tuple[bytes, str]:
        trace = traceparent(machine.journal, first, "n")
        plain = machine.batch(first, last)
        return plain.replace(b'{"v":1,', b'{"v":1,"trace":"' + trace.encode() + b'",', 1), trace

    ahead, trace = traced(5)
    assert read_head(ahead)[0].trace == trace
    waiting = await ingest.take(machine.address, ahead, START)
    assert (waiting.fate, waiting.trace) == (Fate.WAITING, trace)
    first, trace = traced(1)
    applied = await ingest.take(machine.address, first, START)
    assert (applied.fate, applied.trace) == (Fate.APPLIED, trace)
    again = await ingest.take(machine.address, first, START)
    assert (again.fate, again.trace) == (Fate.DUPLICATE, trace)
    machine.sell()
    broken, trace = traced(machine.seq - 2)
    refused = await ingest.take(machine.address, broken[:-9] + b"\0" * 9, START)
    assert (refused.fate, refused.trace) == (Fate.ASKED_AGAIN, trace)
    bare = await ingest.take(machine.address, machine.batch(1), START)
    assert bare.trace == "", "an older machine gives none"
    copy = Urgent(journal=machine.journal.hex(), seq=1, boot=1, body=b"x", trace=trace)
    assert Urgent.model_validate_json(copy.to_bytes()).trace == trace
