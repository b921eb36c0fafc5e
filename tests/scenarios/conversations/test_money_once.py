"""Money is counted exactly once: slow disks, lost acknowledgements, and a kill at each instant."""

import asyncio

import pytest

from controller.faults import JournalError
from controller.ports import BillInfo, BillsReport, ChangerInfo, CoinsReport, DeviceName, Known
from simulator.bench import BenchSettings, LinkKind
from simulator.peripherals.bill_settings import BillSettings
from simulator.truth import tube
from tests.mdb_kit import Rig, at_least, now, rig, until, virtual

ALL_COINS = frozenset(range(6))
ALL_BILLS = frozenset(range(4))
BOTH: list[LinkKind] = ["native", "adapter"]


async def ready(
    kind: LinkKind = "native", delay_s: float = 0.0005, bill: BillSettings | None = None
) -> Rig:
    settings = BenchSettings(readers=(), bill=bill or BillSettings())
    devices = frozenset({DeviceName.CHANGER, DeviceName.BILL})
    it = await rig(kind, settings, delay_s=delay_s, devices=devices).up()
    it.changer.accept(ALL_COINS)
    it.bill.accept(ALL_BILLS)
    await until(lambda: it.bench.changer.accepted == 0x3F and it.bench.bill.accepted == 0x0F)
    return it


def remembered(it: Rig) -> dict[str, Known]:
    """What a journal would know after the kill: only what became durable."""
    coins = [report for report in it.sink.durable if isinstance(report, CoinsReport)]
    bills = [report for report in it.sink.durable if isinstance(report, BillsReport)]
    believed = [40, 40, 30, 20, 20, *[0] * 11]
    for report in coins:
        for coin in report.deposited:
            if coin.route == "tube":
                believed[coin.type] += 1
    return {
        "changer": Known(
            info=it.sink_info(ChangerInfo),
            last_answer=coins[-1].answer if coins else b"",
            tubes=tuple(believed),
        ),
        "bill": Known(info=it.sink_info(BillInfo), last_answer=bills[-1].answer if bills else b""),
    }


async def restart(it: Rig) -> None:
    known = remembered(it)
    it.sink.durable = []
    it.sink.reports = []
    it.sink.after_commit = lambda: None
    await it.die()
    await it.greet(**known)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("delay_s", [0.0, 0.003, 0.005, 0.02, 0.1, 0.5, 3.0])
@virtual
async def test_coins_and_bills_are_counted_once_on_a_slow_disk(
    kind: LinkKind, delay_s: float
) -> None:
    it = await ready(kind, delay_s)
    for value in (200, 200, 100, 50, 200):
        it.bench.changer.insert_coin(value)
        await asyncio.sleep(0.25)
    await it.offer_bill(500)
    await at_least(1, lambda: it.sink.bills)
    await it.bill.stack()
    await at_least(2, lambda: it.sink.bills)
    await asyncio.sleep(2 * delay_s + 1)
    assert it.sink.coins == [200, 200, 100, 50, 200]
    assert it.sink.bills == [("escrowed", 500), ("stacked", 500)]
    assert it.sink.durable == it.sink.reports
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(
    "fault", ["deaf_to_acks", "repeated_items", "reversed_items", "lost_answers"]
)
@pytest.mark.parametrize("times", [1, 2, 3])
@virtual
async def test_lost_acknowledgements_do_not_double_money(
    kind: LinkKind, fault: str, times: int
) -> None:
    it = await ready(kind)
    setattr(it.bench.changer.faults, fault, times)
    for value in (200, 100, 100):
        it.bench.changer.insert_coin(value)
    await asyncio.sleep(2)
    setattr(it.bench.bill.faults, fault, times)
    await it.offer_bill(1000)
    await at_least(1, lambda: it.sink.bills)
    setattr(it.bench.bill.faults, fault, times)
    await it.bill.stack()
    await asyncio.sleep(4)
    lost = kind == "adapter" and fault == "lost_answers"
    assert sorted(it.sink.coins) == [100, 100, 200] or lost
    assert it.sink.bills == [("escrowed", 1000), ("stacked", 1000)] or lost
    await it.die()


@virtual
async def test_a_kill_before_the_record_leaves_the_coin_in_the_changer() -> None:
    it = await ready(delay_s=0.002)
    it.sink.stuck = True
    it.bench.changer.insert_coin(100)
    await until(lambda: it.sink.reports)
    it.cut()
    it.sink.stuck = False
    await restart(it)
    assert it.sink.coins == [100]
    await it.die()


def kill_after_commit(it: Rig) -> None:
    it.sink.after_commit = it.cut


@virtual
async def test_a_kill_between_record_and_ack_does_not_count_a_tube_coin_again() -> None:
    it = await ready(delay_s=0.002)
    kill_after_commit(it)
    it.bench.changer.insert_coin(100)
    await at_least(1, lambda: it.sink.durable)
    await restart(it)
    assert it.sink.reports == []
    assert it.bench.truth.count(tube(4)) == 21
    await it.die()


@virtual
async def test_what_came_while_nobody_lived_stands_behind_the_repeat() -> None:
    it = await ready(delay_s=0.002)
    kill_after_commit(it)
    it.bench.changer.insert_coin(100)
    await at_least(1, lambda: it.sink.durable)
    it.bench.changer.insert_coin(100)
    it.bench.changer.insert_coin(50)
    await asyncio.sleep(1)
    await restart(it)
    assert it.sink.coins == [100, 50]
    await it.die()


