"""Codes keyed in elsewhere, over a real broker: two machines, and one claim that is had once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import select

from cloud.contract import signing
from cloud.contract.commands import CommandBody, Role
from cloud.contract.messages import Countersigned, Desired, Signed
from cloud.contract.topics import Address, Topic
from cloud.fleet import orders, reports
from cloud.fleet import schema as t
from cloud.fleet.broker import Connection
from cloud.fleet.broker_mqtt import MqttBroker
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.moves import Moves
from cloud.fleet.now import now_ms
from cloud.fleet.worker import Worker
from cloud.link.assembly import Fleet
from cloud.mqtt import Broker
from config.models import Cloud
from controller.clock import SystemClock
from controller.domain import accounts as acc
from controller.journal.sqlite_aio import DirectoryStorage
from controller.saga import redeem
from simulator.shop import Shop
from tests.fleet.books import known
from tests.fleet.links import balances
from tests.fleet.servers import Mosquitto

A: Final = Address("acme", "lobby-1")
B: Final = Address("acme", "lobby-2")
ROOT, SEED = b"r" * 32, b"s" * 32
OWED: Final = 5  # of these there is no tube
PLENTY_S: Final = 90.0
_NAMES = count(1)


class Signs:
    """The fleet's signer."""

    async def command(self, body: CommandBody) -> Signed:
        held = signing.sign_key(
            signing.signer_of(ROOT),
            signing.KeyBody(
                kid="k1",
                tenant="acme",
                public=signing.public_of(SEED).hex(),
                roles=(Role.SUPPORT,),
                not_after=now_ms() + 86_400_000,
            ),
        )
        return signing.sign(signing.COMMAND, signing.signer_of(SEED), "k1", body, held)

    async def desired(self, body: Desired) -> Signed:
        raise AssertionError(body)

    async def countersign(self, address: Address, word: Countersigned) -> Signed:
        raise AssertionError(address)


class Place:
    """One machine on its disk, and its link while it is in touch."""

    def __init__(self, address: Address, folder: Path, port: int) -> None:
        self.address, self.folder, self._port = address, folder, port
        self.shop: Shop
        self.fleet: Fleet
        self._link: asyncio.Task[None] | None = None
        folder.mkdir()

    async def opens(self) -> None:
        seed = count(1 + 100 * next(_NAMES))
        self.shop = await Shop.open(
            DirectoryStorage(self.folder),
            SystemClock(),
            entropy=lambda n: (next(seed) % 2**30).to_bytes(4, "big").rjust(n, b"\1")[:n],
        )

    async def connects(self) -> None:
        settings = Cloud(
            tenant="acme", host="127.0.0.1", port=self._port, tls=False,
            root_key=signing.public_of(ROOT).hex(),
        )  # fmt: skip
        entropy = count(1 + 100_000 * next(_NAMES))
        self.fleet = Fleet(
            settings, self.address.machine, self.shop.machine, SystemClock(),
            lambda n: next(entropy).to_bytes(n, "big"), "0.1.0", lambda *_: None, self.folder,
        )  # fmt: skip
        self._link = asyncio.create_task(self.fleet.run())
        await self.until(
            lambda: self.shop.machine.desk.live.fleet and self.shop.journal.label.confirmed
        )

    async def leaves(self) -> None:
        if self._link is not None:
            self._link.cancel()
            with suppress(asyncio.CancelledError):
                await self._link
            self._link = None
            self.shop.machine.desk.live.fleet = False  # its process hears of it as of any loss

    async def dies(self) -> None:
        await self.leaves()
        await self.shop.kill()

    async def until(self, done: Callable[[], object]) -> None:
        async with asyncio.timeout(PLENTY_S):
            while not done():  # noqa: ASYNC110 - its other end is a broker away
                await asyncio.sleep(0.01)

    async def promises(self) -> str:
        """Have a customer leave with a claim; its code."""
        await self.shop.coins(OWED)
        await self.shop.keys("*")
        (claim,) = self.shop.state.claims.values()
        assert claim.amount == OWED
        return claim.code

    async def keyed(self, code: str) -> None:
        await self.shop.keys("#" + code)

    async def answered(self) -> None:
        """Wait for the end of the question."""
        await self.until(lambda: not self.shop.state.asked)

    @property
    def credit(self) -> int:
        return self.shop.state.credit.total

    @property
    def screen(self) -> str:
        return " ".join(self.shop.machine.screen).lower()


