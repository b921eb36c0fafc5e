"""A fleet of one machine, in memory and virtual time, behind the real link, inbox and contract.

It keeps what a server would: the chain, record by record, and answers as one does. It notices at
once when a machine's records do not continue what it holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from cloud.contract import batch, signing
from cloud.contract.commands import CommandBody, Role
from cloud.contract.journal import GENESIS
from cloud.contract.messages import Ack, Desired, Message, Presence, Range, State, read
from cloud.contract.topics import Topic
from cloud.link import assembly
from cloud.link.transport import Connection, Heard, LinkLostError
from config.models import Cloud
from controller import app
from tests.scenarios.stage import Stage

ROOT: Final = bytes([1]) * 32
SEED: Final = bytes([2]) * 32
DAY_MS: Final = 24 * 3_600_000
CLOUD: Final = Cloud(
    tenant="acme", host="nowhere", tls=False, root_key=signing.public_of(ROOT).hex()
)


class LittleFleet:
    """The other end of the line; a ``Transport`` for the machine."""

    name = "memory"

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.chains: dict[str, list[tuple[int, bytes]]] = {}  # journal -> (seq, hash)
        self.wrong: list[str] = []  # what no machine may do
        self.states: list[State] = []
        self.desired = b""
        self._revision = 0
        self._sent = 0
        self._line: asyncio.Queue[Heard | None] | None = None
        self._tie: asyncio.Task[None] | None = None
        self.up = True
        self.deaf = False  # the broker takes batches, and no server does

    # ---------------------------------------------------------------------------- the line

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        if not self.up:
            raise LinkLostError("nobody answers")
        self._line = asyncio.Queue()
        try:
            if self.desired:
                self._say(Topic.DESIRED, self.desired)
            yield self
        finally:
            self._line = None

    async def say(self, topic: Topic, payload: bytes, *, retain: bool = False) -> None:
        del retain
        if not self.up or self._line is None:
            raise LinkLostError("the line is cut")
        match topic:
            case Topic.EVENTS if not self.deaf:
                self._take(batch.unpack(payload))
            case Topic.PRESENCE:
                presence = read(Presence, payload)
                assert presence.head is not None
                self._answer(presence.head.journal, presence.nonce)
            case Topic.STATE:
                self.states.append(read(State, payload))
            case _:
                pass

    async def heard(self) -> AsyncIterator[Heard]:
        line = self._line
        while line is not None and (heard := await line.get()) is not None:
            yield heard
        raise LinkLostError("the line is cut")

    def _say(self, topic: Topic, payload: bytes) -> None:
        if self._line is not None:
            self._line.put_nowait(Heard(topic, payload, lambda: None))

    def cut(self) -> None:
        """End the connection."""
        if self._line is not None:
            self._line.put_nowait(None)

    # --------------------------------------------------------------------------- the server

    def _take(self, came: batch.Batch) -> None:
        chain = self.chains.setdefault(came.head.journal, [])
        if len(self.chains) > 1:
            self.wrong.append("the machine began another journal")
        if came.head.first > len(chain) + 1:
            self._answer(came.head.journal, came.head.nonce, Range(first=len(chain) + 1))
            return
        held = dict(chain)
        digest = bytes.fromhex(came.head.prev)
        expected = held.get(came.head.first - 1, GENESIS if came.head.first == 1 else b"")
        if digest != expected:
            self.wrong.append(f"the records from {came.head.first} on continue nothing")
        for row in came.rows:
            if held.setdefault(row.seq, row.hash) != row.hash:
                self.wrong.append(f"record {row.seq} is another one now")
        chain[:] = sorted(held.items())
        self._answer(came.head.journal, came.head.nonce)

    def _answer(self, journal: str, nonce: str, want: Range | None = None) -> None:
        chain = self.chains.get(journal, [])
        seq, digest = chain[-1] if chain else (0, GENESIS)
        now = self.stage.running.machine.desk.now_ms if self.stage.running else 0
        ack = Ack(journal=journal, seq=seq, hash=digest.hex(), time=now, echo=nonce, want=want)
        self._say(Topic.ACK, ack.to_bytes())

    # -------------------------------------------------------------------------- the operator

    @property
    def now_ms(self) -> int:
        assert self.stage.running is not None
        return self.stage.running.machine.desk.now_ms

    def _signed(self, purpose: bytes, body: Message, seed: bytes = SEED) -> bytes:
        key = signing.KeyBody(
            kid="k1",
            tenant="acme",
            public=signing.public_of(seed).hex(),
            roles=(Role.OPERATOR,),
            not_after=self.now_ms + 400 * DAY_MS,
        )
        root = signing.signer_of(ROOT if seed == SEED else seed)
        signed = signing.sign(
            purpose, signing.signer_of(seed), "k1", body, signing.sign_key(root, key)
        )
        return signed.to_bytes()

    def push(self, settings: dict[str, Any], *, revision: int = 0, seed: bytes = SEED) -> int:
        """Publish a configuration, retained; returns its revision."""
        self._revision = revision or self._revision + 1
        body = Desired(
            tenant="acme",
            machine="demo",
            revision=self._revision,
            settings=settings,
            issued_at=self.now_ms,
            issuer="anna",
        )
        self.desired = self._signed(signing.DESIRED, body, seed)
        self._say(Topic.DESIRED, self.desired)
        return self._revision

    def garble(self) -> None:
        """Publish what is no message."""
        self._say(Topic.DESIRED, b'{"v":1,"body":"')

    def command(self, kind: str, args: dict[str, Any]) -> None:
        """Publish a command."""
        self._sent += 1
        body = CommandBody(
            tenant="acme",
            machine="demo",
            id=f"c{self._sent}",
            counter=self._sent,
            kind=kind,
            args=args,
            issued_at=self.now_ms,
            expires_at=self.now_ms + DAY_MS,
            issuer="anna",
        )
        self._say(Topic.CMD, self._signed(signing.COMMAND, body))

    # --------------------------------------------------------------------------- the machine

    def tie(self) -> assembly.Fleet:
        """Tie the machine that runs to this fleet, as vendd does after its start."""
        stage = self.stage
        assert stage.running is not None
        made = assembly.Fleet(
            CLOUD,
            "demo",
            stage.running.machine,
            stage.clock,
            stage.rng.randbytes,
            app.SOFTWARE,
            lambda seq, _: self.wrong.append(f"a fork at {seq}"),
            Path("unused"),  # it keeps certificates, and here are none
        )
        self._tie = stage.loop.create_task(made.run())
        return made

    async def untie(self) -> None:
        """End the machine's side, as the end of its process does."""
        if self._tie is not None:
            self._tie.cancel()
            await asyncio.gather(self._tie, return_exceptions=True)
            self._tie = None
