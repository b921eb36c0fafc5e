"""Planted bugs against what is counted in a row, and what a turn leaves open."""

from __future__ import annotations

from typing import Any, Final

from controller.faults import FaultCode
from controller.journal import records as rec
from controller.ports import DispenseOutcome
from controller.saga import dispensing
from controller.state import state, table
from controller.state.state import State
from tests.mutants.planting import Mutant, Soil


def turn_the_machine_off_for_refunds_between_sales(soil: Soil) -> None:
    """A sale ends the row of its column, and not the machine's."""
    folds = table.FOLDS
    real = folds[rec.VendClosed.type]

    def closed(s: State, r: Any, d: Any) -> None:
        failed = s.failures_machine
        real(s, r, d)
        s.failures_machine = max(failed, s.failures_machine)

    soil.put(state, "FOLDS", {**folds, rec.VendClosed.type: closed})


def refund_a_turn_whose_end_nobody_saw_without_a_word(soil: Soil) -> None:
    """A sensor that went blind while the motor turned is taken for one that was blind before."""

    def make(real: Any) -> Any:
        def judged(desk: Any, saga: Any, column: str, outcome: DispenseOutcome) -> None:
            if outcome is DispenseOutcome.BLIND and len(saga.turns) == 1:
                desk.raise_fault("sensor", FaultCode.SENSOR_BLIND)
                refused = rec.DispenseRefused(column=column, reason="sensor blind")
                desk.write(refused, saga.vend)
            else:
                real(desk, saga, column, outcome)

        return judged

    soil.wrap(dispensing, "judge_turn", make)


MUTANTS: Final = (
    Mutant(
        "turn the machine off for refunds between sales",
        turn_the_machine_off_for_refunds_between_sales,
    ),
    Mutant(
        "refund a turn whose end nobody saw without a word",
        refund_a_turn_whose_end_nobody_saw_without_a_word,
    ),
)
