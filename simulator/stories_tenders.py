"""Stories of the other ways to pay, to be paid, and to be told no: one for each kind of vend.

Of a machine on the ccTalk line, and of one whose coins are pulses, the way to the MDB's readers
is of no matter: those are played once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from config.machine import MachineSettings
from config.models import (
    Offer,
    Pulse,
)
from config.pins import Pin
from controller.domain.commands import GiveFreeVend, SetStock
from simulator.peripherals.reader_settings import OPTION_ALWAYS_IDLE
from simulator.plan import WorldPlan, plan_for
from simulator.story_kit import (
    Story,
    buys_listed,
    choose,
    coins,
    lists,
    pay_by_card,
    with_baskets,
    with_policy,
)
from simulator.swarm.cctalk import LINE
from simulator.whole import Whole

# ------------------------------------------------------------------------------- mixed money


async def coins_and_card(machine: Whole) -> None:
    """A coin pays half of it, the card pays the rest."""
    await coins(machine, 100)
    await pay_by_card(machine, "A3", "card")


def _recycles(base: MachineSettings) -> MachineSettings:
    """Have fives and tens come back as change, 15 of each inside."""
    bill = base.mdb.bill.model_copy(update={"recycle": (500, 1_000)})
    return base.model_copy(update={"mdb": base.mdb.model_copy(update={"bill": bill})})


async def bill_changed_in_bills(machine: Whole) -> None:
    """A ten goes into the recycler; a five and three coins come back."""
    await machine.until(lambda: machine.world.insert_bill(1_000))
    await machine.until(lambda: machine.state.credit.total == 1_000)
    await choose(machine, "A3")


async def free_vend(machine: Whole) -> None:
    """Somebody is owed one, and gets it."""
    assert machine.running is not None, "it sells"
    await machine.running.machine.act(GiveFreeVend("free-1", 120.0, "was stuck", "A3"), "fleet")
    await choose(machine, "A3")


# ------------------------------------------------------------------------------- claims


def few_coins(base: MachineSettings, **tubes: int) -> WorldPlan:
    """Return what stands around, the tubes empty but for ``t50=3`` of 50 cents, say."""
    plan = plan_for(base)
    assert plan.changer is not None, "it takes coins"
    held = tuple(
        replace(coin, coins=tubes.get(f"t{coin.value}", 0)) for coin in plan.changer.coin_table()
    )
    return replace(plan, changer=replace(plan.changer, coins=held))


async def _keys_in_the_claim(machine: Whole) -> None:
    (claim,) = machine.state.claims.values()
    machine.world.press_keys("#" + claim.code)
    await machine.until(lambda: not machine.state.claims)
    await machine.until(lambda: machine.state.credit.total == claim.amount)


async def _two_euros_are_owed(machine: Whole) -> None:
    """No tube can pay back what lies in the cash box."""
    await coins(machine, 200)
    machine.world.press_keys("*")
    await machine.until(lambda: bool(machine.state.claims))
    await machine.quiet()


async def cash_claim(machine: Whole) -> None:
    """The code of coins that could not be paid back buys for them."""
    await _keys_in_the_claim(machine)
    await choose(machine, "A3")


async def _a_card_is_owed(machine: Whole) -> None:
    """A jam, and a reader that can't give the money back."""
    machine.world.faults.set("B2", "jam")
    machine.world.faults.set("cashless1", "refund", "error")
    await pay_by_card(machine, "B2", "card")
    machine.world.faults.set("B2", "jam", False)
    machine.world.faults.set("cashless1", "refund", "")


async def card_claim(machine: Whole) -> None:
    """The code of a card's money buys something cheaper; the rest never becomes coins."""
    await _keys_in_the_claim(machine)
    await choose(machine, "A3")


async def shortfall(machine: Whole) -> None:
    """Half of the change falls, its other tube jams, no other coin fits: the rest is a claim."""
    await coins(machine, 100, 100)
    machine.world.faults.set("changer", "jam_after", 1)
    await choose(machine, "B4")


def _soon_a_claim(base: MachineSettings) -> MachineSettings:
    return with_policy(base, refund_deadline_s=2.0)


# ------------------------------------------------------------------------------- baskets


