"""The card reader's driver is set up, and loses its reader."""

import asyncio
from dataclasses import replace

import pytest

from controller.faults import LinkError
from controller.ports import (
    Approved,
    Denied,
    DeviceLost,
    DeviceName,
    DeviceReady,
    DeviceWasReset,
    FaultRaised,
    Identity,
)
from drivers.mdb.cashless_expect import ReaderSettings as Ours
from simulator.bench import BenchSettings, LinkKind
from simulator.peripherals.reader_settings import (
    ALL_AT_ONCE,
    ReaderSettings,
    ReaderState,
    WrongMoment,
)
from tests.mdb_kit import Rig, now, rig, until, virtual
from tests.unit.drivers.mdb.cashless_kit import (
    BOTH,
    CLASSIC,
    EXPANDED,
    IDLE,
    auth,
    reader,
    selling,
    session,
)


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("at_once", [False, True])
@virtual
async def test_a_reader_of_each_level_is_set_up(level: int, at_once: bool) -> None:
    settings = ReaderSettings(level=level, at_once=ALL_AT_ONCE if at_once else frozenset())
    it = await reader(settings).up()
    info = it.reader.info
    assert info is not None
    assert (info.level, info.scaling, info.decimals) == (level, 1, 2)
    assert (info.can_refund, info.multivend, info.cash_sale) == (True, False, True)
    assert info.always_idle == (level == 3)
    assert not info.expanded
    assert info.max_response_s == 20.0
    assert info.identity == Identity("ABC", "000000123456", "TAP-1", "2.10")
    assert it.bench.reader.state is ReaderState.DISABLED
    assert [event for event in it.sink.events if not isinstance(event, DeviceReady)] == []
    await it.die()


@virtual
async def test_the_second_reader_has_its_own_address() -> None:
    bench = BenchSettings(changer=None, bill=None, readers=(CLASSIC, IDLE))
    both = frozenset({DeviceName.CASHLESS1, DeviceName.CASHLESS2})
    it = await rig(settings=bench, devices=both).up()
    first, second = it.all.readers.values()
    assert first.info is not None
    assert second.info is not None
    assert (first.info.always_idle, second.info.always_idle) == (False, True)
    second.enable(True)
    await until(lambda: it.bench.readers[1].state is ReaderState.ENABLED)
    assert it.bench.readers[0].state is ReaderState.DISABLED
    await it.die()


@virtual
async def test_options_are_enabled_as_far_as_both_know_and_want_them() -> None:
    every = replace(EXPANDED, options=0xFFFFFFFF)
    it = await reader(every).up()
    assert it.bench.reader.options == 0b100110
    assert it.reader.info is not None
    assert it.reader.info.expanded
    await it.die()
    it = await reader(every, ours=Ours(always_idle=False, expanded=False)).up()
    assert it.bench.reader.options == 0
    assert it.reader.info is not None
    assert not it.reader.info.always_idle
    await it.die()


@pytest.mark.parametrize("settings", [CLASSIC, EXPANDED])
@virtual
async def test_prices_are_told_in_both_forms_and_again_when_they_change(
    settings: ReaderSettings,
) -> None:
    it = await selling(settings)
    assert it.bench.reader.prices == (500, 50)
    it.reader.set_prices((100, 300))
    await until(lambda: it.bench.reader.prices == (300, 100))
    it.bench.reader.self_reset()
    await until(lambda: len(it.sink.told(DeviceReady)) == 2)
    assert it.bench.reader.prices == (300, 100)
    await it.die()


@virtual
async def test_prices_that_change_while_the_last_ones_are_told_are_told_as_well() -> None:
    it = await selling()
    it.bench.reader.faults.silent = True
    it.reader.set_prices((100, 300))
    await asyncio.sleep(0.5)
    it.reader.set_prices((100, 400))
    it.bench.reader.faults.silent = False
    await until(lambda: it.bench.reader.prices == (400, 100), 10.0)
    await it.die()


@virtual
async def test_prices_a_reader_cannot_tell_are_a_fault_and_never_rounded() -> None:
    it = await reader(replace(CLASSIC, scale=10)).up()
    it.reader.set_prices((55, 500))
    it.reader.enable(True)
    await until(lambda: ("cashless1", "device.unsuitable") in it.sink.faults)
    await session_at(it)
    assert isinstance(await it.reader.request_vend(55, 1), Denied)
    assert isinstance(await it.reader.request_vend(60, 1), Approved)
    assert auth(it).requested == 60
    await it.reader.vend_success(1)
    await it.reader.end_session()
    it.reader.set_prices((60, 500))
    await until(lambda: it.sink.faults == {})
    await it.die()


