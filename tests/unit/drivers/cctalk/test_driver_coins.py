"""Coins over ccTalk: counted once, journaled with the counter, whatever breaks."""

import asyncio
from dataclasses import replace

import pytest

from controller.ports import (
    CoinKind,
    CoinRoute,
    CoinsReport,
    DeviceName,
    DeviceReady,
    EscrowLever,
    PayoutOrder,
)
from drivers.cctalk.acceptor import REMIND_S
from drivers.cctalk.coin_count import LOST, UNPRICED, UNREAD
from drivers.cctalk.cursor import Cursor, HopperMark, decode_cursor
from drivers.cctalk.events import decode_events
from drivers.cctalk.headers import Header
from simulator.peripherals.cctalk_coin import AcceptorSettings
from simulator.peripherals.cctalk_hopper import HopperSettings
from simulator.truth import CASHBOX, tube
from tests.cctalk_kit import ALL, rig, taking, until, virtual

# ------------------------------------------------------------------------------------ identity


@virtual
async def test_acceptor_and_hoppers_are_one_changer() -> None:
    it = await rig().up()
    info = it.changer.info
    assert info is not None
    assert info.coins[:3] == (CoinKind(0, 5, False), CoinKind(1, 10, False), CoinKind(2, 20, False))
    assert CoinKind(6, 0, False, token=True) in info.coins
    assert info.coins[-2:] == (CoinKind(14, 20, True), CoinKind(15, 100, True))
    assert (info.decimals, info.pays_by_value) == (2, False)
    assert (info.identity.manufacturer, info.identity.model) == ("SIM", "SIM-COIN")
    assert (await it.changer.tubes()).counts[14:] == (100, 100)
    await it.die()


@virtual
async def test_nothing_is_reset_at_a_start() -> None:
    it = await rig(with_bill=True).up()
    for device in it.devices:
        assert Header.RESET_DEVICE not in device.asked
    await it.die()


@virtual
async def test_coins_of_another_currency_are_refused_by_name() -> None:
    settings = AcceptorSettings(ids={1: ("GB100A", 100), 2: ("EU100A", 100), 16: ("EU050A", 50)})
    it = await rig(acceptor=settings).up()
    info = it.changer.info
    assert info is not None
    assert [coin.type for coin in info.coins] == [1, 14, 15]
    detail = it.sink.faults["acceptor", "device.unsuitable"]
    assert "position 1: GB, value 100, issue A: not EUR" in detail
    assert "position 16: its number is a hopper's" in detail
    await it.die()


@virtual
async def test_another_device_at_the_address_is_of_no_use() -> None:
    it = rig(hoppers=())
    it.acceptor._identity[Header.REQUEST_EQUIPMENT_CATEGORY_ID] = b"Payout"
    await it.greet()
    it.tasks.append(asyncio.create_task(it.changer.start()))
    await until(lambda: ("acceptor", "device.unsuitable") in it.sink.faults, 10)
    assert it.sink.told(DeviceReady) == []
    await it.die()


# --------------------------------------------------------------------------------------- coins


@virtual
async def test_coins_become_credit_once() -> None:
    it = await taking(rig())
    await it.insert(50, 200, 5)
    await until(lambda: it.sink.coins == [50, 200, 5], 5)
    await asyncio.sleep(5)
    assert it.sink.coins == [50, 200, 5]
    assert it.truth.value(CASHBOX) == 255
    assert it.suspects == 0
    await it.die()


@pytest.mark.parametrize("position", [14, 15, 16, 17, 255])
@virtual
async def test_a_coin_of_a_position_that_has_no_value_is_told_as_suspect(position: int) -> None:
    """14 is empty; 15 and 16 are where the hoppers' coins are told, which never come this way."""
    it = await taking(rig())
    it.acceptor.log.add(2, 0)
    it.acceptor.log.add(position, 0)
    await until(lambda: it.suspects == 1, 2)
    assert it.sink.coins == [10]
    assert [r.doubt for r in it.sink.reports if isinstance(r, CoinsReport) and r.suspect] == [
        UNPRICED
    ]
    await it.die()