class Both:
    """Two machines and their fleet; it looks at questions while ``looks`` is set."""

    def __init__(self, database: FleetDatabase, a: Place, b: Place) -> None:
        self.database, self.a, self.b = database, a, b
        self.looks = asyncio.Event()
        self.looks.set()
        self.moves = Moves(database, Signs())
        self.connection: Connection | None = None
        self.operator = 0

    @property
    def operators(self) -> int:
        """What the operator has put into both."""
        return sum(place.shop.balance(acc.OPERATOR) for place in (self.a, self.b))

    async def beside(self, connection: Connection) -> None:
        """What a server does each second, without the second."""
        self.connection, outbox = connection, orders.Outbox(self.database)
        while True:
            if self.looks.is_set():
                await self.moves.look(now_ms())
            await outbox.publish_new(connection, now_ms())
            await asyncio.sleep(0.05)

    async def appeared(self, address: Address, connection: Connection) -> None:
        await orders.publish_open(self.database, connection, address, now_ms())

    async def known(self, **of: Any) -> None:
        """Wait until the fleet tells this of the claim."""
        async with asyncio.timeout(PLENTY_S):
            while True:
                lines = await reports.claims(self.database, A, closed=True)
                if any(of.items() <= line.items() for line in lines):
                    return
                await asyncio.sleep(0.05)

    async def asked_unseen(self, code: str) -> None:
        """Have a code keyed in at the other machine, and the fleet not look at it."""
        self.looks.clear()
        await self.b.keyed(code)
        async with asyncio.timeout(PLENTY_S):
            while True:
                async with self.database.reading() as reading:
                    if (await reading.execute(select(t.claim_question.c.seq))).all():
                        return
                await asyncio.sleep(0.05)

    async def had_at(self, place: Place, code: str) -> None:
        """Have a customer key a code in until it is honoured."""
        async with asyncio.timeout(PLENTY_S):
            while not place.credit:
                await place.until(lambda: place.shop.machine.desk.live.fleet)
                await place.keyed(code)
                await place.answered()

    async def online(self, place: Place, *, is_so: bool) -> None:
        async with asyncio.timeout(PLENTY_S):
            while True:
                async with self.database.reading() as reading:
                    query = select(t.machine.c.online)
                    query = query.where(t.machine.c.name == place.address.machine)
                    if bool((await reading.execute(query)).scalar_one()) is is_so:
                        return
                await asyncio.sleep(0.05)

    async def books_agree(self) -> None:
        """What a machine's journal says the fleet says as well."""
        for place in (self.a, self.b):
            await place.until(lambda place=place: not place.fleet.link.status.backlog)  # type: ignore[misc]
            query = (
                select(t.balance.c.account, t.balance.c.amount)
                .join(t.machine, t.machine.c.id == t.balance.c.machine_id)
                .where(t.machine.c.name == place.address.machine, t.balance.c.amount != 0)
            )
            async with self.database.reading() as reading:
                found = {row.account: row.amount for row in await reading.execute(query)}
            assert found == balances(place.shop.journal)
        assert self.operator == self.operators  # one machine's loss is the other's gain


@pytest.fixture
async def both(
    database: FleetDatabase, server: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Both]:
    monkeypatch.setattr(redeem, "ASK_S", 110.0)  # a busy computer is no broken one
    a, b = (Place(address, tmp_path / address.machine, server.port) for address in (A, B))
    async with running(database, server, a, b) as made:
        yield made


