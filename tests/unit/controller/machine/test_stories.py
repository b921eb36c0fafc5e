"""The brain's main job over instant hardware: who paid what, who got what, what the books say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from controller.clock import SystemClock
from controller.domain import accounts as acc
from controller.domain.policy import Policy
from controller.journal.errors import DiskFullError
from controller.journal.sqlite_aio import DirectoryStorage
from controller.machine.inputs import Timer
from controller.machine.table import Mode
from controller.ports import (
    DeviceName,
    DispenseOutcome,
    RefundOutcome,
    SensorCheck,
    SessionBegun,
)
from simulator.disk import Disk
from simulator.disk_sqlite import DiskStorage
from simulator.instant import InstantHardware
from simulator.shop import Shop

Opener = Callable[..., Coroutine[Any, Any, Shop]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Opener]:
    shops: list[Shop] = []

    async def opener(hardware: InstantHardware | None = None, **policy: Any) -> Shop:
        shop = await Shop.open(
            DirectoryStorage(tmp_path), SystemClock(), hardware, Policy(**policy)
        )
        shops.append(shop)
        return shop

    yield opener
    for shop in shops:
        if not shop.task.done():
            shop.books_agree()
            await shop.stop()


async def test_exact_coins_buy_a_product(start: Opener) -> None:
    shop = await start()
    await shop.coins(100, 50)
    await shop.keys("A1")
    assert shop.hardware.dispenser.dropped == ["A1"]
    assert shop.state.closed[-1].result == "sold"
    assert shop.balance(acc.REVENUE_CASH) == -150
    assert shop.state.credit.total == 0
    assert shop.state.stock.of("A1").count == 9


async def test_a_bill_is_stacked_and_its_change_comes_in_coins(start: Opener) -> None:
    shop = await start()
    await shop.hardware.bill.insert(500)
    await shop.until(lambda: shop.state.credit.total == 500)
    await shop.keys("B1")
    assert shop.state.closed[-1].paid_back == 280
    assert shop.balance(acc.REVENUE_CASH) == -220
    assert shop.balance(acc.CASH_STACKER) == 500


async def test_a_bill_that_cannot_be_changed_goes_back(start: Opener) -> None:
    hardware = InstantHardware()
    hardware.changer.counts = [0, 2, 2, 2, 2, *[0] * 11]
    shop = await start(hardware)
    await shop.hardware.bill.insert(2000)
    await shop.until(lambda: bool(shop.hardware.bill.returned) and shop.state.escrow is None)
    assert shop.hardware.bill.returned == [2000]
    assert shop.state.credit.total == 0


async def test_a_card_pays_and_the_reader_hears_success(start: Opener) -> None:
    shop = await start()
    await shop.keys("A1")
    assert shop.hardware.reader.log == ["start", "request 150 1", "success 1", "end"]
    assert shop.balance(acc.REVENUE_CARD) == -150
    assert shop.balance(acc.CARD_RECEIVABLE) == 150


async def test_a_declined_card_costs_nothing(start: Opener) -> None:
    shop = await start()
    shop.hardware.reader.approves = False
    await shop.keys("A1")
    assert shop.state.closed[-1].result == "refused"
    assert shop.hardware.dispenser.turns == []
    assert shop.balance(acc.CARD_RECEIVABLE) == 0


async def test_a_jam_after_approval_charges_nothing(start: Opener) -> None:
    shop = await start()
    shop.hardware.dispenser.script = [DispenseOutcome.JAMMED, DispenseOutcome.JAMMED]
    await shop.keys("A1")
    assert shop.hardware.reader.log[-2:] == ["failure", "end"]
    assert shop.state.closed[-1].result == "refunded"
    assert shop.balance(acc.CARD_RECEIVABLE) == 0
    assert set(shop.state.faults) == {"A1 column.jammed", "A2 column.jammed"}


async def test_a_card_that_cannot_be_refunded_becomes_a_card_claim(start: Opener) -> None:
    shop = await start()
    shop.hardware.dispenser.script = [DispenseOutcome.JAMMED, DispenseOutcome.JAMMED]
    shop.hardware.reader.refund = RefundOutcome.REFUSED
    await shop.keys("A1")
    claim = next(iter(shop.state.claims.values()))
    assert (claim.amount, claim.tender) == (150, "card")
    assert shop.balance(acc.CLAIMS_CARD) == -150
    assert any(claim.code[:4] in " ".join(lines) for lines in shop.hardware.panel.shown)


async def test_coins_come_back_when_the_motor_jams(start: Opener) -> None:
    shop = await start()
    shop.hardware.dispenser.script = [DispenseOutcome.JAMMED, DispenseOutcome.NO_START]
    await shop.coins(100, 100)
    await shop.keys("A1")
    assert shop.state.closed[-1].result == "refunded"
    assert shop.state.closed[-1].paid_back == 200
    assert shop.balance(acc.REVENUE_CASH) == 0


async def test_not_seen_gets_an_extra_turn_then_the_second_column(start: Opener) -> None:
    shop = await start()
    shop.hardware.dispenser.script = [DispenseOutcome.NOT_SEEN, DispenseOutcome.NOT_SEEN]
    await shop.coins(100, 50)
    await shop.keys("A1")
    assert shop.hardware.dispenser.turns == ["A1", "A1+", "A2"]
    assert shop.state.closed[-1].result == "sold"
    assert shop.state.stock.of("A2").count == 9
    assert shop.state.stock.of("A1").disabled == "column.not_seen"


async def test_sold_out_keeps_the_credit(start: Opener) -> None:
    shop = await start()
    shop.hardware.dispenser.script = [DispenseOutcome.EMPTY, DispenseOutcome.EMPTY]
    await shop.coins(100, 50)
    await shop.keys("A1")  # both columns turn out to be empty: the money comes back
    assert shop.state.closed[-1].paid_back == 150
    await shop.coins(100, 50)
    await shop.keys("A1")
    assert shop.state.credit.total == 150
    assert any("Sold out" in line for line in shop.machine.screen)


async def test_a_changed_mind_gets_everything_back(start: Opener) -> None:
    shop = await start()
    await shop.coins(100, 20)
    await shop.keys("*")
    assert shop.state.closed[-1].kind == "return"
    assert shop.state.closed[-1].paid_back == 120


async def test_no_change_means_exact_change_only_and_a_shortfall_becomes_a_claim(
    start: Opener,
) -> None:
    hardware = InstantHardware()
    hardware.changer.counts = [0] * 16
    shop = await start(hardware)
    assert any("Exact change" in line for line in shop.machine.screen)
    await shop.coins(200)
    await shop.keys("A1")
    assert hardware.dispenser.turns == []
    await shop.keys("*")
    claim = next(iter(shop.state.claims.values()))
    assert (claim.amount, claim.tender, claim.flagged) == (200, "cash", False)
    assert shop.balance(acc.CLAIMS_CASH) == -200


async def test_a_changer_that_pays_too_little_is_asked_again(start: Opener) -> None:
    hardware = InstantHardware()
    hardware.changer.pays_at_most = 1
    shop = await start(hardware)
    await shop.coins(100, 100, 50)
    await shop.keys("*")
    assert shop.state.closed[-1].paid_back == 250
    assert not shop.state.claims


async def test_a_level_two_changer_is_proved_by_its_tubes(start: Opener) -> None:
    hardware = InstantHardware()
    hardware.changer.level = 2
    shop = await start(hardware)
    await shop.coins(200)
    await shop.keys("A1")
    assert shop.state.closed[-1].paid_back == 50


async def test_a_blind_sensor_sells_nothing_and_gives_the_money_back(start: Opener) -> None:
    hardware = InstantHardware()
    shop = await start(hardware)
    hardware.dispenser.check = SensorCheck.BLIND
    await shop.coins(100, 50)
    await shop.keys("A1")
    assert hardware.dispenser.turns == []
    assert shop.state.closed[-1].paid_back == 150
    assert shop.machine.desk.mode is Mode.OUT_OF_SERVICE


@pytest.mark.parametrize(
    ("policy", "revenue", "paid_back"), [("refund", 0, 150), ("charge", -150, 0)]
)
async def test_an_unseen_drop_follows_the_policy_and_is_flagged(
    start: Opener, policy: str, revenue: int, paid_back: int
) -> None:
    hardware = InstantHardware()
    hardware.dispenser.check = SensorCheck.NOT_FITTED
    hardware.dispenser.script = [DispenseOutcome.UNKNOWN]
    shop = await start(hardware, on_unknown=policy)
    await shop.coins(100, 50)
    await shop.keys("A1")
    assert shop.balance(acc.REVENUE_CASH) == revenue
    assert shop.state.closed[-1].paid_back == paid_back
    assert "drop not known" in shop.state.closed[-1].flags


async def test_cash_and_card_pay_together(start: Opener) -> None:
    shop = await start()
    shop.machine.inbox.notify(SessionBegun(DeviceName.CASHLESS1, 1000))
    await shop.coins(50)
    await shop.keys("A1")
    assert "request 100 1" in shop.hardware.reader.log
    assert shop.balance(acc.REVENUE_CASH) == -50
    assert shop.balance(acc.REVENUE_CARD) == -100


async def test_a_multi_vend_machine_keeps_the_rest(start: Opener) -> None:
    shop = await start(multi_vend=True)
    await shop.coins(200)
    await shop.keys("A1")
    assert shop.state.credit.total == 50
    await shop.keys("*")
    assert shop.state.closed[-1].paid_back == 50


async def test_the_opening_count_is_the_operators_money(start: Opener) -> None:
    shop = await start()
    float_ = 20 * (10 + 20 + 50 + 100)
    assert shop.balance(acc.CASH_TUBES) == float_
    assert shop.balance(acc.OPERATOR) == -float_


async def test_coins_found_at_boot_are_unclaimed_and_coins_gone_are_missing(
    start: Opener,
) -> None:
    shop = await start()
    await shop.stop()
    shop.hardware.changer.counts[1] += 3
    shop.hardware.changer.counts[2] -= 2
    again = await start(shop.hardware)
    assert again.balance(acc.UNCLAIMED) == -30
    assert again.balance(acc.MISSING) == 40


async def test_a_full_disk_ends_what_is_open_and_sells_nothing_until_there_is_room() -> None:
    disk = Disk()
    storage = DiskStorage(disk)
    shop = await Shop.open(storage, SystemClock())
    await shop.coins(100)
    disk.capacity = sum(file.size for file in disk.files.values())
    with pytest.raises(DiskFullError):
        await shop.coins(*[5] * 10_000)  # the room within the files is used up long before
    with pytest.raises(DiskFullError):
        await shop.task
    credit = shop.state.credit.total - 5
    storage.kill()
    shop.journal.abandon()
    again = await Shop.open(DiskStorage(disk), SystemClock(), shop.hardware)
    assert again.machine.desk.mode is Mode.OUT_OF_SERVICE
    assert again.state.credit.total == credit
    disk.capacity = None
    again.machine.inbox.queue.put_nowait(Timer("disk"))
    await again.until(lambda: again.machine.desk.mode is Mode.CREDIT)
    await again.stop()
