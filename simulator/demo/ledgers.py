"""The fleet's totals beside a machine's own ledger and the physical truth, line by line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cloud.contract.topics import Address
from cloud.fleet.database import FleetDatabase
from controller.domain import accounts as acc
from simulator.fleet import books
from simulator.rig import Rig


@dataclass(frozen=True, slots=True)
class Triple:
    """One figure from three sides.

    Args:
        words: What it is.
        cloud: What the fleet has added up.
        ledger: What vendd believes.
        truth: What is physically so.
        money: Whether it is an amount.
        same: Whether what it sums up is equal, too.
    """

    words: str
    cloud: int
    ledger: int
    truth: int
    money: bool = True
    same: bool = True

    @property
    def equal(self) -> bool:
        """Tell whether all three agree."""
        return self.cloud == self.ledger == self.truth and self.same


@dataclass(frozen=True, slots=True)
class Compared:
    """One machine's figures."""

    machine: str
    lines: tuple[Triple, ...]

    @property
    def equal(self) -> bool:
        """Tell whether every line agrees."""
        return all(line.equal for line in self.lines)

    def to_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "machine": self.machine,
            "equal": self.equal,
            "lines": [
                {
                    "words": line.words,
                    "cloud": line.cloud,
                    "ledger": line.ledger,
                    "truth": line.truth,
                    "equal": line.equal,
                }
                for line in self.lines
            ],
        }


_WORDS = {
    acc.CASH_TUBES: "coins in the tubes",
    acc.CASH_CASHBOX: "coins in the cash box",
    acc.CASH_STACKER: "bills in the stacker",
    acc.CASH_RECYCLER: "bills in the recycler",
    acc.CARD_RECEIVABLE: "charged to cards",
    acc.APP_RECEIVABLE: "paid in an app",
    "revenue.*": "sales",
    acc.UNCLAIMED: "left behind",
}


async def compare_machine(rig: Rig, database: FleetDatabase, address: Address) -> Compared:
    """Ask all three; when nothing moves, and the fleet has every record."""
    own_ledger, own_stock = await rig.api.call("ledger.show"), await rig.api.call("stock.show")
    cloud_ledger = await books.ledger(database, address)
    cloud_stock = await books.stock(database, address)
    truth = await rig.sim.truth()
    own = rig.reckoned(own_ledger, own_stock, truth)
    theirs = rig.reckoned(cloud_ledger, cloud_stock, truth)
    there = {line.name: line for line in theirs.lines}
    balances = _balances(own_ledger)
    owed = next(line.truth for line in own.lines if line.name.startswith("credit.*"))
    claims = -sum(balances.get(account, 0) for account in acc.CLAIMS)
    cloud = await books.sums(database, address)
    machine = books.sums_of(await rig.api.journal(), claims)
    totals = truth.totals
    lines = [
        Triple("products sold", cloud.sold, machine.sold, totals.products, money=False),
        *(
            Triple(_WORDS[line.name], there[line.name].ledger, line.ledger, line.truth)
            for line in _ordered(own.lines)
            if line.name in there and (line.ledger or line.truth or there[line.name].ledger)
        ),
        Triple(
            "change and refunds",
            cloud.paid_back + cloud.refunded,
            machine.paid_back + machine.refunded,
            totals.paid_out + totals.card_refunded,
        ),
        Triple("open claims", cloud.claims, machine.claims, owed),
        _stock(theirs.stock, own.stock),
        _accounts(_balances(cloud_ledger), balances, agrees=own.agrees),
    ]
    return Compared(address.machine, tuple(lines))


def _ordered(lines: Sequence[Any]) -> list[Any]:
    order = list(_WORDS)
    shown = [line for line in lines if line.name in _WORDS]
    return sorted(shown, key=lambda line: (line.name != "revenue.*", order.index(line.name)))


def _balances(ledger: dict[str, Any]) -> dict[str, int]:
    rows = {row["account"]: row["debit"] - row["credit"] for row in ledger["accounts"]}
    return {account: amount for account, amount in rows.items() if amount}


def _stock(cloud: Any, own: Any) -> Triple:
    believed = {name: count for name, (count, _) in own.items()}
    stored = {name: count for name, (count, _) in cloud.items()}
    there = {name: count for name, (_, count) in own.items()}
    return Triple(
        "products left",
        sum(stored.values()),
        sum(believed.values()),
        sum(there.values()),
        money=False,
        same=stored == believed == there,
    )


def _accounts(cloud: dict[str, int], own: dict[str, int], *, agrees: bool) -> Triple:
    """Return how many accounts each side has, the same to the cent or not."""
    names = {*cloud, *own}
    equal = sum(cloud.get(name, 0) == own.get(name, 0) for name in names)
    same = equal == len(names) and agrees
    return Triple("accounts, to the cent", equal, len(own), len(own), money=False, same=same)
