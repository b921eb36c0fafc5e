"""Damaged answers that may have told of money: few are flagged each, many as a count."""

from __future__ import annotations

import asyncio
import re

import pytest

from controller.journal import records as rec
from controller.journal.envelope import Record
from controller.machine.damage import ALONE, LONGEST_S
from controller.ports import BillsReport, CoinsReport, DeviceName
from simulator.clock import VirtualClock, VirtualLoop
from simulator.disk import Disk
from simulator.disk_sqlite import DiskStorage
from simulator.shop import Shop

HOUR_S = 3_600.0
COINS = CoinsReport(DeviceName.CHANGER, b"", suspect=1, doubt="a changer's")
BILLS = BillsReport(DeviceName.BILL, b"", (), doubt="a validator's")


def stands(flag: str) -> int:
    """How many a flag stands for."""
    many = re.search(r"\((\d+) times in \d+ min\)", flag)
    return int(many[1]) if many else 1


@pytest.mark.parametrize("report", [COINS, BILLS])
@pytest.mark.parametrize(("every_s", "hours"), [(1.0, 1), (10.0, 12), (300.0, 48), (3_000.0, 96)])
def test_each_is_told_within_an_hour_and_no_hour_brings_many(
    report: CoinsReport | BillsReport, every_s: float, hours: int
) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        shop = await Shop.open(DiskStorage(Disk()), VirtualClock(loop))
        told: list[tuple[float, str]] = []
        records: list[Record] = []

        def look(written: list[Record]) -> None:
            records.extend(written)
            told.extend(
                (loop.time(), record.data.reason)
                for record in written
                if isinstance(record.data, rec.ReviewFlagged)
            )

        shop.machine.on_commit.append(look)
        end = loop.time() + hours * HOUR_S
        heard: list[float] = []
        while loop.time() < end:
            heard.append(loop.time())
            await shop.machine.inbox.money(report)
            known = sum(stands(flag) for _, flag in told)
            assert known == len(heard) or loop.time() - heard[known] <= LONGEST_S
            await asyncio.sleep(every_s)
        await asyncio.sleep(2 * LONGEST_S)
        assert sum(stands(flag) for _, flag in told) == len(heard)
        for at_s, _ in told:
            hour = [one for one, _ in told if at_s <= one < at_s + HOUR_S]
            assert len(hour) <= ALONE + 6
        assert {flag.partition(" (")[0] for _, flag in told} == {report.doubt}
        await shop.stop()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(story())


def test_none_is_left_untold_that_comes_while_the_machine_stops() -> None:
    async def story() -> None:
        shop = await Shop.open(DiskStorage(Disk()), VirtualClock(asyncio.get_running_loop()))
        told: list[str] = []
        shop.machine.on_commit.append(
            lambda written: told.extend(
                one.data.reason for one in written if isinstance(one.data, rec.ReviewFlagged)
            )
        )
        for _ in range(ALONE + 3):
            await shop.machine.inbox.money(COINS)
        assert sum(map(stands, told)) == ALONE
        shop.machine.stop("test")
        durable = [shop.machine.inbox.money(COINS) for _ in range(2)]
        await shop.task
        assert all(one.done() for one in durable)
        assert sum(map(stands, told)) == ALONE + 3 + 2
        await shop.stop()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(story())


def test_a_stretch_ends_with_an_hour_without_any() -> None:
    async def story() -> None:
        shop = await Shop.open(DiskStorage(Disk()), VirtualClock(asyncio.get_running_loop()))
        for _ in range(3):
            for _ in range(ALONE):
                await shop.machine.inbox.money(COINS)
            await asyncio.sleep(LONGEST_S + 1.0)
        assert shop.state.counters.flagged == 3 * ALONE
        await shop.stop()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(story())
