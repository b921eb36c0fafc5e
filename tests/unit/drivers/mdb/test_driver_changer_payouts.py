"""The changer's driver pays out, and tells what really fell."""

import asyncio
from dataclasses import replace

import pytest

from controller.faults import LinkError
from controller.ports import (
    PayoutOrder,
)
from drivers.mdb.changer_payout import BUSY_LIMIT_S
from simulator.bench import LinkKind
from simulator.peripherals.changer_settings import BusyStyle, ChangerSettings, CoinSpec
from simulator.truth import tube
from tests.mdb_kit import now, until, virtual
from tests.unit.drivers.mdb.changer_kit import ALL_COINS, BOTH, VALUES, changer, counts, pay


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("busy", [BusyStyle.REPORT, BusyStyle.SILENCE])
@pytest.mark.parametrize("by_value", [False, True])
@virtual
async def test_a_payout_pays_and_restores_acceptance(
    kind: LinkKind, busy: BusyStyle, by_value: bool
) -> None:
    it = await changer(ChangerSettings(busy=busy), kind).up()
    it.changer.accept(ALL_COINS, manual=True)
    await until(lambda: it.bench.changer.accepted == 0x3F)
    paying = asyncio.create_task(
        pay(it, PayoutOrder(385, ((4, 3), (3, 1), (2, 1), (1, 1), (0, 1)), by_value))
    )
    await until(lambda: it.bench.changer.paying)
    assert it.bench.changer.accepted == 0
    evidence, fell = await paying
    assert fell == 385
    assert evidence.idle
    assert not evidence.was_reset
    assert evidence.tubes is not None
    assert evidence.tubes.counts == counts(it)
    assert evidence.status == ((1, 1, 1, 1, 3, *[0] * 11) if by_value else None)
    await until(lambda: (it.bench.changer.accepted, it.bench.changer.manual) == (0x3F, 0xFFFF))
    await it.die()


@pytest.mark.parametrize("by_value", [False, True])
@pytest.mark.parametrize("coins", [((4, 3),), ((4, 2), (3, 1), (0, 10)), ((2, 15),)])
@virtual
async def test_coins_of_a_changer_that_acks_its_polls_while_it_pays_are_waited_for(
    coins: tuple[tuple[int, int], ...], by_value: bool
) -> None:
    """What is not told as fallen is ordered anew: nothing may fall behind the evidence."""
    it = await changer(ChangerSettings(busy=BusyStyle.NEVER, payout_s=0.5)).up()
    order = PayoutOrder(300, coins, by_value)
    evidence, fell = await pay(it, order)
    assert evidence.idle
    assert evidence.tubes is not None
    assert evidence.tubes.counts == counts(it)
    assert not it.bench.changer.paying
    assert fell == 300
    await it.die()


@virtual
async def test_a_payout_that_is_told_before_it_begins_is_told_by_the_tubes() -> None:
    """PAYOUT VALUE POLL and PAYOUT STATUS are answered by "finished" and "nothing"."""
    it = await changer(ChangerSettings(busy=BusyStyle.LATE)).up()
    evidence, fell = await pay(it, PayoutOrder(300, ((4, 3),), by_value=True))
    assert fell == 300
    assert evidence.idle
    assert evidence.status is None
    assert evidence.tubes is not None
    assert evidence.tubes.counts == counts(it)
    await it.die()


@virtual
async def test_what_a_late_payout_came_to_is_not_told_of_the_next_one() -> None:
    """Its PAYOUT STATUS was asked for before it began (seed 980000113)."""
    it = await changer(ChangerSettings(busy=BusyStyle.LATE)).up()
    await pay(it, PayoutOrder(300, ((4, 3),), by_value=True))
    evidence = await it.changer.payout_evidence()
    assert evidence.status is None, "nothing is held any more"
    await it.die()


@virtual
async def test_a_late_payout_that_never_ends_is_ended_by_a_reset() -> None:
    """What is left of it may not fall behind the claim for it (seed 980000560)."""
    it = await changer(ChangerSettings(busy=BusyStyle.LATE)).up()
    it.bench.changer.faults.stall = True
    evidence, fell = await pay(it, PayoutOrder(100, ((4, 1),), by_value=True))
    assert fell == 0
    assert evidence.was_reset
    assert not it.bench.changer.paying
    await it.die()


