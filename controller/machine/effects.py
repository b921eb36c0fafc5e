"""What the brain wants done: values, carried out by the runner, answered by an ``Outcome`` input.

An effect begins only when every record staged before it is durable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.machine.plan import Proposal
from controller.ports import ClimateOutputs, DeviceName, PayoutOrder, Tone
from controller.state.config import Held


@dataclass(frozen=True, slots=True)
class Greet:
    """First contact with a device, without RESET."""

    device: DeviceName


@dataclass(frozen=True, slots=True)
class StartDevice:
    """Recovery has asked its questions: RESET, initialise, keep polling."""

    device: DeviceName


@dataclass(frozen=True, slots=True)
class CountTubes:
    """Ask TUBE STATUS."""

    cause: str


@dataclass(frozen=True, slots=True)
class PourCoins:
    """Staff put coins into a hopper, which can't count them (or took some out)."""

    type: int
    count: int


@dataclass(frozen=True, slots=True)
class CountStacker:
    """Ask STACKER; ``cause`` "boot" says that the validator was just reset and initialised."""

    cause: str


@dataclass(frozen=True, slots=True)
class StackBill:
    """Stack the bill in escrow (its intent is durable)."""


@dataclass(frozen=True, slots=True)
class ReturnBill:
    """Return the bill in escrow."""


@dataclass(frozen=True, slots=True)
class CheckSensor:
    """Self-test the drop sensor and clear its latch."""

    vend: int
    column: str
    again: bool = False  # another column of a vend that has turned one


@dataclass(frozen=True, slots=True)
class Turn:
    """Turn a column's motor once."""

    vend: int
    column: str
    extra: bool


@dataclass(frozen=True, slots=True)
class ReadEvidence:
    """After a restart: what latch and home switch say about a turn."""

    vend: int
    column: str


@dataclass(frozen=True, slots=True)
class RequestApproval:
    """VEND REQUEST."""

    vend: int
    device: DeviceName
    amount: int
    item: int


@dataclass(frozen=True, slots=True)
class CancelApproval:
    """VEND CANCEL; the outcome of the request comes back by ``RequestApproval`` while running.

    ``after_restart``: nobody waits for the request any more; this effect's outcome decides.
    ``begun``: a life before had begun to cancel it, and told nobody how that ended.
    ``refundable``: the card's own word, which a life before may have heard.
    """

    vend: int
    device: DeviceName
    after_restart: bool = False
    begun: bool = False
    refundable: bool | None = None


@dataclass(frozen=True, slots=True)
class Settle:
    """VEND SUCCESS or VEND FAILURE; ``refundable`` as in `CancelApproval`."""

    vend: int
    device: DeviceName
    success: bool
    item: int
    after_restart: bool = False
    refundable: bool | None = None


@dataclass(frozen=True, slots=True)
class EndSession:
    """SESSION COMPLETE."""

    device: DeviceName


@dataclass(frozen=True, slots=True)
class CancelReading:
    """READER CANCEL, to a reader that is in no session."""

    device: DeviceName


@dataclass(frozen=True, slots=True)
class ReportCashSale:
    """CASH SALE, for the reader's audit."""

    device: DeviceName
    amount: int
    item: int


@dataclass(frozen=True, slots=True)
class AskRevalueLimit:
    """REVALUE LIMIT REQUEST: how much may be put on the card of this session."""

    device: DeviceName


@dataclass(frozen=True, slots=True)
class Revalue:
    """REVALUE REQUEST."""

    vend: int
    device: DeviceName
    amount: int


@dataclass(frozen=True, slots=True)
class RevalueEvidence:
    """After a restart: what became of a REVALUE REQUEST."""

    vend: int
    device: DeviceName


@dataclass(frozen=True, slots=True)
class Payout:
    """Pay coins, or bills of the recycler."""

    vend: int
    order: PayoutOrder
    device: DeviceName = DeviceName.CHANGER


@dataclass(frozen=True, slots=True)
class PayoutEvidenceAfterRestart:
    """Poll until idle, then PAYOUT STATUS and the counts."""

    vend: int
    device: DeviceName = DeviceName.CHANGER


@dataclass(frozen=True, slots=True)
class Beep:
    """Sound the buzzer."""

    tone: Tone


@dataclass(frozen=True, slots=True)
class SwitchClimate:
    """Switch compressor, defrost, heater and light."""

    outputs: ClimateOutputs


@dataclass(frozen=True, slots=True)
class Wake:
    """Come back as a ``Timer`` input after a while."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RestoreBallast:
    """See whether the disk has room again."""


@dataclass(frozen=True, slots=True)
class VerifyAge:
    """Have a reader ask for a card that proves an age.

    ``number`` tells the questions of a life apart: one may be asked while the last one ends.
    """

    device: DeviceName
    age: int
    number: int = 0


@dataclass(frozen=True, slots=True)
class CancelAge:
    """Wait for it no longer."""

    device: DeviceName


@dataclass(frozen=True, slots=True)
class AskTime:
    """Ask whether somebody (NTP) keeps the wall clock right."""


@dataclass(frozen=True, slots=True)
class JudgeConfig:
    """See what this machine would be with a proposed configuration, beside the bus's work.

    ``basis`` counts the changes of what it is judged against.
    """

    proposal: Proposal
    held: Held
    prices: Mapping[str, int]
    basis: int


@dataclass(frozen=True, slots=True)
class HandOver:
    """Write a request where the updater sees it; ``look``: only say whether it is there."""

    name: str
    content: bytes
    look: bool = False


@dataclass(frozen=True, slots=True)
class SyncNow:
    """Have the link try at once."""


@dataclass(frozen=True, slots=True)
class Exit:
    """Everything open has ended: leave the process."""

    reason: str


Effect = (
    Greet | StartDevice | CountTubes | PourCoins | CountStacker | StackBill | ReturnBill
    | CheckSensor | Turn | ReadEvidence | RequestApproval | CancelApproval | Settle | EndSession
    | ReportCashSale | AskRevalueLimit | Revalue | RevalueEvidence | Payout | RestoreBallast
    | PayoutEvidenceAfterRestart | Beep | SwitchClimate | Wake | Exit | AskTime | SyncNow
    | VerifyAge | CancelAge | JudgeConfig | HandOver | CancelReading
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Failed:
    """An effect that could not be carried out; ``unknown`` if it may have happened all the same."""

    unknown: bool
    detail: str
    stuck: bool = False  # it never came to an end: its limit ended it
