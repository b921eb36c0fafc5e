"""Each cause of an alert has an end: raised, told once, and closed when it has healed."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import func, insert, select, update

from cloud.contract.journal import records as rec
from cloud.contract.messages import Presence, State, Urgent
from cloud.fleet import alerts, ends, registry
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.dead_letters import discard, replay
from cloud.fleet.home import Home
from cloud.fleet.ingest import presence
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.projections.episodes import of_fault
from cloud.fleet.projections.rebuild import rebuild
from tests.fleet.machines import SEED, START, Machine, register
from tests.fleet.older import older_software
from tests.fleet.signing import DAY, countersign

OTHER = bytes([9]) * 32


class Case:
    """A machine that something happens to."""

    def __init__(self, database: FleetDatabase, home: Home, number: int) -> None:
        self.database = database
        self.home = home
        self.ingest = Ingest(database, countersign=countersign)
        self.number = 10 * number
        self.machine = Machine(f"m{number}", number=self.number + 1)
        self.machine.begin()
        self.machine.sell()
        self.told = 0

    async def ready(self) -> None:
        await register(self.database, self.machine)
        await self.shows(self.machine)
        await self.sends()

    async def sends(self) -> None:
        first, self.told = self.told + 1, self.machine.seq
        await self.ingest.take(self.machine.address, self.machine.batch(first), START)

    async def shows(self, machine: Machine, seed: bytes = SEED) -> None:
        await self.ingest.heard(self.machine.address, machine.presence(seed=seed), START)

    def disk(self, machine: Machine | None = None, number: int = 2) -> Machine:
        """A new disk of this machine: behind what another one has, or with nothing."""
        made = Machine(self.machine.address.machine, number=self.number + number)
        made.begin(previous=(machine.journal.hex(), machine.seq) if machine else None)
        made.sell()
        return made

    async def takes(self, machine: Machine, first: int = 1) -> None:
        await self.ingest.take(self.machine.address, machine.batch(first), START)

    async def adopts(self, machine: Machine) -> None:
        await registry.adopt_journal(self.database, machine.address, machine.journal, START)

    async def releases(self) -> None:
        await registry.release(self.database, self.machine.journal, START)

    async def garbage(self) -> None:
        self.machine.sell()
        broken = self.machine.batch(self.told + 1)[:-5]
        for _ in range(3):
            await self.ingest.take(self.machine.address, broken, START)

    async def id(self) -> int:
        found = await self.ingest.machine_id(self.machine.address)
        assert found is not None
        return found

    async def open(self) -> set[str]:
        number = await self.id()
        async with self.database.reading() as connection:
            found = await alerts.open_causes(connection, number)
            server = await alerts.open_causes(connection, ends.SERVER)
        return found | server

    async def looks(self, now_ms: int = START) -> None:
        await ends.look(self.database, self.home, self.home.keys, now_ms)

    async def certificate(self, not_after_ms: int) -> None:
        number = await self.id()
        async with self.database.writing() as connection:
            row = t.certificate
            changed = await connection.execute(
                update(row).where(row.c.machine_id == number).values(not_after_ms=not_after_ms)
            )
            if not changed.rowcount:
                values = {"serial": "1", "machine_id": number, "not_after_ms": not_after_ms}
                await connection.execute(insert(row).values(values))


Act = Callable[[Case], Awaitable[Any]]


async def a_disk_goes_back(case: Case) -> None:
    old = case.machine.fork(case.machine.seq - 7)
    old.sell(200)
    await case.takes(old, old.seq - 6)


async def a_new_journal_behind_it(case: Case) -> None:
    await a_disk_goes_back(case)
    made = case.disk(case.machine.fork(case.machine.seq - 7))
    await case.takes(made)
    await case.adopts(made)
    await case.shows(made)


async def a_new_journal(case: Case) -> None:
    await case.takes(case.disk())


async def its_adoption(case: Case) -> None:
    await case.adopts(case.disk())


async def garbage_of_one_of_two(case: Case) -> None:
    other = case.disk()
    await case.takes(other)
    await case.adopts(other)
    for _ in range(3):
        await case.ingest.take(case.machine.address, b"{}\n", START)


async def its_letters_set_aside(case: Case) -> None:
    async with case.database.reading() as connection:
        query = select(t.dead_letter.c.id).where(t.dead_letter.c.machine_id == await case.id())
        letters = (await connection.execute(query)).scalars().all()
    for number in letters:
        assert alerts.UNREADABLE in await case.open(), "one of them is left"
        await discard(case.database, number, START)


async def the_old_disk_goes_on(case: Case) -> None:
    made = case.disk(case.machine)
    await case.takes(made)
    await case.adopts(made)
    case.machine.sell()
    await case.sends()


async def the_new_disk_is_back(case: Case) -> None:
    await case.shows(case.disk(case.machine.fork(case.machine.seq - 7)))


async def the_old_one_is_taken_back(case: Case) -> None:
    await registry.take_back(case.database, case.machine.address, case.machine.journal)
    made = case.disk(case.machine, 3)
    await case.takes(made)
    assert alerts.SUPERSEDED in await case.open()
    await case.adopts(made)


async def another_machines_disk(case: Case) -> None:
    other = Machine(f"other{case.number}", number=case.number + 5)
    other.begin()
    other.sell()
    await register(case.database, other)
    await case.ingest.take(other.address, other.batch(1), START)
    await case.takes(other)


async def its_own_disk(case: Case) -> None:
    await case.shows(case.machine)


async def a_forged_copy(case: Case) -> None:
    seq, boot, body, _ = case.machine.rows[3]
    forged = body.replace(b"150", b"950")
    copy = Urgent(journal=case.machine.journal.hex(), seq=seq, boot=boot, body=forged)
    await case.ingest.copied(case.machine.address, copy, START)


async def a_copy_of_another(case: Case) -> None:
    await another_machines_disk(case)
    seq, boot, body, _ = case.machine.rows[3]
    copy = Urgent(journal=(bytes([case.number + 5]) * 16).hex(), seq=seq, boot=boot, body=body)
    await case.ingest.copied(case.machine.address, copy, START)


def wrote(*said: Any) -> Act:
    async def act(case: Case) -> None:
        for data in said:
            case.machine.write(data)
        await case.sends()

    return act


def stated(seed: bytes = SEED, **lies: object) -> Act:
    async def act(case: Case) -> None:
        case.machine.state_books(seed=seed, **lies)
        await case.sends()

    return act


def shown(seed: bytes) -> Act:
    return lambda case: case.shows(case.machine, seed)


def says(online: bool) -> Act:
    return lambda case: case.ingest.heard(case.machine.address, Presence(online=online), START)


async def is_silent(case: Case) -> None:
    await presence.sweep(case.database, START, START + DAY)


async def speaks(case: Case) -> None:
    await case.ingest.told(case.machine.address, State(mode="idle", at=START), START + DAY)


def certified(not_after_ms: int) -> Act:
    async def act(case: Case) -> None:
        await case.certificate(not_after_ms)
        await case.looks()

    return act


async def a_key_ends(case: Case) -> None:
    case.home.keys.mkdir()
    (case.home.keys / "acme-1.signed").write_bytes(b"")
    await case.looks()


async def it_is_gone(case: Case) -> None:
    (case.home.keys / "acme-1.signed").unlink()
    await case.looks()


RAISED = rec.FaultRaised(part="changer", code="changer.jammed", detail="tube 2")
CLEARED = rec.FaultCleared(part="changer", code="changer.jammed")
FAULT = of_fault("changer", "changer.jammed")
KEY = "ends.keys/acme-1.signed"
REFUSED = rec.ConfigRefused(revision=1, digest="", reasons=("no such product",))
APPLIED = rec.ConfigApplied(revision=2, digest="", settings={})

CASES: Final[tuple[tuple[str, Act, Act], ...]] = (
    (alerts.FORKED, a_disk_goes_back, its_own_disk),
    (alerts.FORKED, a_disk_goes_back, a_new_journal_behind_it),
    (alerts.QUARANTINED, Case.garbage, Case.releases),
    (alerts.UNREADABLE, garbage_of_one_of_two, its_letters_set_aside),
    (alerts.UNADOPTED, a_new_journal, its_adoption),
    (alerts.SUPERSEDED, the_old_disk_goes_on, the_new_disk_is_back),
    (alerts.SUPERSEDED, the_old_disk_goes_on, the_old_one_is_taken_back),
    (alerts.FOREIGN, another_machines_disk, its_own_disk),
    (alerts.FOREIGN, another_machines_disk, a_new_journal_behind_it),
    (alerts.FOREIGN, a_copy_of_another, its_own_disk),
    (alerts.COPY_DIFFERS, a_forged_copy, Case.releases),
    (alerts.BOOKS_DIFFER, stated(hash="ab" * 32), Case.releases),
    (alerts.UNSIGNED, stated(seed=OTHER), stated()),
    (alerts.KEY_CHANGED, shown(OTHER), shown(SEED)),
    (
        alerts.KEY_CHANGED,
        shown(OTHER),
        lambda case: registry.accept_key(case.database, case.machine.address, START),
    ),
    (alerts.CONFIG, wrote(REFUSED), wrote(APPLIED)),
    (alerts.OFFLINE, says(online=False), says(online=True)),
    (alerts.OFFLINE, is_silent, speaks),
    (alerts.CERTIFICATE, certified(START + 100 * DAY), certified(START + 300 * DAY)),
    (KEY, a_key_ends, it_is_gone),
    (FAULT, wrote(RAISED), wrote(CLEARED)),
)


def test_every_cause_is_walked() -> None:
    told = {
        value
        for name, value in vars(alerts).items()
        if name.isupper() and not name.startswith("_") and isinstance(value, str)
    }
    assert told | {FAULT, KEY} == {cause for cause, _, _ in CASES}


async def test_each_cause_raises_one_alert_and_has_an_end(
    database: FleetDatabase, tmp_path: Path
) -> None:
    for number, (cause, happens, heals) in enumerate(CASES, 1):
        case = Case(database, Home(tmp_path), number)
        await case.ready()
        assert await case.open() == set(), cause

        await happens(case)
        assert cause in await case.open()
        await heals(case)

        assert cause not in await case.open(), f"{cause}: {heals}"
        async with database.reading() as connection:
            rows = await connection.execute(
                select(func.count(), func.count(t.alert.c.closed_ms)).where(
                    t.alert.c.cause == cause, t.alert.c.machine_id.in_((await case.id(), 0))
                )
            )
            assert rows.one() == (1, 1), f"{cause}: told once, closed once"
        async with database.writing() as connection:
            await connection.execute(update(t.machine).values(online=False))


async def test_a_journal_that_waits_is_told_of_though_another_one_was_adopted(
    database: FleetDatabase, tmp_path: Path
) -> None:
    case = Case(database, Home(tmp_path), 1)
    await case.ready()
    second = case.disk()
    third = case.disk(number=3)
    await case.takes(second)
    await case.takes(third)

    await case.adopts(second)

    assert alerts.UNADOPTED in await case.open()
    await case.adopts(third)
    assert await case.open() == set()


def troubled() -> Machine:
    """A life with faults that come and go, and configurations that are not taken."""
    machine = Machine()
    machine.begin()
    for number in range(4):
        machine.write(rec.FaultRaised(part="changer", code="changer.jammed", detail=f"{number}"))
        machine.write(rec.FaultRaised(part="A1", code="column.jammed"))
        machine.write(rec.FaultRaised(part="changer", code="changer.jammed", detail="still"))
        machine.sell()
        machine.write(CLEARED)
        machine.write(rec.ConfigRefused(revision=number, digest="", reasons=("no",)))
        if number % 2:
            machine.write(rec.ConfigApplied(revision=number, digest="", settings={}))
            machine.write(rec.FaultCleared(part="A1", code="column.jammed"))
    machine.write(RAISED)
    return machine


async def rows_of(database: FleetDatabase, *columns: Any) -> list[tuple[Any, ...]]:
    async with database.reading() as connection:
        query = select(*(columns or (t.alert,))).order_by(t.alert.c.cause, t.alert.c.seq)
        return [tuple(row) for row in await connection.execute(query)]


@pytest.mark.parametrize("how", [1, 7, 10_000, "adopted"])
async def test_what_is_told_does_not_depend_on_where_batches_end_nor_on_how_often_it_is_rebuilt(
    database: FleetDatabase, how: int | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = troubled()
    await register(database, machine)
    ingest = Ingest(database)
    monkeypatch.setattr("cloud.fleet.projections.rebuild.CHUNK", 5)
    if isinstance(how, str):
        first = Machine(number=2)
        first.begin()
        await ingest.take(first.address, first.batch(1), START)
    for message in machine.batches(how if isinstance(how, int) else 9):
        await ingest.take(machine.address, message, START)
    if isinstance(how, str):
        await registry.adopt_journal(database, machine.address, machine.journal, START)

    row = t.alert.c
    told = await rows_of(database, row.cause, row.seq, row.closed_ms.is_(None))
    assert [
        (cause, seq, bool(is_open)) for cause, seq, is_open in told if not cause.startswith("j")
    ] == [
        *[(alerts.CONFIG, seq, False) for seq in (15, 27, 41, 53)],
        *[("fault A1 column.jammed", seq, False) for seq in (5, 31)],
        *[(FAULT, seq, seq == 56) for seq in (4, 16, 30, 42, 56)],
    ]
    before = await rows_of(database)
    for number in range(3):
        await rebuild(database, START + number)
    assert await rows_of(database) == before


async def test_a_fault_that_was_not_understood_is_told_of_after_an_upgrade_and_so_is_its_end(
    database: FleetDatabase,
) -> None:
    machine = Machine()
    machine.begin()
    machine.write(RAISED)
    await register(database, machine)
    ingest = Ingest(database)
    with older_software(rec.FaultRaised):
        await ingest.take(machine.address, machine.batch(1), START)
        assert await rows_of(database) == []
    for _ in range(2):
        await replay(database, None, START + 1)
        await rebuild(database, START + 1)
        assert [row[2] for row in await rows_of(database)] == [FAULT]

    last = machine.seq
    machine.write(CLEARED)
    with older_software(rec.FaultCleared):
        await ingest.take(machine.address, machine.batch(last + 1), START)
    await replay(database, None, START + 2)

    assert [row[5] for row in await rows_of(database)] == [START + 2]


async def test_a_disk_that_knows_of_no_fault_ends_those_of_the_one_before(
    database: FleetDatabase, tmp_path: Path
) -> None:
    case = Case(database, Home(tmp_path), 1)
    await case.ready()
    await wrote(RAISED)(case)
    made = case.disk()
    await case.takes(made)
    assert FAULT in await case.open()

    await case.adopts(made)

    assert await case.open() == set()
