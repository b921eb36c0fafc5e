"""A session that runs in a task of its own: who is told what when it ends."""

import asyncio

import pytest

from cloud.sessions import first_of, in_a_task_of_its_own


class LineLostError(Exception):
    """The line is gone."""


async def test_what_a_session_ends_with_is_told() -> None:
    async def session() -> None:
        raise LineLostError("closed")

    with pytest.raises(LineLostError, match="closed"):
        await in_a_task_of_its_own(session(), (LineLostError,))


async def test_a_cancellation_that_nobody_wished_for_is_a_lost_line() -> None:
    """A task group's mark strikes at the session's next wait (Python 3.11.2)."""

    async def session() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    with pytest.raises(LineLostError, match="lost"):
        await in_a_task_of_its_own(session(), (LineLostError,))


@pytest.mark.parametrize("says_goodbye", [False, True])
async def test_who_wishes_to_stop_stops_whatever_the_session_ends_with(says_goodbye: bool) -> None:
    began = asyncio.Event()

    async def session() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if says_goodbye:
                raise LineLostError("closed") from None
            raise

    task = asyncio.ensure_future(in_a_task_of_its_own(session(), (LineLostError,)))
    await began.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


def test_the_first_error_of_groups_in_groups() -> None:
    first, second = LineLostError("one"), OSError("two")
    assert first_of(ExceptionGroup("", [ExceptionGroup("", [first]), second])) is first
