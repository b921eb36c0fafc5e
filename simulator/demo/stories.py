"""The stories: who comes, what happens, and what must be true when it is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from simulator.demo.stage import Stage

Play = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Expected:
    """What must be true of a story's customer in the end; minor units.

    Args:
        inserted: Coins and bills put in.
        returned: Coins and bills that came to the tray.
        products: What fell into the bin for this customer.
        charged: What the card was charged for good.
        refunded: What a card was approved for and got back.
        claimed: What the machine owes by a claim.
        shown: What the display must have shown, in this order; only texts that stay for a while,
            since a newer one may overtake what a slow display has not written yet.
        turns: What the motors were told to do, in this order, as the journal says: "A1", and
            "A1 extra" for one more of the same column. None: of no matter to this story.
    """

    inserted: int = 0
    returned: int = 0
    products: tuple[str, ...] = ()
    charged: int = 0
    refunded: int = 0
    claimed: int = 0
    shown: tuple[str, ...] = ()
    turns: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """One story."""

    name: str
    title: str
    who: str
    play: Play
    expected: Expected
    by_app: int = 0  # paid where this machine sees nothing of it


async def exact_coins(stage: Stage) -> None:
    """One euro fifty for a water."""
    await stage.coins(100, 50)
    await stage.shows("Credit €1.50")
    await stage.keys("A1")
    await stage.shows("Please take it")


async def bill_with_change(stage: Stage) -> None:
    """Five euros for a cola, three come back."""
    await stage.bill(500)
    await stage.shows("Credit €5.00")
    await stage.keys("A3")
    await stage.shows("Enjoy!")


async def card(stage: Stage) -> None:
    """A card pays for crisps."""
    await stage.card()
    await stage.shows("Card accepted")
    await stage.keys("B1")
    await stage.shows("Enjoy!")


async def card_declined(stage: Stage) -> None:
    """A card that its issuer declines."""
    await stage.card("declined")
    await stage.shows("Card accepted")
    await stage.keys("B3")
    await stage.shows("Card declined")


async def card_jam(stage: Stage) -> None:
    """Approved, jammed: the reader is told VEND FAILURE."""
    await stage.jam("B2")
    await stage.card()
    await stage.shows("Card accepted")
    await stage.keys("B2")
    await stage.shows("Sorry! Your card")
    await stage.settled()
    await stage.mend("B2")


async def coins_jam(stage: Stage) -> None:
    """Paid, jammed: the coins come back."""
    await stage.jam("B3")
    await stage.coins(100, 20)
    await stage.shows("Credit €1.20")
    await stage.keys("B3")
    await stage.shows("Sorry! Money back")
    await stage.settled()
    await stage.mend("B3")


async def not_seen(stage: Stage) -> None:
    """Two turns leave the product in the spiral; the second column delivers."""
    await stage.fate("the next two bottles of A1 hang")
    await stage.sim.set_fault("A1", "hang", 2)
    await stage.coins(100, 50)
    await stage.shows("Credit €1.50")
    await stage.keys("A1")
    await stage.shows("Trying again")
    await stage.shows("Enjoy!")
    await stage.settled()
    await stage.mend("A1")


async def sold_out(stage: Stage) -> None:
    """The column is empty: the money comes back, and the next one hears it at once."""
    await stage.fate("somebody has left A3 empty")
    await stage.sim.unload("A3")
    await stage.coins(200)
    await stage.shows("Credit €2.00")
    await stage.keys("A3")
    await stage.shows("Sorry! Money back")
    await stage.settled()
    await stage.coins(100, 100)
    await stage.shows("Credit €2.00")
    await stage.keys("A3")
    await stage.shows("Sold out")
    await stage.keys("B1")
    await stage.shows("Enjoy!")


async def changed_mind(stage: Stage) -> None:
    """The lever gives everything back."""
    await stage.coins(100, 20, 10)
    await stage.shows("Credit €1.30")
    await stage.lever()
    await stage.shows("Money back €1.30")


async def exact_change(stage: Stage) -> None:
    """Empty tubes: the machine says so, and who pays exactly gets the product."""
    await stage.collect_tubes()
    await stage.reads("Exact change only")
    await stage.coins(100, 50)
    await stage.shows("Credit €1.50")
    await stage.keys("A2")
    await stage.shows("Enjoy!")
    await stage.settled()
    await stage.fill_tubes(30)


async def shortfall(stage: Stage) -> None:
    """Two euros in, and only one fifty to give back: the rest becomes a claim."""
    await stage.collect_tubes({100: 1, 50: 1})
    await stage.reads("Exact change only")
    await stage.coins(200)
    await stage.shows("Credit €2.00")
    await stage.keys("B1")
    await stage.shows("No change for this")
    await stage.lever()
    await stage.shows("You get")
    await stage.settled()
    await stage.keys("*")  # the code is written down
    await stage.shows("Welcome")
    await stage.fill_tubes(30)


async def killed_in_dispense(stage: Stage) -> None:
    """SIGKILL while the motor turns and nothing has fallen: the money comes back, and buys."""
    await stage.coins(100, 50)
    await stage.shows("Credit €1.50")
    await stage.slow("A1")
    await stage.keys("A1")
    await stage.turns("A1")
    await stage.shows("On its way")
    await stage.kill_vendd()
    await stage.start_vendd()
    await stage.settled()
    await stage.welcomed()
    await stage.coins(100, 50)
    await stage.shows("Credit €1.50")
    await stage.keys("A1")
    await stage.shows("Enjoy!")


async def killed_after_drop(stage: Stage) -> None:
    """SIGKILL when the product has just fallen: the latch knows it, and the sale stands."""
    await stage.coins(200)
    await stage.shows("Credit €2.00")
    await stage.keys("B4")
    await stage.happens("(fell)")
    await stage.kill_vendd()
    await stage.start_vendd()


async def killed_with_card(stage: Stage) -> None:
    """SIGKILL while the motor turns for an approved card: it hears VEND FAILURE before a RESET."""
    await stage.card()
    await stage.shows("Card accepted")
    await stage.slow("B2")
    await stage.keys("B2")
    await stage.turns("B2")
    await stage.shows("On its way")
    await stage.kill_vendd()
    await stage.start_vendd()


async def killed_in_payout(stage: Stage) -> None:
    """SIGKILL between two coins of the change: what has been paid is not paid again."""
    await stage.bill(500)
    await stage.shows("Credit €5.00")
    await stage.keys("B4")
    await stage.happens("(payout)")
    await stage.kill_vendd()
    await stage.start_vendd()


STORIES: Final[tuple[Story, ...]] = (
    Story(
        "exact-coins", "Exact coins", "Ada", exact_coins,
        Expected(150, products=("water",), shown=("Credit €1.50", "On its way", "Enjoy!")),
    ),
    Story(
        "bill", "A bill, and its change", "Ben", bill_with_change,
        Expected(500, 300, products=("cola",), shown=("Credit €5.00", "Enjoy!")),
    ),
    Story(
        "card", "A card", "Cleo", card,
        Expected(
            charged=180, products=("crisps",),
            shown=("Card accepted", "Card approved On its way", "Enjoy!"),
        ),
    ),
    Story(
        "card-declined", "A card that is declined", "Dan", card_declined,
        Expected(shown=("Card accepted", "Card declined Nothing was charged")),
    ),
    Story(
        "card-jam", "Card approved, motor jams", "Eva", card_jam,
        Expected(refunded=240, shown=("Card accepted", "is not charged: €2.40")),
    ),
    Story(
        "coins-jam", "Coins, motor jams", "Finn", coins_jam,
        Expected(120, 120, shown=("Credit €1.20", "Money back: €1.20")),
    ),
    Story(
        "not-seen", "Not seen to drop: next column", "Gia", not_seen,
        Expected(
            150, products=("water",), shown=("On its way", "It did not drop. Trying", "Enjoy!"),
            turns=("A1", "A1 extra", "A2"),
        ),
    ),
    Story(
        "sold-out", "Sold out", "Hal", sold_out,
        Expected(400, 220, products=("crisps",), shown=("Money back: €2.00", "Sold out", "Enjoy!")),
    ),
    Story(
        "changed-mind", "Changed mind", "Ida", changed_mind,
        Expected(130, 130, shown=("Credit €1.30", "Money back €1.30")),
    ),
    Story(
        "exact-change", "No change: exact coins only", "Jon", exact_change,
        Expected(150, products=("water",), shown=("Exact change only", "Enjoy!")),
    ),
    Story(
        "shortfall", "No change: a claim for the rest", "Kim", shortfall,
        Expected(200, 150, claimed=50, shown=("No change for this", "You get €0.50")),
    ),
    Story(
        "killed-dispense", "Killed while the motor turns", "Lea", killed_in_dispense,
        Expected(300, 150, products=("water",), shown=("On its way", "Enjoy!")),
    ),
    Story(
        "killed-drop", "Killed as the product falls", "Max", killed_after_drop,
        Expected(200, 150, products=("gum",), shown=("Credit €2.00", "Enjoy!")),
    ),
    Story(
        "killed-card", "Killed with a card approved", "Nia", killed_with_card,
        Expected(refunded=240, shown=("Card accepted", "is not charged: €2.40")),
    ),
    Story(
        "killed-payout", "Killed while it pays change", "Oli", killed_in_payout,
        Expected(500, 450, products=("gum",), shown=("Credit €5.00", "Enjoy!")),
    ),
)  # fmt: skip
