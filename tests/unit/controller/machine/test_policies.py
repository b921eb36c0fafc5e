"""What an owner may decide, each decision through the real saga over instant hardware."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from controller.domain import accounts as acc
from controller.domain.commands import EnterService, LeaveService
from controller.domain.policy import Policy
from controller.machine.table import Mode
from controller.ports import DispenseOutcome
from simulator.clock import VirtualClock, VirtualLoop
from simulator.disk import Disk
from simulator.disk_sqlite import DiskStorage
from simulator.instant import InstantHardware
from simulator.shop import Shop

UNSEEN = [DispenseOutcome.UNKNOWN] * 20


def virtually(test: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(test)


async def opened(hardware: InstantHardware | None = None, **policy: Any) -> Shop:
    clock = VirtualClock(asyncio.get_running_loop())
    return await Shop.open(DiskStorage(Disk()), clock, hardware, Policy(**policy))


def test_a_column_that_refunds_three_times_in_a_row_is_closed() -> None:
    async def story() -> None:
        shop = await opened()
        shop.hardware.dispenser.script = list(UNSEEN)
        for _ in range(3):
            await shop.coins(100, 50)
            await shop.keys("A1")
        assert shop.state.stock.of("A1").disabled == "column.refunds"
        assert "A1 column.refunds" in shop.state.faults
        shop.books_agree()
        await shop.stop()

    virtually(story())


def test_a_sale_in_between_ends_the_row() -> None:
    async def story() -> None:
        shop = await opened()
        unknown, dropped = DispenseOutcome.UNKNOWN, DispenseOutcome.DROPPED
        shop.hardware.dispenser.script = [unknown, unknown, dropped, unknown, unknown]
        for _ in range(5):
            await shop.coins(100, 50)
            await shop.keys("A1")
        assert not shop.state.stock.of("A1").disabled
        await shop.stop()

    virtually(story())


def test_a_machine_that_only_refunds_stops_until_a_technician_has_looked() -> None:
    async def story() -> None:
        shop = await opened(column_refunds_max=0)
        shop.hardware.dispenser.script = list(UNSEEN)
        for _ in range(6):
            await shop.coins(100, 50)
            await shop.keys("A1")
        assert not shop.machine.desk.mode.selling
        assert shop.hardware.changer.accepted == frozenset()
        await shop.machine.act(EnterService(), "ann")
        await shop.machine.act(LeaveService(), "ann")
        await shop.until(lambda: shop.machine.quiet)
        assert shop.machine.desk.mode is Mode.IDLE
        await shop.stop()

    virtually(story())


def test_an_owner_may_keep_the_credit_after_a_failed_vend() -> None:
    async def story() -> None:
        shop = await opened(after_failure="keep")
        shop.hardware.dispenser.script = [DispenseOutcome.JAMMED] * 2
        await shop.coins(200, 20)
        await shop.keys("A1")
        assert shop.state.credit.total == 220
        await shop.keys("B1")
        assert shop.state.closed[-1].result == "sold"
        await shop.stop()

    virtually(story())


def test_forgotten_credit_is_paid_out_after_its_time() -> None:
    async def story() -> None:
        shop = await opened(credit_timeout_s=60.0)
        await shop.coins(100)
        await asyncio.sleep(61)
        await shop.until(lambda: bool(shop.state.closed) and shop.machine.quiet)
        assert shop.state.closed[-1].paid_back == 100
        await shop.stop()

    virtually(story())


def test_or_kept_as_unclaimed_money_with_a_record() -> None:
    async def story() -> None:
        shop = await opened(credit_timeout_s=60.0, on_credit_timeout="keep")
        await shop.coins(100)
        await asyncio.sleep(61)
        await shop.until(lambda: shop.state.credit.total == 0 and shop.machine.quiet)
        assert shop.balance(acc.UNCLAIMED) == -100
        shop.books_agree()
        await shop.stop()

    virtually(story())


def test_must_vend_gives_money_back_only_after_a_try() -> None:
    async def story() -> None:
        shop = await opened(must_vend=True)
        await shop.coins(100)
        await shop.keys("*")
        assert shop.state.credit.total == 100
        assert any("product first" in line for line in shop.machine.screen)
        await shop.stop()

    virtually(story())


def test_no_coin_is_taken_beyond_the_most_credit() -> None:
    async def story() -> None:
        shop = await opened(max_credit=250)
        await shop.coins(200)
        await shop.until(lambda: shop.machine.quiet)
        assert shop.hardware.changer.accepted == frozenset({0, 1, 2, 3})  # 5 to 50 fit
        await shop.stop()

    virtually(story())


def test_a_command_to_a_machine_that_has_ended_waits_for_nobody() -> None:
    async def story() -> None:
        shop = await opened()
        await shop.stop()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(shop.machine.act(EnterService(), "ann"), 60)

    virtually(story())
