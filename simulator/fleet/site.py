"""A fleet's server on this computer, as the processes that it is: broker and ``vendcloud serve``.

For the demo, ``vendsim fleet`` and tests. Everything stands in one folder; every process is in a
group of its own, is ended by its id, and can be killed and started again.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from cloud.contract.topics import Address
from cloud.fleet.database import FleetDatabase
from cloud.fleet.home import Home
from config import fleet as configuration
from config.fleet import FleetSettings

START_LIMIT_S: Final = 90.0  # a bare Raspberry Pi imports for some seconds
STOP_LIMIT_S: Final = 45.0
LOG_TAIL: Final = 12  # lines of a log that an error shows
LOOK_S: Final = 0.05
_PORTS: Final = range(11_000, 32_000)  # Linux gives connections those from 32768 on
_PORT_TRIES: Final = 100
_BROKERS: Final = ("/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto")

BROKER, SERVER = "broker", "server"


class SiteError(Exception):
    """A process did not start, or not end, as it should; says what it said last."""


def free_port() -> int:
    """Return a port of the loopback that nobody uses now, nor will by chance.

    It lies below the ports that the kernel hands out to connections, so that a server which is
    stopped and started again finds its port free. Nobody who asks here is given it again before
    this process ends: its server may start only later. Raises SiteError.
    """
    for _ in range(_PORT_TRIES):
        with socket.socket() as drawn:  # the kernel draws well
            drawn.bind(("127.0.0.1", 0))
            port: int = _PORTS[drawn.getsockname()[1] % len(_PORTS)]
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if _is_ours(port):
                return port
    raise SiteError(f"no free port from {_PORTS.start} to {_PORTS.stop - 1} on the loopback")


def _is_ours(port: int) -> bool:
    """Tell whether no process was given a port; it is ours then, until this process ends."""
    sign = socket.socket(socket.AF_UNIX)
    try:
        # In no file system, and of the same network as the port: the kernel takes it down with us.
        sign.bind(f"\0vendd-port-{port}")
    except OSError:
        sign.close()
        return False
    sign.detach()
    return True


def mosquitto_program() -> str:
    """Return where the broker is. Raises SiteError."""
    found = shutil.which("mosquitto") or next((p for p in _BROKERS if Path(p).exists()), None)
    if found is None:
        raise SiteError("the broker is missing: `./run setup`, or `apt-get install mosquitto`")
    return found


class Site:
    """A new fleet's folder, with its broker and its server running.

    Args:
        folder: Its folder; None: a new one with a short name, removed at the end.
        tenant: The fleet's one tenant.
        database: Its URL; empty: a SQLite file in the folder.
    """

    def __init__(
        self, folder: Path | None = None, tenant: str = "acme", *, database: str = ""
    ) -> None:
        self.tenant = tenant
        self._database = database
        self._temporary = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="vendd-fleet-"))
        self.home = Home(self.folder / "server")
        self.root_key = ""
        self.settings = FleetSettings()
        self._processes: dict[str, Process] = {}

    async def __aenter__(self) -> Self:
        """Make the fleet and start it; returns when it is ready. Raises SiteError."""
        try:
            await self._make()
            await self.start(BROKER)
            await self.start(SERVER)
            await self.ready()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """End every process; the folder goes, if it was made here."""
        await self.close()

    async def _make(self) -> None:
        mosquitto_program()
        self.home.folder.mkdir(parents=True, exist_ok=True)
        self.home.config.write_text(
            f"[broker]\nport = {free_port()}\n[http]\nport = {free_port()}\n"
            + (f'[database]\nurl = "{self._database}"\n' if self._database else ""),
            encoding="utf-8",
        )
        self.settings = configuration.load(self.home.config)
        made = await self.ask("init", self.tenant)
        self.root_key = made["root_key"]
        if os.geteuid() == 0:  # else it would become a user who may not read its folder
            conf = self.home.broker / "mosquitto.conf"
            conf.write_text("user root\n" + conf.read_text(encoding="utf-8"), encoding="utf-8")

    # ----------------------------------------------------------------------------- processes

    async def start(self, name: str) -> None:
        """Start the broker or the server."""
        if name == BROKER:
            conf = self.home.broker / "mosquitto.conf"
            command: Sequence[str] = (mosquitto_program(), "-c", str(conf))
        else:
            command = self._shell("serve")
        with (self.folder / f"{name}.log").open("ab") as words:
            self._processes[name] = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=words, stderr=words,
                process_group=0,
            )  # fmt: skip

    async def kill(self, name: str) -> None:
        """SIGKILL the broker or the server."""
        process = self._processes[name]
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.wait()

    def pid(self, name: str) -> int:
        """Return the process of the broker or the server."""
        return self._processes[name].pid

    async def close(self) -> None:
        """End what runs, in good order, by force after a while."""
        for name in (SERVER, BROKER):
            process = self._processes.get(name)
            if process is None or process.returncode is not None:
                continue
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(STOP_LIMIT_S):
                    await process.wait()
            except TimeoutError:
                await self.kill(name)
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    async def ready(self) -> None:
        """Wait until the server takes messages. Raises SiteError."""
        try:
            async with asyncio.timeout(START_LIMIT_S):
                while not await self._answers():
                    for name, process in self._processes.items():
                        if process.returncode is not None:
                            code = process.returncode
                            words = f"the fleet's {name} ended with code {code}"
                            raise SiteError(f"{words}:\n{self._tail(name)}")
                    await asyncio.sleep(LOOK_S)
        except TimeoutError as error:
            raise SiteError(
                f"the fleet's server was not ready within {START_LIMIT_S:g} s:\n"
                f"{self._tail(BROKER)}\n{self._tail(SERVER)}"
            ) from error

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.settings.http.port)
        except OSError:
            return False
        try:
            writer.write(b"GET /health/ready HTTP/1.0\r\n\r\n")
            line = await reader.readline()
        except OSError:
            return False
        finally:
            writer.close()
        return b" 200 " in line

    def _tail(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        if not path.exists():
            return ""
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL:])

    # --------------------------------------------------------------------------------- asking

    def database(self) -> FleetDatabase:
        """Return the server's database, to be closed by the caller."""
        return FleetDatabase(self.home.database_url(self.settings))

    def address(self, machine: str) -> Address:
        """Return a machine's name in the fleet."""
        return Address(self.tenant, machine)

    async def ask(self, *arguments: str) -> Any:
        """Run a command of ``vendcloud`` and return its JSON. Raises SiteError."""
        process = await asyncio.create_subprocess_exec(
            *self._shell(*arguments, "--json"), stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE, stderr=PIPE, process_group=0,
        )  # fmt: skip
        try:
            async with asyncio.timeout(START_LIMIT_S):
                said, words = await process.communicate()
        except BaseException:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            told = words.decode(errors="replace").strip()
            raise SiteError(f"vendcloud {' '.join(arguments)}: {told}")
        return json.loads(said)

    def _shell(self, *arguments: str) -> Sequence[str]:
        return (
            sys.executable, "-m", "cloud.fleet.cli", "--home", str(self.home.folder), *arguments,
        )  # fmt: skip

    def section(self, machine: str) -> str:
        """Return what a machine's configuration says of this fleet."""
        certificate, key = self.home.machine_files(self.address(machine))
        return "\n".join(
            (
                "[cloud]",
                f'tenant = "{self.tenant}"',
                'host = "localhost"',
                f"port = {self.settings.broker.port}",
                f'ca = "{self.home.tls / "ca.pem"}"',
                f'certificate = "{certificate}"',
                f'key = "{key}"',
                f'root_key = "{self.root_key}"',
                "",
                "",
            )
        )
