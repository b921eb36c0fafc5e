"""The changer's driver against a simulated changer, byte for byte."""

import asyncio
from collections.abc import Callable

import pytest

from controller.faults import LinkError
from controller.ports import (
    CoinKind,
    CoinsReport,
    DeviceLost,
    DeviceReady,
    DeviceWasReset,
    EscrowLever,
    FaultCleared,
    FaultRaised,
    Identity,
    PayoutOrder,
    TubesTouched,
)
from simulator.bench import LinkKind
from simulator.peripherals.changer_settings import ChangerSettings, CoinSpec
from tests.mdb_kit import Rig, at_least, now, until, virtual
from tests.unit.drivers.mdb.changer_kit import ALL_COINS, BOTH, changer

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
        (ChangerSettings(scaling=0, coins=(CoinSpec(token=True),)), "scaling factor 0"),
        (
            ChangerSettings(
                scaling=5,
                decimals=1,  # its 0.05 to 2.00 at ten times their value
                coins=tuple(CoinSpec(value) for value in (50, 100, 200, 500, 1000, 2000)),
            ),
            "EUR has no 5.00 EUR, 10.00 EUR, 20.00 EUR",
        ),
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
@pytest.mark.parametrize(
    ("pair", "code"),
    [
        (0x1503, "changer.cashbox_sensor"),
        (0x1153, "changer.acceptor"),
        (0x1130, "changer.coin_jam"),  # a coin that passes clears it, if nothing tells of it
        (0x1400, "changer.tube_jam"),  # a payout does
        (0x1500, "changer.tube_sensor"),  # the counts do
    ],
)
async def test_what_stands_in_the_diagnostics_is_one_incident_through_coins_and_payouts(
    pair: int, code: str
) -> None:
    it = await changer(ChangerSettings(level=3)).up()
    it.changer.accept(ALL_COINS)
    it.bench.changer.faults.diagnostic = pair
    await until(lambda: ("changer", code) in it.sink.faults, 10)
    for _ in range(3):
        it.bench.changer.insert_coin(100)
        await asyncio.sleep(3)
        await it.changer.payout(PayoutOrder(10, ((1, 1),)))
        await it.changer.tubes()
        await asyncio.sleep(7)
    assert [event.code.value for event in it.sink.told(FaultRaised)] == [code]
    assert it.sink.told(FaultCleared) == []
    it.bench.changer.faults.diagnostic = 0
    await until(lambda: it.sink.faults == {}, 10)
    await it.die()


@virtual
async def test_an_acceptor_that_is_unplugged_is_one_incident() -> None:
    it = await changer(ChangerSettings(level=3)).up()
    it.bench.changer.faults.acceptor_unplugged = True
    await asyncio.sleep(30)
    assert [event.code.value for event in it.sink.told(FaultRaised)] == [
        "changer.acceptor_unplugged"
    ]
    await it.die()


@virtual
@pytest.mark.parametrize(
    ("pair", "told"), [(0x0520, [0, 1, 1]), (0x0510, [0, 0, 1]), (0x1502, [0, 0, 1])]
)
async def test_new_inventory_is_told_when_it_is_there_and_a_fill_by_hand_at_its_end(
    pair: int, told: list[int]
) -> None:
    it = await changer(ChangerSettings(level=3)).up()
    seen = []
    for diagnostic in (0, pair, 0):
        it.bench.changer.faults.diagnostic = diagnostic
        await asyncio.sleep(12)
        seen.append(len(it.sink.told(TubesTouched)))
    assert seen == told
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
    assert it.changer.oddities["no credit"] == 1
    assert it.changer.oddities["double arrival"] == 1
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
async def test_what_is_said_of_types_without_a_tube_means_nothing() -> None:
    it = await changer(ChangerSettings(full_without_tube=0xFF00)).up()
    it.bench.changer.break_tube_sensor(1)
    await until(lambda: ("changer", "changer.tube_sensor") in it.sink.faults)
    found = await it.changer.tubes()
    assert found.defective == frozenset({1})
    assert found.full == frozenset()
    it.bench.changer.mend_tube(1)
    found = await it.changer.tubes()
    assert found.defective == frozenset()
    assert it.sink.faults == {}
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


@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_a_readers_late_answer_to_a_poll_of_the_changer_is_no_coins(kind: LinkKind) -> None:
    """34 bytes of PERIPHERAL ID, whose letters and digits read like deposits."""
    it = await changer(kind=kind).up()
    real = it.bench.changer._answer_poll
    late = bytes.fromhex("09414243") + b"000000123456TAP-1       " + bytes.fromhex("021000000000")

    def crossed() -> bytes:
        it.bench.changer._answer_poll = real  # type: ignore[method-assign]  # once
        return late

    it.bench.changer._answer_poll = crossed  # type: ignore[method-assign]
    await asyncio.sleep(3)
    told = [report for report in it.sink.reports if isinstance(report, CoinsReport)]
    assert [report.deposited for report in told if report.deposited] == []
    assert bool(told) == (kind == "adapter")  # which has acknowledged it: flagged
    assert it.changer.ready
    await it.die()
