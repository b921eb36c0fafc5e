"""Devices without acknowledgements: how far they were heard is in the journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.clock import SystemClock
from controller.journal.sqlite_aio import DirectoryStorage
from controller.machine.performing import known
from controller.ports import (
    BillEvent,
    BillEventKind,
    BillsReport,
    CoinRoute,
    CoinsReport,
    DepositedCoin,
    DeviceName,
    StackerCount,
)
from simulator.shop import Shop


@pytest.fixture
async def shop(tmp_path: Path) -> Shop:
    return await Shop.open(DirectoryStorage(tmp_path), SystemClock())


def answer(shop: Shop, device: DeviceName) -> bytes:
    return known(shop.state, device).last_answer


async def test_a_note_without_money_is_durable_and_moves_no_money(shop: Shop) -> None:
    before = shop.state.ledger
    await shop.machine.inbox.money(CoinsReport(DeviceName.CHANGER, b"\1\2", note=True))
    await shop.machine.inbox.money(BillsReport(DeviceName.BILL, b"\3", (), note=True))
    assert answer(shop, DeviceName.CHANGER) == b"\1\2"
    assert answer(shop, DeviceName.BILL) == b"\3"
    assert shop.state.credit.total == 0
    assert shop.state.ledger == before
    await shop.stop()


async def test_a_report_without_money_is_nothing_where_nobody_asks_for_a_note(shop: Shop) -> None:
    last = shop.journal.next_seq
    await shop.machine.inbox.money(CoinsReport(DeviceName.CHANGER, b"\1\2"))
    assert shop.journal.next_seq == last
    await shop.stop()


async def test_money_brings_its_own_note(shop: Shop) -> None:
    last = shop.journal.next_seq
    coin = DepositedCoin(3, 100, CoinRoute.CASHBOX, 0)
    await shop.machine.inbox.money(CoinsReport(DeviceName.CHANGER, b"\1", (coin,), note=True))
    stacked = BillEvent(BillEventKind.STACKED, 0, 500)
    await shop.machine.inbox.money(BillsReport(DeviceName.BILL, b"\2", (stacked,), note=True))
    assert shop.journal.next_seq == last + 2
    assert answer(shop, DeviceName.CHANGER) == b"\1"
    assert answer(shop, DeviceName.BILL) == b"\2"
    assert shop.state.credit.total == 600
    await shop.stop()


async def test_a_stacker_that_nobody_counts_proves_nothing(shop: Shop) -> None:
    before = shop.state.stacker
    shop.machine.brain.cash.stacker_counted(StackerCount(7, False, known=False), after_reset=True)
    assert shop.state.stacker == before
    await shop.stop()
