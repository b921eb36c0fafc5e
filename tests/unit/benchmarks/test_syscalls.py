"""strace's log, read back."""

import sys
from pathlib import Path

from benchmarks.syscalls import Call, between, command, read_log

FOLDER = Path("/disk/journal")

LOG = """\
10    write(3</dev/null>, "#begin", 6)  = 6
10    write(5<socket:[1]>, "\\0", 1)     = 1
11    pwrite64(8</disk/journal/a.db-wal>, "\\0 = 9"..., 24, 32) = 24
11    pwrite64(8</disk/journal/a.db-wal>, "body"..., 1024, 56 <unfinished ...>
10    write(3</dev/null<char 1:3>>, "#key", 4) = 4
11    <... pwrite64 resumed>)           = 1024
11    fdatasync(8</disk/journal/a.db-wal> <unfinished ...>
12    fsync(9</disk/other/b.db>)        = 0
11    <... fdatasync resumed>)          = 0 (DELAYED)
10    write(3</dev/null>, "#motor", 6)  = 6
11    fdatasync(8</disk/journal/a.db-wal>) = 0
10    write(3</dev/null>, "#end", 4)    = 4
11    +++ exited with 0 +++
"""


def test_calls_below_the_folder_are_told_in_order_and_others_are_not() -> None:
    calls = list(read_log(LOG.splitlines(), FOLDER))
    assert [call.mark or call.name for call in calls] == [
        "begin", "pwrite64", "key", "pwrite64", "fdatasync", "motor", "fdatasync", "end",
    ]  # fmt: skip
    assert calls[1] == Call("pwrite64", "/disk/journal/a.db-wal", 24)
    assert calls[3].bytes == 1024


def test_what_lies_between_two_marks_is_summed() -> None:
    calls = list(read_log(LOG.splitlines(), FOLDER))
    (whole,) = between(calls, "begin", "end")
    assert (whole.syncs, whole.bytes) == (2, 1048)
    (part,) = between(calls, "key", "motor")
    assert (part.syncs, part.bytes) == (1, 1024)


def test_a_write_that_failed_wrote_nothing() -> None:
    line = "7 write(8</disk/journal/x>, ..., 5) = -1 ENOSPC (No space left on device)"
    (call,) = read_log([line], FOLDER)
    assert call.bytes == 0


def test_a_slow_disk_is_a_delay_of_each_sync(tmp_path: Path) -> None:
    program = tmp_path / "strace"
    program.write_text("#!/bin/sh\n")
    words = command(tmp_path / "log", [sys.executable], slow_sync_ms=8.0, program=str(program))
    assert words[0] == str(program)
    assert words[-1] == sys.executable
    (slow,) = (word for word in words if word.startswith("--inject"))
    assert "fdatasync" in slow
    assert slow.endswith("delay_enter=8000")
