"""The envelope of a record: bytes that are written once, and the value read from them.

Pure: no clock, no disk. A body is compact JSON with its keys in this order::

    {"at":…,"tc":…,"mono_ms":…,"type":"…","v":…,"vend":…,"data":{…},"postings":[["account",n],…]}

``at`` is UTC in milliseconds since 1970 and only a label; ``tc`` tells whether that time was
confirmed (by the fleet or NTP) when it was written; ``mono_ms`` counts from the start of the
clock of that boot; ``v`` is the version of ``data``; ``vend`` is the seq of the record that opened
the saga, or null. The bytes are what the chain covers and what travels; nobody writes them again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import ClassVar, Final

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from controller.faults import InvariantError, JournalError

Postings = tuple[tuple[str, int], ...]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)

_TYPE: Final = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_ACCOUNT: Final = re.compile(r"[a-z0-9_.:-]+")  # so that it needs no escaping in JSON
_HEAD: Final = re.compile(
    rb'\{"at":(\d+),"tc":(true|false),"mono_ms":(\d+),"type":"([a-z0-9_.]+)","v":(\d+),'
    rb'"vend":(null|\d+),"data":'
)
_POSTINGS: Final = b',"postings":['
_NO_POSTINGS: Final = b',"postings":[]}'
_LINES: Final = TypeAdapter(Postings, config=ConfigDict(strict=True))


class EnvelopeError(JournalError):
    """A body is not of the form above, though its hash may be right: written by nobody we know."""


class RecordData(BaseModel):
    """What one type of record says. Subclasses set ``type`` (``noun.past_participle``).

    A shape that changes gets a new ``version``; ``upgraded`` lifts what older software wrote.
    Bytes are written as hex.
    """

    # A type's validator is made when the first record of that type comes (0.3 ms): most of them a
    # machine never writes, and 1 MiB of a start that waits for all.
    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_bytes="hex", val_json_bytes="hex", defer_build=True
    )

    type: ClassVar[str]
    version: ClassVar[int] = 1

    def postings(self) -> Postings:
        """Return the ledger lines (account, signed minor units), which sum to zero."""
        return ()

    @classmethod
    def upgraded(cls, version: int, data: dict[str, object]) -> dict[str, object]:
        """Return ``data`` written by the older ``version`` in the shape of this one."""
        del version
        return data


@dataclass(frozen=True, slots=True)
class UnknownData:
    """Data of a type or a newer version that this software does not know: kept as its bytes."""

    type: str
    version: int
    raw: bytes
    reason: str


Registry = Mapping[str, type[RecordData]]


class Remembering(dict[str, type[RecordData]]):
    """A registry for whoever opens the same journal again and again: a body is read once.

    What a body says depends on its bytes alone. Only for a process that sees many starts of one
    machine, and its whole journal at each of them: it keeps all that it has read.
    """

    def __init__(self, registry: Registry) -> None:
        """Know the same types; nothing is read yet."""
        super().__init__(registry)
        self.read: dict[bytes, Record] = {}


def registry_of(*types: type[RecordData]) -> Registry:
    """Index record types by their name.

    Raises:
        InvariantError: A name is malformed or given twice.
    """
    found: dict[str, type[RecordData]] = {}
    for cls in types:
        if not _TYPE.fullmatch(cls.type) or cls.type in found:
            raise InvariantError(f"record type {cls.type!r} is malformed or given twice")
        found[cls.type] = cls
    return found


@dataclass(frozen=True, slots=True)
class Record:
    """One fact, as it stands in the journal."""

    seq: int  # dense, from 1, never reused
    boot: int  # which start of the daemon wrote it, from 1
    at_ms: int  # UTC, a label
    confirmed: bool  # the fleet or NTP had confirmed the time
    mono_ms: int
    type: str
    version: int
    vend: int | None  # seq of the record that opened the saga
    data: RecordData | UnknownData
    postings: Postings
    body: bytes  # exactly as written
    hash: bytes

    @property
    def at(self) -> datetime:
        """Return the label as a time, aware, UTC."""
        return EPOCH + self.at_ms * _MS


def to_ms(moment: datetime) -> int:
    """Return milliseconds since 1970 of an aware time."""
    return (moment - EPOCH) // _MS


@lru_cache(maxsize=256)  # there are some thirty
def _is_account(name: str) -> bool:
    return _ACCOUNT.fullmatch(name) is not None


def check_postings(kind: str, lines: Postings) -> None:
    """Refuse lines that do not balance.

    Raises:
        InvariantError: They do not sum to zero, or an account or amount is malformed.
    """
    total = 0
    for account, amount in lines:
        if type(amount) is not int or not _is_account(account):
            raise InvariantError(f"{kind} posts a malformed line: {account!r}, {amount!r}")
        total += amount
    if total:
        raise InvariantError(f"{kind} posts lines that sum to {total}: {lines}")


def encode_body(
    data: RecordData,
    *,
    at_ms: int,
    confirmed: bool,
    mono_ms: int,
    vend: int | None,
    postings: Postings,
) -> bytes:
    """Write a body, once and for all."""
    lines = ",".join([f'["{account}",{amount}]' for account, amount in postings])
    return (
        f'{{"at":{at_ms},"tc":{"true" if confirmed else "false"},"mono_ms":{mono_ms},'
        f'"type":"{data.type}","v":{data.version},"vend":{"null" if vend is None else vend},'
        f'"data":{data.model_dump_json()},"postings":[{lines}]}}'
    ).encode()


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before ``data``; read without looking at the rest."""

    at_ms: int
    confirmed: bool
    mono_ms: int
    type: str
    version: int
    vend: int | None
    end: int  # where ``data`` begins in the body


