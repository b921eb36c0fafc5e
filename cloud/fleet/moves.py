"""Claims that are keyed in elsewhere: closed at their own machine first, then granted where asked.

A machine may honour its claims without a network at any time. So whoever asks for one elsewhere
gets it only when its own machine has closed it as *moved*: from then on the fleet holds it, and
every machine of its tenant asks the fleet, that one as well. A grant is taken or it is not, and the
machine's own record says which; until then nobody else gets it. One that was not taken leaves the
claim held, and owed.

Everything here can be done again at any moment, by several processes: what was decided is kept
before it is sent, a command's id comes of the question, each change of a row says what it found.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

import structlog
from pydantic import ValidationError
from sqlalchemy import and_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.batch import Row
from cloud.contract.commands import ClaimAnswer, ClaimClose, Outcome
from cloud.contract.journal import records as rec
from cloud.contract.messages import MessageError
from cloud.contract.topics import Address
from cloud.fleet import alerts
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.reading import record_of
from cloud.fleet.orders import DEFAULT_LIFE_MS, OrderRefusedError, machine_id_of, send
from cloud.fleet.projections.answers import MOVES
from cloud.fleet.projections.episodes import of_claim
from cloud.fleet.projections.fitting import fitted
from cloud.fleet.projections.questions import GIVEN, MAX_WAIT_MS
from cloud.fleet.reported import reported
from cloud.fleet.signatory import Signatory
from cloud.fleet.signer import SignerError

log = structlog.get_logger("vendcloud")

ISSUER: Final = "claims elsewhere"
ANSWERS: Final = "claim-answer-"  # begins the ids of answers
# A customer is told that it will not be now before the own machine's patience has ended.
ENDS_MS: Final = 6_000
LEAST_MS: Final = 1_500  # an answer takes so long to come
# A machine takes a grant while its customer waits, and never later: it says so even when it was
# away. Only what has ended by then, whatever its clock and ours say, is not under way any more.
SURELY_MS: Final = 60_000
APART_MS: Final = 3_600_000
_DAY_MS: Final = 86_400_000
_NOT_TAKEN: Final = (Outcome.REFUSED.value, Outcome.EXPIRED.value)

_Q = t.claim_question.c
_M = t.claim_move.c
_C = t.claim.c


class _MeanwhileError(Exception):
    """Another process has answered; what was noted here is undone."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a machine is told."""

    word: str
    amount: int = 0
    tender: str = "cash"
    machine: str = ""


@dataclass(frozen=True, slots=True)
class _Close:
    """What the claim's own machine is asked first."""

    id: str
    address: Address
    args: dict[str, Any]


