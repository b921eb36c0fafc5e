"""Event counters: wrap, loss, reset."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.cctalk.events import (
    EventBuffer,
    News,
    Pair,
    decode_events,
    encode_events,
    news_between,
    next_counter,
    steps_between,
)
from drivers.cctalk.frames import CcTalkError, decode_frame

H = bytes.fromhex


@pytest.mark.parametrize(
    ("last", "now", "steps"),
    [(23, 23, 0), (102, 104, 2), (255, 1, 1), (253, 3, 5), (48, 54, 6), (0, 3, 3), (254, 255, 1)],
)
def test_a_counter_goes_on_with_one_after_255(last: int, now: int, steps: int) -> None:
    assert steps_between(last, now) == steps


def test_a_counter_never_comes_back_to_zero() -> None:
    seen, counter = [], 0
    for _ in range(300):
        counter = next_counter(counter)
        seen.append(counter)
    assert 0 not in seen
    assert seen[254:257] == [255, 1, 2]


@pytest.mark.parametrize(
    ("wire", "counter", "pairs"),
    [
        ("01 0B 02 00 00 00 00 00 00 00 00 00 00 00 00 F2", 0, [(0, 0)] * 5),
        (
            "01 0B 02 00 07 03 01 00 02 04 01 00 00 00 00 E0",
            7,
            [(3, 1), (0, 2), (4, 1), (0, 0), (0, 0)],
        ),
        (
            "01 0B 02 00 02 05 01 01 01 00 08 03 01 02 01 D9",
            2,
            [(5, 1), (1, 1), (0, 8), (3, 1), (2, 1)],
        ),
    ],
)
def test_a_buffer_is_a_counter_and_five_pairs(wire: str, counter: int, pairs: list[Pair]) -> None:
    data = decode_frame(H(wire)).data
    buffer = decode_events(data)
    assert buffer == EventBuffer(counter, tuple(pairs))
    assert buffer.answer == data == encode_events(counter, pairs)


def test_a_buffer_of_another_length_is_an_error() -> None:
    for data in (b"", bytes(10), bytes(12)):
        with pytest.raises(CcTalkError):
            decode_events(data)


class Device:
    """A buffer as a device keeps it."""

    def __init__(self) -> None:
        self.counter = 0
        self.pairs: list[Pair] = []

    def happen(self, *events: Pair) -> EventBuffer:
        for event in events:
            self.counter = next_counter(self.counter)
            self.pairs.insert(0, event)
        return self.read()

    def read(self) -> EventBuffer:
        return decode_events(encode_events(self.counter, self.pairs))

    def reset(self) -> None:
        self.counter, self.pairs = 0, []


pairs_ = st.tuples(st.integers(1, 16), st.integers(0, 3))


@given(st.lists(st.lists(pairs_, max_size=8), max_size=60))
def test_every_event_is_new_once_or_counted_as_lost(bursts: list[list[Pair]]) -> None:
    device = Device()
    last = device.read()
    for burst in bursts:
        now = device.happen(*burst)
        lost = max(0, len(burst) - 5)
        assert news_between(last, now) == News(tuple(burst[lost:]), lost)
        assert news_between(now, now) == News()
        last = now


def test_the_first_buffer_ever_seen_credits_nothing() -> None:
    assert news_between(None, Device().happen((3, 1), (4, 1))) == News()


def test_a_counter_of_zero_after_others_is_a_reset() -> None:
    device = Device()
    last = device.happen((3, 1))
    device.reset()
    assert news_between(last, device.read()) == News(reset=True)
    assert news_between(device.read(), device.read()) == News()


def test_a_reset_that_has_counted_on_is_seen_by_its_empty_places() -> None:
    device = Device()
    last = device.happen(*[(3, 1)] * 200)
    device.reset()
    now = device.happen((5, 1), (0, 2))
    assert news_between(last, now) == News(((5, 1), (0, 2)), reset=True)


def test_a_reset_that_has_counted_past_the_old_counter_is_seen_by_its_pairs() -> None:
    device = Device()
    last = device.happen((1, 1), (2, 1))
    device.reset()
    now = device.happen((5, 1), (6, 1), (7, 1))
    assert news_between(last, now) == News(((5, 1), (6, 1), (7, 1)), reset=True)


def test_events_counted_beyond_the_buffer_after_a_reset_are_lost() -> None:
    device = Device()
    last = device.happen((1, 1), (2, 1), (3, 1), (4, 1))
    device.reset()
    now = device.happen(*[(9, 1)] * 7)
    assert news_between(last, now) == News(((9, 1),) * 5, lost=2, reset=True)
