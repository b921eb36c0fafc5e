"""Bills over ccTalk: escrow, stacking, self-inhibit, restarts."""

import asyncio

import pytest

from controller.faults import EffectUnknownError, LinkError
from controller.ports import (
    BillInfo,
    BillKind,
    BillsReport,
    DeviceLost,
    DeviceName,
    DeviceReady,
)
from drivers.cctalk.bill_validator import LOST, UNKNOWN
from drivers.cctalk.headers import Header
from simulator.peripherals.cctalk_bill import ValidatorSettings
from simulator.truth import ESCROW, STACKER
from tests.cctalk_kit import Rig, rig, until, virtual

ALL = frozenset(range(16))


async def taking(settings: ValidatorSettings | None = None) -> Rig:
    """Up, and every bill accepted."""
    it = await rig(hoppers=(), with_acceptor=False, with_bill=True, validator=settings).up()
    it.bill.accept(ALL)
    await until(lambda: it.validator.accepted and it.validator.master, 5, "mask applied")
    return it


async def escrowed(it: Rig, value: int = 1_000) -> None:
    assert it.validator.insert_bill(value)
    await until(lambda: ("escrowed", value) in it.sink.bills, 5)


@virtual
async def test_a_validator_is_identified_in_money() -> None:
    it = await taking()
    info = it.bill.info
    assert isinstance(info, BillInfo)
    assert info.bills == (BillKind(0, 500), BillKind(1, 1000), BillKind(2, 2000), BillKind(3, 5000))
    assert info.has_escrow
    assert not (await it.bill.stacker()).known
    await it.die()


@virtual
async def test_bills_of_another_currency_make_it_useless() -> None:
    settings = ValidatorSettings(ids={1: ("GB0005A", 500)}, scales={"GB": (100, 2)})
    it = rig(hoppers=(), with_acceptor=False, with_bill=True, validator=settings)
    await it.greet()
    it.tasks.append(asyncio.create_task(it.bill.start()))
    await until(lambda: ("bill", "device.unsuitable") in it.sink.faults, 10)
    assert it.sink.told(DeviceReady) == []
    await it.die()


@virtual
async def test_a_bill_is_money_only_when_it_is_stacked() -> None:
    it = await taking()
    await escrowed(it)
    assert it.sink.bills == [("escrowed", 1000)]
    await it.bill.stack()
    await until(lambda: len(it.sink.bills) == 2, 5)
    assert it.sink.bills[1] == ("stacked", 1000)
    assert it.truth.value(STACKER) == 1000
    await it.die()


@virtual
async def test_a_bill_goes_back_when_told() -> None:
    it = await taking()
    await escrowed(it)
    await it.bill.return_bill()
    await until(lambda: len(it.sink.bills) == 2, 5)
    assert it.sink.bills[1][0] == "returned"
    assert it.tray == 1000
    await it.die()


@virtual
async def test_a_bill_in_escrow_is_told_though_the_line_goes_as_its_counter_is_asked() -> None:
    """Nobody would ever know of it, and it would be held on for good."""
    it = await taking()

    def look(when: str, data: bytes) -> None:
        told = it.truth.value(ESCROW) and it.validator.log.answer in data
        if when == "after receiving" and told and it.plugged:
            it.unplug()

    for port in it.ports:
        port.on_traffic = look
    assert it.validator.insert_bill(1_000)
    await until(lambda: not it.plugged, 5)
    await asyncio.sleep(1)
    assert it.sink.bills == []
    it.plugged = True
    await until(lambda: it.sink.bills == [("escrowed", 1_000)], 15)
    await it.bill.stack()
    await until(lambda: it.sink.bills[-1] == ("stacked", 1_000), 5)
    assert len(it.sink.bills) == 2
    await it.die()


@virtual
async def test_a_bill_that_nobody_routes_is_held_on() -> None:
    it = await taking()
    await escrowed(it)
    await asyncio.sleep(100.0)
    assert len(it.sink.bills) == 1
    await it.bill.stack()
    await until(lambda: it.sink.bills[-1][0] == "stacked", 5)
    await it.die()


