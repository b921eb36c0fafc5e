"""One machine of many: a real journal on a disk in memory, and the real link to a real broker."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Final

from cloud.contract.messages import State as Snapshot
from cloud.contract.topics import Address
from cloud.link import trust
from cloud.link.link import Link, Phase
from cloud.link.reporting import Reporter
from cloud.link.transport import Connection
from cloud.link.transport_mqtt import MqttConnection, MqttTransport
from cloud.mqtt import Broker
from controller.clock import SystemClock
from controller.journal.beginning import BootInfo
from controller.journal.envelope import to_ms
from controller.journal.records import REGISTRY
from controller.journal.store import Journal
from controller.state.fold import StateFold
from controller.state.state import State
from simulator.disk import Disk
from simulator.disk_sqlite import DiskStorage
from simulator.fleet import pattern

SOFTWARE: Final = "vendsim fleet"
NONCE_BYTES: Final = 12
STATE_S: Final = 900.0  # as ``cloud.state_minutes``
_BUILT: Final = datetime(2026, 1, 1, tzinfo=UTC)
Entropy = Callable[[int], bytes]


class Watched(MqttTransport):
    """The way to the fleet over MQTT, that tells of its connections."""

    told: Callable[[MqttConnection], None] | None = None

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """Connect, and tell."""
        async with super().connect() as connection:
            assert isinstance(connection, MqttConnection), "as it is made"
            if self.told is not None:
                self.told(connection)
            yield connection


class Light:
    """One machine.

    Args:
        address: Its name in the fleet.
        broker: Where it connects to.
        journal: Its open journal.
        rng: Draws its vends.
        entropy: Makes nonces.
        lag: Told the seconds from each commit to the fleet's word.
    """

    def __init__(
        self,
        address: Address,
        broker: Broker,
        journal: Journal[State],
        rng: random.Random,
        entropy: Entropy,
        lag: Callable[[float], None],
    ) -> None:
        self.address = address
        self.journal = journal
        self._clock = SystemClock()
        self._rng = rng
        self._lag = lag
        self._open: deque[tuple[int, float]] = deque()  # commits that nobody has acknowledged
        self._connection: MqttConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self.vends = 0
        self.connections = 0
        transport = Watched(broker, address, trust.dates_checked(self._now_ms))
        transport.told = self._connected
        reporter = Reporter(self._clock, self._snapshot, STATE_S)
        self.link = Link(
            journal,
            transport,
            self._clock,
            lambda: entropy(NONCE_BYTES).hex(),
            software=SOFTWARE,
            public_key=journal.public_key,
            beside=reporter.run,
        )
        self.link.watch(self._acknowledged)

    @property
    def in_sync(self) -> bool:
        """Tell whether the fleet has everything, and says so on a living connection."""
        status = self.link.status
        return status.phase is Phase.IN_SYNC and self.journal.acked_seq == self.journal.durable_seq

    def start(self) -> None:
        """Keep in touch from now on."""
        self._task = asyncio.get_running_loop().create_task(self.link.run())

    async def stop(self) -> None:
        """Hang up, and close the journal. Raises what ended the link."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self.journal.close()

    async def sell(self) -> None:
        """Write one vend, as its saga would, and let the link know."""
        pattern.vend(self.journal, self._rng)
        self.vends += 1
        await self.journal.commit()
        self._open.append((self.journal.durable_seq, self._clock.monotonic_s()))
        self.link.grown()

    def cut(self) -> bool:
        """Cut the connection as a dying router does; False when there is none."""
        connection, self._connection = self._connection, None
        found = None if connection is None else connection.descriptor()
        if found is None:
            return False
        with suppress(OSError), socket.socket(fileno=os.dup(found)) as line:
            line.shutdown(socket.SHUT_RDWR)
        return True

    def _connected(self, connection: MqttConnection) -> None:
        self._connection = connection
        self.connections += 1

    def _acknowledged(self) -> None:
        acked, now = self.journal.acked_seq, self._clock.monotonic_s()
        while self._open and self._open[0][0] <= acked:
            self._lag(now - self._open.popleft()[1])

    def _now_ms(self) -> tuple[int, bool]:
        mono_ms = int(self._clock.monotonic_s() * 1000)
        return self.journal.label.stamp(to_ms(self._clock.wall_utc()), mono_ms)

    def _snapshot(self) -> Snapshot:
        state = self.journal.state
        return Snapshot(
            at=self._now_ms()[0],
            mode="idle",
            currency=state.currency,
            faults=tuple(sorted(state.faults)),
            versions={"vendd": SOFTWARE},
            backlog=self.link.status.backlog,
        )


async def journal_of(name: str, currency: str, entropy: Entropy) -> Journal[State]:
    """Make a new machine's journal, on a disk in memory: without threads, files or descriptors."""
    journal = await Journal.open(
        DiskStorage(Disk()),
        fold=StateFold(),
        registry=REGISTRY,
        clock=SystemClock(),
        entropy=entropy,
        boot=BootInfo(name, currency, SOFTWARE, "", _BUILT),
    )
    pattern.open_books(journal)
    await journal.commit()
    return journal
