"""Records of staff: stock, prices, columns, service, and whatever else they did."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from pydantic import Field

from controller.journal.envelope import RecordData


class StockSet(RecordData):
    """A column's count as somebody says it is."""

    type: ClassVar[str] = "stock.set"
    column: str
    count: int
    before: int
    cause: Literal["opening", "fill", "set"] = "set"
    by: str = ""


class PriceSet(RecordData):
    """A column's price, from now on."""

    type: ClassVar[str] = "price.set"
    column: str
    price: int
    before: int
    by: str = ""


class ColumnEnabled(RecordData):
    """A column sells again."""

    type: ClassVar[str] = "column.enabled"
    column: str
    by: str = ""


class ColumnDisabled(RecordData):
    """A column is off."""

    type: ClassVar[str] = "column.disabled"
    column: str
    reason: str
    by: str = ""


class ServiceEntered(RecordData):
    """A technician took the machine out of sale."""

    type: ClassVar[str] = "service.entered"
    by: str


class ServiceLeft(RecordData):
    """And gave it back."""

    type: ClassVar[str] = "service.left"
    by: str


class OperatorActed(RecordData):
    """Any acting call that changes nothing above: who, what, with which arguments."""

    type: ClassVar[str] = "operator.acted"
    by: str
    what: str
    arguments: dict[str, object] = Field(default_factory=dict)


ALL: Final[tuple[type[RecordData], ...]] = (
    StockSet,
    PriceSet,
    ColumnEnabled,
    ColumnDisabled,
    ServiceEntered,
    ServiceLeft,
    OperatorActed,
)