class Moves:
    """Answers questions, and watches over what was granted.

    Args:
        database: Where they are.
        signer: Signs the commands.
    """

    def __init__(self, database: FleetDatabase, signer: Signatory) -> None:
        self._database = database
        self._signer = signer
        self._alone = asyncio.Lock()  # several ways in, in one process

    async def look(self, now_ms: int) -> None:
        """Go on with each question and each grant as far as it can be; nothing waits here."""
        async with self._alone:
            await self._look_at_grants(now_ms)
            query = (
                select(t.claim_question, t.machine.c.tenant, t.machine.c.name)
                .join(t.machine, t.machine.c.id == _Q.machine_id)
                .where(_Q.sent.is_(False))
                .order_by(_Q.until_ms)
            )
            async with self._database.reading() as reading:
                open_ones = (await reading.execute(query)).all()
            for asked in open_ones:
                try:
                    await self._go_on(asked, now_ms)
                except _MeanwhileError:
                    continue
                except SignerError as error:
                    log.warning("claim.not_signed", machine=asked.name, error=str(error))
                except (OrderRefusedError, MessageError, ValidationError) as error:
                    # The same each time; every other machine's commands would wait for it.
                    log.warning("claim.not_answered", machine=asked.name, error=str(error))
                    await self._too_late(asked)

    # ------------------------------------------------------------------------------ questions

    async def _go_on(self, asked: Any, now_ms: int) -> None:
        word, args = asked.answer, asked.args
        if word == GIVEN:
            await self._given(asked, now_ms)
            return
        if asked.until_ms > now_ms + MAX_WAIT_MS:
            await self._ends_by(asked, now_ms + MAX_WAIT_MS)  # its clock is ahead of ours
            return
        if asked.until_ms - LEAST_MS <= now_ms:
            await self._too_late(asked)
            return
        if not word:
            async with self._database.writing() as connection:
                decided = await self._decided(connection, asked, now_ms)
                if isinstance(decided, _Answer):
                    word, args = decided.word, _args(asked, decided)
                    noted = await connection.execute(
                        update(t.claim_question)
                        .where(*_which(asked), _Q.answer == "")
                        .values(answer=word, args=args)
                    )
                    if not noted.rowcount:
                        raise _MeanwhileError
            if isinstance(decided, _Close):
                life_ms = asked.until_ms - now_ms
                kind = ClaimClose.kind
                await self._once(decided.address, kind, decided.args, decided.id, now_ms, life_ms)
        if word:
            life_ms = DEFAULT_LIFE_MS if word == "granted" else asked.until_ms - now_ms
            address, kind = Address(asked.tenant, asked.name), ClaimAnswer.kind
            await self._once(address, kind, json.loads(args), _answer_id(asked), now_ms, life_ms)
            async with self._database.writing() as connection:
                await connection.execute(
                    # Its machine may have told meanwhile that it gave it: still to be noted.
                    update(t.claim_question)
                    .where(*_which(asked), _Q.answer == word)
                    .values(sent=True)
                )
            log.info("claim.answered", machine=asked.name, asked=asked.seq, answer=word)

    async def _ends_by(self, asked: Any, until_ms: int) -> None:
        async with self._database.writing() as connection:
            await connection.execute(
                update(t.claim_question).where(*_which(asked)).values(until_ms=until_ms)
            )

    async def _given(self, asked: Any, now_ms: int) -> None:
        """Note on the claim that a machine's record says it gave it.

        Also where nobody here knows that it was granted: the database was put back from a copy.
        """
        async with self._database.writing() as connection:
            found = await self._found(connection, asked)
            if found is None or found.closed_ms is None:
                return  # its own machine has not told that yet
            values = fitted(t.claim_move, {"paid_ms": now_ms, "how": f"at {asked.name}"})
            await connection.execute(
                update(t.claim_move)
                .where(
                    _M.journal_id == found.journal_id,
                    _M.seq == found.seq,
                    _M.paid_ms.is_(None),
                )
                .values(values)
            )
            await _owed_no_more(connection, found, now_ms)
            await connection.execute(
                update(t.claim_question).where(*_which(asked)).values(sent=True)
            )

    async def _too_late(self, asked: Any) -> None:
        """Answer no more; a grant that was not sent ends by ``_look_at_grants``."""
        async with self._database.writing() as connection:
            await connection.execute(
                update(t.claim_question)
                .where(*_which(asked), _Q.answer == asked.answer)
                .values(sent=True, answer=asked.answer or "late")
            )

    async def _once(
        self,
        address: Address,
        kind: str,
        args: dict[str, Any],
        command_id: str,
        now_ms: int,
        life_ms: int,
    ) -> None:
        """Sign and keep a command, unless that was done."""
        async with self._database.reading() as reading:
            query = select(t.command.c.id).where(t.command.c.id == command_id)
            if (await reading.execute(query)).scalar_one_or_none() is not None:
                return
        try:
            await send(
                self._database, self._signer, address, kind, args,
                command_id=command_id, issuer=ISSUER, now_ms=now_ms, life_ms=life_ms,
            )  # fmt: skip
        except IntegrityError:
            log.info("claim.sent_elsewhere", id=command_id)  # another process was faster

    async def _decided(
        self, connection: AsyncConnection, asked: Any, now_ms: int
    ) -> _Answer | _Close | None:
        """Decide about a question; None: not yet. A grant, or a close, is noted with it."""
        active = await connection.execute(
            select(t.journal.c.uid)
            .join(t.machine, t.machine.c.active_journal == t.journal.c.id)
            .where(t.machine.c.id == asked.machine_id, t.journal.c.quarantine == "")
        )
        if bytes(active.scalar_one_or_none() or b"") != bytes(asked.journal_uid):
            return _Answer("later")  # its books don't count
        found = await self._found(connection, asked)
        if found is None:
            ahead = await self._ahead(asked)
            return _Answer("unknown") if ahead is None else _Answer("later", machine=ahead)
        if not found.uncertain and now_ms - found.opened_ms > asked.days * _DAY_MS:
            return _Answer("unknown")
        if found.closed_ms is not None and (found.how != rec.MOVED or found.paid_ms is not None):
            return _Answer("paid")
        if not _can_be_given(asked, found):
            return _Answer("later")
        if found.closed_ms is None:
            return await self._of_open(connection, asked, found, now_ms)
        if not await _same_currency(connection, asked, found):
            return _Answer("later")
        return await _grant(connection, asked, found)

    async def _found(self, connection: AsyncConnection, asked: Any) -> Any | None:
        """Return the claim with a code, and what became of it; its move is noted from now on."""
        query = (
            select(
                t.claim,
                t.journal.c.uid,
                t.journal.c.quarantine,
                t.machine.c.name,
                t.machine.c.online,
                t.machine.c.currency,
                t.machine.c.active_journal,
                _M.close_id,
                _M.close_by_ms,
                _M.paid_ms,
                _M.digest,
                # In one statement: its end and the claim's come in together.
                t.command.c.outcome,
            )
            .join(t.machine, t.machine.c.id == _C.machine_id)
            .join(t.journal, t.journal.c.id == _C.journal_id)
            .outerjoin(t.claim_move, and_(_M.journal_id == _C.journal_id, _M.seq == _C.seq))
            .outerjoin(t.command, t.command.c.id == _M.close_id)
            .where(_C.code_end == asked.code_end, t.machine.c.tenant == asked.tenant)
            .order_by(_C.closed_ms.is_not(None), _C.journal_id.desc(), _C.seq.desc())
        )
        wanted = bytes(asked.digest)
        for one in (await connection.execute(query)).all():
            if one.digest is not None:
                if bytes(one.digest) == wanted:
                    return one
            elif await _digest_of(connection, one.journal_id, one.seq) == wanted:
                values = {
                    "journal_id": one.journal_id,
                    "seq": one.seq,
                    "machine_id": one.machine_id,
                    "digest": wanted,
                }
                await connection.execute(self._database.insert_new(t.claim_move), [values])
                return one
        return None

    async def _ahead(self, asked: Any) -> str | None:
        """Return the machine of a claim of which only an urgent copy tells: nothing is paid yet."""
        for whose, record in await reported(self._database, rec.ClaimOpened.type):
            data = record.data
            if (
                whose["tenant"] == asked.tenant
                and isinstance(data, rec.ClaimOpened)
                and _digest(data.code) == bytes(asked.digest)
            ):
                return str(whose["machine"])
        return None

    async def _of_open(
        self, connection: AsyncConnection, asked: Any, found: Any, now_ms: int
    ) -> _Answer | _Close | None:
        """Have an open claim closed where it was promised, if that can be now."""
        later = _Answer("later", machine=found.name)
        if (
            found.machine_id == asked.machine_id  # which knows it no more: a person looks
            or found.journal_id != found.active_journal
            or found.quarantine != ""  # what it does we would not hear
            or not await _same_currency(connection, asked, found)
        ):
            return later
        ends = asked.until_ms - ENDS_MS <= now_ms
        if found.outcome == "" and found.close_by_ms > now_ms:  # under way
            return later if ends else None
        mine = _id_of(MOVES, asked)
        if ends or not found.online or (found.close_id == mine and found.outcome is not None):
            return later
        await connection.execute(
            update(t.claim_move)
            .where(_M.journal_id == found.journal_id, _M.seq == found.seq)
            .values(close_id=mine, close_by_ms=asked.until_ms)
        )
        args = {"claim": found.seq, "journal": bytes(found.uid).hex(), "how": rec.MOVED}
        return _Close(mine, Address(asked.tenant, found.name), args)

    # --------------------------------------------------------------------------------- grants

    async def _look_at_grants(self, now_ms: int) -> None:
        """Free what was granted and surely not taken; what was taken its machine's record says."""
        query = (
            select(
                t.claim_move,
                t.command.c.outcome,
                t.command.c.expires_ms,
                t.machine.c.name,
                t.journal.c.id.label("active"),
                t.journal.c.uid,
                t.journal.c.next_seq,
                _Q.until_ms,
            )
            .join(t.machine, t.machine.c.id == _M.grant_machine_id)
            .outerjoin(t.journal, t.journal.c.id == t.machine.c.active_journal)
            .outerjoin(t.command, t.command.c.id == _M.grant_id)
            .outerjoin(
                t.claim_question,
                and_(_Q.journal_uid == _M.grant_journal_uid, _Q.seq == _M.grant_seq),
            )
            .where(_M.grant_id != "", _M.paid_ms.is_(None))
        )
        async with self._database.reading() as reading:
            granted = (await reading.execute(query)).all()
        for one in granted:
            if not await self._not_taken(one, now_ms):
                continue
            async with self._database.writing() as connection:
                await connection.execute(
                    update(t.claim_move)
                    .where(
                        _M.journal_id == one.journal_id,
                        _M.seq == one.seq,
                        _M.grant_id == one.grant_id,
                        _M.paid_ms.is_(None),
                    )
                    .values(grant_id="")
                )
            log.info("claim.still_held", machine=one.name, claim=one.seq)

    async def _not_taken(self, one: Any, now_ms: int) -> bool:
        """Tell whether it is sure that a grant was not taken, and never will be.

        Another journal of that machine's tells nothing: its disk may have gone back behind it.
        """
        if one.outcome is None:  # never sent
            return now_ms > (one.until_ms or 0) + SURELY_MS
        if one.uid is None or bytes(one.uid) != bytes(one.grant_journal_uid):
            return False
        if one.outcome in _NOT_TAKEN:
            return True
        if one.outcome or now_ms <= one.expires_ms + APART_MS:
            return False
        # It was never heard there. Its records come in order: one behind the end tells.
        async with self._database.reading() as reading:
            last = await _record(reading, one.active, one.next_seq - 1)
            if last is None or not last.confirmed or last.at_ms <= one.expires_ms + APART_MS:
                return False
            # One that is not understood may be the very one that took it.
            letter = t.dead_letter.c
            strange = await reading.execute(
                select(letter.id)
                .where(letter.journal_id == one.active, letter.replayed_ms.is_(None))
                .where(letter.seq > one.grant_seq)
                .limit(1)
            )
        return strange.scalar_one_or_none() is None


