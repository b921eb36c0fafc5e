"""A machine that sells without a pause, with its real link: to be killed at any moment.

It says on standard output what is durable, as a line ``SEQ HASH ACKED`` each time that it changes.
``hurry`` on standard input makes the link look at once, ``enough`` ends the selling, which it
repeats then, and the end of the input ends it in order, with its accounts as the last line.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from benchmarks.children.given import hand_back, say_as_much_as_a_service
from benchmarks.children.long_journal import opened
from cloud.contract.topics import Address
from cloud.fleet.home import Home
from cloud.link import trust
from cloud.link.link import Link
from cloud.link.transport_mqtt import MqttTransport
from cloud.mqtt import Broker
from controller.clock import SystemClock
from controller.journal.store import Journal
from controller.state.state import State
from tests.fleet.books import sell
from tests.fleet.links import balances

LOW: Final = 5_000  # a backlog of some thousand records is on its way at any moment
MANY: Final = 50  # vends in a commit while it is below that, else a few: customers come on
FEW: Final = 2
PAUSE_S: Final = 0.02
ENOUGH: Final = b"enough\n"


class Machine:
    """A journal, and its link."""

    def __init__(self, journal: Journal[State], broker: Broker, address: Address) -> None:
        self.journal = journal
        self.link = Link(
            journal, MqttTransport(broker, address), SystemClock(), lambda: os.urandom(12).hex()
        )
        self.link.watch(self.tell)
        self.enough = False
        self._committed = (journal.durable_seq, journal.head)

    def tell(self) -> None:
        """Say what is durable: nothing of it may be missing later."""
        seq, digest = self._committed
        sys.stdout.write(f"{seq} {digest.hex()} {self.journal.acked_seq}\n")
        sys.stdout.flush()

    async def live(self) -> None:
        """Sell."""
        self.tell()
        while not self.enough:
            low = self.journal.durable_seq - self.journal.acked_seq < LOW
            for _ in range(MANY if low else FEW):
                sell(self.journal)
            staged = (self.journal.next_seq - 1, self.journal.head)
            await self.journal.commit()
            self._committed = staged
            self.link.grown()
            self.tell()
            await asyncio.sleep(PAUSE_S)
        sys.stdout.buffer.write(ENOUGH)
        sys.stdout.flush()

    def obey(self, word: bytes) -> None:
        """Do what was said."""
        self.enough |= word == ENOUGH
        self.link.sync_now()


async def main(given: argparse.Namespace) -> None:
    """Live until standard input ends."""
    address = Address(given.tenant, given.machine)
    tls = None
    if given.home is not None:
        tls = trust.context(given.home / "tls" / "ca.pem", *Home(given.home).machine_files(address))
    machine = Machine(
        await opened(given.folder),
        Broker("127.0.0.1", given.port, address.machine, tls=tls),
        address,
    )
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    linked, living = loop.create_task(machine.link.run()), loop.create_task(machine.live())
    while line := await reader.readline():
        if living.done():
            living.result()
        machine.obey(line)
    linked.cancel()
    with suppress(asyncio.CancelledError):
        await linked
    await living
    found = balances(machine.journal)
    await machine.journal.close()
    hand_back(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--machine", required=True)
    parser.add_argument("--port", type=int, required=True, help="the broker's")
    parser.add_argument("--home", type=Path, help="the fleet's, for certificates; else none")
    say_as_much_as_a_service()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(parser.parse_args()))