@virtual
async def test_a_bill_goes_back_by_itself_where_the_validator_does_not_hold_on() -> None:
    it = await taking(ValidatorSettings(escrow_s=8.0))
    await escrowed(it)
    await until(lambda: len(it.sink.bills) == 2, 40)
    assert it.sink.bills[1][0] == "returned"
    with pytest.raises(LinkError):
        await it.bill.stack()
    await it.die()


@virtual
async def test_a_refused_bill_is_nobodys_money() -> None:
    it = await taking()
    it.validator.faults.rejects = 1
    assert it.validator.insert_bill(500)
    await asyncio.sleep(3)
    assert it.sink.bills == []
    assert it.tray == 500
    await it.die()


@virtual
async def test_a_route_that_is_not_heard_is_repeated() -> None:
    it = await taking()
    await escrowed(it)
    it.validator.faults.lost_routes = 2
    await it.bill.stack()
    await until(lambda: ("stacked", 1000) in it.sink.bills, 5)
    await it.die()


@virtual
async def test_a_route_that_is_not_heard_is_repeated_before_its_validator_is_ready() -> None:
    """A bill that a new life finds in escrow, and refuses, goes back at once."""
    it = await taking()
    await escrowed(it)
    await it.die()
    await it.greet()
    it.validator.faults.lost_routes = 2
    await it.bill.return_bill()
    await until(lambda: it.tray == 1_000, 5)
    it.validator.faults.lost_routes = 1_000
    with pytest.raises(EffectUnknownError):
        await it.bill.return_bill()  # nobody polls it: no event would tell
    await it.die()


def loses_an_answer(it: Rig, times: int = 1) -> None:
    """The next routing orders are carried out, and their answers are lost."""

    def look(command: bytes) -> None:
        nonlocal times
        if command[0] == Header.ROUTE_BILL and times:
            times -= 1
            it.validator.faults.lost_answers = 1

    it.validator.on_command = look


@pytest.mark.parametrize("order", ["stack", "return"])
@virtual
async def test_an_order_whose_answer_was_lost_has_emptied_the_escrow_by_itself(order: str) -> None:
    """A repeated order that finds the escrow empty usually means that the first was heard."""
    it = await taking(ValidatorSettings(stack_s=4.0, empty_in_motion=True))
    await escrowed(it)
    loses_an_answer(it)
    if order == "stack":
        await it.bill.stack()
    else:
        await it.bill.return_bill()
    assert it.truth.value(ESCROW) == 1_000, "it moves yet"
    await until(lambda: len(it.sink.bills) == 2, 10)
    assert it.sink.bills[1][0] == ("stacked" if order == "stack" else "returned")
    with pytest.raises(LinkError):
        await it.bill.stack()  # of one that was answered it means what it says
    await it.die()


@virtual
async def test_a_route_that_is_never_heard_ends_with_the_bill_given_back() -> None:
    """It answers every poll but no order: it gives the bill back by itself, and tells so."""
    it = await taking()
    await escrowed(it)
    it.validator.faults.lost_routes = 1_000
    await it.bill.stack()
    assert [kind for kind, _ in it.sink.bills] == ["escrowed", "returned"]
    assert it.tray == 1_000
    await it.die()


@virtual
async def test_a_route_of_a_validator_that_falls_silent_is_unknown() -> None:
    it = await taking()
    await escrowed(it)
    it.wire.line.dead = True
    with pytest.raises(EffectUnknownError):
        await it.bill.stack()
    await it.die()


@virtual
async def test_without_escrow_bills_are_stacked_at_once() -> None:
    it = await taking(ValidatorSettings(has_escrow=False))
    assert it.validator.insert_bill(2000)
    await until(lambda: it.sink.bills == [("stacked", 2000)], 5)
    await it.die()


@virtual
async def test_self_inhibit_is_lifted_by_a_command() -> None:
    it = await taking()
    it.wire.line.dead = True
    await asyncio.sleep(8)
    assert not it.validator.master
    it.wire.line.dead = False
    await until(lambda: it.validator.master and it.validator.accepted, 40)
    await escrowed(it)
    await it.die()


