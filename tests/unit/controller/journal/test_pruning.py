"""The base that pruning leaves, and what it never takes."""

import json
import random
from datetime import timedelta
from typing import ClassVar

import pytest

from controller.journal import base as bases
from controller.journal.beginning import begin_new
from controller.journal.database import PAGE_SIZE, Access, Value
from controller.journal.envelope import RecordData
from controller.journal.errors import DiskIoError, JournalBrokenError, JournalNewerError
from controller.journal.identity import KEY_FILE, journal_file
from controller.journal.pruning import MIN_STEP
from controller.journal.store import Journal
from simulator.disk import Disk, Io
from simulator.disk_sqlite import DiskStorage
from tests.journal_kit import (
    REGISTRY,
    HandClock,
    MoneyTaken,
    NoteLeft,
    Purse,
    PurseFold,
    boot_info,
    open_journal,
    put_in,
)

WEEK = timedelta(days=7)


class OfTomorrow(RecordData):
    """A record of a newer software."""

    type: ClassVar[str] = "tomorrow.come"
    text: str


class Shop:
    """A machine whose time is known and whose fleet has acknowledged everything."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.clock = HandClock()

    async def start(
        self, *, confirmed: bool = True, fold: PurseFold | None = None
    ) -> Journal[Purse]:
        storage = DiskStorage(self.disk)
        self.storage = storage
        entropy = random.Random(3).randbytes
        journal = await open_journal(storage, clock=self.clock, entropy=entropy, fold=fold)
        if confirmed:
            self.confirm(journal)
        return journal

    def confirm(self, journal: Journal[Purse]) -> None:
        now_ms = int(self.clock.wall.timestamp() * 1000)
        journal.label.confirm(now_ms, int(self.clock.now_s * 1000))

    async def sell(self, journal: Journal[Purse], count: int) -> None:
        await put_in(journal, *([10] * count))

    async def acknowledge(self, journal: Journal[Purse]) -> None:
        assert await journal.acknowledge(journal.durable_seq, journal.head)


async def old_journal(
    count: int = 2500, fold: PurseFold | None = None
) -> tuple[Shop, Journal[Purse]]:
    shop = Shop()
    journal = await shop.start(fold=fold)
    await shop.sell(journal, count)
    await shop.acknowledge(journal)
    shop.clock.advance(8 * 86_400)
    return shop, journal


async def test_what_the_fleet_has_and_is_old_enough_is_dropped() -> None:
    shop, journal = await old_journal()
    await shop.sell(journal, 5)
    assert await journal.prune(WEEK) == 2502
    assert [record.seq for record in await journal.read(1)] == [2503, 2504, 2505, 2506, 2507]
    assert (await journal.verify()).ok
    await journal.close()
    again = await shop.start()
    assert again.state.balances["cash.box"] == 25_050
    assert (again.base_seq, again.next_seq) == (2502, 2509)
    report = await again.verify()
    assert (report.ok, report.base_seq, report.last_good) == (True, 2502, 2508)


async def test_a_second_pruning_replaces_the_base() -> None:
    shop, journal = await old_journal()
    first = await journal.prune(WEEK)
    await shop.sell(journal, 1500)
    await shop.acknowledge(journal)
    shop.clock.advance(8 * 86_400)
    await shop.sell(journal, 1)
    second = await journal.prune(WEEK)
    assert (first, second) == (2501, 1501)
    await journal.close()
    assert (await shop.start()).state.balances["cash.box"] == 10 * 4001


async def test_nothing_is_dropped_that_is_not_acknowledged() -> None:
    shop = Shop()
    journal = await shop.start()
    await shop.sell(journal, 2500)
    shop.clock.advance(8 * 86_400)
    assert await journal.prune(WEEK) == 0


async def test_nothing_is_dropped_that_is_young() -> None:
    shop = Shop()
    journal = await shop.start()
    await shop.sell(journal, 1200)
    shop.clock.advance(2 * 86_400)
    await shop.sell(journal, 1200)
    await shop.acknowledge(journal)
    shop.clock.advance(6 * 86_400)
    assert await journal.prune(WEEK) == 1202


async def test_nothing_is_dropped_before_the_time_is_known() -> None:
    shop, journal = await old_journal()
    await journal.close()
    again = await shop.start(confirmed=False)
    assert await again.prune(WEEK) == 0


async def test_a_record_of_unknown_time_goes_with_the_next_known_one() -> None:
    shop = Shop()
    journal = await shop.start(confirmed=False)
    await shop.sell(journal, 1500)
    shop.confirm(journal)
    await shop.acknowledge(journal)
    shop.clock.advance(8 * 86_400)
    assert await journal.prune(WEEK) == 0
    await shop.sell(journal, 1)
    await shop.acknowledge(journal)
    shop.clock.advance(8 * 86_400)
    await shop.sell(journal, 1)
    assert await journal.prune(WEEK) == 1503


async def test_a_clock_that_was_wrong_for_a_while_keeps_nothing_for_good() -> None:
    """By ten years, and confirmed: until then nothing would have been dropped."""
    shop = Shop()
    journal = await shop.start()
    await shop.sell(journal, 800)
    now_ms = int(shop.clock.wall.timestamp() * 1000)
    journal.label.confirm(now_ms + 10 * 365 * 86_400_000, int(shop.clock.now_s * 1000))
    await shop.sell(journal, 800)
    shop.confirm(journal)
    await shop.sell(journal, 800)
    await shop.acknowledge(journal)
    assert await journal.prune(WEEK) == 0
    shop.clock.advance(8 * 86_400)
    assert await journal.prune(WEEK) == 2_401


async def test_what_the_state_needs_stays() -> None:
    _, journal = await old_journal()
    journal.state.needed = 1800
    assert await journal.prune(WEEK) == 1799
    journal.state.needed = 1
    assert await journal.prune(WEEK) == 0


async def test_a_few_records_are_not_worth_it() -> None:
    _, journal = await old_journal(MIN_STEP - 10)
    assert await journal.prune(WEEK) == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("seq", 2400),
        ("boot", 2),
        ("hash", bytes(32)),
        ("confirmed_ms", None),
        ("confirmed_ms", 5),
        ("fold", 0),
        ("signature", bytes(64)),
        ("state", b'[2501, 1, [["cash.box", 9999999]], [], null]'),
    ],
)
async def test_a_base_with_anything_changed_is_not_believed(column: str, value: Value) -> None:
    shop, journal = await old_journal()
    await journal.prune(WEEK)
    name = journal_file(journal.journal_id)
    await journal.close()
    database = await DiskStorage(shop.disk).open(name, Access.WRITE)
    await database.transaction([(f"UPDATE base SET {column} = ?", (value,))])
    await database.close()
    with pytest.raises(JournalBrokenError, match="not what this machine signed"):
        await shop.start()


async def test_bits_anywhere_in_a_base_count() -> None:
    _, journal = await old_journal()
    await journal.prune(WEEK)
    database = journal._database
    key = journal._key
    base = await bases.load(database, journal.journal_id, key)
    assert base is not None
    assert key is not None
    for field in ("state", "signature"):
        content: bytes = getattr(base, field)
        for index in range(0, len(content), 7):
            changed = bytearray(content)
            changed[index] ^= 1 << (index % 8)
            await database.transaction([(f"UPDATE base SET {field} = ?", (bytes(changed),))])
            with pytest.raises(JournalBrokenError):
                await bases.load(database, journal.journal_id, key)
            report = await journal.verify()
            assert not report.ok
        await database.transaction([(f"UPDATE base SET {field} = ?", (content,))])
    assert (await journal.verify()).ok


async def test_without_the_key_that_signed_it_a_base_is_not_believed() -> None:
    shop, journal = await old_journal()
    await journal.prune(WEEK)
    await journal.close()
    shop.disk.remove(KEY_FILE)
    with pytest.raises(JournalBrokenError, match="key is gone"):
        await shop.start()


async def test_a_cut_between_the_base_and_the_rows_leaves_rows_that_nobody_reads() -> None:
    shop, journal = await old_journal()
    images: list[Disk] = []
    rng = random.Random(4)

    def watch(event: object) -> None:
        if getattr(event, "kind", None) is Io.SYNC and getattr(event, "done", False):
            images.extend(shop.disk.images(rng, 3))

    shop.disk.on_io = watch
    dropped = await journal.prune(WEEK)
    expected = dict(journal.state.balances)
    assert len(images) > 9
    for image in images:
        shop.disk = image
        booted = await shop.start()
        assert booted.state.balances == expected
        assert booted.base_seq in (0, dropped)
        assert (await booted.verify()).ok


async def test_a_disk_that_fails_while_pruning_poisons_the_journal() -> None:
    shop, journal = await old_journal()
    shop.disk.fail(Io.SYNC, suffix="-wal", after=1)
    with pytest.raises(DiskIoError):
        await journal.prune(WEEK)
    assert isinstance(journal.failed, DiskIoError)


async def test_a_damaged_record_that_the_fleet_has_ends_no_machine() -> None:
    shop, journal = await old_journal()
    await journal.close()
    database = await DiskStorage(shop.disk).open(journal_file(journal.journal_id), Access.WRITE)
    await database.transaction([("UPDATE record SET boot = 9 WHERE seq = 700", ())])
    await database.close()
    again = await shop.start()
    with pytest.raises(JournalBrokenError, match="record 700: fails its hash"):
        await again.prune(WEEK)
    await shop.sell(again, 1)
    assert (again.failed, again.base_seq) == (None, 0)
    await again.close()


async def test_selling_goes_on_while_records_are_dropped() -> None:
    _, journal = await old_journal()
    journal.stage(NoteLeft(text="before"))
    await journal.prune(WEEK)
    journal.stage(MoneyTaken(amount=1))
    await journal.commit()
    assert (await journal.verify()).ok


# --------------------------------------------------------------------------- acknowledgements


async def test_an_acknowledgement_is_kept_and_never_goes_back() -> None:
    shop = Shop()
    journal = await shop.start()
    await shop.sell(journal, 3)
    fourth, last = (await journal.read(4))[:2]
    assert await journal.acknowledge(5, last.hash)
    assert await journal.acknowledge(4, fourth.hash)
    assert journal.acked_seq == 5
    await journal.close()
    assert (await shop.start()).acked_seq == 5


async def test_an_acknowledgement_of_another_chain_is_a_fork() -> None:
    shop = Shop()
    journal = await shop.start()
    await shop.sell(journal, 3)
    assert not await journal.acknowledge(4, bytes(32))
    assert not await journal.acknowledge(99, journal.head)
    assert journal.acked_seq == 0


@pytest.mark.parametrize("damage", ["gone", "another hash", "another type"])
async def test_what_the_fleet_has_is_known_though_this_disk_has_lost_it_since(damage: str) -> None:
    """Each of the fleet's answers says so; ended by it, the link would tell nothing ever again."""
    shop = Shop()
    journal = await shop.start()
    await put_in(journal, 1, 2, 4, 8)
    fourth = (await journal.read(4))[0]
    name = journal_file(journal.journal_id)
    await journal.close()
    changes = {
        "gone": "DELETE FROM record WHERE seq = 4",
        "another hash": "UPDATE record SET hash = zeroblob(32) WHERE seq = 4",
    }
    if damage in changes:
        database = await DiskStorage(shop.disk).open(name, Access.WRITE)
        await database.transaction([(changes[damage], ())])
        await database.close()
    else:  # text, not bytes: the last but one of the head's types (SQLite file format, 2.1)
        data = shop.disk.files[name].data
        for at in (
            data.index(fourth.body),
            data.rindex(fourth.body),
        ):  # moved as its page was split
            data[at - 2] ^= 1
    journal = await shop.start()
    assert not await journal.acknowledge(4, b"7" * 32)
    assert await journal.acknowledge(4, fourth.hash)
    assert journal.acked_seq == 4