@virtual
async def test_only_wanted_coins_are_taken() -> None:
    it = await rig().up()
    it.changer.accept(frozenset({3}))
    await until(lambda: it.acceptor.accepted == 0b1000, 5)
    await it.insert(50, 100)
    await until(lambda: it.sink.coins == [50], 5)
    assert it.tray == 100
    it.changer.accept(frozenset())
    await until(lambda: it.acceptor.accepted == 0, 5)
    await it.die()


@virtual
async def test_a_counter_that_wraps_loses_nothing() -> None:
    it = rig()
    it.acceptor.log.counter = 253
    await taking(it)
    await it.insert(*[10] * 6)
    await until(lambda: len(it.sink.coins) == 6, 10)
    assert it.acceptor.log.counter == 4
    assert it.suspects == 0
    await it.die()


@virtual
async def test_the_counter_is_kept_with_the_coin_that_it_counts() -> None:
    it = await taking(rig())
    await it.insert(100)
    await until(lambda: it.sink.coins == [100], 5)
    (report,) = [r for r in it.sink.reports if isinstance(r, CoinsReport) and r.deposited]
    cursor = decode_cursor(report.answer)
    assert cursor.buffer is not None
    assert (cursor.buffer.counter, cursor.buffer.pairs[0]) == (1, (5, 0))
    assert cursor.hoppers == {3: HopperMark(0, 3000, 100), 4: HopperMark(0, 4000, 100)}
    await it.die()


@pytest.mark.parametrize("durable", [True, False])
@virtual
async def test_a_coin_counts_once_across_a_crash(durable: bool) -> None:
    it = await taking(rig())
    it.sink.stuck = not durable
    await it.insert(50)
    await until(lambda: any(isinstance(r, CoinsReport) and r.deposited for r in it.sink.reports), 5)
    await it.die()
    it.sink.stuck = False
    it.sink.reports[:] = it.sink.durable
    await it.up()
    await asyncio.sleep(1)
    assert it.sink.coins == [50]
    assert it.suspects == 0
    await it.die()


@virtual
async def test_coins_that_come_before_the_first_record_count_too() -> None:
    it = await rig().up()  # a first start: the baseline is noted
    await it.die()
    it.acceptor.log.add(4, 0)
    await it.up()
    assert it.sink.coins == [50]
    await it.die()


@virtual
async def test_what_an_acceptor_held_before_the_first_start_is_nobodys() -> None:
    it = rig()
    it.acceptor.log.add(4, 0)
    await it.up()
    assert it.sink.coins == []
    await it.die()


@virtual
async def test_a_slow_disk_takes_no_more_coins_than_the_buffer_holds() -> None:
    it = await taking(rig())
    it.sink.stuck = True
    await it.insert(*[10] * 12)
    assert it.truth.value(CASHBOX) < 60  # the acceptor's own watchdog refused the rest
    await it.die()
    it.sink.stuck = False
    it.sink.reports[:] = it.sink.durable
    await it.up()
    assert sum(it.sink.coins) == it.truth.value(CASHBOX)
    assert it.suspects == 0
    await it.die()


@virtual
async def test_more_than_five_events_unseen_are_told_as_lost() -> None:
    it = await taking(rig())
    await it.die()
    for _ in range(7):
        it.acceptor.log.add(2, 0)
    await it.up()
    assert it.sink.coins == [10] * 5
    assert it.suspects == 2
    await it.die()


@virtual
async def test_of_events_unseen_only_coins_are_told_as_lost_where_the_acceptor_counts() -> None:
    it = await taking(rig())
    await it.die()
    for _ in range(7):
        it.acceptor.log.add(0, 1)
    it.acceptor.log.add(2, 0)
    it.acceptor.taken += 1
    await it.up()
    assert it.sink.coins == [10]
    assert it.suspects == 0
    await it.die()


