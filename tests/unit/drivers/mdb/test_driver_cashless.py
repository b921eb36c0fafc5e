"""The card reader's driver against a simulated reader, byte for byte: vends."""

import asyncio
from dataclasses import replace

import pytest

from controller.faults import EffectUnknownError
from controller.ports import (
    Approved,
    CancelOutcome,
    Charged,
    Denied,
    RefundOutcome,
    SettleOutcome,
)
from simulator.bench import LinkKind
from simulator.peripherals.reader_settings import (
    ALL_AT_ONCE,
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
    gives_back,
    late,
    selling,
    sent,
    session,
)


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


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("base", [replace(CLASSIC, level=1), CLASSIC, EXPANDED])
@pytest.mark.parametrize("how", ["answer", "poll"])
@virtual
async def test_an_approval_that_is_denied_right_behind_is_none(
    kind: LinkKind, base: ReaderSettings, how: str
) -> None:
    """MDB/ICP 4.2, section 7: messages count in their order, and the last one ends the vend."""
    it = await selling(base, kind)
    await session(it)
    it.bench.reader.faults.denies_approved = how
    assert await it.reader.request_vend(120, 7) == Denied("declined")
    assert auth(it).state is AuthState.REFUNDED
    await it.die()


@pytest.mark.parametrize("reversed_items", [0, 1])
@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_an_approval_that_stays_though_it_is_denied_beside_it_is_given_back(
    kind: LinkKind, reversed_items: int
) -> None:
    """Right behind it, or right before it in one answer (seed 995001158)."""
    it = await selling(CLASSIC, kind)
    await session(it)
    faults = it.bench.reader.faults
    faults.denies_approved, faults.reversed_items = "stays", reversed_items
    assert await it.reader.request_vend(120, 7) == Denied("declined")
    assert auth(it).state is AuthState.REFUNDED
    await it.die()


@pytest.mark.parametrize("level", [1, 2])
@virtual
async def test_an_approval_that_stays_and_may_be_kept_is_unknown_when_it_is_denied(
    level: int,
) -> None:
    """Of level 1 it can't report a refund error; of level 2 it says that it can't refund."""
    it = await selling(replace(CLASSIC, level=level, can_refund=level == 1))
    await session(it)
    it.bench.reader.faults.denies_approved = "stays"
    with pytest.raises(EffectUnknownError, match="denied"):
        await it.reader.request_vend(120, 7)
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


@pytest.mark.parametrize("after_s", [0.0, 0.5])
@virtual
async def test_a_denied_request_is_not_cancelled_as_well(after_s: float) -> None:
    """A reader may tell in one answer that it denies, and that it wants the session ended."""
    it = await selling()
    await session(it, Card("c", decline=True))
    asking = asyncio.create_task(it.reader.request_vend(120, 7))
    await until(asking.done)
    await asyncio.sleep(after_s)
    assert await it.reader.cancel_vend() is CancelOutcome.CANCELLED
    assert await asking == Denied("declined")
    assert sent(it, b"\x13\x01") == []
    assert await it.reader.request_vend(90, 3) == Denied("declined")
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


@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_a_request_that_waits_for_its_turn_is_cancelled_as_well(kind: LinkKind) -> None:
    """Its reader is about to end a session: it hears of neither."""
    it = await selling(replace(IDLE, session_end_s=3.0), kind)
    await session(it)
    ending = asyncio.create_task(it.reader.end_session())
    await asyncio.sleep(0.5)
    asking = asyncio.create_task(it.reader.request_vend(120, 7))
    await asyncio.sleep(0.5)
    assert await it.reader.cancel_vend() is CancelOutcome.CANCELLED
    assert await asking == Denied("cancelled")
    assert ending.done()
    assert it.bench.truth.authorisations == {}
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