@virtual
async def test_each_price_is_looked_at_and_not_only_the_lowest_and_the_highest() -> None:
    it = await reader(replace(CLASSIC, scale=10)).up()
    it.reader.set_prices((50, 123, 500))
    it.reader.enable(True)
    await until(lambda: ("cashless1", "device.unsuitable") in it.sink.faults)
    assert it.sink.told(FaultRaised)[-1].detail == "no whole number of its units: 1.23 EUR"
    assert it.bench.reader.prices == (500, 50)
    it.reader.set_prices(())
    await until(lambda: it.sink.faults == {})
    await until(lambda: it.bench.reader.prices == (0, 0))
    it.reader.set_prices({101, 102, 103, 104, 105})
    await until(lambda: it.sink.told(FaultRaised)[-1].detail.endswith("1.03 EUR and 2 more"))
    await it.die()


@virtual
async def test_prices_that_stood_before_a_set_up_are_a_fault_behind_it() -> None:
    it = await reader(replace(CLASSIC, scale=100)).up()
    it.reader.set_prices((50, 240))
    await until(lambda: ("cashless1", "device.unsuitable") in it.sink.faults)
    it.bench.reader.self_reset()
    await until(lambda: len(it.sink.told(DeviceReady)) == 2)
    await asyncio.sleep(2.0)
    assert ("cashless1", "device.unsuitable") in it.sink.faults
    told = it.sink.told(FaultRaised)[-1].detail
    assert told == "no whole number of its units: 0.50 EUR, 2.40 EUR"
    await it.die()


async def session_at(it: Rig) -> None:
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED)
    await session(it)


@virtual
async def test_another_currency_is_refused() -> None:
    it = reader(replace(CLASSIC, currency=0x1826))
    await it.greet()
    it.start()
    await asyncio.sleep(30)
    assert not it.reader.ready
    assert "GBP" in it.sink.faults["cashless1", "device.unsuitable"]
    await it.die()


@pytest.mark.parametrize("fault", ["silent_commands", "lost_answers", "naks", "bad_checksums"])
@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_initialisation_survives_single_losses(kind: LinkKind, fault: str) -> None:
    it = reader(IDLE, kind)
    setattr(it.bench.reader.faults, fault, 4)
    await it.up()
    assert it.sink.faults == {}
    await it.die()


@pytest.mark.parametrize(
    "settings",
    [
        replace(CLASSIC, long_id_always=True, level=2),
        replace(CLASSIC, reset_tells_at_once=True),
        replace(CLASSIC, boot_s=4.0),
        replace(CLASSIC, boot_s=25.0),
        replace(CLASSIC, wrong_moment=WrongMoment.SILENCE),
    ],
    ids=["34 byte id", "just reset at once", "boots 4 s", "boots 25 s", "silent"],
)
@virtual
async def test_readers_with_their_own_ways_come_up(settings: ReaderSettings) -> None:
    it = await reader(settings).up(120)
    await asyncio.sleep(5)
    assert len(it.sink.told(DeviceReady)) == 1
    assert it.sink.faults == {}
    await it.die()


@virtual
async def test_a_reset_of_its_own_is_followed_by_initialisation_without_reset() -> None:
    it = await selling()
    resets = len(it.tap.times(0x10))
    it.bench.reader.self_reset()
    await until(lambda: it.sink.told(DeviceWasReset))
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED)
    assert len(it.tap.times(0x10)) == resets
    await it.die()


@virtual
async def test_a_silent_reader_is_lost_after_its_own_response_time() -> None:
    it = await selling(replace(CLASSIC, max_response_s=12))
    it.bench.reader.faults.silent = True
    began = now()
    await until(lambda: it.sink.told(DeviceLost))
    assert 12.0 <= now() - began <= 13.5
    with pytest.raises(LinkError):
        await it.reader.request_vend(120, 7)
    with pytest.raises(LinkError):
        await it.reader.end_session()
    it.bench.reader.faults.silent = False
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED)
    await it.die()
