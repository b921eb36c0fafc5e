"""A ccTalk exchange in words: every byte of a request and its answer.

For `vendctl decode cctalk`. Pure: no port, no clock, no log, and no exception for whatever bytes
are given: what can't be understood is an error in the result beside everything that could be read.

Source: ccTalk Generic Specification 4.7, parts 1 and 2.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

from drivers.cctalk import explain_bill, explain_coin, explain_core, explain_hopper
from drivers.cctalk.addresses import Category, address_words, usual_category
from drivers.cctalk.explain_parts import Kind, Layout, Scribe, Talk
from drivers.cctalk.frames import (
    BROADCAST,
    BUSY,
    FRAME_OVERHEAD,
    HOST,
    NAK,
    REPLY,
    CcTalkError,
    Checksum,
    FrameFault,
    crc16,
    simple_checksum,
)
from drivers.cctalk.headers import Header, Repeat, header_name, repeat_of
from drivers.explanation import (
    BlockExplanation,
    CutShort,
    Field,
    Part,
    counted,
    errors_of,
    hex_pairs,
)

TALKS: Final[dict[int, Talk]] = {
    **explain_core.TALKS,
    **explain_coin.TALKS,
    **explain_bill.TALKS,
    **explain_hopper.TALKS,
}
"""What is known of each header's data."""

_KINDS: Final = {
    Category.COIN_ACCEPTOR: Kind.COIN,
    Category.BILL_VALIDATOR: Kind.BILL,
    Category.BILL_RECYCLER: Kind.BILL,
    Category.PAYOUT: Kind.HOPPER,
    Category.CHANGER: Kind.CHANGER,
    Category.ESCROW: Kind.ESCROW,
}
_ASKED: Final[dict[int, Kind]] = (
    dict.fromkeys(explain_coin.TALKS, Kind.COIN)
    | dict.fromkeys(explain_bill.TALKS, Kind.BILL)
    | dict.fromkeys(explain_hopper.TALKS, Kind.HOPPER)
)
"""Headers that say by themselves what kind of device they are for."""

_POLLS: Final = {
    Kind.COIN: (Header.READ_BUFFERED_CREDIT, 11),
    Kind.BILL: (Header.READ_BUFFERED_BILL_EVENTS, 11),
    Kind.HOPPER: (Header.REQUEST_HOPPER_STATUS, 4),
}
"""What an answer without its request is read as, when it is of this length."""

_RAW_REPLIES: Final = frozenset({Header.ADDRESS_POLL, Header.ADDRESS_CLASH})
"""Answered by single bytes without a frame."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A request and its answer, either of which may be missing."""

    device: Kind
    checksum: Checksum
    request: BlockExplanation | None
    response: BlockExplanation | None

    @property
    def errors(self) -> tuple[str, ...]:
        """All errors, each naming its block."""
        return errors_of(self.request, self.response)

    def to_dict(self) -> dict[str, object]:
        """For JSON: plain dicts, lists, strings, numbers."""
        return {
            **asdict(self),
            "device": str(self.device),
            "checksum": str(self.checksum),
            "errors": list(self.errors),
        }


def explain(
    request: bytes | None,
    response: bytes | None,
    *,
    device: Kind | None = None,
    checksum: Checksum | None = None,
    last_counter: int | None = None,
) -> Explanation:
    """Explain every byte of an exchange.

    Args:
        request: What the host sent, None if unknown.
        response: What came back, None if unknown; an echo of the request before it is told apart.
        device: What stands on the far side; None takes what the header or the address says.
        checksum: What the frames end with; None finds out which of the two is right.
        last_counter: The event counter of the read before, to tell which events are new.

    Raises:
        CcTalkError: Neither request nor response. Never for the bytes themselves.
    """
    if not request and not response:
        raise CcTalkError(FrameFault.TRUNCATED, "nothing to explain: neither request nor response")
    used = checksum or _guess_checksum(request, response)
    reader = _Reader(used, device, last_counter, guessed=checksum is None)
    told_request = reader.request(request) if request else None
    told_response = reader.response(response, request or b"") if response else None
    return Explanation(reader.kind, used, told_request, told_response)


