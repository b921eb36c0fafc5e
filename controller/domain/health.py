"""The health timer: food that was too warm (or not hot enough) for too long is not sold.

Cold food is shut off when the cabinet is above 5 °C for more than 15 minutes, 30 right after it
was filled or served; hot food when it is below 57 °C for 120. It stays shut off, through a power
cut too, until a technician has served it. Source: Okla. Admin. Code 310:257-7-36, Minn. Rules
4626.0615. Pure; instants are monotonic seconds of one power-up.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HealthRule:
    """One column's limits.

    Args:
        column: Which.
        sensor: The thermometer that tells.
        limit_c: Where it begins to be too warm, or not hot enough.
        hot: Hot food: below the limit is wrong, not above.
        allowed_s: For so long it may be wrong.
        after_filling_s: And so long after a filling or a service.
    """

    column: str
    sensor: str
    limit_c: float
    hot: bool
    allowed_s: float
    after_filling_s: float

    def wrong(self, celsius: float) -> bool:
        """Tell whether a temperature lets the timer run."""
        return celsius < self.limit_c if self.hot else celsius > self.limit_c


def due_s(rule: HealthRule, wrong_since_s: float, served_s: float | None) -> float:
    """Return when the timer runs out.

    Args:
        rule: The limits.
        wrong_since_s: Since when the temperature has been wrong, or nobody can say what it is.
        served_s: When the column was last filled or the machine served; None: not in this power-up.
    """
    end = wrong_since_s + rule.allowed_s
    return end if served_s is None else max(end, served_s + rule.after_filling_s)
