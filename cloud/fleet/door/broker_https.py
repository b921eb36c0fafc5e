"""The broker port over HTTPS: what is posted waits here until ingest is done with it.

A request is answered when its messages are committed, so that its sender is the one who keeps them
until then. Acknowledgements go with the answer. Commands and configuration lie in the database; for
them it is enough to wake the machine's question.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Final

from cloud.contract.https import Answer, Down
from cloud.contract.topics import Address, Topic
from cloud.fleet.broker import BrokerLostError, Connection, Incoming

QUEUE: Final = 256  # messages of all machines that wait for their turn; who comes then is sent away
ANSWER_S: Final = 60.0  # a machine waits so long for its answer, then asks again


class BusyError(Exception):
    """There is no room, or no answer in time: the machine shall come again."""


@dataclass(slots=True)
class _Post:
    """One request, and what is to be said to it."""

    open: int
    answered: asyncio.Future[None]
    messages: list[Down] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def one_done(self) -> None:
        self.open -= 1
        if not self.open and not self.answered.done():
            self.answered.set_result(None)

    def lost(self) -> None:
        if not self.answered.done():
            self.answered.set_exception(BrokerLostError("the server's database is away"))


class HttpsConnection:
    """As long as ingest works."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._queue: deque[Incoming] = deque()
        self._more = asyncio.Event()
        self._posts: dict[Address, list[_Post]] = {}

    async def incoming(self) -> AsyncIterator[Incoming]:
        """Yield what machines post."""
        while True:
            while self._queue:
                yield self._queue.popleft()
            self._more.clear()
            await self._more.wait()

    async def tell(
        self, address: Address, topic: Topic, payload: bytes, *, retain: bool = False
    ) -> None:
        """Let an acknowledgement go with an answer; wake the machine's question for the rest.

        One that finds no request any more is dropped: its machine asks again, and is told anew.
        """
        del retain
        if topic is not Topic.ACK:
            self._bell.ring(address)
            return
        for post in self._posts.get(address, ())[:1]:
            post.messages.append(Down(topic=topic, payload=payload))

    async def take(self, address: Address, topic: Topic, payloads: list[bytes]) -> Answer:
        """Give messages to ingest, and return what it says when all are done with.

        Raises:
            BusyError: No room, or not in time.
            BrokerLostError: Ingest stopped; nobody knows what it did.
        """
        if len(self._queue) + len(payloads) > QUEUE:
            raise BusyError("too much is waiting")
        post = _Post(len(payloads), asyncio.get_running_loop().create_future())
        posts = self._posts.setdefault(address, [])
        posts.append(post)
        for payload in payloads:
            self._queue.append(
                Incoming(address, topic, payload, post.one_done, post.problems.append)
            )
        self._more.set()
        try:
            async with asyncio.timeout(ANSWER_S):
                await post.answered
        except TimeoutError as error:
            raise BusyError("no answer in time") from error
        finally:
            posts.remove(post)
            if not posts and self._posts.get(address) is posts:
                del self._posts[address]
        return Answer(messages=tuple(post.messages), problem="; ".join(post.problems))

    def end(self) -> None:
        """Tell every request that nobody will answer it."""
        self._queue.clear()
        for posts in self._posts.values():
            for post in posts:
                post.lost()


class Bell:
    """Wakes the questions of machines that wait for something."""

    def __init__(self) -> None:
        self._waiting: dict[Address, asyncio.Event] = {}
        self._closed = False

    @contextmanager
    def waiting(self, address: Address) -> Iterator[asyncio.Event]:
        """Be woken when there is something for a machine; who waited for it before is, too."""
        self.ring(address)
        event = self._waiting[address] = asyncio.Event()
        if self._closed:
            event.set()
        try:
            yield event
        finally:
            if self._waiting.get(address) is event:
                del self._waiting[address]

    def ring(self, address: Address) -> None:
        """Wake one machine's question."""
        event = self._waiting.get(address)
        if event is not None:
            event.set()

    def close(self) -> None:
        """Wake all of them, and let nobody wait any more."""
        self._closed = True
        for event in self._waiting.values():
            event.set()


class HttpsBroker:
    """The door as ingest sees it."""

    def __init__(self) -> None:
        self.bell = Bell()
        self._connection: HttpsConnection | None = None

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """Let in what is posted, as long as the block lasts."""
        connection = self._connection = HttpsConnection(self.bell)
        try:
            yield connection
        finally:
            self._connection = None
            connection.end()

    async def take(self, address: Address, topic: Topic, payloads: list[bytes]) -> Answer:
        """Have messages taken in.

        Raises:
            BusyError: No room, or not in time.
            BrokerLostError: Nobody takes anything in now.
        """
        if self._connection is None:
            raise BrokerLostError("nobody takes messages in now")
        return await self._connection.take(address, topic, payloads)
