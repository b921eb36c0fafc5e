"""How one of two card readers fails while the other one has, or has not, the customer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from controller.ports import DeviceName
from controller.saga.failure_cells import Phase
from simulator.plan import WorldPlan
from simulator.truth import AuthState
from tests.failures.acts import Play
from tests.failures.breaking import Break, jams_for_a_refund, waits
from tests.scenarios.stage import with_mdb

OWN, OTHER = DeviceName.CASHLESS1.value, DeviceName.CASHLESS2.value
TWO: Final = with_mdb("cashless2", enabled=True)
LONG_S: Final = 60.0
TAKEN_S: Final = 5.0  # a session that came meanwhile has begun by then, and is given up again


def _told_apart(plan: WorldPlan) -> WorldPlan:
    readers = {
        name: replace(reader, serial=f"{number:012d}")
        for number, (name, reader) in enumerate(sorted(plan.readers.items()), 1)
    }
    return replace(plan, readers=readers)


def _asked(play: Play) -> list[str]:
    return [data.device for data in play.records("approval.requested")]


def _at_its_own(play: Play) -> bool:
    """Tell whether nobody but the reader that was asked has ever heard of the vend."""
    assert play.running is not None
    heard = {one.reader for one in play.world.truth.authorisations.values()}
    alone = play.running.machine.desk.live.session is None
    return _asked(play) == [OWN] and heard == {OWN} and alone


def _at_one(play: Play) -> bool:
    """Tell whether one of them was charged at most: the one whose card came last is asked anew."""
    cards = play.world.truth.authorisations.values()
    charged = [one.reader for one in cards if one.state is AuthState.CAPTURED]
    waited = play.cell.phase is Phase.APPROVAL
    asked = [OWN, OTHER] if waited else [OWN]
    return _asked(play) == asked and charged in ([], asked[-1:])


async def _is_over(play: Play) -> None:
    await waits(play)
    play.world.remove_card()
    await asyncio.sleep(TAKEN_S)
    await play.quiet()


def _beside(act: Callable[[Play], object]) -> Break:
    async def strike(play: Play) -> None:
        act(play)

    return Break(
        machine=TWO, plan=_told_apart, ready=jams_for_a_refund, strike=strike, ending=_is_over,
        sign=_at_its_own,
    )  # fmt: skip


def _fails(*faults: tuple[str, object], jam: bool = False) -> Break:
    broken = tuple((OWN, fault, value) for fault, value in faults)
    return Break(
        machine=TWO, plan=_told_apart, sign=_at_its_own,
        faults=(*broken, ("A3", "jam", True)) if jam else broken,
    )  # fmt: skip


def _falls_silent(moment: str, *, jam: bool = False) -> Break:
    return _fails(("dies_for_s", LONG_S), ("dies_at", moment), jam=jam)


READERS: Final[dict[str, Break]] = {
    "the other reader falls silent": _beside(lambda play: play.breaks(OTHER, "silent")),
    "the other reader resets": _beside(lambda play: play.world.reader(OTHER).self_reset()),
    "the other reader ends a session that it has not": _beside(
        lambda play: play.breaks(OTHER, "unasked_ends", 1)
    ),
    "a card comes to the other reader": replace(
        _beside(lambda play: play.world.present_card("prepaid", OTHER)), sign=_at_one
    ),
    "one of two readers falls silent when asked": _falls_silent("request"),
    "one of two readers falls silent when it has approved": _falls_silent("approval"),
    "one of two readers dies when told of success": _falls_silent("success"),
    "one of two readers falls silent when told of failure": _falls_silent("failure", jam=True),
    "one of two readers can't refund": _fails(("refund", "error"), jam=True),
}
