"""How commands ended, as the machines' records tell it."""

from __future__ import annotations

import json
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.commands import ClaimClose, Outcome
from cloud.contract.journal import records as rec
from cloud.fleet import schema as t
from cloud.fleet.projections.episodes import of_claim
from cloud.fleet.projections.fitting import fitted
from cloud.fleet.projections.fold import Fold

# Begins the ids of those by which the fleet takes a claim over: a claim that its machine knows
# nothing of was not taken over, and stays owed.
MOVES: Final = "claim-move-"
RESULT_MAX: Final = 65_536  # characters: an audit of 250 columns has a third of it


async def take(
    connection: AsyncConnection,
    fold: Fold,
    machine_id: int,
    journal_id: int,
    at_ms: int,
    result: rec.CommandFinished,
) -> None:
    """Note how a command ended; a repeat that came after its end changes nothing."""
    told = json.dumps(result.result) if result.result else ""
    await connection.execute(
        update(t.command)
        .where(
            t.command.c.id == result.id,
            t.command.c.machine_id == machine_id,
            t.command.c.outcome == "",
        )
        .values(
            fitted(
                t.command,
                {
                    "outcome": result.outcome,
                    "detail": result.detail,
                    "result": told if len(told) <= RESULT_MAX else "",
                    "ended_ms": at_ms,
                },
            )
        )
    )
    if (
        result.kind == ClaimClose.kind
        and result.outcome == Outcome.DONE.value
        and not result.id.startswith(MOVES)
    ):
        await _claim_closed(connection, fold, machine_id, journal_id, at_ms, result.id)


async def _claim_closed(
    connection: AsyncConnection,
    fold: Fold,
    machine_id: int,
    journal_id: int,
    at_ms: int,
    command_id: str,
) -> None:
    """Close a claim that the machine knows nothing of, and so will never honour.

    One behind a fork, of the chain that its disk has lost, has no record that would close it.
    """
    found = await connection.execute(
        select(t.command.c.args).where(
            t.command.c.id == command_id, t.command.c.machine_id == machine_id
        )
    )
    args = found.scalar_one_or_none()
    if args is None:
        return
    told = json.loads(args)
    own = await connection.execute(select(t.journal.c.uid).where(t.journal.c.id == journal_id))
    journal = told.get("journal", "")
    key = "" if journal in ("", bytes(own.scalar_one()).hex()) else journal, told["claim"]
    claim = fold.claims.pop(key, None)
    if claim is not None:
        claim.closed_ms, claim.how = at_ms, told["how"]
        fold.changed.claims[key] = claim
        of = key[0] or fold.journal, key[1]
        fold.changed.episodes.heal(of_claim(*of), (fold.journal, fold.head[0] + 1))
