"""What customers and fate do to a machine, as short scripts over a ``Whole``.

A story acts on the world alone and waits for what a person would wait for; it says what must be
true at its end. The crash search cuts it at every point, the demo and the tests play it whole.
"""

from __future__ import annotations

from typing import Final

from config.machine import MachineSettings
from config.models import Tokens
from controller.domain.commands import GrantAppCredit
from simulator.stories_recovery import RECOVERIES
from simulator.stories_tenders import TENDERS
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
from simulator.whole import Whole


async def exact_coins(machine: Whole) -> None:
    """Two coins, a product, no change."""
    await coins(machine, 100, 50)
    await choose(machine, "A1")


async def coins_with_change(machine: Whole) -> None:
    """A two euro coin and 50 cents back."""
    await coins(machine, 200)
    await choose(machine, "A1")


async def bill_with_change(machine: Whole) -> None:
    """A bill goes by escrow into the stacker; the change comes in coins."""
    machine.world.insert_bill(500)
    await machine.until(lambda: machine.state.credit.total == 500)
    await choose(machine, "B2")


async def card(machine: Whole) -> None:
    """Choose, then hold a card to the reader."""
    await pay_by_card(machine, "A3", "card")


async def card_declined(machine: Whole) -> None:
    """The card says no."""
    await pay_by_card(machine, "A3", "declined")


async def card_and_jam(machine: Whole) -> None:
    """Approved, then the motor jams: VEND FAILURE, nothing charged."""
    machine.world.faults.set("A3", "jam")
    await card(machine)
    machine.world.faults.set("A3", "jam", False)


async def coins_and_jam(machine: Whole) -> None:
    """Paid, then the motor jams: coins back."""
    machine.world.faults.set("A3", "jam")
    await coins(machine, 100, 100)
    await choose(machine, "A3")
    machine.world.faults.set("A3", "jam", False)


async def not_seen(machine: Whole) -> None:
    """Nothing falls twice; the second column of the same product delivers."""
    machine.world.faults.set("A1", "hang", 2)
    await coins(machine, 100, 50)
    await choose(machine, "A1")


async def changed_mind(machine: Whole) -> None:
    """Coins in, coin return."""
    await coins(machine, 100, 20, 10)
    machine.world.press_keys("*")
    await machine.until(lambda: bool(machine.state.closed))
    await machine.quiet()


async def changer_jam_in_payout(machine: Whole) -> None:
    """The changer pays some of the change, then its tube jams."""
    await coins(machine, 100, 100)
    machine.world.faults.set("changer", "jam_after", 1)
    await choose(machine, "B4")


async def changer_resets_in_payout(machine: Whole) -> None:
    """The changer resets itself in the middle of a payout (a standard fault of the field)."""
    await coins(machine, 100, 100)
    machine.world.faults.set("changer", "reset_after", 1)
    await choose(machine, "B4")


async def card_and_refund_error(machine: Whole) -> None:
    """Approved, then the motor jams, and the reader cannot give the money back: a claim."""
    machine.world.faults.set("cashless1", "refund", "error")
    await card_and_jam(machine)
    machine.world.faults.set("cashless1", "refund", "")


DEAR: Final = 740  # more than a bill of 5.00


def _dear_nuts(base: MachineSettings) -> MachineSettings:
    """Make a product dearer than one bill, so that a card may have to pay the rest."""
    columns = tuple(
        column.model_copy(update={"price": DEAR}) if column.selection == "B2" else column
        for column in base.columns
    )
    return base.model_copy(update={"columns": columns})


def _bills_wait(base: MachineSettings) -> MachineSettings:
    """Make every bill wait in escrow for its vend."""
    return with_policy(base, escrow="hold")


async def _bill_waits(machine: Whole, value: int) -> None:
    machine.world.insert_bill(value)
    await machine.until(lambda: machine.state.escrow is not None and machine.state.escrow.waits)
    await machine.quiet()


async def bill_waits_for_its_vend(machine: Whole) -> None:
    """A bill waits in escrow, is stacked when the vend needs it; the change comes in coins."""
    await _bill_waits(machine, 500)
    await choose(machine, "A3")


async def bill_comes_back(machine: Whole) -> None:
    """A bill and a coin, then coin return: the bill itself comes back."""
    await coins(machine, 100)
    await _bill_waits(machine, 500)
    machine.world.press_keys("*")
    await machine.until(lambda: bool(machine.state.closed) and machine.state.escrow is None)
    await machine.quiet()


