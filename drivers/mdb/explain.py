"""An MDB exchange in words: every byte of a request and its answer.

For `vendctl decode mdb`. Pure: no port, no clock, no log, and no exception for whatever bytes are
given: what can't be understood is an error in the result beside everything that could be read.

Source: MDB/ICP 4.2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from drivers.explanation import BlockExplanation, CutShort, Field, Part
from drivers.mdb import explain_bill, explain_cashless, explain_changer, explain_reader
from drivers.mdb.blocks import (
    COMMAND_MASK,
    MAX_BLOCK_BYTES,
    MAX_PAYLOAD_BYTES,
    Address,
    BlockFault,
    Control,
    MdbBlockError,
    checksum,
    classify_control,
    device_of,
    hex_bytes,
)
from drivers.mdb.cashless_codec import CashlessContext
from drivers.mdb.explain_parts import (
    Device,
    Explanation,
    Money,
    Scribe,
    device_words,
    ftl_name,
)
from drivers.mdb.explain_render import render
from drivers.mdb.ftl_codec import FTL_SUB_FIRST, FTL_SUB_LAST, FTL_SUB_OFFSET, FtlCode
from drivers.mdb.hex_text import parse_hex
from drivers.mdb.money import Scale

__all__ = [
    "BlockExplanation",
    "Device",
    "Explanation",
    "Field",
    "Key",
    "Part",
    "explain",
    "parse_hex",
    "render",
]

Key = tuple[int, int | None]
"""Command (for a reader its lower three bits) and sub-command, None without one."""


_ADDRESSES: Final = {
    Device.CHANGER: (Address.CHANGER,),
    Device.BILL: (Address.BILL_VALIDATOR,),
    Device.CASHLESS: (Address.CASHLESS_1, Address.CASHLESS_2),
}
_DEVICE_AT: Final[dict[int, Device]] = {
    address: device for device, addresses in _ADDRESSES.items() for address in addresses
}
_POLL_KEYS: Final[dict[Device, Key]] = {
    Device.CHANGER: (0x0B, None),
    Device.BILL: (0x33, None),
    Device.CASHLESS: (2, None),
}
_COMMAND_NAMES: Final = {
    Device.CHANGER: explain_changer.COMMAND_NAMES,
    Device.BILL: explain_bill.COMMAND_NAMES,
    Device.CASHLESS: explain_cashless.COMMAND_NAMES,
}
_REQUESTS: Final[dict[Device, Callable[[Scribe], None]]] = {
    Device.CHANGER: explain_changer.explain_request,
    Device.BILL: explain_bill.explain_request,
    Device.CASHLESS: explain_cashless.explain_request,
}
_ACKS: Final[dict[Device, Callable[[Key], str | None]]] = {
    Device.CHANGER: explain_changer.ack_words,
    Device.BILL: explain_bill.ack_words,
    Device.CASHLESS: explain_cashless.ack_words,
}


def explain(
    device: Device | str,
    request: bytes | None,
    response: bytes | None,
    *,
    level: int | None = None,
    expanded: bool = False,
    checksum: bool = True,
    scale: Scale | None = None,
    currency: str = "",
) -> Explanation:
    """Explain every byte of an exchange.

    Args:
        device: Who is on the peripheral's side.
        request: What the VMC sent, None if unknown; the response is then read as a POLL answer.
        response: What came back, None if unknown.
        level: The level in use, None to find out from the bytes where that is possible.
        expanded: Expanded currency mode (cashless).
        checksum: The blocks end with their checksum, as on the wire.
        scale: Scaling factor and decimals of the device, to state amounts as money. A SETUP answer
            in the same exchange brings its own.
        currency: ISO 4217 letters to write behind amounts.

    Raises:
        MdbBlockError: Neither request nor response, or a device that does not exist. Never for
            the bytes themselves.
    """
    if not request and not response:
        raise MdbBlockError(BlockFault.EMPTY, "nothing to explain: neither request nor response")
    try:
        chosen = Device(device)
    except ValueError as wrong:
        names = ", ".join(Device)
        raise MdbBlockError(
            BlockFault.BAD_VALUE, f"device is one of {names}, not {device!r}"
        ) from wrong
    reader = _Reader(chosen, level, expanded, checksum, Money(scale, currency))
    explained_request = reader.request(request) if request else None
    explained_response = reader.response(response) if response else None
    return Explanation(chosen, explained_request, explained_response)


@dataclass(slots=True)
class _Reader:
    """What is known while one exchange is explained."""

    device: Device
    level: int | None
    expanded: bool
    checksum: bool
    money: Money
    address: int = 0
    key: Key | None = None
    foreign: bool = False  # the request went to an address that none of our devices has

    def request(self, block: bytes) -> BlockExplanation:
        """Explain what the VMC sent, and remember what it asked for."""
        control = _CONTROLS.get(block[0]) if len(block) == 1 else None
        if control is not None:
            return _lone("VMC to peripheral", control.value, _VMC_CONTROL_WORDS[control], block)
        self.address = device_of(block[0])
        direction = f"VMC to {device_words(self.address)}"
        scribe = Scribe(self._payload(block), money=self.money)
        self._check_address(scribe)
        self._check_size(scribe, block)
        name = self._command(scribe)
        self._close(scribe, block)
        return _block(direction, name, "", block, scribe)

    def response(self, block: bytes) -> BlockExplanation:
        """Explain what the peripheral sent, in the light of the request."""
        key = self.key or _POLL_KEYS[self.device]
        address = self.address if self.foreign or self.address else _ADDRESSES[self.device][0]
        direction = f"{device_words(address)} to VMC"
        if self.foreign:
            return self._foreign_response(block, f"{_who(address)} to VMC")
        if len(block) == 1 and (self.checksum or not self._is_data(block[0], key)):
            return self._lone_from_peripheral(block, direction, key)
        scribe = Scribe(self._payload(block), money=self.money)
        self._check_size(scribe, block)
        if len(block) == 1 and block[0] in _CONTROLS:
            scribe.notes.append(
                "without checksums a lone byte of data looks like a control byte; as an ACK it "
                f"would mean: {_ACKS[self.device](key) or 'accepted'}"
            )
        tail = ""
        name = "answer"
        try:
            name = self._answer(scribe, key)
        except CutShort:
            tail = ", cut short"
        self._close(scribe, block)
        if self.device is Device.CASHLESS:
            read = [part.name for part in scribe.parts if part.name not in _NO_MESSAGES]
            name = ", ".join(read) or name
        return _block(direction, name + tail, "", block, scribe)

    # ------------------------------------------------------------------ requests

    def _check_address(self, scribe: Scribe) -> None:
        addressed = _DEVICE_AT.get(self.address)
        if addressed is self.device:
            return
        scribe.errors.append(f"{_whose(self.address)}, not {_A_DEVICE[self.device]}")
        if addressed is not None:
            scribe.notes.append(f"read as an exchange with the {device_words(self.address)}")
            self.device = addressed

    def _command(self, scribe: Scribe) -> str:
        first = scribe.data[0]
        scribe.begin("request")
        if _DEVICE_AT.get(self.address) is None:
            self.foreign = True
            scribe.take(1, "address", f"{device_words(self.address)}, command {first & 7}")
            scribe.unread("a device this decoder does not know")
            return "unknown"
        number = first & COMMAND_MASK if self.device is Device.CASHLESS else first
        name = _COMMAND_NAMES[self.device].get(number, "unknown command")
        address = f"{device_words(self.address)} ({self.address:02X})"
        scribe.take(1, "address", f"{address}, command {first & 7}: {name}")
        sub = scribe.data[1] if len(scribe.data) > 1 else None
        self.key = (number, sub if self._has_sub_command(number, name) else None)
        self._check_level(scribe, name, sub)
        try:
            _REQUESTS[self.device](scribe)
        except CutShort:
            return f"{self._full_name(name)}, cut short"
        self._check_form(scribe)
        return self._full_name(name)

    def _has_sub_command(self, number: int, name: str) -> bool:
        if self.device is Device.CASHLESS:
            return number not in (0, _POLL_KEYS[Device.CASHLESS][0])
        return name == "EXPANSION"

    def _check_level(self, scribe: Scribe, name: str, sub: int | None) -> None:
        if self.level is None or name != "EXPANSION":
            return
        if self.device is Device.CHANGER and self.level < 3:
            scribe.notes.append("a changer below level 3 has no EXPANSION command")
        if self.device is Device.BILL and self.level < 2 and sub != 0:
            scribe.notes.append("a level 1 validator knows no EXPANSION but 00")

    def _check_form(self, scribe: Scribe) -> None:
        if self.device is not Device.CASHLESS or not self.expanded:
            return
        if explain_cashless.request_form(scribe.data) == "16-bit":
            scribe.notes.append(
                "by its length this is the 16-bit form, not that of the expanded currency mode"
            )

    def _full_name(self, name: str) -> str:
        assert self.key is not None, "set by _command"
        number, sub = self.key
        if sub is None:
            return name
        if name == "EXPANSION" and FTL_SUB_FIRST <= sub <= FTL_SUB_LAST:
            return f"{name} {ftl_name(FtlCode(sub - FTL_SUB_OFFSET))}"
        if self.device is Device.CASHLESS:
            return explain_cashless.SUB_NAMES.get((number, sub), name)
        subs = explain_changer.SUB_NAMES
        if self.device is Device.BILL:
            subs = explain_bill.SUB_NAMES
        return f"{name} {subs[sub]}" if sub in subs else name

    # ----------------------------------------------------------------- responses

    def _is_data(self, byte: int, key: Key) -> bool:
        """Without checksums: whether a lone byte of an answer is data rather than control.

        RET comes from the VMC only. A 00 is data where data of one byte 00 has a meaning of its
        own: JUST RESET of a reader, and the answers about a payout.
        """
        match _CONTROLS.get(byte):
            case Control.ACK:
                return self.device is Device.CASHLESS or key[1] in _PAYOUT_SUBS[self.device]
            case Control.NAK:
                return False
            case _:
                return True

    def _lone_from_peripheral(self, block: bytes, direction: str, key: Key) -> BlockExplanation:
        control = _CONTROLS.get(block[0])
        if control is Control.ACK:
            words = _ACKS[self.device](key)
            if words is not None:
                return _lone(direction, "ACK", words, block)
            if not self._knows(key):
                return _lone(direction, "ACK", "accepted, though the command is unknown", block)
            error = "an ACK alone where data is owed: this device answers at once or stays silent"
            return _lone(direction, "ACK", error, block, error)
        if control is Control.NAK:
            words = "the peripheral saw a bad checksum: "
            words += _NAK_PAYOUT_WORDS if key in _PAYOUTS[self.device] else "repeat"
            return _lone(direction, "NAK", words, block)
        if control is Control.RET:
            error = "RET may be sent by the VMC only"
            return _lone(direction, "RET", error, block, error)
        near = classify_control(block[0])
        error = f"{block[0]:02X} alone is neither ACK, NAK nor a data block with a checksum"
        if near is not None:
            error += f"; by its set bits it is taken for {near.value}"
        return _lone(direction, "broken", error, block, error)

    def _knows(self, key: Key) -> bool:
        number, sub = key
        if self.device is Device.CASHLESS or sub is None:
            return number in _COMMAND_NAMES[self.device] and number not in _WITH_SUB
        subs = explain_bill if self.device is Device.BILL else explain_changer
        return sub in subs.SUB_NAMES

    def _foreign_response(self, block: bytes, direction: str) -> BlockExplanation:
        """What somebody else answered: a control byte, or bytes that only its makers can read."""
        control = _CONTROLS.get(block[0]) if len(block) == 1 else None
        if control in (Control.ACK, Control.NAK):
            words = "received" if control is Control.ACK else "saw a bad checksum"
            return _lone(direction, control.value, f"{words}; more is not known", block)
        scribe = Scribe(self._payload(block), money=self.money)
        self._check_size(scribe, block)
        scribe.begin("answer")
        scribe.unread("an answer of a device this decoder does not know")
        self._close(scribe, block)
        return _block(direction, "unknown", "", block, scribe)

    def _answer(self, scribe: Scribe, key: Key) -> str:
        match self.device:
            case Device.CHANGER:
                return explain_changer.explain_answer(scribe, key)
            case Device.BILL:
                return explain_bill.explain_answer(scribe, key)
            case Device.CASHLESS:
                context = CashlessContext(self.level, self.expanded)
                explain_reader.explain_messages(scribe, context, key)
                return "answer"

    # -------------------------------------------------------------------- blocks

    def _payload(self, block: bytes) -> bytes:
        return block[:-1] if self.checksum and len(block) > 1 else block

    def _check_size(self, scribe: Scribe, block: bytes) -> None:
        most = MAX_BLOCK_BYTES if self.checksum else MAX_PAYLOAD_BYTES
        if len(block) > most:
            scribe.errors.append(f"{len(block)} bytes, a block has {most} at most")
        if self.checksum and len(block) == 1:
            scribe.errors.append("cut short: no checksum")

    def _close(self, scribe: Scribe, block: bytes) -> None:
        scribe.finish()
        if not self.checksum or len(block) < 2:
            return
        expected, actual = checksum(block[:-1]), block[-1]
        words = "correct" if expected == actual else f"wrong: expected {expected:02X}"
        if expected != actual:
            scribe.errors.append(
                f"wrong checksum: {actual:02X}, the bytes before it add up to {expected:02X}"
            )
            scribe.notes.append("if the bytes carry no checksum, say so (--no-checksum)")
        scribe.trailer(actual, "checksum", words)


_A_DEVICE: Final = {
    Device.CHANGER: "a changer (08)",
    Device.BILL: "a bill validator (30)",
    Device.CASHLESS: "a card reader (10 or 60)",
}


def _who(address: int) -> str:
    """Who answers at an address; nobody should at the VMC's own."""
    return "peripheral" if address == Address.VMC else device_words(address)


