"""Devices that answer nonsense, or stop in the middle of a dialogue."""

import asyncio
from collections.abc import Callable

import pytest

from controller.faults import EffectUnknownError, JournalError, LinkError
from controller.ports import (
    Approved,
    CancelOutcome,
    Denied,
    DeviceName,
    DeviceRestarts,
    FaultRaised,
    PayoutOrder,
    SettleOutcome,
)
from drivers.mdb.assembly import adapter_link, native_link
from drivers.mdb.money_gate import MoneyGate
from simulator.bench import BenchSettings
from simulator.peripherals.base import Peripheral
from simulator.peripherals.reader_settings import Card, ReaderSettings, ReaderState
from tests.mdb_kit import FakeSink, Rig, rig, until, virtual
from tests.unit.drivers.mdb.cashless_kit import selling, sent, session

Handler = Callable[[bytes], bytes | None]


def only(name: DeviceName) -> Rig:
    settings = BenchSettings(readers=(ReaderSettings(options=0, max_response_s=6),))
    return rig(settings=settings, devices=frozenset({name}))


STEPS = {0x09: "SETUP", 0x0A: "TUBE STATUS", 0x31: "SETUP", 0x36: "STACKER", 0x11: "SETUP"}


def sim(it: Rig, name: DeviceName) -> Peripheral:
    return {"changer": it.bench.changer, "bill": it.bench.bill}.get(name.value, it.bench.reader)


def answer(device: Peripheral, start: bytes, reply: bytes | None) -> Callable[[], None]:
    """Let a device answer commands that begin so by `reply`; returns what mends it."""
    handle: Handler = device._handle

    def wrong(payload: bytes) -> bytes | None:
        return reply if payload.startswith(start) else handle(payload)

    device._handle = wrong  # type: ignore[method-assign] # a firmware with this flaw

    def mend() -> None:
        device._handle = handle  # type: ignore[assignment] # back to what it was

    return mend


@pytest.mark.parametrize(
    ("name", "start", "reply"),
    [
        (DeviceName.CHANGER, b"\x09", b"\x03\x19"),
        (DeviceName.CHANGER, b"\x09", b""),
        (DeviceName.CHANGER, b"\x0a", b"\x00"),
        (DeviceName.BILL, b"\x31", b"\x01\x19\x78"),
        (DeviceName.BILL, b"\x31", b""),
        (DeviceName.BILL, b"\x36", b"\x00"),
        (DeviceName.BILL, b"\x36", b""),
        (DeviceName.CASHLESS1, b"\x11\x00", b"\x06"),
        (DeviceName.CASHLESS1, b"\x11\x00", b""),
        (DeviceName.CASHLESS1, b"\x11\x00", b"\x0b\x01"),
    ],
)
@virtual
async def test_a_device_that_answers_nonsense_is_a_protocol_fault_and_tried_again(
    name: DeviceName, start: bytes, reply: bytes
) -> None:
    it = only(name)
    mend = answer(sim(it, name), start, reply)
    await it.greet()
    it.start()
    await until(lambda: (name.value, "device.protocol") in it.sink.faults)
    await asyncio.sleep(30)
    assert len(it.sink.told(FaultRaised)) == 1
    assert STEPS[start[0]] in it.sink.faults[name.value, "device.protocol"]
    mend()
    await until(lambda: it.all.devices[0].ready)
    assert it.sink.faults == {}
    await it.die()


@pytest.mark.parametrize("reply", [None, b"", b"\x01\x02", b"\x20" * 35])
@pytest.mark.parametrize(
    ("name", "start"),
    [
        (DeviceName.CHANGER, b"\x0f\x00"),
        (DeviceName.CHANGER, b"\x0f\x01"),
        (DeviceName.CHANGER, b"\x0f\x05"),
        (DeviceName.BILL, b"\x37\x00"),
        (DeviceName.CASHLESS1, b"\x17\x00"),
    ],
)
@virtual
async def test_a_device_without_an_optional_answer_works_all_the_same(
    name: DeviceName, start: bytes, reply: bytes | None
) -> None:
    it = only(name)
    answer(sim(it, name), start, reply)
    await it.up()
    assert ("changer", "device.protocol") not in it.sink.faults
    await it.die()