@virtual
async def test_a_late_payout_that_its_status_alone_calls_running_is_ended_by_a_reset() -> None:
    """Its polls told of it for a while, and then no more."""
    settings = ChangerSettings(busy=BusyStyle.LATE)
    it = await changer(settings).up()
    before, device = counts(it), it.bench.changer
    paying = asyncio.create_task(it.changer.payout(PayoutOrder(300, ((4, 3),), by_value=True)))
    await until(lambda: counts(it) != before)
    device.faults.stall = True
    device.settings = replace(settings, busy=BusyStyle.NEVER)
    evidence = await paying
    assert evidence.was_reset
    assert not device.paying
    assert evidence.tubes is not None
    assert evidence.tubes.counts == counts(it)
    await it.die()


@pytest.mark.parametrize("by_value", [False, True])
@virtual
async def test_a_changer_that_says_nothing_and_lets_nothing_fall_is_reset(by_value: bool) -> None:
    """It can't be told from one that is stuck (seed 983000730)."""
    it = await changer(ChangerSettings(busy=BusyStyle.NEVER)).up()
    it.bench.changer.faults.stall = True
    evidence, fell = await pay(it, PayoutOrder(100, ((4, 1),), by_value))
    assert fell == 0
    assert evidence.was_reset
    assert not it.bench.changer.paying
    await it.die()


@virtual
async def test_a_coin_that_falls_late_behind_one_too_many_is_counted() -> None:
    """Together they come to more than was ordered before the last one falls (seed 980000049)."""
    it = await changer(ChangerSettings(level=2, busy=BusyStyle.LATE)).up()
    it.bench.changer.faults.extra_coins = 1
    evidence, fell = await pay(it, PayoutOrder(60, ((3, 1), (1, 1))))
    assert fell == 110
    assert evidence.tubes is not None
    assert evidence.tubes.counts == counts(it)
    await it.die()


@virtual
async def test_a_tube_whose_count_goes_up_and_down_ends_the_wait_for_late_coins() -> None:
    it = await changer(ChangerSettings(level=2)).up()
    faults = it.bench.changer.faults
    faults.short_by = 1

    async def waver() -> None:
        while True:
            faults.count_error = {3: (faults.count_error.get(3, 0) + 1) % 7}
            await asyncio.sleep(0.5)

    wavers = asyncio.create_task(waver())
    async with asyncio.timeout(2 * BUSY_LIMIT_S):
        evidence, fell = await pay(it, PayoutOrder(300, ((4, 3),)))
    assert fell == 200
    assert evidence.idle
    wavers.cancel()
    await it.die()


@virtual
async def test_a_tube_that_was_not_asked_holds_up_no_payout_however_its_count_wavers() -> None:
    it = await changer(ChangerSettings(level=2)).up()
    faults = it.bench.changer.faults

    async def waver() -> None:
        while True:
            faults.count_error = {3: (faults.count_error.get(3, 0) + 1) % 7}
            await asyncio.sleep(0.5)

    wavers = asyncio.create_task(waver())
    began = now()
    evidence, fell = await pay(it, PayoutOrder(300, ((4, 3),)))
    assert fell == 300
    assert evidence.idle
    assert now() - began < 5.0
    wavers.cancel()
    await it.die()


@virtual
async def test_a_coin_that_falls_late_behind_a_jam_is_counted() -> None:
    """The tube that jammed was that of the order before (seed 983000423)."""
    it = await changer(ChangerSettings(level=2, busy=BusyStyle.LATE)).up()
    it.bench.changer.faults.jam_after = 1
    evidence, fell = await pay(it, PayoutOrder(160, ((4, 1), (3, 1), (1, 1))))
    assert fell == 110
    assert evidence.tubes is not None
    assert evidence.tubes.counts[1] == counts(it)[1]
    await it.die()


@virtual
async def test_more_than_15_coins_need_several_commands_one_after_the_other() -> None:
    it = await changer().up()
    evidence, fell = await pay(it, PayoutOrder(185, ((0, 37),)))
    assert fell == 185
    assert evidence.idle
    assert len(it.tap.times(0x0D)) == 3
    await it.die()


