"""The model of a disk that loses power, held to what it promises."""

import errno
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.disk import SECTOR, Choice, Disk, Io, IoEvent, PowerCutError

RNG = random.Random(1)


def synced(content: bytes = b"old" * 400, name: str = "f") -> Disk:
    disk = Disk()
    disk.create(name)
    disk.write(name, content, 0)
    disk.sync(name)
    disk.sync_folder()
    disk.settle()
    return disk


def images(disk: Disk, count: int = 60, name: str = "f") -> set[bytes]:
    return {bytes(image.files[name].data) for image in disk.images(random.Random(7), count)}


def test_what_was_synced_survives_every_cut() -> None:
    disk = synced()
    assert images(disk) == {b"old" * 400}


def test_what_was_not_synced_may_be_lost_or_kept() -> None:
    disk = synced(b"a" * SECTOR)
    disk.write("f", b"b" * SECTOR, 0)
    assert images(disk) == {b"a" * SECTOR, b"b" * SECTOR}
    nothing, everything = disk.images(RNG, 2)
    assert nothing.files["f"].data == b"a" * SECTOR
    assert everything.files["f"].data == b"b" * SECTOR


def test_writes_are_torn_at_sectors_and_out_of_order() -> None:
    disk = synced(b"a" * 3 * SECTOR)
    disk.write("f", b"b" * 3 * SECTOR, 0)
    seen = {"".join(chr(image[n * SECTOR]) for n in range(3)) for image in images(disk, 200)}
    assert seen == {x + y + z for x in "ab" for y in "ab" for z in "ab"}


def test_a_sector_holds_any_of_its_contents_since_the_sync_and_no_mixture() -> None:
    disk = synced(b"a" * SECTOR)
    disk.write("f", b"b" * SECTOR, 0)
    disk.write("f", b"c" * 100, 0)
    whole = {b"a" * SECTOR, b"b" * SECTOR, b"c" * 100 + b"b" * (SECTOR - 100)}
    assert images(disk, 200) == whole


def test_an_unsynced_write_does_not_harm_its_synced_neighbours() -> None:
    disk = synced(b"a" * 4 * SECTOR)
    disk.write("f", b"bb", SECTOR + 10)
    for image in images(disk):
        assert image[:SECTOR] == b"a" * SECTOR
        assert image[2 * SECTOR :] == b"a" * 2 * SECTOR


def test_a_file_that_grew_may_have_any_of_its_lengths() -> None:
    disk = synced(b"a" * 100)
    disk.write("f", b"b" * 1000, 100)
    disk.write("f", b"c" * 1000, 1100)
    lengths = {len(image) for image in images(disk, 300)}
    assert lengths == {100, 1100, 2100}
    for image in images(disk, 300):
        assert image[:100] == b"a" * 100
        assert set(image[100:]) <= set(b"bc\0")


def test_a_hole_reads_as_zeros() -> None:
    disk = synced(b"a")
    disk.write("f", b"b", 1000)
    assert disk.files["f"].data == b"a" + bytes(999) + b"b"


def test_a_truncation_may_be_lost_too() -> None:
    disk = synced(b"a" * 2000)
    disk.truncate("f", 0)
    disk.truncate("f", 0)
    assert {len(image) for image in images(disk)} == {0, 2000}
    assert all(set(image) <= set(b"a") for image in images(disk) if len(image) == 2000)


def test_names_are_kept_up_to_some_point() -> None:
    disk = synced()
    disk.create("g")
    disk.rename("f", "h")
    disk.remove("g")
    seen = {tuple(sorted(image.files)) for image in disk.images(random.Random(2), 80)}
    assert seen == {("f",), ("f", "g"), ("g", "h"), ("h",)}
    disk.sync_folder()
    assert {tuple(image.files) for image in disk.images(RNG, 10)} == {("h",)}


def test_a_rename_in_place_of_another_file_is_never_neither() -> None:
    disk = synced(b"old")
    disk.create("f.new")
    disk.write("f.new", b"new", 0)
    disk.sync("f.new")
    disk.rename("f.new", "f")
    assert images(disk) == {b"old", b"new"}


def test_a_rename_before_the_sync_may_leave_an_empty_file() -> None:
    disk = synced(b"old")
    disk.create("f.new")
    disk.write("f.new", b"new", 0)
    disk.rename("f.new", "f")
    assert b"" in images(disk)


def test_a_second_name_stays_one_file() -> None:
    disk = synced(b"a")
    disk.link("f", "g")
    disk.write("f", b"b", 0)
    assert disk.files["g"].data == b"b"
    disk.sync("f")
    disk.remove("f")
    for image in disk.images(RNG, 20):
        for file in image.files.values():
            assert file.data == b"b"
    image = disk.image(Choice.NOTHING, RNG)
    assert list(image.files) == ["f"]


def test_after_a_failed_sync_bytes_are_not_safe_even_when_the_next_one_works() -> None:
    disk = synced(b"a" * 2 * SECTOR)
    disk.write("f", b"b" * 2 * SECTOR, 0)
    disk.fail(Io.SYNC)
    with pytest.raises(OSError, match="sync failed"):
        disk.sync("f")
    disk.write("f", b"c" * SECTOR, 0)
    disk.sync("f")
    seen = {"".join(chr(image[n * SECTOR]) for n in range(2)) for image in images(disk)}
    assert seen == {"ca", "cb"}