def _guess_checksum(request: bytes | None, response: bytes | None) -> Checksum:
    """The one with more good frames; the sum when both are as bad."""
    frames = [raw for raw in (request, response) if raw and len(raw) >= FRAME_OVERHEAD]
    sums = sum(simple_checksum(raw[:-1]) == raw[-1] for raw in frames)
    crcs = sum(crc16(raw[:2] + raw[3:-1]) == raw[-1] << 8 | raw[2] for raw in frames)
    return Checksum.CRC if crcs > sums else Checksum.SUM


@dataclass(slots=True)
class _Reader:
    """What is known while one exchange is explained."""

    checksum: Checksum
    device: Kind | None
    last_counter: int | None
    guessed: bool
    header: int | None = None
    asked: int | None = None
    asker: int = HOST

    @property
    def kind(self) -> Kind:
        """What stands on the far side, as far as anything tells."""
        if self.device is not None:
            return self.device
        category = usual_category(self.asked) if self.asked is not None else None
        by_address = _KINDS.get(category) if category else None
        if self.header in _ASKED and by_address is None:
            return _ASKED[self.header]
        return by_address or Kind.OTHER

    def request(self, raw: bytes) -> BlockExplanation:
        """Explain what the host sent, and remember what it asked for."""
        scribe = self._scribe(raw)
        name = "request"
        data_end = len(raw)
        try:
            self._address(scribe, "destination")
            self.asked = raw[0]
            size = self._length(scribe, raw)
            self._asker(scribe, self._source(scribe))
            self.header = raw[3] if len(raw) > 3 else None
            scribe.number(1, "header", header_name)
            assert self.header is not None, "a byte was read"
            name = header_name(self.header)
            data_end = _data_end(raw, size)
            self._judge_request(scribe, self.header, size)
            self._data(scribe, data_end, self._talk(self.header).request, "request data")
        except CutShort:
            name += ", cut short"
        self._close(scribe, raw)
        return _block(f"host to {_peer(self.asked)}", name, raw, scribe)

    def response(self, raw: bytes, request: bytes) -> BlockExplanation:
        """Explain what came back, in the light of the request."""
        echo = bool(request) and raw.startswith(request)
        if self.header in _RAW_REPLIES:
            return self._raw_reply(raw, len(request) if echo else 0)
        scribe = self._scribe(raw)
        name, source = "reply", self.asked
        try:
            if echo:
                scribe.begin("echo", "the host hears its own bytes on the one wire")
                scribe.blob(len(request), "echo", "our own request, heard back")
                scribe.close()
                if not scribe.left:
                    scribe.errors.append("nothing but the echo: the device is silent")
                    return _block(f"{_peer(source)} to host", "silence", raw, scribe)
                raw_reply = raw[len(request) :]
            else:
                raw_reply = raw
            name, source = self._reply(scribe, raw_reply)
        except CutShort:
            name += ", cut short"
            raw_reply = raw[len(request) :] if echo else raw
        self._close(scribe, raw_reply)
        return _block(f"{_peer(source)} to host", name, raw, scribe)

    # --------------------------------------------------------------------------------- parts

    def _reply(self, scribe: Scribe, raw: bytes) -> tuple[str, int | None]:
        start = scribe.at
        scribe.begin("reply")
        self._address(scribe, "destination")
        if raw[0] != self.asker:
            host = "the host (1)" if self.asker == HOST else f"{self.asker}, which asked"
            scribe.errors.append(f"a reply goes to {host}, not to {raw[0]}")
        size = self._length(scribe, raw)
        source = self._source(scribe)
        if source is None:
            source = self.asked
        elif self.asked is None:
            self.asked = source
        elif self.asked not in (source, BROADCAST):
            scribe.errors.append(
                f"{address_words(source)} answers, {address_words(self.asked)} was asked"
            )
        if len(raw) <= 3:
            scribe.number(1, "header")
        header = raw[3]
        scribe.number(1, "header", _reply_words(header, size))
        end = start + _data_end(raw, size)
        return self._reply_body(scribe, header, size, end), source

    def _reply_body(self, scribe: Scribe, header: int, size: int, end: int) -> str:
        if header in (NAK, BUSY):
            if size:
                scribe.errors.append("NAK and BUSY carry no data")
            self._data(scribe, end, None, "data")
            if header == NAK and self.header == Header.DISPENSE_HOPPER_COINS:
                scribe.notes.append("nothing was paid; header 163 tells why")
            return "NAK" if header == NAK else "BUSY"
        if header != REPLY:
            scribe.errors.append(f"header {header} is none of a reply (0, 5, 6)")
            self._data(scribe, end, None, "data")
            return "no reply"
        asked = self.header
        if asked is None:
            poll, length = _POLLS.get(self.kind, (None, 0))
            if size and size == length and poll is not None:
                scribe.notes.append(f"without a request; read as an answer to header {poll}")
                asked = poll
        if asked is None:
            note = "without a request the data has no meaning" if size else ""
            scribe.notes.extend([note] if note else [])
            self._blob(scribe, end, "what was asked is not known")
            return "reply" if size else "ACK"
        talk = self._talk(asked)
        if not size:
            return self._ack(scribe, talk)
        if talk.answer is None and asked in TALKS:
            scribe.errors.append("data where only an ACK belongs")
            self._blob(scribe, end, "not expected")
        else:
            self._data(scribe, end, talk.answer, "answer data")
        return f"{header_name(asked)}: answer"

    def _ack(self, scribe: Scribe, talk: Talk) -> str:
        if talk.ack is not None:
            scribe.notes.append(f"ACK: {talk.ack}")
        elif talk.answer is not None:
            scribe.errors.append("an ACK without data where data is owed")
        return "ACK"

    def _data(self, scribe: Scribe, end: int, layout: Layout | None, what: str) -> None:
        """Read the data between the header and the last byte with its layout."""
        inner = self._scribe(scribe.data[:end])
        inner.at = scribe.at
        scribe.close()
        inner.begin("data")
        try:
            if layout is not None:
                layout(inner)
            elif inner.left and self.header is not None and self.header not in TALKS:
                inner.blob(inner.left, what, "a command that is not defined")
        except CutShort:
            scribe.notes.append("the data is shorter than this command has")
        inner.finish()
        scribe.parts += map(_named_after_its_field, inner.parts)
        scribe.errors += inner.errors
        scribe.notes += inner.notes
        scribe.at = inner.at

    def _blob(self, scribe: Scribe, end: int, words: str) -> None:
        scribe.close()
        scribe.begin("data")
        scribe.blob(max(end - scribe.at, 0), "data", words)
        scribe.close()

    def _raw_reply(self, raw: bytes, echo: int) -> BlockExplanation:
        """Single bytes without a frame: each is an address, or a device on the asked address."""
        scribe = self._scribe(raw)
        if echo:
            scribe.begin("echo", "the host hears its own bytes on the one wire")
            scribe.blob(echo, "echo", "our own request, heard back")
        scribe.begin("addresses")
        count = 0
        while scribe.left:
            count += 1
            scribe.number(1, "address", address_words)
        scribe.close()
        if self.header == Header.ADDRESS_CLASH:
            words = "one device: no clash" if count == 1 else f"{count} devices share the address"
            scribe.notes.append(words)
        return _block("devices to host", "single bytes without a frame", raw, scribe)

    def _scribe(self, raw: bytes) -> Scribe:
        scribe = Scribe(raw, order="little", kind=self.kind, last_counter=self.last_counter)
        scribe.begin("frame")
        return scribe

    def _address(self, scribe: Scribe, name: str) -> None:
        scribe.number(1, name, address_words)

    def _length(self, scribe: Scribe, raw: bytes) -> int:
        size = scribe.number(1, "length", lambda n: f"{n} data byte{'' if n == 1 else 's'}")
        if len(raw) != size + FRAME_OVERHEAD:
            short = "cut short: " if len(raw) < size + FRAME_OVERHEAD else ""
            scribe.errors.append(
                f"{short}{len(raw)} bytes, the frame says {size + FRAME_OVERHEAD} ({size} of data)"
            )
        return size

    def _source(self, scribe: Scribe) -> int | None:
        if self.checksum is Checksum.CRC:
            scribe.number(1, "CRC, low byte", "in place of the source")
            return None
        return scribe.number(1, "source", address_words)

    def _asker(self, scribe: Scribe, source: int | None) -> None:
        """Judge who asks whom."""
        if self.asked == HOST:
            scribe.errors.append("address 1 is the host itself: a request goes to a device")
        if source is not None and source != HOST:
            self.asker = source
            scribe.notes.append(f"asked by address {source}: the host is 1, unless there are two")

    def _judge_request(self, scribe: Scribe, header: int, size: int) -> None:
        if header in (REPLY, NAK, BUSY):
            scribe.errors.append(f"header {header} is a reply's: a device must not be sent it")
        if header == Header.RESET_DEVICE and size:
            scribe.notes.append("a reset with data: devices should not obey it (null bytes before)")
        if header == Header.MODIFY_INHIBIT_STATUS:
            scribe.notes.append("a set bit enables, whatever the name says")
        if repeat_of(header) is Repeat.CHECK_FIRST:
            scribe.notes.append(
                "if it goes unanswered: look with a simple poll before repeating it"
            )

    def _talk(self, header: int) -> Talk:
        return TALKS.get(header, _UNKNOWN_TALK)

    def _close(self, scribe: Scribe, frame: bytes) -> None:
        scribe.close()
        if FRAME_OVERHEAD <= len(frame) < frame[1] + FRAME_OVERHEAD:
            if scribe.left:
                scribe.begin("leftover")
                scribe.unread("the frame ends before its checksum")
                scribe.close()
            scribe.notes.append("the checksum would have been behind the bytes that are missing")
            return
        if len(frame) < FRAME_OVERHEAD or not scribe.left:
            if scribe.left:
                scribe.begin("leftover")
                scribe.unread("not enough for a frame")
                scribe.close()
            elif len(frame) < FRAME_OVERHEAD and not scribe.errors:
                scribe.errors.append("cut short: a frame has at least 5 bytes")
            return
        if scribe.left > 1:
            scribe.begin("leftover")
            raw = scribe.data[scribe.at : -1]
            scribe.errors.append(f"{counted(len(raw), 'byte')} more than the frame has")
            scribe.blob(len(raw), "not understood", "more bytes than the frame has")
            scribe.close()
        self._check(scribe, frame)

    def _check(self, scribe: Scribe, frame: bytes) -> None:
        if self.checksum is Checksum.CRC:
            name, crc = "CRC, high byte", crc16(frame[:2] + frame[3:-1])
            good = (frame[2], frame[-1]) == (crc & 0xFF, crc >> 8)
            wanted = f"{crc:04X}: {crc & 0xFF:02X} before the header, {crc >> 8:02X} here"
        else:
            name, total = "checksum", simple_checksum(frame[:-1])
            good = frame[-1] == total
            wanted = f"{total:02X}"
        if not good:
            scribe.errors.append(f"wrong checksum: expected {wanted}")
            if self.guessed:
                scribe.notes.append("neither the sum nor the CRC is right, or it is encrypted")
        scribe.trailer(frame[-1], name, "correct" if good else f"wrong: expected {wanted}")


_UNKNOWN_TALK: Final = Talk()


def _data_end(frame: bytes, size: int) -> int:
    """Where the data ends: before the checksum, or where a frame cut short breaks off."""
    if len(frame) < size + FRAME_OVERHEAD:
        return max(len(frame), 4)
    return 4 + size


def _reply_words(header: int, size: int) -> str:
    match header:
        case 0:
            return "reply with data" if size else "ACK"
        case 5:
            return "NAK: received well, refused or failed"
        case 6:
            return "BUSY: ask again later"
        case _:
            return "none of a reply"


def _named_after_its_field(part: Part) -> Part:
    lone = part.name == "data" and len(part.fields) == 1
    return Part(part.fields[0].name, part.meaning, part.fields) if lone else part


def _peer(address: int | None) -> str:
    return "device" if address is None else address_words(address)


def _block(direction: str, name: str, raw: bytes, scribe: Scribe) -> BlockExplanation:
    return BlockExplanation(
        direction,
        name,
        "",
        hex_pairs(raw),
        tuple(scribe.parts),
        tuple(scribe.errors),
        tuple(scribe.notes),
    )


__all__ = ["BlockExplanation", "Explanation", "Field", "Kind", "Part", "explain"]
