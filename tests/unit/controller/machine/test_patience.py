"""A debt is tried for with growing pauses, for so long; what never ends is ended, and told."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from itertools import pairwise
from typing import Any

import pytest

from controller.domain import commands as cmd
from controller.domain.policy import Policy
from controller.faults import FaultCode
from controller.journal import records as rec
from controller.journal.envelope import Record
from controller.machine.limits import PAYOUT_S, READER_S, SENSOR_S, TURN_S
from controller.ports import CancelOutcome, DispenseOutcome, KeyPressed, TubeCounts
from controller.saga.patience import LONGEST_PAUSE_S, WATCH_S, pause_s
from controller.saga.strategy import Strategy
from simulator.clock import VirtualClock, VirtualLoop
from simulator.disk import Disk
from simulator.disk_sqlite import DiskStorage
from simulator.instant import InstantHardware
from simulator.shop import Shop

STUCK = f"machine {FaultCode.MACHINE_STUCK.value}"


def virtually(test: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(test)


async def opened(hardware: InstantHardware | None = None, **policy: Any) -> tuple[Shop, list[Any]]:
    """Open a shop, and keep (time, record) of all that it writes."""
    clock = VirtualClock(asyncio.get_running_loop())
    shop = await Shop.open(DiskStorage(Disk()), clock, hardware, Policy(**policy))
    told: list[tuple[float, Record]] = []
    shop.machine.on_commit.append(
        lambda records: told.extend((clock.monotonic_s(), record) for record in records)
    )
    return shop, told


async def press(shop: Shop, keys: str) -> None:
    for key in keys:
        shop.machine.inbox.notify(KeyPressed(key))
    await shop.until(lambda: bool(shop.state.closed) and shop.machine.quiet)


def times(told: list[Any], type_: type[Any]) -> list[float]:
    return [at for at, record in told if isinstance(record.data, type_)]


async def never(*_: Any, **__: Any) -> Any:
    await asyncio.Event().wait()


def test_pauses_grow_up_to_a_bound() -> None:
    assert [pause_s(tries) for tries in range(1, 7)] == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert LONGEST_PAUSE_S == 8.0


def test_a_refund_that_fails_is_ordered_again_after_growing_pauses_and_then_a_claim() -> None:
    async def story() -> None:
        shop, told = await opened()
        shop.hardware.changer.pays_at_most = 0
        await shop.coins(100)
        await press(shop, "*")
        orders = times(told, rec.PayoutIntended)
        gaps = [after - before for before, after in pairwise(orders)]
        assert gaps == pytest.approx([1.0, 2.0, 4.0])
        claim = next(iter(shop.state.claims.values()))
        assert (claim.amount, claim.tender, claim.flagged) == (100, "cash", False)
        assert told[-1][1].data.compensation == Strategy.PARTIAL_DISPENSING
        shop.books_agree()
        await shop.stop()

    virtually(story())


def test_a_refund_that_works_at_the_second_try_leaves_no_claim() -> None:
    async def story() -> None:
        shop, told = await opened()
        changer = shop.hardware.changer
        changer.pays_at_most = 0
        await shop.coins(100)
        shop.machine.inbox.notify(KeyPressed("*"))
        await asyncio.sleep(0.5)
        changer.pays_at_most = None
        await shop.until(lambda: bool(shop.state.closed) and shop.machine.quiet)
        assert len(times(told, rec.PayoutIntended)) == 2
        assert shop.state.closed[-1].paid_back == 100
        assert not shop.state.claims
        await shop.stop()

    virtually(story())


def test_the_deadline_makes_a_claim_before_all_tries_are_used_up() -> None:
    async def story() -> None:
        shop, told = await opened(refund_deadline_s=2.0)
        shop.hardware.changer.pays_at_most = 0
        await shop.coins(100)
        await press(shop, "*")
        assert len(times(told, rec.PayoutIntended)) == 2
        assert times(told, rec.ClaimOpened)[0] - times(told, rec.PayoutIntended)[0] <= 3.0
        assert told[-1][1].data.compensation == Strategy.TIME_OUT
        await shop.stop()

    virtually(story())


def test_a_turn_that_never_ends_is_unknown_and_told() -> None:
    async def story() -> None:
        shop, told = await opened()
        shop.hardware.dispenser.turn = never  # type: ignore[method-assign]
        await shop.coins(100, 50)
        await press(shop, "A1")
        took = times(told, rec.DispenseFinished)[0] - times(told, rec.DispenseIntended)[0]
        assert took == pytest.approx(TURN_S)
        assert shop.state.closed[-1].paid_back == 150
        assert STUCK in shop.state.faults
        await shop.stop()

    virtually(story())


def test_a_sensor_that_is_never_through_with_its_test_counts_as_blind() -> None:
    async def story() -> None:
        shop, told = await opened()
        shop.hardware.dispenser.check_sensor = never  # type: ignore[method-assign]
        await shop.coins(100, 50)
        await press(shop, "A1")
        took = times(told, rec.DispenseRefused)[0] - times(told, rec.VendOpened)[0]
        assert took == pytest.approx(SENSOR_S)
        assert shop.state.closed[-1].paid_back == 150
        await shop.stop()

    virtually(story())


@pytest.mark.parametrize("act", ["request", "failure", "success"])
def test_a_reader_whose_driver_never_comes_back_is_unknown(act: str) -> None:
    async def story() -> None:
        shop, told = await opened()
        reader = shop.hardware.reader
        if act == "request":
            reader.request_vend = never  # type: ignore[method-assign]
            reader.cancel = CancelOutcome.UNKNOWN
        elif act == "failure":
            shop.hardware.dispenser.script = [DispenseOutcome.JAMMED] * 2
            reader.vend_failure = never  # type: ignore[method-assign]
        else:
            reader.vend_success = never  # type: ignore[method-assign]
        await press(shop, "A1")
        assert told[-1][0] <= READER_S + Policy().approval_timeout_s + 1.0
        assert STUCK in shop.state.faults
        closed = shop.state.closed[-1]
        assert closed.result == ("sold" if act == "success" else "claimed")
        assert closed.claimed == (0 if act == "success" else 150)
        await shop.stop()

    virtually(story())


def test_a_payout_whose_driver_never_comes_back_is_proved_by_the_tubes() -> None:
    async def story() -> None:
        shop, told = await opened()
        changer = shop.hardware.changer
        pay = changer.payout

        async def pays_and_hangs(order: Any) -> Any:
            await pay(order)
            await asyncio.Event().wait()

        changer.payout = pays_and_hangs  # type: ignore[method-assign]
        await shop.coins(100)
        await press(shop, "*")
        assert told[-1][0] >= PAYOUT_S
        assert shop.state.closed[-1].paid_back == 100
        assert not shop.state.claims
        shop.books_agree()
        await shop.stop()

    virtually(story())


def test_a_saga_that_nothing_moves_is_pushed_on() -> None:
    async def story() -> None:
        shop, told = await opened()
        desk = shop.machine.desk
        await shop.coins(100)
        # Opened, and then nobody advanced it: a bug that nobody has written yet.
        saga = desk.open(rec.CreditReturnOpened(amount=100, reason="lost"))
        await press_nothing(shop)
        assert saga.vend not in shop.state.sagas
        assert STUCK in shop.state.faults
        assert times(told, rec.FaultRaised)[0] <= 2 * WATCH_S + 1.0
        assert shop.state.closed[-1].paid_back == 100
        for enters in (cmd.EnterService(), cmd.LeaveService()):
            await shop.machine.act(enters, "ada")
        assert STUCK not in shop.state.faults, "a person has looked"
        await shop.stop()

    virtually(story())


async def press_nothing(shop: Shop) -> None:
    """Let the machine take its turns, with nobody there."""
    shop.machine.inbox.notify(KeyPressed("9"))
    await shop.until(lambda: bool(shop.state.closed) and shop.machine.quiet)


def test_counts_that_never_come_hold_up_no_start() -> None:
    async def story() -> None:
        hardware = InstantHardware()
        count = hardware.changer.tubes
        calls = 0

        async def hangs_once() -> TubeCounts:
            nonlocal calls
            calls += 1
            if calls == 1:
                await asyncio.Event().wait()
            return await count()

        hardware.changer.tubes = hangs_once  # type: ignore[method-assign]
        shop, _ = await opened(hardware)
        assert shop.state.recovered
        await shop.until(lambda: STUCK in shop.state.faults)
        await shop.stop()

    virtually(story())
