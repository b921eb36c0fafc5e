"""The ccTalk devices of a whole machine, put together as its own file describes them."""

from __future__ import annotations

import asyncio
from typing import Final

from config.machine import MachineSettings
from drivers.cctalk.frames import Checksum
from drivers.cctalk.hopper_codec import DispenseKind
from simulator.cctalk_wire import CcTalkWire
from simulator.line import LineFaults
from simulator.peripherals.base import Timeline
from simulator.peripherals.cctalk_base import CcTalkDevice
from simulator.peripherals.cctalk_bill import SimCcTalkBill, ValidatorSettings
from simulator.peripherals.cctalk_coin import AcceptorSettings, SimCoinAcceptor
from simulator.peripherals.cctalk_hopper import HopperSettings, SimHopper
from simulator.ports import MemoryPort
from simulator.truth import Truth, tube

_COUNTRIES: Final = {"EUR": "EU", "USD": "US", "GBP": "GB", "CHF": "CH", "JPY": "JP"}


class CcTalkLine:
    """Acceptor, hoppers and validator on one line.

    Args:
        loop: Time.
        timeline: Physical time.
        truth: Where money is.
        settings: The machine's own file, which has a ``cctalk`` section.
        coins: Values of the country's coins, minor units.
        bills: Values of its bills.
        digits: Decimal digits of its minor unit.
        seed: Where the chances of line faults come from.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        timeline: Timeline,
        truth: Truth,
        settings: MachineSettings,
        *,
        coins: tuple[int, ...],
        bills: tuple[int, ...],
        digits: int,
        seed: int = 0,
    ) -> None:
        cctalk = settings.cctalk
        assert cctalk is not None, "a world without a line has none"
        country = _COUNTRIES[settings.machine.currency]
        self.hoppers = [
            SimHopper(
                timeline,
                truth,
                HopperSettings(
                    hopper.value,
                    hopper.content,
                    kind=DispenseKind.SERIAL
                    if hopper.dispense == "auto"
                    else DispenseKind(hopper.dispense),
                ),
                address=hopper.address,
                coin_type=15 - index,
            )
            for index, hopper in enumerate(cctalk.hoppers)
        ]
        paths = {
            hopper.path: tube(15 - index)
            for index, hopper in enumerate(cctalk.hoppers)
            if hopper.path is not None
        }
        self.acceptor: SimCoinAcceptor | None = None
        if cctalk.acceptor is not None:
            ids = {
                position: (f"{country}{value:03d}A", value)
                for position, value in enumerate(sorted(coins), 1)
            }
            if settings.tokens is not None:
                ids[len(ids) + 1] = ("TK830A", 0)
            self.acceptor = SimCoinAcceptor(
                timeline,
                truth,
                AcceptorSettings(ids=ids),
                paths=paths,
                address=cctalk.acceptor.address,
            )
        self.bill: SimCcTalkBill | None = None
        if cctalk.bill is not None:
            main = 10**digits
            kinds = {
                kind: (f"{country}{value // main:04d}A", value)
                for kind, value in enumerate(sorted(bills), 1)
            }
            self.bill = SimCcTalkBill(
                timeline,
                truth,
                ValidatorSettings(ids=kinds, scales={country: (main, digits)}),
                address=cctalk.bill.address,
                checksum=Checksum(cctalk.bill.checksum),
            )
        self.devices: list[CcTalkDevice] = [
            *([self.acceptor] if self.acceptor else []),
            *self.hoppers,
            *([self.bill] if self.bill else []),
        ]
        self.line = LineFaults(seed)
        self.wire = CcTalkWire(loop, self.devices, self.line)

    def port(self) -> MemoryPort:
        """Return a new end of the line's cable."""
        return MemoryPort(self.wire)

    @property
    def still(self) -> bool:
        """Tell whether nothing moves inside any device."""
        return all(device.quiet for device in self.devices)

    @property
    def told_all(self) -> bool:
        """Tell whether nobody has anything left to tell."""
        return all(device.told_all for device in self.devices)
