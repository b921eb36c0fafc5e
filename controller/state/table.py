"""Which part of the fold takes in which record, as data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from controller.state import (
    cards,
    cash,
    claims,
    climate,
    config,
    devices,
    lives,
    orders,
    payouts,
    remote,
    revalue,
    rights,
    service,
    vends,
)

if TYPE_CHECKING:
    from controller.journal.envelope import Record
    from controller.state.state import State

_PARTS: Final = (
    lives, devices, cash, vends, cards, payouts, claims, rights, service, climate, config, orders,
    remote, revalue,
)  # fmt: skip
FOLDS: Final[dict[str, Callable[[State, Record, Any], None]]] = {
    model.type: fold for part in _PARTS for model, fold in part.FOLDS.items()
}
