"""All that a configuration decides of what the brain does, as one value that can be exchanged.

What is wired, and whom the machine trusts, is no part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from controller.domain.climate import ClimatePlan
from controller.domain.health import HealthRule
from controller.domain.offers import Offers
from controller.domain.planogram import Planogram
from controller.domain.policy import Policy
from controller.journal.records import Shelf, Ware
from controller.panel.render import Renderer
from controller.state.config import Held


@dataclass(frozen=True, slots=True)
class Plan:
    """What holds, or is to hold."""

    planogram: Planogram  # list prices as configured, without those that were set since
    policy: Policy
    offers: Offers
    climate: ClimatePlan | None
    health: tuple[HealthRule, ...]
    renderer: Renderer
    state_s: float = 0.0  # between two words to the fleet about the machine's state


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is to be judged: a revision, or (revision 0) products and columns alone."""

    revision: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)  # its planogram included
    planogram: Mapping[str, Any] = field(default_factory=dict)  # of revision 0


@dataclass(frozen=True, slots=True)
class Judged:
    """How a machine would be with a proposal, or every mistake in it."""

    plan: Plan | None = None
    errors: tuple[str, ...] = ()
    products: dict[str, Ware] = field(default_factory=dict)
    columns: dict[str, Shelf] = field(default_factory=dict)


class Planner(Protocol):
    """Knows the machine's own file, and what becomes of it with something laid over it."""

    def plan(self, held: Held, prices: Mapping[str, int]) -> Plan:
        """Return the plan of a configuration that holds. Raises ConfigError."""
        ...

    async def judge(self, proposal: Proposal, held: Held, prices: Mapping[str, int]) -> Judged:
        """Judge a proposal over what holds; ``prices`` are those that were set by hand."""
        ...
