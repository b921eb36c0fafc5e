"""The peripherals on the bus, as the brain asks them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from controller.ports.bills import BillInfo, StackerCount
from controller.ports.cards import (
    AgeAnswer,
    Approved,
    CancelOutcome,
    Charged,
    Denied,
    ReaderInfo,
    RefundOutcome,
    RevalueOutcome,
    SettleOutcome,
)
from controller.ports.coins import ChangerInfo, PayoutEvidence, PayoutOrder, TubeCounts
from controller.ports.devices import DeviceName


@dataclass(frozen=True, slots=True)
class Known:
    """What the journal remembers of a device, given to its driver before the first word."""

    info: ChangerInfo | BillInfo | ReaderInfo | None = None
    last_answer: bytes = b""  # items of the last money answer whose acknowledgement is not proved
    tubes: tuple[int, ...] = ()  # believed count per coin (or recycled bill) type behind it
    stacker: int | None = None  # believed bills in the stacker; None: never counted


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the first contact found, before any RESET."""

    present: bool
    just_reset: bool = False  # the device itself reported a reset: power was cut, or a bus break


class MdbDevice(Protocol):
    """The life of a peripheral: greet (never resets) -> recovery's questions -> start."""

    @property
    def name(self) -> DeviceName:
        """Return which peripheral this is."""
        ...

    async def greet(self, known: Known) -> Greeting:
        """Poll without RESET for up to the non-response time; reports money through the sink."""
        ...

    async def start(self) -> None:
        """RESET, initialise, then keep polling, re-initialise after silence or a reset; for ever.

        Runs until cancelled. Ready and lost are told to the sink.
        """
        ...


class Changer(MdbDevice, Protocol):
    """A coin changer, level 2 or 3."""

    @property
    def info(self) -> ChangerInfo | None:
        """Return what it is, or None before it was ever identified."""
        ...

    async def tubes(self) -> TubeCounts:
        """Ask TUBE STATUS. Raises LinkError."""
        ...

    async def payout(self, order: PayoutOrder) -> PayoutEvidence:
        """Pay, wait until the changer is idle, and bring the evidence.

        Raises:
            LinkError: No payout command can have left; nothing was paid.

        Never repeats a payout command whose ACK was not seen (MDB/ICP 4.2, section 5).
        """
        ...

    async def payout_evidence(self) -> PayoutEvidence:
        """After a restart: poll until idle, then PAYOUT STATUS if still held, and the tubes."""
        ...

    async def pour(self, type_: int, count: int) -> TubeCounts:
        """Note coins that staff put into a store that can't count them; then tell its counts.

        Args:
            type_: Coin type.
            count: How many; negative for coins that were taken out.

        Raises:
            LinkError: This store counts by itself, holds no such coin, or not that many.
        """
        ...

    def accept(self, types: frozenset[int], *, manual: bool = False) -> None:
        """Want these coin types accepted (empty: none); applied at the next free slot and kept."""
        ...


class BillValidator(MdbDevice, Protocol):
    """A bill validator; one that recycles pays bills out as a changer does coins."""

    @property
    def info(self) -> BillInfo | None:
        """Return what it is, or None before it was ever identified."""
        ...

    async def stacker(self) -> StackerCount:
        """Ask STACKER, and how many bills the recycler holds. Raises LinkError."""
        ...

    async def payout(self, order: PayoutOrder) -> PayoutEvidence:
        """Pay bills of one type out of the recycler; as ``Changer.payout``.

        ``tubes`` of the evidence are the recycler's counts by bill type.

        Raises:
            LinkError: No payout command can have left; nothing was paid.
        """
        ...

    async def payout_evidence(self) -> PayoutEvidence:
        """After a restart: poll until idle, then PAYOUT STATUS if still held, and the counts."""
        ...

    async def stack(self) -> None:
        """Ask to stack the bill in escrow; its result comes as a ``BillsReport``.

        Raises LinkError (never acknowledged and the validator answers) or EffectUnknownError.
        """
        ...

    async def return_bill(self) -> None:
        """Ask to return the bill in escrow; as ``stack``."""
        ...

    def accept(self, types: frozenset[int]) -> None:
        """Want these bill types accepted (into escrow where there is one)."""
        ...


class CardReader(MdbDevice, Protocol):
    """A cashless device of level 1 to 3, classic or always idle."""

    @property
    def info(self) -> ReaderInfo | None:
        """Return what it is, or None before it was ever identified."""
        ...

    def enable(self, on: bool) -> None:
        """Want the reader enabled or disabled; a running session goes on to its end."""
        ...

    def set_prices(self, prices: Collection[int]) -> None:
        """Tell the range of all prices, now and after each initialisation; none: 0 to 0.

        Each price that is no whole number of the reader's units is reported as
        ``DEVICE_UNSUITABLE``; it is never rounded.
        """
        ...

    def cancel_reading(self) -> None:
        """Have it let go of a card that it has begun no session with; only while it is enabled."""
        ...

    async def request_vend(self, price: int, item: int) -> Approved | Denied | Charged:
        """Ask for approval; in always-idle mode waits for the card until ``cancel_vend``.

        Charged: it was cancelled, or had no answer in time, and was approved before the reader
        heard of that; the reader does not give the money back.

        Raises LinkError (the request was never acknowledged and the reader is not in a vend) or
        EffectUnknownError (no answer in time and the cancel was not confirmed either).
        """
        ...

    async def cancel_vend(self, refundable: bool | None = None) -> CancelOutcome | Charged:
        """End a request that has no answer yet (VEND CANCEL); also after a restart.

        Charged: it had been approved, and the reader does not give the money back.

        Args:
            refundable: What a life before has heard of the card, which overrides the reader's own
                word; None for nothing.
        """
        ...

    async def vend_success(self, item: int) -> SettleOutcome:
        """Report the product as delivered; repeated within the non-response time."""
        ...

    async def vend_failure(self, refundable: bool | None = None) -> RefundOutcome:
        """Report the failed delivery and learn whether the money went back.

        Args:
            refundable: As in ``cancel_vend``.
        """
        ...

    async def end_session(self) -> None:
        """SESSION COMPLETE, wait for END SESSION; the driver resets a reader that never sends it.

        Raises LinkError.
        """
        ...

    async def cash_sale(self, price: int, item: int) -> None:
        """Report a cash sale for the reader's audit; does nothing if it does not want them."""
        ...

    async def verify_age(self, age: int) -> AgeAnswer:
        """Ask for a card that proves an age (1 to 99); waits for it until ``cancel_age``."""
        ...

    async def cancel_age(self) -> None:
        """End a question for an age."""
        ...

    async def revalue_limit(self) -> int | None:
        """Ask how much may be put on the card; None when not possible now."""
        ...

    async def revalue(self, amount: int) -> bool:
        """Put money on the card; False when denied, or when it can't be asked.

        What the reader says is also reported as a ``RevalueReport``, before its acknowledgement.

        Raises LinkError (it never left) or EffectUnknownError (it may have been done).
        """
        ...

    async def revalue_evidence(self) -> RevalueOutcome:
        """After a restart: wait for the answer to a REVALUE REQUEST that the last life made.

        Never raises.
        """
        ...
