"""Every failure as one table: failure × tender × phase -> what the customer gets, and what follows.

Data for people and for tests: ``docs/failures.md`` is drawn from it, and a test plays each cell on
the byte-real machine (``tests/failures``). The saga does not read it; it is what the saga must do.
The words are in ``failure_cells``, the rows by subject in ``failures_*``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from controller.saga import (
    failures_age,
    failures_baskets,
    failures_cash,
    failures_cctalk,
    failures_climate,
    failures_disk,
    failures_dispenser,
    failures_ends,
    failures_hours,
    failures_pulse,
    failures_reader,
    failures_readers,
    failures_recovery,
    failures_recycler,
    failures_revalue,
    failures_rights,
    failures_settings,
)
from controller.saga.failure_cells import Cell

PARTS: Final[Mapping[str, tuple[Cell, ...]]] = {
    "The dispenser": failures_dispenser.ROWS,
    "The card reader": failures_reader.ROWS,
    "Two card readers": failures_readers.ROWS,
    "Coins and bills": failures_cash.ROWS,
    "The bill recycler": failures_recycler.ROWS,
    "Cash devices on a ccTalk line": failures_cctalk.ROWS,
    "The pulse acceptor": failures_pulse.ROWS,
    "Tokens, free vends, app credit": failures_rights.ROWS,
    "Offers and free hours": failures_hours.ROWS,
    "Baskets": failures_baskets.ROWS,
    "Proof of age": failures_age.ROWS,
    "The journal's disk": failures_disk.ROWS,
    "Climate and health timer": failures_climate.ROWS,
    "Clock, keys, settings": failures_settings.ROWS,
    "The end of a life, and of the next one": failures_ends.ROWS,
    "A second failure, in recovery": failures_recovery.ROWS,
    "Cash for a card": failures_revalue.ROWS,
}

TABLE: Final[tuple[Cell, ...]] = tuple(cell for rows in PARTS.values() for cell in rows)
