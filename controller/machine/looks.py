"""Looks that are taken at the machine's own parts: a motor's test, the drop sensor, the disk."""

from __future__ import annotations

from typing import Any, Final

from controller.faults import FaultCode
from controller.journal import records as rec
from controller.machine import effects as fx
from controller.machine.desk import Desk
from controller.ports import DispenseOutcome, DispenseResult, SensorCheck
from controller.saga import recovery as boot

DISK_RETRY_S: Final = 60.0  # between two looks for room on a full disk


def taken(desk: Desk, recovery: boot.Recovery | None, effect: fx.Effect, result: Any) -> None:
    """Take in what a look has found that belongs to no vend."""
    match effect:
        case fx.CheckSensor():
            _sensor_rechecked(desk, recovery, result)
        case fx.Turn(column=column):
            _motor_tested(desk, column, result)
        case _:
            _disk_looked_at(desk)


def _motor_tested(desk: Desk, column: str, result: DispenseResult | fx.Failed) -> None:
    answer: dict[str, Any]
    if isinstance(result, fx.Failed):
        answer = {"column": column, "outcome": "unknown", "detail": result.detail}
    else:
        answer = {
            "column": column,
            "outcome": result.outcome.value,
            "drops": result.drops,
            "run_ms": round(result.run_s * 1000),
            "detail": result.detail,
        }
    # As in a vend: what nobody saw counts as gone, rather than to sell what may not be there.
    if gone := _left(result):
        before = desk.state.stock.of(column).count
        after = max(0, before - gone)
        desk.write(rec.StockSet(column=column, count=after, before=before, by="motor test"))
    desk.answer("motor", answer)


def _left(result: DispenseResult | fx.Failed) -> int:
    """Return how many products a test has taken out of its column, as far as anybody can say."""
    if isinstance(result, fx.Failed):
        return int(result.unknown)
    unseen = result.outcome in (DispenseOutcome.UNKNOWN, DispenseOutcome.BLIND)
    return result.drops or int(unseen and result.run_s > 0)


def _sensor_rechecked(
    desk: Desk, recovery: boot.Recovery | None, result: SensorCheck | fx.Failed
) -> None:
    if isinstance(result, SensorCheck) and result is not SensorCheck.BLIND:
        desk.clear_fault("sensor", FaultCode.SENSOR_BLIND)
    elif recovery is not None and recovery.by_latch:
        boot.latch_doubted(desk, recovery)


def _disk_looked_at(desk: Desk) -> None:
    if desk.journal.disk_full:
        desk.do(fx.Wake("disk", DISK_RETRY_S))
    else:
        desk.clear_fault("journal", FaultCode.JOURNAL_FULL)
