"""A new journal in place of a broken one: what it inherits, and what a power cut leaves."""

import json
import random
from collections.abc import Sequence
from typing import Any, cast

import pytest

from controller.faults import JournalError
from controller.journal import beginning
from controller.journal.beginning import TOLD_AT_ONCE, _readable, begin_new
from controller.journal.database import PAGE_SIZE, Access, Database, Statement
from controller.journal.errors import (
    DiskBusyError,
    DiskIoError,
    JournalBrokenError,
    JournalForeignError,
    JournalRefusedError,
)
from controller.journal.identity import ID_FILE, journal_file
from controller.journal.reader import StoredRow
from controller.journal.records import JournalBegun
from controller.journal.store import Journal
from simulator.disk import Choice, Disk, Io
from simulator.disk_sqlite import DiskStorage, InlineDatabase
from tests.journal_kit import REGISTRY, HandClock, Purse, PurseFold, boot_info, open_journal, put_in


async def begin(
    disk: Disk, seed: int = 50, *, whole: bool = False, fork: int | None = None
) -> bytes:
    begun = await begin_new(
        DiskStorage(disk),
        fold=PurseFold(),
        registry=REGISTRY,
        clock=HandClock(),
        entropy=random.Random(seed).randbytes,
        boot=boot_info(),
        reason="the disk was replaced",
        by="uid 1000",
        fork=fork,
        whole=whole,
    )
    return bytes.fromhex(begun.journal)


async def reopened(disk: Disk) -> Journal[Purse]:
    return await open_journal(DiskStorage(disk))


async def first_record(journal: Journal[Purse]) -> JournalBegun:
    return cast("JournalBegun", (await journal.read(1))[0].data)


async def carried(journal: Journal[Purse]) -> list[tuple[int, int]]:
    """What it tells again of the journal before it: seq, and whether its hash was right."""
    assert await journal.carried() == [], "that is where an older software kept them"
    told = [
        json.loads(row[2])["data"]
        async for row in journal.rows()
        if b'"type":"record.carried"' in row[2]
    ]
    assert all(one["journal"] != journal.journal_id.hex() for one in told)
    return [(one["seq"], one["verified"]) for one in told if one["body"]]


async def broken_at(seq: int, *amounts: int) -> tuple[Disk, bytes]:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    await put_in(journal, *amounts)
    await journal.close()
    database = await DiskStorage(disk).open(journal_file(journal.journal_id), Access.WRITE)
    await database.transaction(
        [
            ("UPDATE record SET hash = zeroblob(32) WHERE seq = ?", (seq,)),
            ("DELETE FROM snapshot", ()),
        ]
    )
    await database.close()
    with pytest.raises(JournalBrokenError):
        await reopened(disk)
    return disk, journal.journal_id


async def test_it_names_the_old_one_and_its_last_readable_seq() -> None:
    disk, old = await broken_at(5, 1, 2, 4, 8, 16)
    new = await begin(disk)
    journal = await reopened(disk)
    begun = await first_record(journal)
    assert begun.previous == (old.hex(), 4)
    assert (begun.journal, begun.reason, begun.by) == (
        new.hex(),
        "the disk was replaced",
        "uid 1000",
    )
    assert (journal.boot, journal.next_seq) == (2, 10), "seven records are told again"


async def test_it_inherits_what_the_good_records_made() -> None:
    disk, _ = await broken_at(5, 1, 2, 4, 8, 16)
    await begin(disk)
    journal = await reopened(disk)
    assert journal.state.balances == {"cash.box": 3, "credit": -3}
    await put_in(journal, 100)
    await journal.close()
    again = await reopened(disk)
    assert again.state.balances["cash.box"] == 103
    assert (await again.verify()).ok


async def test_nothing_readable_and_unacknowledged_is_dropped() -> None:
    disk, _ = await broken_at(5, 1, 2, 4, 8, 16)
    await begin(disk)
    journal = await reopened(disk)
    assert await carried(journal) == [(1, 1), (2, 1), (3, 1), (4, 1), (5, 0), (6, 0), (7, 0)]


async def test_what_the_fleet_has_is_not_carried() -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    await put_in(journal, 1, 2, 4)
    third = (await journal.read(3))[0]
    assert await journal.acknowledge(3, third.hash)
    await journal.close()
    await begin(disk)
    assert await carried(await reopened(disk)) == [(4, 1), (5, 1)]


