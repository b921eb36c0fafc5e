"""Running sessions, each of which may end with an error, until somebody stops us."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def in_a_task_of_its_own(
    session: Coroutine[Any, Any, None], lost: tuple[type[Exception], ...]
) -> None:
    """Run a session; whoever cancels us hears of that, whatever error the session ends with.

    A task group inside cancels the task that it is in when one of its own fails, and leaves a mark
    on it that looks like somebody's wish to stop (Python 3.11 and 3.12): that mark is on a task
    that ends with the session. What the mark ends has lost its line, and nobody wished to stop.

    Args:
        session: What runs.
        lost: Errors that it may end with; the first takes words.
    """
    inner = asyncio.ensure_future(session)
    try:
        await inner
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling() or not inner.cancelled():
            raise
        raise lost[0]("the connection was lost") from None
    except lost:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from None
        raise


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error in a group.

    Raise it behind the ``try``, not in its ``except*``: Python wraps what is raised there in a
    group again (3.11.0 to 3.11.3, Debian 12's among them).
    """
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