@virtual
async def test_a_slow_disk_inhibits_and_heals() -> None:
    it = await taking()
    it.sink.delay_s = 8.0
    await escrowed(it)
    await asyncio.sleep(12)
    it.sink.delay_s = 0.001
    await until(lambda: it.validator.master, 10)
    await it.die()


@pytest.mark.parametrize(
    ("event", "fault"),
    [(6, "bill.jam"), (11, "bill.cashbox_out"), (9, "bill.removed"), (19, "bill.sensor")],
)
@virtual
async def test_trouble_is_a_fault(event: int, fault: str) -> None:
    it = await taking()
    it.validator.log.add(0, event)
    await until(lambda: ("bill", fault) in it.sink.faults, 5)
    await it.die()


@virtual
async def test_a_full_stacker_takes_no_more_and_is_emptied() -> None:
    it = await taking(ValidatorSettings(capacity=1))
    await escrowed(it)
    await it.bill.stack()
    await until(lambda: ("bill", "bill.stacker_full") in it.sink.faults, 5)
    assert (await it.bill.stacker()).full
    await until(lambda: not it.validator.accepted, 5)
    it.truth.empty(STACKER, "technician")
    await until(lambda: ("bill", "bill.stacker_full") not in it.sink.faults, 5)
    await until(lambda: it.validator.accepted, 5)
    await it.die()


@virtual
async def test_a_jam_ends_when_a_self_check_says_so() -> None:
    it = await taking()
    await escrowed(it)
    it.validator.faults.jam = True
    await it.bill.stack()
    await until(lambda: ("bill", "bill.jam") in it.sink.faults, 5)
    await asyncio.sleep(5)
    assert ("bill", "bill.jam") in it.sink.faults
    it.validator.faults.jam = False
    await until(lambda: ("bill", "bill.jam") not in it.sink.faults, 5)
    await it.die()


@pytest.mark.parametrize("counts", [True, False])
@virtual
async def test_a_bill_that_was_pulled_out_again_is_returned_when_it_is_asked_back(
    counts: bool,
) -> None:
    it = await taking(ValidatorSettings(counts=counts))
    it.validator.faults.pulled = 1
    await escrowed(it)
    await it.bill.stack()
    await until(lambda: ("bill", "bill.removed") in it.sink.faults, 5)
    assert it.sink.bills == [("escrowed", 1_000)], "it may have stayed there"
    await it.bill.return_bill()
    await until(lambda: it.sink.bills[1:] == [("returned", 0)], 2)
    await escrowed(it, 500)
    await it.bill.stack()
    await until(lambda: ("stacked", 500) in it.sink.bills, 5)
    assert ("bill", "bill.removed") not in it.sink.faults
    await it.die()


@virtual
async def test_a_bill_is_not_out_because_nothing_else_is_in_escrow() -> None:
    it = await taking()
    it.validator.faults.pulled = 1
    await escrowed(it)
    await it.bill.stack()
    await until(lambda: ("bill", "bill.removed") in it.sink.faults, 5)
    await it.bill.return_bill()
    await until(lambda: len(it.sink.bills) == 2, 2)
    await escrowed(it, 500)
    it.validator.held = None
    with pytest.raises(LinkError):
        await it.bill.return_bill()
    await asyncio.sleep(1)
    assert it.sink.bills[2:] == [("escrowed", 500)], "nobody pulled at this one"
    await it.die()


@virtual
async def test_of_a_validator_without_self_check_a_bill_that_passes_ends_a_jam() -> None:
    it = await rig(with_bill=True).up()
    it.validator.unknown = frozenset({Header.PERFORM_SELF_CHECK})
    it.bill.accept(ALL)
    it.changer.accept(ALL)
    await until(lambda: it.validator.accepted and it.acceptor.accepted, 5)
    it.validator.log.add(0, 6)
    await until(lambda: ("bill", "bill.jam") in it.sink.faults, 5)
    await asyncio.sleep(20)
    assert ("bill", "bill.jam") in it.sink.faults
    asked = it.validator.asked.count(Header.PERFORM_SELF_CHECK)
    await it.insert(*[10] * 20)
    await until(lambda: len(it.sink.coins) == 20, 2, "nobody waits for what never comes")
    assert it.validator.asked.count(Header.PERFORM_SELF_CHECK) == asked
    await escrowed(it)
    await it.bill.stack()
    await until(lambda: ("stacked", 1_000) in it.sink.bills, 5)
    assert ("bill", "bill.jam") not in it.sink.faults
    it.validator.log.add(0, 14)
    await until(lambda: not it.validator.accepted, 5)
    it.validator.power_off()
    it.validator.power_on()
    await until(lambda: it.validator.accepted, 5)
    assert ("bill", "bill.stacker_full") not in it.sink.faults
    await it.die()


