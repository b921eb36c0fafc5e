"""A journal as lines of JSON, from which anybody can compute the chain again.

The first line names the journal, the seq behind which the export starts and the hash there; each
further line is one record with its body as the exact text that was written.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from controller.journal import chain, reader
from controller.journal.database import Database


async def export_lines(
    database: Database, journal: bytes, *, first: int = 1, last: int | None = None
) -> AsyncIterator[str]:
    """Yield the lines of an export, without line ends."""
    before = await reader.row_at(database, first - 1) if first > 1 else None
    yield _dump(
        {
            "journal": journal.hex(),
            "after": first - 1,
            "hash": (before[3] if before else chain.GENESIS if first == 1 else b"").hex(),
        }
    )
    after = first - 1
    while rows := await reader.rows_after(database, after):
        for seq, boot, body, digest in rows:
            if last is not None and seq > last:
                return
            yield _dump(
                {"seq": seq, "boot": boot, "hash": digest.hex(), "body": body.decode("utf-8")}
            )
        after = rows[-1][0]


def check_lines(lines: list[str]) -> int:
    """Recompute the chain of an export and return its last seq.

    Raises:
        ValueError: Naming the first record that does not fit.
    """
    head = json.loads(lines[0])
    journal, digest, seq = (
        bytes.fromhex(head["journal"]),
        bytes.fromhex(head["hash"]),
        head["after"],
    )
    for line in lines[1:]:
        row = json.loads(line)
        body = row["body"].encode("utf-8")
        computed = chain.link(digest, journal, row["seq"], row["boot"], body)
        if row["seq"] != seq + 1 or computed.hex() != row["hash"]:
            raise ValueError(f"record {row['seq']} does not follow {seq}")
        seq, digest = row["seq"], computed
    return int(seq)


def _dump(fields: dict[str, object]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
