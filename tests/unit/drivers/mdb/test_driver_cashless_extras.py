"""The card reader's driver besides vends: cash sales, revalue, malfunctions."""

import asyncio
from dataclasses import replace

import pytest

from controller.faults import EffectUnknownError, LinkError
from controller.ports import (
    FaultRaised,
    ReaderDisplay,
    SessionCancelRequested,
    SettleOutcome,
)
from drivers.mdb.cashless_expect import ReaderSettings as Ours
from simulator.peripherals.reader_settings import (
    ALL_AT_ONCE,
    OPTION_DATA_ENTRY,
    Card,
    ReaderSettings,
)
from tests.mdb_kit import until, virtual
from tests.unit.drivers.mdb.cashless_kit import (
    CLASSIC,
    EXPANDED,
    approved,
    late,
    selling,
    sent,
    session,
)


@pytest.mark.parametrize("settings", [CLASSIC, EXPANDED])
@virtual
async def test_cash_sales_are_reported_to_a_reader_that_wants_them(
    settings: ReaderSettings,
) -> None:
    it = await selling(settings)
    await it.reader.cash_sale(120, 7)
    assert list(it.bench.reader.cash_sales) == [(120, 7)]
    await it.die()
    it = await selling(replace(settings, cash_sale=False))
    await it.reader.cash_sale(120, 7)
    assert list(it.bench.reader.cash_sales) == []
    await it.die()


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("base", [CLASSIC, EXPANDED])
@virtual
async def test_money_is_put_on_a_card_up_to_its_limit(base: ReaderSettings, at_once: bool) -> None:
    settings = replace(base, revalue_limit=800, at_once=ALL_AT_ONCE if at_once else frozenset())
    it = await selling(settings)
    assert await it.reader.revalue_limit() is None  # no session
    assert not await it.reader.revalue(100)
    await session(it, Card("c", balance=2000, revaluable=True))
    assert await it.reader.revalue_limit() == 800
    assert not await it.reader.revalue(900)
    assert await it.reader.revalue(500)
    assert it.bench.reader.card is not None
    assert it.bench.reader.card.balance == 2500
    await it.reader.end_session()
    await it.die()


@virtual
async def test_a_reader_without_revalue_says_no() -> None:
    it = await selling(replace(CLASSIC, revalue_limit=0))
    await session(it)
    assert await it.reader.revalue_limit() is None
    await it.die()
    it = await selling(replace(CLASSIC, level=1))
    await session(it)
    assert await it.reader.revalue_limit() is None
    assert sent(it, b"\x15") == []
    await it.die()


@virtual
async def test_a_revalue_that_is_never_answered_is_unknown() -> None:
    it = await selling(replace(CLASSIC, max_response_s=6))
    await session(it)
    it.bench.reader.faults.silent = True
    with pytest.raises(EffectUnknownError):
        await it.reader.revalue(500)
    await it.die()


@pytest.mark.parametrize(
    ("code", "fault", "lasting"),
    [
        (0x01, "reader.media", False), (0x12, "reader.media", False),
        (0x21, "reader.tamper", False), (0x30, "reader.other", False),
        (0x41, "reader.communications", True), (0x52, "reader.service", True),
        (0x63, "reader.other", True), (0x74, "reader.other", True),
        (0x80, "reader.failure", True), (0x91, "reader.failure", True),
        (0xA1, "reader.jam", True), (0xB1, "reader.other", True),
        (0xC1, "reader.refund", False), (0xD1, "reader.other", True),
    ],
)  # fmt: skip
@virtual
async def test_each_malfunction_is_raised_once_and_cleared(
    code: int, fault: str, lasting: bool
) -> None:
    it = await selling()
    it.bench.reader.malfunction(code)
    await asyncio.sleep(3)
    raised = it.sink.told(FaultRaised)
    assert [event.code.value for event in raised] == [fault]
    assert f"{code:02X}" in raised[0].detail
    assert (("cashless1", fault) in it.sink.faults) == lasting
    it.bench.reader.clear_malfunction()
    await asyncio.sleep(1)
    assert it.sink.faults == {}
    await it.die()


