r"""A batch of a journal: a line of JSON that says what it is, then the records' bodies, compressed.

    {"v":1,"journal":"<hex>","first":n,"count":n,"boots":[[boot,count],…],"prev":"<hex>",
     "last":"<hex>","raw":n,"nonce":"…","trace":"…"}\n<zstd frame of the bodies, one a line>

Bodies are the exact bytes of the journal. Neither ids nor hashes travel with each record: a
record's identity is (journal, seq), and the chain is recomputed from ``prev`` to ``last``, so that
one changed byte anywhere is found. A body that holds a line's end (a damaged record that is carried
along) makes ``lengths`` appear in the head, and the bodies follow each other without separators.

Pure. Bounds are part of the contract: a reader refuses more before it unpacks it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cloud.contract.journal import HASH_BYTES, ID_BYTES, link

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

VERSION: Final = 1
MAX_RECORDS: Final = 2_000  # a week of a quiet machine; bounds what one transaction holds
MAX_RAW_BYTES: Final = 4 * 1024 * 1024  # unpacked; a record is some 300 bytes
MAX_BYTES: Final = 1024 * 1024  # packed, head included; brokers often stop there
_MAX_HEAD: Final = 64 * 1024
_TRACE: Final = b"vendd trace 1|"
_LEVEL: Final = 9  # 1 ms for 200 records, and a tenth smaller than the default

HexId = Annotated[str, Field(pattern=rf"^[0-9a-f]{{{2 * ID_BYTES}}}$")]
HexHash = Annotated[str, Field(pattern=rf"^[0-9a-f]{{{2 * HASH_BYTES}}}$")]
Seq = Annotated[int, Field(ge=1, lt=2**63)]
TraceParent = Annotated[str, Field(pattern=r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")]


class BatchError(Exception):
    """Bytes are no batch. ``newer``: of a version that this software does not know."""

    def __init__(self, problem: str, *, newer: bool = False) -> None:
        """Say what is wrong."""
        super().__init__(problem)
        self.newer = newer


class BatchHead(BaseModel):
    """What stands before the bodies; enough to refuse a duplicate without unpacking it."""

    model_config = ConfigDict(frozen=True, extra="allow")

    v: Literal[1] = 1
    journal: HexId
    first: Seq
    count: Annotated[int, Field(ge=1, le=MAX_RECORDS)]
    boots: Annotated[
        tuple[tuple[Seq, Annotated[int, Field(ge=1, le=MAX_RECORDS)]], ...],
        Field(min_length=1, max_length=MAX_RECORDS, description="runs of (boot, records)"),
    ]
    prev: Annotated[HexHash, Field(description="the hash before the first record")]
    last: Annotated[HexHash, Field(description="the hash of the last record")]
    raw: Annotated[int, Field(ge=2, le=MAX_RAW_BYTES, description="bytes when unpacked")]
    lengths: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...] | None,
        Field(description="of each body, when a body holds a line's end"),
    ] = None
    nonce: Annotated[str, Field(max_length=64, description="to be echoed by the ack")] = ""
    trace: Annotated[TraceParent | None, Field(description="W3C trace context")] = None

    @property
    def end(self) -> int:
        """Return the seq of the last record."""
        return self.first + self.count - 1


class Row(NamedTuple):
    """One record as it travels."""

    seq: int
    boot: int
    body: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch whose chain holds from its first record to its last."""

    head: BatchHead
    rows: tuple[Row, ...]


def traceparent(journal: bytes, first: int, nonce: str) -> str:
    """Return the W3C trace context of records from ``first`` on, sent under a nonce.

    The trace is those records', in whatever batch and however often they are sent; the span is the
    one sending. Nobody has to remember it, and it is the same on both sides.
    """
    trace = sha256(_TRACE + journal + first.to_bytes(8, "big")).hexdigest()[:32]
    return f"00-{trace}-{sha256(nonce.encode()).hexdigest()[:16]}-01"


