"""What a bill validator or recycler says: bytes beside values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mdb import bill_codec as bill
from drivers.mdb.bill_codec import (
    BillEvent,
    BillRoute,
    DisabledInsertions,
    FtlReceived,
    PayoutProgress,
    PayoutStatus,
    PayoutValue,
    RecyclerReported,
    RecyclerStatus,
    StackerStatus,
    UndefinedByte,
    ValidatorReported,
    ValidatorStatus,
)
from drivers.mdb.bill_words import status_words
from drivers.mdb.blocks import BlockFault, MdbBlockError, build_block, parse_answer
from drivers.mdb.ftl_codec import OkToSend
from drivers.mdb.money import CurrencyCode, iso_currency

SETUP_BLOCK = "01 19 78 01 F4 02 02 58 FF FF FF 01 02 04 0A F1"
SETUP = bill.BillSetup(
    level=1,
    currency=iso_currency("EUR"),
    scaling=500,
    decimals=2,
    stacker_capacity=600,
    security_mask=0xFFFF,
    has_escrow=True,
    values=(1, 2, 4, 10) + (0,) * 12,
)


def wire(text: str) -> bytes:
    """The payload of a block as the standard prints it."""
    return parse_answer(bytes.fromhex(text))


def counts(*values: int) -> tuple[int, ...]:
    return values + (0,) * (16 - len(values))


def test_setup_tells_scale_capacity_escrow_and_values() -> None:
    assert bill.decode_setup(wire(SETUP_BLOCK)) == SETUP
    assert build_block(bill.encode_setup(SETUP, types=4)) == bytes.fromhex(SETUP_BLOCK)
    assert [SETUP.scale.to_minor(value, 2) for value in SETUP.values[:4]] == [
        500, 1000, 2000, 5000
    ]  # fmt: skip


@pytest.mark.parametrize(("factor", "decimals"), [(20, 0), (200, 1), (2000, 2)])
def test_three_styles_of_validator_mean_the_same_bill(factor: int, decimals: int) -> None:
    setup = bill.decode_setup(
        bytes.fromhex(f"01 19 78 {factor:04x} {decimals:02x} 02 58 FF FF 00 02")
    )
    assert setup.scale.to_minor(setup.values[0], 2) == 4000
    assert not setup.has_escrow


def test_a_value_of_ff_is_a_vend_token() -> None:
    setup = bill.decode_setup(bytes.fromhex("01 19 78 01 F4 02 02 58 FF FF FF 01 FF"))
    assert not setup.is_token(0)
    assert setup.is_token(1)


@pytest.mark.parametrize("size", [0, 10, 28])
def test_setup_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(MdbBlockError):
        bill.decode_setup(bytes(size))


POLLS: list[tuple[str, list[bill.PollItem]]] = [
    ("00", []),
    ("06 06", [ValidatorReported(ValidatorStatus.JUST_RESET)]),
    ("06 09 0F",
     [ValidatorReported(ValidatorStatus.JUST_RESET), ValidatorReported(ValidatorStatus.DISABLED)]),
    ("80 80", [BillEvent(BillRoute.STACKED, 0)]),
    ("81 81", [BillEvent(BillRoute.STACKED, 1)]),
    ("91 91", [BillEvent(BillRoute.ESCROW, 1)]),
    ("A1 A1", [BillEvent(BillRoute.RETURNED, 1)]),
    ("B2 B2", [BillEvent(BillRoute.RECYCLED, 2)]),
    ("C3 C3", [BillEvent(BillRoute.REJECTED, 3)]),
    ("D1 F1 C2", [BillEvent(BillRoute.FILLED_MANUALLY, 1),
                  BillEvent(BillRoute.MOVED_TO_CASHBOX, 1)]),
    ("EF EF", [BillEvent(BillRoute.DISPENSED_MANUALLY, 15)]),
    ("43 43", [DisabledInsertions(3)]),
    ("5F 5F", [DisabledInsertions(31)]),
    ("07 A1 A8",
     [ValidatorReported(ValidatorStatus.BILL_REMOVED), BillEvent(BillRoute.RETURNED, 1)]),
    ("22 09 2A 55",
     [RecyclerReported(RecyclerStatus.PAYOUT_BUSY), ValidatorReported(ValidatorStatus.DISABLED),
      RecyclerReported(RecyclerStatus.BILL_WAITING)]),
    ("14 81 95", [UndefinedByte(0x14), BillEvent(BillRoute.STACKED, 1)]),
    ("1E 30 00 4E", [FtlReceived(OkToSend(0x30, 0))]),
]  # fmt: skip


@pytest.mark.parametrize(("block", "items"), POLLS)
def test_a_poll_answer_is_a_sequence_of_items(block: str, items: list[bill.PollItem]) -> None:
    answer = bill.decode_poll(wire(block))
    assert answer == bill.PollAnswer(tuple(items))
    assert b"".join(item.raw for item in answer.items) == wire(block)
    assert bill.encode_poll(items) == wire(block)


@pytest.mark.parametrize("status", list(ValidatorStatus))
def test_every_validator_status_is_named(status: ValidatorStatus) -> None:
    answer = bill.decode_poll(bytes((status,)))
    assert answer.statuses == {status}
    assert answer.recycler_statuses == frozenset()
    assert answer.just_reset is (status is ValidatorStatus.JUST_RESET)
    assert "undefined" not in status_words(status)


@pytest.mark.parametrize("status", list(RecyclerStatus))
def test_every_recycler_status_is_named(status: RecyclerStatus) -> None:
    answer = bill.decode_poll(bytes((status,)))
    assert answer.recycler_statuses == {status}
    assert "undefined" not in status_words(status)


def test_exactly_the_bytes_the_standard_leaves_open_are_undefined() -> None:
    open_bytes = {
        0x00, *range(0x0D, 0x1B), 0x20, 0x25, *range(0x2B, 0x2F), *range(0x30, 0x40),
        *range(0x60, 0x80),
    }  # fmt: skip
    file_codes = set(range(0x1B, 0x20))
    found = {
        code
        for code in set(range(256)) - file_codes
        if bill.decode_poll(bytes((code,))).undefined == bytes((code,))
    }
    assert found == open_bytes
    assert "undefined" in status_words(0x14)


def test_a_file_code_behind_another_item_is_skipped_like_an_undefined_byte() -> None:
    answer = bill.decode_poll(bytes.fromhex("09 1B 81"))
    assert answer.undefined == b"\x1b"
    assert answer.items[-1] == BillEvent(BillRoute.STACKED, 1)


def test_a_broken_file_message_is_an_error() -> None:
    answer = bill.decode_poll(bytes.fromhex("1E 30"))
    assert answer.items == ()
    assert answer.error is not None


def test_only_a_secure_bill_gives_credit() -> None:
    assert [route for route in BillRoute if route.gives_credit] == [
        BillRoute.STACKED,
        BillRoute.RECYCLED,
    ]


@pytest.mark.parametrize(
    "item",
    [BillEvent(BillRoute.STACKED, 16), DisabledInsertions(32), UndefinedByte(256)],
)
def test_an_item_that_does_not_fit_is_refused(item: bill.PollItem) -> None:
    with pytest.raises(MdbBlockError) as caught:
        bill.encode_poll([item])
    assert caught.value.reason is BlockFault.BAD_VALUE


def test_a_poll_answer_holds_sixteen_bytes() -> None:
    with pytest.raises(MdbBlockError) as caught:
        bill.encode_poll([BillEvent(BillRoute.STACKED, 0)] * 17)
    assert caught.value.reason is BlockFault.TOO_LONG


def test_a_file_message_is_never_mixed_with_items() -> None:
    with pytest.raises(MdbBlockError):
        bill.encode_poll([FtlReceived(OkToSend(0x30, 0)), DisabledInsertions(1)])


@pytest.mark.parametrize(
    ("block", "status"),
    [
        ("00 25 25", StackerStatus(full=False, count=37)),
        ("82 58 DA", StackerStatus(full=True, count=600)),
        ("00 00 00", StackerStatus(full=False, count=0)),
    ],
)
def test_the_stacker_tells_its_bills_and_whether_it_is_full(
    block: str, status: StackerStatus
) -> None:
    assert bill.decode_stacker(wire(block)) == status
    assert build_block(bill.encode_stacker(status)) == bytes.fromhex(block)


def test_a_stacker_count_has_fifteen_bits() -> None:
    with pytest.raises(MdbBlockError):
        bill.encode_stacker(StackerStatus(full=False, count=0x8000))


def test_the_recycler_names_the_types_it_can_hold() -> None:
    setup = bill.decode_recycler_setup(bytes.fromhex("00 0B"))
    assert setup.types == (0, 1, 3)
    assert bill.encode_recycler_setup(setup) == bytes.fromhex("00 0B")


def test_the_recycler_tells_counts_and_full_and_defective_types() -> None:
    raw = bytes.fromhex("00 05 00 00 00 07 01 2C")
    status = bill.decode_dispense_status(raw)
    assert status.counts == counts(0, 7, 300)
    assert status.defective_types == (0,)
    assert bill.encode_dispense_status(status, types=3) == raw
    assert len(bill.encode_dispense_status(status)) == 34


@pytest.mark.parametrize(
    ("block", "answer"),
    [
        ("00 00 00 01 01", PayoutStatus(counts(0, 1))),
        ("00 00", PayoutStatus(counts())),
        ("00", PayoutProgress.BUSY),
    ],
)
def test_payout_status_lists_bills_and_an_ack_means_busy(
    block: str, answer: PayoutStatus | PayoutProgress
) -> None:
    assert bill.decode_payout_status(wire(block)) == answer
    assert bill.encode_payout_status(answer) == wire(block)


@pytest.mark.parametrize(
    ("block", "answer"),
    [
        ("00 02 02", PayoutValue(2)),
        ("00 00 00", PayoutValue(0)),
        ("00", PayoutProgress.FINISHED),
    ],
)
def test_payout_value_counts_units_and_an_ack_means_finished(
    block: str, answer: PayoutValue | PayoutProgress
) -> None:
    assert bill.decode_payout_value(wire(block)) == answer
    assert bill.encode_payout_value(answer) == wire(block)


@pytest.mark.parametrize("payload", ["00 01 02", "05"])
def test_half_a_bill_count_is_refused(payload: str) -> None:
    with pytest.raises(MdbBlockError) as caught:
        bill.decode_payout_status(bytes.fromhex(payload))
    assert caught.value.reason is BlockFault.TRUNCATED


byte = st.integers(0, 255)
items = st.lists(
    st.one_of(
        st.builds(BillEvent, st.sampled_from(BillRoute), st.integers(0, 15)),
        st.builds(DisabledInsertions, st.integers(0, 31)),
        st.builds(ValidatorReported, st.sampled_from(ValidatorStatus)),
        st.builds(RecyclerReported, st.sampled_from(RecyclerStatus)),
    ),
    max_size=16,
)


@given(items)
def test_every_poll_answer_survives_the_wire(poll: list[bill.PollItem]) -> None:
    assert bill.decode_poll(bill.encode_poll(poll)).items == tuple(poll)


@given(
    st.builds(
        bill.BillSetup,
        level=byte,
        currency=st.integers(0, 0xFFFF).map(CurrencyCode),
        scaling=st.integers(0, 0xFFFF),
        decimals=byte,
        stacker_capacity=st.integers(0, 0xFFFF),
        security_mask=st.integers(0, 0xFFFF),
        has_escrow=st.booleans(),
        values=st.tuples(*[byte] * 16),
    )
)
def test_every_setup_survives_the_wire(setup: bill.BillSetup) -> None:
    assert bill.decode_setup(bill.encode_setup(setup)) == setup


@given(st.tuples(*[st.integers(0, 0xFFFF)] * 16))
def test_every_count_of_bills_survives_the_wire(paid: tuple[int, ...]) -> None:
    status = PayoutStatus(paid)
    assert bill.decode_payout_status(bill.encode_payout_status(status)) == status


@given(st.binary(max_size=40))
def test_garbage_ends_in_values_or_the_one_error(payload: bytes) -> None:
    poll = bill.decode_poll(payload)
    if poll.error is None:
        assert payload == b"".join(item.raw for item in poll.items)
    for decode in (
        bill.decode_setup,
        bill.decode_stacker,
        bill.decode_recycler_setup,
        bill.decode_dispense_status,
        bill.decode_payout_status,
        bill.decode_payout_value,
    ):
        try:
            decode(payload)
        except MdbBlockError:
            continue
