"""The scenes of the second act: machines and their fleet, and what must be true after each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simulator.demo.stage import PATIENCE_S, Stage, StoryError
from simulator.demo.stories import Expected
from simulator.demo.teller import Tone

if TYPE_CHECKING:
    from simulator.demo.fleet import Fleet

Play = Callable[["Fleet", Stage], Awaitable[None]]
APP_CREDIT: Final = 240
NEW_PRICE: Final = 130


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene.

    Args:
        name: For ``--json``.
        machine: Where it plays.
        title: What it is about.
        who: Its customer.
        play: What happens.
        expected: What must be true of the customer in the end.
        by_app: What the customer has paid in an app.
        lived: The machine has a week behind it when it is played.
    """

    name: str
    machine: str
    title: str
    who: str
    play: Play
    expected: Expected
    by_app: int = 0
    lived: bool = False


async def week(fleet: Fleet, stage: Stage) -> None:
    """A machine catches up, and sells on."""
    fleet.tell_catch_up(stage)
    if not (await stage.sim.truth()).columns["B4"].stock:
        await stage.fill("B4")
    await stage.coins(50)
    await stage.shows("Credit €0.50")
    await stage.keys("B4")
    await stage.happens("(fell)")
    fell_s = fleet.now()
    sold = await stage.rig.api.until_record("vend.closed", PATIENCE_S, after=fleet.mark)
    await fleet.until_stored("lobby", sold)
    late_ms = (fleet.now() - fell_s) * 1000
    stage.teller.caption(f"in the fleet's database {late_ms:.0f} ms after it fell", Tone.FACT)


async def price(fleet: Fleet, stage: Stage) -> None:
    """A price comes from the fleet, signed; the next customer pays it."""
    await fleet.command(stage, "kitchen", "price.set", "column=B3", f"price={NEW_PRICE}")
    stock = (await stage.rig.api.call("stock.show"))["columns"]
    found = next(column["price"] for column in stock if column["column"] == "B3")
    if found != NEW_PRICE:
        raise StoryError(f"B3 costs {found} in the machine")
    await stage.keys("B3")
    await stage.shows("€1.30")
    await stage.coins(100, 20, 10)
    await stage.shows("Enjoy!")


async def app_credit(fleet: Fleet, stage: Stage) -> None:
    """Somebody has paid in an app: the fleet grants credit, and it buys one product."""
    await fleet.command(
        stage, "kitchen", "credit.grant", "credit=order-4711", f"amount={APP_CREDIT}",
        "seconds=600", "column=B2",
    )  # fmt: skip
    stage.rig.paid_in_app(APP_CREDIT)
    await stage.keys("B2")
    await stage.shows("Enjoy!")


async def nothing_falls(fleet: Fleet, stage: Stage) -> None:
    """Paid, and the motor jams: the money comes back, and the fleet knows why."""
    await stage.jam("B3")
    await stage.coins(100, 20)
    await stage.shows("Credit €1.20")
    await stage.keys("B3")
    await stage.shows("Sorry! Money back")
    await stage.settled()
    row = await fleet.until_sale("gym", lambda line: line["column"] == "B3" and line["result"])
    if (row["result"], row["paid_back"]) != ("refunded", 120):
        raise StoryError(f"the fleet says {row['result']}, {row['paid_back']} paid back")
    back = stage.money(row["paid_back"])
    stage.teller.caption(f"the fleet knows: vend {row['vend']} refunded, {back} back", Tone.FACT)
    await stage.mend("B3")


SCENES: Final[tuple[Scene, ...]] = (
    Scene(
        "fleet-week", "lobby", "A week without a network, and back", "Pia", week,
        Expected(50, products=("gum",), shown=("Credit €0.50", "Enjoy!")), lived=True,
    ),
    Scene(
        "fleet-price", "kitchen", "A new price, signed by the fleet", "Quin", price,
        Expected(130, products=("bar",), shown=("Price €1.30", "Enjoy!")),
    ),
    Scene(
        "fleet-credit", "kitchen", "Paid in an app", "Rob", app_credit,
        Expected(products=("nuts",), shown=("Enjoy!",)), by_app=APP_CREDIT,
    ),
    Scene(
        "fleet-refund", "gym", "Paid, and nothing falls", "Sue", nothing_falls,
        Expected(120, 120, shown=("Credit €1.20", "Money back: €1.20")),
    ),
)  # fmt: skip