@virtual
async def test_a_reader_that_does_not_take_its_options_has_none() -> None:
    it = rig(
        settings=BenchSettings(readers=(ReaderSettings(),)),
        devices=frozenset({DeviceName.CASHLESS1}),
    )
    answer(it.bench.reader, b"\x17\x04", None)
    await it.up()
    assert it.reader.info is not None
    assert not it.reader.info.always_idle
    await it.die()


@virtual
async def test_a_payout_status_of_nonsense_is_no_status() -> None:
    it = await only(DeviceName.CHANGER).up()
    answer(it.bench.changer, b"\x0f\x03", bytes(20))
    evidence = await it.changer.payout(PayoutOrder(500, (), by_value=True))
    assert evidence.idle
    assert evidence.status is None
    assert evidence.tubes is not None
    await it.die()


@virtual
async def test_tubes_and_stacker_that_answer_nonsense_are_link_errors() -> None:
    it = await rig(settings=BenchSettings(readers=()),
                   devices=frozenset({DeviceName.CHANGER, DeviceName.BILL})).up()  # fmt: skip
    answer(it.bench.changer, b"\x0a", b"\x00")
    answer(it.bench.bill, b"\x36", b"\x00")
    with pytest.raises(LinkError):
        await it.changer.tubes()
    with pytest.raises(LinkError):
        await it.bill.stacker()
    await it.die()


async def in_session(name: DeviceName = DeviceName.CASHLESS1) -> Rig:
    it = await only(name).up()
    it.reader.enable(True)
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED)
    it.bench.reader.present_card(Card("c", balance=2000))
    await until(lambda: it.reader.in_session)
    return it


@virtual
async def test_a_session_complete_that_is_never_acknowledged_ends_in_a_reset() -> None:
    it = await in_session()
    mend = answer(it.bench.reader, b"\x13\x04", None)
    with pytest.raises(LinkError, match="SESSION COMPLETE"):
        await it.reader.end_session()
    mend()
    await until(lambda: len(it.tap.times(0x10)) == 2)
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED)
    await it.die()


@virtual
async def test_a_success_that_is_never_acknowledged_is_unknown() -> None:
    it = await in_session()
    await it.reader.request_vend(120, 7)
    answer(it.bench.reader, b"\x13\x02", None)
    assert await it.reader.vend_success(7) is SettleOutcome.UNKNOWN
    await it.die()


@virtual
async def test_a_cancel_that_is_answered_by_an_ack_alone_is_unknown() -> None:
    it = await in_session()
    answer(it.bench.reader, b"\x13\x01", b"")
    assert await it.reader.cancel_vend() is CancelOutcome.UNKNOWN
    await it.die()


@virtual
async def test_a_request_and_a_cancel_that_are_not_answered_end_with_a_reset() -> None:
    it = await in_session()
    it.bench.reader.faults.no_answers = 1
    answer(it.bench.reader, b"\x13\x01", b"")
    asked = await it.reader.request_vend(120, 7)
    assert isinstance(asked, Denied)
    assert asked.review
    await until(lambda: len(it.tap.times(0x10)) == 2)
    await it.die()


@pytest.mark.parametrize("reply", [b"", b"\x0b\x04", b"\x0b\x06"])
@virtual
async def test_a_revalue_answered_otherwise_is_denied_or_unknown(reply: bytes) -> None:
    it = await in_session()
    answer(it.bench.reader, b"\x15\x00", reply)
    if reply[:1] == b"\x0b":
        assert not await it.reader.revalue(100), "out of sequence, so it was not carried out"
    else:
        with pytest.raises(EffectUnknownError):
            await it.reader.revalue(100)
    await it.die()


@virtual
async def test_a_port_lost_in_each_dialogue_is_an_answer_too() -> None:
    it = await in_session()
    await it.reader.request_vend(120, 7)
    it.unplug()
    assert await it.reader.vend_success(7) is SettleOutcome.UNKNOWN
    assert await it.reader.cancel_vend() is CancelOutcome.UNKNOWN
    assert await it.reader.revalue_limit() is None
    await it.reader.cash_sale(100, 1)
    with pytest.raises(LinkError):
        await it.reader.end_session()
    await it.die()