@pytest.mark.parametrize("busy", [BusyStyle.REPORT, BusyStyle.LATE])
@virtual
async def test_no_more_is_ordered_of_a_tube_that_jammed_in_the_command_before(
    busy: BusyStyle,
) -> None:
    """Its changer can't count it any more: coins fell behind the claim for them (88123063)."""
    it = await changer(ChangerSettings(level=2, busy=busy)).up()
    it.bench.changer.faults.jam_after = 2
    evidence, fell = await pay(it, PayoutOrder(2110, ((4, 20), (3, 2), (1, 1))))
    assert fell == 310
    assert len(it.tap.times(0x0D)) == 3
    assert evidence.idle
    assert evidence.tubes is not None
    assert evidence.tubes.counts[1] == counts(it)[1]
    await it.die()


@virtual
async def test_more_than_255_units_need_several_payouts_and_one_sum() -> None:
    it = await changer().up()
    evidence, fell = await pay(it, PayoutOrder(1500, (), by_value=True))
    assert fell == 1500
    assert evidence.status is not None
    assert sum(n * v for n, v in zip(evidence.status, VALUES, strict=False)) == 1500
    await it.die()


@virtual
async def test_an_amount_the_changer_cannot_tell_is_paid_coin_by_coin() -> None:
    it = await changer(ChangerSettings(scaling=10, coins=(CoinSpec(10, 80, 40),))).up()
    evidence, _ = await pay(it, PayoutOrder(15, ((0, 1),), by_value=True))
    assert evidence.status is None
    assert it.bench.truth.count(tube(0)) == 39
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("by_value", [False, True])
@pytest.mark.parametrize("fault", ["silent_commands", "lost_answers", "naks"])
@virtual
async def test_a_payout_command_is_never_repeated(
    kind: LinkKind, by_value: bool, fault: str
) -> None:
    it = await changer(kind=kind).up()
    before = counts(it)
    inhibit = it.changer._inhibit

    async def then_break() -> None:
        await inhibit()
        setattr(it.bench.changer.faults, fault, 1)

    it.changer._inhibit = then_break  # type: ignore[method-assign] # break exactly the payout
    evidence = await it.changer.payout(PayoutOrder(300, ((4, 3),), by_value))
    assert evidence.idle
    assert evidence.tubes is not None
    assert evidence.tubes.counts == counts(it)
    fell = before[4] - counts(it)[4]
    assert fell == (3 if fault == "lost_answers" else 0)
    payouts = [
        heard
        for heard in it.tap.log
        if heard.ours
        and heard.data[:2] in (b"\x0d\x34", b"\x0f\x02", b"R,")
        and (heard.data[0] != 0x52 or heard.data[:8] in (b"R,0D,34\n", b"R,0F,023"))
    ]
    assert len(payouts) == 1
    if evidence.status is not None:
        assert evidence.status[4] == fell
    await it.die()


@virtual
async def test_nothing_is_paid_when_the_inhibit_is_not_taken() -> None:
    it = await changer().up()
    before = counts(it)
    it.bench.changer.faults.silent = True
    with pytest.raises(LinkError, match="nothing was paid"):
        await it.changer.payout(PayoutOrder(300, ((4, 3),)))
    assert counts(it) == before
    await it.die()


@pytest.mark.parametrize("by_value", [False, True])
@virtual
async def test_a_reset_in_mid_payout_is_told_and_the_tubes_tell_the_rest(by_value: bool) -> None:
    it = await changer().up()
    it.bench.changer.faults.reset_after = 2
    evidence, fell = await pay(it, PayoutOrder(500, ((4, 5),), by_value))
    assert evidence.was_reset
    assert evidence.idle
    assert evidence.status is None
    assert evidence.tubes is not None
    assert evidence.tubes.counts == counts(it)
    assert fell == 200
    await until(lambda: it.changer.ready)
    assert len(it.tap.times(0x08)) == 1
    await it.die()


@pytest.mark.parametrize("busy", list(BusyStyle))
@pytest.mark.parametrize("after_s", [0.05, 0.3, 0.55, 0.9, 1.5, 2.2, 2.6])
@virtual
async def test_nothing_is_ordered_of_a_changer_that_reset_itself_in_mid_payout(
    busy: BusyStyle, after_s: float
) -> None:
    """It would pay behind the evidence, if its motor takes its time."""
    it = await changer(ChangerSettings(busy=busy)).up()
    before = counts(it)
    paying = asyncio.create_task(it.changer.payout(PayoutOrder(340, ((4, 3), (2, 2)))))
    await until(lambda: it.bench.changer._payout.ordered)
    await asyncio.sleep(after_s)
    it.bench.changer.self_reset()
    evidence = await paying
    told = evidence.tubes
    assert told is not None
    await asyncio.sleep(5.0)
    assert told.counts == counts(it)
    assert sum(before) >= sum(counts(it))
    await it.die()


