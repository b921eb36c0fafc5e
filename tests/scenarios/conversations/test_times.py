"""The standard's times, kept in virtual time: acknowledgements, polls, resets."""

import asyncio
from itertools import pairwise

import pytest

from controller.ports import DeviceLost, DeviceName, DeviceWasReset, PayoutOrder
from drivers.mdb.blocks import ACK, POLL_MIN_S, TUBE_STATUS_AFTER_RESET_S
from simulator.bench import BenchSettings, LinkKind
from simulator.peripherals.reader_settings import Card
from tests.mdb_kit import ALL, Heard, Rig, at_least, now, rig, until, virtual

ALL_COINS = frozenset(range(6))
CHANGER_POLL, BILL_POLL, READER_POLL = 0x0B, 0x33, 0x12
CHANGER_RESET, BILL_RESET, READER_RESET = 0x08, 0x30, 0x10
LATE_S = 0.015
POLL_LATEST_S = 0.200


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(times)]


def marked(heard: Heard) -> bool:
    return len(heard.data) >= 3 and heard.data[-3:-1] == b"\xff\x00"


def ack_delays(it: Rig) -> list[float]:
    """From the last byte of each data answer to our ACK."""
    delays: list[float] = []
    answer = b""
    last = 0.0
    for heard in it.tap.log:
        if not heard.ours:
            answer += heard.data
            if marked(heard):
                last = heard.at
        elif heard.control:
            assert heard.data[0] == ACK
            delays.append(heard.at - last)
            answer = b""
        else:
            answer = b""
    return delays


@pytest.mark.parametrize("delay_s", [0.0, 0.001, 0.003, 0.0034])
@virtual
async def test_each_acknowledgement_leaves_within_5_ms_of_the_last_byte(delay_s: float) -> None:
    it = await rig(delay_s=delay_s).up()
    it.changer.accept(ALL_COINS)
    await asyncio.sleep(0.5)
    for _ in range(20):
        it.bench.changer.insert_coin(100)
        await asyncio.sleep(0.07)
    await at_least(20, lambda: it.sink.coins)
    delays = ack_delays(it)
    assert len(delays) > 10
    assert max(delays) <= 0.005
    assert it.all.bus.counters.withheld == 0
    await it.die()


@virtual
async def test_money_whose_record_is_slow_is_not_acknowledged_late_but_not_at_all() -> None:
    it = await rig(delay_s=0.050).up()
    it.changer.accept(ALL_COINS)
    await asyncio.sleep(0.5)
    for _ in range(5):
        it.bench.changer.insert_coin(200)
        await asyncio.sleep(0.5)
    assert it.sink.coins == [200] * 5
    assert max(ack_delays(it)) <= 0.005
    assert it.all.bus.counters.withheld >= 5
    await it.die()


@pytest.mark.parametrize("kind", ["native", "adapter"])
@virtual
async def test_an_idle_machine_is_polled_every_125_to_200_ms(kind: LinkKind) -> None:
    it = await rig(kind).up()
    it.changer.accept(ALL_COINS)
    it.bill.accept(frozenset({0, 1}))
    it.reader.enable(True)
    await asyncio.sleep(1)
    began = now()
    it.all.bus.counters.worst_late_s = 0.0
    await asyncio.sleep(60)
    names = {"native": (CHANGER_POLL, BILL_POLL, READER_POLL)}
    for poll in names.get(kind, ()):
        times = [at for at in it.tap.times(poll) if at > began]
        assert len(times) >= 60 / POLL_LATEST_S
        assert max(gaps(times)) <= POLL_LATEST_S
        assert min(gaps(times)) >= POLL_MIN_S - 1e-6
    assert it.all.bus.counters.worst_late_s <= LATE_S
    await it.die()


@virtual
async def test_polls_go_on_in_time_during_a_payout_and_a_card_vend() -> None:
    it = await rig().up()
    it.reader.enable(True)
    await until(lambda: it.bench.reader.present_card(Card("c", balance=5000)))
    await until(lambda: it.reader.in_session)
    began = now()
    payout = asyncio.create_task(it.changer.payout(PayoutOrder(370, ((4, 3), (3, 1), (2, 1)))))
    vend = asyncio.create_task(it.reader.request_vend(120, 7))
    await asyncio.gather(payout, vend)
    await it.reader.vend_success(7)
    await it.reader.end_session()
    for poll in (CHANGER_POLL, BILL_POLL, READER_POLL):
        times = [at for at in it.tap.times(poll) if at > began]
        assert max(gaps(times)) <= POLL_LATEST_S + LATE_S
    await it.die()


@virtual
async def test_tubes_are_not_asked_within_500_ms_of_a_reset() -> None:
    it = await rig().up()
    for time in (1, 2, 3):
        it.bench.changer.self_reset()
        reset = now()
        await at_least(time, lambda: it.sink.told(DeviceWasReset))
        await it.changer.tubes()
        asked = [at for at in it.tap.times(0x0A) if at > reset]
        assert asked[0] - reset >= TUBE_STATUS_AFTER_RESET_S
        await asyncio.sleep(2)
    await it.die()


@virtual
async def test_an_absent_device_gets_a_reset_every_10_s_and_the_others_their_polls() -> None:
    it = rig(settings=BenchSettings(bill=None, readers=()))
    greetings = await it.greet()
    assert [name for name, greeting in greetings.items() if greeting.present] == ["changer"]
    it.start()
    await until(lambda: it.changer.ready)
    began = now()
    await asyncio.sleep(100)
    for reset in (BILL_RESET, READER_RESET):
        times = [at for at in it.tap.times(reset) if at > began + 5]
        assert gaps(times) == pytest.approx([10.0] * (len(times) - 1), abs=0.4)
        assert len(times) >= 9
    polls = [at for at in it.tap.times(BILL_POLL) if at > began]
    # Before each RESET: it may have booted, and may have money to tell of, right to the end.
    assert len(polls) <= 33
    times = [at for at in it.tap.times(CHANGER_POLL) if at > began]
    assert max(gaps(times)) <= POLL_LATEST_S
    assert sorted(lost.device for lost in it.sink.told(DeviceLost)) == [
        DeviceName.BILL,
        DeviceName.CASHLESS1,
    ]
    await it.die()


@virtual
async def test_resets_of_absent_devices_are_spread_out() -> None:
    it = rig(settings=BenchSettings(changer=None, bill=None, readers=()), devices=ALL)
    await it.greet()
    it.start()
    await asyncio.sleep(60)
    late = sorted(
        at
        for reset in (CHANGER_RESET, BILL_RESET, READER_RESET)
        for at in it.tap.times(reset)
        if at > 30
    )
    assert min(gaps(late)) > 0.1
    await it.die()


@virtual
async def test_a_device_that_comes_back_is_picked_up_within_its_next_reset() -> None:
    it = rig()
    it.bench.bill.faults.silent = True
    await it.greet()
    it.start()
    await asyncio.sleep(30)
    assert not it.bill.ready
    it.bench.bill.faults.silent = False
    began = now()
    await until(lambda: it.bill.ready)
    assert now() - began <= 13
    assert it.sink.faults == {}
    await it.die()
