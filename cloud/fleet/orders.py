"""Commands and configuration on their way to machines: signed, kept, published until answered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import and_, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.commands import ClaimClose, CommandBody, arguments_of
from cloud.contract.messages import REVISION_MAX, Desired, Signed, read
from cloud.contract.signing import KeyBody
from cloud.contract.topics import Address, Topic
from cloud.fleet import schema as t
from cloud.fleet.broker import Connection
from cloud.fleet.configuration import last_revision
from cloud.fleet.database import FleetDatabase
from cloud.fleet.signatory import Signatory
from cloud.fleet.signer import SignerError

log = structlog.get_logger("vendcloud")

DEFAULT_LIFE_MS = 24 * 3_600_000
# Revisions at a time: a signer signs so many a minute, and others want to have something signed.
SIGNED_AGAIN: Final = 50


class OrderRefusedError(Exception):
    """No such machine, or it can't be asked for that. Says why."""


@dataclass(frozen=True, slots=True)
class Order:
    """A command that was signed and kept."""

    id: str
    message: bytes


async def send(
    database: FleetDatabase,
    signer: Signatory,
    address: Address,
    kind: str,
    args: dict[str, Any],
    *,
    command_id: str,
    issuer: str,
    now_ms: int,
    life_ms: int = DEFAULT_LIFE_MS,
) -> Order:
    """Sign a command and keep it; publishing it is the worker's.

    Raises:
        OrderRefusedError: No such machine.
        cloud.contract.messages.MessageError: No such command, or not with these arguments.
    """
    async with database.writing() as connection:
        machine_id = await machine_id_of(connection, address)
        draft = CommandBody(
            tenant=address.tenant,
            machine=address.machine,
            id=command_id,
            counter=0,
            kind=kind,
            args=args,
            issued_at=now_ms,
            expires_at=now_ms + life_ms,
            issuer=issuer,
        )
        target = arguments_of(draft).target()
        last = await connection.execute(
            select(func.coalesce(func.max(t.command.c.counter), 0)).where(
                t.command.c.machine_id == machine_id,
                t.command.c.kind == kind,
                t.command.c.target == target,
            )
        )
        body = draft.model_copy(update={"counter": last.scalar_one() + 1})
        message = (await signer.command(body)).to_bytes()
        await connection.execute(
            insert(t.command).values(
                id=command_id,
                machine_id=machine_id,
                kind=kind,
                target=target[:64],
                counter=body.counter,
                args=json.dumps(args),
                message=message,
                issuer=issuer,
                issued_ms=now_ms,
                expires_ms=body.expires_at,
            )
        )
    return Order(command_id, message)


async def completed(
    database: FleetDatabase, address: Address, kind: str, args: dict[str, Any]
) -> dict[str, Any]:
    """Return a command's arguments with what the fleet knows and nobody wants to type.

    A claim is known by the record that told of it, and a machine may have had several journals.

    Raises:
        OrderRefusedError: The fleet knows no such open claim, or several.
    """
    if kind != ClaimClose.kind or not isinstance(args.get("claim"), int):
        return args
    given = str(args.get("journal", ""))
    query = (
        select(t.journal.c.uid)
        .join(t.claim, t.claim.c.journal_id == t.journal.c.id)
        .join(t.machine, t.machine.c.id == t.claim.c.machine_id)
        .where(
            t.machine.c.tenant == address.tenant,
            t.machine.c.name == address.machine,
            t.claim.c.seq == args["claim"],
            t.claim.c.closed_ms.is_(None),
        )
    )
    async with database.reading() as connection:
        found = [bytes(uid).hex() for uid in (await connection.execute(query)).scalars()]
    fitting = [journal for journal in found if journal.startswith(given)]
    if len(fitting) == 1:
        return {**args, "journal": fitting[0]}
    if fitting:
        raise OrderRefusedError(
            f"claim {args['claim']} of {address} is in several journals; say journal= one of "
            + ", ".join(fitting)
        )
    raise OrderRefusedError(f"{address} has no open claim {args['claim']}: `vendcloud claims`")


async def set_desired(
    database: FleetDatabase,
    signer: Signatory,
    address: Address,
    settings: dict[str, object],
    *,
    issuer: str,
    now_ms: int,
) -> int:
    """Sign the next revision of a machine's configuration, keep it and return its number.

    Raises:
        OrderRefusedError: No such machine, or it takes no further revision.
    """
    async with database.writing() as connection:
        machine_id = await machine_id_of(connection, address)
        last = await last_revision(connection, machine_id)
        if last >= REVISION_MAX:
            raise OrderRefusedError(
                f"{address} has heard of revision {last}, and there is none above it: it takes no "
                "other one"
            )
        body = Desired(
            tenant=address.tenant,
            machine=address.machine,
            revision=last + 1,
            settings=settings,
            issued_at=now_ms,
            issuer=issuer,
        )
        await connection.execute(
            insert(t.desired).values(
                machine_id=machine_id,
                revision=body.revision,
                settings=json.dumps(settings),
                message=(await signer.desired(body)).to_bytes(),
                issuer=issuer,
                issued_ms=now_ms,
            )
        )
    return body.revision


