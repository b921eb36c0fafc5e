"""The card reader's driver and sessions: told, ended, in the way of enabling."""

import asyncio
from dataclasses import replace

import pytest

from controller.faults import LinkError
from controller.ports import (
    AgeAnswer,
    Approved,
    Denied,
    DeviceLost,
    DeviceReady,
    DeviceRestarts,
    DeviceWasReset,
    SessionBegun,
    SessionCancelRequested,
    SessionEnded,
    SettleOutcome,
)
from drivers.mdb.cashless_expect import RESTART_NOTICE_S
from simulator.bench import LinkKind
from simulator.peripherals.reader_settings import (
    ALL_AT_ONCE,
    AtOnce,
    Card,
    ReaderSettings,
    ReaderState,
)
from simulator.truth import AuthState
from tests.mdb_kit import Rig, now, until, virtual
from tests.unit.drivers.mdb.cashless_kit import (
    BOTH,
    CLASSIC,
    EXPANDED,
    IDLE,
    auth,
    late,
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


@pytest.mark.parametrize("at_once", [frozenset(), ALL_AT_ONCE], ids=["later", "at once"])
@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_the_lever_has_a_reader_let_go_of_a_card_that_it_only_holds(
    kind: LinkKind, at_once: frozenset[AtOnce]
) -> None:
    it = await selling(replace(IDLE, at_once=at_once, card_read_s=30.0), kind)
    assert it.bench.reader.present_card(Card("c", balance=2000))
    it.reader.cancel_reading()
    await until(lambda: it.bench.reader.card is None)
    await asyncio.sleep(1)
    it.bench.reader.settings = replace(it.bench.reader.settings, card_read_s=0.4)
    assert it.bench.reader.present_card(Card("d", balance=2000))
    assert isinstance(await it.reader.request_vend(120, 7), Approved)
    assert it.sink.told(DeviceRestarts) == []
    if kind == "native":
        assert len(sent(it, b"\x14\x02")) == 1
    await it.die()


@pytest.mark.parametrize("moment", ["disabled", "in a session", "in a vend"])
@virtual
async def test_reader_cancel_is_sent_in_no_other_state(moment: str) -> None:
    it = await selling()
    if moment == "disabled":
        it.reader.enable(False)
        await until(lambda: it.bench.reader.state is ReaderState.DISABLED)
    else:
        await session(it)
    if moment == "in a vend":
        assert isinstance(await it.reader.request_vend(120, 7), Approved)
    it.reader.cancel_reading()
    await asyncio.sleep(1)
    assert sent(it, b"\x14\x02") == []
    await it.die()


@virtual
async def test_a_reader_that_never_says_cancelled_is_asked_once_and_sells_on() -> None:
    it = await selling(replace(IDLE, max_response_s=5))
    it.bench.reader.faults.no_cancelled = 9
    for _ in range(3):
        it.reader.cancel_reading()
        await asyncio.sleep(8)
    assert it.bench.reader.faults.no_cancelled == 8
    assert len(it.tap.times(0x10)) == 1
    assert it.bench.reader.present_card(Card("c", balance=2000))
    assert isinstance(await it.reader.request_vend(120, 7), Approved)
    await it.die()


@virtual
async def test_a_session_that_begins_comes_before_the_cancel() -> None:
    it = await selling(replace(CLASSIC, card_read_s=0.1))
    for wait_s in (0.05, 0.09, 0.1, 0.15, 0.2):
        it.bench.reader.present_card(Card("c", balance=2000))
        await asyncio.sleep(wait_s)
        it.reader.cancel_reading()
        await asyncio.sleep(10)
        if it.reader.in_session:
            assert isinstance(await it.reader.request_vend(120, 7), Approved)
            await it.reader.vend_success(7)
            await it.reader.end_session()
        await until(lambda: it.bench.reader.state is ReaderState.ENABLED)
    await it.die()


@virtual
async def test_an_end_that_waited_for_a_request_ends_no_vend() -> None:
    it = await selling(replace(CLASSIC, complete_cancels=True))
    await session(it)
    requesting = asyncio.create_task(it.reader.request_vend(120, 7))
    await until(lambda: it.bench.reader.state is ReaderState.VEND)
    ending = asyncio.create_task(it.reader.end_session())
    assert await requesting == Approved(120)
    await ending
    assert await it.reader.vend_success(7) is SettleOutcome.DONE
    assert auth(it).state is AuthState.CAPTURED
    await it.reader.end_session()
    assert it.bench.reader.state is ReaderState.ENABLED
    await it.die()


@virtual
async def test_a_card_of_another_currency_is_sent_away_behind_a_question_for_an_age() -> None:
    it = await selling(EXPANDED)
    it.bench.reader.settings = replace(it.bench.reader.settings, currency=0x1840)
    asking = asyncio.create_task(it.reader.verify_age(18))
    await until(lambda: it.bench.reader.age_asked == 18)
    assert it.bench.reader.present_card(Card("c", balance=2000, age=20))
    assert await asking is AgeAnswer.PROVED
    await until(lambda: not it.reader.in_session, 5.0)
    assert it.bench.reader.state is ReaderState.ENABLED
    await it.die()


@virtual
async def test_nothing_is_asked_for_in_a_session_of_another_currency() -> None:
    it = await selling(EXPANDED)
    it.bench.reader.settings = replace(it.bench.reader.settings, currency=0x1840)
    async with it.reader.dialogue():
        assert it.bench.reader.present_card(Card("c", balance=2000))
        await until(lambda: it.reader.in_session)
        requesting = asyncio.create_task(it.reader.request_vend(120, 7))
        await asyncio.sleep(0.01)
    await until(lambda: it.bench.reader.state is ReaderState.VEND)
    assert it.bench.reader.card is None, "its session is over: another card is waited for"
    await it.reader.cancel_vend()
    assert await requesting == Denied("cancelled")
    await it.die()


@virtual
async def test_a_request_ends_no_session_whose_vend_is_owed_an_outcome() -> None:
    """It asked for the end, and then told an approval of a life before."""
    it = await selling(IDLE)
    await asyncio.sleep(2.0)
    it.bench.reader.say(b"\x04\x05\x00\x78")
    await until(lambda: late(it))
    with pytest.raises(LinkError, match="earlier approval"):
        await it.reader.request_vend(120, 7)
    assert sent(it, b"\x13\x04") == []
    await it.die()


async def hears_of_no_enabling(it: Rig, heard: int) -> None:
    """Wait for its set-up, and see that it was told to take cards before its JUST RESET alone."""
    await until(lambda: any(block.data[:2] == b"\x11\x00" for block in it.tap.log[heard:]))
    ours = [block for block in it.tap.log[heard:] if block.ours]
    told = next(at for at, block in enumerate(ours) if block.control)  # our ACK of JUST RESET
    assert b"\x14" in [block.data[:1] for block in ours[:told]], "it was said, and not heard"
    assert b"\x14" not in [block.data[:1] for block in ours[told:]]


@virtual
async def test_what_a_reader_that_reset_itself_did_not_hear_is_not_said_again() -> None:
    """It is inactive, and would take it for out of sequence."""
    it = await selling(replace(CLASSIC, boot_s=0.2))
    heard = len(it.tap.log)
    it.bench.reader.self_reset()
    it.reader.enable(False)
    await hears_of_no_enabling(it, heard)
    await it.die()


@virtual
async def test_nor_is_a_reader_that_reset_itself_enabled_once_more_for_a_request() -> None:
    it = await selling(replace(IDLE, boot_s=0.2))
    it.reader.enable(False)
    await until(lambda: sent(it, b"\x14\x00"))
    await asyncio.sleep(0.5)
    heard = len(it.tap.log)
    it.bench.reader.self_reset()
    with pytest.raises(LinkError, match="nothing was asked"):
        await it.reader.request_vend(120, 7)
    await hears_of_no_enabling(it, heard)
    await it.die()


@virtual
async def test_what_a_reader_asks_for_besides_waits_for_the_end_of_its_vend() -> None:
    """A vend is not to be interrupted: it would be taken for out of sequence."""
    it = await selling()
    await session(it)
    assert isinstance(await it.reader.request_vend(120, 7), Approved)
    it.bench.reader.request_time()
    await asyncio.sleep(1.0)
    assert sent(it, b"\x17\x03") == []
    await it.reader.vend_success(7)
    await until(lambda: len(sent(it, b"\x17\x03")) == 1)
    await it.die()
