"""Records of the configuration that came from afar: what was applied, refused, and taken back.

What holds is in the journal alone, with the record that made it so: there is no file beside it that
could be half written, older or newer. ``products`` and ``columns`` are as they hold from then on.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from controller.journal.envelope import RecordData


class Ware(BaseModel):
    """A product that the machine's own file does not have, or has otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    price: int | None = None  # of its columns that name none
    sold_out: Literal["product", "column"] = "product"
    min_age: int = 0


class Shelf(BaseModel):
    """What a column holds, at which price."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    product: str
    price: int
    capacity: int


class PlanogramApplied(RecordData):
    """Products and columns, changed as one."""

    type: ClassVar[str] = "planogram.applied"
    products: dict[str, Ware] = Field(default_factory=dict)
    columns: dict[str, Shelf]
    by: str = ""


class ConfigApplied(RecordData):
    """A revision of the fleet's configuration holds from now on, first of all on trial."""

    type: ClassVar[str] = "config.applied"
    revision: int
    digest: str  # of its settings, SHA-256, hex
    settings: dict[str, object]  # what lies over the machine's own file
    products: dict[str, Ware] = Field(default_factory=dict)
    columns: dict[str, Shelf] = Field(default_factory=dict)  # those that it names
    others: dict[str, Shelf] = Field(default_factory=dict)  # that an older one named: as they hold
    by: str = ""


class ConfigConfirmed(RecordData):
    """The machine has worked with it for a while: it is the last good one now."""

    type: ClassVar[str] = "config.confirmed"
    revision: int


class ConfigRefused(RecordData):
    """A revision that this machine does not take; the one before stands."""

    type: ClassVar[str] = "config.refused"
    revision: int
    digest: str
    reasons: tuple[str, ...]
    by: str = ""


class ConfigRolledBack(RecordData):
    """The machine could not work with a revision: the last good one holds again."""

    type: ClassVar[str] = "config.rolled_back"
    revision: int
    to: int  # 0: the machine's own file
    reason: str
    columns: dict[str, Shelf] = Field(default_factory=dict)  # as they hold now, where they differ


ALL: Final[tuple[type[RecordData], ...]] = (
    PlanogramApplied,
    ConfigApplied,
    ConfigConfirmed,
    ConfigRefused,
    ConfigRolledBack,
)
