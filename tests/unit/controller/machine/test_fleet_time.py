"""What the fleet's clock may tell a machine."""

from pathlib import Path

import pytest

from controller.clock import SystemClock
from controller.domain import commands as cmd
from controller.journal.sqlite_aio import DirectoryStorage
from controller.machine.inputs import CommandRefused
from simulator.shop import BUILT, Shop

BUILT_MS = int(BUILT.timestamp() * 1000)
DAY_MS = 86_400_000


def time_is_known(shop: Shop) -> bool:
    return shop.journal.label.confirmed


async def test_a_fleet_whose_clock_stands_before_the_software_was_built_confirms_nothing(
    tmp_path: Path,
) -> None:
    """Each record would go up, and be answered with the same time: without an end."""
    clock = SystemClock()
    shop = await Shop.open(DirectoryStorage(tmp_path), clock)
    last = shop.journal.next_seq
    with pytest.raises(CommandRefused, match="before this software was built"):
        await shop.machine.act(cmd.ConfirmTime(0, clock.monotonic_s()), "fleet")
    assert not time_is_known(shop)

    await shop.machine.act(cmd.ConfirmTime(BUILT_MS + DAY_MS, clock.monotonic_s()), "fleet")
    assert time_is_known(shop)
    with pytest.raises(CommandRefused, match="before this software was built"):
        await shop.machine.act(cmd.ConfirmTime(BUILT_MS - 1, clock.monotonic_s()), "fleet")
    assert shop.journal.next_seq == last + 1, "one word for the time, one record"
    await shop.stop()
