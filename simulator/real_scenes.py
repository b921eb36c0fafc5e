"""What customers do to a machine of real processes, for those who end its vendd meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from simulator.rig import Rig

Scene = Callable[[Rig], Awaitable[None]]


async def credited(rig: Rig, amount: int) -> None:
    """Wait until what a customer put in is credit. Raises as ``VenddClient.until`` does."""

    def taken() -> int:
        coins: int = sum(
            coin[1]
            for record in rig.api.records
            if record["type"] == "coins.deposited"
            for coin in record["data"]["coins"]
        )
        bills: int = sum(r["data"]["value"] for r in rig.api.records if r["type"] == "bill.stacked")
        return coins + bills

    await rig.api.until(lambda _: taken() >= amount, f"{amount} credited")


async def cash_with_change(rig: Rig) -> None:
    """A customer pays with too much."""
    await rig.sim.insert_coin(100, 2)
    await credited(rig, 200)
    await rig.sim.press_keys("A1")


async def bill(rig: Rig) -> None:
    """A customer puts a bill in."""
    # Tried again from here, not there: when vendd is dead, nobody tries on.
    while not await rig.sim.insert_bill(500, 0.0):
        await rig.sim.wait_for(still_s=0.1)


async def card(rig: Rig) -> None:
    """A customer selects, and pays by card."""
    await rig.sim.present_card()
    await rig.api.until(lambda vendd: vendd.mode == "credit", "a session")
    await rig.sim.press_keys("B1")


async def jam(rig: Rig) -> None:
    """A customer has paid in coins, and nothing falls."""
    await rig.sim.jam("B3")
    await rig.sim.insert_coin(100)
    await rig.sim.insert_coin(20)
    await credited(rig, 120)
    await rig.sim.press_keys("B3")


async def changed_mind(rig: Rig) -> None:
    """A customer wants the coin back."""
    await rig.sim.insert_coin(50)
    await credited(rig, 50)
    await rig.sim.pull_lever()


async def too_little_change(rig: Rig) -> None:
    """The tubes are empty: the two euros become a claim."""
    await rig.sim.insert_coin(200)
    await credited(rig, 200)
    await rig.sim.pull_lever()


async def jammed_card(rig: Rig) -> None:
    """A card has paid, and nothing falls."""
    await rig.sim.jam("B1")
    await card(rig)
