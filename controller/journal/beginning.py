"""Making a journal: at the first start, or in place of one that is broken.

The new file is complete before the id file names it, so a power cut leaves the old journal or the
new one. The old file stays where it is, untouched. What the fleet does not have of it may be long:
it goes from file to file in pieces.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from controller.clock import Clock
from controller.faults import JournalError
from controller.journal import base as bases
from controller.journal import chain, reader
from controller.journal.database import Access, Database, Statement, Storage, companions
from controller.journal.envelope import Postings, Registry, check_postings, encode_body, to_ms
from controller.journal.errors import (
    DiskError,
    DiskIoError,
    JournalBrokenError,
    JournalNewerError,
    JournalRefusedError,
)
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
from controller.journal.opening import check_identity, distrust, locate, open_reading
from controller.journal.reader import Position, StoredRow
from controller.journal.records import JournalBegun, RecordCarried
from controller.journal.salvage import furthest, last_of_several, looked
from controller.journal.schema import migrate
from controller.journal.wall_label import WallLabel

_FIRST_TOLD: Final = 2  # behind ``journal.begun``
# Records written at once: a sync costs as much as some hundred of them, and memory is a few MiB.
TOLD_AT_ONCE: Final = 4_096
_TO_CHECKPOINT: Final = 8  # pieces: the log beside the new file stays below some 20 MiB
_UNFINISHED: Final = "journal.new"
_ROW: Final = [int, int, bytes, bytes]  # a damaged page may hold anything in its place
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
    backlog: Backlog | None = (
        None  # records that the fleet does not have: told again by the new one
    )


@dataclass(frozen=True, slots=True)
class Backlog:
    """Where the old journal's records stand that the fleet does not have."""

    database: Database  # open
    after: int  # the last record that the fleet has
    good: int  # the last one of the good chain
    before: tuple[bytes, ...]  # what the hash of the record ``after`` may be; none: nobody knows


@dataclass(slots=True)
class Numbers(Mapping[int, int]):
    """Where a record of the old journal stands in the new one, if it verified: old seq to new.

    Up to the last good one they stand without a gap, and keep their distance.
    """

    after: int = 0
    last: int = 0
    wrong: set[int] = field(default_factory=set)  # as many as are damaged

    def __getitem__(self, seq: int) -> int:
        """Return the new number. Raises KeyError."""
        if not self.after < seq <= self.last or seq in self.wrong:
            raise KeyError(seq)
        return seq - self.after - 1 + _FIRST_TOLD

    def __iter__(self) -> Iterator[int]:
        """Yield the old ones, rising."""
        return (seq for seq in range(self.after + 1, self.last + 1) if seq not in self.wrong)

    def __len__(self) -> int:
        """Return how many have a new one."""
        return max(0, self.last - self.after) - len(self.wrong)


async def create(
    storage: Storage,
    *,
    clock: Clock,
    entropy: Entropy,
    boot: BootInfo,
    fold_version: int = 0,
    old: Inheritance | None = None,
    told: Callable[[Mapping[int, int]], bytes | None] | None = None,
    reason: str = "first start",
    by: str = "",
) -> JournalBegun:
    """Make a journal with its first record, switch to it and return what that says.

    ``told`` returns the state that it inherits, when the numbers of what it tells again are known.
    """
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
    await storage.remove(companions(_UNFINISHED))
    database = await storage.open(_UNFINISHED, Access.WRITE)
    try:
        await migrate(database)
        if old is not None:
            numbers = Numbers()
            if old.backlog is not None:
                again = _Again(journal, digest, old, at_ms, mono_ms, confirmed)
                statements = await again.tell(database, statements, old.backlog, numbers)
            state = old.state if told is None else told(numbers)
            statements += _inherited(journal, key, fold_version, old.confirmed_ms, state)
        await database.transaction(statements)
        # Closing would do it too, and would not say when it failed.
        await database.checkpoint(truncate=True)
    finally:
        await database.close()
    await storage.remove(companions(_UNFINISHED)[1:])
    await storage.rename(_UNFINISHED, journal_file(journal))
    await write_witness(storage, Witness(journal, 1))
    return begun


def _inherited(
    journal: bytes,
    key: MachineKey,
    fold_version: int,
    confirmed_ms: int | None,
    state: bytes | None,
) -> Iterable[Statement]:
    if state is not None:
        at = Position(0, 0, chain.GENESIS, confirmed_ms)
        yield bases.saving(bases.signed(key, journal, at, fold_version, state))


