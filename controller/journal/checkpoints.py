"""When the write-ahead log is copied into the database file: when no customer is waiting.

SQLite's own rule would copy in the middle of a commit, two more fsyncs between a key press and
the motor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from controller.journal.database import Database

# Records after which the log is copied when the machine is quiet, and when it is not: half a MiB
# and two MiB of log, which the ballast has room for.
CHECKPOINT_QUIET: Final = 256
CHECKPOINT_BUSY: Final = 1_024
QUIET_S: Final = 2.0  # nothing committed for so long: the panel is idle or a motor turns


class Checkpointer:
    """Copies the log of one connection.

    Args:
        database: Whose log.
        seq: The last record that is in the file already.
        failed: Told about the error of a copy that failed; nothing is tried again.
    """

    def __init__(
        self, database: Database, seq: int, failed: Callable[[BaseException], None]
    ) -> None:
        self._database = database
        self._failed = failed
        self._copied_seq = seq
        self._durable_seq = seq
        self._last_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    def committed(self, seq: int) -> None:
        """Note that records to ``seq`` are durable; a copy may begin, beside the caller."""
        loop = asyncio.get_running_loop()
        self._durable_seq = seq
        self._last_s = loop.time()
        behind = seq - self._copied_seq
        if behind < CHECKPOINT_QUIET or self._task is not None or self._stopped:
            return
        if behind >= CHECKPOINT_BUSY:
            self._task = loop.create_task(self._copy())
        elif self._timer is None:
            self._timer = loop.call_later(QUIET_S, self._when_quiet)

    def _when_quiet(self) -> None:
        self._timer = None
        if self._stopped or self._task is not None:
            return
        loop = asyncio.get_running_loop()
        left_s = self._last_s + QUIET_S - loop.time()
        if left_s > 0:
            self._timer = loop.call_later(left_s, self._when_quiet)
        else:
            self._task = loop.create_task(self._copy())

    async def _copy(self) -> None:
        seq = self._durable_seq
        try:
            await self._database.checkpoint()
            self._copied_seq = seq
        except BaseException as error:
            self._stopped = True
            self._failed(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._task = None

    def abandon(self) -> None:
        """Forget everything at once, without waiting."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """Begin no more copies, and wait for the one that runs."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            await asyncio.shield(self._task)
