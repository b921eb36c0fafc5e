"""The card reader's driver after a restart: what became of the request."""

import asyncio
from dataclasses import replace

import pytest

from controller.faults import LinkError
from controller.ports import (
    CancelOutcome,
    Known,
    RefundOutcome,
    SettleOutcome,
)
from simulator.bench import LinkKind
from simulator.peripherals.reader_settings import (
    ReaderState,
    WrongMoment,
)
from simulator.truth import AuthState
from tests.mdb_kit import Rig, until, virtual
from tests.unit.drivers.mdb.cashless_kit import (
    BOTH,
    CLASSIC,
    approved,
    auth,
    reader,
    selling,
    session,
)


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
    # Had there been one with a refund error, a reader that knows any would tell it once more.
    proved = kind == "native" and level > 1
    expected = CancelOutcome.CANCELLED if proved else CancelOutcome.NO_VEND
    assert await it.reader.cancel_vend() is expected
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
