"""A stored or travelling row as a record; whatever its body is."""

from __future__ import annotations

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