def test_a_planned_failure_happens_once_at_its_time_on_its_file() -> None:
    disk = synced()
    disk.create("g")
    disk.fail(Io.WRITE, suffix="f", after=1, error=errno.ENOSPC)
    disk.write("g", b"1", 0)
    disk.write("f", b"1", 0)
    with pytest.raises(OSError, match="write failed") as caught:
        disk.write("f", b"2", 0)
    assert caught.value.errno == errno.ENOSPC
    disk.write("f", b"3", 0)
    disk.fail(Io.SYNC)
    disk.heal()
    disk.sync("f")


def test_room_is_counted() -> None:
    disk = Disk(capacity=1000)
    disk.create("f")
    disk.write("f", b"x" * 600, 0)
    disk.write("f", b"y" * 600, 0)
    assert disk.free_bytes() == 400
    with pytest.raises(OSError, match="no room"):
        disk.write("f", b"x" * 500, 600)
    disk.reserve("ballast", 400)
    assert disk.free_bytes() == 0
    disk.link("f", "g")
    disk.remove("f")
    assert disk.free_bytes() == 0
    disk.truncate("g", 100)
    assert disk.free_bytes() == 500
    disk.create("h")
    disk.rename("h", "ballast")
    assert disk.free_bytes() == 900
    assert disk.image(Choice.EVERYTHING, RNG).free_bytes() == 900
    assert Disk().free_bytes() > 1 << 30


def test_nothing_can_be_written_on_a_read_only_disk() -> None:
    disk = synced()
    disk.read_only = True
    for work in (
        lambda: disk.write("f", b"", 0),
        lambda: disk.sync("f"),
        lambda: disk.remove("f"),
        lambda: disk.create("g"),
        lambda: disk.truncate("f", 0),
    ):
        with pytest.raises(OSError, match="read-only"):
            work()


def test_flipped_bits_are_noticed_by_nobody() -> None:
    disk = synced(b"abc")
    before = disk.operations
    disk.corrupt("f", 1, 0x20)
    assert disk.files["f"].data == b"aBc"
    assert disk.operations == before
    assert images(disk) == {b"aBc"}


def test_syncs_take_the_time_they_are_given() -> None:
    disk = synced()
    disk.sync_latency = iter((0.5, 3.0)).__next__
    disk.sync("f")
    disk.sync("f")
    assert disk.take_latency_s() == 3.5
    assert disk.take_latency_s() == 0.0


def test_each_operation_is_told_before_and_after() -> None:
    disk = synced()
    seen: list[IoEvent] = []
    disk.on_io = seen.append
    disk.write("f", b"xy", 5)
    disk.sync("f")
    assert [(event.kind, event.offset, event.size, event.done) for event in seen] == [
        (Io.WRITE, 5, 2, False),
        (Io.WRITE, 5, 2, True),
        (Io.SYNC, 0, 0, False),
        (Io.SYNC, 0, 0, True),
    ]
    assert seen[0].number == seen[1].number == seen[2].number - 1


@pytest.mark.parametrize("done", [False, True])
def test_power_can_be_cut_at_any_operation_and_stays_off(done: bool) -> None:
    disk = synced(b"a")

    def cut(event: IoEvent) -> None:
        if event.kind is Io.SYNC and event.done is done:
            raise PowerCutError

    disk.on_io = cut
    disk.write("f", b"b", 0)
    with pytest.raises(PowerCutError):
        disk.sync("f")
    assert disk.dead
    with pytest.raises(PowerCutError):
        disk.write("f", b"c", 0)
    assert images(disk) == ({b"b"} if done else {b"a", b"b"})


def test_a_cut_finds_operations_under_way_anywhere_between_start_and_end() -> None:
    outcomes: set[bytes] = set()
    for seed in range(60):
        disk = synced(b"a")
        disk.write("f", b"b", 0)
        disk.sync("f")
        disk.write("f", b"c", 0)
        disk.sync("f")
        outcomes.add(bytes(disk.power_cut(random.Random(seed)).files["f"].data))
        assert disk.dead
    assert outcomes == {b"a", b"b", b"c"}


def test_a_cut_finds_settled_operations_done() -> None:
    for seed in range(20):
        disk = synced(b"a")
        disk.write("f", b"b", 0)
        disk.sync("f")
        disk.settle()
        assert disk.power_cut(random.Random(seed)).files["f"].data == b"b"


Step = tuple[str, int, int]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["write", "truncate", "sync", "remove", "create", "rename", "folder"]),
            st.integers(0, 3000),
            st.integers(1, 1500),
        ),
        max_size=12,
    )
)
def test_undoing_half_done_operations_gives_the_very_state_before_them(
    steps: list[Step],
) -> None:
    disk = synced()
    disk.create("g")
    disk.settle()

    def snapshot() -> object:
        return (
            {name: (bytes(f.data), dict(f.older), list(f.sizes)) for name, f in disk.files.items()},
            len(disk._folder),
            disk._used,
        )

    start = snapshot()
    for kind, at, size in steps:
        match kind:
            case "write":
                for name in list(disk.files)[:1]:
                    disk.write(name, b"w" * size, at)
            case "truncate":
                for name in list(disk.files)[:1]:
                    disk.truncate(name, at)
            case "sync":
                for name in list(disk.files)[:1]:
                    disk.sync(name)
            case "remove":
                for name in list(disk.files)[1:]:
                    disk.remove(name)
            case "create":
                disk.create(f"n{at}")
            case "rename":
                for name in list(disk.files)[:1]:
                    disk.rename(name, "g")
            case _:
                disk.sync_folder()
    while disk._undo:
        disk._undo.pop()()
    assert snapshot() == start
