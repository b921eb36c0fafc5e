"""Making a journal: at the first start, or in place of one that is broken.

The new file is complete before the id file names it, so a power cut leaves the old journal or the
new one. The old file stays where it is, untouched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from controller.clock import Clock
from controller.faults import JournalError
from controller.journal import base as bases
from controller.journal import chain, reader
from controller.journal.database import Access, Database, Statement, Storage, companions
from controller.journal.envelope import Postings, Registry, check_postings, encode_body, to_ms
from controller.journal.errors import DiskError, JournalRefusedError
from controller.journal.fold import Fold, S
from controller.journal.identity import (
    Entropy,
    MachineKey,
    Witness,
    journal_file,
    make_key,
    read_key,
    read_witness,
    write_witness,
)
from controller.journal.opening import (
    Folded,
    check_identity,
    distrust,
    fold_start,
    fold_tail,
    locate,
)
from controller.journal.reader import Position, StoredRow
from controller.journal.records import JournalBegun
from controller.journal.records_link import RecordCarried
from controller.journal.schema import migrate
from controller.journal.wall_label import WallLabel

_FIRST_TOLD: Final = 2  # behind ``journal.begun``
_UNFINISHED: Final = "journal.new"
Carried = tuple[StoredRow, bool]  # a row of the old journal, and whether it verified


@dataclass(frozen=True, slots=True)
class BootInfo:
    """Who is starting."""

    machine: str
    currency: str
    software: str
    config_digest: str
    built: datetime  # when the software was built: time's floor
    system_boot: str = ""  # the kernel's boot id; tells a restart from a power cut


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What could be read of the old journal."""

    journal: bytes
    last_seq: int  # of its good chain
    confirmed_ms: int | None
    state: bytes | None  # what the new journal inherits, encoded
    balances: Postings  # of that state
    carried: tuple[Carried, ...]  # records that the fleet does not have: told again by the new one


async def create(
    storage: Storage,
    *,
    clock: Clock,
    entropy: Entropy,
    boot: BootInfo,
    fold_version: int = 0,
    old: Inheritance | None = None,
    reason: str = "first start",
    by: str = "",
) -> bytes:
    """Make a journal with its first record, switch to it and return its id."""
    key = await read_key(storage) or await make_key(storage, entropy)
    journal = entropy(chain.ID_BYTES)
    begun = JournalBegun(
        journal=journal.hex(),
        machine=boot.machine,
        currency=boot.currency,
        previous=None if old is None else (old.journal.hex(), old.last_seq),
        reason=reason,
        by=by,
        inherited=old.balances if old else (),
    )
    label = WallLabel(built_ms=to_ms(boot.built), confirmed_ms=old.confirmed_ms if old else None)
    mono_ms = int(clock.monotonic_s() * 1000)
    at_ms, confirmed = label.stamp(to_ms(clock.wall_utc()), mono_ms)
    postings = begun.postings()
    check_postings(begun.type, postings)
    body = encode_body(
        begun, at_ms=at_ms, confirmed=confirmed, mono_ms=mono_ms, vend=None, postings=postings
    )
    digest = chain.link(chain.GENESIS, journal, 1, 1, body)
    statements: list[Statement] = [
        ("INSERT INTO journal (one, id) VALUES (1, ?)", (journal,)),
        ("INSERT INTO record (seq, boot, body, hash) VALUES (1, 1, ?, ?)", (body, digest)),
    ]
    if old is not None:
        statements += _told_again(journal, digest, old, at_ms, mono_ms, confirmed=confirmed)
        statements += _inherited(journal, key, fold_version, old)
    await storage.remove(companions(_UNFINISHED))
    database = await storage.open(_UNFINISHED, Access.WRITE)
    try:
        await migrate(database)
        await database.transaction(statements)
        # Closing would do it too, and would not say when it failed.
        await database.checkpoint(truncate=True)
    finally:
        await database.close()
    await storage.remove(companions(_UNFINISHED)[1:])
    await storage.rename(_UNFINISHED, journal_file(journal))
    await write_witness(storage, Witness(journal, 1))
    return journal


def _inherited(
    journal: bytes, key: MachineKey, fold_version: int, old: Inheritance
) -> Iterable[Statement]:
    if old.state is not None:
        at = Position(0, 0, chain.GENESIS, old.confirmed_ms)
        yield bases.saving(bases.signed(key, journal, at, fold_version, old.state))


def _told_again(
    journal: bytes, digest: bytes, old: Inheritance, at_ms: int, mono_ms: int, *, confirmed: bool
) -> Iterable[Statement]:
    """Write the records that the fleet does not have into the new journal, inside its own.

    Their postings are in the balances that the first record tells, so these post nothing.
    """
    for index, ((seq, boot, body, _), verified) in enumerate(old.carried):
        data = RecordCarried(
            journal=old.journal.hex(),
            seq=seq,
            boot=boot,
            body=body.decode("utf-8", "replace"),
            verified=verified,
        )
        number = _FIRST_TOLD + index
        raw = encode_body(
            data, at_ms=at_ms, confirmed=confirmed, mono_ms=mono_ms, vend=None, postings=()
        )
        digest = chain.link(digest, journal, number, 1, raw)
        yield (
            "INSERT INTO record (seq, boot, body, hash) VALUES (?, 1, ?, ?)",
            (number, raw, digest),
        )


async def _behind(storage: Storage, seq: int) -> tuple[Carried, ...]:
    """Return the rows of the journal in use behind ``seq``."""
    located = await locate(storage)
    assert located is not None, "its records were just read"
    database = await storage.open(journal_file(located[0]), Access.READ)
    try:
        return tuple((row, True) for row in await _readable(database, seq))
    finally:
        await database.close()


