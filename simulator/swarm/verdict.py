"""What a life came to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from simulator.swarm.plan import Life


@dataclass(slots=True)
class Verdict:
    """What a life came to."""

    life: Life
    findings: list[str] = field(default_factory=list)
    broke: bool = False  # an exception spoke, no oracle
    step: int = 0  # the number of the step that was judged last
    customers: int = 0
    vends: int = 0
    boots: int = 0
    records: int = 0
    virtual_s: float = 0.0
    trace: str = ""
    hits: dict[str, int] = field(default_factory=dict)
    cells: Counter[str] = field(default_factory=Counter)  # of the failure table
    journal: list[str] = field(default_factory=list)  # the tail, when something is wrong
    truth: list[str] = field(default_factory=list)