def _multivend(base: MachineSettings) -> WorldPlan:
    """Have the reader begin a session with each card, for several vends."""
    plan = plan_for(base)
    readers = {
        name: replace(made, options=0, multivend=True) for name, made in plan.readers.items()
    }
    return replace(plan, readers=readers)


async def _begins_a_session(machine: Whole) -> None:
    assert machine.running is not None, "it sells"
    live = machine.running.machine.desk.live
    await machine.until(lambda: machine.world.present_card("card"))
    await machine.until(lambda: live.session is not None)


async def basket_on_a_card(machine: Whole) -> None:
    """One session pays two items, one after the other."""
    await _begins_a_session(machine)
    await lists(machine, "A1", "A3")
    await buys_listed(machine, 2)


# ------------------------------------------------------------------------------- told no


def _no_bars(base: MachineSettings) -> WorldPlan:
    return replace(plan_for(base), stock={"B3": 0})


async def _staff_says_so(machine: Whole) -> None:
    assert machine.running is not None, "it sells"
    await machine.running.machine.act(SetStock("B3", 0), "tech")


async def sold_out(machine: Whole) -> None:
    """What was wanted is sold out; something else is bought, with change."""
    await coins(machine, 100)
    machine.world.press_keys("B3")
    await machine.until(lambda: "sold out" in machine.screen.lower())
    await choose(machine, "B4")


async def exact_change_only(machine: Whole) -> None:
    """The change can't be paid: refused, until a coin more makes it a whole coin."""
    await coins(machine, 100, 100)
    machine.world.press_keys("A1")
    await machine.until(lambda: "exact change" in machine.screen.lower())
    await coins(machine, 50)
    await choose(machine, "A1")


def _forgets_soon(base: MachineSettings) -> MachineSettings:
    return with_policy(base, credit_timeout_s=3.0)


async def forgotten(machine: Whole) -> None:
    """Coins in, and nobody is there any more: they come back."""
    await coins(machine, 100, 50)
    await machine.until(lambda: bool(machine.state.closed))
    await machine.quiet()


# ------------------------------------------------------------------------------- by the clock

FIVE_O_CLOCK: Final = datetime.fromisoformat("2026-12-01T17:05:00+00:00")


def _happy_hour(base: MachineSettings) -> MachineSettings:
    half = Offer(name="happy-hour", percent=50, start="17:00", end="18:00", products=("cola",))
    return base.model_copy(update={"offers": (half,)})


async def _it_is_five(machine: Whole) -> None:
    machine.clock.jump_wall((FIVE_O_CLOCK - machine.clock.wall_utc()).total_seconds())
    machine.time_known = True
    begun = machine.loop.time()
    await machine.until(lambda: machine.loop.time() > begun + 70.0)  # asked every half minute


async def discount(machine: Whole) -> None:
    """Within its hours it costs half."""
    await coins(machine, 100)
    await choose(machine, "A3")


# ------------------------------------------------------------------------------- other devices

PULSES: Final = Pulse(
    pin=Pin(40, active_low=True, pull="up"),
    enable=Pin(41),
    return_lever=Pin(42, active_low=True, pull="up"),
    coins={2: 50, 4: 100, 6: 200},
)


def _without(base: MachineSettings, *parts: str) -> MachineSettings:
    off = {part: getattr(base.mdb, part).model_copy(update={"enabled": False}) for part in parts}
    return base.model_copy(update={"mdb": base.mdb.model_copy(update=off)})


def _on_cctalk(base: MachineSettings) -> MachineSettings:
    return _without(base, "changer", "bill").model_copy(update={"cctalk": LINE})


def _with_pulses(base: MachineSettings) -> MachineSettings:
    return _without(base, "changer").model_copy(update={"pulse": PULSES})


async def hoppers_pay(machine: Whole) -> None:
    """A coin over ccTalk; three coins come back out of two hoppers."""
    await coins(machine, 200)
    await choose(machine, "A1")


async def cctalk_bill(machine: Whole) -> None:
    """A bill over ccTalk, its change out of a hopper."""
    await machine.until(lambda: machine.world.insert_bill(500))
    await machine.until(lambda: machine.state.credit.total == 500)
    await choose(machine, "A3")


async def pulse_coins(machine: Whole) -> None:
    """Two coins are told by pulses."""
    await coins(machine, 100, 50)
    await choose(machine, "A1")


# ------------------------------------------------------------------------------- readers


