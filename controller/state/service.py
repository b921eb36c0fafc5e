"""The part of the fold that follows staff: stock, prices, columns, service."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from controller.journal import records as rec
from controller.state import config

if TYPE_CHECKING:
    from controller.journal.envelope import Record, RecordData
    from controller.state.state import State


def _stock_set(s: State, r: Record, d: rec.StockSet) -> None:
    s.stock_known = True
    s.stock.set(d.column, d.count)
    if d.cause == "fill":
        s.climate.attended(r.mono_ms, d.column)


def _price_set(s: State, _r: Record, d: rec.PriceSet) -> None:
    s.prices[d.column] = d.price
    config.price_set(s.config, d.column, d.price, d.by)


def _column_enabled(s: State, _r: Record, d: rec.ColumnEnabled) -> None:
    s.stock.enable(d.column)
    s.failures.pop(d.column, None)
    s.column_faults.pop(d.column, None)


def _column_disabled(s: State, _r: Record, d: rec.ColumnDisabled) -> None:
    s.stock.disable(d.column, d.reason)


def _service_entered(s: State, r: Record, d: rec.ServiceEntered) -> None:
    s.service_by = d.by or "staff"
    s.climate.attended(r.mono_ms)


def _service_left(s: State, r: Record, _d: rec.ServiceLeft) -> None:
    s.service_by = ""
    s.climate.attended(r.mono_ms)
    s.failures_machine = 0  # a technician has looked


FOLDS: Final[dict[type[RecordData], Callable[[State, Record, Any], None]]] = {
    rec.StockSet: _stock_set,
    rec.PriceSet: _price_set,
    rec.ColumnEnabled: _column_enabled,
    rec.ColumnDisabled: _column_disabled,
    rec.ServiceEntered: _service_entered,
    rec.ServiceLeft: _service_left,
}