@virtual
async def test_a_reader_may_show_text_on_our_display() -> None:
    it = await selling(ours=Ours(columns=16, rows=2))
    assert it.bench.reader.request_display("INSERT CARD", 2.5)
    await until(lambda: it.sink.told(ReaderDisplay))
    [shown] = it.sink.told(ReaderDisplay)
    assert (shown.text, shown.seconds) == ("INSERT CARD", 2.5)
    await it.die()


@virtual
async def test_a_reader_that_asks_the_time_is_told_it() -> None:
    it = await selling()
    it.bench.reader.request_time()
    await until(lambda: sent(it, b"\x17\x03"))
    [told] = sent(it, b"\x17\x03")
    assert told[2:7] == bytes.fromhex("26 03 02 08 00")
    assert told[8:12] == bytes.fromhex("01 10 00 FF")
    await it.die()


@virtual
async def test_keys_and_files_nobody_wants_are_denied() -> None:
    it = await selling()
    it.bench.reader._tell(b"\x12\x03")
    it.bench.reader._tell(b"\x13")
    await until(lambda: sent(it, b"\x14\x03"))
    assert sent(it, b"\x14\x03")[0][2:10] == b"\xff" * 8
    it.bench.reader._tell(bytes.fromhex("1B 00 10 01 05 00"), alone=True)
    await until(lambda: sent(it, b"\x17\xfb"))
    await it.die()
    assert OPTION_DATA_ENTRY not in (it.bench.reader.options, 0)


@virtual
async def test_a_selection_request_of_a_later_standard_is_swallowed_and_counted() -> None:
    it = await selling()
    await session(it)
    it.bench.reader._tell(bytes.fromhex("14 07 D0 00 12 34 56 00 00 00 00 07"))
    it.bench.reader._tell(b"\x04")
    await until(lambda: it.sink.told(SessionCancelRequested))
    assert it.reader.oddities["selection requests"] == 1
    await it.die()


@virtual
async def test_nonsense_in_an_answer_is_counted_and_the_rest_kept() -> None:
    it = await selling()
    await session(it)
    it.bench.reader._tell(b"\x04\x1a\x99")
    await until(lambda: it.sink.told(SessionCancelRequested))
    assert sum(count for what, count in it.reader.oddities.items() if "unread" in what) >= 1
    await it.die()


@virtual
async def test_what_is_counted_of_an_unread_answer_holds_no_card_s_id() -> None:
    """BEGIN SESSION of a reader that cuts it short: media id DE AD BE EF."""
    it = await selling()
    it.bench.reader._tell(bytes.fromhex("03 07 D0 DE AD BE EF"))
    await until(lambda: it.reader.oddities)
    assert dict(it.reader.oddities) == {"unread 03 truncated, 7 bytes": 1}
    await it.die()


@virtual
async def test_an_approval_of_before_a_restart_is_reported_and_waits_for_its_failure() -> None:
    it = await selling()
    it.bench.reader._tell(b"\x05\x00\x64")
    await asyncio.sleep(1)
    assert late(it) == [100]
    assert sent(it, b"\x13\x03") == []
    await session(it)
    with pytest.raises(LinkError, match="earlier approval"):
        await it.reader.request_vend(120, 7)
    await it.reader.vend_failure()
    assert len(sent(it, b"\x13\x03")) == 1
    await it.die()


@virtual
async def test_an_approval_told_again_behind_its_vend_is_counted_and_not_failed() -> None:
    it = await selling()
    await approved(it)
    assert await it.reader.vend_success(7) is SettleOutcome.DONE
    await it.reader.end_session()
    await asyncio.sleep(1)
    it.bench.reader._tell(b"\x05\x00\x78")
    await asyncio.sleep(1)
    assert it.reader.oddities["approvals nobody asked for"] == 1
    assert late(it) == []
    assert sent(it, b"\x13\x03") == []
    await it.die()
