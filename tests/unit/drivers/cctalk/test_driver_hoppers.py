"""Payouts from hoppers: paid once, proved by the running count, also across restarts and cuts."""

import asyncio
from random import Random

import pytest

from controller.faults import FaultCode, LinkError
from controller.ports import (
    DeviceName,
    FaultRaised,
    PayoutEvidence,
    PayoutOrder,
    TubesTouched,
)
from controller.saga.payout import Reconciled, reconcile
from drivers.cctalk.headers import Header
from drivers.cctalk.hopper import LINE_BACK_S, STALLED_S
from drivers.cctalk.hopper_codec import DispenseKind
from simulator.peripherals.cctalk_hopper import HopperSettings, SimHopper
from simulator.truth import tube
from tests.cctalk_kit import Rig, rig, until, virtual

BELIEVED = [(14, 20, 100), (15, 100, 100)]
ORDER = PayoutOrder(340, ((15, 3), (14, 2)))
ASKED = frozenset({14, 15})


def judged(evidence: PayoutEvidence, ordered: int = 340) -> Reconciled:
    """What the controller makes of it."""
    return reconcile(ordered, BELIEVED, evidence, ASKED)


def dispenses(it: Rig) -> int:
    return sum(h.asked.count(Header.DISPENSE_HOPPER_COINS) for h in it.hoppers)


@pytest.mark.parametrize("kind", list(DispenseKind))
@virtual
async def test_a_payout_is_paid_and_proved_twice(kind: DispenseKind) -> None:
    it = await rig(hoppers=(HopperSettings(100, kind=kind), HopperSettings(20, kind=kind))).up()
    evidence = await it.changer.payout(ORDER)
    assert judged(evidence) == Reconciled(((14, 20, 2), (15, 100, 3)), "both", certain=True)
    assert it.tray == 340
    assert dispenses(it) == 2
    assert [hopper.enabled for hopper in it.hoppers] == [False, False]
    await it.die()


@pytest.mark.parametrize("kind", list(DispenseKind))
@virtual
async def test_a_hopper_whose_name_tells_nothing_is_paid_from_as_it_wants(
    kind: DispenseKind,
) -> None:
    it = rig(hoppers=(HopperSettings(100, kind=kind), HopperSettings(20, kind=kind)))
    for hopper in it.hoppers:
        hopper._identity[Header.REQUEST_PRODUCT_CODE] = b"HOPPER"
    await it.up()
    assert judged(await it.changer.payout(ORDER)).certain
    assert it.tray == 340
    asked = dispenses(it)
    await it.changer.payout(ORDER)
    assert (it.tray, dispenses(it)) == (680, asked + 2), "found out once"
    await it.die()


@virtual
async def test_more_coins_than_one_command_holds_are_paid_in_several() -> None:
    it = await rig(hoppers=(HopperSettings(20, coins=400, coin_s=0.05),)).up()
    evidence = await it.changer.payout(PayoutOrder(6000, ((15, 300),)))
    assert reconcile(6000, [(15, 20, 400)], evidence, frozenset({15})) == Reconciled(
        ((15, 20, 300),), "both", certain=True
    )
    assert it.tray == 6000
    await it.die()


@virtual
async def test_a_lost_answer_to_a_dispense_pays_once() -> None:
    it = await rig().up()
    original = it.hoppers[0].receive

    def lose(raw: bytes, now: float) -> tuple[float, bytes] | None:
        answer = original(raw, now)
        return None if raw[3] == Header.DISPENSE_HOPPER_COINS else answer

    it.hoppers[0].receive = lose  # type: ignore[method-assign]  # a line that loses one reply
    evidence = await it.changer.payout(ORDER)
    assert judged(evidence).certain
    assert it.tray == 340
    assert dispenses(it) == 2
    await it.die()


