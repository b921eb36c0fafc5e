"""A whole server as processes: its folder, its TLS broker, and `vendcloud serve`."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
from typer.testing import CliRunner

from cloud.contract.topics import Address
from cloud.fleet.cli.app import app
from cloud.link import trust
from cloud.mqtt import Broker
from simulator.fleet.site import free_port
from tests.fleet.servers import PATIENCE_S, mosquitto_program, select_pause


def vendcloud(home: Path, *arguments: str, code: int = 0, out: bool = False) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cloud.fleet.cli", "--home", str(home), *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if out or not code else done.stderr


def asked(home: Path, *arguments: str) -> Any:
    return json.loads(vendcloud(home, *arguments, "--json"))


def asked_here(home: Path, *arguments: str) -> Any:
    """The same in this process: what is asked again and again starts no Python each time."""
    words = ["--home", str(home), *arguments, "--json"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


class Site:
    """A server's folder, with its server running, and its broker unless all come over HTTPS.

    With ``signer`` the keys are in a process of their own, which the others ask. ``under`` is a
    command that runs each process, and ``address`` where they are reached then.
    """

    def __init__(
        self,
        home: Path,
        *,
        broker: bool = True,
        signer: bool = False,
        under: Sequence[str] = (),
        address: str = "127.0.0.1",
    ) -> None:
        self.home = home
        self.address = address
        self.port, self.http, self.https = free_port(), free_port(), free_port()
        home.mkdir()
        (home / "fleet.toml").write_text(
            f"[broker]\nport = {self.port}\nenabled = {str(broker).lower()}\n"
            f'[http]\nhost = "{address}"\nport = {self.http}\n'
            f'[https]\nhost = "{address}"\nport = {self.https}\n'
            + ('[signer]\nsocket = "signer.sock"\nkeys = "signer/keys"\n' if signer else ""),
            encoding="utf-8",
        )
        self.made = asked(home, "init", "acme", "--host", address)
        conf = home / "broker" / "mosquitto.conf"
        if os.geteuid() == 0:
            conf.write_text("user root\n" + conf.read_text(encoding="utf-8"), encoding="utf-8")
        if signer:
            (home / "signer").mkdir(mode=0o700)
            (home / "keys").rename(home / "signer" / "keys")
            (home / "keys").mkdir()
            (home / "keys" / "root.pub").write_bytes(
                (home / "signer" / "keys" / "root.pub").read_bytes()
            )
        commands = [[sys.executable, "-m", "cloud.fleet.cli", "--home", str(home), "serve"]]
        if broker:
            commands.insert(0, [mosquitto_program(), "-c", str(conf)])
        if signer:
            commands.append(
                [sys.executable, "-m", "cloud.fleet.cli", "--home", str(home), "signer"]
            )
        self._under = under
        self._server = commands[1 if broker else 0]
        self.processes = [self._run(command) for command in commands]

    def _run(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        words = None if "serve" in command else subprocess.DEVNULL
        return subprocess.Popen([*self._under, *command], stderr=words)

    @property
    def server(self) -> subprocess.Popen[bytes]:
        """What runs as `vendcloud serve`."""
        return next(each for each in self.processes if each.args == [*self._under, *self._server])

    def killed(self) -> None:
        """SIGKILL the server, and start another one in its place."""
        server = self.server
        server.kill()
        server.wait()
        self.processes[self.processes.index(server)] = self._run(self._server)

    def ready(self) -> bool:
        with suppress(httpx2.HTTPError):
            return httpx2.get(f"http://{self.address}:{self.http}/health/ready").status_code == 200
        return False

    def wait(self) -> None:
        for _ in range(1_500):
            if self.ready():
                return
            assert all(process.poll() is None for process in self.processes)
            select_pause()
        raise AssertionError("the server is not ready")

    def end(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0

    def broker(self, address: Address) -> Broker:
        folder = self.home / "tls" / "machines" / address.tenant
        tls = trust.context(
            self.home / "tls" / "ca.pem",
            folder / f"{address.machine}.pem",
            folder / f"{address.machine}-key.pem",
        )
        return Broker("localhost", self.port, str(address).replace("/", "-"), tls=tls)
