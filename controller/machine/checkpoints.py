"""Checkpoints: every hour and at each collection a machine of a fleet states its books, signed.

The fleet compares them with what it has recomputed from the records, and countersigns; its word
becomes a record, too, and vouches for everything before it (``controller.journal.attested``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from controller.clock import Clock
from controller.domain import commands as cmd
from controller.journal import attested
from controller.journal.envelope import to_ms
from controller.journal.records import CheckpointCountersigned, CheckpointSigned
from controller.journal.store import Journal
from controller.machine.desk import Desk
from controller.machine.effects import Wake
from controller.state.state import State

EVERY_S: Final = 3_600.0
FIRST_S: Final = 300.0  # after a start: one that starts again and again states its books as well

Seal = Callable[[int, int], str]  # as a claim's mint: a recording keeps what it said


def sealing(journal: Journal[State], clock: Clock) -> Seal:
    """Return what states the books after the last record (text, line's end, signature in hex).

    It says nothing where the machine's key is gone.
    """

    def seal(seq: int, _amount: int) -> str:
        mono_ms = int(clock.monotonic_s() * 1000)
        at_ms, confirmed = journal.label.stamp(to_ms(clock.wall_utc()), mono_ms)
        body = attested.write(
            attested.Statement(
                journal.journal_id.hex(),
                seq,
                journal.head.hex(),
                journal.state.ledger.to_json(),
                at_ms,
                confirmed,
            )
        )
        signature = journal.sign(attested.STATED + body.encode())
        return f"{body}\n{signature.hex()}" if signature else ""

    return seal


def boot(desk: Desk) -> None:
    """Begin to state the books, where there is a fleet to hear it."""
    if desk.seal is not None:
        desk.do(Wake("checkpoint", FIRST_S))


def due(desk: Desk) -> None:
    """State them, and come back."""
    state_books(desk, "hourly")
    desk.do(Wake("checkpoint", EVERY_S))


def state_books(desk: Desk, reason: Literal["hourly", "collection"]) -> None:
    """Write a checkpoint of everything before it."""
    journal = desk.journal
    if desk.seal is None or journal.disk_full:
        return
    body, _, signature = desk.seal(journal.next_seq - 1, 0).partition("\n")
    if signature:
        desk.write(CheckpointSigned(body=body, signature=signature, reason=reason))


def keep(desk: Desk, command: cmd.KeepCountersignature) -> dict[str, Any]:
    """Record the fleet's word, once; an older one tells nothing that a newer has not told."""
    if command.seq > desk.state.proved_seq:
        desk.write(
            CheckpointCountersigned(
                seq=command.seq,
                body=command.body,
                kid=command.kid,
                signature=command.signature,
                key=command.key,
                key_signature=command.key_signature,
            )
        )
    return {"seq": desk.state.proved_seq}
