"""Servers that tests start for themselves, on ports and in folders of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from cloud.contract.topics import DOWN, UP, Address
from simulator.fleet.site import free_port

PATIENCE_S = 90.0


def as_postgres(arguments: list[str]) -> list[str]:
    """Return a command as its user runs it: PostgreSQL refuses to run as root."""
    return ["runuser", "-u", "postgres", "--", *arguments] if os.geteuid() == 0 else arguments


def postgres_tools() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if found:
        return found[-1]
    initdb = shutil.which("initdb")
    assert initdb is not None, "PostgreSQL is missing: `./run setup` installs it"
    return Path(initdb).parent


class Postgres:
    """A PostgreSQL cluster of its own. It can be stopped, killed and started again.

    Args:
        parent: Its folder's; not one that only root may enter, as it runs as a user of its own.
        safe: It syncs. A killed server loses nothing without; only a power cut would.
        wal_mib: A segment of its own journal.
    """

    def __init__(
        self, parent: Path | None = None, *, safe: bool = False, wal_mib: int = 16
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vendd-postgres-", dir=parent))
        self._fsync = "on" if safe else "off"
        self.port = free_port()
        self._data = self.folder / "data"
        self._tools = postgres_tools()
        # A disk that is full has no room for its words, either.
        self._words = (
            Path(tempfile.mkdtemp(prefix="vendd-postgres-log-")) if parent else self.folder
        )
        if os.geteuid() == 0:
            for folder in (self.folder, self._words):
                shutil.chown(folder, "postgres", "postgres")
        self._run(
            "initdb", "-D", str(self._data), "-U", "fleet", "-A", "trust", "-E", "UTF8", "-N",
            f"--wal-segsize={wal_mib}",
        )  # fmt: skip

    def _run(self, tool: str, *arguments: str) -> None:
        command = as_postgres([str(self._tools / tool), *arguments])
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr + self._said()

    def _said(self) -> str:
        return self.said()[-2_000:]

    def said(self) -> str:
        """Return its log."""
        log = self._words / "log"
        return log.read_text(errors="replace") if log.exists() else ""

    def pid(self) -> int:
        """Return its first process, whose children the others are."""
        text = (self._data / "postmaster.pid").read_text(encoding="ascii")
        return int(text.partition("\n")[0])

    def start(self) -> None:
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
            f" -c fsync={self._fsync}"
        )
        self._run(
            "pg_ctl", "-D", str(self._data), "-w", "-t", "90",
            "-l", str(self._words / "log"), "-o", options, "start",
        )  # fmt: skip

    def start_again(self) -> None:
        """Start it if it has ended by itself, as it does when its own journal can't be written."""
        if not (self._data / "postmaster.pid").exists():
            self.start()

    def stop(self, how: str = "immediate") -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", how, "stop")

    def remove(self) -> None:
        for folder in (self.folder, self._words):
            shutil.rmtree(folder, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+psycopg://fleet@127.0.0.1:{self.port}/{database}"

    def make_database(self, name: str, template: str = "template1") -> str:
        """Make a database like another one, to which nobody may be connected meanwhile."""
        self._do(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        self._do(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _do(self, words: str) -> None:
        url = self.url().replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(words.encode())


def mosquitto_program() -> str:
    found = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    assert Path(found).exists(), "Mosquitto is missing: `./run setup` installs it"
    return found


class Mosquitto:
    """A broker of its own. It can be killed and started again, with or without its memory."""

    def __init__(self, folder: Path, *, persistence: bool = True, extra: str = "") -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        lines = [
            *(["user root"] if os.geteuid() == 0 else []),  # else it could not read its folder
            f"listener {self.port} 127.0.0.1",
            "max_queued_messages 100000",
            "max_inflight_messages 100",
            f"log_dest file {folder / 'log'}",
            extra or "allow_anonymous true",
        ]
        if persistence:
            lines += ["persistence true", f"persistence_location {folder}/", "autosave_interval 1"]
        (folder / "conf").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def start(self) -> None:
        self._process = subprocess.Popen(
            [mosquitto_program(), "-c", str(self.folder / "conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            assert self._process.poll() is None, (self.folder / "log").read_text()
            select_pause()
        raise AssertionError("the broker does not listen")

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE_S)
            self._process = None


def bridge(folder: Path, port: int, address: Address, *more: str, memory: bool = True) -> Mosquitto:
    """Make a broker beside a machine, that passes its topics on to the fleet's broker and back."""
    lines = [
        "allow_anonymous true",
        "connection fleet",
        f"address 127.0.0.1:{port}",
        f"remote_clientid {address.tenant}-{address.machine}",
        "bridge_protocol_version mqttv50",
        "cleansession false",
        "notifications false",
        "restart_timeout 1",
        *more,
        *(f"topic {address.topic(topic)} out 1" for topic in UP),
        *(f"topic {address.topic(topic)} in 1" for topic in DOWN),
    ]
    return Mosquitto(folder, persistence=memory, extra="\n".join(lines))


def select_pause() -> None:
    """Let the other process run; the wait around it is bounded by a deadline."""
    with contextlib.suppress(BlockingIOError):
        signal.sigtimedwait([], 0.02)


@contextlib.contextmanager
def running(server: Mosquitto | Postgres) -> Iterator[None]:
    server.start()
    try:
        yield
    finally:
        server.stop()
