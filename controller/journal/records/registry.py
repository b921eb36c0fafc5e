"""Every record type, and which model reads it."""

from __future__ import annotations

from typing import Final

from controller.journal.envelope import RecordData
from controller.journal.records import (
    age,
    cards,
    cash,
    claims,
    climate,
    config,
    devices,
    link,
    lives,
    orders,
    payouts,
    recycler,
    revalue,
    rights,
    service,
    vends,
)

ALL: Final[tuple[type[RecordData], ...]] = (
    *lives.ALL,
    *devices.ALL,
    *cash.ALL,
    *recycler.ALL,
    *vends.ALL,
    *cards.ALL,
    *payouts.ALL,
    *claims.ALL,
    *service.ALL,
    *link.ALL,
    *rights.ALL,
    *age.ALL,
    *climate.ALL,
    *config.ALL,
    *orders.ALL,
    *revalue.ALL,
)
REGISTRY: Final[dict[str, type[RecordData]]] = {model.type: model for model in ALL}
