"""A network between a machine and its whole server that breaks without a word; a scene to be run.

``python -m tests.fleet.partition FOLDER namespaces noticed`` in namespaces of its own (``unshare
-Urnm``): the server's processes live in a network of their own, behind a pair of virtual
interfaces. One that goes down answers nothing: no end and no refusal, which a proxy gives that
closes.
Without that word a proxy holds every byte back instead, where the kernel gives no namespaces.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from cloud.fleet.database import FleetDatabase
from cloud.link import trust
from cloud.link.link import Phase
from cloud.mqtt import Broker
from tests.fleet.proxy import Proxy
from tests.fleet.site import Site, asked
from tests.fleet.test_faults import Machine

SERVER: Final = "10.83.0.2"
INSIDE: Final = ("ip", "netns", "exec", "server")
PREPARE: Final = (
    "mount -t tmpfs vendd-run /run",  # where namespaces have their names
    "ip link set lo up",
    "ip netns add server",
    "ip link add here type veth peer name there netns server",
    "ip addr add 10.83.0.1/24 dev here",
    "ip link set here up",
    f"ip -n server addr add {SERVER}/24 dev there",
    "ip -n server link set lo up",
    "ip -n server link set there up",
)
SHORT_S: Final = 2.0  # less than anybody's patience
NOTICED_S: Final = 120.0  # keep-alives and answers that don't come, on a busy machine


class Line(ABC):
    """What is between the machine and its server."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.host = site.address
        self.port = site.port

    @abstractmethod
    def silent(self, silent: bool) -> None:
        """Let nothing through, or all again."""


class Interfaces(Line):
    """The server's interface goes down and comes up."""

    def silent(self, silent: bool) -> None:
        word = "down" if silent else "up"
        subprocess.run(["ip", "-n", "server", "link", "set", "there", word], check=True, timeout=30)


class Held(Line):
    """A proxy that forwards nothing any more, and closes nothing."""

    def __init__(self, site: Site, proxy: Proxy) -> None:
        super().__init__(site)
        self._proxy = proxy
        self.port = proxy.port

    def silent(self, silent: bool) -> None:
        self._proxy.silent = silent


class Far(Machine):
    """A machine at the other end of the line, with its certificate."""

    def __init__(self, line: Line, folder: Path) -> None:
        super().__init__("lobby-1", folder, line.site)
        self._line = line

    def broker(self) -> Broker:
        tls = self._line.site.home / "tls"
        pair = (tls / "machines" / "acme" / f"lobby-1{end}.pem" for end in ("", "-key"))
        shown = trust.context(tls / "ca.pem", *pair)
        return Broker(self._line.host, self._line.port, "acme-lobby-1", tls=shown)

    async def told_nothing(self, line: Line, *, until_noticed: bool) -> None:
        """Sell while the line is silent: nothing is acknowledged, nothing is lost."""
        assert self.books is not None
        assert self.link is not None
        line.silent(True)
        held = self.books.acked_seq
        for _ in range(20):
            await self.sell(150)
        if until_noticed:
            changed = asyncio.Event()
            self.link.watch(changed.set)
            async with asyncio.timeout(NOTICED_S):
                while self.link.status.phase is not Phase.OFFLINE:
                    changed.clear()
                    await changed.wait()
            for _ in range(20):
                await self.sell(250)
        else:
            await asyncio.sleep(SHORT_S)
        assert self.books.acked_seq == held
        line.silent(False)
        await self.in_sync()


async def play(folder: Path, *, apart: bool, noticed: bool) -> None:
    """Play it: a silence that nobody notices, and with ``noticed`` one that ends the connection."""
    async with AsyncExitStack() as stack:
        site = Site(
            folder / "home",
            under=INSIDE if apart else (),
            address=SERVER if apart else "127.0.0.1",
        )
        stack.push_async_callback(asyncio.to_thread, site.end)
        await asyncio.to_thread(site.wait)
        await asyncio.to_thread(asked, site.home, "machine", "add", "acme/lobby-1")
        line: Line = Interfaces(site)
        if not apart:
            line = Held(site, await stack.enter_async_context(Proxy(site.port)))
        database = FleetDatabase(f"sqlite+aiosqlite:///{site.home / 'fleet.db'}")
        stack.push_async_callback(database.close)
        machine = Far(line, folder / "journal")
        await machine.start()
        stack.push_async_callback(machine.stop)
        await machine.sell(150)
        await machine.in_sync()

        await machine.told_nothing(line, until_noticed=False)
        if noticed:
            await machine.told_nothing(line, until_noticed=True)
        await machine.equal(database)


def main(folder: str, *words: str) -> None:
    """Play it as told: ``namespaces``, ``noticed``."""
    apart = "namespaces" in words
    for command in PREPARE if apart else ():
        subprocess.run(command.split(), check=True, timeout=30)
    asyncio.run(play(Path(folder), apart=apart, noticed="noticed" in words))
    sys.stdout.write("every record once\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
