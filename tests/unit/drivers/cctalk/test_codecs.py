"""Coins, bills, hoppers, ids: bytes on one side, values on the other."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.cctalk import bill_codec, coin_codec, coin_words, fault_words, fields
from drivers.cctalk import hopper_codec as hopper
from drivers.cctalk.addresses import Category, address_words, category_of, usual_category
from drivers.cctalk.frames import CcTalkError, Frame, Reply, ReplyKind, decode_frame, encode_frame
from drivers.cctalk.headers import Header, Repeat, answer_time_s, header_name, repeat_of
from drivers.cctalk.money_ids import (
    CountryScale,
    coin_minor,
    decode_bill_id,
    decode_coin_id,
    decode_country_scale,
    encode_country_scale,
    encode_money_id,
)

H = bytes.fromhex

# -------------------------------------------------------------------------------------- coins


@pytest.mark.parametrize(
    ("pair", "event"),
    [
        ((3, 1), coin_codec.CoinCredit(3, 1)),
        ((16, 0), coin_codec.CoinCredit(16, 0)),
        ((0, 2), coin_codec.CoinError(2)),
        ((0, 0), coin_codec.CoinError(0)),
    ],
)
def test_a_pair_is_a_credit_or_an_error(pair: tuple[int, int], event: coin_codec.CoinEvent) -> None:
    assert coin_codec.decode_coin_event(pair) == event
    assert coin_codec.encode_coin_event(event) == pair


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "null event"),
        (2, "inhibited coin, coin rejected"),
        (7, "sorter opto timeout, coin not rejected"),
        (130, "inhibited coin of position 3, coin rejected"),
        (165, "error code 165, reserved"),
        (99, "error code 99, unknown"),
    ],
)
def test_every_error_code_has_words(code: int, words: str) -> None:
    assert coin_words.error_words(code) == words


@pytest.mark.parametrize(
    ("code", "value"), [(50, 50), (148, 200), (178, 500), (228, 1000), (255, None), (0, None)]
)
def test_a_credit_code_may_be_a_value(code: int, value: int | None) -> None:
    assert coin_codec.cvf_value(code) == value


# ----------------------------------------------------------------------------------------- ids


@pytest.mark.parametrize(
    ("text", "country", "value"),
    [
        ("GB010B", "GB", "10"),
        ("US100B", "US", "100"),
        ("EU200A", "EU", "200"),
        ("XX5m0A", "XX", "0.005"),
        ("XX.50A", "XX", "0.5"),
        ("XX2.5A", "XX", "2.5"),
        ("XX2K5A", "XX", "2500"),
        ("XXM25A", "XX", "250000"),
        ("XX10MA", "XX", "10000000"),
        ("XXG10A", "XX", "100000000"),
        ("EU100 ", "EU", "100"),
    ],
)
def test_a_coin_id_names_country_and_value(text: str, country: str, value: str) -> None:
    coin = decode_coin_id(text.encode())
    assert (coin.country, coin.value) == (country, Decimal(value))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("......", "empty position"),
        ("TK830A", "token, catalogue number 830"),
        ("Token ", "no id of the specification: 'Token '"),
        ("EU1.1K", "EU, value 1.1, issue K"),
        ("EU..1A", "no id of the specification: 'EU..1A'"),
        ("EU050A", "EU, value 50, issue A"),
    ],
)
def test_what_is_no_coin_is_said(text: str, words: str) -> None:
    assert decode_coin_id(text.encode()).words == words


@pytest.mark.parametrize(
    ("text", "factor", "decimals", "minor"),
    [
        ("EU0005A", 100, 2, 500),
        ("GB0020C", 100, 2, 2000),
        ("XX0050A", 1000, 2, 50000),
        ("XX0010A", 10000, 2, 100000),
        ("XX0.10A", 1000, 2, 100),
    ],
)
def test_a_bill_id_is_scaled_by_its_country(
    text: str, factor: int, decimals: int, minor: int
) -> None:
    bill = decode_bill_id(text.encode())
    assert bill.value is not None
    assert CountryScale(factor, decimals).minor(bill.value, 2) == minor


def test_a_coupon_is_no_money() -> None:
    assert decode_bill_id(b"BC0001A").is_coupon
    assert decode_bill_id(b"BC0001A").value is None


def test_money_is_never_rounded() -> None:
    with pytest.raises(CcTalkError):
        CountryScale(1, 3).minor(Decimal(5), 2)
    with pytest.raises(CcTalkError):
        coin_minor(Decimal("0.005"), 100)
    assert coin_minor(Decimal("0.5"), 100) == 50


@given(st.binary(max_size=9))
def test_any_bytes_are_an_id_or_one_error(data: bytes) -> None:
    for decode, size in ((decode_coin_id, 6), (decode_bill_id, 7)):
        try:
            assert decode(data).words
        except CcTalkError:
            assert len(data) != size


@pytest.mark.parametrize(
    ("wire", "scale"),
    [
        ("01 03 28 00 64 00 02 6E", CountryScale(100, 2)),
        ("01 03 28 00 00 00 00 D4", CountryScale(0, 0)),
    ],
)
def test_a_country_has_a_scaling_factor(wire: str, scale: CountryScale) -> None:
    data = decode_frame(H(wire)).data
    assert decode_country_scale(data) == scale
    assert encode_country_scale(scale) == data
    assert scale.known is (scale.factor > 0)


def test_ids_travel_in_exactly_their_characters() -> None:
    assert encode_money_id("EU100A", 6) == decode_frame(H("01 06 02 00 45 55 31 30 30 41 8B")).data
    with pytest.raises(CcTalkError):
        encode_money_id("EU100", 6)
    with pytest.raises(CcTalkError):
        encode_money_id("EU1€0A", 6)


# --------------------------------------------------------------------------------------- bills


@pytest.mark.parametrize(
    ("pair", "word", "words"),
    [
        ((2, 0), bill_codec.BillWord.CREDIT, "bill of type 2 stacked: credit"),
        ((4, 1), bill_codec.BillWord.ESCROWED, "bill of type 4 in escrow: no credit yet"),
        ((255, 1), bill_codec.BillWord.ESCROWED, "coupon in escrow: no credit yet"),
        ((0, 0), bill_codec.BillWord.STATUS, "master inhibit active"),
        ((0, 2), bill_codec.BillWord.REJECT, "invalid bill, validation failed"),
        ((0, 8), bill_codec.BillWord.FRAUD, "bill pulled backwards"),
        ((0, 15), bill_codec.BillWord.FATAL, "stacker jammed"),
        ((0, 22), bill_codec.BillWord.UNKNOWN, "event code 22, unknown"),
        ((3, 18), bill_codec.BillWord.UNKNOWN, "bill of type 3, code 18 unknown"),
    ],
)
def test_a_pair_of_a_bill_validator_has_a_meaning(
    pair: tuple[int, int], word: bill_codec.BillWord, words: str
) -> None:
    event = bill_codec.decode_bill_event(pair)
    assert (event.word, event.words) == (word, words)


@pytest.mark.parametrize(
    ("reply", "routed"),
    [
        (Reply(ReplyKind.ACK), bill_codec.Routed.TAKEN),
        (Reply(ReplyKind.DATA, H("FE")), bill_codec.Routed.EMPTY),
        (Reply(ReplyKind.DATA, H("FF")), bill_codec.Routed.FAILED),
        (Reply(ReplyKind.DATA, H("FE 01")), bill_codec.Routed.EMPTY),
        (Reply(ReplyKind.NAK), None),
        (Reply(ReplyKind.DATA, H("07")), None),
    ],
)
def test_a_route_is_taken_empty_or_failed(reply: Reply, routed: bill_codec.Routed | None) -> None:
    assert bill_codec.decode_route(reply) is routed


@pytest.mark.parametrize(
    ("wire", "route"),
    [
        ("28 01 01 9A 01 3B", bill_codec.Route.STACK),
        ("28 01 01 9A 00 3C", bill_codec.Route.RETURN),
        ("28 01 01 9A FF 3D", bill_codec.Route.EXTEND),
    ],
)
def test_a_bill_in_escrow_is_routed(wire: str, route: bill_codec.Route) -> None:
    assert encode_frame(Frame(40, 1, Header.ROUTE_BILL, bytes((route,)))) == H(wire)


def test_a_validator_says_how_many_types_it_has() -> None:
    assert bill_codec.decode_bill_variables(H("10 01 99")) == bill_codec.BillVariables(16, 1)


# -------------------------------------------------------------------------------------- hopper


@pytest.mark.parametrize(
    ("wire", "status", "words"),
    [
        (
            "01 04 04 00 06 02 01 00 EE",
            hopper.HopperStatus(6, 2, 1, 0),
            "paying: 1 paid, 2 to go",
        ),
        (
            "01 04 04 00 06 00 03 00 EE",
            hopper.HopperStatus(6, 0, 3, 0),
            "idle: the last payout paid 3",
        ),
        (
            "01 04 04 00 06 00 01 02 EE",
            hopper.HopperStatus(6, 0, 1, 2),
            "stopped: 1 paid, 2 not paid",
        ),
        (
            "01 04 04 00 00 00 01 02 F4",
            hopper.HopperStatus(0, 0, 1, 2),
            "stopped: 1 paid, 2 not paid",
        ),
    ],
)
def test_a_hopper_says_how_far_it_is(wire: str, status: hopper.HopperStatus, words: str) -> None:
    data = decode_frame(H(wire)).data
    assert hopper.decode_hopper_status(data) == status
    assert hopper.encode_hopper_status(status) == data
    assert status.words == words


@pytest.mark.parametrize(
    ("wire", "flags", "blocking"),
    [
        ("01 03 04 00 C0 00 00 38", ((1, 6), (1, 7)), ()),
        ("01 03 04 00 02 00 00 F6", ((1, 1),), ()),
        ("01 03 04 00 C0 00 01 37", ((1, 6), (1, 7), (3, 0)), ((3, 0),)),
        ("01 01 04 00 21 D9", ((1, 0), (1, 5)), ((1, 0), (1, 5))),
    ],
)
def test_flags_tell_why_nothing_is_paid(
    wire: str, flags: tuple[hopper.Flag, ...], blocking: tuple[hopper.Flag, ...]
) -> None:
    told = hopper.decode_hopper_flags(decode_frame(H(wire)).data)
    assert (told.all, told.blocking) == (flags, blocking)
    assert told.words


def test_a_register_that_was_not_sent_has_no_flags() -> None:
    assert not hopper.HopperFlags(b"\xff").has(hopper.POWER_DOWN_IN_PAYOUT)
    assert hopper.HopperFlags(b"").words == "none"
    assert hopper.flag_words((4, 2)) == "register 4 bit 2, reserved"


@pytest.mark.parametrize(
    ("wire", "level", "words"),
    [
        ("01 01 04 00 11 E9", (True, None), "below the low level, no high level sensor"),
        ("01 01 04 00 32 C8", (False, True), "above low, at the high level"),
        ("01 01 04 00 03 F7", (None, None), "no low level sensor, no high level sensor"),
    ],
)
def test_a_level_counts_only_where_a_sensor_is_fitted(
    wire: str, level: tuple[bool | None, bool | None], words: str
) -> None:
    told = hopper.decode_hopper_level(decode_frame(H(wire)).data)
    assert (told.low, told.high) == level
    assert told.words == words
    assert hopper.decode_hopper_level(hopper.encode_hopper_level(told)) == told


@pytest.mark.parametrize(
    ("wire", "kind"),
    [
        ("04 04 01 A7 10 27 00 03 16", hopper.DispenseKind.SERIAL),
        ("04 09 01 A7 00 00 00 00 00 00 00 00 03 48", hopper.DispenseKind.NO_CIPHER),
        ("04 09 01 A7 00 00 00 00 00 00 00 00 03 48", hopper.DispenseKind.PLAIN),
    ],
)
def test_a_dispense_carries_what_the_hopper_wants(wire: str, kind: hopper.DispenseKind) -> None:
    data = hopper.dispense_data(kind, 3, H("10 27 00"))
    assert encode_frame(Frame(4, 1, Header.DISPENSE_HOPPER_COINS, data)) == H(wire)
    assert hopper.read_dispense(data) == (data[:-1], 3)


@pytest.mark.parametrize("count", [0, 256, -1])
def test_a_dispense_of_an_impossible_count_is_refused(count: int) -> None:
    with pytest.raises(CcTalkError):
        hopper.dispense_data(hopper.DispenseKind.PLAIN, count)


def test_a_dispense_needs_the_whole_serial_number() -> None:
    with pytest.raises(CcTalkError):
        hopper.dispense_data(hopper.DispenseKind.SERIAL, 1, b"\1\2")


def test_coins_ever_dispensed_wrap() -> None:
    assert hopper.decode_dispense_count(decode_frame(H("01 03 04 00 39 30 00 8F")).data) == 12345
    assert hopper.dispensed_between(0xFFFFFE, 3) == 5


# ------------------------------------------------------------------------------- housekeeping


@pytest.mark.parametrize(
    ("data", "seconds", "words"),
    [
        ("02 14", 0.2, "200 ms"),
        ("02 32", 0.5, "500 ms"),
        ("03 05", 5.0, "5 s"),
        ("00 00", None, "see the product's manual"),
        ("00 FF", None, "by a hardware line"),
        ("0B 01", None, "unit 11, value 1: undefined"),
    ],
)
def test_a_polling_priority_is_a_time(data: str, seconds: float | None, words: str) -> None:
    priority = fields.decode_polling_priority(H(data))
    assert (priority.seconds, priority.words) == (seconds, words)


@pytest.mark.parametrize(
    ("wire", "positions"),
    [
        ("02 02 01 E7 FF FF 16", range(1, 17)),
        ("02 02 01 E7 07 00 0D", (1, 2, 3)),
        ("02 02 01 E7 00 00 14", ()),
        ("28 02 01 E7 0F 00 DF", (1, 2, 3, 4)),
    ],
)
def test_a_set_bit_of_the_inhibit_mask_enables(wire: str, positions: range) -> None:
    frame = decode_frame(H(wire))
    assert fields.positions_of(frame.data) == tuple(positions)
    assert fields.mask_of(positions, 2) == frame.data


def test_a_position_outside_the_mask_is_refused() -> None:
    for position in (0, 17):
        with pytest.raises(CcTalkError):
            fields.mask_of([position], 2)


def test_numbers_have_their_low_byte_first() -> None:
    assert fields.number(H("4E 61 BC"), 3, "serial") == 12345678
    assert fields.unsigned(12345678, 3, "serial") == H("4E 61 BC")
    with pytest.raises(CcTalkError):
        fields.unsigned(1 << 24, 3, "serial")


def test_strings_lose_their_padding() -> None:
    assert fields.text(b"SCH2-NOENCRYPT\0\0") == "SCH2-NOENCRYPT"
    assert fields.text(b"EU100 \xff") == "EU100 ÿ"


def test_faults_of_the_self_check_have_words() -> None:
    assert fault_words.fault_words(0) == "OK"
    assert fault_words.fault_words(200) == "fault code 200, unknown"
    assert fault_words.info_words(8, 2) == "sensor 2"
    assert fault_words.info_words(35, 2) == "token"


@pytest.mark.parametrize(
    ("address", "words"),
    [(0, "broadcast"), (1, "host"), (2, "coin acceptor 2"), (4, "payout 4"), (77, "device 77")],
)
def test_addresses_are_habits(address: int, words: str) -> None:
    assert address_words(address) == words


def test_a_category_is_read_as_devices_write_it() -> None:
    assert category_of("Coin Acceptor") is Category.COIN_ACCEPTOR
    assert category_of("Bill Acceptor") is Category.BILL_VALIDATOR
    assert category_of(" payout ") is Category.PAYOUT
    assert category_of("Toaster") is None
    assert usual_category(45) is Category.BILL_VALIDATOR


def test_nothing_that_pays_may_be_repeated() -> None:
    for header in (167, 134, 125, 121, 77):
        assert repeat_of(header) is Repeat.NEVER
    for header in (254, 229, 159, 166, 231, 164):
        assert repeat_of(header) is Repeat.FREE
    assert repeat_of(Header.RESET_DEVICE) is Repeat.CHECK_FIRST
    assert repeat_of(Header.REQUEST_ALARM_COUNTER) is Repeat.LOSES


def test_what_moves_something_may_answer_late() -> None:
    assert answer_time_s(Header.READ_BUFFERED_CREDIT) < 0.5
    assert answer_time_s(Header.PERFORM_STACKER_CYCLE) > 2


def test_every_header_has_a_name() -> None:
    assert header_name(229) == "Read buffered credit or error codes"
    assert header_name(50) == "Application-specific"
    assert header_name(12) == "Reserved"
    assert all(header_name(header) for header in range(256))
