"""What each failure of the table breaks, and how it is played."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from config.climate import Health
from config.machine import MachineSettings
from config.models import Tokens
from controller.domain import commands as cmd
from controller.faults import FaultCode
from controller.journal.envelope import Record
from controller.saga.failure_cells import Cell, Phase, Tender
from simulator.oracles import NONE, Allowance
from simulator.peripherals.bill_settings import AfterPowerUp
from simulator.plan import WorldPlan
from tests.climate_kit import cooled
from tests.failures.acts import DEAR, FREE_HOUR, PRICE, RECYCLING, Play
from tests.failures.breaking import RECYCLER_SETTINGS, Break, power_fails, waits
from tests.failures.cctalk_breaks import CCTALK
from tests.failures.disk_breaks import DISK
from tests.failures.end_breaks import ENDS
from tests.failures.hours_breaks import HOURS
from tests.failures.pulse_breaks import PULSE
from tests.failures.recovery_breaks import RECOVERY
from tests.failures.second_reader_breaks import READERS
from tests.failures.settings_breaks import SETTINGS_BREAKS
from tests.scenarios.stage import SETTINGS, with_policy

WITH_TOKENS: Final = SETTINGS.model_copy(update={"tokens": Tokens(products=("water", "cola"))})
ADULTS: Final = SETTINGS.model_copy(
    update={"products": tuple(p.model_copy(update={"min_age": 18}) for p in SETTINGS.products)}
)
STACKING_S: Final = 3.0  # a sound stacker needs less


def how_of(cell: Cell) -> Break:
    """Return how a cell is played: in recovery a first life has ended before."""
    if cell.phase is Phase.RECOVERY and cell.failure in RECOVERY:
        return RECOVERY[cell.failure]
    return BREAKS[cell.failure]


def column(cell: Cell) -> str:
    """Return what the customer wants: something cheap where change is due."""
    how = how_of(cell)
    return how.change if how.change and cell.phase is Phase.PAYOUT else how.column


def settings(cell: Cell) -> MachineSettings:
    """Return the demo machine; a product is dearer than a bill where a card pays the rest.

    It recycles bills where it is about them.
    """
    if cell.failure in RECYCLING:
        return RECYCLER_SETTINGS
    if cell.failure in AGE:
        return ADULTS
    if cell.tender is Tender.HOUR:
        return FREE_HOUR
    if cell.tender is Tender.TOKEN:
        return WITH_TOKENS
    if cell.tender is Tender.REVALUE:
        return with_policy(revalue=True)
    if cell.tender is Tender.BASKET:
        return with_policy(basket=True)
    if cell.tender is not Tender.BILL_CARD:
        return BREAKS[cell.failure].machine or SETTINGS
    columns = tuple(
        column.model_copy(update={"price": DEAR}) if column.selection == "A3" else column
        for column in SETTINGS.columns
    )
    return SETTINGS.model_copy(update={"columns": columns})


def _broken(part: str, fault: str, value: object = True, column: str = "A3") -> Break:
    return Break(column, faults=((part, fault, value),))


def _at_phase(act: Callable[[Play], None], column: str = "A3") -> Break:
    async def strike(play: Play) -> None:
        act(play)

    return Break(column, strike=strike)


def _empties(column: str) -> Break:
    async def early(play: Play) -> None:
        play.world.cabinet.empty(column)

    return Break(column, early=early)


DISPENSER: Final[dict[str, Break]] = {
    "motor jams": _broken("A3", "jam"),
    "motor does not start": _broken("A3", "no_start"),
    "motor is seized": _broken("A3", "seized"),
    "motor never comes home": replace(
        _broken("A3", "no_home"), allowance=replace(NONE, unseen=PRICE["A3"], blind=True)
    ),
    "home switch is stuck": _broken("A3", "home_stuck"),
    "product hangs": _broken("A3", "hang", 2),
    "product hangs once": _broken("A3", "hang", 1),
    "product falls late": replace(
        _broken("A3", "late_drop", 1), allowance=replace(NONE, unseen=PRICE["A3"], blind=True)
    ),
    "another column delivers": _broken("A1", "jam", column="A1"),
    "drop is not seen": Break(
        faults=(("A3", "unseen_drop", 2),),
        allowance=replace(NONE, unseen=2 * PRICE["A3"], blind=True),
    ),
    "column is empty against the count": replace(
        _empties("B1"), allowance=replace(NONE, blind=True)
    ),
    "column says that it is empty": _empties("A3"),
    "two products fall": replace(
        _broken("A3", "double_drop", 1),
        allowance=replace(NONE, unseen=PRICE["A3"], blind=True),
    ),
    "drop sensor is blind": _broken("sensor", "blind"),
    "drop sensor goes blind": _at_phase(lambda play: play.breaks("sensor", "blind")),
    "something lies in the beam": _broken("sensor", "blocked"),
    "drop latch is stuck": _broken("sensor", "latch_stuck"),
    "door is opened": _at_phase(lambda play: play.world.cabinet.set_door(True)),
}


def _reader(*faults: tuple[str, object], jam: bool = False) -> Break:
    broken = tuple(("cashless1", fault, value) for fault, value in faults)
    return Break(faults=(*broken, ("A3", "jam", True)) if jam else broken)


def _falls_silent(moment: str, *, jam: bool = False) -> Break:
    return _reader(("dies_for_s", 60.0), ("dies_at", moment), jam=jam)


def _took_s(play: Play, intent: str, outcome: str) -> float:
    """Return how long an act took, in seconds."""
    begun, ended = (
        next(record.mono_ms for record in play.told if record.type == kind)
        for kind in (intent, outcome)
    )
    return (ended - begun) / 1_000


def _proofs(play: Play, kind: str) -> set[str]:
    """Return what the outcomes of one type of act were taken from."""
    return {data.proof for data in play.records(kind)}


def _cancels(play: Play) -> None:
    play.press("*")


def _repeats(play: Play) -> None:
    play.breaks("cashless1", "repeated_items", 2)


def _classic(plan: WorldPlan) -> WorldPlan:
    """A reader that begins a session when a card comes, before anything is chosen."""
    readers = {name: replace(reader, options=0) for name, reader in plan.readers.items()}
    return replace(plan, readers=readers)


def _in_session(play: Play) -> bool:
    assert play.running is not None
    return play.running.machine.desk.live.session is not None


async def _begins_session(play: Play) -> None:
    await play.until(lambda: play.world.present_card("card"), within_s=30.0)
    await play.until(lambda: _in_session(play), within_s=30.0)


async def _presses_cancel(play: Play) -> None:
    play.press("*")


async def _session_is_over(play: Play) -> None:
    await play.until(lambda: not _in_session(play), within_s=30.0)
    await play.quiet()


READER: Final[dict[str, Break]] = {
    "card is declined": Break(),
    "reader falls silent when asked": _falls_silent("request"),
    "reader resets when asked": _reader(("resets_at", "request")),
    "reader never answers": _reader(("no_answers", 1)),
    "reader answers late": replace(
        _reader(("extra_approve_s", 3.0)),
        sign=lambda play: _took_s(play, "approval.requested", "approval.finished") >= 3.0,
    ),
    "reader answers twice": _at_phase(_repeats),
    "reader says out of sequence": _at_phase(
        lambda play: play.breaks("cashless1", "out_of_sequence", 1)
    ),
    "reader falls silent when it has approved": _falls_silent("approval"),
    "reader resets when it has approved": _reader(("resets_at", "approval")),
    "reader dies when told of success": _falls_silent("success"),
    "reader resets when told of success": _reader(("resets_at", "success")),
    "reader can't refund": _reader(("refund", "error"), jam=True),
    "reader never says whether it refunded": _reader(("refund", "silent_paid"), jam=True),
    "reader falls silent when told of failure": _falls_silent("failure", jam=True),
    "reader resets when told of failure": _reader(("resets_at", "failure"), jam=True),
    "customer cancels": _at_phase(_cancels),
    "customer ends the session": Break(
        ready=_begins_session,
        strike=_presses_cancel,
        ending=_session_is_over,
        plan=_classic,
    ),
    "customer takes the card away": _at_phase(lambda play: play.world.remove_card()),
}


async def _goes_deaf(play: Play) -> None:
    """The reader hears nothing from the moment of the request on, for some commands."""
    assert play.running is not None

    def deaf(records: list[Record]) -> None:
        if any(record.type == "revalue.intended" for record in records):
            play.breaks("cashless1", "silent_commands", 3)

    play.running.machine.on_commit.append(deaf)


REVALUE: Final[dict[str, Break]] = {
    "reader denies a revalue": _reader(("declines", 1)),
    "reader does not hear of a revalue": Break(ready=_goes_deaf),
    "reader revalues late": replace(
        _reader(("extra_approve_s", 3.0)),
        sign=lambda play: _took_s(play, "revalue.intended", "revalue.finished") >= 3.0,
    ),
    "reader falls silent before it revalues": _falls_silent("revalue"),
    "reader falls silent when it has revalued": _falls_silent("revalued"),
    "reader resets before it revalues": _reader(("resets_at", "revalue")),
    "reader resets when it has revalued": _reader(("resets_at", "revalued")),
}


def _changer(fault: str, value: object, part: str = "changer") -> Break:
    """A payout that goes wrong: the change of a vend, or the refund of one that failed."""

    async def strike(play: Play) -> None:
        if play.cell.phase is Phase.REFUND:
            play.breaks(play.column, "jam")
        play.breaks(part, fault, value)

    return Break("B4", early=strike)


async def _always_short(play: Play) -> None:
    """Each payout stops before its first coin."""
    await _breaks_down(play)
    assert play.running is not None

    def again(records: list[Record]) -> None:
        if any(record.type == "payout.intended" for record in records):
            play.breaks("changer", "short_by", 100)

    play.running.machine.on_commit.append(again)


async def _unplugs(play: Play) -> None:
    await play.coins_fall()
    play.world.unplug("changer")


def _breaks_down(play: Play) -> Awaitable[None]:
    async def early() -> None:
        if play.cell.phase is Phase.REFUND:
            play.breaks(play.column, "jam")

    return early()


async def _away(play: Play) -> None:
    await _unplugs(play)
    await asyncio.sleep(5.0)
    play.world.plug("changer")


async def _no_coins(play: Play) -> None:
    for value in list(play.world.tubes()):
        play.world.empty_tube(value)
    await play.kill()
    await play.opens()


async def _tubes_are_mended(play: Play) -> None:
    await waits(play)
    play.mends("changer", "count_error")
    await play.act(cmd.CountTubes())  # whoever mended it has it counted
    await play.quiet()


def _asked_both(play: Play) -> bool:
    """Tell whether the status was read beside the count: they contradict each other."""
    return "both" in _proofs(play, "payout.finished")


async def _gives_back(play: Play) -> None:
    await play.gives_back()


async def _bill_is_over(play: Play) -> None:
    await play.until(lambda: play.state.escrow is None or play.state.escrow.claimed, within_s=240.0)
    await play.quiet()


def _bill(*faults: tuple[str, object]) -> Break:
    broken = tuple(("bill", fault, value) for fault, value in faults)
    return Break(faults=broken, ending=_bill_is_over)


def _stacks_at_power_up(plan: WorldPlan) -> WorldPlan:
    assert plan.bill is not None
    return replace(plan, bill=replace(plan.bill, after_power_up=AfterPowerUp.STACK))


CASH: Final[dict[str, Break]] = {
    "changer jams in payout": _changer("jam_after", 1),
    "changer pays too little": _changer("short_by", 1),
    "changer pays too little again and again": Break("B4", early=_always_short),
    "changer resets in payout": _changer("reset_after", 1),
    "changer never ends its payout": _changer("stall", True),
    "changer tells a wrong tube count": replace(
        _changer("count_error", {3: -1}), ending=_tubes_are_mended, sign=_asked_both
    ),
    "changer tells a wrong payout status": replace(
        _changer("status_error", {3: 1}), sign=_asked_both
    ),
    "changer pays too much": _changer("extra_coins", 1),
    "changer is away for a moment": Break("B4", early=_breaks_down, strike=_away),
    "changer dies in payout": Break("B4", early=_breaks_down, strike=_unplugs),
    "changer is gone": Break("B4", strike=lambda play: _gone(play, "changer")),
    "coins run out": Break("A1", early=_no_coins, coins=(200,), ending=_gives_back),
    "bill is not stacked": Break(faults=(("bill", "return_when_stacking", 1),)),
    "bill is returned by force": _bill(("return_when_stacking", 1)),
    "bill is stuck in escrow": _bill(("weak_stacker", "held")),
    "bill jams on its way": _bill(("jam_on_stack", 1)),
    "validator resets before the stack": _bill(("reset_in_stack", "before")),
    "validator resets in the stack": _bill(("reset_in_stack", "after")),
    "stacker reports late": replace(
        _bill(("weak_stacker", "late")),
        sign=lambda play: _took_s(play, "stack.intended", "bill.stacked") > STACKING_S,
    ),
    "stacker never reports": replace(
        _bill(("weak_stacker", "lost")),
        sign=lambda play: _proofs(play, "bill.stacked") == {"counted"},
    ),
    "stacker neither reports nor counts": replace(
        _bill(("weak_stacker", "uncounted")), hides=("cash.stacker", "cash.escrow")
    ),
    "validator is gone": Break(ending=_bill_is_over, strike=lambda play: _gone(play, "bill")),
    "bill is stacked after power-up": Break(
        ending=_bill_is_over, strike=power_fails, plan=_stacks_at_power_up
    ),
}


def _recycler(fault: str, value: object) -> Break:
    return replace(_changer(fault, value, part="bill"), recycler=True)


async def _unplugs_bill(play: Play) -> None:
    await play.coins_fall()
    play.world.unplug("bill")


async def _bill_away(play: Play) -> None:
    await _unplugs_bill(play)
    await asyncio.sleep(8.0)
    play.world.plug("bill")


RECYCLER: Final[dict[str, Break]] = {
    "recycler jams in payout": _recycler("dispense_jam_after", 0),
    "recycler pays too little": _recycler("dispense_short", 1),
    "recycler resets in payout": _recycler("dispense_reset_after", 0),
    "recycler stands still in payout": _recycler("dispense_stall", True),
    "recycler is away for a moment": Break(
        "B4", early=_breaks_down, strike=_bill_away, recycler=True
    ),
    "recycler dies in payout": Break("B4", early=_breaks_down, strike=_unplugs_bill, recycler=True),
}


async def _gone(play: Play, part: str) -> None:
    play.world.unplug(part)


def _warms(play: Play) -> None:
    assert play.world.cabin is not None
    play.world.cabin.put(12.0)


async def _runs_out(play: Play) -> None:
    _warms(play)
    await play.until(lambda: play.state.climate.unhealthy == ["A3"])


async def _is_told(play: Play) -> None:
    play.press("A3")
    await play.shows("Not for sale")
    await play.quiet()


async def _waits_for_the_card(play: Play) -> None:
    play.breaks("cashless1", "extra_approve_s", 25.0)


async def _loses_its_thermometer(play: Play) -> None:
    play.breaks("climate", "sensor", "gone")
    await play.until(lambda: play.has_fault("thermometer:cabin", FaultCode.TEMPERATURE_SENSOR))


IMPATIENT: Final = cooled(
    health=(Health(products=("cola",), above_c=5.0, allowed_s=3.0, after_filling_s=3.0),)
)
CLIMATE: Final[dict[str, Break]] = {
    "health timer has run out": Break(ready=_runs_out, ending=_is_told, machine=IMPATIENT),
    "health timer runs out meanwhile": replace(
        _at_phase(_warms), ready=_waits_for_the_card, machine=IMPATIENT
    ),
    "thermometer dies": Break(ready=_loses_its_thermometer, machine=cooled()),
}


async def _nobody_comes(play: Play) -> None:
    await play.passes(61.0)
    await play.quiet()


async def _killed(play: Play) -> None:
    await play.kill()
    await play.opens()
    await play.quiet()


def _asked_for_age(act: Callable[[Play], object]) -> Break:
    async def strike(play: Play) -> None:
        await play.shows("prove it")
        await play.passes(1.0)
        act(play)

    return Break(strike=strike, ending=_told_no_age)


async def _told_no_age(play: Play) -> None:
    await play.until(lambda: bool(play.records("age.checked")))
    await play.quiet()


def _checks_no_age(plan: WorldPlan) -> WorldPlan:
    readers = {name: replace(found, checks_age=False) for name, found in plan.readers.items()}
    return replace(plan, readers=readers)


AGE: Final[dict[str, Break]] = {
    "age is not proved": _asked_for_age(lambda play: play.world.present_card("child")),
    "reader can't check an age": Break(ending=_told_no_age, plan=_checks_no_age),
    "reader resets while an age is asked": _asked_for_age(
        lambda play: play.world.reader().self_reset()
    ),
}

RIGHTS: Final[dict[str, Break]] = {
    "nobody comes in time": Break(ending=_nobody_comes),
    "vendd is killed while it waits": Break(ending=_killed),
}


BREAKS: Final[dict[str, Break]] = {
    **DISPENSER, **READER, **CASH, **RECYCLER, **CCTALK, **PULSE, **DISK, **CLIMATE,
    **SETTINGS_BREAKS, **RIGHTS, **AGE, **ENDS, **REVALUE, **READERS, **HOURS,
}  # fmt: skip


def allowance(cell: Cell) -> Allowance:
    """Return what a cell excuses."""
    found = how_of(cell).allowance
    return replace(found, blind=True) if cell.flagged else found