def _whose(address: int) -> str:
    """Say whose an address is."""
    words = device_words(address)
    if address == Address.VMC:
        return "address 00 is the VMC itself"
    if words.startswith("reserved"):
        return f"address {address:02X} is reserved: no device of the standard has it"
    return f"address {address:02X} is the {words}"


_VMC_CONTROL_WORDS: Final = {
    Control.ACK: "the VMC has received the data",
    Control.NAK: "the VMC saw a bad checksum; the peripheral keeps its data",
    Control.RET: "the VMC wants the last data block again",
}
_CONTROLS: Final = {0x00: Control.ACK, 0xFF: Control.NAK, 0xAA: Control.RET}
"""The control bytes exactly; a peripheral's lone byte of another value is worth an error."""
_NO_MESSAGES: Final = frozenset({"checksum", "filler", "leftover"})
_WITH_SUB: Final = frozenset({0x0F, 0x37})
"""EXPANSION of changer and validator, which is nothing without its sub-command."""
_PAYOUTS: Final[dict[Device, frozenset[Key]]] = {
    Device.CHANGER: frozenset({(0x0D, None), (0x0F, 0x02)}),
    Device.BILL: frozenset({(0x37, 0x06), (0x37, 0x07)}),
    Device.CASHLESS: frozenset(),
}
_NAK_PAYOUT_WORDS: Final = "poll and compare what is left before paying again, never repeat blindly"
_PAYOUT_SUBS: Final[dict[Device, frozenset[int | None]]] = {
    Device.CHANGER: frozenset({0x03, 0x04}),
    Device.BILL: frozenset({0x08}),
    Device.CASHLESS: frozenset(),
}


def _lone(
    direction: str, name: str, meaning: str, block: bytes, error: str | None = None
) -> BlockExplanation:
    value = Field(0, hex_bytes(block), "control byte", block[0], f"{name}: {meaning}")
    part = Part(name, meaning, (value,))
    errors = () if error is None else (error,)
    return BlockExplanation(direction, name, meaning, hex_bytes(block), (part,), errors, ())


def _block(
    direction: str, name: str, meaning: str, block: bytes, scribe: Scribe
) -> BlockExplanation:
    return BlockExplanation(
        direction,
        name,
        meaning,
        hex_bytes(block),
        tuple(scribe.parts),
        tuple(scribe.errors),
        tuple(scribe.notes),
    )
