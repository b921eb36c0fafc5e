"""Commands over a real broker: a machine takes what is signed for it, once, and nothing else."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import structlog

from cloud.contract import signing
from cloud.contract.commands import CommandBody, Role
from cloud.contract.messages import Countersigned, Desired, Signed
from cloud.contract.topics import Address, Topic
from cloud.fleet import orders, reports
from cloud.fleet.broker import Connection
from cloud.fleet.broker_mqtt import MqttBroker
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.now import now_ms
from cloud.fleet.worker import Worker
from cloud.link.assembly import Fleet
from cloud.link.inbox import REFUSED_EVERY_S
from cloud.mqtt import Broker
from config.models import Cloud
from controller.clock import SystemClock
from controller.journal.envelope import Record
from controller.journal.records import MessageRefused
from controller.journal.sqlite_aio import DirectoryStorage
from controller.machine.remote import EXPIRED_RECORDS
from simulator.shop import Shop
from tests.fleet.books import known
from tests.fleet.servers import Mosquitto

MACHINE = Address("acme", "lobby-1")
ROOT, SEED = b"r" * 32, b"s" * 32
_NAMES = count(1)


class Clock(SystemClock):
    """The real clock, and leaps over what nobody wants to wait for."""

    leapt = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.leapt


class Tied:
    """A machine that sells, tied to a fleet."""

    def __init__(
        self, shop: Shop, clock: Clock, database: FleetDatabase, connection: Connection
    ) -> None:
        self.shop, self.clock, self.database, self.connection = shop, clock, database, connection
        self.told: list[Record] = []
        shop.machine.on_commit.append(self.told.extend)
        self._counter = count(1)

    def body(self, kind: str, **more: Any) -> CommandBody:
        number = next(self._counter)
        now = now_ms()
        return CommandBody.model_validate(
            {
                "tenant": "acme",
                "machine": "lobby-1",
                "id": f"c{number}",
                "counter": number,
                "kind": kind,
                "issued_at": now,
                "expires_at": now + 60_000,
                "issuer": "anna",
                **more,
            }
        )

    def signed(
        self,
        body: CommandBody,
        *,
        seed: bytes = SEED,
        root: bytes = ROOT,
        **key: Any,
    ) -> Signed:
        fields = {
            "kid": "k1",
            "tenant": "acme",
            "public": signing.public_of(SEED).hex(),
            "roles": tuple(Role),
            "not_after": now_ms() + 86_400_000,
            **key,
        }
        held = signing.sign_key(signing.signer_of(root), signing.KeyBody.model_validate(fields))
        return signing.sign(signing.COMMAND, signing.signer_of(seed), "k1", body, held)

    async def tell(self, message: Signed | bytes) -> None:
        raw = message if isinstance(message, bytes) else message.to_bytes()
        await self.connection.tell(MACHINE, Topic.CMD, raw)

    async def until(self, done: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not done():  # noqa: ASYNC110 - its other end is a broker away
                await asyncio.sleep(0.01)

    def refused(self) -> list[str]:
        return [r.data.reason for r in self.told if isinstance(r.data, MessageRefused)]

    def types(self, prefix: str) -> list[str]:
        return [record.type for record in self.told if record.type.startswith(prefix)]

    async def answered(self, id_: str) -> Any:
        """Return what the fleet knows of a command, when it has ended."""
        async with asyncio.timeout(60):
            while True:
                lines = await reports.commands(self.database, command_id=id_)
                if lines and lines[0]["outcome"]:
                    return lines[0]
                await asyncio.sleep(0.05)

    async def send(self, kind: str, args: dict[str, Any], **more: Any) -> str:
        """Have the fleet's own code sign and publish a command; its id."""
        id_ = f"f{next(self._counter)}"
        await orders.send(
            self.database, Signs(self), MACHINE, kind, args,
            command_id=id_, issuer="anna", now_ms=now_ms(), **more,
        )  # fmt: skip
        await orders.publish_open(self.database, self.connection, MACHINE, now_ms())
        return id_


