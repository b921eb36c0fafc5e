"""The changer's driver against a simulated changer, byte for byte."""

import asyncio
from collections.abc import Callable

import pytest

from controller.faults import LinkError
from controller.ports import (
    CoinKind,
    CoinsReport,
    DeviceLost,
    DeviceName,
    DeviceReady,
    DeviceWasReset,
    EscrowLever,
    FaultCleared,
    FaultRaised,
    Identity,
    Known,
    PayoutEvidence,
    PayoutOrder,
)
from drivers.mdb.slots import Retry
from simulator.bench import BenchSettings, LinkKind
from simulator.peripherals.changer_settings import BusyStyle, ChangerSettings, CoinSpec
from simulator.truth import tube
from tests.mdb_kit import Rig, at_least, now, rig, until, virtual

ALL_COINS = frozenset(range(6))
BOTH: list[LinkKind] = ["native", "adapter"]
VALUES = (5, 10, 20, 50, 100, 200)


def changer(settings: ChangerSettings | None = None, kind: LinkKind = "native") -> Rig:
    bench = BenchSettings(changer=settings or ChangerSettings(), bill=None, readers=())
    return rig(kind, bench, devices=frozenset({DeviceName.CHANGER}))


def counts(it: Rig) -> tuple[int, ...]:
    return tuple(it.bench.truth.count(tube(kind)) for kind in range(16))


async def pay(it: Rig, order: PayoutOrder) -> tuple[PayoutEvidence, int]:
    """The evidence, and the value that really fell."""
    before = counts(it)
    evidence = await it.changer.payout(order)
    fell = sum(
        (old - new) * value for old, new, value in zip(before, counts(it), VALUES, strict=False)
    )
    return evidence, fell


# ------------------------------------------------------------------------- initialisation


@virtual
async def test_a_level_3_changer_is_identified_and_its_features_enabled() -> None:
    it = await changer().up()
    info = it.changer.info
    assert info is not None
    assert (info.level, info.scaling, info.decimals) == (3, 5, 2)
    assert info.coins[0] == CoinKind(0, 5, in_tube=True)
    assert info.coins[5] == CoinKind(5, 200, in_tube=False)
    assert info.pays_by_value
    assert info.identity == Identity("XYZ", "A00000004711", "CHG-4", "1.23")
    assert it.bench.changer.options == 0b011  # controlled manual fill stays off
    assert (it.bench.changer.accepted, it.bench.changer.manual) == (0, 0)
    assert [event for event in it.sink.events if not isinstance(event, DeviceReady)] == []
    await it.die()


@virtual
async def test_a_level_2_changer_gets_no_expansion_command() -> None:
    it = await changer(ChangerSettings(level=2, setup_values=6)).up()
    info = it.changer.info
    assert info is not None
    assert (info.level, info.pays_by_value, len(info.coins)) == (2, False, 6)
    assert it.tap.times(0x0F) == []
    await it.die()


@virtual
async def test_a_changer_without_options_is_asked_nothing_it_does_not_offer() -> None:
    it = await changer(ChangerSettings(options=0)).up()
    assert it.changer.info is not None
    assert not it.changer.info.pays_by_value
    await asyncio.sleep(20)
    sent = [heard.data[:2] for heard in it.tap.log if heard.ours and heard.data[0] == 0x0F]
    assert sent == [b"\x0f\x00"]
    await it.die()