@dataclass(slots=True)
class _Again:
    """Writes the records that the fleet does not have into the new journal, inside its own.

    Their postings are in the balances that the first record tells, so these post nothing.
    """

    journal: bytes
    digest: bytes
    old: Inheritance
    at_ms: int
    mono_ms: int
    confirmed: bool
    number: int = _FIRST_TOLD

    async def tell(
        self, database: Database, first: list[Statement], backlog: Backlog, numbers: Numbers
    ) -> list[Statement]:
        """Write them behind the first statements; returns those that are still to be written."""
        statements, pieces = list(first), 0
        numbers.after, numbers.last = backlog.after, backlog.good
        async for row, verified in _judged(self.old.journal, backlog):
            if row[0] <= backlog.good and not verified:
                numbers.wrong.add(row[0])
            statements.append(self._statement(row, verified=verified))
            if len(statements) >= TOLD_AT_ONCE:
                await database.transaction(statements)
                statements, pieces = [], pieces + 1
                if pieces % _TO_CHECKPOINT == 0:
                    await database.checkpoint()
        # Behind the last one that could be read there is none to be known by.
        numbers.last = min(numbers.last, numbers.after + self.number - _FIRST_TOLD)
        return statements

    def _statement(self, row: StoredRow, *, verified: bool) -> Statement:
        seq, boot, body, _ = row
        data = RecordCarried(
            journal=self.old.journal.hex(),
            seq=seq,
            boot=boot,
            body=body.decode("utf-8", "replace"),
            verified=verified,
        )
        raw = encode_body(
            data,
            at_ms=self.at_ms,
            confirmed=self.confirmed,
            mono_ms=self.mono_ms,
            vend=None,
            postings=(),
        )
        self.digest = chain.link(self.digest, self.journal, self.number, 1, raw)
        made = self.number, raw, self.digest
        self.number += 1
        return "INSERT INTO record (seq, boot, body, hash) VALUES (?, 1, ?, ?)", made


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
    whole: bool = False,
) -> JournalBegun:
    """Begin a new journal in place of the one that is there, and return its first record.

    The old one must be closed. Whatever of it can be read and verified becomes the new one's
    base through ``fold.inherit``; its readable records that the fleet has not acknowledged become
    records of the new one, those behind the broken one too (marked as not verified).

    With ``fork`` the old one is whole, and the fleet holds another chain behind that record: what
    this machine wrote behind it becomes records of the new journal, once.

    With ``whole`` nobody stands before it: everything that the old one's machine knew is inherited,
    or none is begun. What its newest snapshot stands behind may be damaged.

    Raises:
        JournalNewerError: A newer software pruned the old one: this one would lose all of it.
        JournalError: The new one can't be written, or nobody could look at the old one; with
            ``whole`` also: the old one can't be used as it is.
    """
    known = await _look(storage, fold, registry) if whole else 0
    old = await _read_old(storage, fold, registry, fork)
    if whole and (old is None or old.backlog is None or old.backlog.good < known):
        if old is not None and old.backlog is not None:
            await old.backlog.database.close()
        raise JournalBrokenError("what it knew could not be read once more")

    def told(numbers: Mapping[int, int]) -> bytes | None:
        if old is None or old.state is None:
            return None
        state = fold.decode(old.state, fold.version)
        fold.told_again(state, old.journal.hex(), numbers)
        return state.encode()

    try:
        return await create(
            storage,
            clock=clock,
            entropy=entropy,
            boot=boot,
            fold_version=fold.version,
            old=old,
            told=told,
            reason=reason,
            by=by,
        )
    finally:
        if old is not None and old.backlog is not None:
            await old.backlog.database.close()


async def _look(storage: Storage, fold: Fold[S], registry: Registry) -> int:
    """Return how far a start could read the journal that is there. Raises JournalError."""
    opened = await open_reading(storage, fold, registry)
    if opened is None:
        return 0
    await opened.database.close()
    return opened.folded.at.seq


async def _read_old(
    storage: Storage, fold: Fold[S], registry: Registry, fork: int | None
) -> Inheritance | None:
    try:
        located = await locate(storage)
    except JournalRefusedError:
        witness = await read_witness(storage)
        if witness is not None:
            return Inheritance(witness.journal, 0, None, None, ())
        journal = await last_of_several(storage, fold, registry)
    else:
        journal = None if located is None else located[0]
    if journal is None:
        return None
    found = await looked(lambda: _read_one(storage, journal, fold, registry, fork))
    return found or Inheritance(journal, 0, None, None, ())


async def _read_one(
    storage: Storage, journal: bytes, fold: Fold[S], registry: Registry, fork: int | None
) -> Inheritance:
    database = await storage.open(journal_file(journal), Access.READ)
    try:
        with distrust():
            return await _inherit(database, storage, journal, fold, registry, fork)
    except BaseException:
        await database.close()
        raise


async def _inherit(
    database: Database,
    storage: Storage,
    journal: bytes,
    fold: Fold[S],
    registry: Registry,
    fork: int | None,
) -> Inheritance:
    problem: JournalError | None = None
    key = await read_key(storage)
    try:
        acked = await check_identity(database, journal)
    except JournalNewerError:
        raise
    except (JournalRefusedError, DiskIoError) as error:  # of another one nothing is verified
        problem, acked = error, await _acked(database, journal, key)
    last, confirmed_ms, state = 0, None, None
    balances: Postings = ()
    folded = await furthest(database, journal, key, fold, registry)
    if problem is not None and (folded is None or not folded.at.seq):
        raise problem
    if folded is not None and folded.at.seq:
        last, confirmed_ms = folded.at.seq, folded.at.confirmed_ms
        inherited = fold.inherit(folded.state)
        if fork is not None:
            fold.forked(inherited)
        state, balances = inherited.encode(), fold.balances(inherited)
    after = acked
    if fork is not None:  # a whole journal: what it has dropped of this the fleet has had
        after = await _dropped(database, journal, key, fork)
    before = (chain.GENESIS,) if after == 0 else await _hashes_of(database, journal, after)
    backlog = Backlog(database, after, last, before)
    return Inheritance(
        journal, last if fork is None else fork, confirmed_ms, state, balances, backlog
    )