async def begin_new(
    storage: Storage,
    *,
    fold: Fold[S],
    registry: Registry,
    clock: Clock,
    entropy: Entropy,
    boot: BootInfo,
    reason: str,
    by: str = "",
    fork: int | None = None,
) -> bytes:
    """Begin a new journal in place of the one that is there, and return its id.

    The old one must be closed. Whatever of it can be read and verified becomes the new one's
    base through ``fold.inherit``; its readable records that the fleet has not acknowledged become
    records of the new one, those behind the broken one too (marked as not verified).

    With ``fork`` the old one is whole, and the fleet holds another chain behind that record: what
    this machine wrote behind it becomes records of the new journal, once.
    """
    old = await _read_old(storage, fold, registry, forked=fork is not None)
    if old is not None and fork is not None:
        old = replace(old, last_seq=fork, carried=await _behind(storage, fork))
    if old is not None and old.state is not None:
        state = fold.decode(old.state, fold.version)
        numbers = {
            row[0]: _FIRST_TOLD + index
            for index, (row, verified) in enumerate(old.carried)
            if verified
        }
        fold.told_again(state, old.journal.hex(), numbers)
        old = replace(old, state=state.encode())
    return await create(
        storage,
        clock=clock,
        entropy=entropy,
        boot=boot,
        fold_version=fold.version,
        old=old,
        reason=reason,
        by=by,
    )


async def _read_old(
    storage: Storage, fold: Fold[S], registry: Registry, *, forked: bool
) -> Inheritance | None:
    try:
        located = await locate(storage)
    except JournalRefusedError:
        witness = await read_witness(storage)
        return Inheritance(witness.journal, 0, None, None, (), ()) if witness else None
    if located is None:
        return None
    journal, _ = located
    nothing = Inheritance(journal, 0, None, None, (), ())
    try:
        database = await storage.open(journal_file(journal), Access.READ)
    except DiskError:
        return nothing
    try:
        with distrust():
            return await _inherit(database, storage, journal, fold, registry, forked=forked)
    except JournalError:
        return nothing
    finally:
        await database.close()


async def _inherit(
    database: Database,
    storage: Storage,
    journal: bytes,
    fold: Fold[S],
    registry: Registry,
    *,
    forked: bool,
) -> Inheritance:
    acked = await check_identity(database, journal)
    key = await read_key(storage)
    folded: Folded[S] | None = None
    last, confirmed_ms, state = 0, None, None
    balances: Postings = ()
    try:
        folded, _, _ = await fold_start(database, journal, key, fold)
        await fold_tail(database, journal, registry, folded)
    except JournalRefusedError:
        pass  # what is wrong with it is known; ``folded`` stands at its last good record
    if folded is not None and folded.at.seq:
        last, confirmed_ms = folded.at.seq, folded.at.confirmed_ms
        inherited = fold.inherit(folded.state)
        if forked:
            fold.forked(inherited)
        state, balances = inherited.encode(), fold.balances(inherited)
    before = None if acked == 0 else await _hash_of(database, acked)
    rows = await _readable(database, acked)
    carried = tuple(_judged(journal, rows, acked, last, before))
    return Inheritance(journal, last, confirmed_ms, state, balances, carried)


async def _hash_of(database: Database, seq: int) -> bytes | None:
    try:
        row = await reader.row_at(database, seq)
    except DiskError:
        return None
    return None if row is None else row[3]


def _judged(
    journal: bytes, rows: Sequence[StoredRow], after: int, last: int, before: bytes | None
) -> Iterator[Carried]:
    """Yield every record behind ``after``, each with whether its hash is right.

    Up to ``last`` without a gap, so that their new numbers keep the distance of the old ones: in
    place of one that can't be read an empty one. A snapshot may stand behind a damaged record,
    and what is right there counts in the balances.
    """
    digest = chain.GENESIS if after == 0 else before
    seq = after
    for row in rows:
        number, boot, body, stored = row
        while seq + 1 < min(number, last + 1):
            seq, digest = seq + 1, None
            yield (seq, 1, b"", b""), False
        chained = digest is None or chain.link(digest, journal, number, boot, body) == stored
        yield row, number <= last and chained
        seq, digest = number, stored if chained else None


async def _readable(database: Database, after: int) -> Sequence[StoredRow]:
    """Return every row behind ``after`` that can be read, across damaged pages, each seq once.

    A damaged page may hold what another page holds as well, or an older state of itself.
    """
    found: dict[int, StoredRow] = {}
    try:
        last = await reader.last_seq(database)
    except DiskError:
        last = after + reader.CHUNK
    seq = after
    while seq < last:
        try:
            rows = await reader.rows_after(database, seq)
        except DiskError:
            rows = await _one_by_one(database, seq, min(seq + reader.CHUNK, last))
            seq = min(seq + reader.CHUNK, last)
        else:
            read = max((row[0] for row in rows), default=seq)
            if read <= seq:
                break
            seq = read
        for row in rows:
            found.setdefault(row[0], row)
    return [found[seq] for seq in sorted(found) if seq > after]


async def _one_by_one(database: Database, after: int, last: int) -> list[StoredRow]:
    found: list[StoredRow] = []
    for seq in range(after + 1, last + 1):
        try:
            row = await reader.row_at(database, seq)
        except DiskError:
            continue
        if row is not None:
            found.append(row)
    return found