async def _grant(connection: AsyncConnection, asked: Any, found: Any) -> _Answer:
    """Grant what is held, unless a grant of it is under way."""
    noted = await connection.execute(
        update(t.claim_move)
        .where(
            _M.journal_id == found.journal_id,
            _M.seq == found.seq,
            _M.grant_id == "",
            _M.paid_ms.is_(None),
        )
        .values(
            grant_id=_answer_id(asked),
            grant_machine_id=asked.machine_id,
            grant_journal_uid=asked.journal_uid,
            grant_seq=asked.seq,
        )
    )
    if not noted.rowcount:
        return _Answer("later")
    return _Answer("granted", found.amount, found.tender, found.name)


async def _owed_no_more(connection: AsyncConnection, claim: Any, now_ms: int) -> None:
    """Close the alert of a claim that the fleet held; its record at its machine did not."""
    query = select(t.journal.c.uid).where(t.journal.c.id == claim.journal_id)
    uid = bytes((await connection.execute(query)).scalar_one()).hex()
    cause = of_claim(uid, claim.seq)
    await alerts.close_alert(connection, claim.machine_id, cause, now_ms)


def _can_be_given(asked: Any, found: Any) -> bool:
    """Tell whether a claim, as its machine told it, can be put into words that another takes."""
    grant = _Answer("granted", found.amount, found.tender, found.name)
    try:
        ClaimAnswer.model_validate_json(_args(asked, grant))
    except ValidationError:
        return False
    return True


