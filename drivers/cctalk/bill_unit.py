"""A bill validator at its address: what it is, what its bills are worth, how many it ever took.

Reads only. What it tells of bills, and what it is told, is `bill_validator`'s.

Source: ccTalk Generic Specification 4.7, part 2 (bill validators).
"""

from __future__ import annotations

from typing import Final

from controller.faults import DeviceFault, FaultCode
from controller.money import exponent
from controller.ports import BillInfo, BillKind, DeviceName
from drivers.cctalk import bill_codec as codec
from drivers.cctalk.addresses import Category
from drivers.cctalk.bus import CcTalkBus, Peer
from drivers.cctalk.countries import countries_of
from drivers.cctalk.frames import CcTalkError
from drivers.cctalk.headers import Header
from drivers.cctalk.money_ids import (
    BILL_ID_CHARS,
    CountryScale,
    decode_bill_id,
    decode_country_scale,
)
from drivers.cctalk.unit import Unit

TYPES: Final = 16


class BillUnit(Unit):
    """Asks one bill validator.

    Args:
        bus: Its line.
        peer: Its address and checksum.
        currency: The machine's, ISO 4217 letters.
    """

    def __init__(self, bus: CcTalkBus, peer: Peer, currency: str) -> None:
        super().__init__(bus, peer, DeviceName.BILL.value)
        self._currency = currency
        self._counts = False
        """It keeps accept counters without power."""

    async def learn(self) -> BillInfo:
        """Identify it; reads only.

        Raises:
            Silent: It does not answer what it must.
            LinkError: The line is down.
            DeviceFault: It is of no use here.
        """
        await self.identify(Category.BILL_VALIDATOR)
        variables = await self.lasting(Header.REQUEST_VARIABLE_SET)
        types = min(variables[0] or TYPES, TYPES) if variables else TYPES
        escrow = bool(await self.options() & codec.OPTION_ESCROW)
        scales = {country: await self._scale(country) for country in countries_of(self._currency)}
        bills: list[BillKind] = []
        for position in range(1, types + 1):
            bill = await self._bill(position, scales)
            if bill is not None:
                bills.append(bill)
        if not bills:
            raise DeviceFault(FaultCode.DEVICE_UNSUITABLE, f"it knows no bills of {self._currency}")
        return BillInfo(
            1,
            1,
            exponent(self._currency),
            tuple(bills),
            has_escrow=escrow,
            stacker_capacity=0,
            identity=self.identity,
        )

    async def options(self) -> int:
        """Ask what it can do, and whether it counts bills without power. Raises LinkError."""
        flags = await self.lasting(Header.REQUEST_OPTION_FLAGS)
        options = flags[0] if flags else 0
        kept = codec.OPTION_COUNTERS | codec.OPTION_COUNTERS_KEPT
        self._counts = options & kept == kept
        return options

    async def _scale(self, country: str) -> CountryScale | None:
        told = await self.lasting(Header.REQUEST_COUNTRY_SCALING_FACTOR, country.encode("ascii"))
        try:
            return decode_country_scale(told) if told else None
        except CcTalkError:
            return None

    async def _bill(self, position: int, scales: dict[str, CountryScale | None]) -> BillKind | None:
        told = await self.lasting(Header.REQUEST_BILL_ID, bytes((position,)))
        if len(told) != BILL_ID_CHARS:
            return None
        try:
            bill = decode_bill_id(told)
            scale = scales.get(bill.country)
            if bill.value is None or scale is None or not scale.known:
                return None
            return BillKind(position - 1, scale.minor(bill.value, exponent(self._currency)))
        except CcTalkError as wrong:
            self.oddities.note(wrong.message)
            return None

    async def accepted(self, bill_type: int) -> int | None:
        """How many bills of a type were ever accepted; None where that is not kept."""
        if not self._counts:
            return None
        reply = await self.try_ask(Header.REQUEST_INDIVIDUAL_ACCEPT_COUNTER, bytes((bill_type,)))
        return (
            None if reply is None or len(reply.data) != 3 else int.from_bytes(reply.data, "little")
        )
