"""The oracle of the health timer, against how warm the air really was.

Nothing that was too warm for too long leaves its column for a customer, and nothing is held back
that was not too warm, or of which somebody could say how warm it was.
"""

from __future__ import annotations

from typing import Final

from controller.climate_plan import health_rules
from controller.domain.health import HealthRule, due_s
from controller.journal import records as rec
from controller.journal.envelope import Record
from controller.machine.health import UNKNOWN
from simulator.swarm.evidence import Evidence
from simulator.swarm.troubles import Excuse
from simulator.thermal import Span
from simulator.truth import BIN, Fact
from simulator.truth import column as column_place
from simulator.whole import Whole

# A reading is some seconds old, a card's approval and two turns take their time.
SLACK_S: Final = 30.0
STALE_S: Final = 7.0  # the air may have cooled since the last reading
SURELY_C: Final = 1.0  # beyond its limit: no thermometer could take it for right
LATE_S: Final = 12.0  # two rounds of readings: the one that told, and the one that never came


class HealthOracle:
    """Watches the columns under the health timer."""

    def __init__(self, machine: Whole, rules: tuple[HealthRule, ...]) -> None:
        """Watch the air from now on."""
        self._machine = machine
        assert machine.world.cabin is not None, "a rule has a thermometer"
        self._cabin = machine.world.cabin
        self._rules = {rule.column: rule for rule in rules}
        self._spans: dict[str, Span] = {
            rule.column: self._cabin.watch(rule.limit_c, hot=rule.hot) for rule in rules
        }
        self._attended = machine.loop.time()
        self._served: dict[str, float] = {}  # when each column was, by the records
        self._began_s = float("-inf")  # this life, on record
        self._blind_s = float("-inf")  # until when the thermometers could not be believed
        self._held: set[str] = set()
        self._power_up = ""
        self._gone_off: set[str] = set()  # too warm when the power came back, and not served since

    @classmethod
    def of(cls, machine: Whole) -> HealthOracle | None:
        """Return the oracle of a machine, None where there is nothing to watch."""
        rules = health_rules(machine.settings)
        return cls(machine, rules) if rules else None

    def attended(self) -> None:
        """A technician was there: what is inside is fresh."""
        self._attended = self._machine.loop.time()
        self._gone_off.clear()

    def fact(self, fact: Fact, evidence: Evidence) -> None:
        """Judge a product that leaves its column."""
        if fact.what != "moved" or f"-> {BIN}" not in fact.detail:
            return
        now = self._machine.loop.time()
        for name, rule in self._rules.items():
            if f"{column_place(name)} ->" not in fact.detail:
                continue
            self._settle()
            since = self._spans[name].since_s
            if name in self._gone_off and not evidence.excused(Excuse.WARM):
                evidence.findings.append(f"{name} was sold, and was too warm after a power cut")
            if since is None or evidence.excused(Excuse.WARM):
                return
            late = now - due_s(rule, max(since, self._blind_s), self._attended)
            # A turn waits for its intent, which a slow disk has behind the commit before it.
            if late > SLACK_S + 2.0 * evidence.slowest_commit_s():
                evidence.findings.append(
                    f"{name} was sold {late:.0f} s after its health timer should have run out"
                )

    def record(self, record: Record, evidence: Evidence) -> None:
        """Judge a column that is held back, and a turn of one that is."""
        match record.data:
            case rec.HealthExceeded() as exceeded:
                self._held.update(exceeded.columns)
                self._judge(exceeded, record.mono_ms / 1_000, evidence)
            case rec.BootStarted(system_boot=power_up):
                self._started(power_up, evidence)
            case rec.HealthServed(columns=columns):
                self._served.update(dict.fromkeys(columns, self._machine.loop.time()))
                self._gone_off.difference_update(columns)
                self._held.difference_update(columns)
            case rec.ServiceEntered() | rec.ServiceLeft() if _visited(evidence):
                self._attended = self._machine.loop.time()  # for half a second, even
            case rec.DispenseIntended(column=column) if column in self._held:
                evidence.findings.append(f"{column} turns, and it is held back")
            case _:
                pass

    def _started(self, power_up: str, evidence: Evidence) -> None:
        """Nobody knows how long the power was away: what is too warm now, was so for too long."""
        self._began_s = self._machine.loop.time()
        again, self._power_up = power_up != self._power_up and bool(self._power_up), power_up
        if not again or evidence.excused(Excuse.WARM):
            return
        celsius = self._cabin.celsius
        for name, rule in self._rules.items():
            beyond = rule.limit_c - celsius if rule.hot else celsius - rule.limit_c
            if beyond > SURELY_C:
                self._gone_off.add(name)

    def _judge(self, data: rec.HealthExceeded, decided_s: float, evidence: Evidence) -> None:
        self._settle()
        now = self._machine.loop.time()
        # Behind a slow disk a reading waits for the commit before its own, which took as long.
        stale_s = STALE_S + 2.0 * (now - decided_s)
        blind = data.reason == UNKNOWN and now - self._blind_s <= stale_s  # as somebody before left
        if blind or evidence.excused(Excuse.WARM):
            return
        for name in data.columns:
            span = self._spans[name]
            late_s = self._late_s(name, decided_s, evidence)
            if late_s > 0:
                evidence.findings.append(
                    f"{name} is held back {late_s:.0f} s later than its health timer allows"
                )
            if data.reason == UNKNOWN:
                evidence.findings.append(f"{name} is held back, and its thermometer works")
            elif span.since_s is None and now - span.ended_s > stale_s and not self._was_due(name):
                evidence.findings.append(f"{name} is held back, and it was never too warm")

    def check(self, evidence: Evidence) -> list[str]:
        """Return which columns should be held back by now, whether anybody wanted them or not."""
        self._settle()
        now = self._machine.loop.time()
        if evidence.excused(Excuse.WARM):
            self._blind_s = now
        return [
            f"{name} has been too warm for too long, and is not held back"
            for name in self._rules
            if name not in self._held and self._late_s(name, now, evidence) > 0
        ]

    def _late_s(self, name: str, now: float, evidence: Evidence) -> float:
        """Return for how long a column should have been held back, beyond what readings take."""
        since = self._spans[name].since_s
        if since is None or evidence.excused(Excuse.WARM):
            return 0.0
        served = max(self._attended, self._served.get(name, 0.0))
        due = max(due_s(self._rules[name], max(since, self._blind_s), served), self._began_s)
        return max(0.0, now - due - LATE_S - 2.0 * evidence.slowest_commit_s())

    def _was_due(self, name: str) -> bool:
        """Tell whether its timer ran out before the air was cold again; that stays so."""
        span = self._spans[name]
        return span.ended_s >= due_s(self._rules[name], span.began_s, self._attended)

    def _settle(self) -> None:
        """Bring the air to now."""
        _ = self._cabin.celsius


def _visited(evidence: Evidence) -> bool:
    """Tell whether somebody truly came to serve it; whole visits are told of (``attended``)."""
    return any((one.part, one.name) == ("config", "service") for one in evidence.struck)
