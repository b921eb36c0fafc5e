"""What the fold knows of the configuration that came from afar, on trial or good, and of the last.

A column's price is that of ``State.prices`` where somebody set it since, else of ``shelves``, else
of the machine's own file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from controller.domain.planogram import Planogram
from controller.journal import records as rec
from controller.journal.envelope import Record, RecordData

if TYPE_CHECKING:
    from controller.state.state import State

PLANOGRAM: Final = "planogram"
STARTS_MAX: Final = 3  # on trial: one that takes the power with it each time is no good either


@dataclass(slots=True)
class Shelf:
    """What a column holds."""

    product: str
    price: int
    capacity: int
    revision: int = 0  # that said so; 0: a command did


@dataclass(slots=True)
class Ware:
    """A product."""

    name: str
    price: int | None = None
    sold_out: str = "product"
    min_age: int = 0
    revision: int = 0


@dataclass(slots=True)
class Held:
    """A configuration that holds, or held before the one on trial."""

    revision: int = 0  # 0: the machine's own file
    digest: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    products: dict[str, Ware] = field(default_factory=dict)
    shelves: dict[str, Shelf] = field(default_factory=dict)
    wanted: dict[str, Shelf] = field(default_factory=dict)  # what the revision says of columns
    touched: dict[str, str] = field(default_factory=dict)  # column -> who changed it since
    prices: dict[str, int] = field(default_factory=dict)  # State.prices, while it is the last good


@dataclass(slots=True)
class Configuration:
    """What holds, and how the newest revision fared."""

    held: Held = field(default_factory=Held)
    good: Held | None = None  # what holds again if ``held``, on trial, is no good
    starts: int = 0  # of vendd since ``held`` is on trial
    died: int = 0  # lives that ended on trial neither by a stop nor with the power
    stopped: bool = False
    seen: int = 0  # the newest revision that was judged
    seen_digest: str = ""
    outcome: str = ""  # "", "applied", "refused" or "rolled_back"
    errors: list[str] = field(default_factory=list)
    changes: int = 0  # counts what may make another judgement necessary

    @property
    def trial(self) -> bool:
        """Tell whether what holds has not been found to be good yet."""
        return self.good is not None

    def failed(self) -> str:
        """Return why what is on trial is to be taken back at this start; "": it is not."""
        if not self.trial:
            return ""
        if self.died:
            return "vendd died before it was found to be good"
        if self.starts >= STARTS_MAX:
            return f"not found to be good in {self.starts} starts"
        return ""

    def booted(self, *, cut: bool) -> None:
        """Take in that vendd starts; ``cut``: after a power cut."""
        if self.trial:
            self.starts += 1
            self.died += not (cut or self.stopped)
        self.stopped = False


def laid(
    held: Held,
    products: Mapping[str, rec.Ware],
    columns: Mapping[str, rec.Shelf],
    revision: int,
) -> tuple[dict[str, Ware], dict[str, Shelf]]:
    """Return products and shelves with others laid over them.

    A revision says all that revisions say: what an older one said of other columns is gone.
    """
    wares = dict(held.products)
    shelves = dict(held.shelves)
    if revision:
        wares = {name: ware for name, ware in wares.items() if not ware.revision}
        shelves = {name: shelf for name, shelf in shelves.items() if not shelf.revision}
    for name, ware in products.items():
        wares[name] = Ware(ware.name, ware.price, ware.sold_out, ware.min_age, revision)
    for name, shelf in columns.items():
        shelves[name] = Shelf(shelf.product, shelf.price, shelf.capacity, revision)
    return wares, shelves


def _planogram_applied(s: State, _: Record, d: rec.PlanogramApplied) -> None:
    config = s.config
    for held in (config.held, config.good):
        if held is not None:
            held.products, held.shelves = laid(held, d.products, d.columns, 0)
            held.touched |= {name: d.by for name in d.columns if name in held.wanted}
    for name in d.columns:
        s.prices.pop(name, None)
        if config.good is not None:
            config.good.prices.pop(name, None)
    config.changes += 1


def _config_applied(s: State, _: Record, d: rec.ConfigApplied) -> None:
    config = s.config
    if config.good is None:
        config.good = config.held
        config.good.prices = dict(s.prices)
    products, shelves = laid(config.held, d.products, d.columns, d.revision)
    wanted = {
        name: Shelf(one.product, one.price, one.capacity, d.revision)
        for name, one in d.columns.items()
    }
    config.held = Held(d.revision, d.digest, dict(d.settings), products, shelves, wanted)
    for name in d.columns:
        s.prices.pop(name, None)
    config.starts, config.died, config.stopped = 0, 0, False
    _seen(config, d.revision, d.digest, "applied", ())


def _config_confirmed(s: State, _r: Record, _d: rec.ConfigConfirmed) -> None:
    s.config.good = None
    s.config.starts = s.config.died = 0


def _config_refused(s: State, _: Record, d: rec.ConfigRefused) -> None:
    _seen(s.config, d.revision, d.digest, "refused", d.reasons)


def _config_rolled_back(s: State, _: Record, d: rec.ConfigRolledBack) -> None:
    config = s.config
    config.held = config.good or Held()
    if config.good is not None:
        s.prices = config.held.prices
        config.held.prices = {}
    config.good = None
    config.starts = config.died = 0
    _seen(config, d.revision, config.seen_digest, "rolled_back", (d.reason,))


def _seen(
    config: Configuration, revision: int, digest: str, outcome: str, errors: tuple[str, ...]
) -> None:
    config.seen, config.seen_digest = max(config.seen, revision), digest
    config.outcome, config.errors = outcome, list(errors)
    config.changes += 1


def drift(held: Held, planogram: Planogram) -> dict[str, dict[str, Any]]:
    """Return what differs from what the revision that holds says of columns, by key."""
    found: dict[str, dict[str, Any]] = {}
    for name, wanted in held.wanted.items():
        column = planogram.find(name)
        if column is None:
            continue  # the machine's own file has lost it
        there = {
            "product": column.product,
            "price": column.price + column.discount,
            "capacity": column.capacity,
        }
        for what, value in there.items():
            if value != getattr(wanted, what):
                found[f"{PLANOGRAM}.columns.{name}.{what}"] = {
                    "wanted": getattr(wanted, what),
                    "found": value,
                    "by": held.touched.get(name, ""),
                }
    return found


def price_set(config: Configuration, column: str, price: int, by: str) -> None:
    """Take in a price that somebody set."""
    for held in (config.held, config.good):
        if held is not None and column in held.wanted:
            held.touched[column] = by
    if config.good is not None:
        config.good.prices[column] = price
    config.changes += 1


_Fold = Callable[["State", Record, Any], None]
FOLDS: Final[dict[type[RecordData], _Fold]] = {
    rec.PlanogramApplied: _planogram_applied,
    rec.ConfigApplied: _config_applied,
    rec.ConfigConfirmed: _config_confirmed,
    rec.ConfigRefused: _config_refused,
    rec.ConfigRolledBack: _config_rolled_back,
}