@virtual
async def test_a_repeated_cash_box_coin_is_not_counted_again_and_flagged() -> None:
    it = await ready(delay_s=0.002)
    kill_after_commit(it)
    it.bench.changer.insert_coin(200)
    await at_least(1, lambda: it.sink.durable)
    await restart(it)
    assert it.sink.coins == []
    [report] = it.sink.reports
    assert isinstance(report, CoinsReport)
    assert report.suspect == 1
    await it.die()


@virtual
async def test_a_tube_coin_in_the_same_answer_proves_the_cash_box_coin_a_repeat() -> None:
    it = await ready(delay_s=0.002)
    await asyncio.sleep(0.1)
    it.bench.changer.mute(0.6)  # both coins, which are a moment apart, wait for one poll
    kill_after_commit(it)
    it.bench.changer.insert_coin(200)
    it.bench.changer.insert_coin(100)
    await at_least(1, lambda: it.sink.durable)
    assert len(it.sink.coins) == 2
    await restart(it)
    assert it.sink.reports == []
    await it.die()


@virtual
async def test_after_an_acknowledged_coin_the_same_bytes_with_a_higher_count_are_new() -> None:
    it = await ready()
    it.bench.changer.insert_coin(100)
    await at_least(1, lambda: it.sink.coins)
    await asyncio.sleep(0.5)
    it.cut()
    it.bench.changer.insert_coin(100)
    await asyncio.sleep(1)
    await restart(it)
    assert it.sink.coins == [100]
    await it.die()


@virtual
async def test_the_same_bytes_prove_nothing_when_coins_were_paid_out_meanwhile() -> None:
    it = await ready()
    it.bench.changer.insert_coin(100)
    await at_least(1, lambda: it.sink.coins)
    await asyncio.sleep(0.5)
    known = remembered(it)["changer"]
    it.cut()
    it.bench.truth.move(next(iter(it.bench.truth.things(tube(4)))), tube(4), "technician")
    it.bench.changer.insert_coin(100)  # says 21 coins again
    await asyncio.sleep(1)
    it.sink.reports = []
    await it.die()
    counts = list(known.tubes)
    counts[4] -= 1
    await it.greet(changer=Known(known.info, known.last_answer, tuple(counts)))
    assert it.sink.coins == [100]
    await it.die()


@virtual
async def test_an_adapter_has_nothing_pending_after_a_restart() -> None:
    it = await ready("adapter")
    it.bench.changer.insert_coin(200)
    await at_least(1, lambda: it.sink.coins)
    it.cut()
    it.bench.changer.insert_coin(200)  # the same bytes, another coin
    await asyncio.sleep(1)
    await restart(it)
    assert it.sink.coins == [200]
    assert [getattr(report, "suspect", 0) for report in it.sink.reports] == [0]
    await it.die()


@pytest.mark.parametrize("stacked", [False, True])
@virtual
async def test_a_kill_between_record_and_ack_does_not_count_a_bill_again(stacked: bool) -> None:
    it = await ready(delay_s=0.002)
    await it.offer_bill(1000)
    if stacked:
        await at_least(1, lambda: it.sink.durable)
        await it.bill.stack()
    kill_after_commit(it)
    await at_least(1 + stacked, lambda: it.sink.durable)
    await restart(it)
    assert it.sink.reports == []
    await it.die()


@virtual
async def test_a_bill_without_escrow_that_came_while_nobody_lived_is_counted() -> None:
    it = await ready(bill=BillSettings(has_escrow=False))
    await it.offer_bill(500)
    await at_least(1, lambda: it.sink.bills)
    await asyncio.sleep(1)
    it.cut()
    await it.offer_bill(1000)
    await asyncio.sleep(3)
    await restart(it)
    assert it.sink.bills == [("stacked", 1000)]
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_money_found_at_a_first_start_is_valued_by_setup(kind: LinkKind) -> None:
    it = await ready(kind)
    await it.die()
    it.sink.reports = []
    it.bench.changer.insert_coin(200)
    it.bench.changer.insert_coin(100)
    await it.offer_bill(2000)
    await asyncio.sleep(2)
    await it.greet()  # knows nothing of either device
    await asyncio.sleep(0.01)
    assert it.sink.coins == [200, 100]
    assert it.sink.bills == [("escrowed", 2000)]
    assert it.sink.durable[-2:] == it.sink.reports
    await it.die()


@virtual
async def test_a_record_that_fails_is_not_acknowledged_and_stops_the_bus() -> None:
    it = await ready()
    bus = it.tasks[0]
    it.sink.failure = JournalError("disk full")
    it.bench.changer.insert_coin(100)
    with pytest.raises(JournalError):
        await bus
    it.sink.failure = None
    it.sink.reports = []
    known = Known(info=it.sink_info(ChangerInfo))
    await it.die()
    await it.greet(changer=known)
    assert it.sink.coins == [100]  # the changer still had it
    await it.die()


@virtual
async def test_while_money_waits_for_the_disk_the_other_devices_are_served() -> None:
    it = await ready(delay_s=5.0)
    it.bench.changer.insert_coin(200)
    await at_least(1, lambda: it.sink.reports)
    began = now()
    assert (await it.bill.stacker()).bills == 0
    assert now() - began < 0.2
    await asyncio.sleep(8)
    assert it.sink.coins == [200]
    await it.die()


@virtual
async def test_a_second_coin_while_the_first_waits_is_recorded_beside_it() -> None:
    it = await ready(delay_s=1.0)
    for value in (200, 200, 100):
        it.bench.changer.insert_coin(value)
        await asyncio.sleep(0.4)
    await asyncio.sleep(4)
    assert it.sink.coins == [200, 200, 100]
    await it.die()