@virtual
async def test_tokens_and_other_scalings_are_understood() -> None:
    coins = (CoinSpec(50, 80, 10), CoinSpec(token=True), CoinSpec(200))
    it = await changer(ChangerSettings(scaling=1, decimals=1, coins=coins)).up()
    info = it.changer.info
    assert info is not None
    assert info.coins == (
        CoinKind(0, 50, in_tube=True),
        CoinKind(1, 0, in_tube=False, token=True),
        CoinKind(2, 200, in_tube=False),
    )
    it.changer.accept(frozenset({0, 1, 2}))
    await until(lambda: it.bench.changer.accepted == 7)
    it.bench.changer.insert_coin(0, name="token")
    await until(lambda: it.sink.reports)
    [report] = it.sink.reports
    assert isinstance(report, CoinsReport)
    assert (report.deposited[0].token, report.deposited[0].value) == (True, 0)
    await it.die()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (ChangerSettings(currency=0x1826), "GBP"),
        (ChangerSettings(scaling=5, decimals=3, exponent=3), "whole number"),
    ],
)
@virtual
async def test_a_changer_whose_money_is_not_ours_is_refused(
    settings: ChangerSettings, why: str
) -> None:
    it = changer(settings)
    await it.greet()
    it.start()
    await asyncio.sleep(30)
    assert not it.changer.ready
    assert why in it.sink.faults["changer", "device.unsuitable"]
    assert len(it.sink.told(FaultRaised)) == 1
    assert it.bench.changer.accepted == 0
    await it.die()


@pytest.mark.parametrize("currency", [0x0049, 0xFFFF, 0x1978])
@virtual
async def test_telephone_and_unknown_codes_are_no_reason_to_refuse(currency: int) -> None:
    it = await changer(ChangerSettings(currency=currency)).up()
    assert it.sink.faults == {}
    await it.die()


@pytest.mark.parametrize("fault", ["silent_commands", "lost_answers", "naks", "bad_checksums"])
@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_initialisation_survives_single_losses(kind: LinkKind, fault: str) -> None:
    it = changer(kind=kind)
    setattr(it.bench.changer.faults, fault, 4)
    await it.up()
    assert it.sink.faults == {}
    await it.die()


@virtual
async def test_a_changer_that_never_says_just_reset_works_after_bounded_resets() -> None:
    it = changer()
    sim = it.bench.changer
    handle = sim._handle

    def mute_reset(payload: bytes) -> bytes | None:
        reply = handle(payload)
        sim._queue = [item for item in sim._queue if item.data != b"\x0b"]
        return reply

    sim._handle = mute_reset  # type: ignore[method-assign] # a firmware with this flaw
    await it.up()
    assert 2 <= len(it.tap.times(0x08)) <= 4
    await it.die()


@virtual
async def test_a_reset_in_the_middle_of_initialisation_begins_it_again() -> None:
    it = changer()
    await it.greet()
    it.start()
    await until(lambda: len(it.tap.times(0x09)) == 2)  # one while greeting, one after RESET
    it.bench.changer.self_reset()
    await until(lambda: it.changer.ready)
    assert len(it.tap.times(0x08)) == 1  # no RESET for a device that reset itself
    assert len(it.tap.times(0x09)) >= 3
    assert it.bench.changer.options == 0b011
    await it.die()


@virtual
async def test_a_changer_that_resets_itself_is_initialised_without_reset() -> None:
    it = await changer().up()
    it.changer.accept(ALL_COINS)
    await until(lambda: it.bench.changer.accepted == 0x3F)
    resets = len(it.tap.times(0x08))
    it.bench.changer.self_reset()
    await at_least(2, lambda: it.sink.told(DeviceReady))
    assert it.bench.changer.accepted == 0x3F
    assert len(it.tap.times(0x08)) == resets
    assert len(it.sink.told(DeviceWasReset)) == 1
    await it.die()


@virtual
async def test_a_silent_changer_is_lost_once_reset_every_10_s_and_picked_up() -> None:
    it = await changer().up()
    it.changer.accept(ALL_COINS)
    it.bench.changer.faults.silent = True
    began = now()
    await until(lambda: it.sink.told(DeviceLost))
    assert 2.0 <= now() - began <= 3.0
    await asyncio.sleep(60)
    assert len(it.sink.told(DeviceLost)) == len(it.sink.told(FaultRaised)) == 1
    assert 5 <= len([at for at in it.tap.times(0x08) if at > began]) <= 9
    with pytest.raises(LinkError):
        await it.changer.tubes()
    with pytest.raises(LinkError):
        await it.changer.payout(PayoutOrder(100, ((4, 1),)))
    it.bench.changer.faults.silent = False
    await until(lambda: it.changer.ready)
    assert it.bench.changer.accepted == 0x3F
    assert it.sink.faults == {}
    await it.die()


