"""Revisions in the fleet: made of the last one, followed at the machine, adopted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cloud.contract import signing
from cloud.contract.commands import Role
from cloud.contract.journal import records as rec
from cloud.contract.messages import REVISION_MAX, ConfigReport, Signed, State, read
from cloud.fleet import alerts, configuration, orders, reports, signer
from cloud.fleet import schema as t
from cloud.fleet.configuration import ConfigurationError, changed
from cloud.fleet.database import FleetDatabase
from cloud.fleet.home import Home
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.projections.rebuild import rebuild
from cloud.fleet.registry import RegistryError
from cloud.fleet.signatory import Signatory, signatory_of
from config.fleet import FleetSigner
from tests.fleet.machines import START, Machine, register

DAY_MS = 24 * 3_600_000
A1 = rec.Shelf(product="tea", price=170, capacity=6)


@pytest.fixture
def keys(tmp_path: Path) -> Signatory:
    home = Home(tmp_path / "home")
    signer.make_root(home, bytes([1]) * 32)
    signer.make_key(home, "acme-1", "acme", (Role.OPERATOR,), bytes([2]) * 32, START)
    return signatory_of(FleetSigner(), home, lambda: START)


async def wants(
    database: FleetDatabase, keys: Signatory, machine: Machine, settings: dict[str, Any]
) -> int:
    return await orders.set_desired(
        database, keys, machine.address, settings, issuer="anna", now_ms=START
    )


async def says(database: FleetDatabase, machine: Machine) -> None:
    await Ingest(database).take(machine.address, machine.batch(1), START)


async def test_the_machines_records_say_what_became_of_each_revision(
    database: FleetDatabase, keys: Signatory
) -> None:
    machine = Machine()
    await register(database, machine)
    for _ in range(3):
        await wants(database, keys, machine, {"policy": {"max_credit": 1}})
    machine.begin()
    machine.write(rec.ConfigApplied(revision=1, digest="d", settings={}, columns={"A1": A1}))
    machine.write(rec.ConfigConfirmed(revision=1))
    machine.write(rec.ConfigRefused(revision=2, digest="d", reasons=("one", "two")))
    machine.write(rec.ConfigApplied(revision=3, digest="d", settings={}))
    machine.write(
        rec.ConfigRolledBack(
            revision=3, to=1, reason="no device", columns={"A1": A1.model_copy(update={"price": 5})}
        )
    )
    machine.write(rec.ConfigRefused(revision=9, digest="d", reasons=("of a command",)))
    await says(database, machine)

    async def told() -> list[tuple[Any, ...]]:
        async with database.reading() as connection:
            rows = await connection.execute(
                select(t.desired.c.revision, t.desired.c.outcome, t.desired.c.detail).order_by(
                    t.desired.c.revision
                )
            )
            return [tuple(row) for row in rows]

    first = await told()
    assert first == [
        (1, "confirmed", ""),
        (2, "refused", "one\ntwo"),
        (3, "rolled_back", "no device"),
    ]
    async with database.reading() as connection:
        (machine_id,) = (await connection.execute(select(t.machine.c.id))).scalars()
        assert alerts.CONFIG in await alerts.open_causes(connection, machine_id)
    (shelf,) = await reports.stock(database)
    assert (shelf["product"], shelf["price"]) == ("tea", 5)
    await rebuild(database, START)
    assert await told() == first


async def test_a_revision_outlives_the_key_that_has_signed_it(
    database: FleetDatabase, keys: Signatory, tmp_path: Path
) -> None:
    machine = Machine()
    await register(database, machine)
    settings = {"policy": {"max_credit": 1}}
    for _ in range(2):
        await wants(database, keys, machine, settings)
    until = START + (signer.KEY_DAYS + 1) * DAY_MS
    assert await orders.sign_again(database, keys, until) == 0, "no key lives longer"
    home = Home(tmp_path / "home")
    seed = bytes([3]) * 32
    signer.make_key(home, "acme-2", "acme", (Role.OPERATOR,), seed, START + 9 * DAY_MS)

    assert await orders.sign_again(database, keys, START + signer.KEY_DAYS * DAY_MS) == 0, "not yet"
    assert await orders.sign_again(database, keys, until) == 1, "the newest"
    assert await orders.sign_again(database, keys, until) == 0

    async with database.reading() as connection:
        query = select(t.desired.c.message).order_by(t.desired.c.revision)
        first, second = (bytes(raw) for raw in (await connection.execute(query)).scalars())
    verifier = signing.Verifier(signing.public_of(bytes([1]) * 32), machine.address)
    told = verifier.desired(read(Signed, second), until)
    assert (told.revision, told.settings) == (2, settings)
    with pytest.raises(signing.SignatureRefusedError, match="has ended"):
        verifier.desired(read(Signed, first), until)


async def test_a_tenant_without_a_key_that_lives_keeps_no_other_from_being_signed_for(
    database: FleetDatabase, keys: Signatory, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    signer.make_key(home, "gone-1", "gone", (Role.OPERATOR,), bytes([4]) * 32, START)
    gone, lives = Machine(tenant="gone"), Machine()
    for machine in (gone, lives):
        await register(database, machine)
        await wants(database, keys, machine, {"policy": {"max_credit": 1}})
    for path in home.keys.glob("gone-1.*"):
        path.unlink()
    signer.make_key(home, "acme-2", "acme", (Role.OPERATOR,), bytes([3]) * 32, START + 9 * DAY_MS)

    until = START + (signer.KEY_DAYS + 1) * DAY_MS
    assert await orders.sign_again(database, keys, until) == 1
    assert await orders.sign_again(database, keys, until) == 0


async def test_a_revision_that_is_taken_closes_the_alert_of_one_that_was_not(
    database: FleetDatabase, keys: signer.Signer
) -> None:
    machine = Machine()
    await register(database, machine)
    machine.begin()
    machine.write(rec.ConfigRefused(revision=1, digest="d", reasons=("one",)))
    await says(database, machine)
    async with database.reading() as connection:
        (machine_id,) = (await connection.execute(select(t.machine.c.id))).scalars()
        (detail,) = (await connection.execute(select(t.alert.c.detail))).scalars()
        assert detail == "revision 1 refused: one"
        assert await alerts.open_causes(connection, machine_id) == {alerts.CONFIG}
    first = machine.seq + 1
    machine.write(rec.ConfigApplied(revision=2, digest="d", settings={}, others={"A1": A1}))
    await Ingest(database).take(machine.address, machine.batch(first), START)
    async with database.reading() as connection:
        assert await alerts.open_causes(connection, machine_id) == set()
    (shelf,) = await reports.stock(database)
    assert (shelf["product"], shelf["price"]) == ("tea", 170)


async def test_a_revision_is_above_all_that_the_machine_may_have_heard_of(
    database: FleetDatabase, keys: Signatory
) -> None:
    machine = Machine()
    await register(database, machine)
    assert await wants(database, keys, machine, {}) == 1
    await orders.send(
        database,
        keys,
        machine.address,
        "config.apply",
        {"revision": 6, "settings": {}},
        command_id="c1",
        issuer="anna",
        now_ms=START,
    )
    assert await wants(database, keys, machine, {}) == 7
    told = State(at=START, mode="idle", configuration=ConfigReport(seen=11))
    await Ingest(database).told(machine.address, told, START)
    assert await wants(database, keys, machine, {}) == 12, "the database was restored from a copy"
    told = State(at=START, mode="idle", configuration=ConfigReport(seen=REVISION_MAX))
    await Ingest(database).told(machine.address, told, START)
    with pytest.raises(orders.OrderRefusedError, match="there is none above it"):
        await wants(database, keys, machine, {})


async def test_what_was_changed_at_the_machine_is_adopted(
    database: FleetDatabase, keys: Signatory
) -> None:
    machine = Machine()
    await register(database, machine)
    with pytest.raises(ConfigurationError, match="nothing is wanted yet"):
        await configuration.adopted(database, machine.address)
    settings = {"policy": {"max_credit": 1}, "planogram": {"columns": {"A1": {"price": 100}}}}
    await wants(database, keys, machine, settings)
    with pytest.raises(ConfigurationError, match="does not hold there, but 0"):
        await configuration.adopted(database, machine.address)
    key = "planogram.columns.A1.price"
    drift: dict[str, object] = {key: {"wanted": 100, "found": 120, "by": "tech"}}
    for seen, told in ((drift, 120), ({}, None)):
        state = State(
            at=START, mode="idle", configuration=ConfigReport(revision=1, seen=1), drift=seen
        )
        await Ingest(database).told(machine.address, state, START)
        view = await configuration.view(database, machine.address)
        assert (view["applied"], view["drift"]) == (1, seen)
        if told is not None:
            adopted = await configuration.adopted(database, machine.address)
            assert adopted["planogram"]["columns"]["A1"]["price"] == told
            assert adopted["policy"] == settings["policy"]
    with pytest.raises(ConfigurationError, match="nothing differs") as caught:
        await configuration.adopted(database, machine.address)
    assert caught.value.nothing
    with pytest.raises(RegistryError, match="no machine acme/nobody"):
        await configuration.view(database, Machine("nobody").address)


async def test_what_is_signed_is_read_by_the_machine(
    database: FleetDatabase, keys: Signatory
) -> None:
    machine = Machine()
    await register(database, machine)
    await wants(database, keys, machine, {"policy": {"max_credit": 7}})
    async with database.reading() as connection:
        (raw,) = (await connection.execute(select(t.desired.c.message))).scalars()
    verifier = signing.Verifier(signing.public_of(bytes([1]) * 32), machine.address)
    body = verifier.desired(read(Signed, bytes(raw)), START)
    assert (body.revision, body.settings) == (1, {"policy": {"max_credit": 7}})


def test_a_revision_is_the_last_one_with_changes() -> None:
    before = {"policy": {"max_credit": 1, "basket": True}, "offers": [1]}
    made = changed(before, {"policy.max_credit": 2, "planogram.columns.A1.price": 3}, ["offers"])
    assert made == {
        "policy": {"max_credit": 2, "basket": True},
        "planogram": {"columns": {"A1": {"price": 3}}},
    }
    assert before["policy"] == {"max_credit": 1, "basket": True}
    assert changed(made, {}, ["planogram.columns.A1.price", "policy"]) == {}
    for pairs, unset, says_ in (
        ({"": 1}, [], "is no key"),
        ({}, ["policy.max_change"], "is not in the newest revision"),
        ({"offers": ["x" * 200_000]}, [], "bytes of settings"),
    ):
        with pytest.raises(ConfigurationError, match=says_):
            changed(before, pairs, unset)
    assert json.dumps(before)
