"""What customers do to a machine of real processes, for those who end its vendd meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Final

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


async def coins_and_card(rig: Rig) -> None:
    """Coins pay a part, a card the rest."""
    await rig.sim.insert_coin(100)
    await credited(rig, 100)
    await rig.sim.press_keys("A1")
    await rig.sim.wait_for(display="Hold your card", timeout_s=15.0)
    await rig.sim.present_card()


async def basket(rig: Rig) -> None:
    """Two items on one credit; the second one jams, and is paid back with the change."""
    await rig.sim.jam("A3")
    await rig.sim.insert_coin(100, 4)
    await credited(rig, 400)
    await rig.sim.press_keys("A1")
    await rig.sim.wait_for(display="Items 1", timeout_s=15.0)
    await rig.sim.press_keys("A3")
    await rig.sim.wait_for(display="Items 2", timeout_s=15.0)
    await rig.sim.press_keys("#")


async def bill_out_again(rig: Rig) -> None:
    """A bill goes into the recycler, and is paid out again."""
    await bill(rig)
    await credited(rig, 500)
    await rig.sim.pull_lever()


_ids = count(1)


async def token(rig: Rig) -> None:
    """A vend token buys water."""
    await rig.sim.insert_coin(0, name="token")
    await rig.api.until_record("token.inserted")
    await rig.sim.press_keys("A1")


def app_grant() -> str:
    """Return the id of a grant that no scene had before."""
    return f"app-{next(_ids)}"


async def app_credit(rig: Rig) -> None:
    """Somebody has paid in an app, and presses the key."""
    await rig.api.act("grant.app", grant=app_grant(), amount=250, lives_s=60.0, column="A3")
    await rig.sim.press_keys("A3")


async def claim_keyed_in(rig: Rig) -> None:
    """What could not be paid back is a claim, and its code buys something.

    Of two equal coins in a row that fall into the cash box, the second may be taken for the first.
    """
    await rig.sim.insert_coin(5)
    await credited(rig, 5)
    await rig.sim.insert_coin(200)
    await credited(rig, 205)
    newest = max(record["seq"] for record in rig.api.records)
    await rig.sim.pull_lever()
    await rig.api.until_record("claim.opened", after=newest)
    await rig.settled()
    claims = (await rig.api.call("credit.show"))["claims"]
    await rig.sim.press_keys(f"#{claims[0]['code']}")
    await rig.api.until_record("claim.redeemed")
    await rig.sim.press_keys("A3")


async def coin_and_hopper(rig: Rig) -> None:
    """A coin on a ccTalk line; hoppers pay the change."""
    await rig.sim.insert_coin(200)
    await credited(rig, 200)
    await rig.sim.press_keys("A1")


PULSES: Final = 24
"""The pin on which coins are pulsed."""


async def _pulsed(rig: Rig, *values: int) -> None:
    """Put coins in that are told by pulses, and wait until the first one is being told."""
    rig.pulsed.put_in += values
    mark = await rig.sim.mark()
    for value in values:
        await rig.sim.insert_coin(value)
    await rig.sim.wait_for(pin=PULSES, since=mark)


def coins_on_record(rig: Rig) -> list[int]:
    """Return what each coin was worth that vendd has told of, in their order."""
    return [
        coin[1]
        for record in rig.api.records
        if record["type"] == "coins.deposited"
        for coin in record["data"]["coins"]
    ]


async def _heard(rig: Rig, *values: int) -> None:
    """Wait until they are credited, each as the coin that it is."""
    await credited(rig, sum(values))
    found = coins_on_record(rig)
    assert found == list(values), f"heard as {found}"
    rig.pulsed.safe = len(values)


async def pulsed_coins(rig: Rig) -> None:
    """Two coins pay what water costs."""
    await _pulsed(rig, 100, 50)
    await _heard(rig, 100, 50)
    await rig.sim.press_keys("A1")


async def pulsed_jam(rig: Rig) -> None:
    """A coin is told, and nothing falls; there are no coins to pay it back from."""
    await rig.sim.jam("B4")
    await _pulsed(rig, 50)
    await _heard(rig, 50)
    await rig.sim.press_keys("B4")


async def pulsed_meanwhile(rig: Rig) -> None:
    """A coin is being told while the one before it is spent."""
    await _pulsed(rig, 50)
    await _heard(rig, 50)
    await _pulsed(rig, 200)
    await rig.sim.press_keys("B4")
    await _heard(rig, 50, 200)
