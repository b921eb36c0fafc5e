import sqlite3
import struct
from pathlib import Path

from controller.journal.wal import commits_behind

STRIDE = 24 + 1024


def log_of(folder: Path, commits: int) -> bytes:
    """Return a real write-ahead log with one frame per commit behind the first two."""
    database = sqlite3.connect(folder / "x.db", isolation_level=None)
    for pragma in ("page_size=1024", "locking_mode=EXCLUSIVE", "journal_mode=WAL"):
        database.execute(f"PRAGMA {pragma}")
    database.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
    for n in range(commits):
        database.execute("INSERT INTO t VALUES (?)", (n,))
    log = (folder / "x.db-wal").read_bytes()
    database.close()
    return log


def test_a_whole_log_hides_nothing(tmp_path: Path) -> None:
    log = log_of(tmp_path, 5)
    assert commits_behind(log, (len(log) - 32) // STRIDE) == 0


def test_each_commit_behind_the_last_whole_frame_is_counted(tmp_path: Path) -> None:
    log = log_of(tmp_path, 5)
    frames = (len(log) - 32) // STRIDE
    assert [commits_behind(log, frames - back) for back in (1, 2, 3)] == [1, 2, 3]


def test_frames_of_an_older_generation_do_not_count(tmp_path: Path) -> None:
    log = bytearray(log_of(tmp_path, 5))
    for at in range(32, len(log), STRIDE):
        log[at + 8] ^= 0xFF
    assert commits_behind(bytes(log), 0) == 0


def test_frames_without_a_commit_mark_do_not_count(tmp_path: Path) -> None:
    log = bytearray(log_of(tmp_path, 5))
    for at in range(32, len(log), STRIDE):
        log[at + 4 : at + 8] = bytes(4)
    assert commits_behind(bytes(log), 0) == 0


def test_what_is_no_log_hides_nothing() -> None:
    assert commits_behind(b"", 0) == 0
    assert commits_behind(b"x" * 5000, 0) == 0
    assert commits_behind(struct.pack(">IIII", 0x377F0682, 0, 0, 0) + bytes(3000), 0) == 0