@virtual
async def test_silence_shorter_than_the_non_response_time_is_no_loss() -> None:
    it = await changer().up()
    for _ in range(5):
        it.bench.changer.mute(1.9)
        await asyncio.sleep(2.5)
    assert it.sink.told(DeviceLost) == []
    assert len(it.tap.times(0x08)) == 1
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_an_unplugged_adapter_or_port_is_reopened(kind: LinkKind) -> None:
    it = await changer(kind=kind).up()
    it.unplug()
    await asyncio.sleep(10)
    assert it.sink.faults.keys() >= {("mdb", "device.silent"), ("changer", "device.silent")}
    it.plugged = True
    await until(lambda: it.changer.ready)
    assert it.sink.faults == {}
    await it.die()


# --------------------------------------------------------------------- coins and statuses


@virtual
async def test_accept_is_applied_kept_and_taken_back() -> None:
    it = await changer().up()
    it.changer.accept(frozenset({0, 2}), manual=True)
    await until(lambda: (it.bench.changer.accepted, it.bench.changer.manual) == (5, 0xFFFF))
    it.changer.accept(frozenset())
    await until(lambda: (it.bench.changer.accepted, it.bench.changer.manual) == (0, 0))
    await it.die()


@virtual
async def test_manual_coins_are_reported_as_money() -> None:
    it = await changer().up()
    it.changer.accept(ALL_COINS, manual=True)
    await until(lambda: it.bench.changer.manual)
    assert it.bench.changer.press_switch(4, 3) == 3
    await until(lambda: it.sink.reports)
    [report] = it.sink.reports
    assert isinstance(report, CoinsReport)
    [manual] = report.manual
    assert (manual.type, manual.value, manual.count, manual.left) == (4, 100, 3, 17)
    await it.die()


@pytest.mark.parametrize("repeats", [False, True])
@virtual
async def test_the_lever_is_told_once_per_press(repeats: bool) -> None:
    it = await changer(ChangerSettings(lever_repeats=repeats)).up()
    for _ in range(3):
        if repeats:
            it.bench.changer.lever_held = True
        else:
            it.bench.changer.press_lever()
        await asyncio.sleep(1)
        it.bench.changer.lever_held = False
        await asyncio.sleep(0.5)
    assert len(it.sink.told(EscrowLever)) == 3
    await it.die()


def break_sensor(it: Rig) -> None:
    it.bench.changer.break_tube_sensor(2)


def mend_sensor(it: Rig) -> None:
    it.bench.changer.mend_tube(2)


def unplug(it: Rig) -> None:
    it.bench.changer.faults.acceptor_unplugged = True


def plug(it: Rig) -> None:
    it.bench.changer.faults.acceptor_unplugged = False


def jam_coin(it: Rig) -> None:
    it.bench.changer.faults.coin_jam = True
    it.bench.changer.insert_coin(100)


def clear_coin(it: Rig) -> None:
    it.bench.changer.clear_coin_jam()
    it.bench.changer.insert_coin(100)


def misroute(it: Rig) -> None:
    it.bench.changer.faults.misroutes = 1
    it.bench.changer.insert_coin(100)


def steal(it: Rig) -> None:
    it.bench.changer.insert_coin(200)
    asyncio.get_running_loop().call_later(1.0, it.bench.changer.steal_credited_coin, 200)


def insert(it: Rig) -> None:
    it.bench.changer.insert_coin(100)


