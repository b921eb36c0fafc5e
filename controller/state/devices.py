"""The part of the fold that follows devices, faults and what a person should look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from controller.journal import records as rec

if TYPE_CHECKING:
    from controller.journal.envelope import Record, RecordData
    from controller.state.state import State


def _device_identified(s: State, _r: Record, d: rec.DeviceIdentified) -> None:
    s.devices[d.device] = dict(d.info)


def _device_noted(s: State, _r: Record, d: rec.DeviceNoted) -> None:
    s.last_answers[d.device] = d.answer


def _fault_raised(s: State, _r: Record, d: rec.FaultRaised) -> None:
    s.faults[f"{d.part} {d.code}"] = d.detail


def _fault_cleared(s: State, _r: Record, d: rec.FaultCleared) -> None:
    s.faults.pop(f"{d.part} {d.code}", None)


def _review_flagged(s: State, r: Record, d: rec.ReviewFlagged) -> None:
    s.counters.flagged += 1
    if r.vend is not None and r.vend in s.sagas:
        s.sagas[r.vend].flags.append(d.reason)


FOLDS: Final[dict[type[RecordData], Callable[[State, Record, Any], None]]] = {
    rec.DeviceIdentified: _device_identified,
    rec.DeviceNoted: _device_noted,
    rec.FaultRaised: _fault_raised,
    rec.FaultCleared: _fault_cleared,
    rec.ReviewFlagged: _review_flagged,
}