async def sign_again(database: FleetDatabase, signer: Signatory, until_ms: int) -> int:
    """Sign newest revisions anew whose key ends before a time; returns how many.

    They are retained, and a machine that hears of one later takes none that an ended key has
    signed. A tenant's stay as they are where it has no key that lives longer, or nobody signs.
    """
    newest = (
        select(t.desired.c.machine_id, func.max(t.desired.c.revision).label("revision"))
        .group_by(t.desired.c.machine_id)
        .subquery()
    )
    same = (
        t.desired.c.machine_id == newest.c.machine_id,
        t.desired.c.revision == newest.c.revision,
    )
    async with database.reading() as reading:
        query = select(t.desired.c.machine_id, t.desired.c.revision, t.desired.c.message)
        rows = (await reading.execute(query.join(newest, and_(*same)))).all()
    count = 0
    without: set[str] = set()
    for row in rows:
        told = read(Signed, bytes(row.message))
        if _ends(told) >= until_ms:
            continue
        body = read(Desired, told.body)
        if body.tenant in without:
            continue
        try:
            again = await signer.desired(body)
        except SignerError as error:
            log.warning("desired.not_signed_again", tenant=body.tenant, error=str(error))
            without.add(body.tenant)
            continue
        if _ends(again) <= _ends(told):
            without.add(body.tenant)
            continue
        async with database.writing() as connection:
            await connection.execute(
                update(t.desired)
                .where(
                    t.desired.c.machine_id == row.machine_id,
                    t.desired.c.revision == row.revision,
                )
                .values(message=again.to_bytes())
            )
        count += 1
        if count == SIGNED_AGAIN:
            break
    return count


def _ends(signed: Signed) -> int:
    """Return when the key ends that has signed something."""
    return 0 if signed.key is None else read(KeyBody, signed.key.body).not_after


async def publish_open(
    database: FleetDatabase, connection: Connection, address: Address, now_ms: int
) -> int:
    """Publish a machine's configuration and its open, unexpired commands; returns how many."""
    async with database.reading() as reading:
        machine_id = await machine_id_of(reading, address)
        newest = (
            await reading.execute(
                select(t.desired.c.message)
                .where(t.desired.c.machine_id == machine_id)
                .order_by(t.desired.c.revision.desc())
                .limit(1)
            )
        ).scalar_one_or_none()
        commands = (
            await reading.execute(
                select(t.command.c.message)
                .where(
                    t.command.c.machine_id == machine_id,
                    t.command.c.outcome == "",
                    t.command.c.expires_ms > now_ms,
                )
                .order_by(t.command.c.issued_ms, t.command.c.counter)
            )
        ).scalars()
        open_ones = [bytes(message) for message in commands]
    if newest is not None:
        await connection.tell(address, Topic.DESIRED, bytes(newest), retain=True)
    for message in open_ones:
        await connection.tell(address, Topic.CMD, message)
    return len(open_ones)


class Outbox:
    """Publishes what was signed since the last look, wherever it was signed."""

    def __init__(self, database: FleetDatabase) -> None:
        self._database = database
        self._commands: set[str] = set()
        self._revisions: dict[int, int] = {}

    async def publish_new(self, connection: Connection, now_ms: int) -> int:
        """Publish open commands and revisions that this process has not published yet."""
        named = (t.machine.c.id, t.machine.c.tenant, t.machine.c.name)
        async with self._database.reading() as reading:
            commands = (
                await reading.execute(
                    select(t.command.c.id.label("command"), t.command.c.message, *named)
                    .join(t.machine, t.machine.c.id == t.command.c.machine_id)
                    .where(t.command.c.outcome == "", t.command.c.expires_ms > now_ms)
                    .order_by(t.command.c.issued_ms, t.command.c.counter)
                )
            ).all()
            newest = (
                await reading.execute(
                    select(func.max(t.desired.c.revision).label("revision"), *named)
                    .join(t.machine, t.machine.c.id == t.desired.c.machine_id)
                    .group_by(*named)
                )
            ).all()
        count = 0
        for last in newest:
            if self._revisions.get(last.id, 0) < last.revision:
                address = Address(last.tenant, last.name)
                message = await self._desired(last.id, last.revision)
                await connection.tell(address, Topic.DESIRED, message, retain=True)
                self._revisions[last.id] = last.revision
                count += 1
        still_open = {row.command for row in commands}
        self._commands &= still_open
        for row in commands:
            if row.command not in self._commands:
                address = Address(row.tenant, row.name)
                await connection.tell(address, Topic.CMD, bytes(row.message))
                self._commands.add(row.command)
                count += 1
        return count

    async def _desired(self, machine_id: int, revision: int) -> bytes:
        async with self._database.reading() as reading:
            found = await reading.execute(
                select(t.desired.c.message).where(
                    t.desired.c.machine_id == machine_id, t.desired.c.revision == revision
                )
            )
            return bytes(found.scalar_one())


async def machine_id_of(connection: AsyncConnection, address: Address) -> int:
    """Return a machine's number. Raises OrderRefusedError."""
    found = await connection.execute(
        select(t.machine.c.id).where(
            t.machine.c.tenant == address.tenant, t.machine.c.name == address.machine
        )
    )
    machine_id = found.scalar_one_or_none()
    if machine_id is None:
        raise OrderRefusedError(f"no machine {address}; `vendcloud machine list` shows them")
    return int(machine_id)
