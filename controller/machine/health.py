"""The health timer at work: what was too warm for too long is not sold, until it was served.

Its latch and its times are records. What is measured is judged by ``controller.domain.health``;
where nobody measured, the time counts as too warm if it is too warm now.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from controller.domain.climate import Thermometer
from controller.domain.health import HealthRule, due_s
from controller.faults import FaultCode
from controller.journal import records as rec
from controller.machine.desk import Desk
from controller.machine.inputs import CommandRefused
from controller.ports import DeviceName
from controller.saga import cards, escrow
from controller.state.climate import ColumnHealth

# So far below its limit (above, for hot food) a temperature sets the timer back: else a
# thermometer's last digit would write a record with every reading.
BACK_C: Final = 0.3
POWER_CUT: Final = "too warm after the power was away"
TOO_LONG: Final = "too warm for too long"
NOT_HOT: Final = "not hot enough for too long"
UNKNOWN: Final = "nobody can say how warm it was"


class HealthKeeping:
    """Looks after the columns that have a rule."""

    def __init__(self, desk: Desk) -> None:
        """Bind the desk."""
        self._desk = desk
        groups: defaultdict[tuple[str, float, bool], list[HealthRule]] = defaultdict(list)
        for rule in desk.health:
            groups[rule.sensor, rule.limit_c, rule.hot].append(rule)
        self._groups = [tuple(rules) for rules in groups.values()]

    def look(self, thermometers: Mapping[str, Thermometer], now: float) -> float:
        """Judge every column as of ``now``; return the next instant at which a timer runs out."""
        ends = [self._judge(rules, thermometers[rules[0].sensor], now) for rules in self._groups]
        return min(ends, default=float("inf"))

    def _judge(self, rules: tuple[HealthRule, ...], thermometer: Thermometer, now: float) -> float:
        """Judge the columns of one limit; return when the first of them runs out."""
        desk, known = self._desk, self._desk.state.climate.columns
        lost = thermometer.lost(now)
        if not thermometer.heard and not lost:
            return float("inf")  # not measured yet in this life
        celsius = thermometer.celsius(now)
        new = tuple(rule.column for rule in rules if rule.column not in known)
        if new:
            desk.write(rec.HealthServed(columns=new, cause="first_start"))
        rule = rules[0]
        if celsius is None or rule.wrong(celsius):
            # As of its last word: a turn may be late by as long as the disk took.
            self._warm(rules, round(thermometer.read_s * 1000), celsius)
            return self._run_out(rules, celsius, now)
        # Close to its limit it is right, too: that proves that a power cut did no harm.
        close = rule.wrong(celsius + (-BACK_C if rule.hot else BACK_C))
        stands = [r.column for r in rules if known[r.column].gap or not close]
        back = tuple(name for name in stands if _stands(known[name]))
        if back:
            desk.write(rec.HealthCooled(columns=back, celsius=celsius))
        return float("inf")  # no timer runs out on a good reading, close to the limit as it may be

    def _warm(self, rules: Iterable[HealthRule], read_ms: int, celsius: float | None) -> None:
        """Start the timers that don't run yet, each from when nobody can vouch for it."""
        desk, known = self._desk, self._desk.state.climate.columns
        lost = [r.column for r in rules if known[r.column].gap and not known[r.column].exceeded]
        self._exceed(lost, UNKNOWN if celsius is None else POWER_CUT, celsius)
        starting: defaultdict[int, list[str]] = defaultdict(list)
        for rule in rules:
            column = known[rule.column]
            if column.warm_ms is None:
                starting[read_ms if column.dark_ms is None else column.dark_ms].append(rule.column)
        for since_ms, columns in starting.items():
            desk.write(rec.HealthWarmed(columns=tuple(columns), since_ms=since_ms, celsius=celsius))

    def _run_out(self, rules: Iterable[HealthRule], celsius: float | None, now: float) -> float:
        known = self._desk.state.climate.columns
        over, following = [], float("inf")
        for rule in rules:
            column = known[rule.column]
            if column.warm_ms is None or column.exceeded:
                continue
            served = None if column.served_ms is None else column.served_ms / 1000
            end = due_s(rule, column.warm_ms / 1000, served)
            if now >= end:
                over.append(rule)
            else:
                following = min(following, end)
        if over:
            known_reason = NOT_HOT if over[0].hot else TOO_LONG
            reason = UNKNOWN if celsius is None else known_reason
            self._exceed([rule.column for rule in over], reason, celsius)
        return following

    def _exceed(self, columns: list[str], reason: str, celsius: float | None) -> None:
        if not columns:
            return
        desk = self._desk
        desk.write(rec.HealthExceeded(columns=tuple(columns), reason=reason, celsius=celsius))
        for column in columns:
            desk.raise_fault(column, FaultCode.HEALTH_EXCEEDED, reason)
        saga = desk.customer_saga()
        if saga is not None and saga.device and escrow.stacked_first(desk, DeviceName(saga.device)):
            cards.kept_still(desk)  # any other reader gives its money back behind VEND FAILURE


def _stands(column: ColumnHealth) -> bool:
    """Tell whether a good reading changes anything."""
    return column.gap or column.warm_ms is not None or column.dark_ms is not None


def serve(desk: Desk, column: str | None, by: str) -> dict[str, Any]:
    """Sell what the health timer held back: a technician has replaced it.

    Raises:
        CommandRefused: The named column is not held back.
    """
    held = desk.state.climate.unhealthy
    if column is not None and column not in held:
        raise CommandRefused(
            f"the health timer does not hold {column} back; it holds: {', '.join(held) or 'none'}"
        )
    columns = held if column is None else [column]
    if columns:
        desk.write(rec.HealthServed(columns=tuple(columns), by=by))
        for name in columns:
            desk.clear_fault(name, FaultCode.HEALTH_EXCEEDED, by)
    return {"served": columns, "held": desk.state.climate.unhealthy}
