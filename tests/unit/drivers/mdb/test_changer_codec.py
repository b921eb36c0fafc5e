"""What a changer says: bytes beside values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mdb import changer_codec as changer
from drivers.mdb.blocks import BlockFault, MdbBlockError, build_block, parse_answer
from drivers.mdb.changer_codec import (
    ChangerStatus,
    CoinDeposited,
    CoinRoute,
    CoinsDispensedManually,
    DiagnosticPair,
    FtlReceived,
    PayoutProgress,
    PayoutStatus,
    PayoutValue,
    Slugs,
    StatusReported,
    TubeStatus,
    status_item,
)
from drivers.mdb.ftl_codec import ReqToSend
from drivers.mdb.money import CurrencyCode, ScaleError, iso_currency

SETUP_BLOCK = "03 18 26 05 02 00 17 01 02 04 0A 14 28 00 00 00 00 00 00 00 00 00 00 AC"
SETUP = changer.ChangerSetup(
    level=3,
    currency=iso_currency("GBP"),
    scaling=5,
    decimals=2,
    routing_mask=0x17,
    credits=(1, 2, 4, 10, 20, 40) + (0,) * 10,
)


def wire(text: str) -> bytes:
    """The payload of a block as the standard prints it."""
    return parse_answer(bytes.fromhex(text))


def counts(*values: int) -> tuple[int, ...]:
    return values + (0,) * (16 - len(values))


def test_setup_tells_level_currency_scale_tubes_and_values() -> None:
    assert changer.decode_setup(wire(SETUP_BLOCK)) == SETUP
    assert build_block(changer.encode_setup(SETUP)) == bytes.fromhex(SETUP_BLOCK)
    assert SETUP.tube_types == (0, 1, 2, 4)
    assert [SETUP.scale.to_minor(value, 2) for value in SETUP.credits[:6]] == [
        5, 10, 20, 50, 100, 200
    ]  # fmt: skip


def test_setup_may_end_after_the_routing_mask() -> None:
    short = changer.decode_setup(bytes.fromhex("02 00 01 05 02 00 01"))
    assert short.level == 2
    assert str(short.currency) == "telephone code 1"
    assert short.credits == counts()
    assert changer.encode_setup(short, types=0) == bytes.fromhex("02 00 01 05 02 00 01")


def test_a_value_of_ff_is_a_vend_token() -> None:
    setup = changer.decode_setup(bytes.fromhex("03 19 78 05 02 00 01 01 FF"))
    assert not setup.is_token(0)
    assert setup.is_token(1)


def test_a_scaling_factor_of_zero_makes_no_money() -> None:
    setup = changer.decode_setup(bytes.fromhex("03 19 78 00 02 00 01 01"))
    with pytest.raises(ScaleError):
        _ = setup.scale


@pytest.mark.parametrize("size", [0, 6, 24])
def test_setup_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(MdbBlockError):
        changer.decode_setup(bytes(size))


def test_tube_status_tells_counts_and_full_tubes() -> None:
    status = changer.decode_tube_status(wire("00 02 0C 3E 1F 00 09 74"))
    assert status == TubeStatus(0x0002, counts(12, 62, 31, 0, 9))
    assert status.full_types == (1,)
    assert status.defective_types == ()
    assert build_block(changer.encode_tube_status(status, types=5)) == bytes.fromhex(
        "00 02 0C 3E 1F 00 09 74"
    )


def test_a_tube_that_is_full_and_empty_is_defective() -> None:
    status = changer.decode_tube_status(bytes.fromhex("00 05 00 07 09"))
    assert status.defective_types == (0,)
    assert status.full_types == (2,)


def test_missing_tube_counts_are_zero_and_large_ones_are_capped() -> None:
    assert changer.decode_tube_status(b"\0\0").counts == counts()
    assert changer.encode_tube_status(TubeStatus(0, counts(300)), types=1) == b"\0\0\xff"


@pytest.mark.parametrize("size", [0, 1, 19])
def test_tube_status_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(MdbBlockError):
        changer.decode_tube_status(bytes(size))


POLLS: list[tuple[str, list[changer.PollItem]]] = [
    ("00", []),
    ("0B 0B", [status_item(ChangerStatus.JUST_RESET)]),
    ("42 07 49", [CoinDeposited(2, CoinRoute.CASHBOX, 7)]),
    ("53 08 5B", [CoinDeposited(3, CoinRoute.TUBE, 8)]),
    ("53 0A 40 00 9D",
     [CoinDeposited(3, CoinRoute.TUBE, 10), CoinDeposited(0, CoinRoute.CASHBOX, 0)]),
    ("52 20 45 00 B7",
     [CoinDeposited(2, CoinRoute.TUBE, 32), CoinDeposited(5, CoinRoute.CASHBOX, 0)]),
    ("71 05 76", [CoinDeposited(1, CoinRoute.REJECT, 5)]),
    ("6F 00 6F", [CoinDeposited(15, CoinRoute.NOT_USED, 0)]),
    ("91 04 95", [CoinsDispensedManually(coin_type=1, count=1, tube_count=4)]),
    ("F2 00 F2", [CoinsDispensedManually(coin_type=2, count=7, tube_count=0)]),
    ("23 23", [Slugs(3)]),
    ("3F 3F", [Slugs(31)]),
    ("02 02", [status_item(ChangerStatus.PAYOUT_BUSY)]),
    ("01 02 52 05 21 7B",
     [status_item(ChangerStatus.ESCROW_REQUEST), status_item(ChangerStatus.PAYOUT_BUSY),
      CoinDeposited(2, CoinRoute.TUBE, 5), Slugs(1)]),
    ("0E 53 08 69",
     [StatusReported(ChangerStatus.UNDEFINED, 0x0E), CoinDeposited(3, CoinRoute.TUBE, 8)]),
    ("00 1A 1A",
     [StatusReported(ChangerStatus.UNDEFINED, 0), StatusReported(ChangerStatus.UNDEFINED, 0x1A)]),
    ("1F 00 08 01 07 00 2F", [FtlReceived(ReqToSend(0, 8, 1, 7, 0))]),
]  # fmt: skip


@pytest.mark.parametrize(("block", "items"), POLLS)
def test_a_poll_answer_is_a_sequence_of_items(block: str, items: list[changer.PollItem]) -> None:
    answer = changer.decode_poll(wire(block))
    assert answer == changer.PollAnswer(tuple(items))
    assert b"".join(item.raw for item in answer.items) == wire(block)
    assert changer.encode_poll(items) == wire(block)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (0x01, ChangerStatus.ESCROW_REQUEST),
        (0x02, ChangerStatus.PAYOUT_BUSY),
        (0x03, ChangerStatus.NO_CREDIT),
        (0x04, ChangerStatus.TUBE_SENSOR),
        (0x05, ChangerStatus.DOUBLE_ARRIVAL),
        (0x06, ChangerStatus.ACCEPTOR_UNPLUGGED),
        (0x07, ChangerStatus.TUBE_JAM),
        (0x08, ChangerStatus.ROM_CHECKSUM),
        (0x09, ChangerStatus.ROUTING_ERROR),
        (0x0A, ChangerStatus.CHANGER_BUSY),
        (0x0B, ChangerStatus.JUST_RESET),
        (0x0C, ChangerStatus.COIN_JAM),
        (0x0D, ChangerStatus.CREDITED_COIN_REMOVED),
        *((code, ChangerStatus.UNDEFINED) for code in range(0x0E, 0x1B)),
    ],
)
def test_every_status_code_has_its_name(code: int, status: ChangerStatus) -> None:
    answer = changer.decode_poll(bytes((code,)))
    assert answer.items == (StatusReported(status, code),)
    assert answer.statuses == {status}
    assert answer.undefined == (bytes((code,)) if status is ChangerStatus.UNDEFINED else b"")


@pytest.mark.parametrize(
    ("payload", "busy"),
    [("", False), ("02", True), ("0A", True), ("07 02", True), ("01 04", False), ("52 01", False)],
)
def test_a_payout_goes_on_while_busy_stands_anywhere(payload: str, busy: bool) -> None:
    assert changer.decode_poll(bytes.fromhex(payload)).busy is busy


def test_just_reset_is_seen_behind_other_items() -> None:
    assert changer.decode_poll(bytes.fromhex("53 08 0B")).just_reset
    assert not changer.decode_poll(bytes.fromhex("53 0B")).just_reset


def test_an_item_cut_off_is_an_error_and_keeps_those_before_it() -> None:
    answer = changer.decode_poll(bytes.fromhex("53 08 01 42"))
    assert answer.items == (
        CoinDeposited(3, CoinRoute.TUBE, 8),
        status_item(ChangerStatus.ESCROW_REQUEST),
    )
    assert answer.error is not None
    assert answer.error.reason is BlockFault.TRUNCATED


def test_a_broken_file_message_is_an_error() -> None:
    answer = changer.decode_poll(bytes.fromhex("1B 08"))
    assert answer.items == ()
    assert answer.error is not None


def test_cash_box_and_tube_give_credit_and_reject_does_not() -> None:
    assert [route for route in CoinRoute if route.gives_credit] == [
        CoinRoute.CASHBOX,
        CoinRoute.TUBE,
    ]


@pytest.mark.parametrize(
    "item",
    [
        CoinDeposited(16, CoinRoute.TUBE, 0),
        CoinsDispensedManually(0, 8, 0),
        Slugs(32),
        StatusReported(ChangerStatus.UNDEFINED, 0x20),
    ],
)
def test_an_item_that_does_not_fit_is_refused(item: changer.PollItem) -> None:
    with pytest.raises(MdbBlockError) as caught:
        changer.encode_poll([item])
    assert caught.value.reason is BlockFault.BAD_VALUE


def test_a_poll_answer_holds_sixteen_bytes() -> None:
    coins = [CoinDeposited(0, CoinRoute.TUBE, n) for n in range(9)]
    assert len(changer.encode_poll(coins[:8])) == 16
    with pytest.raises(MdbBlockError) as caught:
        changer.encode_poll(coins)
    assert caught.value.reason is BlockFault.TOO_LONG


def test_a_file_message_is_never_mixed_with_items() -> None:
    with pytest.raises(MdbBlockError):
        changer.encode_poll([Slugs(1), FtlReceived(ReqToSend(0, 8, 1, 7, 0))])


@pytest.mark.parametrize(
    ("block", "answer"),
    [
        ("01 01 01 00 01 04", PayoutStatus(counts(1, 1, 1, 0, 1))),
        ("00 00", PayoutStatus(counts())),  # nothing was paid at all
        ("00", PayoutProgress.BUSY),  # ACK alone: the payout still runs
    ],
)
def test_payout_status_lists_coins_and_an_ack_means_busy(
    block: str, answer: PayoutStatus | PayoutProgress
) -> None:
    assert changer.decode_payout_status(wire(block)) == answer
    assert changer.encode_payout_status(answer) == wire(block)


@pytest.mark.parametrize(
    ("block", "answer"),
    [
        ("04 04", PayoutValue(4)),
        ("00 00", PayoutValue(0)),  # nothing yet, still running
        ("00", PayoutProgress.FINISHED),  # ACK alone: the payout is over
    ],
)
def test_payout_value_counts_units_and_an_ack_means_finished(
    block: str, answer: PayoutValue | PayoutProgress
) -> None:
    assert changer.decode_payout_value(wire(block)) == answer
    assert changer.encode_payout_value(answer) == wire(block)


def test_payout_answers_of_another_length_are_refused() -> None:
    with pytest.raises(MdbBlockError):
        changer.decode_payout_status(bytes(17))
    with pytest.raises(MdbBlockError):
        changer.decode_payout_value(b"\0\0")


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("01 00", "powering up"),
        ("02 00", "powering down"),
        ("03 00", "OK"),
        ("04 00", "keypad shifted"),
        ("05 10", "manual mode: manual fill or payout active"),
        ("05 20", "manual mode: new inventory information"),
        ("06 00", "inhibited by the VMC"),
        ("10 03", "general changer: low voltage"),
        ("11 10", "discriminator: flight deck open"),
        ("11 54", "discriminator: sizing optics"),
        ("12 31", "accept gate: alarm"),
        ("13 10", "separator: sort sensor"),
        ("14 00", "dispenser: unspecified"),
        ("15 04", "cassette or tubes: sunlight on the tube sensors"),
        ("15 77", "cassette or tubes: sub-code 77"),
        ("77 01", "undefined diagnostic code 77 01"),
    ],
)
def test_each_diagnostic_pair_is_told_in_words(pair: str, words: str) -> None:
    status = changer.decode_diagnostic_status(bytes.fromhex(pair))
    assert [item.words for item in status.pairs] == [words]
    assert status.error is None
    assert changer.encode_diagnostic_status(status) == bytes.fromhex(pair)


def test_diagnostics_come_in_pairs() -> None:
    status = changer.decode_diagnostic_status(bytes.fromhex("06 00 11"))
    assert status.pairs == (DiagnosticPair(6, 0),)
    assert status.error is not None
    assert changer.decode_diagnostic_status(b"").error is not None


def test_a_diagnostic_pair_has_an_audit_event() -> None:
    assert DiagnosticPair(0x15, 0x02).event_id == "EA1502"


def test_a_coin_report_names_only_the_types_that_were_sent() -> None:
    report = changer.decode_coin_report(bytes.fromhex("05 00 02"))
    assert report.counts == (5, 0, 2)
    assert changer.encode_coin_report(report) == bytes.fromhex("05 00 02")
    assert changer.decode_coin_report(b"").counts == ()
    with pytest.raises(MdbBlockError):
        changer.decode_coin_report(bytes(17))


nibbles = st.integers(0, 15)
byte = st.integers(0, 255)
items = st.lists(
    st.one_of(
        st.builds(CoinDeposited, nibbles, st.sampled_from(CoinRoute), byte),
        st.builds(CoinsDispensedManually, nibbles, st.integers(0, 7), byte),
        st.builds(Slugs, st.integers(0, 31)),
        st.builds(status_item, st.sampled_from([s for s in ChangerStatus if s is not s.UNDEFINED])),
    ),
    max_size=8,
)


@given(items)
def test_every_poll_answer_survives_the_wire(poll: list[changer.PollItem]) -> None:
    assert changer.decode_poll(changer.encode_poll(poll)).items == tuple(poll)


@given(
    st.builds(
        changer.ChangerSetup,
        level=byte,
        currency=st.integers(0, 0xFFFF).map(CurrencyCode),
        scaling=byte,
        decimals=byte,
        routing_mask=st.integers(0, 0xFFFF),
        credits=st.tuples(*[byte] * 16),
    )
)
def test_every_setup_survives_the_wire(setup: changer.ChangerSetup) -> None:
    assert changer.decode_setup(changer.encode_setup(setup)) == setup


@given(st.binary(max_size=40))
def test_garbage_ends_in_values_or_the_one_error(payload: bytes) -> None:
    poll = changer.decode_poll(payload)
    assert payload.startswith(b"".join(item.raw for item in poll.items))
    changer.decode_diagnostic_status(payload)
    for decode in (
        changer.decode_setup,
        changer.decode_tube_status,
        changer.decode_payout_status,
        changer.decode_payout_value,
        changer.decode_coin_report,
    ):
        try:
            decode(payload)
        except MdbBlockError:
            continue
