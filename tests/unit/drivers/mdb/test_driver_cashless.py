"""The card reader's driver against a simulated reader, byte for byte."""

import asyncio
from dataclasses import replace

import pytest

from controller.faults import EffectUnknownError, LinkError
from controller.ports import (
    Approved,
    CancelOutcome,
    Charged,
    Denied,
    DeviceLost,
    DeviceName,
    DeviceReady,
    DeviceWasReset,
    FaultRaised,
    Identity,
    Known,
    LateApprovalReport,
    ReaderDisplay,
    RefundOutcome,
    SessionBegun,
    SessionCancelRequested,
    SessionEnded,
    SettleOutcome,
)
from drivers.mdb.cashless_expect import ReaderSettings as Ours
from simulator.bench import BenchSettings, LinkKind
from simulator.peripherals.reader_settings import (
    ALL_AT_ONCE,
    OPTION_32_BIT,
    OPTION_ALWAYS_IDLE,
    OPTION_DATA_ENTRY,
    OPTION_MULTI_CURRENCY,
    Card,
    ReaderSettings,
    ReaderState,
    WrongMoment,
)
from simulator.truth import Authorisation, AuthState
from tests.mdb_kit import Rig, now, rig, until, virtual

BOTH: list[LinkKind] = ["native", "adapter"]
CLASSIC = ReaderSettings(options=0)
IDLE = ReaderSettings(options=OPTION_ALWAYS_IDLE)
EXPANDED = ReaderSettings(options=OPTION_32_BIT | OPTION_MULTI_CURRENCY | OPTION_ALWAYS_IDLE)


def reader(
    settings: ReaderSettings = CLASSIC, kind: LinkKind = "native", ours: Ours | None = None
) -> Rig:
    bench = BenchSettings(changer=None, bill=None, readers=(settings,))
    return rig(kind, bench, devices=frozenset({DeviceName.CASHLESS1}), reader=ours)


async def selling(
    settings: ReaderSettings = CLASSIC, kind: LinkKind = "native", ours: Ours | None = None
) -> Rig:
    it = await reader(settings, kind, ours).up()
    it.reader.set_prices(50, 500)
    it.reader.enable(True)
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED)
    return it


async def session(it: Rig, card: Card | None = None) -> None:
    assert it.bench.reader.present_card(card or Card("c", balance=2000))
    await until(lambda: it.reader.in_session)


async def approved(it: Rig, card: Card | None = None) -> None:
    await session(it, card)
    assert isinstance(await it.reader.request_vend(120, 7), Approved)


def gives_back(it: Rig) -> None:
    """Do what the controller does with a late approval, once that is on record."""

    def committed() -> None:
        if isinstance(it.sink.durable[-1], LateApprovalReport):
            tasks.append(asyncio.create_task(it.reader.vend_failure()))

    tasks: list[asyncio.Task[RefundOutcome]] = []
    it.sink.after_commit = committed


def late(it: Rig) -> list[int | None]:
    return [report.amount for report in it.sink.reports if isinstance(report, LateApprovalReport)]


def auth(it: Rig) -> Authorisation:
    return list(it.bench.truth.authorisations.values())[-1]


def sent(it: Rig, start: bytes) -> list[bytes]:
    return [heard.data for heard in it.tap.log if heard.ours and heard.data.startswith(start)]


# ------------------------------------------------------------------------- initialisation


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
    it.reader.set_prices(100, 300)
    await until(lambda: it.bench.reader.prices == (300, 100))
    it.bench.reader.self_reset()
    await until(lambda: len(it.sink.told(DeviceReady)) == 2)
    assert it.bench.reader.prices == (300, 100)
    await it.die()


@virtual
async def test_prices_a_reader_cannot_tell_are_a_fault_and_never_rounded() -> None:
    it = await reader(replace(CLASSIC, scale=10)).up()
    it.reader.set_prices(55, 500)
    it.reader.enable(True)
    await until(lambda: ("cashless1", "device.unsuitable") in it.sink.faults)
    await session_at(it)
    assert isinstance(await it.reader.request_vend(55, 1), Denied)
    assert isinstance(await it.reader.request_vend(60, 1), Approved)
    assert auth(it).requested == 60
    await it.reader.vend_success(1)
    await it.reader.end_session()
    it.reader.set_prices(60, 500)
    await until(lambda: it.sink.faults == {})
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


