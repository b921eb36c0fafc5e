"""Recordings as files: few, bounded, in nobody's way."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from controller.recorder.keeping import (
    KEPT,
    MOST_BYTES,
    ROOM_BYTES,
    FolderKeeper,
    MemoryKeeper,
    name_of,
    packed,
    unpacked,
)

LINES = [b'{"a":1}\n', b'{"b":2}\n']


def waits(folder: Path, count: int) -> list[str]:
    """Wait for the thread, by what it does."""
    pause = threading.Event()
    for _ in range(500):
        names = sorted(path.name for path in folder.glob("*.gz"))
        if len(names) >= count:
            return names
        pause.wait(0.01)
    raise AssertionError(f"not {count} in {folder}")


def test_a_recording_is_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    keeper = FolderKeeper(folder, lambda: False)
    assert keeper.names() == []
    keeper.keep("A3-column.jammed", iter(LINES))
    (name,) = waits(folder, 1)
    keeper.close()
    assert name == "000001-a3-column.jammed.jsonl.gz"
    assert (folder / name).stat().st_mode & 0o777 == 0o600
    content = keeper.read(name)
    assert content is not None
    assert unpacked(content) == [line.strip() for line in LINES]
    assert keeper.names() == [(name, len(content))]


@pytest.mark.parametrize("name", ["../journal.db", "x", "", "000001-none.jsonl.gz"])
def test_nothing_else_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path.parent / "journal.db").write_text("secret")
    assert FolderKeeper(tmp_path, lambda: False).read(name) is None


def test_the_oldest_goes_first(tmp_path: Path) -> None:
    for number in range(1, KEPT + 1):
        (tmp_path / name_of(number, "old")).write_bytes(b"")
    keeper = FolderKeeper(tmp_path, lambda: False)
    keeper.keep("new", iter(LINES))
    pause = threading.Event()
    while (tmp_path / name_of(1, "old")).exists():
        pause.wait(0.01)
    keeper.close()
    names = [name for name, _ in keeper.names()]
    assert len(names) == KEPT
    assert names[-1] == name_of(KEPT + 1, "new")


def test_it_waits_while_the_journal_is_being_written(tmp_path: Path) -> None:
    busy, asked = threading.Event(), threading.Event()
    busy.set()

    def writing() -> bool:
        asked.set()
        return busy.is_set()

    keeper = FolderKeeper(tmp_path, writing)
    keeper.keep("x", iter(LINES))
    assert asked.wait(5.0)
    assert keeper.names() == []
    busy.clear()
    waits(tmp_path, 1)
    keeper.close()


def test_at_the_end_it_waits_for_nobody(tmp_path: Path) -> None:
    keeper = FolderKeeper(tmp_path, lambda: True)
    keeper.keep("x", iter(LINES))
    keeper.close()
    waits(tmp_path, 1)


def test_more_trouble_at_once_is_left_out(tmp_path: Path) -> None:
    busy = threading.Event()
    busy.set()
    keeper = FolderKeeper(tmp_path, busy.is_set)
    for _ in range(8):
        keeper.keep("x", iter(LINES))
    busy.clear()
    keeper.close()
    assert 1 <= len(waits(tmp_path, 1)) <= 4


def test_a_folder_that_cannot_be_made_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    keeper = FolderKeeper(tmp_path / "file" / "recordings", lambda: False)
    keeper.keep("x", iter(LINES))
    keeper.close()
    assert keeper.names() == []


def test_a_recording_has_a_bound() -> None:
    noise = (
        bytes(f"{number * 7919 % 1_000_003:x}" * 400, "ascii") + b"\n" for number in range(10**6)
    )
    assert len(packed(noise)) <= MOST_BYTES * 1.05


def test_what_is_no_recording_says_so() -> None:
    with pytest.raises(ValueError, match="no recording"):
        unpacked(b"hello")


def test_the_memorys_are_bounded_as_well() -> None:
    keeper = MemoryKeeper()
    for _ in range(KEPT + 5):
        keeper.keep("x", iter(LINES))
    assert len(keeper.names()) == KEPT
    assert keeper.read(keeper.names()[0][0]) is not None
    assert keeper.read("none") is None
    keeper.close()


def test_the_last_room_of_a_disk_is_the_journal_s(tmp_path: Path) -> None:
    asked = threading.Event()
    room = [ROOM_BYTES - 1]

    def free(folder: Path) -> int:
        assert folder == tmp_path
        told = room[0]
        asked.set()
        return told

    keeper = FolderKeeper(tmp_path, lambda: False, free)
    keeper.keep("x", iter(LINES))
    assert asked.wait(5.0)
    room[0] += 1
    keeper.keep("y", iter(LINES))
    assert waits(tmp_path, 1) == ["000001-y.jsonl.gz"]
    keeper.close()


def test_what_a_kill_has_left_half_written_goes(tmp_path: Path) -> None:
    left = tmp_path / "000007-x.jsonl.new"
    left.write_bytes(b"half")
    keeper = FolderKeeper(tmp_path, lambda: False)
    keeper.keep("x", iter(LINES))
    waits(tmp_path, 1)
    keeper.close()
    assert not left.exists()
