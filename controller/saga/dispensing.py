"""A vend's turns: which column, once more or another one, and what a turn says of its column.

Whether the vend goes on, is settled or undone then, `controller.saga.vend` decides.
"""

from __future__ import annotations

from typing import Final

from controller.domain.stock import Refusal
from controller.faults import FaultCode
from controller.journal import records as rec
from controller.machine.desk import Desk
from controller.machine.effects import Turn
from controller.ports import DispenseOutcome
from controller.saga import rights
from controller.state.saga import Saga

# Why a column does not turn, as records have it.
DOOR: Final = "door open"
HEALTH: Final = "health timer"
OFF: Final = "column off"

_COLUMN_FAULTS: Final = {
    DispenseOutcome.JAMMED: FaultCode.COLUMN_JAMMED,
    DispenseOutcome.NO_START: FaultCode.COLUMN_NO_START,
    DispenseOutcome.NO_HOME: FaultCode.COLUMN_NO_HOME,
    DispenseOutcome.NOT_SEEN: FaultCode.COLUMN_NOT_SEEN,
    DispenseOutcome.EMPTY: FaultCode.COLUMN_EMPTY,
}


def turn(desk: Desk, saga: Saga, column: str, sensor: str, *, extra: bool) -> None:
    """Write that a column is to turn, and have it turned."""
    desk.write(
        rec.DispenseIntended(
            column=column, attempt=len(saga.turns) + 1, extra=extra, sensor=sensor
        ),
        saga.vend,
    )
    desk.do(Turn(saga.vend, column, extra))


def held_back(desk: Desk, saga: Saga, column: str) -> str:
    """Return why a column may not turn for a vend now, or an empty string.

    A vend may have waited for a card, a bill or the sensor since it was begun, and somebody may
    have opened the door since, or switched the column off. A technician's test turns all the same.
    """
    if saga.test:
        return ""
    if desk.live.door_open:
        return DOOR
    if column in desk.unhealthy:
        return HEALTH
    return OFF if desk.state.stock.of(column).disabled else ""


def next_column(desk: Desk, saga: Saga) -> str | None:
    """Return the column to turn: the reserved one, once more, then others of the product."""
    why = held_back(desk, saga, saga.column)
    if why == DOOR:
        return None
    if not saga.turns:
        return _another_column(desk, saga, {saga.column}) if why else saga.column
    column, outcome = saga.turns[-1]
    if not why and _deserves_another(desk, saga, column, outcome):
        return column
    if saga.test or outcome == DispenseOutcome.DOOR_OPENED:
        return None
    return _another_column(desk, saga, {c for c, _ in saga.turns})


def _another_column(desk: Desk, saga: Saga, tried: set[str]) -> str | None:
    """Return another column of the product that may sell."""
    candidates = rights.candidates(desk, saga.selection)
    if isinstance(candidates, Refusal):
        return None
    return next((c for c in candidates if c not in tried), None)


def _deserves_another(desk: Desk, saga: Saga, column: str, outcome: str) -> bool:
    """Tell whether a column is turned once more: nothing was seen to drop, the first time."""
    first = [c for c, _ in saga.turns].count(column) == 1
    may = column in desk.planogram.columns and desk.planogram.columns[column].extra_turn
    return outcome == DispenseOutcome.NOT_SEEN and first and may


def judge_turn(desk: Desk, saga: Saga, column: str, outcome: DispenseOutcome) -> None:
    """Draw the consequences of a turn: faults, columns off, what nobody saw."""
    if not _deserves_another(desk, saga, column, outcome):
        blame(desk, column, outcome)
    if outcome in (DispenseOutcome.UNKNOWN, DispenseOutcome.BLIND):
        if outcome is DispenseOutcome.BLIND:
            desk.raise_fault("sensor", FaultCode.SENSOR_BLIND)
        desk.flag("drop not known", saga.vend, saga.price)
        desk.write(rec.DispenseDecided(column=column, policy=desk.policy.on_unknown), saga.vend)


def blame(desk: Desk, column: str, outcome: DispenseOutcome) -> None:
    """A column that is at fault sells no more."""
    if outcome is DispenseOutcome.NOT_SEEN and _believed_empty(desk, column):
        outcome = DispenseOutcome.EMPTY  # what it was about to find out
    fault = _COLUMN_FAULTS.get(outcome)
    if fault is None:
        return
    desk.raise_fault(column, fault)
    before = desk.state.column_faults.get(column, 0)
    if outcome is not DispenseOutcome.EMPTY and before < desk.policy.column_retries:
        return
    if not desk.state.stock.of(column).disabled:
        desk.write(rec.ColumnDisabled(column=column, reason=fault.value))


def works_again(desk: Desk, column: str) -> None:
    """A column that was tried on has delivered: it is at fault no more."""
    for fault in _COLUMN_FAULTS.values():
        desk.clear_fault(column, fault)


def _believed_empty(desk: Desk, column: str) -> bool:
    """Tell whether a column that sells on has no product left by count."""
    found = desk.planogram.find(column)
    return found is not None and found.sells_on and not desk.state.stock.of(column).count