def read_head(body: bytes) -> Head:
    """Read the start of a body.

    Raises:
        EnvelopeError: It is not of our form.
    """
    match = _HEAD.match(body)
    if match is None:
        raise EnvelopeError(f"a body begins with {body[:40]!r}")
    at, confirmed, mono, kind, version, vend = match.groups()
    return Head(
        int(at),
        confirmed == b"true",
        int(mono),
        kind.decode(),
        int(version),
        None if vend == b"null" else int(vend),
        match.end(),
    )


def _read_postings(body: bytes) -> tuple[int, Postings]:
    """Return where ``data`` ends, and the lines."""
    if body.endswith(_NO_POSTINGS):
        return len(body) - len(_NO_POSTINGS), ()
    # A key of this name inside data stands before ours; inside a string its quotes are escaped.
    cut = body.rfind(_POSTINGS)
    if cut < 0:
        raise EnvelopeError(f"a body ends with {body[-40:]!r}")
    try:
        return cut, _LINES.validate_json(body[cut + len(_POSTINGS) - 1 : -1])
    except ValidationError as error:
        raise EnvelopeError(f"postings cannot be read: {body[cut:]!r}") from error


def _read_data(registry: Registry, kind: str, version: int, raw: bytes) -> RecordData | UnknownData:
    cls = registry.get(kind)
    if cls is None:
        return UnknownData(kind, version, raw, "unknown type")
    if version > cls.version:
        return UnknownData(kind, version, raw, "newer version")
    try:
        if version == cls.version:
            # As model_validate_json, without its questions about options that nobody gives.
            found: RecordData = cls.__pydantic_validator__.validate_json(raw)
            return found
        lifted = cls.upgraded(version, json.loads(raw))
        return cls.model_validate_json(json.dumps(lifted))
    except (ValidationError, ValueError, KeyError, TypeError, RecursionError) as error:
        return UnknownData(kind, version, raw, f"does not fit: {error}")


def decode(registry: Registry, *, seq: int, boot: int, body: bytes, digest: bytes) -> Record:
    """Read a record from what was written; does not verify ``digest``.

    Raises:
        EnvelopeError: The body is not of our form.
    """
    if isinstance(registry, Remembering):
        known = registry.read.get(body)
        if known is not None and known.seq == seq and known.boot == boot and known.hash == digest:
            return known
        registry.read[body] = record = _decoded(registry, seq, boot, body, digest)
        return record
    return _decoded(registry, seq, boot, body, digest)


def _decoded(registry: Registry, seq: int, boot: int, body: bytes, digest: bytes) -> Record:
    # Fields by place: a start folds a hundred thousand records a second.
    match = _HEAD.match(body)
    if match is None:
        raise EnvelopeError(f"a body begins with {body[:40]!r}")
    at, confirmed, mono, kind, version, vend = match.groups()
    cut, postings = _read_postings(body)
    name, number = kind.decode(), int(version)
    return Record(
        seq,
        boot,
        int(at),
        confirmed == b"true",
        int(mono),
        name,
        number,
        None if vend == b"null" else int(vend),
        _read_data(registry, name, number, body[match.end() : cut]),
        postings,
        body,
        digest,
    )