async def _same_currency(connection: AsyncConnection, asked: Any, found: Any) -> bool:
    query = select(t.machine.c.currency).where(t.machine.c.id == asked.machine_id)
    return bool((await connection.execute(query)).scalar_one() == found.currency)


async def _record(connection: AsyncConnection, journal_id: int, seq: int) -> Any | None:
    row = (
        await connection.execute(
            select(t.record.c.boot, t.record.c.body).where(
                t.record.c.journal_id == journal_id, t.record.c.seq == seq
            )
        )
    ).one_or_none()
    return None if row is None else record_of(Row(seq, row.boot, bytes(row.body), b""))


async def _digest_of(connection: AsyncConnection, journal_id: int, seq: int) -> bytes | None:
    """Return the digest of a claim's code, which its record alone holds whole."""
    record = await _record(connection, journal_id, seq)
    data = None if record is None else record.data
    while isinstance(data, rec.RecordCarried):
        data = record_of(Row(seq, data.boot, data.body.encode(), b"")).data
    return _digest(data.code) if isinstance(data, rec.ClaimOpened) else None


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()


def _which(asked: Any) -> tuple[Any, Any]:
    return _Q.journal_uid == asked.journal_uid, _Q.seq == asked.seq


def _id_of(kind: str, asked: Any) -> str:
    return f"{kind}{bytes(asked.journal_uid).hex()}-{asked.seq}"