@pytest.mark.parametrize("lost", [1, 2])
@virtual
async def test_a_dispense_that_was_not_heard_is_sent_again(lost: int) -> None:
    it = await rig().up()
    it.hoppers[0].faults.lost_dispenses = lost
    evidence = await it.changer.payout(ORDER)
    assert judged(evidence).certain
    assert it.tray == 340
    await it.die()


@virtual
async def test_a_dispense_that_is_never_heard_pays_nothing_for_certain() -> None:
    it = await rig().up()
    it.hoppers[0].faults.lost_dispenses = 99
    evidence = await it.changer.payout(PayoutOrder(300, ((15, 3),)))
    assert judged(evidence, 300) == Reconciled((), "both", certain=True)
    assert not it.hoppers[0].enabled
    await it.die()


@pytest.mark.parametrize("counts", [True, False])
@virtual
async def test_a_refused_dispense_pays_nothing(counts: bool) -> None:
    settings = HopperSettings(100, counts_refusals=counts)
    it = await rig(hoppers=(settings, HopperSettings(20))).up()
    it.hoppers[0].faults.naks = 1
    original = it.hoppers[0]._dispense
    refusals = iter((True, False))

    def refuse(data: bytes) -> bytes | int | None:
        it.hoppers[0].enabled = it.hoppers[0].enabled and not next(refusals, False)
        return original(data)

    it.hoppers[0]._dispense = refuse  # type: ignore[method-assign]  # the first is not enabled
    evidence = await it.changer.payout(ORDER)
    assert judged(evidence).certain
    assert judged(evidence).amount == it.tray == 340
    await it.die()


@virtual
async def test_a_hopper_that_runs_out_is_told_and_left_alone() -> None:
    it = await rig(hoppers=(HopperSettings(100, coins=2), HopperSettings(20))).up()
    next(iter(it.changer._hoppers)).add(5)  # the books say more than there is
    evidence = await it.changer.payout(PayoutOrder(400, ((15, 4),)))
    assert evidence.tubes is not None
    assert evidence.tubes.defective == {15}
    believed = [(14, 20, 100), (15, 100, 7)]
    assert reconcile(400, believed, evidence, frozenset({15})) == Reconciled(
        ((15, 100, 2),), "status", certain=True
    )
    assert ("hopper 3", "changer.tube_sensor") in it.sink.faults
    it.changer.accept(frozenset(), manual=True)  # somebody is there
    assert (await it.changer.tubes()).defective == frozenset()
    await it.die()


@virtual
async def test_a_jam_pays_what_fell_and_names_itself() -> None:
    it = await rig().up()
    it.hoppers[0].faults.jam_after = 1
    evidence = await it.changer.payout(ORDER)
    assert judged(evidence) == Reconciled(((14, 20, 2), (15, 100, 1)), "status", certain=True)
    assert it.tray == 140
    assert "maximum current" in it.sink.faults["hopper 3", "changer.tube_jam"]
    await it.die()


@virtual
async def test_a_blocked_hopper_is_reset_once_its_counts_are_known() -> None:
    it = await rig().up()
    it.hoppers[0].faults.jam_after = 1
    await it.changer.payout(ORDER)
    evidence = await it.changer.payout(PayoutOrder(200, ((15, 2),)))
    assert evidence.status is not None
    assert evidence.status[15] == 2
    assert it.tray == 340
    assert it.sink.faults == {}
    await it.die()


@virtual
async def test_a_motor_that_never_stops_is_stopped() -> None:
    it = await rig().up()
    it.hoppers[0].faults.stall = True
    evidence = await it.changer.payout(PayoutOrder(300, ((15, 3),)))
    assert Header.EMERGENCY_STOP in it.hoppers[0].asked
    assert judged(evidence, 300) == Reconciled((), "both", certain=True)
    assert evidence.tubes is not None
    assert evidence.tubes.defective == {15}, "the others are asked instead"
    assert it.sink.faults[("hopper 3", FaultCode.CHANGER_TUBE_JAM)]
    it.changer.accept(frozenset(), manual=True)  # somebody is there
    assert (await it.changer.tubes()).defective == set()
    await it.die()


