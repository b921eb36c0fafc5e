"""The card reader's driver and sessions: told, ended, in the way of enabling."""

import asyncio
from dataclasses import replace

import pytest

from controller.faults import LinkError
from controller.ports import (
    DeviceLost,
    DeviceReady,
    DeviceRestarts,
    DeviceWasReset,
    SessionBegun,
    SessionCancelRequested,
    SessionEnded,
)
from drivers.mdb.cashless_expect import RESTART_NOTICE_S
from simulator.peripherals.reader_settings import (
    Card,
    ReaderSettings,
    ReaderState,
)
from tests.mdb_kit import now, until, virtual
from tests.unit.drivers.mdb.cashless_kit import (
    CLASSIC,
    EXPANDED,
    selling,
    sent,
    session,
)


@pytest.mark.parametrize("settings", [replace(CLASSIC, level=1), CLASSIC, EXPANDED])
@virtual
async def test_a_session_tells_the_funds(settings: ReaderSettings) -> None:
    it = await selling(settings)
    await session(it)
    [begun] = it.sink.told(SessionBegun)
    assert begun.funds == 2000
    if settings is EXPANDED:
        assert (begun.language, begun.refundable) == ("en", True)
    await it.reader.end_session()
    assert len(it.sink.told(SessionEnded)) == 1
    await it.die()


@pytest.mark.parametrize(
    "card", [Card("c"), Card("c", balance=5, show_balance=False)], ids=["issuer", "hidden"]
)
@virtual
async def test_unknown_funds_are_not_shown(card: Card) -> None:
    it = await selling()
    await session(it, card)
    assert it.sink.told(SessionBegun)[0].funds is None
    await it.die()


@virtual
async def test_a_card_of_another_currency_is_sent_away() -> None:
    it = await selling(EXPANDED)
    other = replace(it.bench.reader.settings, currency=0x1840)
    it.bench.reader.settings = other
    it.bench.reader.present_card(Card("c", balance=2000))
    await until(lambda: len(sent(it, b"\x13\x04")) > 0)
    await until(lambda: not it.reader.in_session)
    assert it.sink.told(SessionBegun) == []
    await it.die()


@pytest.mark.parametrize("repeats", [False, True])
@virtual
async def test_a_request_to_end_the_session_is_told_once(repeats: bool) -> None:
    it = await selling(replace(CLASSIC, cancel_repeats=repeats))
    await session(it)
    it.bench.reader.cancel_session()
    await asyncio.sleep(2)
    assert len(it.sink.told(SessionCancelRequested)) == 1
    await it.reader.end_session()
    await session(it)
    it.bench.reader.cancel_session()
    await asyncio.sleep(1)
    assert len(it.sink.told(SessionCancelRequested)) == 2
    await it.die()


@virtual
async def test_an_end_of_session_that_never_comes_is_answered_by_reset() -> None:
    it = await selling()
    await session(it)
    it.bench.reader.faults.no_end = 1
    began = now()
    await it.reader.end_session()
    assert 19 <= now() - began <= 22
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED)
    assert len(it.tap.times(0x10)) == 2
    assert it.sink.told(DeviceLost) == []
    await it.die()


@virtual
async def test_an_unasked_end_of_session_is_an_end_of_session() -> None:
    it = await selling()
    await session(it)
    it.bench.reader.faults.unasked_ends = 2
    await until(lambda: it.sink.told(SessionEnded))
    await asyncio.sleep(2)
    assert len(it.sink.told(SessionEnded)) == 1
    assert len(it.tap.times(0x10)) == 1
    await it.die()


@virtual
async def test_out_of_sequence_for_no_reason_leads_to_a_reset_outside_a_vend() -> None:
    it = await selling()
    it.bench.reader.faults.out_of_sequence = 1
    await until(lambda: len(it.tap.times(0x10)) == 2)
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED)
    assert [*it.sink.told(DeviceLost), *it.sink.told(DeviceWasReset)] == []
    await it.die()


@virtual
async def test_a_restart_is_told_before_its_reset_and_nothing_is_asked_in_between() -> None:
    it = await selling()
    it.bench.reader.faults.out_of_sequence = 1
    await until(lambda: it.sink.told(DeviceRestarts))
    told = now()
    with pytest.raises(LinkError):
        await it.reader.request_vend(50, 1)
    await until(lambda: len(it.tap.times(0x10)) == 2)
    assert it.tap.times(0x10)[1] - told >= RESTART_NOTICE_S
    await until(lambda: len(it.sink.told(DeviceReady)) == 2)
    assert len(it.sink.told(DeviceRestarts)) == 1
    await it.die()


@virtual
async def test_enable_and_disable_wait_for_the_end_of_a_session() -> None:
    it = await selling()
    await session(it)
    it.reader.enable(False)
    await asyncio.sleep(1)
    assert sent(it, b"\x14\x00")[1:] == []  # the one of no session, and none in it
    await it.reader.end_session()
    await until(lambda: it.bench.reader.state is ReaderState.DISABLED)
    it.reader.enable(True)
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED)
    await it.die()