def pack(
    journal: bytes,
    rows: Sequence[tuple[int, int, bytes, bytes]],
    prev: bytes,
    *,
    nonce: str = "",
    trace: str | None = None,
) -> bytes:
    """Pack dense rows ``(seq, boot, body, hash)`` of one journal.

    Raises:
        ValueError: There are none, too many, or they leave a gap.
    """
    if not 0 < len(rows) <= MAX_RECORDS:
        raise ValueError(f"a batch holds 1 to {MAX_RECORDS} records, not {len(rows)}")
    first = rows[0][0]
    if any(row[0] != first + index for index, row in enumerate(rows)):
        raise ValueError("the records of a batch are dense")
    bodies = [row[2] for row in rows]
    in_lines = not any(b"\n" in body for body in bodies)
    raw = (b"\n" if in_lines else b"").join(bodies)
    if len(raw) > MAX_RAW_BYTES:
        raise ValueError(f"{len(raw)} bytes of records are more than {MAX_RAW_BYTES}")
    head = BatchHead(
        journal=journal.hex(),
        first=first,
        count=len(rows),
        boots=tuple((boot, len(list(run))) for boot, run in groupby(row[1] for row in rows)),
        prev=prev.hex(),
        last=rows[-1][3].hex(),
        raw=len(raw),
        lengths=None if in_lines else tuple(len(body) for body in bodies),
        nonce=nonce,
        trace=trace,
    )
    line = head.model_dump_json(exclude_defaults=True).replace("{", '{"v":1,', 1).encode()
    return line + b"\n" + zstd.compress(raw, level=_LEVEL)


def read_head(message: bytes) -> tuple[BatchHead, bytes]:
    """Return a batch's head and its packed bodies, nothing unpacked yet.

    Raises:
        BatchError: It is too large, of a newer version, or no batch at all.
    """
    if len(message) > MAX_BYTES:
        raise BatchError(f"{len(message)} bytes are more than the {MAX_BYTES} of a batch")
    line, newline, _ = message[: _MAX_HEAD + 1].partition(b"\n")
    if not newline:
        raise BatchError(f"no head in the first {_MAX_HEAD} bytes")
    try:
        head = BatchHead.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the head"
        newer = where == "v" and _version(line) > VERSION
        raise BatchError(f"{where}: {first['msg']}", newer=newer) from error
    if sum(run for _, run in head.boots) != head.count:
        raise BatchError(f"boots tell of other than {head.count} records")
    if head.lengths is not None and (
        len(head.lengths) != head.count or sum(head.lengths) != head.raw
    ):
        raise BatchError("lengths do not fit the records")
    return head, message[len(line) + 1 :]


def _version(line: bytes) -> int:
    """Return the version that a head names, or 0."""
    try:
        value = _AnyVersion.model_validate_json(line).v
    except ValidationError:
        return 0
    return value


class _AnyVersion(BaseModel):
    v: int


def journal_named(message: bytes) -> str | None:
    """Return the journal that a message names, whatever else is wrong with it; None: none."""
    try:
        return _AnyOfAJournal.model_validate_json(message[:_MAX_HEAD].partition(b"\n")[0]).journal
    except ValidationError:
        return None


class _AnyOfAJournal(BaseModel):
    journal: HexId


def unpack(message: bytes) -> Batch:
    """Read a batch and recompute its chain.

    Raises:
        BatchError: Anything about it is not right; no part of it may be used.
    """
    head, packed = read_head(message)
    return unpack_bodies(head, packed)


def unpack_bodies(head: BatchHead, packed: bytes) -> Batch:
    """Unpack what ``read_head`` left, and recompute the chain.

    Raises:
        BatchError: As ``unpack``.
    """
    raw = unpacked(head, packed)
    bodies = list(_cut(raw, head.lengths)) if head.lengths is not None else raw.split(b"\n")
    if len(bodies) != head.count:
        raise BatchError(f"{len(bodies)} records, where the head tells of {head.count}")
    journal = bytes.fromhex(head.journal)
    digest = bytes.fromhex(head.prev)
    rows: list[Row] = []
    seq = head.first
    for boot, run in head.boots:
        for body in bodies[len(rows) : len(rows) + run]:
            digest = link(digest, journal, seq, boot, body)
            rows.append(Row(seq, boot, body, digest))
            seq += 1
    if digest.hex() != head.last:
        raise BatchError("the chain from its first to its last record does not hold")
    return Batch(head, tuple(rows))


def unpacked(head: BatchHead, packed: bytes) -> bytes:
    """Return the bodies as they stood side by side; nothing is verified but their length.

    Raises:
        BatchError: They do not unpack to what the head says.
    """
    unpacker = zstd.ZstdDecompressor()
    try:
        raw = unpacker.decompress(packed, max_length=head.raw + 1)
    except zstd.ZstdError as error:
        raise BatchError(f"the records can't be unpacked: {error}") from error
    if len(raw) != head.raw or not unpacker.eof or unpacker.unused_data:
        raise BatchError(f"the records do not unpack to {head.raw} bytes")
    return raw


def _cut(raw: bytes, lengths: Iterable[int]) -> Iterator[bytes]:
    start = 0
    for length in lengths:
        yield raw[start : start + length]
        start += length
