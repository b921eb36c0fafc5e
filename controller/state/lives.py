"""The part of the fold that follows the journal's beginning, starts and stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from controller.journal import records as rec

if TYPE_CHECKING:
    from controller.journal.envelope import Record, RecordData
    from controller.state.state import State


def _journal_begun(s: State, _r: Record, d: rec.JournalBegun) -> None:
    s.journal, s.machine, s.currency = d.journal, d.machine, d.currency
    s.remote.begun(replaces=d.previous is not None)
    s.previous, s.begun_with = d.previous, dict(d.inherited)


def _boot_started(s: State, r: Record, d: rec.BootStarted) -> None:
    cut = bool(s.system_boot) and s.system_boot != d.system_boot
    known = s.system_boot == d.system_boot  # the clock of before goes on
    s.climate.booted(r.mono_ms, s.mono_ms if known else None)
    s.config.booted(cut=cut)
    s.power_was_cut = cut
    if cut:
        s.power_boot = d.boot
    s.counters.power_cuts += cut
    s.boot, s.system_boot, s.recovered = d.boot, d.system_boot, False


def _boot_finished(s: State, _r: Record, _d: rec.BootFinished) -> None:
    s.recovered = True


def _stop_requested(s: State, _r: Record, _d: rec.StopRequested) -> None:
    s.config.stopped = True


FOLDS: Final[dict[type[RecordData], Callable[[State, Record, Any], None]]] = {
    rec.JournalBegun: _journal_begun,
    rec.BootStarted: _boot_started,
    rec.BootFinished: _boot_finished,
    rec.StopRequested: _stop_requested,
}
