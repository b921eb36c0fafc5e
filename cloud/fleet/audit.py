"""Proving a machine's whole life from what the database holds, or naming the first wrong record.

Nothing that was computed before is believed: each hash is made again from the stored bytes, each
signature checked, and the ledger folded from the first record on. What stands beside the bytes (a
record's columns, the cursor, the balances, the checkpoints' rows) has to say the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.batch import Row as Stored
from cloud.contract.journal import GENESIS, Record, attested, link
from cloud.contract.journal import records as rec
from cloud.contract.messages import MessageError, Signed, read
from cloud.contract.signing import SignatureRefusedError, Verifier
from cloud.contract.topics import Address
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.checkpoints import keys_of
from cloud.fleet.ingest.reading import columns_of, record_of

BIGINT: Final = 2**63 - 1  # what a column holds at most
CHUNK: Final = 2_000

Told = Callable[[int, int], None]  # records checked, records there


@dataclass(slots=True)
class JournalReport:
    """One journal, as far as it is right."""

    journal: str
    follows: str = ""
    records: int = 0
    checkpoints: int = 0
    countersigned: int = 0
    proved: int = 0  # the last record that the fleet has vouched for
    uncertain: int = 0  # records whose time nobody had confirmed
    carried: int = 0  # records that it tells again of an older one


@dataclass(slots=True)
class AuditReport:
    """What was found; ``problem`` is empty when all is well."""

    machine: str
    records: int = 0
    journals: list[JournalReport] = field(default_factory=list)
    problem: str = ""
    journal: str = ""  # where the first wrong record is
    seq: int | None = None  # the first wrong record; None: it is not about one

    @property
    def ok(self) -> bool:
        """Tell whether nothing is wrong."""
        return not self.problem


class WrongError(Exception):
    """Something is not what it was. ``seq``: the first wrong record, or None."""

    def __init__(self, problem: str, seq: int | None = None) -> None:
        """Keep the place beside the words."""
        super().__init__(problem if seq is None else f"record {seq}: {problem}")
        self.seq = seq


async def audit(
    database: FleetDatabase, address: Address, root: bytes, told: Told = lambda _done, _all: None
) -> AuditReport | None:
    """Check everything that is stored of a machine; None when there is no such machine.

    Args:
        database: The fleet's.
        address: Which machine.
        root: The fleet's root key, from a place that is not this database.
        told: Told how far it is, after each piece.
    """
    async with database.reading() as connection:
        machine = (
            await connection.execute(
                select(t.machine).where(
                    t.machine.c.tenant == address.tenant, t.machine.c.name == address.machine
                )
            )
        ).one_or_none()
        if machine is None:
            return None
        report = AuditReport(str(address))
        journals = (
            await connection.execute(
                select(t.journal)
                .where(t.journal.c.machine_id == machine.id)
                .order_by(t.journal.c.id)
            )
        ).all()
        everything = sum(row.next_seq - 1 for row in journals)
        keys = await keys_of(connection, machine.id)
        verifier = Verifier(root, address)
        known = {bytes(row.uid).hex(): row for row in journals}
        for row in journals:
            one = JournalReport(bytes(row.uid).hex())
            report.journals.append(one)
            walk = _Walk(row, one, keys, verifier, known)
            try:
                async for done in walk.run(connection):
                    told(report.records + done, everything)
                if row.id == machine.active_journal:
                    _counts(row)
                    await _balances(connection, machine.id, walk.balances)
            except WrongError as error:
                report.problem = f"journal {one.journal}: {error}"
                report.journal, report.seq = one.journal, error.seq
                report.records += one.records
                return report
            report.records += one.records
    return report


class _Walk:
    """Walks one journal from its first record."""

    def __init__(
        self,
        row: Row[Any],
        report: JournalReport,
        keys: list[bytes],
        verifier: Verifier,
        known: dict[str, Row[Any]],
    ) -> None:
        self.balances: dict[str, int] = {}
        self._row = row
        self._uid = bytes(row.uid)
        self._report = report
        self._keys = keys
        self._verifier = verifier
        self._known = known
        self._seq, self._hash = 0, GENESIS
        self._stated: dict[int, tuple[str, str]] = {}  # seq -> hash, digest of the statement
        self._stated_rows: set[int] = set()
        self._carried: tuple[str, int] = ("", 0)
        self._rows: dict[int, Row[Any]] = {}  # of the table of checkpoints, not met yet

    async def run(self, connection: AsyncConnection) -> AsyncIterator[int]:
        """Check record after record; yields how many, now and then."""
        found = await connection.execute(
            select(t.checkpoint).where(t.checkpoint.c.journal_id == self._row.id)
        )
        self._rows = {row.seq: row for row in found}
        after = 0
        while rows := await self._chunk(connection, after):
            for row in rows:
                self._take(row)
            after = rows[-1].seq
            yield self._report.records
        self._end()

    async def _chunk(
        self, connection: AsyncConnection, after: int, limit: int = CHUNK
    ) -> list[Row[Any]]:
        """Return the next records; all of those that bear the last one's number."""
        query = (
            select(t.record)
            .where(t.record.c.journal_id == self._row.id, t.record.c.seq > after)
            .order_by(t.record.c.seq)
            .limit(limit)
        )
        try:
            rows = (await connection.execute(query)).all()
        except (TypeError, ValueError) as error:  # SQLite keeps anything in any column
            if limit > 1:
                return await self._chunk(connection, after, 1)
            raise WrongError(f"can't be read: {error}", after + 1) from error
        if len(rows) < limit or rows[0].seq == rows[-1].seq:
            return list(rows)
        return [row for row in rows if row.seq < rows[-1].seq]

    def _take(self, row: Row[Any]) -> None:
        seq = self._seq + 1
        if row.seq != seq:
            if row.seq <= self._seq:
                raise WrongError("is stored twice", row.seq)
            raise WrongError(f"is missing; the next one is {row.seq}", seq)
        try:
            body, stored = bytes(row.body), bytes(row.hash)
            digest = link(self._hash, self._uid, seq, row.boot, body)
        except (TypeError, ValueError, OverflowError, AttributeError) as error:
            raise WrongError(f"can't be read: {error}", seq) from error
        if digest != stored:
            raise WrongError("fails its hash", seq)
        record = record_of(Stored(seq, row.boot, body, digest))
        if (row.at_ms, row.type, row.vend) != columns_of(record):
            raise WrongError("its columns are not what its bytes say", seq)
        self._signed(record)
        data = record.data
        if isinstance(data, rec.JournalBegun):
            self._begun(seq, data)
        elif isinstance(data, rec.RecordCarried):
            self._carry(seq, data)
        for account, amount in record.postings:
            self.balances[account] = self.balances.get(account, 0) + amount
        if sum(amount for _, amount in record.postings):
            raise WrongError("its postings do not sum to zero", seq)
        self._report.uncertain += not record.confirmed
        self._report.records += 1
        self._seq, self._hash = seq, digest

    def _begun(self, seq: int, data: rec.JournalBegun) -> None:
        if seq != 1 or data.journal != self._uid.hex():
            raise WrongError(f"begins journal {data.journal}", seq)
        if sum(amount for _, amount in data.inherited):
            raise WrongError("the balances that it inherits do not sum to zero", seq)
        self.balances = dict(data.inherited)
        told = (
            None if self._row.previous_uid is None else bytes(self._row.previous_uid).hex(),
            self._row.previous_seq,
        )
        if told != (data.previous or (None, None)):
            raise WrongError(f"follows {data.previous}, its row says {told}", seq)
        if data.previous is not None:
            self._report.follows = data.previous[0]

    def _carry(self, seq: int, data: rec.RecordCarried) -> None:
        """A record told again: of the journal before this one, in order, behind where they part."""
        self._report.carried += 1
        last = self._carried
        if last[0] == data.journal and data.seq <= last[1]:
            raise WrongError(f"tells record {data.seq} again, behind {last[1]}", seq)
        if data.journal != self._report.follows:
            raise WrongError(f"tells a record of journal {data.journal} again", seq)
        self._carried = data.journal, data.seq

    def _signed(self, record: Record) -> None:
        data, seq = record.data, record.seq
        try:
            if isinstance(data, rec.CheckpointSigned):
                books = {account: n for account, n in self.balances.items() if n}
                told = attested.compare(data, self._uid, self._seq, self._hash, books)
                self._report.checkpoints += 1
                self._stated[told.seq] = told.hash, attested.digest(data.body)
                self._row_of(told, data)
            elif isinstance(data, rec.CheckpointCountersigned):
                # The machine's copy of our own word: who signed it is in there.
                word = attested.word_of(data, self._verifier.root)
                self._word(word.journal, word.seq, word.hash, word.digest)
                if word.seq not in self._stated_rows:
                    raise attested.AttestError(
                        f"the machine holds our word for record {word.seq}, and we do not"
                    )
        except attested.AttestError as error:
            raise WrongError(str(error), seq) from error

    def _row_of(self, told: attested.Statement, data: rec.CheckpointSigned) -> None:
        """Compare our row of a checkpoint with its record; check both signatures."""
        stated = told.seq
        row = self._rows.pop(stated, None)
        known = [key for key in self._keys if attested.signed_by(key, data)]
        if not known and self._keys:
            raise attested.AttestError("the checkpoint is not signed by this machine's key")
        if row is None:
            # Not compared when it came: unadopted, or nobody knew that key. Behind the first of
            # the first key there is no such excuse.
            compared = stated < self._row.projected_seq and self._stated_rows
            if compared and self._keys[-1] in known:
                raise attested.AttestError("our row of the checkpoint is gone")
            return
        stored = bytes(row.body), bytes(row.signature).hex(), row.at_ms
        if stored != (data.body.encode(), data.signature, min(told.at_ms, BIGINT)):
            raise attested.AttestError("our row of the checkpoint is not what its record says")
        self._stated_rows.add(stated)
        if not row.countersignature:
            return
        try:
            word = self._verifier.countersigned(read(Signed, bytes(row.countersignature)))
        except (MessageError, SignatureRefusedError) as error:
            raise attested.AttestError(f"our countersignature: {error}") from error
        self._word(word.journal, word.seq, word.hash, word.checkpoint)
        self._report.countersigned += 1
        self._report.proved = max(self._report.proved, word.seq)

    def _word(self, journal: str, seq: int, digest: str, checkpoint: str) -> None:
        stated = self._stated.get(seq)
        if journal != self._uid.hex() or stated != (digest, checkpoint):
            raise attested.AttestError(
                f"our word is for record {seq} with hash {digest}, the chain has "
                f"{stated[0] if stated else 'no checkpoint there'}"
            )

    def _end(self) -> None:
        last = self._row.next_seq - 1
        if self._seq != last:
            missing = min(self._seq, last) + 1
            raise WrongError(f"the journal ends at {self._seq}, its row says {last}", missing)
        if bytes(self._row.last_hash) != self._hash:
            raise WrongError("its last hash is not what its row says", last)
        if self._rows:
            raise WrongError("there is a checkpoint of it, and no record", min(self._rows) + 1)
        if not self._report.follows and self._row.previous_uid is not None:
            raise WrongError("its row names a journal before it, its first record none", 1)


def _counts(row: Row[Any]) -> None:
    """Check that what a machine's books go on in counts, to its last record."""
    if not row.adopted:
        raise WrongError("its machine's books go on in it, and its row says that it does not count")
    last = row.next_seq - 1
    if row.projected_seq != last:
        raise WrongError(f"the balances hold records to {row.projected_seq}, and it ends at {last}")


async def _balances(connection: AsyncConnection, machine_id: int, folded: dict[str, int]) -> None:
    """Compare the ledger's balances with what all records come to."""
    rows = await connection.execute(
        select(t.balance.c.account, t.balance.c.amount).where(t.balance.c.machine_id == machine_id)
    )
    stored = {row.account: row.amount for row in rows}
    for account in sorted({*stored, *folded}):
        ours, theirs = stored.get(account, 0), folded.get(account, 0)
        if ours != theirs:
            raise WrongError(f"the balance of {account} is {ours}, the records come to {theirs}")
