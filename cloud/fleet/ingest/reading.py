"""A stored or travelling row as a record; whatever its body is."""

from __future__ import annotations

from typing import Final

from cloud.contract.batch import Row
from cloud.contract.journal import REGISTRY, EnvelopeError, Record, UnknownData, decode


def record_of(row: Row) -> Record:
    """Return a record; one whose body is of no form that we know is kept as bytes."""
    try:
        return decode(REGISTRY, seq=row.seq, boot=row.boot, body=row.body, digest=row.hash)
    except EnvelopeError as error:
        return Record(
            seq=row.seq,
            boot=row.boot,
            at_ms=0,
            confirmed=False,
            mono_ms=0,
            type="unknown",
            version=0,
            vend=None,
            data=UnknownData("unknown", 0, row.body, str(error)),
            postings=(),
            body=row.body,
            hash=row.hash,
        )


_BIGINT: Final = 2**63 - 1
_TYPE_LENGTH: Final = 64


def columns_of(record: Record) -> tuple[int, str, int | None]:
    """Return time, type and vend as columns can hold them; the bytes keep what they said."""
    at_ms, vend = record.at_ms, record.vend  # which are digits: never below zero
    return (
        at_ms if at_ms < _BIGINT else _BIGINT,
        record.type[:_TYPE_LENGTH],
        vend if vend is None or vend < _BIGINT else _BIGINT,
    )