# ------------------------------------------------------------------------------- sessions


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


# ---------------------------------------------------------------------------------- vends


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("base", [replace(CLASSIC, level=1), CLASSIC, EXPANDED])
@virtual
async def test_a_vend_is_approved_settled_and_closed(
    kind: LinkKind, at_once: bool, base: ReaderSettings
) -> None:
    settings = replace(
        base,
        at_once=ALL_AT_ONCE if at_once else frozenset(),
        approve_s=0.0 if at_once else 1.2,
    )
    it = await selling(settings, kind)
    await session(it)
    assert await it.reader.request_vend(120, 7) == Approved(120)
    assert auth(it).state is AuthState.APPROVED
    assert await it.reader.vend_success(7) is SettleOutcome.DONE
    assert auth(it).state is AuthState.CAPTURED
    await it.reader.end_session()
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED)
    assert len(it.tap.times(0x10)) == 1 or kind == "adapter"
    await it.die()


@virtual
async def test_the_approved_amount_is_what_was_taken() -> None:
    it = await selling()
    await session(it, Card("c", balance=2000, discount_percent=25))
    assert await it.reader.request_vend(120, 7) == Approved(90)
    await it.die()


@virtual
async def test_an_electronic_token_has_no_amount() -> None:
    it = await selling()
    await session(it, Card("c", balance=2000, token=True))
    assert await it.reader.request_vend(120, 7) == Approved(None)
    await it.die()


@virtual
async def test_a_denied_vend_may_be_asked_again_in_the_session() -> None:
    it = await selling()
    await session(it, Card("c", balance=100))
    assert await it.reader.request_vend(120, 7) == Denied("declined")
    assert await it.reader.request_vend(90, 3) == Approved(90)
    await it.die()


@virtual
async def test_several_vends_in_one_session() -> None:
    it = await selling(replace(CLASSIC, multivend=True))
    await session(it)
    for price in (100, 200, 300):
        assert await it.reader.request_vend(price, 7) == Approved(price)
        assert await it.reader.vend_success(7) is SettleOutcome.DONE
    await it.reader.end_session()
    assert sum(entry.charged for entry in it.bench.truth.authorisations.values()) == 600
    await it.die()


@virtual
async def test_without_a_session_a_classic_reader_is_not_asked() -> None:
    it = await selling()
    assert await it.reader.request_vend(120, 7) == Denied("no session")
    assert it.bench.truth.authorisations == {}
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_always_idle_asks_first_and_waits_for_the_card(kind: LinkKind) -> None:
    it = await selling(IDLE, kind)
    asking = asyncio.create_task(it.reader.request_vend(120, 7))
    await asyncio.sleep(60)  # longer than any response time: the customer looks for the card
    assert not asking.done()
    assert it.bench.reader.present_card(Card("c", balance=2000))
    assert await asking == Approved(120)
    assert await it.reader.vend_success(7) is SettleOutcome.DONE
    await it.reader.end_session()
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED)
    await it.die()


@virtual
async def test_always_idle_ends_by_the_readers_own_time_out() -> None:
    it = await selling(replace(IDLE, card_wait_s=45.0))
    began = now()
    assert await it.reader.request_vend(120, 7) == Denied("declined")
    assert 44 < now() - began < 47
    await it.reader.end_session()
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_a_waiting_request_can_be_cancelled(kind: LinkKind) -> None:
    it = await selling(IDLE, kind)
    asking = asyncio.create_task(it.reader.request_vend(120, 7))
    await asyncio.sleep(5)
    assert await it.reader.cancel_vend() is CancelOutcome.CANCELLED
    assert await asking == Denied("cancelled")
    assert auth(it).state is AuthState.CANCELLED
    await it.reader.end_session()
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED)
    await it.die()


