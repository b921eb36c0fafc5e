"""The changer's driver after a restart, and on a bus where odd things are said."""

import asyncio

import pytest

from controller.faults import LinkError
from controller.ports import (
    CoinsReport,
    DeviceLost,
    DeviceWasReset,
    Known,
    PayoutOrder,
)
from drivers.mdb.changer_talk import SPOILT
from drivers.mdb.slots import Retry
from simulator.bench import LinkKind
from simulator.peripherals.changer_settings import BusyStyle, ChangerSettings
from tests.mdb_kit import at_least, now, until, virtual
from tests.unit.drivers.mdb.changer_kit import ALL_COINS, BOTH, changer, counts


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
async def test_one_whose_status_alone_says_that_it_pays_is_not_idle_at_a_restart() -> None:
    """The RESET of its start ends that, and then its tubes tell."""
    it = await changer(ChangerSettings(busy=BusyStyle.NEVER)).up()
    info = it.changer.info
    it.bench.changer.faults.stall = True
    paying = asyncio.create_task(it.changer.payout(PayoutOrder(500, ((4, 5),), by_value=True)))
    await until(lambda: it.bench.changer.paying)
    it.cut()
    await it.die()
    await asyncio.gather(paying, return_exceptions=True)
    await it.greet(changer=Known(info))
    assert not (await it.changer.payout_evidence()).idle
    await it.die()


@pytest.mark.parametrize("by_value", [False, True])
@pytest.mark.parametrize("busy", [BusyStyle.LATE, BusyStyle.NEVER])
@virtual
async def test_a_payout_that_has_not_begun_at_a_restart_is_waited_for(
    busy: BusyStyle, by_value: bool
) -> None:
    """It says that nothing runs; its coins would be ordered twice (seed 980000056)."""
    it = await changer(ChangerSettings(busy=busy, late_s=1.5, payout_s=1.0)).up()
    info, before = it.changer.info, counts(it)
    orders = len(it.tap.times(0x0D)) + len(it.tap.times(0x0F))
    paying = asyncio.create_task(it.changer.payout(PayoutOrder(300, ((4, 3),), by_value)))
    await until(lambda: len(it.tap.times(0x0D)) + len(it.tap.times(0x0F)) > orders)
    await until(lambda: it.tap.log[-1].control)  # the changer's ACK
    it.cut()
    paying.cancel()
    await it.die()
    await asyncio.gather(paying, return_exceptions=True)
    await it.greet(changer=Known(info))
    evidence = await it.changer.payout_evidence()
    assert counts(it)[4] == before[4] - 3
    assert evidence.tubes is not None
    assert evidence.tubes.counts == counts(it)
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
    doubts = [r.doubt for r in it.sink.reports if isinstance(r, CoinsReport) and r.doubt]
    assert doubts == [SPOILT], "a coin of which nobody knows"
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


@pytest.mark.parametrize(("count", "new"), [(7, False), (0, True), (255, True)])
@virtual
async def test_behind_an_adapter_a_tube_that_counts_nothing_tells_no_repeat_after_a_restart(
    count: int, new: bool
) -> None:
    """A defective tube's coins all say 0, and those of a very full one 255."""
    it = await changer(kind="adapter").up()
    info = it.changer.info
    await it.die()
    told = bytes((0x53, count))
    it.bench.changer.say(told)
    await it.greet(changer=Known(info, told, (count,) * 16))
    await asyncio.sleep(1)
    assert it.sink.coins == ([50] if new else [])
    await it.die()


@virtual
async def test_of_such_a_tube_nobody_knows_where_the_device_may_repeat_it() -> None:
    it = await changer().up()
    info = it.changer.info
    await it.die()
    it.bench.changer.say(b"\x53\x00")
    await it.greet(changer=Known(info, b"\x53\x00", (0,) * 16))
    await asyncio.sleep(1)
    reports = [report for report in it.sink.reports if isinstance(report, CoinsReport)]
    assert [report.suspect for report in reports] == [1]
    assert it.sink.coins == []
    await it.die()


@virtual
async def test_what_a_changer_that_reset_itself_did_not_hear_is_not_said_again() -> None:
    """Coins came in before its tubes were counted, and were counted and told (seed 985000178)."""
    it = await changer(ChangerSettings(boot_s=0.2)).up()
    heard, setups = len(it.tap.log), len(it.tap.times(0x09))
    it.bench.changer.self_reset()
    it.changer.accept(frozenset({1}))
    await until(lambda: len(it.tap.times(0x09)) > setups)
    ours = [block for block in it.tap.log[heard:] if block.ours]
    told = next(at for at, block in enumerate(ours) if block.control)  # our ACK of JUST RESET
    assert b"\x0c" in [block.data[:1] for block in ours[:told]], "it was said, and not heard"
    assert b"\x0c" not in [block.data[:1] for block in ours[told:]]
    await it.die()
