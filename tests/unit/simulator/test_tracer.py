"""What a program does to a folder, as the kernel sees it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from simulator.tracer import DiskCall, read_log

PROGRAM = """
    import os, subprocess, sys, threading
    from pathlib import Path
    folder = Path(sys.argv[1])
    (folder / "one").write_bytes(b"abc")
    handle = os.open(folder / "one", os.O_RDWR)
    os.pwrite(handle, b"xyz", 5)
    os.fdatasync(handle)
    os.ftruncate(handle, 4)
    os.rename(folder / "one", folder / "two")
    os.link(folder / "two", folder / "three")
    os.unlink(folder / "three")
    there = os.open(folder, os.O_RDONLY)
    os.fsync(there)
    (folder.parent / "elsewhere").write_bytes(b"not ours")
    thread = threading.Thread(target=os.pwrite, args=(handle, b"t", 0))
    thread.start()
    thread.join()
    subprocess.run([sys.executable, "-c", "import os, sys; os.write(1, b'child')"],
                   stdout=handle, check=True)
    sys.exit(7)
"""


def traced(tmp_path: Path, *options: str) -> tuple[int, list[DiskCall], Path]:
    folder = tmp_path / "folder"
    folder.mkdir()
    done = subprocess.run(
        [
            sys.executable, "-m", "simulator.tracer", "--folder", str(folder),
            "--log", str(tmp_path / "log"), *options,
            "--", sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder),
        ],
        check=False, capture_output=True,
    )  # fmt: skip
    assert done.stderr == b""
    return done.returncode, read_log(tmp_path / "log"), folder


def test_every_change_of_a_file_of_the_folder_is_told_in_order(tmp_path: Path) -> None:
    code, calls, _ = traced(tmp_path)
    assert code == 7
    assert [(one.call, one.name, one.other, one.offset, one.data) for one in calls] == [
        ("create", "one", "", 0, ""),
        ("write", "one", "", 0, b"abc".hex()),
        ("write", "one", "", 5, b"xyz".hex()),
        ("sync", "one", "", 0, ""),
        ("truncate", "one", "", 4, ""),
        ("rename", "one", "two", 0, ""),
        ("link", "two", "three", 0, ""),
        ("remove", "three", "", 0, ""),
        ("sync", "", "", 0, ""),
        ("write", "two", "", 0, b"t".hex()),
        ("write", "two", "", 0, b"child".hex()),
    ]
    assert [one.number for one in calls] == list(range(1, 12))


def test_the_chosen_call_is_not_made_any_more(tmp_path: Path) -> None:
    code, calls, folder = traced(tmp_path, "--kill-at", "3")
    assert code == 128 + signal.SIGKILL
    assert len(calls) == 2
    assert (folder / "one").read_bytes() == b"abc"


def test_nothing_counts_before_it_is_armed(tmp_path: Path) -> None:
    code, calls, _ = traced(tmp_path, "--kill-at", "1", "--armed", str(tmp_path / "elsewhere"))
    assert code == 128 + signal.SIGKILL
    assert calls[-1].call == "sync", "the next call comes when that file is there"
    assert {one.number for one in calls} == {0}
    assert os.listdir(tmp_path / "folder") == ["two"]  # noqa: PTH208 - names alone