@virtual
async def test_a_validator_without_master_inhibit_works_by_its_mask() -> None:
    it = rig(with_bill=True)
    it.validator.unknown = frozenset({Header.MODIFY_MASTER_INHIBIT})
    await it.up()
    it.bill.accept(ALL)
    it.changer.accept(ALL)
    await until(lambda: it.validator.accepted and it.acceptor.accepted, 5)
    it.validator.asked.clear()
    await it.insert(*[10] * 20)
    await until(lambda: len(it.sink.coins) == 20, 2, "all coins")
    assert Header.MODIFY_INHIBIT_STATUS not in it.validator.asked, "it was told once"
    await it.die()


@pytest.mark.parametrize("stacked", [True, False])
@virtual
async def test_what_became_of_a_bill_while_nobody_ran_is_told_by_events(stacked: bool) -> None:
    it = await taking()
    await escrowed(it)
    if stacked:
        await it.bill.stack()
    await it.die()
    await asyncio.sleep(40)
    await it.up()
    assert it.sink.bills[1:] == ([("stacked", 1000)] if stacked else [("returned", 0)])
    assert it.truth.value(ESCROW) == 0
    await it.die()


@virtual
async def test_a_reset_is_seen_and_everything_told_again() -> None:
    it = await taking()
    await escrowed(it)
    it.validator.self_reset()
    await until(lambda: it.validator.accepted and it.validator.master, 10)
    await escrowed(it, 500)
    await it.die()


@pytest.mark.parametrize("how", ["reset", "restart"])
@pytest.mark.parametrize("stacked", [True, False])
@virtual
async def test_after_a_reset_the_accept_counter_tells_what_became_of_a_bill(
    stacked: bool, how: str
) -> None:
    it = await taking()
    await escrowed(it)
    if how == "restart":
        await asyncio.sleep(0.5)
        await it.die()
    if stacked:
        it.validator._halt()
        it.validator._stack()  # and nobody hears of it
    it.cut_power()
    it.restore_power()
    if how == "restart":
        await asyncio.sleep(0.5)
        await it.up()
    await until(lambda: len(it.sink.bills) == 2, 20)
    await asyncio.sleep(5)
    assert it.sink.bills[1:] == ([("stacked", 1000)] if stacked else [("returned", 0)])
    assert it.truth.value(STACKER) == (1000 if stacked else 0)
    await it.die()


@virtual
async def test_without_such_a_counter_nobody_knows() -> None:
    it = await taking(ValidatorSettings(counts=False))
    await escrowed(it)
    it.cut_power()
    it.restore_power()
    await until(lambda: it.validator.accepted, 20)
    assert it.sink.bills == [("escrowed", 1000)]
    await it.die()


@virtual
async def test_a_silent_validator_is_lost_and_comes_back() -> None:
    it = await taking()
    it.validator.power_off()
    await until(lambda: it.sink.told(DeviceLost), 10)
    assert it.sink.told(DeviceLost) == [DeviceLost(DeviceName.BILL)]
    it.validator.power_on()
    await until(lambda: len(it.sink.told(DeviceReady)) == 2, 20)
    await until(lambda: it.validator.accepted, 10)
    assert it.sink.faults == {}
    assert Header.RESET_DEVICE not in it.validator.asked
    await it.die()


def refuses(it: Rig, *headers: Header) -> None:
    """From now on these are not answered."""

    def look(command: bytes) -> None:
        it.validator.faults.lost_answers = int(command[0] in headers)

    it.validator.on_command = look