@pytest.mark.parametrize("wait_s", [0.0, 0.3, 1.19, 1.2, 1.21, 1.3, 1.35, 1.5])
@virtual
async def test_a_cancel_that_races_the_approval_never_leaves_the_customer_charged(
    wait_s: float,
) -> None:
    it = await selling()
    await session(it)
    asking = asyncio.create_task(it.reader.request_vend(120, 7))
    await asyncio.sleep(0.03 + wait_s)
    handed_over = asking.done()  # then it is its vend's, which fails or finishes it
    outcome = await it.reader.cancel_vend()
    answer = await asking
    if handed_over or outcome is CancelOutcome.UNKNOWN:  # in this very turn of the loop
        assert outcome is CancelOutcome.UNKNOWN
        assert isinstance(answer, Approved)
        await it.reader.vend_failure()
    else:
        assert outcome in (CancelOutcome.CANCELLED, CancelOutcome.APPROVED)
    assert auth(it).charged == 0
    if outcome is CancelOutcome.CANCELLED:
        assert isinstance(answer, Denied)
    await it.reader.end_session()
    await it.die()


KEPT = "approved too late, not given back"


async def told(it: Rig) -> None:
    """Return when an approval leaves the reader, before the driver has heard the whole of it."""
    gone = asyncio.get_running_loop().create_future()
    reader = it.bench.reader
    tell = reader._approval_told

    def leaves() -> None:
        tell()
        gone.set_result(None)

    reader._approval_told = leaves  # type: ignore[method-assign]  # listens, and passes on
    await gone


@pytest.mark.parametrize(
    "card", [Card("c", balance=2000, discount_percent=10), Card("c", token=True)]
)
@pytest.mark.parametrize("level", [1, 3])
@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_a_cancel_behind_an_approval_that_cannot_be_given_back_is_a_certain_charge(
    kind: LinkKind, level: int, card: Card
) -> None:
    it = await selling(replace(CLASSIC, can_refund=False, level=level), kind)
    await session(it, card)
    asking = asyncio.create_task(it.reader.request_vend(120, 7))
    await told(it)
    charged = Charged(None if card.token else 108, KEPT)
    assert await it.reader.cancel_vend() == charged
    assert await asking == charged
    assert auth(it).charged == (120 if card.token else 108)
    await it.reader.end_session()
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_a_request_that_is_approved_as_it_is_given_up_is_a_certain_charge(
    kind: LinkKind,
) -> None:
    it = await selling(replace(CLASSIC, can_refund=False), kind)
    await session(it)
    it.bench.reader.faults.extra_approve_s = 18.8  # as much as it says that it may need
    asking = asyncio.create_task(it.reader.request_vend(120, 7))
    await until(lambda: it.bench.truth.authorisations)
    await asyncio.sleep(it.reader.response_s - 0.02)
    it.bench.reader.faults.silent_commands = 1  # and it does not hear the first VEND CANCEL
    assert await asking == Charged(120, KEPT)
    assert auth(it).charged == 120
    await it.die()


@pytest.mark.parametrize("refunds", [True, False])
@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_a_reader_that_ends_an_approved_vend_before_its_cancel_has_given_the_money_back(
    kind: LinkKind, refunds: bool
) -> None:
    # Where it can; of one that can't nobody knows why it is in no vend any more.
    it = await selling(replace(CLASSIC, can_refund=refunds), kind)
    await session(it)
    asking = asyncio.create_task(it.reader.request_vend(120, 7))
    await told(it)
    it.bench.reader._approval_timeout(auth(it))
    assert auth(it).state is AuthState.REFUNDED
    outcome = await it.reader.cancel_vend()
    assert outcome is (CancelOutcome.APPROVED if refunds else CancelOutcome.UNKNOWN)
    if refunds:
        assert await asking == Denied("cancelled")
    else:
        with pytest.raises(EffectUnknownError, match="cancel unanswered"):
            await asking
    await it.reader.end_session()
    await it.die()


