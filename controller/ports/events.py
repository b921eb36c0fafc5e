"""What is reported to the controller, and where it is put."""

from __future__ import annotations

from asyncio import Future
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from controller.faults import FaultCode
from controller.ports.bills import BillInfo, BillsReport
from controller.ports.cards import (
    LateApprovalReport,
    ReaderInfo,
    RefundErrorReport,
    RequestGivenUpReport,
    RevalueReport,
)
from controller.ports.coins import ChangerInfo, CoinsReport
from controller.ports.devices import DeviceName

MoneyReport = (
    CoinsReport | BillsReport | RefundErrorReport | LateApprovalReport | RequestGivenUpReport
    | RevalueReport
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeviceReady:
    """A device has been initialised (again) and works; ``info`` is journaled if it changed."""

    device: DeviceName
    info: ChangerInfo | BillInfo | ReaderInfo


@dataclass(frozen=True, slots=True)
class DeviceLost:
    """A device has been silent for its non-response time."""

    device: DeviceName


@dataclass(frozen=True, slots=True)
class DeviceWasReset:
    """A device reported JUST RESET that nobody here asked for."""

    device: DeviceName


@dataclass(frozen=True, slots=True)
class DeviceRestarts:
    """We are about to RESET a device that is out of step: it is of no use until it is ready.

    Whoever asked it now would leave a request on record that its next JUST RESET makes doubtful.
    """

    device: DeviceName


@dataclass(frozen=True, slots=True)
class FaultRaised:
    """Something is wrong with a part; raised once per cause."""

    part: str  # a DeviceName, a column ("A1"), "door", "sensor", ...
    code: FaultCode
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FaultCleared:
    """The cause is gone."""

    part: str
    code: FaultCode


@dataclass(frozen=True, slots=True)
class TubesTouched:
    """The changer says that its tubes hold something else than it told of by deposits."""

    device: DeviceName


@dataclass(frozen=True, slots=True)
class EscrowLever:
    """The customer pressed the coin return lever (or its button)."""

    device: DeviceName


@dataclass(frozen=True, slots=True)
class EscrowEmpty:
    """The validator says that no bill is in its escrow: it was told what to do with one."""

    device: DeviceName


@dataclass(frozen=True, slots=True)
class SessionBegun:
    """A card was presented. ``funds`` is None when unknown or not to be shown.

    Never refuse a selection for low funds: the reader decides (MDB/ICP 4.2, section 7).
    """

    device: DeviceName
    funds: int | None
    language: str = ""
    refundable: bool | None = None  # the card's own word, overrides the reader's


@dataclass(frozen=True, slots=True)
class SessionCancelRequested:
    """The reader asks to end the session (card pulled, cancel key)."""

    device: DeviceName


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """END SESSION arrived, asked for or not."""

    device: DeviceName


@dataclass(frozen=True, slots=True)
class ReaderDisplay:
    """The reader wants text on our display for a while."""

    device: DeviceName
    text: str
    seconds: float


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key of the panel: "0".."9", "A".."D", "*" (cancel / coin return) or "#" (enter)."""

    key: str


@dataclass(frozen=True, slots=True)
class DoorChanged:
    """The service door was opened or closed."""

    open: bool


@dataclass(frozen=True, slots=True)
class TemperatureRead:
    """A thermometer was read at ``at_s`` (monotonic); ``celsius`` None: it did not say, ``why``."""

    sensor: str
    celsius: float | None
    at_s: float
    why: str = ""


class ClimatePart(StrEnum):
    """What the climate switches."""

    COMPRESSOR = "compressor"
    DEFROST = "defrost"
    HEATER = "heater"
    LIGHT = "light"


@dataclass(frozen=True, slots=True)
class OutputCut:
    """An output of the climate was switched off from outside (its longest on-time, a hang)."""

    part: ClimatePart
    why: str


DeviceEvent = (
    DeviceReady | DeviceLost | DeviceWasReset | DeviceRestarts | FaultRaised | FaultCleared
    | TubesTouched | EscrowLever | EscrowEmpty
    | SessionBegun | SessionCancelRequested | SessionEnded | ReaderDisplay
    | KeyPressed | DoorChanged | TemperatureRead | OutputCut
)  # fmt: skip


class DeviceSink(Protocol):
    """Where drivers put what they hear; the controller's one queue stands behind it."""

    def money(self, report: MoneyReport) -> Future[None]:
        """Hand money over; the future is done when its record is durable.

        A link that can hold back an acknowledgement acknowledges only then. The future fails with
        ``JournalError`` when the record could not be written: do not acknowledge.
        """
        ...

    def notify(self, event: DeviceEvent) -> None:
        """Hand anything else over; never blocks."""
        ...
