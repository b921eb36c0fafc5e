"""Stories of recovery: vendd was killed at a bad moment, and what is told is its next start.

The first kill comes before the story, so that the crash search cuts the recovery alone, at every
instant of it: a second kill, or a power cut, while vendd finds out what the first one left.
"""

from __future__ import annotations

from typing import Final

from controller.domain import accounts as acc
from simulator.story_kit import Story, coins
from simulator.whole import Whole


async def comes_back(machine: Whole) -> None:
    """Start vendd, and wait until nothing moves any more."""
    await machine.boot()
    await machine.sells()
    await machine.quiet()


async def _turns(machine: Whole, selection: str) -> None:
    """Wait until the column's motor is on."""
    (motor,) = (c.motor for c in machine.settings.columns if c.selection == selection)
    assert motor.type == "direct", "its pin is its own"
    await machine.until(lambda: motor.pin.number in machine.world.board.outputs_on())


async def _killed_in_dispense(machine: Whole) -> None:
    """The motor turns, nothing has fallen yet."""
    await coins(machine, 100, 50)
    machine.world.press_keys("A1")
    await _turns(machine, "A1")
    await machine.kill()


async def _killed_at_the_drop(machine: Whole) -> None:
    """The product has fallen; neither the sale nor the change is written down."""
    await coins(machine, 200)
    machine.world.press_keys("A1")
    await _turns(machine, "A1")
    await machine.until(lambda: bool(machine.world.truth.account().products))
    assert machine.state.sagas, "vendd has not heard of it"
    await machine.kill()


async def _killed_in_payout(machine: Whole) -> None:
    """Some coins of the change have fallen; the changer goes on by itself."""
    machine.world.insert_bill(500)
    await machine.until(lambda: machine.state.credit.total == 500)
    there = machine.physical()[acc.CASH_TUBES]
    machine.world.press_keys("A1")
    await machine.until(lambda: machine.physical()[acc.CASH_TUBES] < there)
    assert "payout" in machine.unfinished
    await machine.kill()


async def _killed_with_a_card(machine: Whole) -> None:
    """A card was approved, and the motor turns for it."""
    machine.world.press_keys("A3")
    await machine.until(lambda: "Hold your card" in machine.screen)
    await machine.until(lambda: machine.world.present_card("card"))
    await _turns(machine, "A3")
    await machine.kill()


RECOVERIES: Final = (
    Story("killed in dispense", comes_back, before=_killed_in_dispense),
    Story("killed at the drop", comes_back, "water", 150, before=_killed_at_the_drop),
    Story("killed in payout", comes_back, "water", 150, before=_killed_in_payout),
    Story("killed with a card", comes_back, before=_killed_with_a_card),
)
