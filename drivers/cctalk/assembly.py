"""Puts a ccTalk line and its devices together; what the composition root calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from controller.ports import DeviceSink
from drivers.cctalk.acceptor import AcceptorPlan
from drivers.cctalk.bill_validator import CcTalkBillValidator, ValidatorPlan
from drivers.cctalk.bus import CcTalkBus, Peer
from drivers.cctalk.changer import CcTalkChanger
from drivers.cctalk.hopper import HopperPlan
from drivers.cctalk.rests import Foresight
from drivers.links.port import BytePort
from drivers.links.tty import open_byte_port

BAUD: Final = 9600


@dataclass(frozen=True, slots=True)
class CcTalkPlan:
    """What stands on the line; a device that the machine does not have is None."""

    acceptor: AcceptorPlan | None = None
    hoppers: tuple[HopperPlan, ...] = ()
    bill: ValidatorPlan | None = None

    @property
    def acceptors(self) -> tuple[Peer, ...]:
        """Whatever takes money, at its address."""
        plans = (self.acceptor, self.bill)
        return tuple(Peer(plan.address, plan.checksum) for plan in plans if plan is not None)


@dataclass(slots=True)
class CcTalkParts:
    """The bus and its devices."""

    bus: CcTalkBus
    changer: CcTalkChanger | None = None
    bill: CcTalkBillValidator | None = None

    async def run(self) -> None:
        """Own the line until cancelled; see `CcTalkBus.run`."""
        await self.bus.run()


def build_cctalk(
    plan: CcTalkPlan,
    *,
    open_port: Callable[[], BytePort],
    sink: DeviceSink,
    currency: str,
    foresight: Foresight | None = None,
) -> CcTalkParts:
    """Make the bus and the drivers of what the plan names.

    Args:
        plan: What the configuration says.
        open_port: As `cctalk_port` makes it, or over a simulated line.
        sink: Where money, events and faults go.
        currency: The machine's, ISO 4217 letters.
        foresight: Of a simulated line.
    """
    parts = CcTalkParts(CcTalkBus(open_port, sink, foresight))
    if plan.acceptor is not None or plan.hoppers:
        parts.changer = CcTalkChanger(
            parts.bus, sink, currency=currency, acceptor=plan.acceptor, hoppers=plan.hoppers
        )
    if plan.bill is not None:
        parts.bill = CcTalkBillValidator(parts.bus, sink, currency=currency, plan=plan.bill)
    return parts


def cctalk_port(path: str) -> Callable[[], BytePort]:
    """A serial port with a ccTalk interface on it."""
    return lambda: open_byte_port(path, BAUD)