async def _acked(database: Database, journal: bytes, key: MachineKey | None) -> int:
    """Return how far the fleet has a journal whose schema or small tables are damaged.

    A snapshot perhaps: that damages no record, and each of these, and what is pruned, is checked by
    itself. Where nobody can say, all of it is told again, but what was pruned: that the fleet has.
    """
    pruned = 0
    with suppress(JournalError), distrust():
        base = await bases.load(database, journal, key)
        pruned = 0 if base is None else base.at.seq
    try:
        with distrust():
            ((found, acked),) = await database.query("SELECT id, acked_seq FROM journal")
    except (JournalBrokenError, DiskIoError):
        return pruned
    return max(acked, pruned) if found == journal and type(acked) is int else pruned


async def _dropped(database: Database, journal: bytes, key: MachineKey | None, fork: int) -> int:
    """Return the last record behind a fork that is there no more; the fork itself: none is gone."""
    try:
        rows = await reader.rows_after(database, fork, 1)
    except DiskError:  # the first that is there is damaged, and told of as such
        base = await bases.load(database, journal, key)
        return fork if base is None else max(fork, base.at.seq)
    return rows[0][0] - 1 if rows else fork


async def _hashes_of(database: Database, journal: bytes, seq: int) -> tuple[bytes, ...]:
    """Return a record's hash as it stands there, and as the one before makes it; what is known."""
    row, before = await _row_of(database, seq), await _row_of(database, seq - 1)
    if row is not None:
        return (row[3],) if before is None else (row[3], chain.link(before[3], journal, *row[:3]))
    try:
        with distrust():
            rows = await database.query("SELECT hash FROM base WHERE seq = ?", (seq,))
    except JournalError:
        return ()
    return (rows[0][0],) if rows and type(rows[0][0]) is bytes else ()


async def _row_of(database: Database, seq: int) -> StoredRow | None:
    with suppress(JournalError), distrust():
        return await reader.row_at(database, seq)
    return None


async def _judged(journal: bytes, backlog: Backlog) -> AsyncIterator[Carried]:
    """Yield every record behind what the fleet has, each with whether its hash is right.

    Up to the last good one without a gap, so that their new numbers keep the distance of the old
    ones: in place of one that can't be read an empty one. A snapshot may stand behind a damaged
    record, and what is right there counts in the balances. Behind one whose hash is not right
    either its bytes are damaged or that hash: what follows the one or the other is right.
    """
    seq, last, before = backlog.after, backlog.good, backlog.before
    async for row in _readable(backlog.database, seq, last):
        number, boot, body, stored = row
        while seq + 1 < min(number, last + 1):
            seq, before = seq + 1, ()
            yield (seq, 1, b"", b""), False
        made = [chain.link(digest, journal, number, boot, body) for digest in before]
        chained = not made or stored in made
        yield row, number <= last and chained
        seq, before = number, (stored,) if chained else (stored, made[0])


async def _readable(database: Database, after: int, good: int) -> AsyncIterator[StoredRow]:
    """Yield every row behind ``after`` that can be read, across damaged pages, each seq once.

    A damaged page may hold what another page holds as well, or an older state of itself. Where one
    hides the last row it ends as far behind ``good``, or what was read last, as one look reaches.
    """
    reach = 0
    try:
        last = await reader.last_seq(database)
    except DiskError:
        reach = reader.CHUNK
        last = max(after, good) + reach
    seq, yielded = after, after
    while seq < last:
        try:
            rows = await reader.rows_after(database, seq)
        except DiskError:
            end = min(seq + reader.CHUNK, last)
            rows = await _one_by_one(database, seq, end)
            seq = end if rows else await _before_next(database, end)
        else:
            read = max((row[0] for row in rows), default=seq)
            if read <= seq:
                break
            seq = read
        for row in _in_order(rows):
            if row[0] > yielded:
                yielded = row[0]
                yield row
        if reach:
            last = max(last, yielded + reach)


def _in_order(rows: Sequence[StoredRow]) -> list[StoredRow]:
    """Return what is a row at all, each seq once, rising."""
    found: dict[int, StoredRow] = {}
    for row in rows:
        if [type(value) for value in row] == _ROW:
            found.setdefault(row[0], row)
    return [found[seq] for seq in sorted(found)]


async def _before_next(database: Database, seq: int) -> int:
    """Return the number before the next row's: a damaged one may be a million further on.

    ``seq``: there is none, or what it is can't be read.
    """
    try:
        ((found,),) = await database.query("SELECT min(seq) FROM record WHERE seq > ?", (seq,))
    except DiskError:
        return seq
    return seq if found is None else int(found) - 1


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