@virtual
async def test_a_hopper_that_turned_in_vain_is_asked_again_later() -> None:
    it = await rig().up()
    it.hoppers[0].faults.stall = True
    await it.changer.payout(PayoutOrder(300, ((15, 3),)))
    it.hoppers[0].faults.stall = False
    assert (await it.changer.tubes()).defective == {15}
    await asyncio.sleep(STALLED_S)
    assert (await it.changer.tubes()).defective == set()
    assert judged(await it.changer.payout(PayoutOrder(300, ((15, 3),))), 300).amount == 300
    await it.die()


@virtual
async def test_a_hopper_that_comes_back_has_its_coins_counted() -> None:
    """It paid on while nobody heard it."""
    it = await rig().up()
    it.hoppers[0].faults.silent = True
    await until(lambda: ("hopper 3", FaultCode.DEVICE_SILENT) in it.sink.faults, 10)
    assert it.sink.told(TubesTouched) == []
    it.hoppers[0].faults.silent = False
    await until(lambda: it.sink.told(TubesTouched) == [TubesTouched(DeviceName.CHANGER)], 10)
    await it.die()


@virtual
async def test_a_hopper_that_was_silent_in_a_payout_alone_is_counted_as_well() -> None:
    it = await rig().up()
    paying = asyncio.create_task(it.changer.payout(PayoutOrder(300, ((15, 3),))))
    await until(lambda: it.hoppers[0].paid == 1, 10)
    it.hoppers[0].faults.silent = True
    assert not (await paying).idle
    it.hoppers[0].faults.silent = False
    await until(lambda: it.sink.told(TubesTouched) == [TubesTouched(DeviceName.CHANGER)], 10)
    await it.die()


@virtual
async def test_a_hopper_that_a_power_cut_blocked_is_reset_once_its_counts_are_noted() -> None:
    it = await rig().up()
    paying = asyncio.create_task(it.changer.payout(PayoutOrder(500, ((15, 5),))))
    await until(lambda: it.hoppers[0].paid == 2, 10)
    it.hoppers[0].power_off()
    await it.die()
    await asyncio.gather(paying, return_exceptions=True)
    it.hoppers[0].power_on()
    await it.up()
    noted = len(it.sink.durable)
    await until(lambda: it.sink.told(TubesTouched) == [TubesTouched(DeviceName.CHANGER)], 10)
    assert len(it.sink.durable) > noted, "its counts were on disk before"
    assert (await it.changer.tubes()).counts[15] == 98
    assert (await it.changer.tubes()).defective == set()
    await it.die()


@virtual
async def test_a_hopper_that_jams_again_is_left_alone_for_a_while() -> None:
    it = await rig().up()
    for tries in (1, 2):
        it.hoppers[0].faults.jam_after = 0
        await it.changer.payout(PayoutOrder(300, ((15, 3),)))
        await asyncio.sleep(10)
        assert it.hoppers[0].asked.count(Header.RESET_DEVICE) == 1
        assert (await it.changer.tubes()).defective == (set() if tries == 1 else {15})
    await it.die()


@virtual
async def test_a_reset_in_mid_payout_is_found_by_the_count() -> None:
    it = await rig().up()
    it.hoppers[0].faults.reset_after = 2
    evidence = await it.changer.payout(PayoutOrder(300, ((15, 3),)))
    assert judged(evidence, 300) == Reconciled(((15, 100, 2),), "both", certain=True)
    assert it.tray == 200
    await it.die()


@pytest.mark.parametrize("count", [0, 2_999, 900_000])
@virtual
async def test_a_hopper_that_loses_its_count_in_mid_payout_proves_nothing(count: int) -> None:
    """A dip of its supply may take it: what fell nobody knows, and it is no fortune."""
    it = await rig(hoppers=(HopperSettings(100, coin_s=1.0), HopperSettings(20))).up()
    paying = asyncio.create_task(it.changer.payout(ORDER))
    await until(lambda: it.tray == 100, 30)
    it.hoppers[0].power_off()
    it.hoppers[0].dispensed = count
    await asyncio.sleep(1)
    it.hoppers[0].power_on()
    assert judged(await paying) == Reconciled(((14, 20, 2),), "tubes", certain=False)
    assert it.tray == 140
    assert ("hopper 3", "device.unsuitable") in it.sink.faults
    await it.die()


