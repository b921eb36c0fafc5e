"""Puts a bus and its devices together; what the composition root calls.

Source: MDB/ICP 4.2, section 2 (addresses).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controller.clock import Clock
from controller.ports import DeviceName, DeviceSink
from drivers.links.adapter_text import ADAPTER_BAUD, AdapterTextLink
from drivers.links.mdb_link import MdbLink
from drivers.links.ninth_bit import NinthBitLink
from drivers.links.tty import open_byte_port, open_ninth_bit_port, slack_of
from drivers.mdb.bill_recycler import MdbBillRecycler
from drivers.mdb.bill_validator import MdbBillValidator
from drivers.mdb.cashless import MdbCardReader
from drivers.mdb.cashless_expect import ReaderSettings
from drivers.mdb.changer import MdbChanger
from drivers.mdb.device import MdbDriver
from drivers.mdb.scheduler import MdbBus
from drivers.mdb.slots import Foresight


@dataclass(slots=True)
class MdbParts:
    """The bus and what stands on it; a device that the machine does not have is None."""

    bus: MdbBus
    changer: MdbChanger | None = None
    bill: MdbBillValidator | None = None
    readers: dict[DeviceName, MdbCardReader] = field(default_factory=dict)

    @property
    def devices(self) -> tuple[MdbDriver, ...]:
        """All drivers, in the order of the bus."""
        cash = (device for device in (self.changer, self.bill) if device is not None)
        return (*cash, *self.readers.values())

    async def run(self) -> None:
        """Own the line until cancelled; see `MdbBus.run`."""
        await self.bus.run()


def build_mdb(
    *,
    link: MdbLink,
    sink: DeviceSink,
    clock: Clock,
    currency: str,
    devices: frozenset[DeviceName],
    readers: Mapping[DeviceName, ReaderSettings] | None = None,
    high_security: frozenset[int] | None = None,
    foresight: Foresight | None = None,
    recycle: frozenset[int] = frozenset(),
) -> MdbParts:
    """Make the bus and the drivers of `devices`, in the order of their addresses.

    Args:
        link: As `native_link` or `adapter_link` make it, or over a simulated port.
        sink: Where money, events and faults go.
        clock: Wall time for a reader that asks for it.
        currency: The machine's, ISO 4217 letters.
        devices: What the machine has.
        readers: How each card reader is treated; one that is not named, as usual.
        high_security: Values of bills to validate strictly, minor units; None leaves the choice
            to the validator.
        foresight: See `MdbBus`.
        recycle: Values of bills that are kept to be paid out again; empty: no recycler is used.
    """
    bus = MdbBus(link, sink, foresight)
    parts = MdbParts(bus)
    if DeviceName.CHANGER in devices:
        parts.changer = MdbChanger(bus, sink, currency=currency)
    if DeviceName.BILL in devices and recycle:
        parts.bill = MdbBillRecycler(
            bus, sink, currency=currency, recycle=recycle, high_security=high_security
        )
    elif DeviceName.BILL in devices:
        parts.bill = MdbBillValidator(bus, sink, currency=currency, high_security=high_security)
    for name in (DeviceName.CASHLESS1, DeviceName.CASHLESS2):
        if name in devices:
            parts.readers[name] = MdbCardReader(
                name,
                bus,
                sink,
                clock,
                currency=currency,
                settings=(readers or {}).get(name) or ReaderSettings(),
            )
    return parts


def native_link(path: str) -> NinthBitLink:
    """A UART with mark and space parity, or a simulator's pseudo terminal."""
    return NinthBitLink(lambda: open_ninth_bit_port(path, Path("/")), slack_s=slack_of(path))


def adapter_link(path: str, baud: int = ADAPTER_BAUD) -> AdapterTextLink:
    """An MDB-USB or MDB HAT adapter."""
    return AdapterTextLink(lambda: open_byte_port(path, baud))
