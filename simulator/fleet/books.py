"""What the fleet's database says of one machine, in the words that its own vendd uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from cloud.contract.topics import Address
from cloud.fleet import reports
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from controller.journal.records import REFUNDED


@dataclass(frozen=True, slots=True)
class Sums:
    """One machine's vends, added up.

    Args:
        sold: How many products.
        paid_back: Coins and bills that were paid out: change, credit, refunds.
        refunded: What cards got back before they were charged.
        claims: Open claims.
    """

    sold: int
    paid_back: int
    refunded: int
    claims: int


async def stored(database: FleetDatabase, address: Address) -> int:
    """Return how many records of a machine's journal are committed."""
    return (await stored_and_online(database, address))[0]


async def stored_and_online(database: FleetDatabase, address: Address) -> tuple[int, bool]:
    """Return how many records of a machine are committed, and whether it says that it is there."""
    query = (
        select(t.journal.c.next_seq - 1, t.machine.c.online)
        .select_from(t.machine)
        .outerjoin(t.journal, t.machine.c.active_journal == t.journal.c.id)
        .where(t.machine.c.tenant == address.tenant, t.machine.c.name == address.machine)
    )
    async with database.reading() as connection:
        row = (await connection.execute(query)).one_or_none()
    return (0, False) if row is None else (int(row[0] or 0), bool(row[1]))


async def ledger(database: FleetDatabase, address: Address) -> dict[str, Any]:
    """Return the balances as ``ledger.show`` does."""
    found = await reports.balances(database, address)
    return {
        "accounts": [
            {"account": account, "debit": max(amount, 0), "credit": max(-amount, 0)}
            for account, amount in found.items()
        ]
    }


async def stock(database: FleetDatabase, address: Address) -> dict[str, Any]:
    """Return the columns as ``stock.show`` does."""
    return {
        "columns": [
            {
                "column": line["column"],
                "product": line["product"],
                "price": line["price"],
                "count": line["left"],
            }
            for line in await reports.stock(database, address)
        ]
    }


async def sums(database: FleetDatabase, address: Address) -> Sums:
    """Return what the fleet has added up of a machine's vends."""
    saga = t.saga.c
    query = (
        select(
            func.count().filter(saga.result == "sold", saga.kind == "vend"),
            func.coalesce(func.sum(saga.paid_back), 0),
            func.coalesce(func.sum(saga.refunded), 0),
        )
        .join(t.machine, t.machine.c.id == saga.machine_id)
        .where(t.machine.c.tenant == address.tenant, t.machine.c.name == address.machine)
    )
    async with database.reading() as connection:
        sold, paid_back, refunded = (await connection.execute(query)).one()
    claims = sum(line["amount"] for line in await reports.claims(database, address))
    return Sums(int(sold), int(paid_back), int(refunded), claims)


def sums_of(records: Sequence[Mapping[str, Any]], claims: int) -> Sums:
    """Return the same from a machine's own journal, as ``journal.records`` shows it.

    Args:
        records: All of them.
        claims: What its ledger owes by claims.
    """
    tests = {r["seq"] for r in records if r["type"] == "vend.opened" and r["data"].get("test")}
    sold = paid_back = refunded = 0
    for record in records:
        data = record["data"]
        match record["type"]:
            case "vend.closed":
                sold += data["result"] == "sold" and record["vend"] not in tests
            case "payout.finished" if record["vend"] is not None:
                paid_back += sum(value * count for _, value, count in data["paid"])
            case "settle.finished" if not data["success"]:
                refunded += data["amount"] if data["outcome"] in REFUNDED else 0
    return Sums(sold, paid_back, refunded, claims)