async def test_nothing_is_dropped_or_kept_back_by_a_damaged_word_of_what_the_fleet_has() -> None:
    """A bit of that number: all that was never told would have been pruned, untold."""
    shop = Shop()
    journal = await shop.start()
    await shop.sell(journal, 1_500)
    name, last = journal_file(journal.journal_id), journal.durable_seq
    await journal.close()
    database = await DiskStorage(shop.disk).open(name, Access.WRITE)
    await database.transaction([(f"UPDATE journal SET acked_seq = {last + (1 << 20)}", ())])
    await database.close()
    shop.clock.advance(8 * 86_400)
    journal = await shop.start()
    assert journal.acked_seq == 0
    assert await journal.prune(WEEK) == 0
    await shop.acknowledge(journal)
    assert journal.acked_seq == journal.durable_seq


async def test_an_acknowledgement_that_cannot_be_kept_poisons_the_journal() -> None:
    shop = Shop()
    journal = await shop.start()
    shop.disk.fail(Io.WRITE, suffix="-wal")
    with pytest.raises(DiskIoError):
        await journal.acknowledge(2, journal.head)
    assert isinstance(journal.failed, DiskIoError)


# ------------------------------------------------------------------------------- other software


async def begun(shop: Shop, fold: PurseFold | None = None) -> None:
    """A technician begins a new journal."""
    await begin_new(
        DiskStorage(shop.disk),
        fold=fold or PurseFold(),
        registry=REGISTRY,
        clock=shop.clock,
        entropy=random.Random(5).randbytes,
        boot=boot_info(),
        reason="it does not start",
    )


