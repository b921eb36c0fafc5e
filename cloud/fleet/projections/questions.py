"""Codes of other machines' claims that were keyed in: kept once, whichever way each one came."""

from __future__ import annotations

import string
from typing import Final

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.journal import Record
from cloud.contract.journal import records as rec
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase

MAX_WAIT_MS: Final = 120_000  # nobody stands at a machine for longer
MAX_DAYS: Final = 3_650  # as a machine's configuration has it
GIVEN: Final = "given"  # what stands for the answer then
_DIGEST: Final = 64  # hex digits


async def keep(
    database: FleetDatabase, connection: AsyncConnection, machine_id: int, uid: bytes, asked: Record
) -> None:
    """Keep a question; one that is kept already, or is none, changes nothing.

    Its time ends by its machine's clock; where nobody had confirmed that it has ended.
    """
    data = asked.data
    if not isinstance(data, rec.ClaimAsked) or not _well_formed(data):
        return
    until_ms = asked.at_ms + min(data.waits_ms, MAX_WAIT_MS) if asked.confirmed else 0
    values = {
        "journal_uid": uid,
        "seq": asked.seq,
        "machine_id": machine_id,
        "digest": bytes.fromhex(data.digest),
        "code_end": data.end,
        "days": min(max(data.days, 0), MAX_DAYS),
        "until_ms": until_ms,
    }
    await connection.execute(database.insert_new(t.claim_question), [values])


async def given(connection: AsyncConnection, uid: bytes, seq: int) -> None:
    """Note that its machine has given what was asked for, whatever else is known of the answer."""
    await connection.execute(
        update(t.claim_question)
        .where(t.claim_question.c.journal_uid == uid, t.claim_question.c.seq == seq)
        .values(answer=GIVEN, sent=False)  # the claim's own row is still to be told
    )


def _well_formed(data: rec.ClaimAsked) -> bool:
    digits = set(string.hexdigits)
    return (
        len(data.digest) == _DIGEST
        and set(data.digest) <= digits
        and len(data.end) <= 4
        and data.end.isascii()
        and data.end.isdecimal()
    )
