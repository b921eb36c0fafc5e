"""A server that has grown: its broker, PostgreSQL, and `vendcloud worker`s that share messages."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2

from cloud.contract.topics import Address
from cloud.fleet.home import Home
from cloud.link import trust
from cloud.mqtt import Broker
from simulator.fleet.site import free_port
from tests.fleet.servers import Mosquitto
from tests.fleet.site import asked

PLENTY_S = 300.0  # a step, where twenty processes want two cores
_DEBUG = "log_type debug\nlog_type error\nlog_type warning\nlog_type notice"


class Process:
    """One of them: it can be stopped, killed and started again."""

    def __init__(
        self,
        home: Path,
        *command: str,
        port: int,
        log: Path,
        module: str = "cloud.fleet.cli",
    ) -> None:
        self.port = port
        self.log = log
        self._command = [sys.executable, "-m", module, "--home", str(home), *command]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as words:
            self._process = subprocess.Popen(
                self._command, stdout=words, stderr=words, process_group=0
            )

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL; also one that stands still."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(PLENTY_S)
        self._process = None

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        return process.wait(PLENTY_S)

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    async def health(self, which: str = "ready") -> tuple[int, dict[str, Any]]:
        """Its answer; 0 when there is none."""
        async with httpx2.AsyncClient(timeout=30) as client:
            with suppress(httpx2.HTTPError):
                answer = await client.get(f"http://127.0.0.1:{self.port}/health/{which}")
                return answer.status_code, answer.json()
        return 0, {}

    async def ready(self) -> None:
        async with asyncio.timeout(PLENTY_S):
            while (await self.health())[0] != 200:
                assert self.runs, self.said()[-3_000:]
                await asyncio.sleep(0.05)


class Crew:
    """A server's folder, its broker over TLS, and whoever works for it.

    Args:
        home: Its folder, which is made.
        database_url: Where its database is.
        memory: Whether its broker keeps what it has over a kill.
    """

    def __init__(self, home: Path, database_url: str, *, memory: bool = True) -> None:
        self.home = home
        self.broker = Mosquitto(home.parent / "broker", persistence=memory)
        home.mkdir()
        (home / "fleet.toml").write_text(
            f'[broker]\nport = {self.broker.port}\n[database]\nurl = "{database_url}"\n',
            encoding="utf-8",
        )
        self.made = asked(home, "init", "acme", "--host", "127.0.0.1")
        self._with_certificates()
        self.workers: dict[str, Process] = {}

    def _with_certificates(self) -> None:
        """Have our broker, which can be killed, ask for what the server's own would."""
        own = (self.home / "broker" / "mosquitto.conf").read_text(encoding="utf-8").splitlines()
        kept = [
            line
            for line in own
            if line.startswith(("cafile", "certfile", "keyfile", "tls_", "require_", "use_", "acl"))
        ]
        self.conf = self.broker.folder / "conf"
        lines = self.conf.read_text(encoding="utf-8").replace("allow_anonymous true", "")
        more = [*kept, "allow_anonymous false", "max_packet_size 1114112", _DEBUG]
        self.conf.write_text("\n".join([lines, *more, ""]), encoding="utf-8")

    def remember(self, memory: bool) -> None:
        """From its next start on the broker keeps what it has over a kill, or nothing."""
        text = self.conf.read_text(encoding="utf-8").replace(
            "persistence false\n", "persistence true\n"
        )
        if not memory:
            text = text.replace("persistence true\n", "persistence false\n")
        self.conf.write_text(text, encoding="utf-8")

    def hire(self, name: str, *, how: str = "worker", eager: bool = False) -> Process:
        """Start a worker, or the whole server (``how``), with a port of its own for its health.

        An ``eager`` one looks every second whose turn it is, not every fifteen.
        """
        port = free_port()
        module = "tests.fleet.eager" if eager else "cloud.fleet.cli"
        words = ["worker", "--name", name, "--port", str(port)]
        if how == "serve":
            words = ["serve"]
            conf = self.home / "fleet.toml"
            text = conf.read_text(encoding="utf-8")
            if "[http]" in text:
                port = int(text.rpartition("port = ")[2])
            else:
                conf.write_text(f"{text}[http]\nport = {port}\n", encoding="utf-8")
        log = self.home.parent / f"{name}.log"
        made = Process(self.home, *words, port=port, log=log, module=module)
        self.workers[name] = made
        made.start()
        return made

    async def ready(self) -> None:
        for worker in self.workers.values():
            await worker.ready()

    def given(self, name: str, topic: str) -> int:
        """How many messages of a topic the broker has given to a worker, as its log says."""
        log = (self.broker.folder / "log").read_text(errors="replace")
        return sum(
            f"Sending PUBLISH to vendcloud-{name}" in line and f"/{topic}'" in line
            for line in log.splitlines()
        )

    def add(self, name: str) -> Address:
        """Make a machine known."""
        asked(self.home, "machine", "add", f"acme/{name}")
        return Address("acme", name)

    def reach(self, address: Address, port: int = 0, identifier: str = "") -> Broker:
        """How a machine reaches the broker, with its certificate."""
        certificate, key = Home(self.home).machine_files(address)
        return Broker(
            "127.0.0.1",
            port or self.broker.port,
            identifier or str(address).replace("/", "-"),
            tls=trust.context(self.home / "tls" / "ca.pem", certificate, key),
        )

    def end(self) -> None:
        """End whoever works still, by force if they stand still."""
        for worker in self.workers.values():
            if worker.runs:
                with suppress(ProcessLookupError):
                    worker.kill()
        self.broker.kill()


async def until(holds: Callable[[], Any], why: str, limit_s: float = PLENTY_S) -> None:
    """Wait until something holds that nobody tells of; ``holds`` may be a coroutine function."""
    try:
        async with asyncio.timeout(limit_s):
            while True:
                found = holds()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {limit_s:g} s: {why}") from None
