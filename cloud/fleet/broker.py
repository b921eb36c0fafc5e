"""What ingest asks of a broker; MQTT stands behind it, and a clustered broker can, too.

Messages stay the broker's until ingest is done with them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from cloud.contract.topics import Address, Topic


class BrokerLostError(Exception):
    """The connection is gone; what was not done with comes again."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message of a machine."""

    address: Address
    topic: Topic
    payload: bytes
    done: Callable[[], None]  # it is durable here: the broker may forget it
    # Told before that what could not be understood, where somebody waits for an answer.
    refused: Callable[[str], None] = lambda _problem: None
    # The broker kept it: the last word of its kind, said nobody knows when.
    retained: bool = False


class Connection(Protocol):
    """A connection to the broker."""

    def incoming(self) -> AsyncIterator[Incoming]:
        """Yield what machines say.

        Raises:
            BrokerLostError: The connection is gone.
        """
        ...

    async def tell(
        self, address: Address, topic: Topic, payload: bytes, *, retain: bool = False
    ) -> None:
        """Say something to one machine, and return when the broker has it.

        Raises:
            BrokerLostError: The connection is gone, or the broker refused it.
        """
        ...


class Broker(Protocol):
    """Makes connections."""

    def connect(self) -> AbstractAsyncContextManager[Connection]:
        """Connect and subscribe.

        Raises:
            BrokerLostError: It can't be reached, or refuses.
        """
        ...
