"""The whole server as processes: certificates, a TLS broker, ingest, the shell's answers."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from cloud.contract.commands import CommandBody
from cloud.contract.journal import records as rec
from cloud.contract.messages import Signed, read
from cloud.contract.signing import Verifier
from cloud.contract.topics import Address, Topic
from cloud.fleet.now import now_ms
from cloud.link import trust
from cloud.link.link import Link
from cloud.link.transport import Heard, LinkLostError
from cloud.link.transport_mqtt import MqttTransport
from cloud.mqtt import PublishRefusedError, StrictClient
from controller.clock import SystemClock
from controller.journal.store import Journal
from controller.state.state import State
from tests.fleet.books import open_books, sell_many
from tests.fleet.links import in_sync, linked
from tests.fleet.machines import START
from tests.fleet.site import Site, asked, vendcloud

MACHINE = Address("acme", "lobby-1")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("cloud") / "home")
    made.wait()
    asked(made.home, "machine", "add", "acme/lobby-1")
    asked(made.home, "machine", "add", "acme/lobby-2")
    yield made
    made.end()


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[Journal[State]]:
    made = await open_books(tmp_path / "journal", seed=int.from_bytes(os.urandom(4)))
    yield made
    await made.close()


def link_of(site: Site, books: Journal[State], machine: Address = MACHINE, **more: Any) -> Link:
    words = iter(range(10_000))
    transport = MqttTransport(
        site.broker(machine), machine, trust.dates_checked(lambda: (START, False))
    )
    return Link(books, transport, SystemClock(), lambda: f"w{next(words)}", **more)


async def test_a_machines_sales_are_what_the_shell_says(site: Site, books: Journal[State]) -> None:
    await sell_many(books, 25)
    async with linked(link_of(site, books)) as link:
        await in_sync(link)

    (total,) = await asyncio.to_thread(asked, site.home, "sales")
    assert (total["sold"], total["cash"], total["open"]) == (25, 25 * 150, 0)
    (box,) = asked(site.home, "cash")
    assert (box["account"], box["amount"]) == ("cash.cashbox", 25 * 150)
    assert asked(site.home, "claims") == []
    shown = asked(site.home, "machine", "show", "acme/lobby-1")
    assert shown["records"] == books.durable_seq
    assert shown["balances"] == {"cash.cashbox": 3750, "revenue.cash": -3750}
    assert [line["machine"] for line in asked(site.home, "machine", "list")] == [
        "lobby-1",
        "lobby-2",
    ]
    proof = asked(site.home, "audit", "verify", "acme/lobby-1")
    assert (proof["ok"], proof["records"]) == (True, books.durable_seq)
    assert f"verified: {books.durable_seq} records" in vendcloud(
        site.home, "audit", "verify", "acme/lobby-1"
    )
    for statement, problem in (
        ("UPDATE record SET body = CAST(body AS TEXT) WHERE seq = 9", "record 9: can't be read"),
        ("UPDATE record SET body = CAST(body || ' ' AS BLOB) WHERE seq = 9", "fails its hash"),
        ("UPDATE record SET body = CAST(trim(body) AS BLOB) WHERE seq = 9", ""),
    ):
        with closing(sqlite3.connect(site.home / "fleet.db")) as raw, raw:
            raw.execute(statement)
        told = vendcloud(
            site.home, "audit", "verify", "acme/lobby-1", code=1 if problem else 0, out=True
        )
        assert ("NOT VERIFIED" in told, problem in told) == (bool(problem), True)
    assert "no machine acme/nobody" in vendcloud(
        site.home, "audit", "verify", "acme/nobody", code=6
    )
    for command in (
        "sales",
        "stock",
        "cash",
        "claims",
        "refunds",
        "alerts",
        "machine list",
        "dlq list",
    ):
        assert vendcloud(site.home, *command.split())
    assert asked(site.home, "rebuild")["records"] == books.durable_seq
    assert asked(site.home, "sales") == [total]


async def test_a_code_that_nobody_promised_is_answered_by_the_server_itself(
    site: Site, books: Journal[State]
) -> None:
    asking = Address("acme", "lobby-2")
    got: asyncio.Queue[Heard] = asyncio.Queue()
    verifier = Verifier(bytes.fromhex(site.made["root_key"]), asking)
    books.label.confirm(now_ms(), int(SystemClock().monotonic_s() * 1000))
    asked_at = books.stage(
        rec.ClaimAsked(digest="ab" * 32, end="1234", waits_ms=120_000, days=90)
    ).seq
    await books.commit()
    async with linked(link_of(site, books, asking, on_down=got.put_nowait)), asyncio.timeout(90):
        while (heard := await got.get()).topic is not Topic.CMD:
            pass
    body = verifier.command(read(Signed, heard.payload), now_ms())
    assert (body.kind, body.args["asked"], body.args["answer"]) == (
        "claim.answer", asked_at, "unknown",
    )  # fmt: skip


async def test_a_command_is_signed_published_and_verified_by_the_machine(
    site: Site, books: Journal[State]
) -> None:
    got: asyncio.Queue[Heard] = asyncio.Queue()
    verifier = Verifier(bytes.fromhex(site.made["root_key"]), MACHINE)
    async with linked(link_of(site, books, on_down=got.put_nowait)):
        sent = await asyncio.to_thread(
            asked, site.home, "cmd", "send", "acme/lobby-1", "price.set", "column=A1", "price=180"
        )
        bodies: list[CommandBody] = []
        async with asyncio.timeout(60):
            while not bodies or bodies[-1].id != sent["id"]:
                heard = await got.get()
                if heard.topic is Topic.CMD:
                    bodies.append(verifier.command(read(Signed, heard.payload), now_ms()))

    assert bodies[-1].args == {"column": "A1", "price": 180}
    (shown,) = [line for line in asked(site.home, "cmd", "show") if line["id"] == sent["id"]]
    assert (shown["kind"], shown["outcome"], shown["counter"]) == ("price.set", "", 1)


def test_what_cannot_be_asked_is_refused_with_words(site: Site) -> None:
    told = vendcloud(site.home, "cmd", "send", "acme/lobby-1", "machine.explode", code=5)
    assert "no command 'machine.explode'" in told
    told = vendcloud(site.home, "cmd", "send", "acme/nobody", "echo", code=6)
    assert "no machine acme/nobody" in told
    told = vendcloud(site.home, "machine", "add", "acme/lobby-1", code=6)
    assert "already" in told
    told = vendcloud(site.home, "machine", "add", "ACME/x", code=2)
    assert "tenant 'ACME'" in told
    assert "hex digits" in vendcloud(
        site.home, "machine", "adopt-journal", "acme/lobby-1", "xyz", code=2
    )
    assert "less than or equal to" in vendcloud(site.home, "dlq", "show", "9" * 20, code=2)
    assert "no dead letter 7" in vendcloud(site.home, "dlq", "show", "7", code=6)
    assert "no dead letter 7" in vendcloud(site.home, "dlq", "replay", "7", code=5)
    assert "no journal" in vendcloud(
        site.home, "machine", "take-back", "acme/lobby-1", "ab" * 16, code=6
    )
    assert "[signer] socket is missing" in vendcloud(site.home, "signer", code=2)
    told = vendcloud(
        site.home, "cmd", "send", "acme/lobby-1", "claim.close", "claim=7", "how=bank", code=6
    )
    assert "no open claim 7" in told
    assert "there is a server already" in vendcloud(site.home, "init", "acme", code=5)
    twice = ("cmd", "send", "acme/lobby-1", "price.set", "column=A1", "price=100", "price=900")
    assert "'price' is said twice" in vendcloud(site.home, *twice, code=2)


def test_rules_of_stock_keys_and_letters_are_set_and_shown(site: Site) -> None:
    rule = ("stock", "rule", "set", "acme/lobby-2", "A1", "--par", "12", "--reorder", "3")
    assert asked(site.home, *rule)["par"] == 12
    assert [line["column"] for line in asked(site.home, "stock", "rule", "list")] == ["A1"]
    assert asked(site.home, "stock", "picklist", "--all") == []
    assert asked(site.home, "dlq", "replay") == {"understood": [], "still": [], "records": 0}
    assert asked(site.home, "key", "add", "acme", "--role", "update")["kid"] == "acme-2"
    assert [key["roles"] for key in asked(site.home, "key", "list", "acme")] == [
        ["operator", "support", "config"],
        ["update"],
    ]
    for words in ("stock rule list", "stock picklist", "key list acme", "dlq list --all"):
        assert vendcloud(site.home, *words.split())


def test_a_server_that_was_never_made_says_how_it_is_made(tmp_path: Path) -> None:
    assert "`vendcloud init` makes a server" in vendcloud(tmp_path / "no", "serve", code=7)


def test_a_configuration_that_is_wrong_says_where(tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text("[broker]\nport = 99999\nhots = 1\n", encoding="utf-8")

    told = vendcloud(tmp_path, "sales", code=2)

    assert "broker.port = 99999: is out of range; allowed: 1 to 65535" in told
    assert "broker.hots = 1: is an unknown key; did you mean host?" in told


async def test_a_machine_speaks_for_itself_alone(site: Site) -> None:
    async with StrictClient(site.broker(MACHINE)) as client:
        await client.say(MACHINE.topic(Topic.TELEMETRY), b"{}", qos=1)
        for foreign in (
            Address("acme", "lobby-2").topic(Topic.EVENTS),
            Address("other", "lobby-1").topic(Topic.EVENTS),
            MACHINE.topic(Topic.ACK),
            MACHINE.topic(Topic.CMD),
        ):
            with pytest.raises(PublishRefusedError):
                await client.say(foreign, b"forged")


async def test_a_broker_whose_certificate_has_ended_is_not_believed(
    site: Site, books: Journal[State]
) -> None:
    in_ten_years = START + 10 * 365 * 24 * 3_600_000
    transport = MqttTransport(
        site.broker(MACHINE), MACHINE, trust.dates_checked(lambda: (in_ten_years, True))
    )
    with pytest.raises(LinkLostError, match="certificate ended"):
        async with transport.connect():
            raise AssertionError("it was believed")
    assert books.acked_seq == 0


async def test_live_and_ready_say_so(site: Site) -> None:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{site.http}") as client:
        assert (await client.get("/health/live")).json() == {"status": "alive"}
        ready = await client.get("/health/ready")
    assert ready.json() == {
        "status": "ready", "database": True, "broker": True, "https": True,
    }  # fmt: skip
