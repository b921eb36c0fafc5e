"""Which cells of the failure table can come about on a machine, and how much each is wanted."""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import Final

from controller.saga import failures_cctalk, failures_hours, failures_pulse, failures_readers
from controller.saga.failure_cells import Cell
from controller.saga.failures import TABLE
from simulator.swarm.causes import CAUSES
from simulator.swarm.plan import Build

RARE: Final = 4.0  # only some machines can bring it about: wanted the more on those
SELDOM: Final = 2.5  # it takes a coincidence
IN_CLIMATE: Final = ("climate", "cabin")
ON_CCTALK: Final = frozenset(cell.failure for cell in failures_cctalk.ROWS)
OF_TWO_READERS: Final = frozenset(cell.failure for cell in failures_readers.ROWS)
OF_OFFERS: Final = frozenset(
    cell.failure for cell in failures_hours.ROWS if cell.failure != "motor jams"
)
BY_PULSES: Final = frozenset(cell.failure for cell in failures_pulse.ROWS)
WRAPS: Final = 240  # events from which on an acceptor's counter comes to 255 in a life


def marks(build: Build, cell: Cell) -> tuple[str, ...]:
    """Return those of a cell's marks that this machine's parts can bring about."""
    return tuple(mark for mark in CAUSES.get(cell.failure, ()) if _has(build, mark))


@lru_cache(maxsize=64)
def weights(build: Build) -> tuple[float, ...]:
    """Return how much each cell of the table is wanted on this machine, in the table's order."""
    return tuple(_weight(build, cell) for cell in TABLE)


@lru_cache(maxsize=64)
def odds(build: Build) -> tuple[float, ...]:
    """Return the same, each added to those before it: what ``random.choices`` draws by."""
    return tuple(accumulate(weights(build)))


def _has(build: Build, mark: str) -> bool:
    part, _, name = mark.partition(".")
    match part:
        case "changer":
            return not (build.cctalk or build.pulse)
        case "bill":
            return not build.cctalk and (build.recycler or not name.startswith("dispense_"))
        case "pulse":
            return build.pulse
        case "cctalk" | "acceptor" | "hopper3" | "billcc":
            return build.cctalk
        case "climate" if name in ("compressor_dead", "heater_dead"):
            return bool(build.cooled if name == "compressor_dead" else build.heated)
        case "climate" | "cabin":
            return bool(build.cooled or build.heated)
        case _:
            return True


def _weight(build: Build, cell: Cell) -> float:
    if not marks(build, cell) or not _pays(build, cell) or not _can(build, cell):
        return 0.0
    parts = {mark.partition(".")[0] for mark in CAUSES.get(cell.failure, ())}
    rare = (
        parts <= {"pulse", *IN_CLIMATE}
        or cell.failure in ON_CCTALK
        or cell.failure in BY_PULSES
        or cell.failure in OF_TWO_READERS
        or "recycler" in cell.failure
        or "age" in cell.failure.split()
        or cell.failure == "bill is stacked after power-up"
        or cell.failure in OF_OFFERS
        or cell.tender.name in ("TOKEN", "BASKET", "BILL_CARD", "REVALUE", "HOUR")
    )
    seldom = cell.phase.name in ("RECOVERY", "SETTLE") or cell.tender.name in ("CLAIM", "MIXED")
    return (RARE if rare else 1.0) * (SELDOM if seldom else 1.0)


def _pays(build: Build, cell: Cell) -> bool:
    """Tell whether somebody can pay so here."""
    match cell.tender.name:
        case "TOKEN":
            return build.tokens and not build.pulse
        case "BASKET":
            return build.basket
        case "HOUR":
            return build.brief
        case "REVALUE":
            return build.loads and build.load_limit > 0 and build.reader_level > 1
        case "BILL_CARD":
            return build.dear and build.escrow and build.bill_waits != "keep" and not build.cctalk
        case _:
            return True


def _fitted(build: Build, failure: str) -> bool:
    """Tell whether it has the devices of a ccTalk line, or of a pulse acceptor, that it takes."""
    if failure == "acceptor's counter begins again behind 255":
        return build.events >= WRAPS
    if failure in OF_TWO_READERS and not build.second_reader:
        return False
    if failure in OF_OFFERS and not build.brief:
        return False
    on_cctalk = failure not in ON_CCTALK or build.cctalk
    return on_cctalk and (failure not in BY_PULSES or build.pulse)


def _can(build: Build, cell: Cell) -> bool:
    """Tell whether this machine's devices and its owner's policies let it come to that."""
    failure = cell.failure
    if not _fitted(build, failure) or cell.link not in ("", build.link):
        return False
    if "age" in failure.split():
        able = build.checks_age or "can't check" in failure
        return build.flagged and able
    if failure == "column says that it is empty" and build.flagged:
        return False
    if failure == "bill is stacked after power-up":
        return build.escrow and build.bill_stacks_at_power_up and build.bill_waits != "keep"
    if failure.startswith("health timer"):
        return 0.0 < (build.cooled or build.heated) < 10.0
    if "recycler" in failure:
        return build.recycler
    if "whether it refunded" in failure:
        return build.reader_refunds and build.reader_level > 1
    if cell.phase.name == "RECOVERY" and cell.strategy.name != "NONE":
        return build.on_unknown == "refund"
    return True
