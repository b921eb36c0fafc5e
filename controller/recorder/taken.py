"""An input that the brain has taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from controller.journal.envelope import Record
from controller.machine.effects import Effect
from controller.machine.inputs import Input
from controller.machine.table import Mode


@dataclass(frozen=True, slots=True)
class Taken:
    """One input, and what the brain made of it."""

    at_s: float
    wall: datetime
    item: Input
    written: tuple[Record, ...]
    effects: tuple[Effect, ...]
    mode: Mode
    codes: tuple[tuple[int, int, str], ...] = ()  # claims: (seq, amount, code)