@virtual
async def test_a_request_whose_task_is_cancelled_has_its_approval_failed() -> None:
    it = await selling()
    await session(it)
    asking = asyncio.create_task(it.reader.request_vend(120, 7))
    await asyncio.sleep(0.5)
    gives_back(it)
    asking.cancel()
    await asyncio.sleep(5)
    assert auth(it).state is AuthState.REFUNDED
    assert late(it) == [120]
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("fault", ["silent_commands", "lost_answers", "naks"])
@pytest.mark.parametrize("step", ["request", "success", "failure", "end"])
@pytest.mark.parametrize("tolerant", [True, False])
@virtual
async def test_each_step_survives_a_lost_block_or_answer(
    kind: LinkKind, fault: str, step: str, tolerant: bool
) -> None:
    it = await selling(replace(CLASSIC, tolerates_repeats=tolerant), kind)
    faults = it.bench.reader.faults
    await session(it)
    if step == "request":
        setattr(faults, fault, 1)
    answer = await it.reader.request_vend(120, 7)
    assert answer == Approved(120)
    if step == "failure":
        setattr(faults, fault, 1)
        assert await it.reader.vend_failure() is RefundOutcome.REFUNDED
        assert auth(it).state is AuthState.REFUNDED
    else:
        if step == "success":
            setattr(faults, fault, 1)
        outcome = await it.reader.vend_success(7)
        assert outcome in (SettleOutcome.DONE, SettleOutcome.ALREADY)
        assert auth(it).state is AuthState.CAPTURED
    if step == "end":
        setattr(faults, fault, 1)
    await it.reader.end_session()
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED, 30)
    assert len(it.bench.truth.authorisations) == 1
    await it.die()


@pytest.mark.parametrize("deaf", [1, 2])
@virtual
async def test_an_approval_told_twice_is_one_approval(deaf: int) -> None:
    it = await selling()
    await session(it)
    asking = asyncio.create_task(it.reader.request_vend(120, 7))
    await asyncio.sleep(0.5)
    it.bench.reader.faults.deaf_to_acks = deaf
    assert await asking == Approved(120)
    await asyncio.sleep(1)
    assert await it.reader.vend_success(7) is SettleOutcome.DONE
    await it.reader.end_session()
    assert sent(it, b"\x13\x03") == []
    assert auth(it).state is AuthState.CAPTURED
    await it.die()


# ---------------------------------------------------------------------- failures and refunds


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("refund_s", [0.0, 0.4, 3.0])
@virtual
async def test_a_failed_vend_is_refunded_before_the_session_ends(
    kind: LinkKind, refund_s: float
) -> None:
    it = await selling(replace(CLASSIC, refund_s=refund_s), kind)
    await approved(it)
    assert await it.reader.vend_failure() is RefundOutcome.REFUNDED
    assert auth(it).state is AuthState.REFUNDED
    await it.reader.end_session()
    await it.die()


@virtual
async def test_a_refund_error_is_a_refusal_and_a_fault() -> None:
    it = await selling()
    await approved(it)
    it.bench.reader.faults.refund = "error"
    assert await it.reader.vend_failure() is RefundOutcome.REFUSED
    assert auth(it).state is AuthState.CAPTURED
    assert "reader.refund" in [event.code.value for event in it.sink.told(FaultRaised)]
    await it.reader.end_session()
    await it.die()


@pytest.mark.parametrize(
    ("settings", "card"),
    [
        (replace(CLASSIC, can_refund=False), Card("c", balance=2000)),
        (replace(CLASSIC, level=1, can_refund=False), Card("c", balance=2000)),
        (EXPANDED, Card("c", balance=2000, refundable=False)),
    ],
    ids=["reader", "level 1", "card"],
)
@virtual
async def test_an_ack_of_one_that_cannot_refund_is_no_refund(
    settings: ReaderSettings, card: Card
) -> None:
    it = await selling(settings)
    await approved(it, card)
    assert await it.reader.vend_failure() is RefundOutcome.REFUSED
    await it.die()


@virtual
async def test_an_ack_at_level_one_leaves_open_whether_the_money_went_back() -> None:
    it = await selling(replace(CLASSIC, level=1))
    await approved(it, Card("c", balance=2000))
    assert await it.reader.vend_failure() is RefundOutcome.UNKNOWN
    await it.die()


@virtual
async def test_a_refundable_card_overrides_its_reader() -> None:
    it = await selling(replace(EXPANDED, can_refund=False))
    await approved(it, Card("c", balance=2000, refundable=True))
    assert await it.reader.vend_failure() is RefundOutcome.REFUNDED
    await it.die()


@pytest.mark.parametrize("refund", ["silent", "silent_paid"])
@virtual
async def test_silence_after_vend_failure_leaves_the_refund_unknown(refund: str) -> None:
    it = await selling(replace(CLASSIC, max_response_s=8))
    await approved(it)
    it.bench.reader.faults.refund = refund
    began = now()
    assert await it.reader.vend_failure() is RefundOutcome.UNKNOWN
    assert 7 < now() - began < 10
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED)
    await it.die()


