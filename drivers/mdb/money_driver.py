"""Money that a poll answer brings: counted once, journaled before it is acknowledged.

Shared by changer and bill validator. An answer's one-shot items go through the repeat filter; the
new ones become one report to the sink; the acknowledgement waits until that report, and every
report before it whose items may be in the same answer, is durable.

Money that comes before the device's values are known (a first start finds a device that is full of
news) is kept, unacknowledged where the link can withhold, until SETUP was asked.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Sequence

from controller.ports import MoneyReport
from drivers.mdb.device import MdbDriver, Turn
from drivers.mdb.repeats import RepeatFilter


class MoneyDriver(MdbDriver):
    """A driver whose poll answers carry money."""

    _repeats: RepeatFilter
    _durable: asyncio.Future[None] | None = None
    _durable_parts: tuple[asyncio.Future[None], ...] = ()

    def on_quiet(self) -> None:
        """Note that the device has nothing to say."""
        self._reset_reported = False
        self._restored = False
        self._repeats.quiet()
        self._quiet()
        if self._turns:
            self._end_turn(Turn.QUIET)

    def on_told(self, *, acked: bool) -> None:
        """Note whether the last answer with money was acknowledged."""
        self._repeats.told(acked=acked)

    _restored = False
    """The last answer comes from before a restart, and no answer has come since."""

    @property
    def _unsettled(self) -> bool:
        return self._repeats.pending and self._awaiting_proof

    _awaiting_proof = False

    def _forget(self) -> None:
        self._repeats.clear()

    @abstractmethod
    def _quiet(self) -> None:
        """A poll was answered by an ACK: conditions reported in each poll are over."""

    def _report(self, reports: Sequence[MoneyReport]) -> None:
        """Hand new money over; `_pending` then knows what to wait for."""
        for report in reports:
            self._hold_for(self._sink.money(report))

    def _hold_for(self, future: asyncio.Future[None]) -> None:
        parts = (*(part for part in self._durable_parts if not part.done()), future)
        self._durable_parts = parts

    def _pending(self) -> asyncio.Future[None] | None:
        """What an acknowledgement has to wait for: None when all is durable."""
        parts = self._durable_parts
        if not parts:
            return None
        if len(parts) == 1:
            return parts[0]
        both: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def finished(_: asyncio.Future[None]) -> None:
            if both.done():
                return
            for part in parts:
                if part.done() and not part.cancelled() and part.exception() is not None:
                    both.set_exception(part.exception())  # type: ignore[arg-type]
                    return
            if all(part.done() for part in parts):
                both.set_result(None)

        for part in parts:
            part.add_done_callback(finished)
        return both
