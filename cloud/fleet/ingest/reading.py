"""A stored or travelling row as a record; whatever its body is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from cloud.contract.batch import Row
from cloud.contract.journal import REGISTRY, EnvelopeError, Record, UnknownData, decode

# No amount, count or time is as large, and sums of such numbers are beyond what a table can hold.
LIMIT: Final = 2**53
_LONG: Final = len(str(LIMIT))
_NINES: Final = bytes.maketrans(b"0123456789", b"9" * 10)


class _TooLargeError(Exception):
    """A number is."""


def records_of(rows: Sequence[Row]) -> list[Record]:
    """Return records, as ``record_of`` does."""
    # Of all at once: to look through each would cost ingest a twentieth of its time.
    long_ones = _has_long_number(b" ".join([row.body for row in rows]))
    return [record_of(row, look=long_ones) for row in rows]


def record_of(row: Row, *, look: bool = True) -> Record:
    """Return a record; one whose body is of no form that we know is kept as bytes.

    So is one with a number that no table of ours can hold, or that is nested too deeply to look
    for one: the others of its journal go on.
    """
    try:
        record = decode(REGISTRY, seq=row.seq, boot=row.boot, body=row.body, digest=row.hash)
        if look and _has_long_number(row.body):
            json.loads(row.body, parse_int=_in_bounds)
    except (_TooLargeError, RecursionError) as error:
        why = "a number beyond all bounds" if isinstance(error, _TooLargeError) else "too deep"
        data = UnknownData(record.type, record.version, row.body, why)
        vend = record.vend if record.vend is None or record.vend < LIMIT else None
        return replace(record, at_ms=min(record.at_ms, LIMIT), vend=vend, data=data, postings=())
    except (EnvelopeError, ValueError) as error:
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
    return record


def _has_long_number(body: bytes) -> bool:
    return b"9" * _LONG in body.translate(_NINES)


def _in_bounds(digits: str) -> int:
    if len(digits) > _LONG + 1 or abs(int(digits)) >= LIMIT:
        raise _TooLargeError
    return 0


_TYPE_LENGTH: Final = 64


def columns_of(record: Record) -> tuple[int, str, int | None]:
    """Return time, type and vend as columns can hold them; the bytes keep what they said."""
    return record.at_ms, record.type[:_TYPE_LENGTH], record.vend