@virtual
async def test_several_records_are_durable_when_all_are() -> None:
    loop = asyncio.get_running_loop()
    futures: list[asyncio.Future[None]] = [loop.create_future() for _ in range(3)]
    gate = MoneyGate(FakeSink())
    for future in futures[:2]:
        gate._add(future)
    both = gate.waiting()
    assert both is not None
    futures[1].set_result(None)
    await asyncio.sleep(0)
    assert not both.done()
    futures[0].set_result(None)
    await asyncio.sleep(0)
    assert both.done()
    assert gate.waiting() is None


@virtual
async def test_one_record_that_fails_fails_the_answer() -> None:
    loop = asyncio.get_running_loop()
    first: asyncio.Future[None] = loop.create_future()
    second: asyncio.Future[None] = loop.create_future()
    third: asyncio.Future[None] = loop.create_future()
    gate = MoneyGate(FakeSink())
    for future in (first, second, third):
        gate._add(future)
    every = gate.waiting()
    assert every is not None
    second.set_exception(JournalError("I/O error"))
    third.cancel()
    first.set_result(None)
    with pytest.raises(JournalError):
        await every


@virtual
async def test_a_record_given_up_gives_the_answer_up() -> None:
    loop = asyncio.get_running_loop()
    first: asyncio.Future[None] = loop.create_future()
    second: asyncio.Future[None] = loop.create_future()
    gate = MoneyGate(FakeSink())
    gate._add(first)
    gate._add(second)
    both = gate.waiting()
    assert both is not None
    first.cancel()
    await asyncio.sleep(0)
    assert both.cancelled()


@virtual
async def test_ports_that_do_not_exist_are_link_errors() -> None:
    for link in (native_link("/dev/does-not-exist"), adapter_link("/dev/does-not-exist")):
        with pytest.raises(LinkError, match="does-not-exist"):
            await link.open()


@pytest.mark.parametrize("begins_s", [0.0, 10.0])
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("again", [False, True])
@virtual
async def test_a_reader_in_no_session_that_wants_one_ended_sells_on(
    again: bool, times: int, begins_s: float
) -> None:
    """It need not answer SESSION COMPLETE: it is not RESET for that, and the next card counts."""
    it = await selling()
    if again:
        await session(it)
        await it.reader.end_session()
        await asyncio.sleep(2.0)
    mend = answer(it.bench.reader, b"\x13\x04", b"")
    for _ in range(times):
        it.bench.reader.say(b"\x04")
        await asyncio.sleep(0.5)
    await asyncio.sleep(begins_s)
    mend()
    await session(it, Card("later"))
    assert isinstance(await it.reader.request_vend(100, 1), Approved)
    await it.reader.vend_success(1)
    await it.reader.end_session()
    await asyncio.sleep(10.0)
    assert it.sink.told(DeviceRestarts) == []
    await it.die()


@virtual
async def test_a_reader_that_never_hears_of_the_success_is_told_no_session_complete() -> None:
    """Some take it for a cancel. RESET instead: it charges what is approved."""
    it = await selling()
    await session(it)
    assert isinstance(await it.reader.request_vend(100, 1), Approved)
    mend = answer(it.bench.reader, b"\x13\x02", None)
    assert await it.reader.vend_success(1) is SettleOutcome.UNKNOWN
    await it.reader.end_session()
    await until(lambda: bool(it.sink.told(DeviceRestarts)), 10)
    mend()
    await until(lambda: it.reader.ready, 20)
    assert sent(it, b"\x13\x04") == []
    assert sum(entry.charged for entry in it.bench.truth.authorisations.values()) == 100
    await it.die()


@virtual
async def test_a_success_that_was_never_heard_ends_no_later_session() -> None:
    it = await selling()
    await session(it)
    assert isinstance(await it.reader.request_vend(100, 1), Approved)
    mend = answer(it.bench.reader, b"\x13\x02", None)
    assert await it.reader.vend_success(1) is SettleOutcome.UNKNOWN
    await until(lambda: bool(it.sink.told(DeviceRestarts)), 20)
    mend()
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED, 20)
    await session(it, Card("later"))
    await it.reader.end_session()
    assert len(sent(it, b"\x13\x04")) == 1
    await it.die()
