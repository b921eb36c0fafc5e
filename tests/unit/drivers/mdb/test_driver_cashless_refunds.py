"""The card reader's driver and failed vends: given back, refused, unknown."""

import asyncio
from dataclasses import replace

import pytest

from controller.faults import LinkError
from controller.ports import (
    Approved,
    FaultRaised,
    RefundOutcome,
    SettleOutcome,
)
from simulator.bench import LinkKind
from simulator.peripherals.reader_settings import (
    Card,
    ReaderSettings,
    ReaderState,
)
from simulator.truth import AuthState
from tests.mdb_kit import now, until, virtual
from tests.unit.drivers.mdb.cashless_kit import (
    BOTH,
    CLASSIC,
    EXPANDED,
    approved,
    auth,
    selling,
    sent,
    session,
)


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


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("refund_s", [0.0, 2.0])
@pytest.mark.parametrize("why", ["pulled", "wants service"])
@virtual
async def test_a_refund_is_one_though_no_poll_is_answered_by_a_plain_ack(
    why: str, refund_s: float, kind: LinkKind
) -> None:
    it = await selling(replace(CLASSIC, cancel_repeats=True, refund_s=refund_s), kind)
    await approved(it)
    if why == "pulled":
        it.bench.reader.cancel_session()  # it asks for the end of its session in each poll
    else:
        it.bench.reader.malfunction(0x51)
    began = now()
    assert await it.reader.vend_failure() is RefundOutcome.REFUNDED
    assert auth(it).state is AuthState.REFUNDED
    assert now() - began < refund_s + 2.0
    await it.reader.end_session()
    await it.die()


@pytest.mark.parametrize(
    ("silent_s", "told"), [(1.5, RefundOutcome.REFUSED), (30.0, RefundOutcome.UNKNOWN)]
)
@virtual
async def test_silence_behind_what_each_poll_brings_is_no_refund(
    silent_s: float, told: RefundOutcome
) -> None:
    """It is busy, or gone: only what it says for a while, poll by poll, is as good as an ACK."""
    it = await selling(replace(CLASSIC, refund_s=0.0))
    await approved(it)
    it.bench.reader.malfunction(0x51)
    failing = asyncio.create_task(it.reader.vend_failure())
    await until(lambda: sent(it, b"\x13\x03"))
    await asyncio.sleep(0.4)
    it.bench.reader.faults.silent = True
    await asyncio.sleep(silent_s)
    it.bench.reader.faults.silent = False
    await asyncio.sleep(0.4)
    it.bench.reader.say(b"\x0a\xc0")
    assert await failing is told
    await it.die()


@virtual
async def test_what_a_reader_that_does_not_work_says_is_no_proof_of_a_refund() -> None:
    it = await selling()
    await approved(it)
    it.bench.reader.malfunction(0x81)
    assert await it.reader.vend_failure() is RefundOutcome.UNKNOWN
    await it.die()


@pytest.mark.parametrize("why", ["pulled", "wants service"])
@virtual
async def test_a_refund_error_beside_what_each_poll_brings_is_one(why: str) -> None:
    it = await selling(replace(CLASSIC, cancel_repeats=True))
    it.bench.reader.faults.refund = "error"
    await approved(it)
    if why == "pulled":
        it.bench.reader.cancel_session()
    else:
        it.bench.reader.malfunction(0x51)
    assert await it.reader.vend_failure() is RefundOutcome.REFUSED
    await it.die()


@virtual
async def test_a_refundable_card_overrides_its_reader() -> None:
    it = await selling(replace(EXPANDED, can_refund=False))
    await approved(it, Card("c", balance=2000, refundable=True))
    assert await it.reader.vend_failure() is RefundOutcome.REFUNDED
    await it.die()


@virtual
async def test_what_a_card_says_holds_though_its_session_is_said_to_be_over_in_mid_vend() -> None:
    it = await selling(replace(EXPANDED, can_refund=False))
    await approved(it, Card("c", balance=2000, refundable=True))
    it.bench.reader.faults.unasked_ends = 1
    await until(lambda: not it.reader.in_session)
    assert await it.reader.vend_failure() is RefundOutcome.REFUNDED
    assert auth(it).state is AuthState.REFUNDED
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


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("hundredths", range(0, 12, 2))
@virtual
async def test_a_reader_that_resets_itself_instead_of_hearing_of_the_failure_has_charged(
    kind: LinkKind, hundredths: int
) -> None:
    """Wherever the bus's beat stands: the repeat goes out behind a poll that was answered."""
    it = await selling(CLASSIC, kind)
    await approved(it)
    it.bench.reader.faults.resets_at = "failure"
    await asyncio.sleep(hundredths / 100)
    assert await it.reader.vend_failure() is RefundOutcome.CHARGED
    assert auth(it).state is AuthState.CAPTURED
    await it.die()
