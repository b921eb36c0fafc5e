"""The part of the fold that follows a lock, a notice and an update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from controller.journal import records as rec

if TYPE_CHECKING:
    from controller.journal.envelope import Record, RecordData
    from controller.state.state import State


@dataclass(slots=True)
class Lock:
    """Nothing is sold: who says so, why, since when (UTC label)."""

    by: str
    reason: str
    at_ms: int


@dataclass(slots=True)
class Shown:
    """A text on the idle display, and its end by both clocks."""

    text: str
    until_ms: int
    boot: int
    until_mono_ms: int


@dataclass(slots=True)
class Update:
    """A version that waits for a quiet moment, or is being handed over."""

    id: str
    version: str
    digest: str
    artefact: str
    expires_ms: int
    intended: bool = False


@dataclass(slots=True)
class Orders:
    """What the fleet has ordered and still holds."""

    lock: Lock | None = None
    shown: Shown | None = None
    update: Update | None = None


def _locked(s: State, r: Record, d: rec.MachineLocked) -> None:
    s.orders.lock = Lock(d.by, d.reason, r.at_ms)


def _unlocked(s: State, _r: Record, _d: rec.MachineUnlocked) -> None:
    s.orders.lock = None


def _shown(s: State, r: Record, d: rec.MessageShown) -> None:
    until = r.mono_ms + d.lives_ms
    s.orders.shown = Shown(d.text, d.until_ms, s.boot, until) if d.text else None


def _requested(s: State, _r: Record, d: rec.UpdateRequested) -> None:
    s.orders.update = Update(d.id, d.software, d.digest, d.artefact, d.expires_ms)


def _intended(s: State, _r: Record, d: rec.UpdateIntended) -> None:
    if s.orders.update is not None and s.orders.update.id == d.id:
        s.orders.update.intended = True


def _finished(s: State, _r: Record, d: rec.UpdateFinished) -> None:
    if s.orders.update is not None and s.orders.update.id == d.id:
        s.orders.update = None


FOLDS: Final[dict[type[RecordData], Callable[[State, Record, Any], None]]] = {
    rec.MachineLocked: _locked,
    rec.MachineUnlocked: _unlocked,
    rec.MessageShown: _shown,
    rec.UpdateRequested: _requested,
    rec.UpdateIntended: _intended,
    rec.UpdateFinished: _finished,
}
