"""One device on the line: who it is, and asking it.

Source: ccTalk Generic Specification 4.7, part 2 (identification), part 1 (retries).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from typing import Final, TypeVar

from controller.faults import DeviceFault, FaultCode
from controller.ports import Identity
from drivers.cctalk.addresses import Category, category_of
from drivers.cctalk.bus import TRIES, CcTalkBus, Peer
from drivers.cctalk.fields import text
from drivers.cctalk.frames import CcTalkError, Reply, ReplyKind
from drivers.cctalk.headers import Header
from drivers.oddities import Oddities

RESET_S: Final = 1.0
"""Left alone after a reset; the slowest device that manuals name needs 0.63 s after power-up."""

Value = TypeVar("Value")


class Silent(Exception):  # noqa: N818 - a turn of events inside a driver, no error
    """The device did not answer what every such device answers."""


class Unit:
    """A device at an address.

    Args:
        bus: Its line.
        peer: Its address and checksum.
        part: Its name in faults: "acceptor", "hopper 3", "bill".
    """

    def __init__(self, bus: CcTalkBus, peer: Peer, part: str) -> None:
        self.bus = bus
        self.peer = peer
        self.part = part
        self.identity = Identity()
        self.oddities = Oddities()
        self.unanswered = 0
        self.serial = b""
        """The serial number's bytes as they came."""
        self._lasting: dict[tuple[Header, bytes], bytes] = {}
        """What it told of itself."""
        self._known = Identity()
        """Who told that, as far as it has ever said who it is."""

    async def try_ask(self, header: Header, data: bytes = b"", tries: int = TRIES) -> Reply | None:
        """Ask; None when no reply came. Raises LinkError."""
        reply = await self.bus.ask(self.peer, header, data, tries)
        self.unanswered += reply is None
        return reply

    @property
    def tally(self) -> dict[str, int]:
        """Return what went wrong between us and it, counted since the start."""
        return {"unanswered": self.unanswered}

    async def ask(self, header: Header, data: bytes = b"", tries: int = TRIES) -> bytes:
        """Ask for data that the device owes.

        Raises:
            Silent: None came.
            LinkError: The line is down.
        """
        reply = await self.try_ask(header, data, tries)
        if reply is None or reply.kind is not ReplyKind.DATA:
            raise Silent(f"{self.part} gave no data for header {header.value}")
        return reply.data

    async def lasting(self, header: Header, data: bytes = b"") -> bytes:
        """Ask for what holds as long as the device is the same: once told, it is known.

        Returns:
            No bytes, when it never told. Raises LinkError.
        """
        reply = await self.try_ask(header, data)
        if reply is not None and reply.data:
            self._lasting[header, data] = reply.data
        return self._lasting.get((header, data), b"")

    async def read(
        self, header: Header, decode: Callable[[bytes], Value], tries: int = TRIES
    ) -> Value:
        """Ask and decode. Data of a wrong form counts as none. Raises as `ask`."""
        raw = await self.ask(header, tries=tries)
        try:
            return decode(raw)
        except CcTalkError as wrong:
            raise Silent(f"{self.part}: {wrong}") from wrong

    async def tell(self, header: Header, data: bytes = b"", tries: int = TRIES) -> bool:
        """Send a setting; whether it was acknowledged. Raises LinkError."""
        reply = await self.try_ask(header, data, tries)
        return reply is not None and reply.kind is ReplyKind.ACK

    async def back(self) -> None:
        """See whether one that was away answers again; asked once, for others wait for the line.

        Raises:
            Silent: It does not.
            LinkError: The line is down.
        """
        if await self.try_ask(Header.SIMPLE_POLL, tries=1) is None:
            raise Silent(f"{self.part} does not answer")

    async def identify(self, wanted: Category) -> None:
        """Learn who it is; only the category must be answered.

        Raises:
            Silent: It does not say what it is.
            DeviceFault: It is something else.
        """
        told = text(await self.ask(Header.REQUEST_EQUIPMENT_CATEGORY_ID))
        if category_of(told) is not wanted:
            raise DeviceFault(
                FaultCode.DEVICE_UNSUITABLE,
                f"at address {self.peer.address} is a {told!r}, not a {wanted}",
            )
        serial = await self.try_ask(Header.REQUEST_SERIAL_NUMBER)
        self.serial = serial.data if serial is not None else b""
        self.identity = Identity(
            manufacturer=await self._words(Header.REQUEST_MANUFACTURER_ID),
            serial=str(int.from_bytes(self.serial, "little")) if self.serial else "",
            model=await self._words(Header.REQUEST_PRODUCT_CODE),
            software=await self._words(Header.REQUEST_SOFTWARE_REVISION),
        )
        now, before = astuple(self.identity), astuple(self._known)
        if any(one and other and one != other for one, other in zip(now, before, strict=True)):
            self._lasting.clear()
            before = now
        self._known = Identity(*(one or other for one, other in zip(now, before, strict=True)))

    async def _words(self, header: Header) -> str:
        reply = await self.try_ask(header)
        return "" if reply is None else text(reply.data)
