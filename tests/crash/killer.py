"""Kills a real process at its n-th write, sync or rename, and says what the journal is then.

Run as a program: ``killer.py FOLDER FIRST STEP LIMIT``. It traces a forked child (ptrace), which
lives a short machine's life over aiosqlite, and sends SIGKILL at each STEP-th stop before and
after a system call that changes the disk. One JSON line per kill goes to standard output.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import platform
import random
import shutil
import signal
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from controller.journal.sqlite_aio import DirectoryStorage
from tests.journal_kit import open_journal, put_in

# System call numbers of what changes a file or a folder (Linux, unistd.h of each machine).
CALLS: Final[dict[str, dict[int, str]]] = {
    "x86_64": {
        18: "pwrite64", 74: "fsync", 75: "fdatasync", 77: "ftruncate", 82: "rename",
        86: "link", 87: "unlink", 264: "renameat", 265: "linkat", 263: "unlinkat",
    },
    "aarch64": {
        68: "pwrite64", 82: "fsync", 83: "fdatasync", 46: "ftruncate", 38: "renameat",
        276: "renameat2", 37: "linkat", 35: "unlinkat",
    },
}  # fmt: skip
TRACEME, SYSCALL, SETOPTIONS, GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
# TRACESYSGOOD | TRACECLONE | EXITKILL
OPTIONS = 0x1 | 0x8 | 0x100000
WALL = 0x40000000
ENTRY, EXIT = 1, 2


def ptrace(request: int, pid: int, address: int = 0, data: object = None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.restype = ctypes.c_long
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    result = libc.ptrace(request, pid, address, data)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")
    return int(result)


async def live(folder: Path, told: int) -> None:
    """Start, take money in several commits, say after each what is durable, and end cleanly."""
    journal = await open_journal(DirectoryStorage(folder))
    for n in range(1, 6):
        os.write(told, b"s%d " % (journal.next_seq + 1))
        await put_in(journal, n, 10 * n)
        os.write(told, b"d%d " % journal.durable_seq)
    await journal.close()


async def examine(folder: Path) -> dict[str, object]:
    journal = await open_journal(DirectoryStorage(folder), entropy=random.Random(5).randbytes)
    report = await journal.verify()
    found: dict[str, object] = {
        "last": journal.next_seq - 2,
        "box": journal.state.balances.get("cash.box", 0),
        "ok": report.ok and not journal.read_only,
    }
    await put_in(journal, 1)
    await journal.close()
    return found


def child(folder: Path, told: int) -> None:
    """Never returns."""
    code = 1
    try:
        ptrace(TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        asyncio.run(live(folder, told))
        code = 0
    finally:
        os._exit(code)


def step(tid: int) -> None:
    with suppress(ProcessLookupError):  # it is dying
        ptrace(SYSCALL, tid)


def run_until(target: int, folder: Path) -> tuple[str, str, bool]:
    """Trace one life; return where it was killed, what it said, and whether it ended by itself."""
    calls = CALLS[platform.machine()]
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        child(folder, writer)
    os.close(writer)
    os.waitpid(pid, 0)
    ptrace(SETOPTIONS, pid, 0, OPTIONS)
    step(pid)
    count, where, ended = 0, "", False
    info = ctypes.create_string_buffer(128)
    in_call: dict[int, str] = {}
    while True:
        tid, status = os.waitpid(-1, WALL)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            if tid == pid:
                ended = os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
                break
            continue
        if os.WSTOPSIG(status) == signal.SIGTRAP | 0x80:
            ptrace(GET_SYSCALL_INFO, tid, len(info), ctypes.addressof(info))
            kind, number = info.raw[0], struct.unpack_from("=Q", info.raw, 24)[0]
            if kind == ENTRY:
                in_call[tid] = calls.get(number, "")
            name = in_call.get(tid, "")
            if name:
                count += 1
                if count == target:
                    where = f"{'before' if kind == ENTRY else 'after'} {name}"
                    os.kill(pid, signal.SIGKILL)
                    continue
        step(tid)
    with os.fdopen(reader, "rb") as said:
        return where, said.read().decode(), ended


def main() -> None:
    folder, first, stride, limit = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    target = first
    for _ in range(limit):
        home = folder / str(target)
        where, said, ended = run_until(target, home)
        words = said.split()
        line: dict[str, object] = {
            "target": target,
            "where": where,
            "durable": max([int(w[1:]) for w in words if w[0] == "d"], default=0),
            "staged": max([int(w[1:]) for w in words if w[0] == "s"], default=2),
            "ended": ended,
        }
        line |= asyncio.run(examine(home))
        print(json.dumps(line), flush=True)  # noqa: T201 - a program of its own
        shutil.rmtree(home)
        if ended:
            break
        target += stride


if __name__ == "__main__":
    main()