@virtual
async def test_coins_unseen_among_many_events_are_told_by_the_accept_counter() -> None:
    it = await taking(rig())
    await it.die()
    it.acceptor.taken += 1
    it.acceptor.log.add(6, 0)
    for _ in range(6):
        it.acceptor.log.add(0, 1)
    await it.up()
    assert (it.sink.coins, it.suspects) == ([], 1)
    assert [r.doubt for r in it.sink.reports if isinstance(r, CoinsReport) and r.suspect] == [LOST]
    await it.die()
    await it.up()
    assert it.suspects == 1, "flagged once"
    await it.die()


@virtual
async def test_a_coin_that_went_with_a_reset_from_nothing_to_nothing_is_told() -> None:
    """The first coin since its power came, and its own reset before anybody has read of it."""
    it = await taking(rig())
    it.acceptor.insert_coin(200)
    await until(lambda: bool(it.truth.value(CASHBOX)), 5)
    it.acceptor.self_reset()
    await until(lambda: it.suspects == 1, 40)
    await it.insert(50)
    await until(lambda: it.sink.coins == [50], 5)
    await it.die()
    await it.up()
    assert it.suspects == 1, "flagged once"
    await it.die()


@virtual
async def test_events_without_money_are_noted_before_they_look_lost() -> None:
    it = await taking(rig())
    it.changer.accept(frozenset())
    await until(lambda: it.acceptor.accepted == 0, 5)
    await it.insert(*[10] * 23)
    await asyncio.sleep(1)
    await it.die()
    await it.up()
    assert it.suspects == 0
    assert it.sink.coins == []
    await it.die()


@virtual
async def test_a_reset_is_seen_and_its_inhibits_are_told_again() -> None:
    it = await taking(rig())
    await it.insert(10)
    await until(lambda: it.sink.coins == [10], 5)
    it.acceptor.self_reset()
    assert it.acceptor.accepted == 0
    await until(lambda: it.acceptor.accepted, 5)
    await it.insert(20)
    await until(lambda: it.sink.coins == [10, 20], 5)
    assert ("acceptor", "device.reset") not in it.sink.faults  # raised, and cleared by now
    assert it.suspects == 0
    await it.die()


@virtual
async def test_an_invisible_reset_is_healed_by_repetition() -> None:
    it = await taking(rig())
    it.acceptor.self_reset()  # counter 0 before and after: nothing shows
    await until(lambda: it.acceptor.accepted, 40)
    await it.die()


@virtual
async def test_a_reset_while_nobody_ran_is_no_money() -> None:
    it = await taking(rig())
    await it.insert(100)
    await until(lambda: it.sink.coins == [100], 5)
    await asyncio.sleep(0.1)  # durable
    await it.die()
    it.cut_power()
    it.restore_power()
    await asyncio.sleep(1)
    greeting = await it.greet()
    assert greeting["changer"].just_reset
    assert it.sink.coins == [100]
    await it.die()


@virtual
async def test_an_acceptor_that_counts_a_null_event_at_start_is_understood() -> None:
    it = await taking(rig(acceptor=AcceptorSettings(dummy_event=True)))
    await it.insert(50)
    await until(lambda: it.sink.coins == [50], 5)
    await it.die()


@virtual
async def test_an_acceptor_without_master_inhibit_works_by_its_mask() -> None:
    it = await taking(rig(acceptor=AcceptorSettings(knows_master=False)))
    await it.insert(50)
    await until(lambda: it.sink.coins == [50], 5)
    await it.die()


@virtual
async def test_an_acceptor_that_is_silent_about_its_options_starts_all_the_same() -> None:
    it = await taking(rig(acceptor=AcceptorSettings(tells_options=False)))
    await it.insert(50)
    await until(lambda: it.sink.coins == [50], 5)
    await it.die()


@virtual
async def test_the_coin_return_is_told() -> None:
    it = await taking(rig())
    it.acceptor.press_lever()
    await until(lambda: it.sink.told(EscrowLever), 5)
    assert it.sink.told(EscrowLever) == [EscrowLever(DeviceName.CHANGER)]
    await it.die()