async def test_what_a_newer_software_has_pruned_is_refused_and_nothing_is_begun_in_its_place() -> (
    None
):
    """An update that is taken back: all claims and credit are in what only the newer one reads."""
    shop, journal = await old_journal(fold=PurseFold(2))
    assert await journal.prune(WEEK)
    await journal.close()
    with pytest.raises(JournalNewerError, match="install the newer one again"):
        await shop.start()
    before = {name: bytes(file.data) for name, file in shop.disk.files.items()}
    with pytest.raises(JournalNewerError):
        await begun(shop)
    assert {name: bytes(file.data) for name, file in shop.disk.files.items()} == before
    assert (await shop.start(fold=PurseFold(2))).state.balances["cash.box"] == 25_000


async def test_a_snapshot_of_this_software_behind_what_a_newer_one_has_pruned_is_enough() -> None:
    shop, journal = await old_journal()
    await shop.sell(journal, 600)
    await journal.close()
    journal = await shop.start(fold=PurseFold(2))
    assert await journal.prune(WEEK)
    await journal.close()
    journal = await shop.start()
    assert journal.state.balances["cash.box"] == 31_000
    shop.clock.advance(8 * 86_400)
    await shop.sell(journal, 1_500)
    await shop.acknowledge(journal)
    assert await journal.prune(timedelta(seconds=0)) == 0, "its state is not ours to go on from"
    assert journal.failed is None