@virtual
async def test_a_coin_too_many_that_nobody_counted_is_found_at_the_next_count() -> None:
    it = await rig().up()
    it.hoppers[0].faults.extra_coins = 1
    evidence = await it.changer.payout(PayoutOrder(300, ((15, 3),)))
    assert judged(evidence, 300).amount == 300  # the hopper knows no better
    assert it.tray == 400
    await it.die()


@virtual
async def test_a_hopper_without_power_pays_nothing_and_says_so() -> None:
    it = await rig().up()
    it.hoppers[0].power_off()
    evidence = await it.changer.payout(ORDER)
    assert judged(evidence) == Reconciled(((14, 20, 2),), "status", certain=True)
    assert evidence.tubes is not None
    assert 15 in evidence.tubes.defective
    await it.die()


@pytest.mark.parametrize("kind", list(DispenseKind))
@virtual
async def test_a_hopper_that_was_silent_at_the_start_is_asked_who_it_is_before_it_pays(
    kind: DispenseKind,
) -> None:
    it = rig(hoppers=(HopperSettings(100, kind=kind), HopperSettings(20, kind=kind)))
    it.hoppers[0].faults.silent = True
    await it.up()
    it.hoppers[0].faults.silent = False
    evidence = await it.changer.payout(ORDER)
    assert judged(evidence) == Reconciled(((14, 20, 2), (15, 100, 3)), "both", certain=True)
    assert it.tray == 340
    await it.die()


@virtual
async def test_a_hopper_whose_serial_number_is_not_to_be_had_pays_nothing_for_certain() -> None:
    kind = DispenseKind.SERIAL
    it = rig(hoppers=(HopperSettings(100, kind=kind), HopperSettings(20, kind=kind)))
    original = it.hoppers[0].receive

    def forget(raw: bytes, now: float) -> tuple[float, bytes] | None:
        answer = original(raw, now)
        return None if raw[3] == Header.REQUEST_SERIAL_NUMBER else answer

    it.hoppers[0].receive = forget  # type: ignore[method-assign]  # a line that loses one reply
    await it.up()
    evidence = await it.changer.payout(ORDER)
    assert judged(evidence) == Reconciled(((14, 20, 2),), "both", certain=True)
    assert it.tray == 40
    await it.die()


@virtual
async def test_a_hopper_that_dies_in_mid_payout_is_unknown() -> None:
    it = await rig(hoppers=(HopperSettings(100, coin_s=1.0), HopperSettings(20))).up()
    paying = asyncio.create_task(it.changer.payout(PayoutOrder(300, ((15, 3),))))
    await until(lambda: it.tray == 100, 10)
    it.hoppers[0].power_off()
    evidence = await paying
    assert not evidence.idle
    assert not judged(evidence, 300).certain
    await it.die()


@pytest.mark.parametrize("dark_s", [0.3, 3.0, 20.0])
@virtual
async def test_a_hopper_whose_line_goes_in_mid_payout_pays_on_and_is_counted(dark_s: float) -> None:
    it = await rig().up()
    payout = asyncio.create_task(it.changer.payout(PayoutOrder(500, ((15, 5),))))
    await until(lambda: it.tray >= 200, 10)
    it.unplug()
    await asyncio.sleep(dark_s)
    it.plugged = True
    done = judged(await payout, 500)
    assert it.tray == 500
    if dark_s < LINE_BACK_S:
        assert (done.paid, done.certain) == (((15, 100, 5),), True)
    else:
        assert not done.certain
    await it.die()