async def test_records_behind_a_damaged_page_are_carried_too() -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    await put_in(journal, *range(1, 200))
    name = journal_file(journal.journal_id)
    await journal.close()
    data = disk.files[name].data
    page = (
        data.index(b'"amount":100,') if b'"amount":100,' in data else data.index(b'{"amount":100}')
    )
    data[page // PAGE_SIZE * PAGE_SIZE] = 0xFF
    await begin(disk)
    new = await reopened(disk)
    found = [seq for seq, _ in await carried(new)]
    lost = sorted(set(range(1, 202)) - set(found))
    assert 0 < len(lost) < 8
    assert max(found) == 201
    assert lost[0] < 103 < lost[-1] + 8


async def test_before_a_damaged_end_all_that_the_fleet_does_not_have_is_carried() -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    await put_in(journal, *range(1, 1_500))
    name, last = journal_file(journal.journal_id), journal.durable_seq
    await journal.close()
    data = disk.files[name].data
    data[data.rindex(b'{"amount":1499}') // PAGE_SIZE * PAGE_SIZE] = 0xFF
    await begin(disk)
    found = [seq for seq, _ in await carried(await reopened(disk))]
    assert found == list(range(1, len(found) + 1))
    assert last - 50 < len(found) < last


async def test_a_row_whose_number_is_damaged_is_not_counted_up_to() -> None:
    """One bit of it, and a million records would be looked for that never were."""
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    await put_in(journal, *range(1, 200))
    name, last = journal_file(journal.journal_id), journal.durable_seq
    await journal.close()
    data = disk.files[name].data
    body = data.rindex(b'{"amount":199}')
    number = data.rindex(
        bytes([0x80 | last >> 7, last & 0x7F]), body // PAGE_SIZE * PAGE_SIZE, body
    )
    data[number + 1] |= 0x80  # a varint of one more byte (SQLite file format, 1.6)
    looked: list[int] = []
    query = InlineDatabase.query

    async def watched(self: InlineDatabase, sql: str, *parameters: Any) -> Any:
        looked.append(1)
        return await query(self, sql, *parameters)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(InlineDatabase, "query", watched)
        await begin(disk)
    assert [seq for seq, _ in await carried(await reopened(disk))] == list(range(1, last))
    assert len(looked) < 2_000


@pytest.mark.parametrize("damaged", [5, 120, 198])
async def test_a_long_backlog_goes_over_in_pieces_and_is_the_same(
    monkeypatch: pytest.MonkeyPatch, damaged: int
) -> None:
    made: list[tuple[list[StoredRow], Purse]] = []
    most: list[int] = []
    transaction = InlineDatabase.transaction

    async def watched(self: InlineDatabase, statements: Sequence[Statement]) -> None:
        most.append(len(statements))
        await transaction(self, statements)

    for at_once in (TOLD_AT_ONCE, 10):
        disk, _ = await broken_at(damaged, *range(1, 200))
        with monkeypatch.context() as patched:
            patched.setattr(beginning, "TOLD_AT_ONCE", at_once)
            patched.setattr(InlineDatabase, "transaction", watched)
            most.clear()
            await begin(disk)
        journal = await reopened(disk)
        assert (await journal.verify()).ok
        made.append(([row async for row in journal.rows(1, 202)], journal.state))
    (whole, at_whole), (pieces, at_pieces) = made
    assert pieces == whole
    assert (at_pieces.balances, at_pieces.notes) == (at_whole.balances, at_whole.notes)
    assert len(at_whole.notes) >= damaged - 1
    assert (len(whole), max(most)) == (202, 10)


async def page_of(disk: Disk, name: str, table: str) -> int:
    """Where the root page of a table begins in its file."""
    database = await DiskStorage(disk).open(name, Access.READ)
    ((page,),) = await database.query("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,))
    await database.close()
    return (int(page) - 1) * PAGE_SIZE


@pytest.mark.parametrize("table", ["snapshot", "journal"])
async def test_a_damaged_page_beside_the_records_loses_none_of_them(table: str) -> None:
    """A snapshot is a cache: with its page all claims and credit would be gone."""
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    await put_in(journal, 1, 2, 4)
    assert await journal.acknowledge(3, (await journal.read(3))[0].hash)
    name = journal_file(journal.journal_id)
    await journal.close()
    at = await page_of(disk, name, table)
    disk.files[name].data[at : at + PAGE_SIZE] = bytes(PAGE_SIZE)
    with pytest.raises(JournalBrokenError):
        await reopened(disk)
    await begin(disk)
    new = await reopened(disk)
    assert (await first_record(new)).previous == (journal.journal_id.hex(), 5)
    assert new.state.balances["cash.box"] == 7
    told = [4, 5] if table == "snapshot" else [1, 2, 3, 4, 5]
    assert await carried(new) == [(seq, True) for seq in told]
    assert (await new.verify()).ok


USER_VERSION = 63  # its last byte (SQLite file format, 1.3)


@pytest.mark.parametrize(
    "where", [b"cked_seq", b"digest BLOB", b"signature BLOB", b"CREATE TABLE base", b""]
)
async def test_a_bit_that_is_damaged_in_the_schema_loses_no_record(where: bytes) -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    await put_in(journal, 1, 2, 4)
    name = journal_file(journal.journal_id)
    await journal.close()
    data = disk.files[name].data
    places = [at for at in range(len(data)) if data.startswith(where, at)]
    for at in places if where else [USER_VERSION]:
        data[at] ^= 1
    with pytest.raises(JournalRefusedError):
        await reopened(disk)
    await begin(disk)
    assert (await reopened(disk)).state.balances["cash.box"] == 7


async def test_a_bit_of_its_own_name_makes_a_journal_no_other_machines() -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    await put_in(journal, 1, 2, 4)
    name = journal_file(journal.journal_id)
    await journal.close()
    disk.files[name].data[disk.files[name].data.index(journal.journal_id)] ^= 1
    with pytest.raises(JournalForeignError):
        await reopened(disk)
    await begin(disk)
    now = await reopened(disk)
    assert now.state.balances["cash.box"] == 7
    assert [verified for _, verified in await carried(now)] == [True] * 5


async def test_a_journal_that_is_gone_is_named_by_its_id_file() -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    await put_in(journal, 5)
    old = journal.journal_id
    await journal.close()
    disk.remove(journal_file(old))
    await begin(disk)
    new = await reopened(disk)
    assert (await first_record(new)).previous == (old.hex(), 0)
    assert new.state.balances == {}


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
async def test_a_journal_of_which_nothing_is_left_is_named_all_the_same(content: bytes) -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    old = journal.journal_id
    await journal.close()
    disk.files[journal_file(old)].data[:] = content
    await begin(disk)
    assert (await first_record(await reopened(disk))).previous == (old.hex(), 0)


async def test_the_old_file_stays_as_it_was() -> None:
    disk, old = await broken_at(4, 1, 2, 4)
    before = bytes(disk.files[journal_file(old)].data)
    await begin(disk)
    await (await reopened(disk)).close()
    assert bytes(disk.files[journal_file(old)].data) == before


async def test_damage_that_was_only_noted_ends_with_a_new_journal() -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    await put_in(journal, 5)
    await journal.close()
    disk.files[ID_FILE].data[:] = disk.files[ID_FILE].data.replace(
        b"}", b', "broken": "the log lost commits"}'
    )
    with pytest.raises(JournalBrokenError, match="the log lost commits"):
        await reopened(disk)
    await begin(disk)
    new = await reopened(disk)
    assert new.state.balances["cash.box"] == 5


async def test_a_healthy_journal_may_be_replaced_as_well_and_more_than_once() -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    await put_in(journal, 5)
    await journal.close()
    for seed in (1, 2):
        await begin(disk, seed)
    new = await reopened(disk)
    assert new.state.balances["cash.box"] == 5
    assert len([name for name in disk.files if name.endswith(".db")]) == 3


async def test_on_an_empty_folder_it_is_a_first_start() -> None:
    disk = Disk()
    await begin(disk)
    assert (await first_record(await reopened(disk))).previous is None


@pytest.mark.parametrize("at_once", [TOLD_AT_ONCE, 2])
async def test_a_power_cut_leaves_the_old_journal_or_the_new_one(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(beginning, "TOLD_AT_ONCE", at_once)
    disk, old = await broken_at(5, 1, 2, 4, 8, 16)
    rng = random.Random(1)
    images: list[Disk] = []
    disk.on_io = lambda event: images.extend(disk.images(rng, 2))
    new = await begin(disk)
    outcomes: set[bytes] = set()
    for image in images:
        try:
            journal = await reopened(image)
        except JournalRefusedError:
            outcomes.add(old)
            # And beginning again works from whatever the cut has left.
            await begin(image, seed=51)
            journal = await reopened(image)
        else:
            outcomes.add(journal.journal_id)
        assert journal.state.balances["cash.box"] == 3
    assert outcomes == {old, new}


class TornPages:
    """A database whose damaged pages hold rows of others as well, and out of order."""

    def __init__(self, *seqs: int) -> None:
        self.seqs = seqs

    async def query(self, sql: str, parameters: tuple[int, int] = (0, 0)) -> list[Any]:
        if "max(seq)" in sql:
            return [(max(self.seqs),)]
        after, limit = parameters
        return [(seq, 1, b"%d" % n, b"") for n, seq in enumerate(self.seqs) if seq > after][:limit]


@pytest.mark.parametrize("seqs", [(1, 2, 2, 3), (3, 1, 2), (1, 2, 1, 2), (4, 4)])
async def test_a_row_that_stands_in_two_pages_is_carried_once(seqs: tuple[int, ...]) -> None:
    rows = [row[0] async for row in _readable(cast("Database", TornPages(*seqs)), 0, 0)]
    assert rows == sorted(set(seqs))


async def test_behind_a_fork_a_new_journal_tells_again_what_the_fleet_does_not_have() -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    await put_in(journal, 100, 50, 20)
    last, old = journal.durable_seq, journal.journal_id
    await journal.close()

    await begin_new(
        DiskStorage(disk),
        fold=PurseFold(),
        registry=REGISTRY,
        clock=HandClock(),
        entropy=random.Random(7).randbytes,
        boot=boot_info(),
        reason="the fleet holds another journal",
        by="fleet",
        fork=last - 2,
    )
    again = await reopened(disk)

    assert (await first_record(again)).previous == (old.hex(), last - 2)
    rows = [row async for row in again.rows()]
    carried_bodies = [row[2] for row in rows if b'"type":"record.carried"' in row[2]]
    assert [f'"seq":{seq}'.encode() in body for seq, body in zip(
        (last - 1, last), carried_bodies, strict=True
    )] == [True, True]  # fmt: skip
    assert again.state.balances["cash.box"] == 170, "their postings are in what it begins with"
    assert again.state.notes == ["forked", f"{last - 1} is 2", f"{last} is 3"]
    assert await again.carried() == []
    report = await again.verify()
    assert report.ok
    await again.close()


async def old_and_young() -> tuple[Disk, str]:
    """A journal whose last snapshot stands before its end, and its file's name."""
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    await put_in(journal, *([1] * 520))
    await journal.close()
    name = journal_file(journal.journal_id)
    database = await DiskStorage(disk).open(name, Access.WRITE)
    await database.transaction([("DELETE FROM snapshot WHERE seq > 510", ())])  # left by the end
    await database.close()
    return disk, name


async def test_a_disk_that_once_does_not_read_loses_nothing_that_it_reads_the_next_time() -> None:
    """A card that dies: a technician begins a new journal, and all of it can still be had."""
    disk, name = await old_and_young()
    for after in range(1_000):
        copy = disk.image(Choice.EVERYTHING, random.Random(1))
        copy.fail(Io.READ, suffix=name, after=after)
        await begin(copy)
        now = await reopened(copy)
        assert now.state.balances.get("cash.box") == 520, f"what could not be read: {after}"
        assert len(await carried(now)) == 522, f"what could not be read: {after}"
        if copy._failures:
            break
    else:
        raise AssertionError("it reads more than that")


async def test_a_disk_that_now_and_then_does_not_read_has_nothing_begun_that_knows_less() -> None:
    """Nobody stands before it, and the next start goes on in the journal that is there."""
    disk, name = await old_and_young()
    outcomes: set[str] = set()
    for after in range(1_000):
        copy = disk.image(Choice.EVERYTHING, random.Random(1))
        for _ in range(2):  # one after the other: what looks again fails once more
            copy.fail(Io.READ, suffix=name, after=after)
        try:
            await begin(copy, whole=True)
        except JournalError:
            outcomes.add("the old one")
        else:
            outcomes.add("a new one")
        now = await reopened(copy)
        assert now.state.balances["cash.box"] == 520, f"what could not be read: {after}"
        if copy._failures:
            break
    assert outcomes == {"the old one", "a new one"}


@pytest.mark.parametrize("named", [True, False])
async def test_one_that_another_process_has_open_is_not_taken_for_one_that_knows_nothing(
    monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    disk, _ = await old_and_young()
    if not named:
        await begin(disk)
        disk.remove(ID_FILE)

    opens = DiskStorage.open

    async def busy(storage: DiskStorage, name: str, access: Access) -> InlineDatabase:
        if access is Access.READ:
            raise DiskBusyError("it is open in another process")
        return await opens(storage, name, access)

    monkeypatch.setattr(DiskStorage, "open", busy)
    before = set(disk.files)
    with pytest.raises(DiskBusyError):
        await begin(disk, seed=51)
    assert set(disk.files) == before


async def test_in_place_of_one_that_cannot_be_looked_at_none_is_begun() -> None:
    disk, name = await old_and_young()
    for _ in range(3):
        disk.fail(Io.READ, suffix=name)
    with pytest.raises(DiskIoError):
        await begin(disk)
    assert (await reopened(disk)).state.balances["cash.box"] == 520


async def test_a_disk_that_twice_does_not_read_loses_nothing_that_it_reads_the_third_time() -> None:
    disk, name = await old_and_young()
    for after in range(1_000):
        copy = disk.image(Choice.EVERYTHING, random.Random(1))
        for _ in range(2):  # one after the other: what looks again fails once more
            copy.fail(Io.READ, suffix=name, after=after)
        await begin(copy)
        now = await reopened(copy)
        assert now.state.balances.get("cash.box") == 520, f"what could not be read: {after}"
        if copy._failures:
            break
    else:
        raise AssertionError("it reads more than that")


@pytest.mark.parametrize(
    ("what", "good"),
    [
        pytest.param({4: "hash"}, [5, 6, 7, 8], id="told, its hash"),
        pytest.param({4: "body"}, [5, 6, 7, 8], id="told, its bytes"),
        pytest.param({4: "body", 5: "body"}, [6, 7, 8], id="told and not, their bytes"),
        pytest.param({6: "hash"}, [5, 7, 8], id="not told, its hash"),
        pytest.param({6: "body"}, [5, 7, 8], id="not told, its bytes"),
        pytest.param({6: "body", 7: "body"}, [5, 8], id="not told, the bytes of two"),
    ],
)
async def test_what_stands_beside_damage_is_told_as_what_it_is(
    what: dict[int, str], good: list[int]
) -> None:
    """A good one that is told as damaged is not counted; a damaged one that is told as good is."""
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    await put_in(journal, 1, 2, 4, 8, 16, 32)
    digest = await journal.hash_at(4)
    assert digest is not None
    await journal.acknowledge(4, digest)
    await journal.close()
    database = await DiskStorage(disk).open(journal_file(journal.journal_id), Access.WRITE)
    hurts = {"hash": "hash = zeroblob(32)", "body": "body = CAST(body || ' ' AS BLOB)"}
    changes: list[Statement] = [
        (f"UPDATE record SET {hurts[one]} WHERE seq = ?", (seq,)) for seq, one in what.items()
    ]
    await database.transaction(changes)
    await database.close()
    await begin(disk, whole=True)
    told = await carried(await reopened(disk))
    assert [seq for seq, _ in told] == [5, 6, 7, 8]
    assert [seq for seq, verified in told if verified] == good


@pytest.mark.parametrize("before_all", [True, False], ids=["behind the snapshot", "before it"])
async def test_a_bit_that_makes_a_boot_negative_is_damage_as_any_other(before_all: bool) -> None:
    """No hash is made of one: a start, a technician and the link met what they did not expect."""
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    await put_in(journal, 1, 2, 4, 8)
    await journal.close()
    database = await DiskStorage(disk).open(journal_file(journal.journal_id), Access.WRITE)
    changes: list[Statement] = [("UPDATE record SET boot = boot - 128 WHERE seq = 5", ())]
    if before_all:
        changes.append(("DELETE FROM snapshot", ()))
    await database.transaction(changes)
    await database.close()
    if before_all:
        with pytest.raises(JournalBrokenError, match="record 5: "):
            await reopened(disk)
    await begin(disk)
    now = await reopened(disk)
    assert now.state.balances["cash.box"] == (3 if before_all else 15)
    good = not before_all
    assert await carried(now) == [(1, True), (2, True), (3, True), (4, True), (6, good)]
