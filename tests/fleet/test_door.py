"""The HTTPS door: who comes in, what is taken, what is said back, on both databases."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select, update

from cloud.contract import https
from cloud.contract.messages import Ack, Presence, read
from cloud.contract.topics import Address, Topic
from cloud.fleet import authority
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.door.roll import SILENT_MS, Roll
from tests.fleet.doors import NOW, Certified, Doors
from tests.fleet.machines import START, Machine, one_that_sold
from tests.fleet.test_ingest import stored, whole


@pytest.fixture
def doors(tmp_path: Path) -> Doors:
    return Doors(tmp_path / "home")


@pytest.fixture
async def machine(database: FleetDatabase) -> Machine:
    return await one_that_sold(database, 10)


def client(doors: Doors, certified: Certified) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=f"https://localhost:{doors.port}", verify=certified.tls(), trust_env=False
    )


def acks(response: httpx2.Response) -> list[Ack]:
    answer = https.Answer.model_validate_json(response.content)
    return [read(Ack, down.payload) for down in answer.messages]


async def test_what_is_posted_is_committed_before_it_is_answered(
    doors: Doors, database: FleetDatabase, machine: Machine
) -> None:
    certified = await doors.machine(database, machine.address)
    async with doors.open(database), client(doors, certified) as web:
        hello = await web.get(https.HELLO)
        batches = machine.batches(20)
        one = await web.post(https.path_of(Topic.EVENTS), content=batches[0])
        lengths = ",".join(str(len(batch)) for batch in batches[1:])
        rest = await web.post(
            https.path_of(Topic.EVENTS),
            content=b"".join(batches[1:]),
            headers={https.LENGTHS: lengths},
        )
        again = await web.post(https.path_of(Topic.EVENTS), content=batches[0])
        greeted = await web.post(
            https.path_of(Topic.PRESENCE), content=machine.presence().to_bytes()
        )

    assert hello.status_code == one.status_code == rest.status_code == 200
    assert [ack.seq for ack in acks(one)] == [20]
    assert acks(rest)[-1].seq == machine.seq
    assert (again.status_code, [ack.seq for ack in acks(again)]) == (200, [machine.seq])
    (ack,) = acks(greeted)
    assert (ack.seq, ack.echo, ack.time) == (machine.seq, "p", START)
    assert await stored(database, machine) == whole(machine)


async def test_who_is_no_machine_of_the_fleet_does_not_come_in(
    doors: Doors, database: FleetDatabase, machine: Machine, tmp_path: Path
) -> None:
    foreign = authority.make_authority(NOW)
    strange = doors.certified("strange", str(machine.address), ca=foreign)
    unknown = doors.certified("unknown", str(machine.address))  # of our authority, by nobody
    server = doors.certified("server", "vendcloud")
    broker = doors.certified("broker", str(machine.address), hosts=("localhost",))
    other = await doors.machine(database, machine.address)
    revoked = await doors.machine(database, machine.address)
    serial, _ = authority.serial_and_end(revoked.certificate.read_bytes())
    async with database.writing() as connection:
        await connection.execute(
            update(t.certificate).where(t.certificate.c.serial == serial).values(revoked_ms=START)
        )
    early = await doors.machine(database, machine.address, begins=timedelta(days=9))
    ended = await doors.machine(database, machine.address, begins=timedelta(days=-500))

    async with doors.open(database) as (worker, _):
        nobody = httpx2.AsyncClient(
            base_url=f"https://localhost:{doors.port}", verify=_without(other), trust_env=False
        )
        for certified in (strange, broker, None):
            web = nobody if certified is None else client(doors, certified)
            async with web:
                with pytest.raises(httpx2.HTTPError):
                    await web.get(https.HELLO)
        for certified, why in (
            (unknown, "not known here"),
            (server, "'vendcloud' is not <tenant>/<machine>"),
            (revoked, "revoked"),
            (early, "begins on"),
            (ended, "ended on"),
        ):
            async with client(doors, certified) as web:
                for path in (https.path_of(Topic.EVENTS), https.DOWN):
                    refused = await web.post(path, content=machine.batch(1))
                    assert refused.status_code == 403
                    assert why in refused.json()["problem"]
        with pytest.raises(httpx2.HTTPError):
            await httpx2.AsyncClient(trust_env=False).get(f"http://localhost:{doors.port}/")
        assert worker.counts.batches == 0


def _without(certified: Certified):  # type: ignore[no-untyped-def]  # a context
    import ssl

    return ssl.create_default_context(cafile=str(certified.ca))


async def test_what_is_wrong_is_answered_with_what_and_where(
    doors: Doors, database: FleetDatabase, machine: Machine
) -> None:
    certified = await doors.machine(database, machine.address)
    async with doors.open(database) as (worker, _), client(doors, certified) as web:

        async def told(path: str, body: bytes, **headers: str) -> tuple[int, str]:
            response = await web.post(path, content=body, headers=headers)
            return response.status_code, response.json()["problem"]

        events = https.path_of(Topic.EVENTS)
        assert await told(events, b"garbage") == (422, "no head in the first 65536 bytes")
        status, problem = await told(https.path_of(Topic.PRESENCE), b'{"online": 7}')
        assert (status, problem.partition(":")[0]) == (422, "presence")
        assert "online" in problem
        assert (await told(https.path_of(Topic.URGENT), b"\xff"))[0] == 422
        assert (await told(https.path_of(Topic.STATE), b"[]"))[0] == 422
        assert (await told(https.DOWN, b'{"have": 1}'))[0] == 422
        for body, lengths in ((b"abc", "4"), (b"abc", "3,0"), (b"abc", "x"), (b"a", "1," * 40)):
            status, problem = await told(events, body, **{https.LENGTHS: lengths})
            assert (status, https.LENGTHS in problem) == (400, True)
        assert (await told(https.path_of(Topic.STATE), b" " * 300_000))[0] == 413
        large = await told(events, bytes(10 * 1024 * 1024))
        assert large == (413, f"10485760 bytes are more than {https.MAX_POST_BYTES}")

        async def drops() -> AsyncIterator[bytes]:  # its length is not declared
            for _ in range(40):
                yield bytes(256 * 1024)

        endless = await web.post(events, content=drops())
        assert endless.status_code == 413
        assert (await web.get("/link/v1/nothing")).status_code == 404
        assert (await web.get(events)).status_code == 405

        # Nothing of that harmed anybody.
        good = await web.post(events, content=machine.batch(1))
        assert [ack.seq for ack in acks(good)] == [machine.seq]
    assert worker.counts.reconnects == 0
    assert await stored(database, machine) == whole(machine)


async def test_a_request_that_breaks_off_leaves_nothing_behind(
    doors: Doors, database: FleetDatabase, machine: Machine
) -> None:
    certified = await doors.machine(database, machine.address)
    async with doors.open(database) as (worker, _):
        _, writer = await asyncio.open_connection(
            "localhost", doors.port, ssl=certified.tls(), server_hostname="localhost"
        )
        batch = machine.batch(1)
        head = f"POST /link/v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: {len(batch)}\r\n\r\n"
        writer.write(head.encode() + batch[: len(batch) // 2])
        await writer.drain()
        writer.transport.abort()
        async with client(doors, certified) as web:
            good = await web.post(https.path_of(Topic.EVENTS), content=batch)
        assert [ack.seq for ack in acks(good)] == [machine.seq]
        assert worker.counts.batches == 1


async def test_a_database_that_fails_is_no_answer_that_counts(
    doors: Doors, database: FleetDatabase, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    certified = await doors.machine(database, machine.address)
    works = database.insert_many
    failures = iter([True, True])

    async def full_at_first(*arguments: object) -> None:
        if next(failures, False):
            raise OSError(28, "No space left on device")
        await works(*arguments)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(database, "insert_many", full_at_first)
    async with doors.open(database) as (worker, _), client(doors, certified) as web:
        codes = []
        async with asyncio.timeout(60):
            while 200 not in codes:
                await worker.connected.wait()
                response = await web.post(https.path_of(Topic.EVENTS), content=machine.batch(1))
                codes.append(response.status_code)
    assert codes == [503, 503, 200]
    assert await stored(database, machine) == whole(machine)


async def test_who_is_silent_for_too_long_is_offline_and_back_when_it_asks_again(
    doors: Doors, database: FleetDatabase, machine: Machine
) -> None:
    now = [START]
    roll = Roll(database, lambda: now[0])

    async def online() -> bool:
        async with database.reading() as connection:
            return bool((await connection.execute(select(t.machine.c.online))).scalar_one())

    async with database.reading() as connection:
        number = (await connection.execute(select(t.machine.c.id))).scalar_one()
    roll.seen(number)
    await roll.write()
    assert await online()
    now[0] += SILENT_MS
    await roll.sweep()
    assert await online()
    now[0] += 1
    await roll.sweep()
    assert not await online()
    roll.seen(number)
    await roll.write()
    assert await online()

    # Over MQTT since: that way's last will tells of its end, not our silence.
    from cloud.fleet.ingest import presence

    await presence.heard(database, number, Presence(online=True), now[0] + 10)
    now[0] += 10 * SILENT_MS
    await roll.sweep()
    assert await online()
    async with database.reading() as connection:
        alerts = (await connection.execute(select(t.alert.c.closed_ms))).scalars().all()
    assert None not in alerts


def test_the_models_say_what_they_are() -> None:
    question = json.loads(https.Question(have=("a",)).to_bytes())
    assert question == {"v": 1, "have": ["a"], "wait": https.WAIT_S}
    assert Address("a", "b") == Address.parse("a/b")
