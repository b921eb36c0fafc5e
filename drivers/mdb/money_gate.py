"""Money that poll answers bring: counted once, and journaled before it is acknowledged.

Shared by changer and bill validator. The gate knows which items of an answer are new, hands reports
to the sink, and tells what the acknowledgement must wait for: every report whose items may stand in
the answer. Money that comes before its values are known (a first start meets a device full of news)
is kept behind the gate, unacknowledged where the link can withhold, until SETUP was asked.

*After a restart.* On a link that withholds, what heads the first answer and was the last thing
recorded is its repeat, because the acknowledgement may have died with us. On an adapter, which
acknowledges by itself, nothing is pending after a restart: the same bytes mean new money (only a
tube count that the new coin did not raise proves a repeat).

Source: MDB/ICP 4.2, section 2 (flow control) and section 5 (repeats).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from controller.ports import DeviceSink, MoneyReport
from drivers.mdb.repeats import RepeatFilter


class MoneyGate:
    """The way from poll answers to the journal for one device."""

    def __init__(self, sink: DeviceSink) -> None:
        self._sink = sink
        self.repeats = RepeatFilter()
        self.restored = False  # the filter remembers an answer from before a restart
        self._parts: tuple[asyncio.Future[None], ...] = ()
        self._kept: list[Callable[[], MoneyReport]] = []
        self._kept_done: asyncio.Future[None] | None = None

    def report(self, report: MoneyReport) -> None:
        """Hand new money over."""
        self._add(self._sink.money(report))

    def keep(self, make: Callable[[], MoneyReport]) -> None:
        """Keep money whose value is not known yet; `make` is called by `release`."""
        self._kept.append(make)
        if self._kept_done is None:
            self._kept_done = asyncio.get_running_loop().create_future()
            self._add(self._kept_done)

    def release(self) -> None:
        """The values are known: hand over what was kept."""
        done, self._kept_done = self._kept_done, None
        kept, self._kept = self._kept, []
        if done is None:
            return
        futures = [self._sink.money(make()) for make in kept]
        for future in futures:
            self._add(future)
        done.set_result(None)

    def waiting(self) -> asyncio.Future[None] | None:
        """What an acknowledgement has to wait for; None when everything is durable."""
        parts = self._parts = tuple(part for part in self._parts if not _durable(part))
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else _all(parts)

    def quiet(self) -> None:
        """The device has nothing to say."""
        self.restored = False
        self.repeats.quiet()

    def _add(self, future: asyncio.Future[None]) -> None:
        self._parts = (*(part for part in self._parts if not _durable(part)), future)


def _durable(part: asyncio.Future[None]) -> bool:
    return part.done() and not part.cancelled() and part.exception() is None


def _all(parts: tuple[asyncio.Future[None], ...]) -> asyncio.Future[None]:
    """Done when all are, failed when one has failed."""
    result: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def finished(part: asyncio.Future[None]) -> None:
        if result.done():
            return
        if part.cancelled():
            result.cancel()
        elif (failure := part.exception()) is not None:
            result.set_exception(failure)
        elif all(map(_durable, parts)):
            result.set_result(None)

    for part in parts:
        part.add_done_callback(finished)
    return result