async def bill_and_card(machine: Whole) -> None:
    """A bill waits, a coin lies in its tube, the card pays the rest."""
    await _bill_waits(machine, 500)
    await coins(machine, 100)
    await pay_by_card(machine, "B2", "card")


async def bill_not_stacked_after_card(machine: Whole) -> None:
    """The card has approved, and the bill falls back to the customer: so does the card's money."""
    machine.world.faults.set("bill", "return_when_stacking", 1)
    await bill_and_card(machine)
    machine.world.faults.set("bill", "return_when_stacking", 0)


async def _inserts_token(machine: Whole) -> None:
    waiting = len(machine.state.rights)
    machine.world.insert_coin(0, name="token")
    await machine.until(lambda: len(machine.state.rights) > waiting)


async def token(machine: Whole) -> None:
    """A vend token buys what it was made for."""
    await _inserts_token(machine)
    await choose(machine, "A1")


async def token_and_jam(machine: Whole) -> None:
    """The token's vend fails; another product is as good."""
    machine.world.faults.set("A3", "jam")
    await _inserts_token(machine)
    await choose(machine, "A3")
    machine.world.faults.set("A3", "jam", False)
    await choose(machine, "A1")


async def token_returned(machine: Whole) -> None:
    """A token is not wanted any more: a claim for one product."""
    await _inserts_token(machine)
    machine.world.press_keys("*")
    await machine.until(lambda: bool(machine.state.claims))
    await machine.quiet()


async def _paid_in_an_app(machine: Whole, amount: int) -> None:
    assert machine.running is not None, "it sells"
    grant = GrantAppCredit("payment-1", amount, 120.0, "A3")
    await machine.running.machine.act(grant, "fleet")


async def basket_and_jam(machine: Whole) -> None:
    """Two items on one credit; the first one jams, the second one stands."""
    machine.world.faults.set("A3", "jam")
    await coins(machine, 100, 100, 100, 100)
    await lists(machine, "A3", "A1")
    await buys_listed(machine, 2)
    machine.world.faults.set("A3", "jam", False)


async def app_credit(machine: Whole) -> None:
    """Paid in an app, 50 cents too much."""
    await _paid_in_an_app(machine, 250)
    await choose(machine, "A3")


async def app_credit_and_jam(machine: Whole) -> None:
    """Paid in an app; nothing falls, and the app gives back."""
    machine.world.faults.set("A3", "jam")
    await _paid_in_an_app(machine, 200)
    await choose(machine, "A3")
    machine.world.faults.set("A3", "jam", False)


def _with_tokens(settings: MachineSettings) -> MachineSettings:
    return settings.model_copy(update={"tokens": Tokens(products=("water", "cola"))})


STORIES: Final = (
    Story("exact coins", exact_coins, "water", 150),
    Story("coins with change", coins_with_change, "water", 150),
    Story("bill with change", bill_with_change, "nuts", 240),
    Story("card", card, "cola", 200),
    Story("card declined", card_declined),
    Story("card and jam", card_and_jam),
    Story("coins and jam", coins_and_jam),
    Story("not seen to drop", not_seen, "water", 150),
    Story("changed mind", changed_mind),
    Story("changer jams in payout", changer_jam_in_payout, "gum", 50),
    Story("changer resets in payout", changer_resets_in_payout, "gum", 50),
    Story("card and refund error", card_and_refund_error),
    Story("bill waits for its vend", bill_waits_for_its_vend, "cola", 200, _bills_wait),
    Story("bill comes back", bill_comes_back, settings=_bills_wait),
    Story("bill and card", bill_and_card, "nuts", DEAR, _dear_nuts),
    Story("bill not stacked", bill_not_stacked_after_card, settings=_dear_nuts),
)

# Of machines that are told something else than the file says, or by someone else than a customer.
OTHERS: Final = (
    Story("token", token, "water", settings=_with_tokens),
    Story("token and jam", token_and_jam, "water", settings=_with_tokens),
    Story("token returned", token_returned, settings=_with_tokens),
    Story("basket and jam", basket_and_jam, "water", 150, settings=with_baskets),
    Story("app credit", app_credit, "cola"),
    Story("app credit and jam", app_credit_and_jam),
)
EVERY: Final = (*STORIES, *OTHERS, *TENDERS, *RECOVERIES)