async def test_a_record_that_this_software_does_not_know_is_not_folded_away() -> None:
    shop, journal = await old_journal(1_200)
    journal.stage(OfTomorrow(text="somebody is owed something"))
    await shop.sell(journal, 1_500)
    await shop.acknowledge(journal)
    shop.clock.advance(8 * 86_400)
    assert await journal.prune(WEEK) == 1_202
    assert (await journal.read(1))[0].type == "tomorrow.come"
    assert await journal.prune(WEEK) == 0
    assert (await journal.verify()).ok


@pytest.mark.parametrize("lost", ["key", "signature", "page"])
async def test_a_base_that_is_not_to_be_believed_loses_nothing_that_a_snapshot_knows(
    lost: str,
) -> None:
    shop, journal = await old_journal()
    assert await journal.prune(WEEK)
    await journal.close()
    name = journal_file(journal.journal_id)
    if lost == "key":
        shop.disk.remove(KEY_FILE)
    else:
        database = await DiskStorage(shop.disk).open(name, Access.WRITE)
        if lost == "signature":
            await database.transaction([("UPDATE base SET signature = zeroblob(64)", ())])
        table = "SELECT rootpage FROM sqlite_schema WHERE name = 'base'"
        at = (int((await database.query(table))[0][0]) - 1) * PAGE_SIZE
        await database.close()
        if lost == "page":
            shop.disk.files[name].data[at : at + PAGE_SIZE] = bytes(PAGE_SIZE)
    with pytest.raises(JournalBrokenError):
        await shop.start()
    await begun(shop)
    journal = await shop.start()
    assert journal.state.balances["cash.box"] == 25_000
    assert (await journal.verify()).ok


async def test_what_was_pruned_is_not_told_again_as_lost_where_nobody_can_say_what_was_told() -> (
    None
):
    shop, journal = await old_journal()
    await shop.sell(journal, 600)
    pruned = await journal.prune(WEEK)
    last = journal.durable_seq
    await journal.close()
    name = journal_file(journal.journal_id)
    database = await DiskStorage(shop.disk).open(name, Access.READ)
    table = "SELECT rootpage FROM sqlite_schema WHERE name = 'journal'"
    at = (int((await database.query(table))[0][0]) - 1) * PAGE_SIZE
    await database.close()
    shop.disk.files[name].data[at : at + PAGE_SIZE] = bytes(PAGE_SIZE)
    with pytest.raises(JournalBrokenError):
        await shop.start()
    await begun(shop)
    journal = await shop.start()
    told = [record async for record in journal.records() if "carried" in record.type]
    carried = [json.loads(record.body)["data"] for record in told]
    assert [one["seq"] for one in carried] == list(range(pruned + 1, last + 1))
    assert all(one["verified"] for one in carried)
    assert journal.state.balances["cash.box"] == 31_000


async def test_behind_an_update_an_older_snapshot_knows_what_stands_behind_an_old_damage() -> None:
    shop, journal = await old_journal(700)
    await journal.close()
    database = await DiskStorage(shop.disk).open(journal_file(journal.journal_id), Access.WRITE)
    await database.transaction([("UPDATE record SET hash = zeroblob(32) WHERE seq = 40", ())])
    await database.close()
    await (await shop.start()).close()
    with pytest.raises(JournalBrokenError, match="record 40"):
        await shop.start(fold=PurseFold(2))
    await begun(shop, PurseFold(2))
    assert (await shop.start(fold=PurseFold(2))).state.balances["cash.box"] == 7_000


async def test_a_damaged_record_right_behind_what_was_pruned_is_not_told_as_a_good_one() -> None:
    shop, journal = await old_journal()
    await shop.sell(journal, 600)
    assert await journal.prune(WEEK) == journal.acked_seq == 2_502
    await journal.close()
    database = await DiskStorage(shop.disk).open(journal_file(journal.journal_id), Access.WRITE)
    change = "UPDATE record SET body = CAST(body || ' ' AS BLOB) WHERE seq = 2503"
    await database.transaction([(change, ())])
    await database.close()
    await begun(shop)
    told = [record async for record in (await shop.start()).records() if "carried" in record.type]
    assert [json.loads(record.body)["data"]["verified"] for record in told[:2]] == [False, True]
