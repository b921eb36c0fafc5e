"""What an operator says of columns: to how many they are filled, and when it is time to come."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from sqlalchemy import delete, select

from cloud.contract.topics import Address
from cloud.fleet import reports
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.orders import OrderRefusedError, machine_id_of

MOST: Final = 999  # products in a column, as a machine's configuration has it


async def set_rule(
    database: FleetDatabase, address: Address, column: str, par: int, reorder_at: int
) -> None:
    """Say that a column is filled to ``par``, and that it is time at ``reorder_at`` left.

    Raises:
        OrderRefusedError: No such machine or column, or numbers that make no rule.
    """
    if not 0 <= reorder_at < par <= MOST:
        raise OrderRefusedError(f"0 <= reorder < par <= {MOST}, not {reorder_at} and {par}")
    async with database.writing() as connection:
        machine_id = await machine_id_of(connection, address)
        columns = set(
            (
                await connection.execute(
                    select(t.stock.c.column).where(t.stock.c.machine_id == machine_id)
                )
            ).scalars()
        )
        if columns and column not in columns:
            known = ", ".join(sorted(columns))
            raise OrderRefusedError(f"{address} has no column {column!r}; there are: {known}")
        rule = {
            "machine_id": machine_id,
            "column": column,
            "capacity": par,
            "reorder_at": reorder_at,
        }
        await connection.execute(
            delete(t.stock_rule).where(
                t.stock_rule.c.machine_id == machine_id, t.stock_rule.c.column == column
            )
        )
        await connection.execute(t.stock_rule.insert().values(rule))


async def rules(database: FleetDatabase, address: Address | None = None) -> list[dict[str, Any]]:
    """Return every rule."""
    query = (
        select(
            t.machine.c.tenant,
            t.machine.c.name.label("machine"),
            t.stock_rule.c.column,
            t.stock_rule.c.capacity.label("par"),
            t.stock_rule.c.reorder_at.label("reorder"),
        )
        .join(t.machine, t.machine.c.id == t.stock_rule.c.machine_id)
        .order_by(t.machine.c.tenant, t.machine.c.name, t.stock_rule.c.column)
    )
    if address is not None:
        query = query.where(
            t.machine.c.tenant == address.tenant, t.machine.c.name == address.machine
        )
    async with database.reading() as connection:
        return [dict(row._mapping) for row in await connection.execute(query)]  # noqa: SLF001 - its public name


async def pick_list(
    database: FleetDatabase, address: Address | None = None, *, every: bool = False
) -> list[dict[str, Any]]:
    """Return what to bring to which machine: those where a column asks for it, or ``every`` one."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for line in await reports.stock(database, address):
        if not line["bring"]:
            continue
        key = line["tenant"], line["machine"]
        machine = found.setdefault(
            key, {"tenant": key[0], "machine": key[1], "reorder": False, "columns": []}
        )
        machine["reorder"] = machine["reorder"] or line["reorder"]
        machine["columns"].append(
            {name: line[name] for name in ("column", "product", "left", "bring", "reorder")}
        )
    machines = [one for one in found.values() if every or one["reorder"]]
    for machine in machines:
        products: Counter[str] = Counter()
        for column in machine["columns"]:
            products[column["product"]] += column["bring"]
        machine["products"] = dict(sorted(products.items()))
    return machines