def _for_adults(base: MachineSettings) -> MachineSettings:
    products = tuple(
        product.model_copy(update={"min_age": 18}) if product.id == "cola" else product
        for product in base.products
    )
    return base.model_copy(update={"products": products})


async def proof_of_age(machine: Whole) -> None:
    """An identity card proves it, coins pay."""
    await coins(machine, 200)
    ended = len(machine.state.closed)
    machine.world.press_keys("A3")
    await machine.until(lambda: "reader to prove" in machine.screen)
    await machine.until(lambda: machine.world.present_card("identity"))
    await machine.until(lambda: len(machine.state.closed) > ended)
    await machine.quiet()


def _two_readers(base: MachineSettings) -> MachineSettings:
    second = base.mdb.cashless2.model_copy(update={"enabled": True})
    return base.model_copy(update={"mdb": base.mdb.model_copy(update={"cashless2": second})})


def _one_always_idle(base: MachineSettings) -> WorldPlan:
    """Have the first reader be asked without a card, the second begin with one."""
    plan = plan_for(base)
    readers = {
        name: replace(made, options=OPTION_ALWAYS_IDLE * (name == "cashless1"))
        for name, made in plan.readers.items()
    }
    return replace(plan, readers=readers)


async def second_reader(machine: Whole) -> None:
    """The first reader is asked, and the card comes to the second one."""
    machine.world.press_keys("A3")
    await machine.until(lambda: "Hold your card" in machine.screen)
    await machine.until(lambda: "approval" in machine.unfinished)
    await machine.until(lambda: machine.world.present_card("card", "cashless2"))
    await machine.until(lambda: bool(machine.state.closed))
    await machine.quiet()


def _loads(base: MachineSettings) -> MachineSettings:
    return with_policy(base, revalue=True, escrow="hold")


async def cash_for_a_card(machine: Whole) -> None:
    """A coin and a bill go to the card in the reader, which then pays."""
    assert machine.running is not None, "it sells"
    live = machine.running.machine.desk.live
    await machine.until(lambda: machine.world.present_card("prepaid"))
    await machine.until(lambda: live.revalue_limit is not None)
    await coins(machine, 100)
    machine.world.insert_bill(500)
    await machine.until(lambda: machine.state.escrow is not None and machine.state.escrow.waits)
    await machine.quiet()
    machine.world.press_keys("C")
    await machine.until(lambda: bool(machine.state.closed))
    await machine.quiet()
    machine.world.press_keys("A3")
    await machine.until(lambda: len(machine.state.closed) > 1)
    await machine.quiet()


TENDERS: Final = (
    Story("coins and card", coins_and_card, "cola", 200),
    Story("bill changed in bills", bill_changed_in_bills, "cola", 200, _recycles),
    Story("free vend", free_vend, "cola"),
    Story(
        "cash claim keyed in", cash_claim, "cola", 200, plan=few_coins, before=_two_euros_are_owed
    ),
    Story("card claim keyed in", card_claim, "cola", 200, before=_a_card_is_owed),
    Story("basket on a card", basket_on_a_card, "water, cola", 350, with_baskets, plan=_multivend),
    Story("sold out", sold_out, "gum", 50, plan=_no_bars, before=_staff_says_so),
    Story("exact change only", exact_change_only, "water", 150, plan=few_coins),
    Story("shortfall", shortfall, "gum", 50, _soon_a_claim, lambda base: few_coins(base, t50=10)),
    Story("forgotten credit", forgotten, settings=_forgets_soon),
    Story("discount", discount, "cola", 100, _happy_hour, before=_it_is_five),
    # On this line nothing is acknowledged unasked, as on a native link.
    Story("hoppers pay", hoppers_pay, "water", 150, _on_cctalk, links=("native",)),
    Story("ccTalk bill", cctalk_bill, "cola", 200, _on_cctalk, links=("native",)),
    # A coin's pulses wait for nobody, as an adapter's answer to the last poll.
    Story("pulse coins", pulse_coins, "water", 150, _with_pulses, links=("adapter",)),
    Story("proof of age", proof_of_age, "cola", 200, _for_adults),
    Story("cash for a card", cash_for_a_card, "cola", 200, _loads),
    Story("second reader", second_reader, "cola", 200, _two_readers, plan=_one_always_idle),
)