@pytest.mark.parametrize(
    ("harm", "mend", "code"),
    [
        (break_sensor, mend_sensor, "changer.tube_sensor"),
        (unplug, plug, "changer.acceptor_unplugged"),
        (jam_coin, clear_coin, "changer.coin_jam"),
        (misroute, insert, "changer.routing"),
        (steal, insert, "changer.coin_removed"),
    ],
)
@pytest.mark.parametrize("level", [2, 3])
@virtual
async def test_faults_are_told_once_and_cleared(
    harm: Callable[[Rig], None], mend: Callable[[Rig], None], code: str, level: int
) -> None:
    it = await changer(ChangerSettings(level=level)).up()
    it.changer.accept(ALL_COINS)
    await until(lambda: it.bench.changer.accepted)
    harm(it)
    await until(lambda: ("changer", code) in it.sink.faults, 10)
    await asyncio.sleep(10)
    assert ("changer", code) in it.sink.faults
    raised = [event for event in it.sink.told(FaultRaised) if event.code.value == code]
    assert len(raised) == 1
    mend(it)
    await asyncio.sleep(8)
    if ("changer", code) in it.sink.faults:
        await it.changer.tubes()  # a tube sensor is seen to work by the counts
    assert it.sink.faults == {}
    await it.die()


@virtual
async def test_a_rom_error_told_with_the_reset_is_not_forgotten() -> None:
    it = changer()
    it.bench.changer.faults.rom_error = True
    await it.up()
    assert it.sink.faults == {("changer", "changer.rom"): ""}
    it.bench.changer.faults.rom_error = False
    it.bench.changer.self_reset()
    await until(lambda: it.sink.told(FaultCleared))
    assert it.sink.faults == {}
    await it.die()


@virtual
async def test_slugs_lost_credits_and_double_arrivals_are_counted_not_told() -> None:
    it = await changer().up()
    it.changer.accept(ALL_COINS)
    await until(lambda: it.bench.changer.accepted)
    it.bench.changer.insert_coin(0, name="slug")
    it.bench.changer.faults.lost_credits = 1
    it.bench.changer.insert_coin(100)
    await asyncio.sleep(2)
    it.bench.changer.faults.double_arrivals = 1
    it.bench.changer.insert_coin(100)
    await asyncio.sleep(2)
    assert it.sink.coins == []
    assert it.changer.oddities["slugs"] == 1
    assert it.changer.oddities["NO_CREDIT"] == 1
    assert it.changer.oddities["DOUBLE_ARRIVAL"] == 1
    assert it.sink.faults == {}
    await it.die()


@virtual
async def test_a_rejected_coin_gives_no_credit_and_is_reported_as_rejected() -> None:
    it = await changer(ChangerSettings(reports_rejects=True)).up()
    it.changer.accept(frozenset({0}))
    await until(lambda: it.bench.changer.accepted)
    it.bench.changer.insert_coin(100)
    await asyncio.sleep(2)
    assert it.sink.coins == []
    await it.die()


@virtual
async def test_tubes_report_counts_full_and_defective() -> None:
    it = await changer(ChangerSettings(coins=(CoinSpec(5, 20, 20), CoinSpec(10, 20, 3)))).up()
    it.bench.changer.break_tube_sensor(1)
    it.bench.changer.faults.count_error = {1: -3}
    found = await it.changer.tubes()
    assert found.counts[:2] == (20, 0)
    assert found.full == frozenset({0})
    assert found.defective == frozenset({1})
    await it.die()


# -------------------------------------------------------------------------------- payouts


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("busy", list(BusyStyle))
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


@virtual
async def test_more_than_15_coins_need_several_commands_one_after_the_other() -> None:
    it = await changer().up()
    evidence, fell = await pay(it, PayoutOrder(185, ((0, 37),)))
    assert fell == 185
    assert evidence.idle
    assert len(it.tap.times(0x0D)) == 3
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