def _answer_id(asked: Any) -> str:
    return _id_of(ANSWERS, asked)


def _args(asked: Any, answer: _Answer) -> str:
    return json.dumps(
        {
            "journal": bytes(asked.journal_uid).hex(),
            "asked": asked.seq,
            "answer": answer.word,
            "amount": answer.amount,
            "tender": answer.tender,
            "machine": answer.machine,
        }
    )


# ------------------------------------------------------------------------------- by hand


async def end(
    database: FleetDatabase,
    address: Address,
    claim: int,
    how: str,
    now_ms: int,
    *,
    not_given: bool = False,
) -> int:
    """Note that a claim that the fleet holds was paid by hand; returns its amount.

    ``not_given``: somebody has seen that the machine where it was granted last did not give it.

    Raises:
        OrderRefusedError: No such machine, it has no such claim, or a machine may be giving it.
    """
    async with database.writing() as connection:
        machine_id = await machine_id_of(connection, address)
        found = (
            await connection.execute(
                select(
                    t.claim, _M.grant_id, _M.paid_ms, _M.how.label("paid"), _M.digest, _Q.until_ms
                )
                .outerjoin(t.claim_move, and_(_M.journal_id == _C.journal_id, _M.seq == _C.seq))
                .outerjoin(
                    t.claim_question,
                    and_(_Q.journal_uid == _M.grant_journal_uid, _Q.seq == _M.grant_seq),
                )
                .where(_C.machine_id == machine_id, _C.seq == claim, _C.how == rec.MOVED)
                # Another journal's may have the same number.
                .order_by(_M.paid_ms.is_not(None), _C.journal_id.desc())
            )
        ).first()
        if found is None:
            raise OrderRefusedError(
                f"the fleet holds no claim {claim} of {address}: `vendcloud claims`; one that is "
                "open there is closed with `vendcloud cmd send MACHINE claim.close`"
            )
        if found.paid_ms is not None:
            raise OrderRefusedError(f"claim {claim} of {address} was paid: {found.paid}")
        waits = now_ms <= (found.until_ms or 0) + SURELY_MS
        if found.grant_id and (waits or not not_given):
            raise OrderRefusedError(
                f"claim {claim} of {address} is being given at a machine; where somebody has seen, "
                "a minute later, that it was not: --not-given"
            )
        digest = found.digest or await _digest_of(connection, found.journal_id, claim)
        row = {"journal_id": found.journal_id, "seq": claim, "machine_id": machine_id}
        await connection.execute(
            database.insert_new(t.claim_move), [{**row, "digest": digest or b""}]
        )
        ended = await connection.execute(
            update(t.claim_move)
            .where(
                _M.journal_id == found.journal_id,
                _M.seq == claim,
                _M.grant_id == (found.grant_id or ""),
                _M.paid_ms.is_(None),
            )
            .values(fitted(t.claim_move, {"paid_ms": now_ms, "how": how}))
        )
        if not ended.rowcount:
            raise OrderRefusedError(f"claim {claim} of {address} is being given at a machine")
        await _owed_no_more(connection, found, now_ms)
    return int(found.amount)
