"""Everything that a brain may move, in one hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from controller.ports.cabinet import Buzzer, Climate, Dispenser, Display
from controller.ports.devices import DeviceName
from controller.ports.peripherals import BillValidator, CardReader, Changer


class Heartbeat(Protocol):
    """Feeds the guard and the service manager from the actor's loop."""

    def beat(self) -> None:
        """Say that the loop is alive."""
        ...


class Spool(Protocol):
    """Where requests lie that another program picks up."""

    async def put(self, name: str, content: bytes) -> None:
        """Write a file that is whole or not there, and durable.

        Raises:
            LinkError: It is not there.
            EffectUnknownError: Nobody can say.
        """
        ...

    async def has(self, name: str) -> bool:
        """Tell whether it is (still) there. Raises LinkError."""
        ...


@dataclass(slots=True)
class Hands:
    """Everything the brain may move; a missing device is None (the machine sells with the rest)."""

    dispenser: Dispenser
    display: Display
    buzzer: Buzzer
    changer: Changer | None = None
    bill: BillValidator | None = None
    readers: dict[DeviceName, CardReader] = field(default_factory=dict)
    climate: Climate | None = None
    spool: Spool | None = None
