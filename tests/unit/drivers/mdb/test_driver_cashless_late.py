"""The card reader's driver and answers that come late or never."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from controller.faults import EffectUnknownError, JournalError, LinkError
from controller.ports import (
    Approved,
    CancelOutcome,
    Denied,
    DeviceLost,
    DeviceName,
    RefundOutcome,
    RequestGivenUpReport,
    SettleOutcome,
)
from simulator.bench import LinkKind
from simulator.peripherals.reader_settings import (
    ReaderSettings,
    ReaderState,
)
from simulator.truth import AuthState
from tests.mdb_kit import Rig, now, until, virtual
from tests.unit.drivers.mdb.cashless_kit import (
    BOTH,
    CLASSIC,
    IDLE,
    auth,
    gives_back,
    late,
    selling,
    session,
)


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


@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_an_approval_that_comes_behind_a_failure_nobody_heard_is_given_back(
    kind: LinkKind,
) -> None:
    """A poll asks whether the reader lives; what it says to it is the approval."""
    for hundredths in range(540, 620, 5):
        it = await selling(replace(CLASSIC, max_response_s=6), kind=kind)
        await session(it)
        handle, driver = it.bench.reader._handle, it.reader

        def busy(payload: bytes, handle: Any = handle, driver: Any = driver) -> Any:
            deaf = payload[:2] in (b"\x13\x01", b"\x13\x03") and not driver._approval_seen
            return None if deaf else handle(payload)

        it.bench.reader._handle = busy  # type: ignore[method-assign] # until it has told
        it.bench.reader.faults.extra_approve_s = hundredths / 100
        gives_back(it)
        asked = asyncio.ensure_future(it.reader.request_vend(120, 7))
        assert isinstance(await asked, Denied)
        await asyncio.sleep(20.0)
        assert auth(it).charged == 0, hundredths
        await it.die()


@virtual
async def test_a_late_approval_is_acknowledged_once_it_is_on_record() -> None:
    it = await selling(replace(CLASSIC, max_response_s=6))
    await session(it)
    it.bench.reader.faults.dies_at = "request"
    it.bench.reader.faults.dies_for_s = 20.0
    assert isinstance(await it.reader.request_vend(120, 7), Denied)
    it.sink.stuck = True
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


def ends_heard(it: Rig) -> list[bytes]:
    """Each VEND CANCEL and VEND FAILURE that reaches the reader from now on."""
    handle, heard = it.bench.reader._handle, list[bytes]()

    def listens(payload: bytes) -> Any:
        if payload[:2] in (b"\x13\x01", b"\x13\x03"):
            heard.append(payload[:2])
        return handle(payload)

    it.bench.reader._handle = listens  # type: ignore[method-assign] # and passes on
    return heard


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("why", ["denied", "silent", "deaf"])
@virtual
async def test_a_request_that_the_driver_ends_is_ended_once_that_is_on_record(
    kind: LinkKind, why: str
) -> None:
    """What comes of it may be told to a life that dies of it: the next has to know of it."""
    it = await selling(replace(CLASSIC, max_response_s=6), kind)
    await session(it)
    faults = it.bench.reader.faults
    if why == "denied":
        faults.denies_approved = "stays"
    elif why == "silent":
        faults.no_answers = 1
    else:
        handle = it.bench.reader._handle
        it.bench.reader._handle = (  # type: ignore[method-assign] # it never hears the request
            lambda payload: None if payload[:2] == b"\x13\x00" else handle(payload)
        )
    heard = ends_heard(it)
    it.sink.stuck = True
    asked = asyncio.create_task(it.reader.request_vend(120, 7))
    await until(lambda: it.sink.reports)
    await asyncio.sleep(20.0)
    assert it.sink.reports == [RequestGivenUpReport(DeviceName.CASHLESS1)]
    assert heard == []
    it.sink.write_all()
    if why == "deaf":
        with pytest.raises(LinkError):
            await asked
    else:
        assert isinstance(await asked, Denied)
    assert heard[0] == (b"\x13\x03" if why == "denied" else b"\x13\x01")
    assert all(one.charged == 0 for one in it.bench.truth.authorisations.values())
    await it.die()


@virtual
async def test_a_request_that_cannot_be_recorded_as_ended_is_not_ended() -> None:
    it = await selling()
    await session(it)
    it.bench.reader.faults.denies_approved = "stays"
    heard = ends_heard(it)
    it.sink.failure = JournalError("disk")
    with pytest.raises(EffectUnknownError, match="record"):
        await it.reader.request_vend(120, 7)
    assert heard == []
    await it.die()


@virtual
async def test_a_denial_that_comes_while_the_end_of_a_request_is_recorded_ends_it() -> None:
    it = await selling(replace(CLASSIC, max_response_s=6))
    await session(it)
    faults = it.bench.reader.faults
    faults.extra_approve_s, faults.declines = 10.0, 1
    it.sink.stuck = True
    heard = ends_heard(it)
    asked = asyncio.create_task(it.reader.request_vend(120, 7))
    await until(lambda: it.sink.reports)
    cancelled = asyncio.create_task(it.reader.cancel_vend())
    await asyncio.sleep(20.0)
    it.sink.write_all()
    assert await asked == Denied("declined")
    assert await cancelled is CancelOutcome.CANCELLED
    assert heard == []
    await it.die()


@pytest.mark.parametrize("can_refund", [True, False])
@virtual
async def test_an_approval_and_its_denial_behind_a_request_that_is_ended_leave_no_doubt(
    can_refund: bool,
) -> None:
    """Both come while the end is recorded: by its last word the reader is in no vend."""
    it = await selling(replace(CLASSIC, max_response_s=6, can_refund=can_refund))
    await session(it)
    faults = it.bench.reader.faults
    faults.extra_approve_s, faults.denies_approved = 10.0, "answer"
    it.sink.stuck = True
    asked = asyncio.create_task(it.reader.request_vend(120, 7))
    await until(lambda: it.sink.reports)
    await asyncio.sleep(20.0)
    it.sink.write_all()
    assert isinstance(await asked, Denied)
    assert all(one.charged == 0 for one in it.bench.truth.authorisations.values())
    await it.die()
