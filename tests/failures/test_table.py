"""Each cell of the failure table, played on the byte-real machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from config.machine import MachineSettings
from controller.domain.commands import SetPrice
from controller.faults import FaultCode
from controller.machine.table import Mode
from controller.ports import DeviceName
from controller.saga.failures import TABLE, Cell, Gets, Next, Phase, Tender
from controller.saga.failures_page import page
from simulator.oracles import NONE, Allowance
from simulator.world import Link
from tests.scenarios.stage import SETTINGS, Stage, play

PRICE = {"A1": 150, "A3": 200, "B2": 240, "B4": 50}
NAME = {"A1": "water", "A3": "cola", "B2": "nuts", "B4": "gum"}
DEAR = 740  # of A3 where a bill and a card pay together
STOPPED = "service manager stops vendd"
YEARS = 3_652 * 86_400.0
DOCS = Path(__file__).parents[2] / "docs"

Break = Callable[[Stage], Awaitable[None]]


def at_once(*what: tuple[str, str, object]) -> Break:
    async def strike(stage: Stage) -> None:
        for part, fault, value in what:
            stage.breaks(part, fault, value)

    return strike


def in_turn(act: Callable[[Stage], None]) -> Break:
    """Act when the motor has turned for a moment; returns at once."""

    async def strike(stage: Stage) -> None:
        async def later() -> None:
            await stage.until(lambda: "dispense" in stage.intents)
            await asyncio.sleep(0.3)
            act(stage)

        stage.later = asyncio.get_running_loop().create_task(later())  # type: ignore[attr-defined]

    return strike


def _stop(stage: Stage) -> None:
    assert stage.running is not None
    stage.running.machine.stop("test")


def _price(stage: Stage) -> None:
    assert stage.running is not None
    act = stage.running.machine.act(SetPrice("A3", 990), "tech")
    stage.acting = asyncio.get_running_loop().create_task(act)  # type: ignore[attr-defined]


def _slow(seconds: float) -> Break:
    async def strike(stage: Stage) -> None:
        stage.disk.sync_latency = lambda: seconds

    return strike


async def _no_coins(stage: Stage) -> None:
    for value in list(stage.world.tubes()):
        stage.world.empty_tube(value)
    assert stage.running is not None
    await stage.kill()
    await stage.opens()


BREAKS: dict[str, tuple[str, Break]] = {
    "motor jams": ("A3", at_once(("A3", "jam", True))),
    "motor does not start": ("A3", at_once(("A3", "no_start", True))),
    "motor is seized": ("A3", at_once(("A3", "seized", True))),
    "product hangs": ("A3", at_once(("A3", "hang", 2))),
    "product hangs once": ("A3", at_once(("A3", "hang", 1))),
    "another column delivers": ("A1", at_once(("A1", "jam", True))),
    "column is empty against the count": ("B2", at_once(("B2", "hang", 2))),
    "two products fall": ("A3", at_once(("A3", "double_drop", 1))),
    "drop sensor is blind": ("A3", at_once(("sensor", "blind", True))),
    "something lies in the beam": ("A3", at_once(("sensor", "blocked", True))),
    "drop latch is stuck": ("A3", at_once(("sensor", "latch_stuck", True))),
    "door is opened": ("A3", in_turn(lambda stage: stage.world.cabinet.set_door(True))),
    "card is declined": ("A3", at_once()),
    "reader answers late": ("A3", at_once(("cashless1", "extra_approve_s", 3.0))),
    "customer cancels": ("A3", at_once()),
    "reader dies when told of success": (
        "A3",
        at_once(("cashless1", "dies_for_s", 60.0), ("cashless1", "dies_at", "success")),
    ),
    "reader can't refund": ("A3", at_once(("A3", "jam", True), ("cashless1", "refund", "error"))),
    "reader never says whether it refunded": (
        "A3",
        at_once(("A3", "jam", True), ("cashless1", "refund", "silent_paid")),
    ),
    "changer jams in payout": ("B4", at_once(("changer", "jam_after", 1))),
    "changer pays too little": ("B4", at_once(("changer", "short_by", 1))),
    "changer resets in payout": ("B4", at_once(("changer", "reset_after", 1))),
    "changer dies in payout": ("B4", at_once()),
    "coins run out": ("A1", _no_coins),
    "bill is returned by force": ("A3", at_once(("bill", "return_when_stacking", 1))),
    "bill is not stacked": ("A3", at_once(("bill", "return_when_stacking", 1))),
    "validator resets in the stack": ("A3", at_once(("bill", "reset_in_stack", "after"))),
    "stacker reports late": ("A3", at_once(("bill", "weak_stacker", "late"))),
    "clock jumps back ten years": ("A3", in_turn(lambda stage: stage.clock.jump_wall(-YEARS))),
    "clock jumps ahead ten years": ("A3", in_turn(lambda stage: stage.clock.jump_wall(YEARS))),
    "price is changed": ("A3", in_turn(_price)),
    "two keys at once": ("A3", at_once()),
    "disk is slow (0.5 s)": ("A3", _slow(0.5)),
    "disk is slow (3 s)": ("A3", _slow(3.0)),
    "service manager stops vendd": ("A3", in_turn(_stop)),
}


def test_the_documented_table_is_current() -> None:
    assert (DOCS / "failures.md").read_text(encoding="utf-8") == page()


def test_every_failure_of_the_table_can_be_played() -> None:
    assert {cell.failure for cell in TABLE} == set(BREAKS)


def ident(cell: Cell) -> str:
    return f"{cell.failure}-{cell.tender}".replace(" ", "-")


async def pay(stage: Stage, cell: Cell, column: str) -> None:
    """Bring the money in, as far as it comes in before a selection."""
    price = PRICE[column]
    if cell.tender is Tender.BILL and cell.phase is not Phase.ESCROW:
        await stage.bill(500)
    elif cell.failure == "coins run out":
        await stage.coins(200)  # for which there is no tube
    elif cell.tender is Tender.COINS:
        await stage.coins(*([100] * (price // 100 + 1)))
        if column == "B4":
            await stage.coins(100)
    elif cell.tender is Tender.MIXED:
        await stage.coins(50)
    elif cell.tender is Tender.BILL_CARD:
        assert stage.world.insert_bill(500)
        await stage.until(lambda: stage.state.escrow is not None)
        await stage.quiet()


async def choose(stage: Stage, cell: Cell, column: str) -> None:
    """Key the selection, show the card where one pays, and wait for the end."""
    by_card = cell.tender in (Tender.CARD, Tender.MIXED, Tender.BILL_CARD)
    if cell.failure == STOPPED:
        stage.press(column)
        if by_card:
            await stage.until(lambda: "approval" in stage.intents)
            assert stage.world.present_card("card")
        await stage.ends()
    elif cell.failure == "customer cancels":
        stage.press(column)
        await stage.until(lambda: "approval" in stage.intents)
        await stage.gives_back()
    elif by_card:
        await stage.pays_by_card(column, "declined" if "declined" in cell.failure else "card")
    elif cell.failure == "two keys at once":
        stage.press(column)
        stage.press("A1")
        await stage.closes()
        await stage.quiet()
    elif cell.failure == "changer dies in payout":
        stage.press(column)
        changer = stage.world.changer
        assert changer is not None
        await stage.until(lambda: changer.paying)
        stage.world.unplug("changer")
        await stage.closes()
        await stage.quiet()
    elif cell.failure == "coins run out":
        await stage.gives_back()
    else:
        await stage.buys(column)


async def bill_story(stage: Stage) -> None:
    """A bill goes in and whatever becomes of it comes to its end."""
    assert stage.world.insert_bill(500)
    await stage.until(lambda: bool(stage.records("bill.escrowed")))
    await stage.until(lambda: stage.state.escrow is None, within_s=120.0)
    await stage.quiet()


def judge(stage: Stage, cell: Cell, column: str) -> None:
    """Hold what happened against the cell."""
    price, spent = PRICE[column], stage.spent
    got = stage.products
    match cell.gets:
        case Gets.PRODUCT:
            assert got[:1] == [NAME[column]]
            assert spent == price
        case Gets.MONEY | Gets.NOTHING_PAID:
            assert got == []
            assert spent == 0
            assert stage.claimed == 0
        case Gets.CLAIM:
            assert got == []
            assert stage.claimed > 0
        case Gets.PRODUCT_AND_CLAIM:
            assert got == [NAME[column]]
            assert stage.claimed > 0
        case Gets.CREDIT:
            assert got == []
            assert stage.running is not None
            assert stage.running.machine.desk.credit == spent > 0
        case _:
            raise AssertionError(cell.gets)
    told = {record.type for record in stage.told}
    assert set(cell.journaled) <= told
    assert bool(stage.flags) == cell.flagged, stage.flags


def judge_next(stage: Stage, cell: Cell, column: str) -> None:
    """Hold what the machine does next against the cell."""
    assert stage.running is not None
    desk = stage.running.machine.desk
    off = stage.state.stock.of(column).disabled
    match cell.then:
        case Next.SELLS:
            assert desk.mode.selling
            assert not off
        case Next.COLUMN_OFF:
            assert desk.mode.selling
            assert off
        case Next.CASH_ONLY:
            assert desk.mode.selling
            assert stage.faults_raised("cashless1", FaultCode.DEVICE_SILENT) == 1
        case Next.CARDS_ONLY:
            assert desk.mode.selling
            assert DeviceName.CHANGER not in desk.live.ready
        case Next.STOPS:
            assert desk.mode in (Mode.OUT_OF_SERVICE, Mode.STOPPING)
        case Next.NO_BILLS:
            assert stage.has_fault("bill", FaultCode.BILL_STUCK_IN_ESCROW)


def allowance(cell: Cell) -> Allowance:
    """Return what the failure excuses: the latch can't count two products."""
    if cell.failure == "two products fall":
        return replace(NONE, unseen=PRICE["A3"], blind=True)
    return replace(NONE, blind=True) if cell.flagged else NONE


def settings(cell: Cell) -> MachineSettings:
    """Return the demo machine; a product is dearer than a bill where a card pays the rest."""
    if cell.tender is not Tender.BILL_CARD:
        return SETTINGS
    columns = tuple(
        column.model_copy(update={"price": DEAR}) if column.selection == "A3" else column
        for column in SETTINGS.columns
    )
    return SETTINGS.model_copy(update={"columns": columns})


@pytest.mark.parametrize("link", ["adapter", "native"])
@pytest.mark.parametrize("cell", TABLE, ids=ident)
def test_a_cell(cell: Cell, link: Link) -> None:
    column, strike = BREAKS[cell.failure]

    async def scenario(stage: Stage) -> None:
        early = cell.failure == "coins run out"
        if early:
            await strike(stage)
        await pay(stage, cell, column)
        if not early:
            await strike(stage)
        if cell.phase is Phase.ESCROW and cell.tender is Tender.BILL:
            await bill_story(stage)
        else:
            await choose(stage, cell, column)
        judge(stage, cell, column)
        if cell.failure != STOPPED:
            judge_next(stage, cell, column)

    play(
        scenario,
        link,
        settings=settings(cell),
        allowance=allowance(cell),
        ends=cell.failure != STOPPED,
    )
