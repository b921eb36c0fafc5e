"""What a reader says: bytes beside values, and answers that hold several messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mdb import cashless_codec as reader
from drivers.mdb.blocks import BlockFault, MdbBlockError, build_block, parse_answer
from drivers.mdb.cashless_codec import (
    AgeFeatures,
    AgeResult,
    BeginSession,
    Cancelled,
    CashlessContext,
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
    ReaderState,
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
from drivers.mdb.cashless_encoder import encode_message, encode_messages
from drivers.mdb.cashless_parser import ReaderAnswer, decode_messages
from drivers.mdb.fields import Identification
from drivers.mdb.ftl_codec import ReqToReceive
from drivers.mdb.money import CurrencyCode, iso_currency

L1 = CashlessContext(level=1)
L2 = CashlessContext(level=2)
L3 = CashlessContext(level=3)
EXPANDED = CashlessContext(level=3, expanded=True)
UNKNOWN = CashlessContext()
CONTEXTS = [L1, L2, L3, EXPANDED, UNKNOWN]

EUR = iso_currency("EUR")
READER_ID = Identification("ABC", "000000123456", "TAP-1", version=210, options=0x28)
SHORT_ID = Identification("ABC", "000000123456", "TAP-1", version=210)
ID_30 = "09 41 42 43 30 30 30 30 30 30 31 32 33 34 35 36 54 41 50 2D 31 20 20 20 20 20 20 20 02 10"
ID_34 = ID_30 + " 00 00 00 28"


def wire(text: str) -> bytes:
    """The payload of a block as the standard prints it."""
    return parse_answer(bytes.fromhex(text))


BLOCKS: list[tuple[str, CashlessContext, list[ReaderMessage]]] = [
    ("00", L3, []),
    ("00 00", L3, [JustReset()]),
    ("01 03 19 78 01 02 14 09 B5", L3, [
        ReaderConfig(level=3, currency=EUR, scaling=1, decimals=2, max_response_s=20, options=9)]),
    ("03 07 D0 DA", L1, [BeginSession(2000)]),
    ("03 07 D0 00 12 34 56 00 00 00 76", L2, [BeginSession(2000, media_id=0x123456)]),
    ("03 00 00 07 D0 00 12 34 56 00 00 00 65 6E 19 78 02 DC", EXPANDED, [
        BeginSession(2000, 0x123456, 0, 0, language="en", currency=EUR, card_options=2)]),
    ("04 04", L1, [SessionCancelRequest()]),
    ("05 00 78 7D", L2, [VendApproved(120)]),
    ("05 00 00 00 78 7D", EXPANDED, [VendApproved(120)]),
    ("06 06", L1, [VendDenied()]),
    ("07 07", L1, [EndSession()]),
    ("08 08", L1, [Cancelled()]),
    (ID_34 + " 81", L3, [PeripheralId(READER_ID)]),
    (ID_30 + " 59", L2, [PeripheralId(SHORT_ID)]),
    ("0A C1 CB", L2, [Malfunction(0xC1)]),
    ("06 0A 51 04 65", L2, [VendDenied(), Malfunction(0x51), SessionCancelRequest()]),
    ("0B 0B", L1, [OutOfSequence()]),
    ("0B 04 0F", L2, [OutOfSequence(4)]),
    ("0C 0C", L1, [ObsoleteBusy()]),
    ("0D 0D", L2, [RevalueApproved()]),
    ("0E 0E", L2, [RevalueDenied()]),
    ("0F 03 20 32", L2, [RevalueLimit(800)]),
    ("0F 00 00 03 20 32", EXPANDED, [RevalueLimit(800)]),
    ("10 05 02 41 42 9A", L2, [UserFileData(5, b"AB")]),
    ("11 11", L2, [TimeDateRequest()]),
    ("12 03 15", L3, [DataEntryRequest(keys=3)]),
    ("12 84 96", L3, [DataEntryRequest(keys=4, repeated=True)]),
    ("12 03 02 32 48 49 DA", CashlessContext(3, display_characters=2),
     [DataEntryRequest(keys=3), DisplayRequest(50, b"HI")]),
    ("13 13", L3, [DataEntryCancel()]),
    ("1B 00 10 01 08 00 34", L3, [FtlReceived(ReqToReceive(0, 0x10, 1, 8, 0))]),
    ("FF 41 42 82", L3, [DiagnosticsResponse(b"AB")]),
    ("FF 05 06 01 44 52 41 56 50 88", L3, [AgeFeatures(features=1)]),
    ("FF 06 07 12 01 44 52 41 56 53 9F", L3, [AgeResult(status=0x12, feature=1)]),
    ("FF 05 06 01 44 52 41 56 50 03 07 D0 00 12 34 56 00 00 00 FE", L3, [
        AgeFeatures(features=1), BeginSession(2000, media_id=0x123456)]),
    ("FF 06 07 12 01 44 52 41 56 53 FF 06 07 12 01 44 52 41 56 53 04 42", L3, [
        AgeResult(status=0x12, feature=1), AgeResult(status=0x12, feature=1),
        SessionCancelRequest()]),
]  # fmt: skip


@pytest.mark.parametrize(("block", "context", "messages"), BLOCKS)
def test_an_answer_is_a_sequence_of_messages(
    block: str, context: CashlessContext, messages: list[ReaderMessage]
) -> None:
    answer = decode_messages(wire(block), context)
    assert answer == ReaderAnswer(tuple(messages))
    assert b"".join(message.raw for message in answer.messages) == wire(block)
    assert encode_messages(messages, context) == wire(block)


@pytest.mark.parametrize(("block", "context", "messages"), BLOCKS)
def test_without_context_most_answers_explain_themselves(
    block: str, context: CashlessContext, messages: list[ReaderMessage]
) -> None:
    if any(isinstance(message, DataEntryRequest) for message in messages[:-1]):
        return  # the display's size is ours to know
    assert decode_messages(wire(block), UNKNOWN).messages == tuple(messages)


# ------------------------------------------------------------------- rules of tolerance


def test_the_lengths_in_use_come_first() -> None:
    answer = decode_messages(bytes.fromhex("05 00 8C 0A 30"), L2)
    assert answer == ReaderAnswer((VendApproved(140), Malfunction(0x30)))
    expanded = decode_messages(bytes.fromhex("05 00 8C 0A 30"), EXPANDED)
    assert expanded == ReaderAnswer((VendApproved(0x8C0A30),))


@pytest.mark.parametrize(
    ("payload", "context", "messages"),
    [
        (ID_34, L2, [PeripheralId(READER_ID)]),  # 34 bytes to a level 2 VMC
        (ID_34, L1, [PeripheralId(READER_ID)]),
        (ID_30, L3, [PeripheralId(SHORT_ID)]),
        ("03 07 D0", L2, [BeginSession(2000)]),  # level 1 form from a level 2 reader
        ("03 00 00 07 D0 00 12 34 56 00 00 00 65 6E 19 78 02", L2,
         [BeginSession(2000, 0x123456, 0, 0, "en", EUR, 2)]),
        ("05 00 00 00 78", L2, [VendApproved(120)]),  # 32-bit without the option
        ("05 00 78", EXPANDED, [VendApproved(120)]),
        ("0F 03 20", EXPANDED, [RevalueLimit(800)]),
        ("0B", L2, [OutOfSequence()]),
        ("0B 05", L1, [OutOfSequence(5)]),
        ("0B 0A 51", L2, [OutOfSequence(), Malfunction(0x51)]),
        ("06 0B", L2, [VendDenied(), OutOfSequence()]),
        ("02 32 41", CashlessContext(2, display_characters=32), [DisplayRequest(50, b"A")]),
    ],
)  # fmt: skip
def test_other_lengths_are_taken_when_only_they_come_out(
    payload: str, context: CashlessContext, messages: list[ReaderMessage]
) -> None:
    answer = decode_messages(bytes.fromhex(payload), context)
    assert answer.messages == tuple(messages)
    assert answer.error is None
    assert answer.leftover == b""
    assert answer.other_lengths


def test_the_long_16_bit_session_is_known_by_its_ten_bytes_at_any_level() -> None:
    payload = bytes.fromhex("03 07 D0 07 07 07 07 00 00 00")
    for context in CONTEXTS:
        answer = decode_messages(payload, context)
        assert answer.messages == (BeginSession(2000, media_id=0x07070707),)
        assert not answer.other_lengths


def test_an_expanded_session_of_unknown_funds_is_known_without_context() -> None:
    payload = bytes.fromhex("03 FF FF FF FF FF FF FF FF 00 00 00 64 65 FF FF 01")
    session = decode_messages(payload, UNKNOWN).messages[0]
    assert session == BeginSession(None, None, 0, 0, "de", CurrencyCode(0xFFFF), 1)


def test_a_later_00_is_no_reset() -> None:
    answer = decode_messages(bytes.fromhex("06 00"), L2)
    assert answer.messages == (VendDenied(),)
    assert answer.leftover == b"\x00"
    assert answer.error is not None
    assert not answer.just_reset
    assert decode_messages(b"\x00", L2).just_reset


def test_a_00_in_front_of_other_messages_is_a_reset() -> None:
    answer = decode_messages(bytes.fromhex("00 11"), L2)
    assert answer.just_reset
    assert answer.messages == (JustReset(), TimeDateRequest())


@pytest.mark.parametrize("tail", ["00", "99", "99 12", "1A", "00 00 00 00"])
def test_bytes_behind_a_money_message_never_void_it(tail: str) -> None:
    answer = decode_messages(bytes.fromhex("05 00 78" + tail), L2)
    if tail == "99 12":  # two more bytes make the 32-bit form come out exactly
        assert answer.messages == (VendApproved(0x00789912),)
        return
    assert answer.messages == (VendApproved(120),)
    assert answer.leftover == bytes.fromhex(tail)
    assert answer.error is not None


def test_a_message_cut_short_is_an_error_and_keeps_those_before_it() -> None:
    answer = decode_messages(bytes.fromhex("04 05 00"), L2)
    assert answer.messages == (SessionCancelRequest(),)
    assert answer.leftover == bytes.fromhex("05 00")
    assert answer.error is not None
    assert answer.error.reason is BlockFault.TRUNCATED


def test_an_unknown_code_keeps_what_was_read() -> None:
    answer = decode_messages(bytes.fromhex("07 1A 01 02"), L2)
    assert answer.messages == (EndSession(),)
    assert answer.leftover == bytes.fromhex("1A 01 02")
    assert answer.error is not None
    assert answer.error.reason is BlockFault.UNKNOWN


def test_ff_swallows_the_rest_and_is_filler_at_the_very_end() -> None:
    swallowed = decode_messages(bytes.fromhex("06 FF 01 05"), L2)
    assert swallowed == ReaderAnswer((VendDenied(), DiagnosticsResponse(b"\x01\x05")))
    filled = decode_messages(bytes.fromhex("06 FF"), L2)
    assert filled == ReaderAnswer((VendDenied(),))
    assert decode_messages(b"\xff", L2).messages == (DiagnosticsResponse(b""),)


@pytest.mark.parametrize(
    ("payload", "consumed", "behind"),
    [
        ("14 07 D0 00 12 34 56 00 00 00 00 07", 12, []),
        ("14 07 D0 00 12 34 56 00 00 00 00 07 04", 12, [SessionCancelRequest()]),
        ("14 07 D0", 3, []),
        ("14", 1, []),
    ],
)
def test_a_selection_request_is_consumed_and_no_more(
    payload: str, consumed: int, behind: list[ReaderMessage]
) -> None:
    raw = bytes.fromhex(payload)
    answer = decode_messages(raw, L3)
    assert answer.messages == (SelectionRequest(raw[1:consumed]), *behind)
    assert answer.messages[0].raw == raw[:consumed]


def test_a_broken_file_message_is_an_error_with_its_bytes() -> None:
    answer = decode_messages(bytes.fromhex("1B 00"), L3)
    assert answer.messages == ()
    assert answer.leftover == bytes.fromhex("1B 00")
    assert answer.error is not None


def test_a_long_run_of_ambiguous_codes_is_cut_in_no_time() -> None:
    answer = decode_messages(b"\x0b" * 35, L2)
    assert b"".join(message.raw for message in answer.messages) == b"\x0b" * 35
    assert answer.error is None


# ------------------------------------------------------------------------ single fields


def test_unknown_funds_are_none_and_the_largest_real_value_is_fffe() -> None:
    assert decode_messages(bytes.fromhex("03 FF FF"), L1).messages == (BeginSession(None),)
    assert decode_messages(bytes.fromhex("03 FF FE"), L1).messages == (BeginSession(0xFFFE),)
    assert encode_message(BeginSession(None), L1) == bytes.fromhex("03 FF FF")


def test_an_unknown_media_id_is_none() -> None:
    raw = bytes.fromhex("03 07 D0 FF FF FF FF 00 00 00")
    assert decode_messages(raw, L2).messages == (BeginSession(2000),)
    assert encode_message(BeginSession(2000), L2) == raw


@pytest.mark.parametrize(("payload", "context"), [("05 FF FF", L2), ("05 FF FF FF FF", EXPANDED)])
def test_an_approval_by_token_has_no_amount(payload: str, context: CashlessContext) -> None:
    raw = bytes.fromhex(payload)
    assert decode_messages(raw, context).messages == (VendApproved(None),)
    assert encode_message(VendApproved(None), context) == raw


def test_the_payment_type_holds_two_flags_and_a_kind() -> None:
    session = BeginSession(1, payment_type=0xC3, payment_data=0x0019)
    assert session.free_vend
    assert session.test_media
    assert session.payment_kind == 3


@pytest.mark.parametrize(
    ("options", "hide", "refundable", "revaluable"),
    [(None, False, None, None), (1, True, False, False), (2, False, True, False),
     (4, False, False, True)],
)  # fmt: skip
def test_card_options_override_the_reader(
    options: int | None, hide: bool, refundable: bool | None, revaluable: bool | None
) -> None:
    session = BeginSession(1, card_options=options)
    assert session.hide_credit is hide
    assert session.refundable is refundable
    assert session.revaluable is revaluable


def test_reader_config_tells_options_and_scale() -> None:
    config = ReaderConfig(3, EUR, scaling=1, decimals=2, max_response_s=20, options=0x09)
    assert (config.can_refund, config.multivend) == (True, False)
    assert (config.has_display, config.cash_sale) == (False, True)
    assert config.scale.to_minor(120, 2) == 120


def test_the_battery_flag_is_no_part_of_the_level() -> None:
    raw = bytes.fromhex("01 82 19 78 01 02 14 00")
    (config,) = decode_messages(raw, L2).messages
    assert isinstance(config, ReaderConfig)
    assert (config.level, config.battery) == (2, True)
    assert encode_message(config, L2) == raw


@pytest.mark.parametrize(
    ("high", "kind", "error_class"),
    [
        (0x0, "payment media error", 1),
        (0x1, "invalid payment media", 1),
        (0x2, "tamper error", 1),
        (0x3, "manufacturer defined error", 1),
        (0x4, "communications error", 2),
        (0x5, "reader requires service", 2),
        (0x6, "unassigned error", 2),
        (0x7, "manufacturer defined error", 2),
        (0x8, "reader failure", 3),
        (0x9, "communications error", 3),
        (0xA, "payment media jammed", 3),
        (0xB, "manufacturer defined error", None),
        (0xC, "refund error: the reader could not give the money back, its credit is lost", None),
        (0xD, "unassigned error", None),
        (0xE, "unassigned error", None),
        (0xF, "unassigned error", None),
    ],
)
def test_every_malfunction_code_has_words_and_a_class(
    high: int, kind: str, error_class: int | None
) -> None:
    (fault,) = decode_messages(bytes((0x0A, high << 4 | 5)), L2).messages
    assert isinstance(fault, Malfunction)
    assert (fault.kind, fault.error_class) == (kind, error_class)
    assert fault.is_refund_error is (high == 0xC)
    assert fault.words.startswith(kind)
    assert "sub-code 5" in fault.words


@pytest.mark.parametrize(
    ("code", "state"),
    [*((int(state), state) for state in ReaderState), (0, None), (8, None), (None, None)],
)
def test_out_of_sequence_names_the_state(code: int | None, state: ReaderState | None) -> None:
    assert OutOfSequence(code).state is state


def test_display_text_shows_what_is_printable() -> None:
    assert DisplayRequest(50, b"A\x80B").text == "A?B"


def test_a_language_that_is_no_text_is_none() -> None:
    raw = bytes.fromhex("03 00 00 07 D0 00 12 34 56 00 00 00 00 00 19 78 02")
    (session,) = decode_messages(raw, EXPANDED).messages
    assert isinstance(session, BeginSession)
    assert session.language is None
    assert encode_message(session, EXPANDED) == raw


def test_an_age_result_reads_its_bits() -> None:
    result = AgeResult(status=0x92, feature=0)
    assert (result.old_enough, result.age_known) == (True, True)
    assert (result.busy, result.card_in) == (False, True)
    assert AgeResult(0x40, 0).busy


# ------------------------------------------------------------------------------ writing


@pytest.mark.parametrize(
    ("message", "context"),
    [
        (BeginSession(0x10000), L2),
        (BeginSession(0xFFFF), L2),  # would be read as unknown
        (VendApproved(0xFFFF), L2),
        (VendApproved(-1), L2),
        (Malfunction(256), L2),
        (RevalueLimit(0x10000), L2),
        (DataEntryRequest(128), L3),
        (ReaderConfig(256, EUR, 1, 2, 5, 0), L2),
    ],
)
def test_a_message_that_does_not_fit_never_reaches_the_wire(
    message: ReaderMessage, context: CashlessContext
) -> None:
    with pytest.raises(MdbBlockError) as caught:
        encode_message(message, context)
    assert caught.value.reason is BlockFault.BAD_VALUE


def test_an_answer_holds_35_bytes() -> None:
    with pytest.raises(MdbBlockError) as caught:
        encode_messages([PeripheralId(READER_ID), Malfunction(1)], L3)
    assert caught.value.reason is BlockFault.TOO_LONG


def test_what_is_no_message_is_refused() -> None:
    with pytest.raises(MdbBlockError, match="not a reader's message"):
        encode_message("RESET", L2)  # type: ignore[arg-type]  # the case under test


def test_a_level_3_reader_without_options_sends_four_zero_bytes() -> None:
    assert encode_message(PeripheralId(SHORT_ID), L3) == bytes.fromhex(ID_30 + "00 00 00 00")
    assert encode_message(PeripheralId(READER_ID), L2) == bytes.fromhex(ID_30)


amount16 = st.none() | st.integers(0, 0xFFFE)
byte = st.integers(0, 255)
messages_16 = st.lists(
    st.one_of(
        st.builds(
            BeginSession, amount16, st.none() | st.integers(0, 0xFFFFFFFE), byte,
            st.integers(0, 0xFFFF),
        ),
        st.builds(VendApproved, amount16),
        st.builds(RevalueLimit, st.integers(0, 0xFFFF)),
        st.builds(Malfunction, byte),
        st.builds(OutOfSequence, byte),
        st.builds(ReaderConfig, st.integers(0, 127), st.just(EUR), byte, byte, byte, byte),
        st.builds(DataEntryRequest, st.integers(0, 127), st.booleans()),
        st.sampled_from(
            [SessionCancelRequest(), VendDenied(), EndSession(), Cancelled(), RevalueApproved(),
             RevalueDenied(), TimeDateRequest(), DataEntryCancel(), ObsoleteBusy()]
        ),
    ),
    max_size=3,
)  # fmt: skip


@given(messages_16)
def test_messages_in_the_lengths_in_use_survive_the_wire(messages: list[ReaderMessage]) -> None:
    payload = encode_messages(messages, L3)
    answer = decode_messages(payload, L3)
    assert answer == ReaderAnswer(tuple(messages))


amount32 = st.none() | st.integers(0, 0xFFFFFFFE)


@given(
    st.builds(
        BeginSession,
        amount32,
        st.none() | st.integers(0, 0xFFFFFFFE),
        byte,
        st.integers(0, 0xFFFF),
        st.sampled_from(["en", "de", "es", None]),
        st.integers(0, 0xFFFF).map(CurrencyCode),
        byte,
    ),
    st.builds(VendApproved, amount32),
)
def test_expanded_messages_survive_the_wire(session: BeginSession, approval: VendApproved) -> None:
    payload = encode_messages([session, approval], EXPANDED)
    assert decode_messages(payload, EXPANDED) == ReaderAnswer((session, approval))


@given(
    st.one_of(
        st.binary(max_size=40),
        st.lists(st.integers(0, 0x1F), max_size=40).map(bytes),
    ),
    st.sampled_from([*CONTEXTS, CashlessContext(3, display_characters=32)]),
)
def test_garbage_ends_in_messages_and_a_leftover(payload: bytes, context: CashlessContext) -> None:
    answer = decode_messages(payload, context)
    read = b"".join(message.raw for message in answer.messages)
    assert read + answer.leftover in (payload, payload[:-1])  # an FF at the end is filler
    assert (answer.error is None) == (answer.leftover == b"")
    resets = [message for message in answer.messages if isinstance(message, JustReset)]
    assert len(resets) <= 1
    assert answer.just_reset == bool(resets)


def test_a_built_block_of_messages_fits_the_bus() -> None:
    block = build_block(encode_messages([PeripheralId(READER_ID)], L3))
    assert len(block) == 35


def test_the_context_knows_what_it_reads_by() -> None:
    assert UNKNOWN.level_in_use == 1
    assert CashlessContext(expanded=True).level_in_use == 3
    assert reader.OPTIONS_EXPANDED == 6
    assert (L2.money_bytes, EXPANDED.money_bytes) == (2, 4)