@asynccontextmanager
async def running(
    database: FleetDatabase, server: Mosquitto, a: Place, b: Place
) -> AsyncIterator[Both]:
    made = Both(database, a, b)
    worker = Worker(
        Ingest(database),
        MqttBroker(Broker("127.0.0.1", server.port, f"worker{next(_NAMES)}")),
        now_ms,
        made.appeared,
        made.beside,
    )
    for place in (a, b):
        await known(database, place.address)
    task = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(PLENTY_S):
            await worker.connected.wait()
        for place in (a, b):
            await place.opens()
            await place.connects()
        made.operator = made.operators
        yield made
    finally:
        for place in (a, b):
            await place.leaves()
            await place.shop.stop()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_code_is_honoured_elsewhere_and_then_nowhere(both: Both) -> None:
    code = await both.a.promises()
    await both.known(state="open")
    await both.b.keyed(code)
    assert "one moment" in both.b.screen
    await both.b.answered()
    assert (both.b.credit, both.a.shop.state.claims) == (OWED, {})
    await both.known(state="closed", how="at lobby-2")
    await both.books_agree()
    assert both.connection is not None
    async with both.database.reading() as reading:
        every = (await reading.execute(select(t.command.c.message, t.command.c.machine_id))).all()
    for _ in range(3):  # the broker's, or somebody's who has kept them
        for message, _machine in every:
            for place in (both.a, both.b):
                await both.connection.tell(place.address, Topic.CMD, bytes(message))
    for place in (both.b, both.a):
        await place.keyed(code)
        await place.answered()
        await place.until(lambda place=place: "already paid" in place.screen)  # type: ignore[misc]
    assert (both.b.credit, both.a.credit) == (OWED, 0)
    await both.books_agree()


# How the rows come to be is tried on both databases elsewhere.
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@SQLITE
async def test_a_machine_that_is_away_honours_its_own_and_nobody_else_does(both: Both) -> None:
    code = await both.a.promises()
    await both.known(state="open")
    await both.a.leaves()
    await both.online(both.a, is_so=False)
    await both.b.keyed(code)
    await both.b.answered()
    await both.b.until(lambda: "lobby-1" in both.b.screen)
    assert (both.b.credit, both.b.shop.state.wrong_codes) == (0, 0)
    await both.a.keyed(code)
    assert both.a.credit == OWED
    await both.a.connects()
    await both.known(state="closed", how="at the machine")
    await both.b.keyed(code)
    await both.b.answered()
    await both.b.until(lambda: "already paid" in both.b.screen)
    assert both.b.credit == 0
    await both.books_agree()


@SQLITE
@pytest.mark.parametrize("first", ["own", "other"])
async def test_keyed_in_at_both_at_once_it_is_had_once(both: Both, first: str) -> None:
    code = await both.a.promises()
    await both.known(state="open")
    places = [both.a, both.b] if first == "own" else [both.b, both.a]
    await asyncio.gather(*(place.keyed(code) for place in places))
    await both.a.answered()
    await both.b.answered()
    assert sorted((both.a.credit, both.b.credit)) == [0, OWED]
    await both.known(state="closed")
    await both.books_agree()


@SQLITE
async def test_what_a_dead_machine_did_not_take_is_held_and_had_later(both: Both) -> None:
    code = await both.a.promises()
    await both.known(state="open")
    await both.asked_unseen(code)
    await both.b.dies()
    both.looks.set()
    await both.known(state="held")
    await both.b.opens()
    await both.b.connects()
    assert both.b.credit == 0
    await both.had_at(both.a, code)  # where it was promised it is asked for as well
    assert (both.a.credit, both.b.credit) == (OWED, 0)
    await both.known(state="closed", how="at lobby-1")
    await both.books_agree()


@SQLITE
async def test_a_kill_of_its_own_machine_and_a_broker_that_ends_lose_nothing(
    both: Both, server: Mosquitto
) -> None:
    code = await both.a.promises()
    await both.known(state="open")
    await both.asked_unseen(code)
    both.looks.set()
    await both.a.dies()
    server.kill()
    server.start()
    await both.a.opens()
    await both.a.connects()
    await both.b.answered()
    if not both.b.credit:  # its own machine was away just then
        await both.had_at(both.b, code)
    assert both.b.credit == OWED
    assert both.a.shop.state.claims == {}
    await both.known(state="closed", how="at lobby-2")
    await both.books_agree()
