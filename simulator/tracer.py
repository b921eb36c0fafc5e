"""Runs a program and watches what it does to the files of one folder, call by call.

    python -m simulator.tracer --folder DIR --log FILE [--armed FILE --kill-at N] -- PROGRAM ...

Linux alone: ptrace(2) sees the calls that a seccomp(2) filter picks out, so that everything else
runs at full speed; children and threads are seen as well. Each call is written down before it is
made. With ``--kill-at N`` the process that makes the N-th call gets SIGKILL instead of making it;
calls count once the file ``--armed`` is there. Ends when the program has ended, with its exit
code (128 + signal if one killed it).
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import signal
import struct
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any, Final

# Numbers of the calls that change a file or a folder, and of those that name one
# (asm/unistd.h of each machine).
CALLS: Final[dict[str, dict[int, str]]] = {
    "x86_64": {
        1: "write", 2: "open", 18: "pwrite64", 74: "fsync", 75: "fdatasync", 77: "ftruncate",
        82: "rename", 86: "link", 87: "unlink", 257: "openat", 263: "unlinkat", 264: "renameat",
        265: "linkat", 285: "fallocate", 316: "renameat2",
    },
    "aarch64": {
        35: "unlinkat", 37: "linkat", 38: "renameat", 46: "ftruncate", 47: "fallocate",
        56: "openat", 64: "write", 68: "pwrite64", 82: "fsync", 83: "fdatasync", 276: "renameat2",
    },
}  # fmt: skip
ARCHES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # linux/audit.h
PATH_MAX: Final = 4_096

# sys/ptrace.h
_TRACEME, _CONT, _SETOPTIONS, _GET_SYSCALL_INFO = 0, 7, 0x4200, 0x420E
_EVENT_SECCOMP = 7
# TRACEFORK | TRACEVFORK | TRACECLONE | TRACEEXEC | TRACESECCOMP | EXITKILL
_OPTIONS: Final = 0x2 | 0x4 | 0x8 | 0x10 | 0x80 | 0x100000
_WALL: Final = 0x40000000
# linux/seccomp.h, linux/bpf_common.h
_NO_NEW_PRIVS, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_ALLOW, _TRACE = 0x7FFF0000, 0x7FF00000
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_INFO_BYTES: Final = 128
_ARGUMENTS_AT: Final = 32  # in ptrace_syscall_info: behind op, arch, pc, sp and the number


class TracerError(Exception):
    """This kernel does not let us watch."""


@dataclass(frozen=True, slots=True)
class DiskCall:
    """One call, as it was about to be made.

    Args:
        number: From 1 once armed; 0 before.
        call: write, sync, truncate, create, reserve, remove, rename or link.
        name: The file in the folder; empty for the folder itself.
        other: The new name of a rename or link.
        offset: Of a write, bytes; the length of a truncate or reserve.
        data: What is written, as hex.
    """

    number: int
    call: str
    name: str
    other: str = ""
    offset: int = 0
    data: str = ""


def read_log(path: Path) -> list[DiskCall]:
    """Return what a tracer wrote down; a last line that is not whole was never told."""
    lines = path.read_text(encoding="ascii").split("\n")[:-1]
    return [DiskCall(**json.loads(line)) for line in lines]


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.restype = ctypes.c_long
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    return libc


class _Filter:
    """The program that picks our calls out, for the kernel."""

    def __init__(self, arch: int, numbers: list[int]) -> None:
        lines = [
            (_LOAD, 0, 0, 4),  # seccomp_data.arch
            (_JUMP_IF_EQUAL, 1, 0, arch),
            (_RETURN, 0, 0, _ALLOW),
            (_LOAD, 0, 0, 0),  # seccomp_data.nr
        ]
        count = len(numbers)
        lines += [(_JUMP_IF_EQUAL, count - at, 0, nr) for at, nr in enumerate(numbers)]
        lines += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _TRACE)]
        code = b"".join(struct.pack("=HBBI", *line) for line in lines)
        self._code = ctypes.create_string_buffer(code, len(code))
        pointer = ctypes.addressof(self._code)
        self._program = ctypes.create_string_buffer(struct.pack("@HP", len(lines), pointer))

    def install(self, libc: ctypes.CDLL) -> None:
        """Put it on this process and all that come of it."""
        if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise TracerError(f"prctl: {os.strerror(ctypes.get_errno())}")
        program = ctypes.c_void_p(ctypes.addressof(self._program))
        if libc.prctl(_SET_SECCOMP, _MODE_FILTER, program, 0, 0) != 0:
            raise TracerError(f"seccomp: {os.strerror(ctypes.get_errno())}")


class Tracer:
    """Watches one program and what it starts.

    Args:
        folder: Whose files are watched.
        log: Where each call is written down.
        armed: Calls count once this file is there; None: from the start.
        kill_at: The call that is not made any more; 0: none.
    """

    def __init__(self, folder: Path, log: IO[str], armed: Path | None, kill_at: int) -> None:
        self._folder = str(folder.resolve())
        self._log = log
        self._armed = armed
        self._kill_at = kill_at
        self._count = 0
        self._libc = _libc()
        machine = platform.machine()
        if machine not in CALLS:
            raise TracerError(f"the calls of a {machine} are not known here")
        self._calls = CALLS[machine]
        self._filter = _Filter(ARCHES[machine], sorted(self._calls))

    def run(self, command: list[str]) -> int:
        """Run the program to its end; returns its exit code."""
        pid = os.fork()
        if pid == 0:
            self._become(command)
        with _passing_on(pid):
            os.waitpid(pid, 0)
            self._ptrace(_SETOPTIONS, pid, 0, _OPTIONS)
            self._go_on(pid, 0)
            return self._watch(pid)

    def _become(self, command: list[str]) -> None:
        """Never returns."""
        try:
            self._ptrace(_TRACEME, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
            self._filter.install(self._libc)
            os.execvp(command[0], command)  # noqa: S606 - it is what we are for
        except (OSError, TracerError) as error:
            sys.stderr.write(f"tracer: {error}\n")
        finally:
            os._exit(70)

    def _watch(self, pid: int) -> int:
        code = 0
        while True:
            try:
                tid, status = os.waitpid(-1, _WALL)
            except ChildProcessError:
                return code
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                if tid == pid:
                    code = (
                        os.WEXITSTATUS(status)
                        if os.WIFEXITED(status)
                        else 128 + os.WTERMSIG(status)
                    )
                continue
            number, event = os.WSTOPSIG(status), status >> 16
            if event == _EVENT_SECCOMP:
                self._called(tid)
                number = 0
            elif event or number == signal.SIGTRAP:
                number = 0  # a child, an exec: nothing for the program itself
            elif number == signal.SIGSTOP and tid != pid:
                number = 0  # how a new child begins
            self._go_on(tid, number)

    def _go_on(self, tid: int, number: int) -> None:
        with suppress(ProcessLookupError):  # it is dying
            self._ptrace(_CONT, tid, 0, number)

    def _called(self, tid: int) -> None:
        info = ctypes.create_string_buffer(_INFO_BYTES)
        try:
            self._ptrace(_GET_SYSCALL_INFO, tid, _INFO_BYTES, ctypes.addressof(info))
            number, *arguments = struct.unpack_from("=Q6Q", info.raw, _ARGUMENTS_AT - 8)
            found = self._disk_call(tid, self._calls.get(number, ""), arguments)
        except (ProcessLookupError, FileNotFoundError):
            return  # it is dying
        if found is None:
            return
        if self._count or self._armed is None or self._armed.exists():
            self._count += 1
        # Ours is said before theirs is done: what was written down last may have been done or not.
        deadly = bool(self._kill_at) and self._count == self._kill_at
        if not deadly:
            found = DiskCall(**asdict(found) | {"number": self._count})
            self._log.write(json.dumps(asdict(found)) + "\n")
            self._log.flush()
            return
        os.kill(_process_of(tid), signal.SIGKILL)

    def _disk_call(self, tid: int, name: str, given: list[int]) -> DiskCall | None:
        match name:
            case "write" | "pwrite64":
                return self._written(tid, name, given)
            case "fsync" | "fdatasync":
                return self._told("sync", self._inside(tid, given[0]))
            case "ftruncate":
                return self._told("truncate", self._inside(tid, given[0]), offset=given[1])
            case "fallocate":
                size = given[2] + given[3]
                return self._told("reserve", self._inside(tid, given[0]), offset=size)
            case "open" | "openat":
                return self._opened(tid, given if name == "open" else given[1:])
            case "unlink" | "unlinkat":
                path = given[0] if name == "unlink" else given[1]
                return self._told("remove", self._named(tid, path))
            case _:
                old, new = given[:2] if name in ("rename", "link") else (given[1], given[3])
                call = "link" if name.startswith("link") else "rename"
                other = self._named(tid, new)
                return self._told(call, self._named(tid, old), other=other or "")

    def _told(
        self, call: str, name: str | None, *, other: str = "", offset: int = 0, data: str = ""
    ) -> DiskCall | None:
        return None if name is None else DiskCall(0, call, name, other, offset, data)

    def _written(self, tid: int, call: str, given: list[int]) -> DiskCall | None:
        descriptor, address, size, offset = given[:4]
        name = self._inside(tid, descriptor)
        if not name:
            return None
        if call == "write":
            offset = _position(tid, descriptor)
        return self._told("write", name, offset=offset, data=_memory(tid, address, size).hex())

    def _opened(self, tid: int, given: list[int]) -> DiskCall | None:
        address, flags = given[:2]
        if not flags & os.O_CREAT:
            return None
        name = self._named(tid, address)
        missing = bool(name) and not (Path(self._folder) / str(name)).exists()
        return self._told("create", name) if missing else None

    def _inside(self, tid: int, descriptor: int) -> str | None:
        """Return the name of an open file of the folder, "" for the folder, else None."""
        path = Path(f"/proc/{tid}/fd/{descriptor & 0xFFFFFFFF}").readlink()
        if str(path) == self._folder:
            return ""
        return path.name if str(path.parent) == self._folder else None

    def _named(self, tid: int, address: int) -> str | None:
        """Return the name of a file of the folder that a path in memory means."""
        raw = _memory(tid, address, PATH_MAX).split(b"\0", 1)[0]
        path = Path(os.fsdecode(raw))
        inside = str(path.parent) == self._folder or str(path.parent.resolve()) == self._folder
        return path.name if path.is_absolute() and inside else None

    def _ptrace(self, request: int, pid: int, address: int = 0, data: int = 0) -> None:
        if self._libc.ptrace(request, pid, address, data) < 0:
            error = ctypes.get_errno()
            raise OSError(error, f"ptrace {request:#x}: {os.strerror(error)}")


def _memory(tid: int, address: int, size: int) -> bytes:
    """Read a stopped process's memory, as far as it goes."""
    with Path(f"/proc/{tid}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        try:
            return memory.read(size)
        except OSError:  # a short string at the end of a mapping
            memory.seek(address)
            return memory.read(-address % PATH_MAX)


def _position(tid: int, descriptor: int) -> int:
    lines = Path(f"/proc/{tid}/fdinfo/{descriptor}").read_text(encoding="ascii")
    return int(lines.split("pos:", 1)[1].split("\n", 1)[0])


def _process_of(tid: int) -> int:
    """Return the process that a thread belongs to."""
    lines = Path(f"/proc/{tid}/status").read_text(encoding="ascii", errors="replace")
    return int(lines.split("Tgid:", 1)[1].split("\n", 1)[0])


class _passing_on:  # noqa: N801 - used as a statement
    """While it lasts, signals that would end us go to the program instead."""

    _NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in self._NUMBERS:
            self._before[number] = signal.signal(number, self._pass_on)

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        del frame
        with suppress(ProcessLookupError):
            os.kill(self._pid, number)


def main(arguments: list[str] | None = None) -> int:
    """Run a program; see the module."""
    parser = argparse.ArgumentParser(prog="tracer", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--armed", type=Path)
    parser.add_argument("--kill-at", type=int, default=0)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    with given.log.open("w", encoding="ascii") as log:
        return Tracer(given.folder, log, given.armed, given.kill_at).run(command)


if __name__ == "__main__":
    sys.exit(main())
