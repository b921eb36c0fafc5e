"""The names of what travels: ``vend/v1/<tenant>/<machine>/<topic>``.

A machine's certificate has the common name ``<tenant>/<machine>``, and the broker's access rule is
the pattern ``vend/v1/%u/…``: one that left the tenant open would let machines of one name into each
other's tenants.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PREFIX: Final = "vend/v1"
SHARE: Final = "$share/ingest/"  # MQTT 5, 4.8.2: one of the workers gets each message
# Goes into topics, certificates, file names and pages: nothing that one of them would escape.
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?")


class Topic(StrEnum):
    """What is said under a machine's name."""

    EVENTS = "events"  # up: a batch of the journal
    URGENT = "urgent"  # up: a copy of one record, ahead of the backlog
    STATE = "state"  # up, retained: a snapshot
    PRESENCE = "presence"  # up, retained, last will
    TELEMETRY = "telemetry"  # up, QoS 0
    ACK = "ack"  # down, retained
    DESIRED = "desired"  # down, retained: signed configuration
    CMD = "cmd"  # down: a signed command


UP: Final = (Topic.EVENTS, Topic.URGENT, Topic.STATE, Topic.PRESENCE, Topic.TELEMETRY)
DOWN: Final = (Topic.ACK, Topic.DESIRED, Topic.CMD)
RETAINED: Final = frozenset({Topic.STATE, Topic.PRESENCE, Topic.ACK, Topic.DESIRED})


class TopicError(ValueError):
    """A name or a topic is not of the form above."""


def check_name(what: str, name: str) -> str:
    """Return ``name``.

    Raises:
        TopicError: It is not 1 to 48 of a-z, 0-9 and inner hyphens.
    """
    if not _NAME.fullmatch(name):
        raise TopicError(
            f"{what} {name!r}: 1 to 48 of a-z, 0-9 and hyphens, which neither begin nor end it"
        )
    return name


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """Which machine of which tenant."""

    tenant: str
    machine: str

    def __post_init__(self) -> None:
        """Refuse names that no topic could carry."""
        check_name("tenant", self.tenant)
        check_name("machine", self.machine)

    def __str__(self) -> str:
        return f"{self.tenant}/{self.machine}"

    def topic(self, topic: Topic) -> str:
        """Return the full name of one of this machine's topics."""
        return f"{PREFIX}/{self.tenant}/{self.machine}/{topic.value}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``tenant/machine``, as a certificate's common name says it.

        Raises:
            TopicError: It is not of that form.
        """
        tenant, slash, machine = text.partition("/")
        if not slash:
            raise TopicError(f"{text!r} is not <tenant>/<machine>")
        return cls(tenant, machine)


def parse(topic: str) -> tuple[Address, Topic]:
    """Read a full name.

    Raises:
        TopicError: It is none of ours.
    """
    parts = topic.split("/")
    if len(parts) != 5 or "/".join(parts[:2]) != PREFIX:
        raise TopicError(f"{topic!r} is not {PREFIX}/<tenant>/<machine>/<topic>")
    try:
        return Address(parts[2], parts[3]), Topic(parts[4])
    except ValueError as error:
        raise TopicError(f"{topic!r}: {error}") from error


def filter_of(topic: Topic, *, shared: bool = False) -> str:
    """Return the subscription for one topic of every machine."""
    plain = f"{PREFIX}/+/+/{topic.value}"
    return f"{SHARE}{plain}" if shared else plain


def access_rules() -> str:
    """Return the broker's access file: each machine its own topics, one way each (Mosquitto).

    ``%u`` is the user name, which is the certificate's common name (``use_identity_as_username``).
    """
    lines = [f"pattern write {PREFIX}/%u/{topic.value}" for topic in UP]
    lines += [f"pattern read {PREFIX}/%u/{topic.value}" for topic in DOWN]
    return "\n".join(lines) + "\n"


def server_rules(user: str) -> str:
    """Return the lines of the access file for the fleet server's user."""
    lines = [f"user {user}"]
    lines += [f"topic read {PREFIX}/+/+/{topic.value}" for topic in UP]
    lines += [f"topic write {PREFIX}/+/+/{topic.value}" for topic in DOWN]
    return "\n".join(lines) + "\n"
