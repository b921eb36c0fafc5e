"""Between a fold and its tables: load what a machine's rows say, write those that changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BindParameter, Boolean, Column, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase, Upsert, Write
from cloud.fleet.projections import answers, questions
from cloud.fleet.projections.fitting import fitted as _fitted
from cloud.fleet.projections.fold import Claim, ClaimKey, Fold, Raised, Saga, Shelf, values_of

_KEYS: Final = ("journal_id", "machine_id")
_SAGA: Final = [column for column in t.saga.columns if column.name not in _KEYS]
_CLAIM: Final = [column for column in t.claim.columns if column.name not in _KEYS]
_OF_MACHINE: Final[BindParameter[int]] = bindparam("of_machine")

_BALANCES: Final = select(t.balance.c.account, t.balance.c.amount).where(
    t.balance.c.machine_id == _OF_MACHINE
)
_SAGAS: Final = select(*_SAGA).where(
    t.saga.c.journal_id == bindparam("of_journal"), t.saga.c.closed_ms.is_(None)
)
_SHELVES: Final = select(
    t.stock.c.column, t.stock.c.product, t.stock.c.price, t.stock.c.count, t.stock.c.disabled
).where(t.stock.c.machine_id == _OF_MACHINE)
_CLAIMS: Final = (
    select(t.journal.c.uid, t.claim.c.journal_id, *_CLAIM)
    .join(t.journal, t.journal.c.id == t.claim.c.journal_id)
    .where(t.claim.c.machine_id == _OF_MACHINE, t.claim.c.closed_ms.is_(None))
)
_FAULTS: Final = select(
    t.fault.c.part,
    t.fault.c.code,
    t.fault.c.detail,
    t.fault.c.raised_ms,
    t.fault.c.journal,
    t.fault.c.seq,
).where(t.fault.c.machine_id == _OF_MACHINE)


async def load(
    database: FleetDatabase, connection: AsyncConnection, machine_id: int, journal_id: int
) -> Fold:
    """Return the fold of one machine as its tables stand."""
    machine = {"of_machine": machine_id}
    balances = await database.read(connection, _BALANCES, machine)
    sagas = await database.read(connection, _SAGAS, {"of_journal": journal_id})
    shelves = await database.read(connection, _SHELVES, machine)
    claims: dict[ClaimKey, Claim] = {}
    for uid, of_journal, *rest in await database.read(connection, _CLAIMS, machine):
        claim = Claim(**_told(_CLAIM, rest), journal_id=of_journal)
        claims["" if of_journal == journal_id else bytes(uid).hex(), claim.seq] = claim
    faults = await database.read(connection, _FAULTS, machine)
    return Fold(
        balances=dict(balances),
        sagas={saga.vend: saga for saga in (Saga(**_told(_SAGA, row)) for row in sagas)},
        shelves={column: Shelf(*rest) for column, *rest in shelves},
        claims=claims,
        faults={(part, code): Raised(*rest) for part, code, *rest in faults},
    )


def _told(columns: list[Column[Any]], row: Sequence[Any]) -> dict[str, Any]:
    """Return a row by name; truth values are such on both databases."""
    return {
        column.name: bool(value) if isinstance(column.type, Boolean) else value
        for column, value in zip(columns, row, strict=True)
    }


async def save(
    database: FleetDatabase,
    connection: AsyncConnection,
    fold: Fold,
    machine_id: int,
    journal_id: int,
    *,
    kept: bool = False,
) -> None:
    """Write the rows that changed since the fold was loaded or saved.

    Whoever passes ``kept`` writes the token of the fold that it keeps (``ingest.folds``); what
    others keep ends here.
    """
    changed = fold.changed
    whose: dict[str, Any] = {"journal_id": journal_id, "machine_id": machine_id}
    if changed.restart:
        await connection.execute(delete(t.balance).where(t.balance.c.machine_id == machine_id))
        # What was open in the journal before this one goes on as credit and claims of this one.
        await connection.execute(
            update(t.saga)
            .where(t.saga.c.machine_id == machine_id, t.saga.c.closed_ms.is_(None))
            .values(result="inherited", closed_ms=t.saga.c.opened_ms)
        )
    if not kept:
        await end_kept(connection, machine_id)
    if changed.currency:
        await connection.execute(
            update(t.machine).where(t.machine.c.id == machine_id).values(currency=changed.currency)
        )
    for at_ms, result in changed.results:
        await answers.take(connection, fold, machine_id, journal_id, at_ms, result)
    for asked in changed.asked:
        await questions.keep(database, connection, machine_id, bytes.fromhex(fold.journal), asked)
    for journal, seq in changed.granted:
        await questions.given(connection, bytes.fromhex(journal), seq)
    for letter in changed.dead:
        await _save_letter(connection, {**whose, **values_of(letter)})
    await _save_revisions(connection, fold, machine_id)
    await database.write(
        connection,
        [
            _upsert(
                t.balance,
                [
                    {
                        "machine_id": machine_id,
                        "account": account,
                        "amount": fold.balances.get(account, 0),
                    }
                    for account in sorted(changed.balances)
                ],
            ),
            _upsert(t.saga, [{**whose, **values_of(saga)} for saga in changed.sagas.values()]),
            _upsert(
                t.stock,
                [
                    {"machine_id": machine_id, "column": column, **values_of(fold.shelves[column])}
                    for column in sorted(changed.shelves)
                ],
            ),
            _upsert(
                t.claim,
                [
                    {**whose, **values_of(claim), "journal_id": claim.journal_id or journal_id}
                    for claim in changed.claims.values()
                ],
            ),
            *_faults(fold, machine_id),
            Write(
                _REVIEW,
                [_fitted(t.review, {**whose, **values_of(each)}) for each in changed.reviews],
            ),
            Write(
                _REFUND,
                [_fitted(t.refund, {**whose, **values_of(each)}) for each in changed.refunds],
            ),
        ],
    )


async def _save_revisions(connection: AsyncConnection, fold: Fold, machine_id: int) -> None:
    """Note how the machine fared with each revision; one that it was told otherwise is not here."""
    for told in fold.changed.revisions:
        await connection.execute(
            update(t.desired)
            .where(t.desired.c.machine_id == machine_id, t.desired.c.revision == told.revision)
            .values(
                _fitted(
                    t.desired,
                    {
                        "outcome": told.outcome,
                        "detail": told.detail,
                        "ended_ms": told.ended_ms,
                    },
                )
            )
        )


async def end_kept(connection: AsyncConnection, machine_id: int) -> None:
    """Make whoever keeps a fold of this machine load it again; holds up ingest until we are done.

    A batch that waits for that looks again which of its journals is in use: see ``cursor.locked``.
    """
    await connection.execute(
        update(t.journal).where(t.journal.c.machine_id == machine_id).values(folded="")
    )


_HEALED: Final = delete(t.fault).where(
    t.fault.c.machine_id == bindparam("of_machine"),
    t.fault.c.part == bindparam("of_part"),
    t.fault.c.code == bindparam("of_code"),
)


_REVIEW: Final = insert(t.review)
_REFUND: Final = insert(t.refund)


def _faults(fold: Fold, machine_id: int) -> list[Write | Upsert]:
    faults = fold.changed.faults.items()
    healed = [
        {"of_machine": machine_id, "of_part": part, "of_code": code}
        for (part, code), fault in faults
        if fault is None
    ]
    raised = [
        {"machine_id": machine_id, "part": part, "code": code, **values_of(fault)}
        for (part, code), fault in faults
        if fault is not None
    ]
    return [Write(_HEALED, healed), _upsert(t.fault, raised)]


def _upsert(table: Any, rows: list[dict[str, Any]]) -> Upsert:
    return Upsert(table, [_fitted(table, row) for row in rows])


async def _save_letter(connection: AsyncConnection, values: dict[str, Any]) -> None:
    """Note a record that is not understood; one letter for each, however often it is folded."""
    letter = t.dead_letter
    fitting = _fitted(letter, values)
    known = await connection.execute(
        update(letter)
        .where(letter.c.journal_id == fitting["journal_id"], letter.c.seq == fitting["seq"])
        .values(reason=fitting["reason"], replayed_ms=None)
    )
    if not known.rowcount:
        await connection.execute(insert(letter).values(fitting))


async def forget(connection: AsyncConnection, machine_id: int, now_ms: int) -> None:
    """Delete all that was projected for a machine, to be made again.

    Its letters count as replayed, until the fold meets their records and does not understand them.
    """
    await end_kept(connection, machine_id)
    for table in t.PROJECTIONS:
        await connection.execute(delete(table).where(table.c.machine_id == machine_id))
    await connection.execute(
        update(t.dead_letter)
        .where(
            t.dead_letter.c.machine_id == machine_id,
            t.dead_letter.c.seq.is_not(None),
            t.dead_letter.c.replayed_ms.is_(None),
        )
        .values(replayed_ms=now_ms)
    )