@virtual
async def test_a_jam_is_a_fault_until_a_coin_passes() -> None:
    it = await taking(rig())
    it.acceptor.faults.coin_jam = True
    await it.insert(50)
    await until(lambda: ("acceptor", "changer.coin_jam") in it.sink.faults, 5)
    it.acceptor.clear_jam()
    await it.insert(50)
    await until(lambda: ("acceptor", "changer.coin_jam") not in it.sink.faults, 5)
    await it.die()


@virtual
async def test_sorted_coins_fill_the_hopper_until_it_is_full() -> None:
    it = await taking(rig(paths=True))
    await it.insert(100, 50)
    await until(lambda: len(it.sink.coins) == 2, 5)
    coins = [c for r in it.sink.reports if isinstance(r, CoinsReport) for c in r.deposited]
    assert (coins[0].type, coins[0].route, coins[0].tube_count) == (15, CoinRoute.TUBE, 101)
    assert (coins[1].type, coins[1].route) == (3, CoinRoute.CASHBOX)
    assert it.truth.count(tube(15)) == 101
    assert (await it.changer.tubes()).counts[15] == 101
    await it.die()


@pytest.mark.parametrize(
    "unknown",
    [
        frozenset(),
        frozenset({Header.MODIFY_SORTER_OVERRIDE}),  # then the default path tells where to
    ],
)
@virtual
async def test_what_a_hopper_has_no_room_for_falls_past_it(unknown: frozenset[int]) -> None:
    it = rig(paths=True)
    it.acceptor.unknown = unknown
    plans = it.plan.hoppers
    it.plan = replace(it.plan, hoppers=(replace(plans[0], capacity=102), plans[1]))
    await taking(it)
    for _ in range(4):
        await it.insert(100)
        await asyncio.sleep(1)
    assert it.sink.coins == [100] * 4
    assert (it.truth.count(tube(15)), it.truth.count(CASHBOX)) == (102, 2)
    coins = [c for r in it.sink.reports if isinstance(r, CoinsReport) for c in r.deposited]
    assert [coin.route for coin in coins] == [CoinRoute.TUBE] * 2 + [CoinRoute.CASHBOX] * 2
    await it.changer.payout(PayoutOrder(100, ((15, 1),)))
    await asyncio.sleep(3)  # it is looked at again
    await it.insert(100)
    await until(lambda: it.truth.count(tube(15)) == 102, 2, "there is room again")
    await it.die()


@virtual
async def test_the_second_of_two_hoppers_takes_what_the_first_has_no_room_for() -> None:
    it = rig(hoppers=(HopperSettings(100), HopperSettings(100)), paths=True)
    first, second = it.plan.hoppers
    it.plan = replace(it.plan, hoppers=(replace(first, capacity=101), second))
    await taking(it)
    first_coins, second_coins = it.truth.count(tube(15)), it.truth.count(tube(14))
    for _ in range(4):
        await it.insert(100)
        await asyncio.sleep(1)
    came = it.truth.count(tube(15)) - first_coins, it.truth.count(tube(14)) - second_coins
    assert sum(came) == 4, "none into the cash box"
    assert it.truth.count(tube(15)) <= 101
    await it.die()


# ---------------------------------------------------------------------------------- the cursor


def test_a_cursor_survives_the_journal() -> None:
    buffer = decode_events(bytes(range(1, 12)))
    cursor = Cursor(buffer, {3: HopperMark(7, 0xABCDEF, 1234), 9: HopperMark(0, 0, 0)})
    assert decode_cursor(cursor.encode()) == cursor
    held = Cursor(buffer, escrow=(4, 70_000))
    assert decode_cursor(held.encode()) == held
    assert decode_cursor(Cursor().encode()) == Cursor()