@pytest.mark.parametrize("moment", ["approval", "success", "failure"])
@virtual
async def test_a_reset_after_the_approval_charges_and_is_told_so(moment: str) -> None:
    it = await selling()
    it.bench.reader.faults.resets_at = moment
    await session(it)
    answer = await it.reader.request_vend(120, 7)
    assert answer == Approved(120)
    await asyncio.sleep(2 if moment == "approval" else 0)
    if moment == "failure":
        assert await it.reader.vend_failure() is RefundOutcome.CHARGED
    else:
        assert await it.reader.vend_success(7) is SettleOutcome.RESET
    assert auth(it).state is AuthState.CAPTURED
    await it.reader.end_session()
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED)
    await it.die()


@virtual
async def test_a_failure_after_a_reset_finds_the_charge_standing() -> None:
    it = await selling()
    await approved(it)
    it.bench.reader.self_reset()
    await asyncio.sleep(3)
    assert await it.reader.vend_failure() is RefundOutcome.CHARGED
    await it.die()


@pytest.mark.parametrize("moment", ["approval", "success", "failure", "complete"])
@virtual
async def test_a_reader_that_dies_over_a_vend_is_not_reset_before_its_outcome(moment: str) -> None:
    it = await selling(replace(CLASSIC, max_response_s=6))
    it.bench.reader.faults.dies_at = moment
    it.bench.reader.faults.dies_for_s = 12.0
    await session(it)
    assert await it.reader.request_vend(120, 7) == Approved(120)
    await asyncio.sleep(10 if moment == "approval" else 0)
    assert len(it.tap.times(0x10)) == 1
    if moment == "failure":
        assert await it.reader.vend_failure() is RefundOutcome.UNKNOWN
    else:
        outcome = await it.reader.vend_success(7)
        expected = {"approval": (SettleOutcome.DONE, SettleOutcome.UNKNOWN),
                    "success": (SettleOutcome.UNKNOWN,),
                    "complete": (SettleOutcome.DONE,)}  # fmt: skip
        assert outcome in expected[moment]
    try:
        await it.reader.end_session()
    except LinkError:
        assert moment != "approval" or it.bench.reader.state is not ReaderState.IDLE
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED, 90)
    assert auth(it).state in (AuthState.CAPTURED, AuthState.REFUNDED)
    await it.die()


@virtual
async def test_a_reader_alive_again_before_the_outcome_is_told_it() -> None:
    it = await selling(replace(CLASSIC, max_response_s=6))
    await approved(it)
    it.bench.reader.mute(20.0)
    await asyncio.sleep(30)  # the product takes its time
    assert await it.reader.vend_failure() is RefundOutcome.REFUNDED
    assert auth(it).state is AuthState.REFUNDED
    await it.die()


# --------------------------------------------------------------------- answers late or never


@virtual
async def test_a_request_without_answer_is_cancelled_after_the_response_time() -> None:
    it = await selling(replace(CLASSIC, max_response_s=6))
    await session(it)
    it.bench.reader.faults.no_answers = 1
    began = now()
    assert await it.reader.request_vend(120, 7) == Denied("no answer in time")
    assert 6 <= now() - began <= 8
    assert auth(it).charged == 0
    await it.reader.end_session()
    await it.die()


@virtual
async def test_an_approval_later_than_the_response_time_is_given_back() -> None:
    it = await selling(replace(CLASSIC, max_response_s=6))
    await session(it)
    it.bench.reader.faults.extra_approve_s = 4.9
    assert isinstance(await it.reader.request_vend(120, 7), Denied)
    await asyncio.sleep(20)
    assert auth(it).charged == 0
    await it.die()


@virtual
async def test_a_request_never_acknowledged_is_a_link_error_and_nothing_charged() -> None:
    it = await selling(replace(CLASSIC, max_response_s=6))
    await session(it)
    handle = it.bench.reader._handle
    it.bench.reader._handle = (  # type: ignore[method-assign] # a firmware with this flaw
        lambda payload: None if payload[:2] == b"\x13\x00" else handle(payload)
    )
    with pytest.raises(LinkError, match="never acknowledged"):
        await it.reader.request_vend(120, 7)
    assert it.bench.truth.authorisations == {}
    await it.die()


