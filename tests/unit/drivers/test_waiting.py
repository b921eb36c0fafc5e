"""A flag that one task waits for."""

from __future__ import annotations

import asyncio

import pytest

from drivers.waiting import Stir
from simulator.clock import run_virtual


def now() -> float:
    return asyncio.get_running_loop().time()


def test_who_waits_is_woken_by_the_flag_or_by_the_clock() -> None:
    async def main() -> None:
        stir = Stir()
        assert not await stir.wait(2.0)
        assert now() == 2.0
        asyncio.get_running_loop().call_later(1.0, stir.set)
        assert await stir.wait(5.0)
        assert now() == 3.0
        assert await stir.wait(5.0), "it is still up"
        assert now() == 3.0
        stir.clear()
        assert not stir.is_set()
        assert not await stir.wait(0.0)
        assert now() == 3.0

    run_virtual(main())


def test_a_flag_without_a_limit_waits_for_ever_and_may_be_cancelled() -> None:
    async def main() -> None:
        stir = Stir()
        task = asyncio.create_task(stir.wait())
        await asyncio.sleep(1000.0)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        stir.set()
        assert await stir.wait(1.0)

    run_virtual(main())
