"""Planted bugs that devices of other makers show: those that say little, or late."""

from __future__ import annotations

from typing import Any, Final

from drivers.mdb import changer
from drivers.mdb.changer import MdbChanger
from tests.mutants.planting import Mutant, Soil


def believe_that_a_payout_is_over_when_nothing_runs(soil: Soil) -> None:
    async def late_coins(changer: object, held: Any, lacks: object) -> Any:
        del changer, lacks
        return held

    soil.put(changer, "late_coins", late_coins)


def leave_a_changer_alone_that_lets_nothing_fall(soil: Soil) -> None:
    async def or_none(self: MdbChanger, evidence: Any, *others: object) -> Any:
        del self, others
        return evidence

    soil.put(MdbChanger, "_or_none", or_none)


MUTANTS: Final = (
    Mutant(
        "believe that a payout is over when nothing runs",
        believe_that_a_payout_is_over_when_nothing_runs,
        "changer",
    ),
    Mutant(
        "leave a changer alone that lets nothing fall",
        leave_a_changer_alone_that_lets_nothing_fall,
        "changer.stall",
    ),
)