class Signs:
    """The fleet's signer, as far as ``orders`` needs it."""

    def __init__(self, tied: Tied) -> None:
        self._tied = tied

    async def command(self, body: CommandBody) -> Signed:
        return self._tied.signed(body)

    async def desired(self, body: Desired) -> Signed:
        raise AssertionError(body)

    async def countersign(self, address: Address, word: Countersigned) -> Signed:
        raise AssertionError(address)


async def ended(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def tied(
    database: FleetDatabase, server: Mosquitto, folder: Path, **parts: Any
) -> AsyncIterator[Tied]:
    """Let a machine and its fleet talk; ``parts`` are what ``Shop.open`` takes."""
    clock = Clock()
    shop = await Shop.open(DirectoryStorage(folder), clock, **parts)
    settings = Cloud(
        tenant="acme",
        host="127.0.0.1",
        port=server.port,
        tls=False,
        root_key=signing.public_of(ROOT).hex(),
    )
    entropy = count(1)
    fleet = Fleet(
        settings, "lobby-1", shop.machine, clock,
        lambda n: next(entropy).to_bytes(n, "big"), "0.1.0", lambda *_: None, folder,
    )  # fmt: skip
    worker = Worker(
        Ingest(database),
        MqttBroker(Broker("127.0.0.1", server.port, f"worker{next(_NAMES)}")),
        now_ms,
    )
    tasks = [asyncio.create_task(worker.run())]
    try:
        async with asyncio.timeout(60):
            await worker.connected.wait()
        broker = MqttBroker(Broker("127.0.0.1", server.port, f"shell{next(_NAMES)}"))
        async with broker.connect() as connection:
            made = Tied(shop, clock, database, connection)
            tasks.append(asyncio.create_task(fleet.run()))
            await made.until(lambda: "time.confirmed" in made.types("time."))
            yield made
    finally:
        structlog.reset_defaults()
        logging.getLogger().setLevel(logging.WARNING)
        for task in reversed(tasks):
            await ended(task)
        await shop.stop()


@pytest.fixture
async def machine(
    database: FleetDatabase, server: Mosquitto, tmp_path: Path
) -> AsyncIterator[Tied]:
    await known(database, MACHINE)
    (tmp_path / "journal").mkdir()
    async with tied(database, server, tmp_path / "journal") as made:
        yield made


def forged(m: Tied) -> Signed | bytes:
    return m.signed(m.body("echo"), seed=b"x" * 32)


def of_another_root(m: Tied) -> Signed | bytes:
    return m.signed(m.body("echo"), root=b"x" * 32)


def changed_on_the_way(m: Tied) -> Signed | bytes:
    signed = m.signed(m.body("price.set", args={"column": "A1", "price": 150}))
    return signed.model_copy(update={"body": signed.body.replace(b"150", b"100")})


def for_another_machine(m: Tied) -> Signed | bytes:
    return m.signed(m.body("echo", machine="lobby-2"))


def of_another_tenant(m: Tied) -> Signed | bytes:
    return m.signed(m.body("echo"), tenant="other")


def by_a_key_that_has_ended(m: Tied) -> Signed | bytes:
    return m.signed(m.body("echo"), not_after=now_ms() - 1)


def beyond_its_role(m: Tied) -> Signed | bytes:
    return m.signed(m.body("machine.lock"), roles=(Role.SUPPORT,))


def for_too_long(m: Tied) -> Signed | bytes:
    now = now_ms()
    return m.signed(m.body("echo", issued_at=now, expires_at=now + 31 * 86_400_000))


def issued_in_a_far_year(m: Tied) -> Signed | bytes:
    then = now_ms() + 40 * 86_400_000
    return m.signed(m.body("echo", issued_at=then, expires_at=then + 60_000))


def of_no_kind(m: Tied) -> Signed | bytes:
    return m.signed(m.body("machine.explode"))


def garbage(_: Tied) -> Signed | bytes:
    return b"\x00\xffgarbage"


REFUSED = (
    (forged, "the signature of key 'k1' does not fit"),
    (of_another_root, "not signed by this machine's root key"),
    (changed_on_the_way, "the signature of key 'k1' does not fit"),
    (for_another_machine, "it is for acme/lobby-2"),
    (of_another_tenant, "key 'k1' is of tenant 'other'"),
    (by_a_key_that_has_ended, "key 'k1' has ended"),
    (beyond_its_role, "machine.lock is not for key 'k1' (support)"),
    (for_too_long, "a command lives 30 days at most"),
    (issued_in_a_far_year, "a command lives 30 days at most"),
    (of_no_kind, "no command 'machine.explode'"),
    (garbage, "signed: "),
)


async def test_what_is_not_signed_for_this_machine_is_refused_with_a_record(
    machine: Tied,
) -> None:
    assert len(machine.refused()) == 0
    for number, (make, why) in enumerate(REFUSED):
        await machine.tell(make(machine))
        await machine.until(lambda number=number: len(machine.refused()) > number)  # type: ignore[misc]
        assert why in machine.refused()[-1], make.__name__
        machine.clock.leapt += 61.0
    assert machine.types("command.") == []
    assert machine.types("price.") == []


async def test_a_flood_of_refused_messages_makes_few_records(machine: Tied) -> None:
    began = machine.clock.monotonic_s()
    for _ in range(50):
        await machine.tell(forged(machine))
    await machine.tell(machine.signed(machine.body("echo")))
    await machine.until(lambda: machine.types("command."))
    minutes = (machine.clock.monotonic_s() - began) / REFUSED_EVERY_S  # one, on a machine at ease
    assert 1 <= len(machine.refused()) <= 1 + minutes


async def test_a_replayed_an_expired_and_a_superseded_command_run_not(machine: Tied) -> None:
    def price(**more: Any) -> Signed:
        return machine.signed(
            machine.body("price.set", **{"args": {"column": "A1", "price": 170}, **more})
        )

    once = price()
    await machine.tell(once)
    await machine.until(lambda: "command.finished" in machine.types("command."))
    for _ in range(3):
        await machine.tell(once)
    # A minute ago, not just now: a machine knows the fleet's time to half of a round trip.
    now = now_ms()
    await machine.tell(price(issued_at=now - 70_000, expires_at=now - 60_000))
    await machine.tell(price(counter=0))
    await machine.until(lambda: machine.types("command.").count("command.finished") == 3)
    outcomes = [
        record.data.outcome  # type: ignore[union-attr]  # of its type
        for record in machine.told
        if record.type == "command.finished"
    ]
    assert outcomes == ["done", "expired", "superseded"]
    assert machine.types("price.") == ["price.set"]


async def test_of_many_commands_at_once_each_runs_and_none_is_overtaken(machine: Tied) -> None:
    number = 60
    signed = [
        machine.signed(machine.body("price.set", args={"column": "A1", "price": 100 + 10 * n}))
        for n in range(number)
    ]
    for message in signed:
        await machine.tell(message)
    await machine.until(lambda: machine.types("command.").count("command.finished") == number)
    assert [
        record.data.outcome  # type: ignore[union-attr]  # of its type
        for record in machine.told
        if record.type == "command.finished"
    ] == ["done"] * number


async def test_gifts_and_questions_run_each_in_whatever_order_they_come(machine: Tied) -> None:
    gifts = [
        machine.signed(machine.body("vend.free", args={"column": "A1"})),
        machine.signed(machine.body("vend.free", args={"column": "A1"})),
        machine.signed(machine.body("echo", args={"text": "one"})),
        machine.signed(machine.body("echo", args={"text": "two"})),
    ]
    for message in reversed(gifts):
        await machine.tell(message)
    await machine.until(lambda: machine.types("command.").count("command.finished") == 4)
    remote = machine.shop.state.remote
    assert [remote.commands[f"c{n}"].outcome for n in (1, 2, 3, 4)] == ["done"] * 4
    assert machine.types("right.") == ["right.granted"] * 2

    new = machine.signed(machine.body("stock.set", args={"column": "A1", "count": 7}))
    await machine.tell(machine.signed(machine.body("stock.set", args={"column": "A1", "count": 9})))
    await machine.tell(new)
    await machine.until(lambda: "c5" in remote.commands and remote.commands["c5"].outcome)
    assert remote.commands["c5"].outcome == "superseded"
    assert "a later stock.set has run" in remote.commands["c5"].detail


async def test_commands_that_ended_make_few_records_however_often_they_are_replayed(
    machine: Tied,
) -> None:
    then = now_ms() - 70_000
    ended = [
        machine.signed(machine.body("echo", issued_at=then, expires_at=then + number))
        for number in range(3)
    ]
    for number in range(3 * EXPIRED_RECORDS):
        await machine.tell(ended[number % 3])
        behind = machine.body("echo")
        await machine.tell(machine.signed(behind))
        await machine.until(lambda id_=behind.id: id_ in machine.shop.state.remote.commands)  # type: ignore[misc]
    outcomes = [
        record.data.outcome  # type: ignore[union-attr]  # of its type
        for record in machine.told
        if record.type == "command.finished"
    ]
    assert outcomes.count("expired") == EXPIRED_RECORDS


async def test_a_command_of_before_the_journal_began_is_refused_and_says_so(
    machine: Tied,
) -> None:
    remote = machine.shop.state.remote
    remote.not_before_ms = now_ms() + 60_000  # whenever the command is signed
    id_ = await machine.send("price.set", {"column": "A1", "price": 170})
    answer = await machine.answered(id_)
    assert answer["outcome"] == "refused"
    assert "before this journal began" in answer["detail"]
    assert machine.types("price.") == []


async def test_kinds_that_answer_at_once_do_so_in_the_cloud(machine: Tied) -> None:
    audit = await machine.answered(await machine.send("audit.read", {}))
    assert audit["result"]["life"]["columns"] == {}
    shown = await machine.answered(await machine.send("message.show", {"text": "Hello"}))
    assert shown["outcome"] == "done"
    await machine.until(lambda: "Hello" in " ".join(machine.shop.machine.screen))
    level = await machine.answered(await machine.send("log.level", {"level": "debug"}))
    assert (level["outcome"], level["detail"]) == ("done", "debug")
    assert logging.getLogger().level == logging.INFO, "libraries would tell claim codes"
    locked = await machine.answered(await machine.send("machine.lock", {"reason": "recall"}))
    assert locked["result"] == {"locked": True}
    await machine.answered(await machine.send("machine.unlock", {}))
    unknown = await machine.answered(
        await machine.send("claim.close", {"claim": 7, "how": "bank transfer"})
    )
    assert (unknown["outcome"], unknown["result"]["open"]) == ("done", False)
    update = {"version": "1.2.0", "digest": "ab" * 32, "artefact": "vendd-1.2.0"}
    none = await machine.answered(await machine.send("software.update", update))
    assert (none["outcome"], "update" in none["detail"]) == ("refused", True)


async def test_a_range_goes_up_again_and_its_command_ends_when_the_fleet_has_answered(
    machine: Tied,
) -> None:
    last = machine.shop.journal.durable_seq
    id_ = await machine.send("journal.upload", {"first": 1, "last": last})
    answer = await machine.answered(id_)
    assert (answer["outcome"], answer["detail"]) == ("done", f"records 1 to {last}")
    assert answer["progress"]["text"] == "sends records"
    nothing = await machine.answered(
        await machine.send("journal.upload", {"first": 9_000, "last": 9_001})
    )
    assert nothing["outcome"] == "refused"


async def test_a_test_of_a_column_tells_how_far_it_is(machine: Tied) -> None:
    await machine.answered(await machine.send("service.enter", {}))
    answer = await machine.answered(await machine.send("column.test", {"column": "A1"}))
    assert answer["outcome"] == "done"
    await machine.answered(await machine.send("service.leave", {}))


async def test_a_reboot_that_is_told_again_happens_once(machine: Tied) -> None:
    signed = machine.signed(machine.body("reboot"))
    await machine.tell(signed)
    await machine.tell(signed)
    async with asyncio.timeout(60):
        assert "new start" in await machine.shop.task
    assert machine.types("command.") == ["command.started", "command.finished"]
    assert machine.types("stop.") == ["stop.requested"]
