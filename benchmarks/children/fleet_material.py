"""What the server's benchmarks are fed with: journals that the swarm made, under many names."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, pairwise
from typing import Any

from cloud.contract.batch import pack
from cloud.contract.events import event_of
from cloud.contract.journal import GENESIS, REGISTRY, EnvelopeError, decode, link
from cloud.contract.topics import Address
from simulator.swarm.lived import live

TENANT = "bench"
BATCH = 200  # records, as the measured peers have it
SEEDS = range(900, 908)
CUSTOMERS = 150  # of each life: some thousand records

Row = tuple[int, int, bytes, bytes]


class Source:
    """One machine's journal."""

    def __init__(self, number: int, bodies: Sequence[tuple[int, bytes]]) -> None:
        """Chain the bodies (boot, body) anew, for a journal of its own."""
        self.address = Address(TENANT, f"m{number}")
        self.journal = number.to_bytes(16, "big")
        self.rows: list[Row] = []
        digest = GENESIS
        for seq, (boot, body) in enumerate(bodies, 1):
            digest = link(digest, self.journal, seq, boot, body)
            self.rows.append((seq, boot, body, digest))

    def copy(self, further: int) -> Source:
        """Return the same journal as another machine's, so many numbers further on."""
        number = int.from_bytes(self.journal, "big") + further
        return Source(number, [(row[1], row[2]) for row in self.rows])

    def batches(self, size: int = BATCH) -> list[bytes]:
        """Return the whole journal as it travels."""
        edges = [*range(0, len(self.rows), size), len(self.rows)]
        hashes = [GENESIS, *(row[3] for row in self.rows)]
        return [
            pack(self.journal, self.rows[first:after], hashes[first], nonce=f"{first:024x}")
            for first, after in pairwise(edges)
        ]

    def events(self) -> list[bytes]:
        """Return each record as the message that is usually sent for it."""
        found: list[bytes] = []
        for seq, boot, body, digest in self.rows:
            try:
                record = decode(REGISTRY, seq=seq, boot=boot, body=body, digest=digest)
            except EnvelopeError:
                continue  # a damaged one that was carried along
            event: Any = event_of(
                record, tenant=TENANT, machine=self.address.machine, journal=self.journal
            )
            found.append(event.model_dump_json(exclude_none=True).encode())
        return found


def sources(records: int) -> list[Source]:
    """Return machines until they have written so many records."""
    lives = [[(row[1], row[2]) for row in live(seed, CUSTOMERS).rows] for seed in SEEDS]
    made: list[Source] = []
    for number, bodies in enumerate(cycle(lives), 1):
        made.append(Source(number, bodies))
        records -= len(bodies)
        if records <= 0:
            return made
    raise AssertionError("a cycle has no end")