# ------------------------------------------------------------------------- after a restart


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("by_value", [False, True])
@pytest.mark.parametrize("late_s", [0.0, 0.3, 5.0])
@virtual
async def test_the_evidence_of_a_payout_survives_a_kill(
    kind: LinkKind, by_value: bool, late_s: float
) -> None:
    it = await changer(kind=kind).up()
    info = it.changer.info
    before = counts(it)
    paying = asyncio.create_task(it.changer.payout(PayoutOrder(500, ((4, 5),), by_value)))
    await until(lambda: it.bench.changer.paying)
    it.cut()
    await asyncio.sleep(late_s)
    await it.die()
    await asyncio.gather(paying, return_exceptions=True)
    greeting = (await it.greet(changer=Known(info)))["changer"]
    assert greeting.present
    assert not greeting.just_reset
    evidence = await it.changer.payout_evidence()
    assert counts(it)[4] == before[4] - 5  # the changer went on by itself
    assert evidence.idle
    assert evidence.tubes is not None
    assert evidence.tubes.counts == counts(it)
    assert evidence.status == ((0, 0, 0, 0, 5, *[0] * 11) if by_value else None)
    assert it.tap.times(0x08) == []  # nobody reset it
    await it.die()


@virtual
async def test_after_a_power_cut_the_greeting_says_so_and_the_status_is_gone() -> None:
    it = await changer().up()
    info = it.changer.info
    paying = asyncio.create_task(it.changer.payout(PayoutOrder(500, (), by_value=True)))
    await until(lambda: it.bench.changer.paying)
    it.cut()
    it.bench.power_off()
    await it.die()
    await asyncio.gather(paying, return_exceptions=True)
    it.bench.power_on()
    greeting = (await it.greet(changer=Known(info)))["changer"]
    assert greeting.just_reset
    evidence = await it.changer.payout_evidence()
    assert evidence.was_reset
    assert evidence.status is None
    assert evidence.tubes is not None
    assert evidence.tubes.counts == counts(it)
    assert it.sink.told(DeviceWasReset) == []
    await it.die()


@virtual
async def test_an_absent_changer_is_greeted_as_absent() -> None:
    it = changer()
    it.bench.changer.faults.silent = True
    began = now()
    greeting = (await it.greet())["changer"]
    assert not greeting.present
    assert now() - began < 3
    with pytest.raises(LinkError):
        await it.changer.payout(PayoutOrder(100, ((4, 1),)))
    assert it.tap.times(0x08) == []
    await it.die()


@virtual
async def test_a_file_transfer_nobody_wants_is_denied() -> None:
    it = await changer().up()
    it.bench.changer._tell(bytes.fromhex("1F 00 08 01 05 00"), alone=True)
    await asyncio.sleep(1)
    denied = [heard.data for heard in it.tap.log if heard.ours and heard.data[:2] == b"\x0f\xfb"]
    assert denied[0] == bytes.fromhex("0F FB 08 00 00 12")
    assert it.changer.ready
    await it.die()


@virtual
async def test_undefined_codes_and_cut_items_are_counted_and_the_rest_is_kept() -> None:
    it = await changer().up()
    it.bench.changer._tell(b"\x0e")
    it.bench.changer._tell(b"\x45\x00")
    it.bench.changer._tell(b"\x53")
    await asyncio.sleep(1)
    assert it.sink.coins == [200]
    assert it.changer.oddities["status 0E"] == 1
    assert it.changer.oddities["truncated"] >= 1
    await it.die()


@virtual
async def test_a_command_taken_by_nobody_makes_the_changer_lost() -> None:
    it = await changer().up()
    handle = it.bench.changer._handle
    it.bench.changer._handle = (  # type: ignore[method-assign] # a firmware with this flaw
        lambda payload: None if payload[0] == 0x0C else handle(payload)
    )
    it.changer.accept(ALL_COINS)
    await until(lambda: it.sink.told(DeviceLost))
    it.bench.changer._handle = handle  # type: ignore[method-assign] # mended
    await until(lambda: it.bench.changer.accepted == 0x3F)
    await it.die()


@virtual
async def test_a_question_on_a_healthy_bus_is_answered_at_once() -> None:
    it = await changer().up()
    await asyncio.sleep(1)
    began = now()
    await at_least(0, lambda: it.sink.reports)
    answer = await it.changer.send(b"\x0a", Retry.ASK)
    assert answer.heard
    assert now() - began < 0.2
    await it.die()
