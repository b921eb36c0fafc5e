"""Proof of age at a simulated reader, byte for byte."""

import asyncio
from dataclasses import replace

import pytest

from controller.ports import AgeAnswer, Approved, DeviceName
from simulator.bench import BenchSettings, LinkKind
from simulator.peripherals.reader_settings import (
    OPTION_ALWAYS_IDLE,
    Card,
    ReaderSettings,
    ReaderState,
)
from tests.mdb_kit import Rig, rig, until, virtual

BOTH: list[LinkKind] = ["native", "adapter"]
SETTINGS = ReaderSettings(options=OPTION_ALWAYS_IDLE)


async def selling(settings: ReaderSettings = SETTINGS, kind: LinkKind = "native") -> Rig:
    bench = BenchSettings(changer=None, bill=None, readers=(settings,))
    it = await rig(kind, bench, devices=frozenset({DeviceName.CASHLESS1})).up()
    it.reader.set_prices((50, 500))
    it.reader.enable(True)
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED)
    return it


async def asked(it: Rig) -> asyncio.Task[AgeAnswer]:
    asking = asyncio.get_running_loop().create_task(it.reader.verify_age(18))
    await until(lambda: it.bench.reader.age_asked == 18)
    await asyncio.sleep(0.5)
    return asking


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(
    ("card", "answer"),
    [
        (Card("identity", age=18, pays=False), AgeAnswer.PROVED),
        (Card("child", age=17), AgeAnswer.NOT_PROVED),
        (Card("card"), AgeAnswer.NOT_PROVED),
    ],
)
@virtual
async def test_a_card_proves_an_age_or_not(card: Card, answer: AgeAnswer, kind: LinkKind) -> None:
    it = await selling(kind=kind)
    asking = await asked(it)
    assert it.bench.reader.present_card(card)
    assert await asking is answer
    assert it.bench.reader.age_asked == 0, "it is off again"


@virtual
async def test_a_reader_that_knows_no_such_question_says_nothing() -> None:
    it = await selling(replace(SETTINGS, checks_age=False))
    assert await it.reader.verify_age(18) is AgeAnswer.UNSUPPORTED
    assert await it.reader.verify_age(18) is AgeAnswer.UNSUPPORTED


@virtual
async def test_a_question_is_cancelled_and_a_vend_follows_at_once() -> None:
    it = await selling()
    asking = await asked(it)
    await it.reader.cancel_age()
    requesting = asyncio.get_running_loop().create_task(it.reader.request_vend(120, 7))
    assert await asking is AgeAnswer.CANCELLED
    await until(lambda: it.bench.reader.state is ReaderState.VEND)
    assert it.bench.reader.present_card(Card("card"))
    assert await requesting == Approved(120)


@virtual
async def test_a_reset_ends_a_question_without_a_proof() -> None:
    it = await selling()
    asking = await asked(it)
    it.bench.reader.self_reset()
    assert await asking is AgeAnswer.UNSUPPORTED


@virtual
async def test_a_silent_reader_proves_nothing() -> None:
    it = await selling()
    asking = await asked(it)
    it.bench.reader.faults.silent = True
    assert await asking is AgeAnswer.UNSUPPORTED


@virtual
async def test_a_question_that_waits_for_its_turn_is_cancelled_as_well() -> None:
    it = await selling()
    loop = asyncio.get_running_loop()
    first, second = (loop.create_task(it.reader.verify_age(18)) for _ in range(2))
    await asyncio.sleep(0)
    await it.reader.cancel_age()
    assert await first is AgeAnswer.CANCELLED
    assert await second is AgeAnswer.CANCELLED
    await until(lambda: it.bench.reader.age_asked == 0)
    third = await asked(it)
    assert it.bench.reader.present_card(Card("identity", age=18, pays=False))
    assert await third is AgeAnswer.PROVED
