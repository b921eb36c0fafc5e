"""A record as a domain event: what others read who know nothing of journals.

A record's identity is (journal, seq); where a UUID is wanted it is derived from those two, so it
never travels and is never doubled.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import from_json

from cloud.contract.batch import HexId, Seq, TraceParent
from cloud.contract.journal import Record, UnknownData

_PURPOSE: Final = b"vendd event 1|"
_OWED: Final = ("claim.", "refund.")
_CLAIM_OR_REFUND: Final = (*_OWED, "credit_return.", "payout.", "shortfall.")


class Aggregate(StrEnum):
    """What an event is about."""

    VEND = "vend"
    REFUND = "refund"
    COLUMN = "column"
    MACHINE = "machine"


class Metadata(BaseModel):
    """Where an event comes from."""

    model_config = ConfigDict(frozen=True, extra="allow")

    tenant: str
    machine: str
    journal: HexId
    seq: Seq
    boot: Annotated[int, Field(ge=1)]
    version: Annotated[int, Field(ge=1, description="of the payload's shape")]
    confirmed: Annotated[bool, Field(description="the fleet or NTP had confirmed the time")]
    trace: TraceParent | None = None


class DomainEvent(BaseModel):
    """One fact of one machine."""

    model_config = ConfigDict(frozen=True, extra="allow")

    event_id: UUID
    type: Annotated[str, Field(description="noun.past_participle")]
    aggregate: tuple[Aggregate, str]
    at: datetime
    payload: dict[str, object]
    metadata: Metadata


def event_id(journal: bytes, seq: int) -> UUID:
    """Return the id of a record: a UUID of version 8 (RFC 9562, 5.8) over (journal, seq)."""
    digest = bytearray(sha256(_PURPOSE + journal + seq.to_bytes(8, "big")).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return UUID(bytes=bytes(digest))


def _aggregate(record: Record, payload: dict[str, object], machine: str) -> tuple[Aggregate, str]:
    if record.vend is not None:
        kind = Aggregate.REFUND if record.type.startswith(_CLAIM_OR_REFUND) else Aggregate.VEND
        return kind, str(record.vend)
    if record.type.startswith(_OWED):
        # Outside a vend it has the name of what is owed: the claim's record, an app's grant.
        return Aggregate.REFUND, str(payload.get("claim") or payload.get("reference") or record.seq)
    column = payload.get("column")
    if isinstance(column, str):
        return Aggregate.COLUMN, column
    return Aggregate.MACHINE, machine


def event_of(
    record: Record, *, tenant: str, machine: str, journal: bytes, trace: str | None = None
) -> DomainEvent:
    """Return a record as an event; data that this software does not know is kept as it was."""
    if isinstance(record.data, UnknownData):
        try:
            read = from_json(record.data.raw)  # as deep as one can be written again
        except ValueError:
            read = None
        payload = read if isinstance(read, dict) else {"raw": record.data.raw.hex()}
    else:
        payload = record.data.model_dump(mode="json")
    return DomainEvent(
        event_id=event_id(journal, record.seq),
        type=record.type,
        aggregate=_aggregate(record, payload, machine),
        at=record.at,
        payload=payload,
        metadata=Metadata(
            tenant=tenant,
            machine=machine,
            journal=journal.hex(),
            seq=record.seq,
            boot=record.boot,
            version=record.version,
            confirmed=record.confirmed,
            trace=trace,
        ),
    )
