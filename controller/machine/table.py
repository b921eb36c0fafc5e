"""Every mode of the machine and every legal transition, as data.

A trigger that has no row for the current mode is a bug of ours, not a customer's doing. The
diagram in ``docs/state-machine.md`` is drawn from this table (``controller.machine.diagram``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Mode(StrEnum):
    """What the machine is doing; the value is the name ``transitions`` uses."""

    BOOTING = "booting"
    RECOVERING = "recovering"
    OUT_OF_SERVICE = "out_of_service"
    IDLE = "idle"
    CREDIT = "credit"
    RESERVING = "vending.reserving"
    AUTHORISING = "vending.authorising"
    DISPENSING = "vending.dispensing"
    SETTLING = "vending.settling"
    COMPENSATING = "vending.compensating"
    PAYING_OUT = "paying_out"
    SERVICE = "service"
    STOPPING = "stopping"

    @property
    def vending(self) -> bool:
        """Tell whether a customer's saga is running."""
        return self.startswith("vending.") or self is Mode.PAYING_OUT

    @property
    def selling(self) -> bool:
        """Tell whether money and selections are taken."""
        return self is Mode.IDLE or self is Mode.CREDIT


PROMISES: Final[dict[Mode, str]] = {
    Mode.BOOTING: "nothing is taken; outputs are off",
    Mode.RECOVERING: "open sagas are driven to their end; nothing is sold",
    Mode.OUT_OF_SERVICE: "nothing is taken; what is owed is shown",
    Mode.IDLE: "money, cards and selections are welcome",
    Mode.CREDIT: "the customer's money is theirs until a vend is settled",
    Mode.RESERVING: "the column is this customer's",
    Mode.AUTHORISING: "the reader is asked; cash is locked",
    Mode.DISPENSING: "the motor turns; nothing is earned yet",
    Mode.SETTLING: "the product is out; the money becomes the operator's",
    Mode.COMPENSATING: "no product; everything goes back",
    Mode.PAYING_OUT: "coins leave, or a claim says what is owed",
    Mode.SERVICE: "a technician has the machine",
    Mode.STOPPING: "nothing new begins; what is open ends",
}


class Trigger(StrEnum):
    """What moves the machine from mode to mode."""

    START = "start"
    RECOVERED = "recovered"
    MONEY = "money"  # credit or a card session is there
    SPENT = "spent"  # neither is there any more
    SELECT = "select"
    AUTHORISE = "authorise"
    DISPENSE = "dispense"
    SETTLE = "settle"
    COMPENSATE = "compensate"
    PAY_OUT = "pay_out"
    FINISH = "finish"
    FAIL = "fail"
    HEAL = "heal"
    ENTER_SERVICE = "enter_service"
    LEAVE_SERVICE = "leave_service"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row: in any of ``sources``, ``trigger`` leads to ``dest``."""

    trigger: Trigger
    sources: tuple[Mode, ...]
    dest: Mode


_VENDING: Final = (
    Mode.RESERVING, Mode.AUTHORISING, Mode.DISPENSING, Mode.SETTLING, Mode.COMPENSATING,
)  # fmt: skip
_ALL: Final = tuple(mode for mode in Mode if mode is not Mode.STOPPING)

TABLE: Final[tuple[Transition, ...]] = (
    Transition(Trigger.START, (Mode.BOOTING,), Mode.RECOVERING),
    Transition(Trigger.RECOVERED, (Mode.RECOVERING,), Mode.IDLE),
    Transition(Trigger.MONEY, (Mode.IDLE, Mode.CREDIT), Mode.CREDIT),
    Transition(Trigger.SPENT, (Mode.CREDIT, Mode.IDLE), Mode.IDLE),
    Transition(Trigger.SELECT, (Mode.IDLE, Mode.CREDIT), Mode.RESERVING),
    Transition(
        Trigger.AUTHORISE,
        (Mode.RESERVING, Mode.IDLE, Mode.CREDIT),  # without a column: credit goes to a card
        Mode.AUTHORISING,
    ),
    Transition(
        Trigger.DISPENSE, (Mode.RESERVING, Mode.AUTHORISING, Mode.DISPENSING), Mode.DISPENSING
    ),
    Transition(Trigger.SETTLE, (Mode.DISPENSING, Mode.SETTLING), Mode.SETTLING),
    Transition(Trigger.COMPENSATE, _VENDING, Mode.COMPENSATING),
    Transition(
        Trigger.PAY_OUT,
        (Mode.IDLE, Mode.CREDIT, Mode.SETTLING, Mode.COMPENSATING, Mode.PAYING_OUT),
        Mode.PAYING_OUT,
    ),
    Transition(Trigger.FINISH, (*_VENDING, Mode.PAYING_OUT), Mode.IDLE),
    Transition(Trigger.FAIL, _ALL, Mode.OUT_OF_SERVICE),
    Transition(Trigger.HEAL, (Mode.OUT_OF_SERVICE,), Mode.IDLE),
    Transition(
        Trigger.ENTER_SERVICE,
        (Mode.IDLE, Mode.CREDIT, Mode.OUT_OF_SERVICE, Mode.RECOVERING),
        Mode.SERVICE,
    ),
    Transition(Trigger.LEAVE_SERVICE, (Mode.SERVICE,), Mode.IDLE),
    Transition(Trigger.STOP, tuple(Mode), Mode.STOPPING),
)