@pytest.mark.parametrize(
    "headers",
    [
        (Header.REQUEST_BILL_ID,),
        (Header.REQUEST_COUNTRY_SCALING_FACTOR,),
        (Header.REQUEST_OPTION_FLAGS,),
        (Header.REQUEST_BILL_ID, Header.REQUEST_PRODUCT_CODE, Header.REQUEST_SERIAL_NUMBER),
    ],
    ids=["bills", "scale", "options", "bills and who it is"],
)
@virtual
async def test_what_a_validator_told_once_holds_though_it_says_no_later(
    headers: tuple[Header, ...],
) -> None:
    """A bill that it took meanwhile would be worth nothing."""
    it = await taking()
    info = it.bill.info
    assert info is not None
    it.wire.line.dead = True
    await until(lambda: it.sink.told(DeviceLost), 10)
    refuses(it, *headers)
    it.wire.line.dead = False
    await until(lambda: len(it.sink.told(DeviceReady)) == 2, 60)
    assert it.bill.info is not None
    assert it.bill.info.bills == info.bills
    assert it.bill.info.has_escrow
    await it.die()


@virtual
async def test_what_another_validator_told_before_does_not_hold() -> None:
    it = await taking()
    it.wire.line.dead = True
    await until(lambda: it.sink.told(DeviceLost), 10)
    it.validator._identity[Header.REQUEST_PRODUCT_CODE] = b"ANOTHER"
    refuses(it, Header.REQUEST_BILL_ID)
    it.wire.line.dead = False
    await until(lambda: ("bill", "device.unsuitable") in it.sink.faults, 60)
    await it.die()


# ------------------------------------------------------------- more events than are kept


def crowds(it: Rig) -> None:
    """Six refused bills push whatever was told before out of the buffer."""
    for _ in range(6):
        it.validator.log.add(0, 4)


def doubts(it: Rig) -> list[str]:
    return [r.doubt for r in it.sink.reports if isinstance(r, BillsReport) and r.doubt]


@virtual
async def test_events_that_were_lost_may_have_told_of_a_bill_and_are_flagged() -> None:
    it = await taking(ValidatorSettings(has_escrow=False))
    await it.die()
    assert it.validator.insert_bill(2_000)  # it takes bills for some seconds yet
    await asyncio.sleep(2)
    assert it.truth.value(STACKER) == 2_000
    crowds(it)
    await it.up()
    assert it.sink.bills == []
    assert doubts(it) == [LOST]
    await it.die()


@pytest.mark.parametrize("order", ["stack", "none"])
@virtual
async def test_a_bill_whose_word_was_pushed_out_is_told_by_the_accept_counter(order: str) -> None:
    it = await taking()
    it.sink.delay_s = 3.0  # a slow disk: nothing is read meanwhile
    await escrowed(it)
    if order == "stack":
        await it.bill.stack()
    await asyncio.sleep(1)
    crowds(it)
    it.sink.delay_s = 0.001
    await asyncio.sleep(10)
    stacked = order == "stack"
    assert it.sink.bills[1:] == ([("stacked", 1_000)] if stacked else [])
    assert it.truth.value(STACKER if stacked else ESCROW) == 1_000
    assert doubts(it) == [LOST]
    if not stacked:
        await it.bill.stack()
        await until(lambda: it.sink.bills[-1] == ("stacked", 1_000), 5)
    await it.die()


@virtual
async def test_a_bill_of_unknown_type_in_the_stacker_is_somebodys_money() -> None:
    it = await taking()
    it.validator.log.add(0, 21)
    await until(lambda: doubts(it) == [UNKNOWN], 5)
    assert it.sink.bills == []
    await it.die()


@virtual
async def test_the_counter_of_another_validator_proves_nothing() -> None:
    """The broken one was exchanged, with the bill in its escrow."""
    it = await taking()
    await escrowed(it)
    it.cut_power()
    it.validator.stacked = {2: 5_000}
    it.restore_power()
    await until(lambda: it.validator.accepted, 20)
    await asyncio.sleep(5)
    assert it.sink.bills == [("escrowed", 1_000)]
    await it.die()