@pytest.mark.parametrize("by_value", [False, True])
@virtual
async def test_a_jam_ends_the_payout_early_and_is_told(by_value: bool) -> None:
    it = await changer().up()
    it.bench.changer.faults.jam_after = 2
    evidence, fell = await pay(it, PayoutOrder(500, ((4, 5),), by_value))
    assert evidence.idle
    assert evidence.tubes is not None
    assert 4 in evidence.tubes.defective
    assert fell == 200
    assert ("changer", "changer.tube_jam") in it.sink.faults
    it.bench.changer.mend_tube(4)
    it.bench.changer.faults.jam_after = -1
    evidence, fell = await pay(it, PayoutOrder(100, ((4, 1),), by_value))
    assert fell == 100
    assert ("changer", "changer.tube_jam") not in it.sink.faults
    await it.die()


@pytest.mark.parametrize("fault", [{"short_by": 2}, {"extra_coins": 1}, {"busy_s": 3.0}])
@pytest.mark.parametrize("by_value", [False, True])
@virtual
async def test_what_fell_is_told_when_it_is_not_what_was_ordered(
    fault: dict[str, float], by_value: bool
) -> None:
    it = await changer().up()
    for name, value in fault.items():
        setattr(it.bench.changer.faults, name, value)
    evidence, fell = await pay(it, PayoutOrder(500, ((4, 5),), by_value))
    assert evidence.idle
    assert evidence.tubes is not None
    assert evidence.tubes.counts == counts(it)
    assert fell == {"short_by": 300, "extra_coins": 600, "busy_s": 500}[next(iter(fault))]
    await it.die()


@virtual
async def test_a_value_poll_that_says_02_for_ever_is_bounded() -> None:
    it = await changer().up()
    it.bench.changer.faults.value_poll_stuck = True
    began = now()
    evidence, fell = await pay(it, PayoutOrder(500, (), by_value=True))
    assert now() - began < 30
    assert fell == 500
    assert evidence.idle
    assert evidence.status is not None
    await it.die()


@pytest.mark.parametrize("by_value", [False, True])
@virtual
async def test_a_changer_that_stays_busy_for_ever_is_reset_and_counted(
    by_value: bool,
) -> None:
    it = await changer().up()
    it.bench.changer.faults.stall = True
    began = now()
    evidence, fell = await pay(it, PayoutOrder(500, ((4, 5),), by_value))
    assert now() - began < 75
    assert evidence.idle
    assert evidence.was_reset
    assert evidence.tubes is not None
    assert evidence.tubes.counts == counts(it)
    assert fell == 0
    await it.die()


@virtual
async def test_a_changer_that_dies_in_mid_payout_leaves_no_evidence() -> None:
    it = await changer().up()
    paying = asyncio.create_task(it.changer.payout(PayoutOrder(500, ((4, 5),))))
    await until(lambda: it.bench.changer.paying)
    it.bench.changer.faults.silent = True
    evidence = await paying
    assert not evidence.idle
    assert evidence.tubes is None
    await it.die()


@virtual
async def test_a_port_lost_in_mid_payout_leaves_it_open() -> None:
    it = await changer().up()
    paying = asyncio.create_task(it.changer.payout(PayoutOrder(500, ((4, 5),))))
    await until(lambda: it.bench.changer.paying)
    it.unplug()
    evidence = await paying
    assert not evidence.idle
    assert evidence.tubes is None
    await it.die()


@virtual
async def test_one_whose_status_alone_says_that_it_pays_on_and_on_is_stopped() -> None:
    """Its polls are as if it had ended, and no coin falls: without a RESET it would never pay."""
    it = await changer(ChangerSettings(busy=BusyStyle.NEVER)).up()
    it.bench.changer.faults.stall = True
    order = PayoutOrder(300, ((4, 3),), by_value=True)
    evidence, fell = await pay(it, order)
    assert (evidence.was_reset, evidence.status, fell) == (True, None, 0)
    assert not it.bench.changer.paying
    it.bench.changer.faults.stall = False
    _, fell = await pay(it, order)
    assert fell == 300
    await it.die()