@pytest.mark.parametrize("settings", [CLASSIC, IDLE])
@virtual
async def test_a_reader_that_dies_over_a_request_has_told_nothing(
    settings: ReaderSettings,
) -> None:
    it = await selling(replace(settings, max_response_s=6))
    await session(it)
    it.bench.reader.faults.dies_at = "request"
    it.bench.reader.faults.dies_for_s = 60.0
    gives_back(it)
    asked = await it.reader.request_vend(120, 7)
    assert isinstance(asked, Denied)
    assert asked.review
    await until(lambda: it.sink.told(DeviceLost))
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED, 120)
    assert late(it) == [120]
    assert auth(it).state is AuthState.REFUNDED
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_no_reset_comes_before_the_failure_of_an_approval_that_came_late(
    kind: LinkKind,
) -> None:
    """The reader is back some hundredths of a second before its RESET."""
    came_late = 0
    for hundredths in range(0, 60, 3):
        it = await selling(replace(CLASSIC, max_response_s=6), kind=kind)
        await session(it)
        it.bench.reader.faults.dies_at = "request"
        it.bench.reader.faults.dies_for_s = 6.0 + hundredths / 100
        assert isinstance(await it.reader.request_vend(120, 7), Denied)
        await asyncio.sleep(3.0)  # a slow disk
        if late(it):
            came_late += 1
            assert auth(it).state is AuthState.APPROVED, hundredths
            assert await it.reader.vend_failure() is RefundOutcome.REFUNDED
        assert auth(it).state is AuthState.REFUNDED, hundredths  # else before it was told
        await it.die()
    assert came_late > 2


@virtual
async def test_a_late_approval_is_acknowledged_once_it_is_on_record() -> None:
    it = await selling(replace(CLASSIC, max_response_s=6))
    await session(it)
    it.bench.reader.faults.dies_at = "request"
    it.bench.reader.faults.dies_for_s = 20.0
    it.sink.stuck = True
    assert isinstance(await it.reader.request_vend(120, 7), Denied)
    await until(lambda: bool(late(it)), 60.0)
    await asyncio.sleep(2.0)
    assert late(it) == [120], "told again and again, and reported once"
    assert it.bench.reader.waiting_items
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_a_damaged_answer_before_a_reset_leaves_the_request_unknown(kind: LinkKind) -> None:
    it = await selling(kind=kind)
    await session(it)
    asking = asyncio.get_running_loop().create_task(it.reader.request_vend(120, 7))
    await until(lambda: bool(it.bench.truth.authorisations))
    it.reader._slot.damaged += 1  # what the bus counts
    it.bench.reader.self_reset()
    with pytest.raises(EffectUnknownError):
        await asking
    await it.die()


@virtual
async def test_a_reader_that_resets_over_a_request_has_told_nothing() -> None:
    it = await selling()
    await session(it)
    it.bench.reader.faults.resets_at = "request"
    asked = await it.reader.request_vend(120, 7)
    assert isinstance(asked, Denied)
    assert asked.review
    assert await it.reader.cancel_vend() is CancelOutcome.UNKNOWN
    await it.die()


@virtual
async def test_a_complaint_in_the_middle_of_a_request_does_not_end_it() -> None:
    it = await selling()
    await session(it)
    asking = asyncio.create_task(it.reader.request_vend(120, 7))
    await asyncio.sleep(0.4)
    it.bench.reader.faults.out_of_sequence = 1
    assert await asking == Approved(120)
    assert await it.reader.vend_success(7) is SettleOutcome.DONE
    await it.reader.end_session()
    await until(lambda: len(it.tap.times(0x10)) == 2)  # the RESET it asked for, when all is over
    assert auth(it).state is AuthState.CAPTURED
    await it.die()


@virtual
async def test_a_request_at_a_wrong_moment_is_denied() -> None:
    it = await selling()
    await session(it)
    it.bench.reader.state = ReaderState.ENABLED  # it lost the session and did not say so
    assert await it.reader.request_vend(120, 7) == Denied("out of sequence")
    await until(lambda: len(it.tap.times(0x10)) == 2)
    await it.die()


# ------------------------------------------------------------------------- after a restart