@pytest.mark.parametrize("data", ["", "52 20", "01", "01 01 00", "01 00 01 02", "02 00"])
def test_anothers_answer_is_no_cursor(data: str) -> None:
    assert decode_cursor(bytes.fromhex(data)) == Cursor()


# ----------------------------------------------------------- coins that nobody read in time


@pytest.mark.parametrize("maker", ["SIM", "ALB"])
@virtual
async def test_a_coin_unread_at_a_power_cut_is_told_by_the_accept_counter(maker: str) -> None:
    it = await taking(rig(acceptor=AcceptorSettings(maker=maker)))
    await it.insert(100)
    await until(lambda: len(it.sink.durable) >= 2, 5, "the first is recorded")
    await it.die()
    await it.insert(50)  # taken within the second that it still takes coins
    it.cut_power()
    it.restore_power()
    await asyncio.sleep(2.0)
    await it.up()
    assert it.truth.value(CASHBOX) == 150
    assert it.suspects == 1
    assert [r.doubt for r in it.sink.reports if isinstance(r, CoinsReport) and r.suspect] == [
        UNREAD
    ]
    await it.die()
    await it.up()
    assert it.suspects == 1, "flagged once"
    await it.die()


@virtual
async def test_a_reset_behind_which_the_same_coin_comes_is_told_by_the_count_alone() -> None:
    it = await taking(rig(acceptor=AcceptorSettings(keeps_inhibits=True)))
    it.acceptor.self_reset()
    await asyncio.sleep(1.0)
    await it.insert(100)
    await until(lambda: len(it.sink.durable) >= 2, 5, "recorded")
    it.acceptor.self_reset()
    await it.insert(100)
    await asyncio.sleep(2.0)
    assert it.acceptor.taken == 2
    assert it.suspects == 0, "its events are the same as before"
    await asyncio.sleep(REMIND_S)
    assert it.suspects == 1
    await it.die()


@virtual
async def test_an_acceptor_that_keeps_no_count_leaves_no_doubt() -> None:
    it = await taking(rig(acceptor=AcceptorSettings(keeps_count=False)))
    await it.insert(100)
    await until(lambda: len(it.sink.durable) >= 2, 5, "recorded")
    await it.die()
    it.cut_power()
    it.restore_power()
    await asyncio.sleep(2.0)
    await it.up()
    assert it.suspects == 0
    await it.die()


@virtual
async def test_another_acceptor_in_its_place_is_no_unread_coin() -> None:
    it = await taking(rig())
    await it.insert(100)
    await until(lambda: len(it.sink.durable) >= 2, 5, "recorded")
    await it.die()
    it.cut_power()
    it.acceptor.taken = 70_000
    it.restore_power()
    await asyncio.sleep(2.0)
    await it.up()
    assert it.suspects == 0
    await it.die()


@virtual
async def test_a_reset_while_running_counts_what_was_not_read() -> None:
    it = await taking(rig())
    await it.insert(100, 50)
    await until(lambda: it.truth.value(CASHBOX) == 150, 5, "both taken")
    await asyncio.sleep(0.5)
    it.cut_power()
    it.restore_power()
    await asyncio.sleep(3.0)
    assert it.suspects == 0, "everything had been read"
    await it.die()


@virtual
async def test_an_acceptor_without_a_sorter_is_asked_for_it_once() -> None:
    it = rig(paths=True)
    it.acceptor.unknown = frozenset({Header.MODIFY_SORTER_PATHS})
    await taking(it)
    for _ in range(3):
        it.changer.accept(frozenset())
        await until(lambda: not it.acceptor.accepted, 2)
        it.changer.accept(ALL)
        await until(lambda: it.acceptor.accepted, 2)
    assert it.acceptor.asked.count(Header.MODIFY_SORTER_PATHS) == 3, "one order, three tries"
    await it.insert(100)
    await until(lambda: it.sink.coins == [100], 2)
    coins = [c for r in it.sink.reports if isinstance(r, CoinsReport) for c in r.deposited]
    assert [coin.route for coin in coins] == [CoinRoute.CASHBOX]
    await it.die()
