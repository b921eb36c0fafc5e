"""Cutting a cashless device's answer into its messages.

Readers disagree with their own SETUP in the field, so the answer is cut with the lengths in use
first; only when that does not come out (a message cut short, an unknown code, a 00 that is not
first) are the other lengths of the same messages tried, fewest departures first, and the cut that
comes out exactly is taken. Not the other way round: in 16-bit mode `05 00 8C 0A 30` is an approval
of 140 and a malfunction, not a 32-bit amount.

Pure: no port, no clock, no log.

Source: MDB/ICP 4.2, section 7.4.4 (reader messages); the rules of tolerance are ours.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from drivers.mdb.blocks import BlockFault, MdbBlockError
from drivers.mdb.cashless_codec import (
    AGE_FEATURES_HEAD,
    AGE_FEATURES_TAG,
    AGE_RESULT_HEAD,
    AGE_RESULT_TAG,
    MAX_DISPLAY_CHARACTERS,
    AgeFeatures,
    AgeResult,
    BeginSession,
    Cancelled,
    CashlessContext,
    Code,
    DataEntryCancel,
    DataEntryRequest,
    DiagnosticsResponse,
    DisplayRequest,
    EndSession,
    FtlReceived,
    JustReset,
    Malfunction,
    ObsoleteBusy,
    OutOfSequence,
    PeripheralId,
    ReaderConfig,
    ReaderMessage,
    RevalueApproved,
    RevalueDenied,
    RevalueLimit,
    SelectionRequest,
    SessionCancelRequest,
    TimeDateRequest,
    UserFileData,
    VendApproved,
    VendDenied,
)
from drivers.mdb.cashless_words import STATE_WORDS
from drivers.mdb.fields import ascii_text, decode_identification, number
from drivers.mdb.ftl_codec import decode_message as decode_ftl
from drivers.mdb.ftl_codec import is_ftl_code
from drivers.mdb.money import decode_currency

SELECTION_REQUEST_BYTES: Final = 12
"""The only form of 14 we know (16-bit); a shorter rest is consumed whole."""

_OF_AN_AGE: Final = (
    (AGE_FEATURES_HEAD, AGE_FEATURES_TAG),
    (AGE_RESULT_HEAD, AGE_RESULT_TAG),
)
_BEGIN_SHORT: Final = 3
_BEGIN_LONG_16: Final = 10
_BEGIN_EXPANDED: Final = 17


@dataclass(frozen=True, slots=True)
class ReaderAnswer:
    """What one answer held, in order.

    Attributes:
        messages: Everything that could be read.
        leftover: Bytes that could not be read, to log. They never void a message before them.
        error: Why there is a leftover; None when the answer came out exactly.
        other_lengths: The answer came out only with other lengths than those in use.
    """

    messages: tuple[ReaderMessage, ...] = ()
    leftover: bytes = b""
    error: MdbBlockError | None = None
    other_lengths: bool = False

    @property
    def just_reset(self) -> bool:
        """The reader reset itself or was reset: initialise it, send no RESET."""
        return bool(self.messages) and isinstance(self.messages[0], JustReset)


_NOTHING: Final = ReaderAnswer()


def decode_messages(payload: bytes, context: CashlessContext) -> ReaderAnswer:
    """All messages of an answer or POLL, in order; never raises."""
    if not payload:
        return _NOTHING
    if is_ftl_code(payload[0]):
        try:
            return ReaderAnswer((FtlReceived(decode_ftl(payload), payload),))
        except MdbBlockError as wrong:
            return ReaderAnswer((), payload, wrong)
    cut = _exact_cut(payload, context)
    if cut is not None:
        lengths, departures = cut
        return ReaderAnswer(_read(payload, lengths), other_lengths=departures > 0)
    lengths, error = _cut_in_use(payload, context)
    return ReaderAnswer(_read(payload, lengths), payload[sum(lengths) :], error)


def _read(payload: bytes, lengths: list[int]) -> tuple[ReaderMessage, ...]:
    messages: list[ReaderMessage] = []
    at = 0
    for length in lengths:
        raw = payload[at : at + length]
        if at == 0 or raw != b"\xff":  # a lone FF at the very end is filler
            messages.append(_decode_message(raw))
        at += length
    return tuple(messages)


def _exact_cut(payload: bytes, context: CashlessContext) -> tuple[list[int], int] | None:
    """Message lengths that fill the payload exactly, with the fewest departures from those in use.

    Built from the end backwards, so that the work grows with the block's size only.
    """
    size = len(payload)
    best: list[tuple[int, int] | None] = [None] * size + [(0, 0)]
    for at in range(size - 1, -1, -1):
        chosen: tuple[int, int] | None = None
        for rank, length in enumerate(message_lengths(payload, at, context)):
            rest = best[at + length] if at + length <= size else None
            if rest is None:
                continue
            cost = rest[0] + (rank > 0)
            if chosen is None or cost < chosen[0]:
                chosen = (cost, length)
        best[at] = chosen
    whole = best[0]
    if whole is None:
        return None
    lengths: list[int] = []
    at = 0
    while at < size:
        step = best[at]
        assert step is not None, "a cut that reaches the end has a length at each message"
        lengths.append(step[1])
        at += step[1]
    return lengths, whole[0]


def _cut_in_use(payload: bytes, context: CashlessContext) -> tuple[list[int], MdbBlockError]:
    """The lengths in use, as far as they go, and why they go no further."""
    lengths: list[int] = []
    at = 0
    while True:
        code = payload[at]
        candidates = message_lengths(payload, at, context)
        if not candidates:
            what = (
                "a 00 behind another message" if code == 0 else f"unknown message code {code:02X}"
            )
            return lengths, MdbBlockError(BlockFault.UNKNOWN, what, payload[at:])
        if at + candidates[0] > len(payload):
            return lengths, MdbBlockError(
                BlockFault.TRUNCATED,
                f"message {code:02X} needs {candidates[0]} bytes, {len(payload) - at} are left",
                payload[at:],
            )
        lengths.append(candidates[0])
        at += candidates[0]


def message_lengths(payload: bytes, at: int, context: CashlessContext) -> tuple[int, ...]:
    """Possible lengths of the message at `at`, the one in use first; none when there is none."""
    code = payload[at]
    fixed = _FIXED.get(code)
    if fixed is not None:
        return (fixed,)
    left = len(payload) - at
    match code:
        case Code.JUST_RESET:
            return (1,) if at == 0 else ()
        case Code.BEGIN_SESSION:
            return _begin_lengths(payload, at, context)
        case Code.VEND_APPROVED | Code.REVALUE_LIMIT:
            return (5, 3) if context.expanded else (3, 5)
        case Code.PERIPHERAL_ID:
            return (34, 30) if context.level_in_use >= 3 else (30, 34)
        case Code.OUT_OF_SEQUENCE:
            return _out_of_sequence_lengths(payload, context)
        case Code.DISPLAY_REQUEST:
            return _display_lengths(left, context)
        case Code.USER_FILE_DATA:
            return (3 + payload[at + 2],) if left > 2 else (3,)
        case Code.SELECTION_REQUEST:
            return (min(left, SELECTION_REQUEST_BYTES),)
        case _:
            return _diagnostics_lengths(payload, at) if code == Code.DIAGNOSTICS else ()


def _diagnostics_lengths(payload: bytes, at: int) -> tuple[int, ...]:
    """What is said of an age says how long it is; where another one ends only its maker knows."""
    left = len(payload) - at
    for head, tag in _OF_AN_AGE:
        raw = payload[at : at + len(head) + head[-1]]
        if raw.startswith(head) and raw.endswith(tag) and len(raw) < left:
            return (len(raw), left)
    return (left,)


_FIXED: Final[dict[int, int]] = {
    Code.READER_CONFIG: 8,
    Code.SESSION_CANCEL_REQUEST: 1,
    Code.VEND_DENIED: 1,
    Code.END_SESSION: 1,
    Code.CANCELLED: 1,
    Code.MALFUNCTION: 2,
    Code.OBSOLETE_BUSY: 1,
    Code.REVALUE_APPROVED: 1,
    Code.REVALUE_DENIED: 1,
    Code.TIME_DATE_REQUEST: 1,
    Code.DATA_ENTRY_REQUEST: 2,
    Code.DATA_ENTRY_CANCEL: 1,
}


def _begin_lengths(payload: bytes, at: int, context: CashlessContext) -> tuple[int, ...]:
    if at == 0 and len(payload) == _BEGIN_LONG_16:
        return (_BEGIN_LONG_16,)  # the long 16-bit form at any level: the amount stands the same
    unknown = context.level is None and at == 0 and len(payload) == _BEGIN_EXPANDED
    if context.expanded or unknown:
        return (_BEGIN_EXPANDED, _BEGIN_LONG_16, _BEGIN_SHORT)
    if context.level_in_use >= 2:
        return (_BEGIN_LONG_16, _BEGIN_EXPANDED, _BEGIN_SHORT)
    return (_BEGIN_SHORT, _BEGIN_LONG_16, _BEGIN_EXPANDED)


def _out_of_sequence_lengths(payload: bytes, context: CashlessContext) -> tuple[int, ...]:
    with_state = context.level is None and len(payload) == 2 and payload[1] in STATE_WORDS
    return (2, 1) if context.level_in_use >= 2 or with_state else (1, 2)


def _display_lengths(left: int, context: CashlessContext) -> tuple[int, ...]:
    rest = max(left, 2)
    if context.display_characters is None:
        return (rest,)
    return (2 + min(context.display_characters, MAX_DISPLAY_CHARACTERS), rest)


_BARE: Final[dict[int, Callable[[bytes], ReaderMessage]]] = {
    Code.JUST_RESET: JustReset,
    Code.SESSION_CANCEL_REQUEST: SessionCancelRequest,
    Code.VEND_DENIED: VendDenied,
    Code.END_SESSION: EndSession,
    Code.CANCELLED: Cancelled,
    Code.OBSOLETE_BUSY: ObsoleteBusy,
    Code.REVALUE_APPROVED: RevalueApproved,
    Code.REVALUE_DENIED: RevalueDenied,
    Code.TIME_DATE_REQUEST: TimeDateRequest,
    Code.DATA_ENTRY_CANCEL: DataEntryCancel,
}


def _decode_message(raw: bytes) -> ReaderMessage:
    """One message, cut to one of its lengths."""
    bare = _BARE.get(raw[0])
    if bare is not None:
        return bare(raw)
    match raw[0]:
        case Code.READER_CONFIG:
            return _reader_config(raw)
        case Code.BEGIN_SESSION:
            return _begin_session(raw)
        case Code.VEND_APPROVED:
            return VendApproved(_amount(raw[1:]), raw)
        case Code.REVALUE_LIMIT:
            return RevalueLimit(number(raw, 1, len(raw) - 1), raw)
        case Code.PERIPHERAL_ID:
            return PeripheralId(decode_identification(raw[1:]), raw)
        case Code.MALFUNCTION:
            return Malfunction(raw[1], raw)
        case Code.OUT_OF_SEQUENCE:
            return OutOfSequence(raw[1] if len(raw) > 1 else None, raw)
        case _:
            return _rare_message(raw)


def _rare_message(raw: bytes) -> ReaderMessage:
    match raw[0]:
        case Code.DISPLAY_REQUEST:
            return DisplayRequest(raw[1], raw[2:], raw)
        case Code.USER_FILE_DATA:
            return UserFileData(raw[1], raw[3:], raw)
        case Code.DATA_ENTRY_REQUEST:
            return DataEntryRequest(raw[1] & 0x7F, bool(raw[1] & 0x80), raw)
        case Code.SELECTION_REQUEST:
            return SelectionRequest(raw[1:], raw)
        case _:
            return _diagnostics(raw)


def _diagnostics(raw: bytes) -> ReaderMessage:
    if len(raw) == 9 and raw.startswith(AGE_FEATURES_HEAD) and raw.endswith(AGE_FEATURES_TAG):
        return AgeFeatures(raw[3], raw)
    if len(raw) == 10 and raw.startswith(AGE_RESULT_HEAD) and raw.endswith(AGE_RESULT_TAG):
        return AgeResult(raw[3], raw[4], raw)
    return DiagnosticsResponse(raw[1:], raw)


def _reader_config(raw: bytes) -> ReaderConfig:
    return ReaderConfig(
        level=raw[1] & 0x7F,
        currency=decode_currency(raw[2:4]),
        scaling=raw[4],
        decimals=raw[5],
        max_response_s=raw[6],
        options=raw[7],
        battery=bool(raw[1] & 0x80),
        raw=raw,
    )


def _begin_session(raw: bytes) -> BeginSession:
    if len(raw) == _BEGIN_SHORT:
        return BeginSession(_amount(raw[1:3]), raw=raw)
    size = 4 if len(raw) == _BEGIN_EXPANDED else 2
    rest = raw[1 + size :]
    session = BeginSession(
        funds=_amount(raw[1 : 1 + size]),
        media_id=_amount(rest[0:4]),
        payment_type=rest[4],
        payment_data=number(rest, 5, 2),
        raw=raw,
    )
    if size == 2:
        return session
    return replace(
        session,
        language=_language(rest[7:9]),
        currency=decode_currency(rest[9:11]),
        card_options=rest[11],
    )


def _amount(data: bytes) -> int | None:
    """The number, None when every bit is set."""
    value = int.from_bytes(data, "big")
    return None if value == (1 << 8 * len(data)) - 1 else value


def _language(data: bytes) -> str | None:
    """Two letters of a language, None when they are not printable ASCII."""
    text = ascii_text(data)
    return text if text and "?" not in text else None