async def killed(it: Rig) -> Known:
    known = Known(it.reader.info)
    it.cut()
    await it.die()
    return known


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("wrong", list(WrongMoment))
@pytest.mark.parametrize("level", [1, 3])
@virtual
async def test_after_a_kill_a_request_never_sent_is_found_to_be_none(
    kind: LinkKind, wrong: WrongMoment, level: int
) -> None:
    it = await selling(replace(CLASSIC, wrong_moment=wrong, level=level), kind)
    await session(it)
    known = await killed(it)
    greeting = (await it.greet(cashless1=known))["cashless1"]
    assert greeting.present
    assert not greeting.just_reset
    assert await it.reader.cancel_vend() is CancelOutcome.CANCELLED
    await it.reader.end_session()
    assert it.bench.reader.state is ReaderState.ENABLED
    assert it.tap.times(0x10) == []
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("later_s", [0.05, 0.6, 3.0])
@pytest.mark.parametrize("wrong", list(WrongMoment))
@virtual
async def test_after_a_kill_an_open_request_is_ended_without_charge(
    kind: LinkKind, later_s: float, wrong: WrongMoment
) -> None:
    it = await selling(replace(CLASSIC, wrong_moment=wrong), kind)
    await session(it)
    asking = asyncio.create_task(it.reader.request_vend(120, 7))
    await asyncio.sleep(later_s if later_s < 1 else 0.6)
    it.cut()
    await asyncio.sleep(later_s)
    known = await killed(it)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await it.greet(cashless1=known)
    outcome = await it.reader.cancel_vend()
    assert outcome in (CancelOutcome.CANCELLED, CancelOutcome.APPROVED)
    assert auth(it).charged == 0
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("deliver", [True, False])
@virtual
async def test_after_a_kill_an_approved_vend_gets_its_outcome_before_any_reset(
    kind: LinkKind, deliver: bool
) -> None:
    it = await selling(kind=kind)
    await approved(it)
    known = await killed(it)
    await it.greet(cashless1=known)
    if deliver:
        assert await it.reader.vend_success(7) is SettleOutcome.DONE
        assert auth(it).state is AuthState.CAPTURED
    else:
        assert await it.reader.vend_failure() is RefundOutcome.REFUNDED
        assert auth(it).state is AuthState.REFUNDED
    await it.reader.end_session()
    it.start()
    await until(lambda: it.reader.ready)
    await it.die()


@virtual
async def test_after_a_kill_a_settled_vend_is_found_settled() -> None:
    it = await selling(replace(CLASSIC, tolerates_repeats=False))
    await approved(it)
    await it.reader.vend_success(7)
    known = await killed(it)
    await it.greet(cashless1=known)
    outcome = await it.reader.vend_success(7)
    assert outcome in (SettleOutcome.ALREADY, SettleOutcome.DONE)
    assert auth(it).state is AuthState.CAPTURED
    await it.die()


@virtual
async def test_after_a_power_cut_the_charge_stands() -> None:
    it = await selling()
    await approved(it)
    known = Known(it.reader.info)
    it.cut()
    it.bench.power_off()
    await it.die()
    it.bench.power_on()
    assert (await it.greet(cashless1=known))["cashless1"].just_reset
    assert await it.reader.vend_failure() is RefundOutcome.CHARGED
    assert await it.reader.vend_success(7) is SettleOutcome.RESET
    assert await it.reader.cancel_vend() is CancelOutcome.UNKNOWN
    assert auth(it).state is AuthState.CAPTURED
    await it.reader.end_session()
    await it.die()


@virtual
async def test_an_absent_reader_answers_no_question() -> None:
    it = reader()
    it.bench.reader.faults.silent = True
    assert not (await it.greet())["cashless1"].present
    assert await it.reader.cancel_vend() is CancelOutcome.UNKNOWN
    assert await it.reader.vend_success(7) is SettleOutcome.UNKNOWN
    assert await it.reader.vend_failure() is RefundOutcome.UNKNOWN
    with pytest.raises(LinkError):
        await it.reader.end_session()
    with pytest.raises(LinkError):
        await it.reader.request_vend(120, 7)
    assert it.tap.times(0x10) == []
    await it.die()


# ------------------------------------------------------------------------------- the rest


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
    await session(it)
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
        (0x80, "reader.failure", True), (0x91, "reader.communications", True),
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