@virtual
async def test_a_line_that_goes_before_an_order_was_heard_pays_nothing_for_certain() -> None:
    it = await rig().up()
    assert judged(await it.changer.payout(ORDER)).certain
    hopper = it.hoppers[0]
    hopper.on_command = lambda raw: it.unplug() if raw[0] == Header.ENABLE_HOPPER else None
    payout = asyncio.create_task(it.changer.payout(PayoutOrder(500, ((15, 5),))))
    await until(lambda: not it.plugged, 10)
    hopper.on_command = None
    it.plugged = True
    with pytest.raises(LinkError):
        await payout
    assert it.tray == 340
    await it.die()


@virtual
async def test_without_a_line_nothing_is_paid() -> None:
    it = await rig().up()
    it.unplug()
    with pytest.raises(LinkError):
        await it.changer.payout(ORDER)
    assert it.tray == 0
    await it.die()


# ------------------------------------------------------------------------------------ restarts


@pytest.mark.parametrize("fallen", [0, 1, 3, 4])
@virtual
async def test_a_crash_in_mid_payout_is_cleared_by_the_count(fallen: int) -> None:
    it = await rig(hoppers=(HopperSettings(100, coin_s=1.0), HopperSettings(20))).up()
    paying = asyncio.create_task(it.changer.payout(ORDER))
    await until(lambda: it.truth.count(tube(15)) + it.truth.count(tube(14)) == 200 - fallen, 30)
    if not fallen:
        await until(lambda: it.hoppers[0].remaining, 30)
    it.tasks.append(paying)
    await it.die()
    await it.greet()
    evidence = await it.changer.payout_evidence()
    done = judged(evidence)
    assert done.certain
    assert done.amount == it.tray > 0
    assert dispenses(it) <= 2
    await it.die()


@virtual
async def test_a_motor_that_a_crash_left_turning_in_vain_is_stopped() -> None:
    """What is left of that payout may not fall behind the claim for it (seed 1795408672)."""
    it = await rig().up()
    it.hoppers[0].faults.stall = True
    paying = asyncio.create_task(it.changer.payout(PayoutOrder(300, ((15, 3),))))
    await until(lambda: it.hoppers[0].remaining, 30)
    await asyncio.sleep(1)  # longer than a coin takes: it stands
    it.tasks.append(paying)
    await it.die()
    it.hoppers[0].faults.stall = False
    await it.greet()
    evidence = await it.changer.payout_evidence()
    assert judged(evidence, 300) == Reconciled((), "tubes", certain=True)
    assert it.hoppers[0].quiet, "nothing of it is left to fall"
    await it.die()


@pytest.mark.parametrize("fallen", [0, 2, 3])
@virtual
async def test_a_power_cut_in_mid_payout_is_cleared_by_the_count(fallen: int) -> None:
    it = await rig(hoppers=(HopperSettings(100, coin_s=1.0), HopperSettings(20))).up()
    paying = asyncio.create_task(it.changer.payout(PayoutOrder(400, ((15, 4),))))
    await until(lambda: it.hoppers[0].remaining and it.tray == 100 * fallen, 30)
    it.tasks.append(paying)
    it.cut_power()
    await it.die()
    it.restore_power()
    await asyncio.sleep(1)
    await it.greet()
    evidence = await it.changer.payout_evidence()
    assert judged(evidence, 400) == Reconciled(
        ((15, 100, fallen),) if fallen else (), "tubes", certain=True
    )
    await it.die()
    await it.up()  # the cut's own flag needs a reset before it pays again
    again = await it.changer.payout(PayoutOrder(100, ((15, 1),)))
    assert again.status is not None
    assert again.status[15] == 1
    await it.die()


@virtual
async def test_a_payout_that_never_began_paid_nothing() -> None:
    it = await rig().up()
    await it.changer.payout(ORDER)
    paid = it.tray
    await it.die()
    await it.greet()
    evidence = await it.changer.payout_evidence()  # of an intent after that payout
    believed = [(14, 20, 98), (15, 100, 97)]
    assert reconcile(100, believed, evidence, ASKED) == Reconciled((), "tubes", certain=True)
    assert it.tray == paid
    await it.die()


