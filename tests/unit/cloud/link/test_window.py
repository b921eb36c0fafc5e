"""The outbox's cursor and the judgement of acks: pure decisions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.contract.messages import Ack, Position, Range
from cloud.link.acks import Advanced, Ahead, Forked, Ignored, Meaning, Wanted, meaning_of
from cloud.link.window import BATCHES, LONGEST_S, PATIENCE_S, Window
from tests.unit.cloud.contract.kit import JOURNAL, NOW

OURS = bytes([7]) * 32
OTHER = bytes([8]) * 32


def test_batches_leave_in_order_until_the_window_is_full() -> None:
    window = Window(acked=10)

    for number in range(BATCHES):
        first = window.wanted(1_000)
        assert first == 11 + 10 * number
        window.sent(first, first + 9, now_s=0.0)

    assert window.wanted(1_000) is None, "full"
    assert window.acknowledged(30, now_s=1.0)
    assert window.in_flight == BATCHES - 2
    assert window.wanted(1_000) == 11 + 10 * BATCHES


def test_nothing_is_sent_that_is_not_durable() -> None:
    window = Window(acked=10)

    assert window.wanted(10) is None
    assert window.wanted(11) == 11


def test_an_old_ack_moves_nothing() -> None:
    window = Window(acked=10)

    assert not window.acknowledged(9, 0.0)
    assert not window.acknowledged(10, 0.0)
    assert window.acked == 10


def test_without_progress_everything_is_sent_again_and_patience_grows() -> None:
    window = Window(acked=10)
    window.sent(11, 20, now_s=0.0)
    window.sent(21, 30, now_s=1.0)

    assert not window.overdue(PATIENCE_S)
    assert window.overdue(PATIENCE_S + 0.1)
    window.give_up()
    assert (window.in_flight, window.wanted(30)) == (0, 11)

    window.sent(11, 20, now_s=10.0)
    assert not window.overdue(10.0 + 2 * PATIENCE_S)
    for _ in range(20):
        window.give_up()
    window.sent(11, 20, now_s=0.0)
    assert window.due_in(0.0) == LONGEST_S
    window.acknowledged(15, now_s=50.0)
    assert window.due_in(50.0) == PATIENCE_S, "progress gives the rest its time anew"


def test_records_that_the_fleet_asks_for_are_sent_again() -> None:
    window = Window(acked=10)
    window.sent(11, 20, now_s=0.0)

    window.again(3)

    assert window.wanted(20) == 3
    assert window.acked == 10


@given(st.lists(st.tuples(st.sampled_from(["send", "ack", "lost"]), st.integers(0, 60))))
def test_no_record_is_ever_left_out(steps: list[tuple[str, int]]) -> None:
    window, arrived, acked = Window(acked=0), set[int](), 0
    for what, number in steps:
        if what == "send" and (first := window.wanted(50)) is not None:
            last = min(50, first + number % 7)
            window.sent(first, last, now_s=0.0)
            if number % 3:  # one in three is lost on the way
                arrived |= set(range(first, last + 1))
        elif what == "ack":
            while acked + 1 in arrived:
                acked += 1
            window.acknowledged(acked, now_s=0.0)
        elif what == "lost":
            window.give_up()
    while acked < 50:
        window.give_up()
        while (first := window.wanted(50)) is not None:
            window.sent(first, min(50, first + 9), now_s=0.0)
            arrived |= set(range(first, min(50, first + 9) + 1))
        while acked + 1 in arrived:
            acked += 1
        window.acknowledged(acked, now_s=0.0)

    assert arrived == set(range(1, 51))


def ack(seq: int, digest: bytes = OURS, **more: object) -> Ack:
    fields = {"journal": JOURNAL.hex(), "seq": seq, "hash": digest.hex(), "time": NOW, **more}
    return Ack.model_validate(fields)


def place(seq: int, digest: bytes = OURS, journal: bytes = JOURNAL) -> dict[str, object]:
    return Position(journal=journal.hex(), seq=seq, hash=digest.hex()).model_dump()


@pytest.mark.parametrize(
    ("message", "meaning"),
    [
        (ack(5), Advanced(5, OURS)),
        (ack(5).model_copy(update={"journal": "00" * 16}), Ignored()),
        (ack(5, want={"first": 3, "last": 4}), Wanted(Range(first=3, last=4))),
        (ack(5, OTHER), Ahead()),
        (ack(11), Ahead()),
        (ack(11, want={"first": 3}), Wanted(Range(first=3))),
        (ack(5, OTHER, fork=place(4)), Forked(4, OURS)),
        (ack(11, fork=place(4)), Forked(4, OURS)),
        pytest.param(ack(5, fork=place(4)), Advanced(5, OURS), id="an answer that was overtaken"),
        pytest.param(ack(5, fork=place(5)), Forked(5, OURS), id="this journal is to end here"),
        (ack(5, OTHER, fork=place(11)), Ignored()),
        (ack(5, OTHER, fork=place(4, journal=bytes(16))), Ignored()),
    ],
)
def test_what_an_ack_means(message: Ack, meaning: Meaning) -> None:
    assert meaning_of(message, JOURNAL, durable=10, ours=OURS) == meaning


def test_an_ack_at_a_pruned_place_is_believed() -> None:
    assert meaning_of(ack(5), JOURNAL, durable=10, ours=None) == Advanced(5, OURS)
