"""A machine as the fleet sees it: a chain of real records, and batches of it."""

from __future__ import annotations

from itertools import pairwise

from sqlalchemy import insert

from cloud.contract.batch import pack
from cloud.contract.journal import (
    GENESIS,
    REGISTRY,
    Record,
    RecordData,
    attested,
    decode,
    link,
)
from cloud.contract.journal import records as rec
from cloud.contract.messages import Presence
from cloud.contract.signing import public_of, signer_of
from cloud.contract.topics import Address
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from controller.journal.envelope import encode_body
from simulator.swarm.lived import Lived

START = 1_790_000_000_000
SEED = bytes([7]) * 32  # of the machine's own key


class Machine:
    """One machine's journal."""

    def __init__(self, name: str = "lobby-1", *, tenant: str = "acme", number: int = 1) -> None:
        self.address = Address(tenant, name)
        self.journal = bytes([number]) * 16
        self.rows: list[tuple[int, int, bytes, bytes]] = []
        self.boot = 1

    @property
    def seq(self) -> int:
        return len(self.rows)

    @property
    def hash(self) -> bytes:
        return self.rows[-1][3] if self.rows else GENESIS

    @classmethod
    def lived(cls, lived: Lived, name: str = "lobby-1") -> Machine:
        """Return a machine of the swarm as the fleet sees it."""
        made = cls(name)
        made.journal, made.rows = lived.journal, lived.rows
        return made

    def fork(self, at: int) -> Machine:
        """Return the same machine as it was after record ``at``: a disk that went back."""
        other = Machine(self.address.machine, tenant=self.address.tenant)
        other.journal, other.boot, other.rows = self.journal, self.boot, self.rows[:at]
        return other

    def write(self, data: RecordData, *, vend: int | None = None) -> int:
        seq = self.seq + 1
        return self.raw(
            encode_body(
                data,
                at_ms=START + seq,
                confirmed=True,
                mono_ms=seq,
                vend=vend,
                postings=data.postings(),
            )
        )

    def raw(self, body: bytes) -> int:
        seq = self.seq + 1
        digest = link(self.hash, self.journal, seq, self.boot, body)
        self.rows.append((seq, self.boot, body, digest))
        return seq

    def begin(self, *, previous: tuple[str, int] | None = None, **fields: object) -> None:
        values = {
            "journal": self.journal.hex(),
            "machine": self.address.machine,
            "currency": "EUR",
            "previous": previous,
            **fields,
        }
        self.write(rec.JournalBegun.model_validate(values))
        self.write(rec.BootStarted(boot=self.boot, software="0.1.0"))
        self.write(rec.StockSet(column="A1", count=10, before=0, cause="opening"))

    def sell(self, price: int = 150) -> int:
        """A vend for exact coins, as the saga writes it."""
        lot = self.write(
            rec.CoinsDeposited(device="changer", answer="", coins=((2, price, "cashbox", 0),))
        )
        vend = self.write(
            rec.VendOpened(selection="A1", column="A1", product="cola", price=price, item=1),
            vend=self.seq + 1,
        )
        self.write(rec.CreditAuthorised(coins=price, bills=0, lots=((lot, price),)), vend=vend)
        self.write(rec.DispenseIntended(column="A1", attempt=1), vend=vend)
        self.write(
            rec.DispenseFinished(column="A1", outcome="dropped", drops=1, run_ms=900), vend=vend
        )
        self.write(rec.VendSettled(cash=price, lots=((lot, price),)), vend=vend)
        self.write(rec.VendClosed(result="sold"), vend=vend)
        return vend

    def record(self, seq: int) -> Record:
        """A record as it is read."""
        _, boot, body, digest = self.rows[seq - 1]
        return decode(REGISTRY, seq=seq, boot=boot, body=body, digest=digest)

    def balances(self) -> dict[str, int]:
        """What its ledger says now; zeros left out."""
        found: dict[str, int] = {}
        for seq in range(1, self.seq + 1):
            record = self.record(seq)
            if isinstance(record.data, rec.JournalBegun):
                found = dict(record.data.inherited)
            for account, amount in record.postings:
                found[account] = found.get(account, 0) + amount
        return {account: amount for account, amount in found.items() if amount}

    def state_books(self, *, seed: bytes = SEED, **changes: object) -> int:
        """Write a checkpoint, as the machine does; ``changes`` are lies."""
        fields: dict[str, object] = {
            "journal": self.journal.hex(),
            "seq": self.seq,
            "hash": self.hash.hex(),
            "balances": self.balances(),
            "at_ms": START + self.seq,
            "confirmed": True,
            **changes,
        }
        body = attested.write(attested.Statement(**fields))  # type: ignore[arg-type]  # by their names
        signature = signer_of(seed)(attested.STATED + body.encode())
        return self.write(
            rec.CheckpointSigned(body=body, signature=signature.hex(), reason="hourly")
        )

    def batch(self, first: int, last: int | None = None, *, nonce: str = "n") -> bytes:
        last = self.seq if last is None else last
        rows = self.rows[first - 1 : last]
        before = self.rows[first - 2][3] if first > 1 else GENESIS
        return pack(self.journal, rows, before, nonce=nonce)

    def batches(self, size: int) -> list[bytes]:
        edges = [*range(1, self.seq + 1, size), self.seq + 1]
        return [self.batch(first, after - 1) for first, after in pairwise(edges)]

    def presence(self, *, seed: bytes | None = None) -> Presence:
        return Presence.model_validate(
            {
                "online": True,
                "public_key": "" if seed is None else public_of(seed).hex(),
                "nonce": "p",
                "head": {"journal": self.journal.hex(), "seq": self.seq, "hash": self.hash.hex()},
            }
        )


async def register(database: FleetDatabase, *machines: Machine) -> None:
    async with database.writing() as connection:
        for address in {machine.address for machine in machines}:
            await connection.execute(
                insert(t.machine).values(
                    tenant=address.tenant, name=address.machine, created_ms=START
                )
            )


async def one_that_sold(database: FleetDatabase, vends: int) -> Machine:
    """Return a machine that the fleet knows; it has begun its journal, sold, and sent nothing."""
    made = Machine()
    made.begin()
    for _ in range(vends):
        made.sell()
    await register(database, made)
    return made
