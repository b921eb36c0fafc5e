"""How far the fleet is with this machine's journal, for ``vendctl sync``.

Nothing here looks at the whole backlog: with a million records waiting the answer comes as fast.
"""

from __future__ import annotations

from typing import Final

from cloud.contract.journal import EnvelopeError, read_head, to_ms
from cloud.link.link import Link
from controller.api.shapes import SyncShape
from controller.api.views import utc
from controller.clock import Clock
from controller.faults import JournalError
from controller.journal.store import Journal
from controller.state.state import State

SAMPLE: Final = 256  # records from which the size of all that wait is reckoned


class SyncView:
    """What people ask of the link.

    Args:
        link: The link.
        journal: What it sends.
        clock: Time.
    """

    def __init__(self, link: Link, journal: Journal[State], clock: Clock) -> None:
        self._link = link
        self._journal = journal
        self._clock = clock

    def hurry(self) -> None:
        """Try at once."""
        self._link.sync_now()

    async def show(self) -> SyncShape:
        """Return how far the fleet is."""
        journal, status = self._journal, self._link.status
        acked, last = journal.acked_seq, journal.durable_seq
        waiting = max(0, last - acked)
        size, oldest_s, certain = 0, None, True
        if waiting:
            try:
                rows = await journal.chunk(acked + 1, SAMPLE)
            except JournalError:
                rows = []  # the link tells which
            if rows:
                size = waiting * sum(len(row[2]) for row in rows) // len(rows)
                oldest_s, certain = self._age(rows[0][2])
        now = self._clock.monotonic_s()
        retry_at, heard = status.retry_at_s, status.heard_ms
        return {
            "phase": status.phase.value,
            "connected": status.connected,
            "transport": status.transport,
            "journal": journal.journal_id.hex(),
            "acked": acked,
            "last": last,
            "records": waiting,
            "bytes": size,
            "oldest_s": oldest_s,
            "oldest_certain": certain,
            "heard": None if heard is None else utc(heard),
            "heard_age_s": None if heard is None else now - status.heard_s,
            "time_known": journal.label.confirmed,
            "offset_ms": status.offset_ms,
            "retry_in_s": None if retry_at is None else max(0.0, retry_at - now),
            "vouched": journal.state.proved_seq,
            "error": status.last_error,
            "quarantined": status.why_quarantined,
        }

    def _age(self, body: bytes) -> tuple[float | None, bool]:
        """Return how old a record is, and whether both times behind that were confirmed."""
        try:
            head = read_head(body)
        except EnvelopeError:
            return None, False
        mono_ms = int(self._clock.monotonic_s() * 1000)
        now_ms, known = self._journal.label.stamp(to_ms(self._clock.wall_utc()), mono_ms)
        return max(0.0, (now_ms - head.at_ms) / 1000), known and head.confirmed
