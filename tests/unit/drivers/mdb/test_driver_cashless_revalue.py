"""Revalue at the driver: told before it is acknowledged, asked once, proved after a restart."""

import asyncio
from dataclasses import replace

import pytest

from controller.faults import EffectUnknownError, LinkError
from controller.ports import Known, RevalueOutcome, RevalueReport
from simulator.bench import LinkKind
from simulator.peripherals.reader_settings import Card, ReaderState
from tests.mdb_kit import Rig, until, virtual
from tests.unit.drivers.mdb.cashless_kit import BOTH, CLASSIC, EXPANDED, selling, sent, session

SOON = replace(CLASSIC, max_response_s=6, revalue_s=0.4)
REQUEST, LIMIT = b"\x15\x00", b"\x15\x01"


def told(it: Rig) -> list[bool]:
    return [report.approved for report in it.sink.reports if isinstance(report, RevalueReport)]


def balance(it: Rig) -> int | None:
    assert it.bench.reader.card is not None
    return it.bench.reader.card.balance


@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_an_answer_is_reported_once_and_a_denied_limit_is_none(kind: LinkKind) -> None:
    it = await selling(SOON, kind)
    await session(it)
    assert await it.reader.revalue(500)
    it.bench.reader.faults.declines = 1
    assert not await it.reader.revalue(300)
    assert told(it) == [True, False]
    it.bench.reader.settings = replace(SOON, revalue_limit=0)
    assert await it.reader.revalue_limit() is None
    assert told(it) == [True, False]
    await it.die()


@virtual
async def test_an_approval_is_acknowledged_once_it_is_on_record() -> None:
    it = await selling(SOON)
    await session(it)
    it.sink.stuck = True
    assert await it.reader.revalue(500)
    await asyncio.sleep(2.0)
    assert told(it) == [True], "told again and again, and reported once"
    assert it.bench.reader.waiting_items
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_a_request_that_was_not_heard_is_not_sent_again_and_nothing_is_done(
    kind: LinkKind,
) -> None:
    it = await selling(SOON, kind)
    await session(it)
    it.bench.reader.faults.silent_commands = 2  # a poll may be one of them
    with pytest.raises(LinkError):
        await it.reader.revalue(500)
    assert kind == "adapter" or len(sent(it, REQUEST)) == 1
    assert balance(it) == 2_000
    assert await it.reader.revalue(500)
    assert balance(it) == 2_500
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_a_lost_acknowledgement_is_no_second_request(kind: LinkKind) -> None:
    it = await selling(SOON, kind)
    await session(it)
    asking = asyncio.get_running_loop().create_task(it.reader.revalue(500))
    await until(lambda: it.bench.reader.state is ReaderState.REVALUE)
    assert await asking
    assert balance(it) == 2_500
    it.bench.reader.faults.lost_answers = 2
    assert await it.reader.revalue(500)
    assert balance(it) == 3_000
    await it.die()


@virtual
async def test_a_complaint_about_something_else_does_not_hide_the_answer() -> None:
    it = await selling(SOON)
    await session(it)
    it.bench.reader.faults.out_of_sequence = 1
    assert await it.reader.revalue(500)
    assert balance(it) == 2_500
    await it.die()


@virtual
async def test_a_reader_that_knows_no_revalue_is_asked_for_its_limit_once() -> None:
    it = await selling(SOON)
    await session(it)
    it.bench.reader.faults.out_of_sequence = 1
    await asyncio.sleep(0)
    assert await it.reader.revalue_limit() in (None, 5_000)
    it.reader._no_word = True
    before = len(sent(it, LIMIT))
    assert await it.reader.revalue_limit() is None
    assert len(sent(it, LIMIT)) == before
    await it.die()


@virtual
async def test_a_card_s_own_word_on_it_holds() -> None:
    it = await selling(EXPANDED)
    await session(it, Card("c", balance=2_000))
    assert await it.reader.revalue_limit() is None
    assert not await it.reader.revalue(100)
    assert sent(it, b"\x15") == []
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("how", ["dies_at", "resets_at"])
@pytest.mark.parametrize("moment", ["revalue", "revalued"])
@virtual
async def test_a_reader_that_goes_away_leaves_it_unknown(
    kind: LinkKind, how: str, moment: str
) -> None:
    it = await selling(SOON, kind)
    await session(it)
    it.bench.reader.faults.dies_for_s = 30.0
    setattr(it.bench.reader.faults, how, moment)
    with pytest.raises(EffectUnknownError):
        await it.reader.revalue(500)
    assert told(it) == []
    await it.die()


# ------------------------------------------------------------------------------ after a restart


@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_what_a_reader_says_to_the_next_life_is_reported(kind: LinkKind) -> None:
    it = await selling(replace(SOON, revalue_s=3.0), kind)
    await session(it)
    asking = asyncio.get_running_loop().create_task(it.reader.revalue(500))
    await until(lambda: it.bench.reader.state is ReaderState.REVALUE)
    known = Known(it.reader.info)
    it.cut()
    await it.die()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert (await it.greet(cashless1=known))["cashless1"].present
    assert await it.reader.revalue_evidence() is RevalueOutcome.APPROVED
    assert told(it) == [True]
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_silence_is_a_proof_only_where_an_answer_would_come_again(kind: LinkKind) -> None:
    it = await selling(SOON, kind)
    await session(it)
    known = Known(it.reader.info)
    it.cut()
    await it.die()
    await it.greet(cashless1=known)
    outcome = await it.reader.revalue_evidence()
    assert outcome is (RevalueOutcome.NOT_DONE if kind == "native" else RevalueOutcome.UNKNOWN)
    await it.die()
