"""What the link asks of a way to the fleet; MQTT and HTTPS are two."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from cloud.contract.topics import Topic


class LinkLostError(Exception):
    """The way to the fleet is gone, or was refused; nobody knows what arrived."""


class LinkRefusedError(LinkLostError):
    """The fleet answered, and said no."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Something that the fleet said."""

    topic: Topic
    payload: bytes
    done: Callable[[], None]  # it is durable here, or need not be: it need not come again


class Connection(Protocol):
    """One connection to the fleet."""

    async def say(self, topic: Topic, payload: bytes, *, retain: bool = False) -> None:
        """Send something, and return when the other side has the bytes.

        Raises:
            LinkLostError: It may or may not have arrived.
        """
        ...

    def heard(self) -> AsyncIterator[Heard]:
        """Yield what the fleet says.

        Raises:
            LinkLostError: The connection is gone.
        """
        ...


class Transport(Protocol):
    """Makes connections."""

    @property
    def name(self) -> str:
        """Return what people call it: the way that the last connection took."""
        ...

    def connect(self) -> AbstractAsyncContextManager[Connection]:
        """Connect.

        Raises:
            LinkLostError: It can't be reached, or refuses.
        """
        ...