@virtual
async def test_an_exchanged_hopper_is_doubted_until_somebody_was_there() -> None:
    it = await rig().up()
    await it.changer.payout(ORDER)
    await it.die()
    it.hoppers[0].dispensed = 900_000
    it.tubes = (0,) * 14 + (98, 97)
    await it.up()
    assert (await it.changer.tubes()).defective == {15}
    assert ("hopper 3", "device.unsuitable") in it.sink.faults
    it.changer.accept(frozenset(), manual=True)
    assert (await it.changer.tubes()).counts[15] == 97
    await it.die()


@virtual
async def test_a_hopper_exchanged_while_vendd_runs_holds_what_was_left_by_then() -> None:
    it = rig()
    it.tubes = (0,) * 14 + (100, 100)
    await it.up()
    await it.changer.payout(ORDER)
    it.hoppers[0].dispensed = 900_000
    assert (await it.changer.tubes()).defective == {15}
    it.changer.accept(frozenset(), manual=True)
    assert (await it.changer.tubes()).counts[15] == 97, "and not what the books said at the start"
    await it.die()


@pytest.mark.parametrize("seed", range(30))
@virtual
async def test_whatever_the_line_does_what_is_certain_is_true(seed: int) -> None:
    it = await rig().up()
    it.wire.line._random.seed(seed)
    it.wire.line.flip, it.wire.line.loss, it.wire.line.noise = 0.004, 0.004, 0.004
    paid = 0
    believed = {14: 100, 15: 100}
    for _ in range(4):
        evidence = await it.changer.payout(ORDER)
        tubes = [(14, 20, believed[14]), (15, 100, believed[15])]
        done = reconcile(340, tubes, evidence, ASKED)
        fell, paid = it.tray - paid, it.tray
        assert fell <= 340
        assert done.amount == fell if done.certain else done.amount <= fell
        believed = {15 - index: it.truth.count(tube(15 - index)) for index in range(2)}
    it.wire.line.heal()
    await asyncio.sleep(5)
    counts = (await it.changer.tubes()).counts
    assert (counts[14], counts[15]) == (believed[14], believed[15])
    await it.die()


@pytest.mark.parametrize("seed", range(20))
@virtual
async def test_an_answer_that_comes_late_answers_no_other_question(seed: int) -> None:
    """Three bytes of flags, told late, are no dispense count: that is three bytes, too."""
    it = await rig().up()
    draw = Random(seed)

    def dawdle(hopper: SimHopper) -> None:
        if draw.random() < 0.3:
            hopper.faults.late_answers, hopper.faults.late_s = 1, draw.uniform(0.28, 0.6)

    for hopper in it.hoppers:
        hopper.on_command = lambda _, hopper=hopper: dawdle(hopper)
    paid = 0
    believed = {14: 100, 15: 100}
    for _ in range(4):
        evidence = await it.changer.payout(ORDER)
        tubes = [(14, 20, believed[14]), (15, 100, believed[15])]
        done = reconcile(340, tubes, evidence, ASKED)
        fell, paid = it.tray - paid, it.tray
        assert fell <= 340
        assert done.amount == fell if done.certain else done.amount <= fell
        believed = {15 - index: it.truth.count(tube(15 - index)) for index in range(2)}
        await asyncio.sleep(10)
    for hopper in it.hoppers:
        hopper.on_command = None
    await asyncio.sleep(10)
    counts = (await it.changer.tubes()).counts
    assert (counts[14], counts[15]) == (believed[14], believed[15])
    assert it.sink.faults == {}
    misread = {FaultCode.CHANGER_TUBE_JAM, FaultCode.DEVICE_UNSUITABLE}
    assert not [event for event in it.sink.told(FaultRaised) if event.code in misread]
    await it.die()
