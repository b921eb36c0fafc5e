from hypothesis import given
from hypothesis import strategies as st

from drivers.mdb.repeats import STATES, RepeatFilter

COIN = b"\x40\x00"
TUBE_8 = b"\x53\x08"
TUBE_9 = b"\x53\x09"
SLOT = b"\x03"

ITEMS = st.lists(st.sampled_from([COIN, TUBE_8, TUBE_9, SLOT, b"\x81", b"\x91"]), max_size=5)


def after(items: list[bytes], *, acked: bool) -> RepeatFilter:
    found = RepeatFilter()
    assert all(found.fresh(items))
    found.told(acked=acked)
    return found


def test_what_comes_first_is_new() -> None:
    assert RepeatFilter().fresh([COIN, TUBE_8]) == [True, True]


def test_after_a_lost_ack_the_same_answer_is_its_repeat() -> None:
    assert after([COIN], acked=True).fresh([COIN]) == [False]


def test_newer_items_may_stand_behind_the_repeat() -> None:
    assert after([COIN], acked=True).fresh([COIN, TUBE_8, COIN]) == [False, True, True]


def test_a_quiet_poll_proves_the_ack_and_the_same_coin_is_another() -> None:
    found = after([COIN], acked=True)
    found.quiet()
    assert not found.pending
    assert found.fresh([COIN]) == [True]


def test_a_different_answer_proves_the_ack() -> None:
    assert after([TUBE_8], acked=True).fresh([TUBE_9]) == [True]


def test_part_of_the_last_answer_is_no_repeat_once_acked() -> None:
    assert after([COIN, TUBE_8], acked=True).fresh([COIN]) == [True]


def test_items_repeated_in_another_order_are_repeats() -> None:
    assert after([COIN, TUBE_8], acked=True).fresh([TUBE_8, COIN, COIN]) == [False, False, True]


def test_a_coin_that_cannot_come_twice_is_a_repeat_wherever_it_stands() -> None:
    found = after([TUBE_8], acked=True)
    assert found.fresh([TUBE_9, TUBE_8], once={TUBE_8, TUBE_9}) == [True, False]


def test_what_stood_beside_such_a_coin_was_not_heard_either() -> None:
    found = after([COIN, TUBE_8], acked=True)
    assert found.fresh([TUBE_9, TUBE_8], once={TUBE_8, TUBE_9}) == [True, False]
    assert found.fresh([COIN, COIN]) == [False, True]


def test_a_coin_that_can_come_twice_is_new_behind_another_one() -> None:
    assert after([COIN], acked=True).fresh([TUBE_9, COIN], once={TUBE_9}) == [True, True]


def test_an_answer_too_soon_to_be_all_new_holds_the_last_one_wherever_it_stands() -> None:
    assert after([COIN], acked=True).fresh([TUBE_9, COIN], soon=True) == [True, False]
    assert after([COIN], acked=True).fresh([TUBE_9], soon=True) == [True]
    assert after([COIN], acked=True).fresh([COIN, TUBE_9], soon=True) == [False, True]


def test_a_withheld_answer_is_repeated_as_often_as_it_takes() -> None:
    found = after([COIN], acked=False)
    for _ in range(5):
        assert found.fresh([COIN]) == [False]
        found.told(acked=False)
    assert found.fresh([COIN, COIN]) == [False, True]


def test_a_withheld_answer_may_come_back_in_parts() -> None:
    found = after([COIN, TUBE_8], acked=False)
    assert found.fresh([COIN]) == [False]
    found.told(acked=True)
    assert found.fresh([TUBE_8, TUBE_9]) == [False, True]


def test_what_never_came_back_is_not_owed_behind_a_plain_ack() -> None:
    found = after([COIN, TUBE_8], acked=False)
    assert found.fresh([COIN]) == [False]
    found.told(acked=True)
    assert found.fresh([]) == []  # a state of its own
    found.quiet()
    assert found.fresh([TUBE_8]) == [True]


def test_an_answer_without_one_shot_items_proves_no_ack_that_was_withheld() -> None:
    found = after([COIN], acked=False)
    assert found.fresh([]) == []
    assert found.fresh([COIN, TUBE_8]) == [False, True]


def test_a_device_that_keeps_nothing_is_not_waited_for_for_ever() -> None:
    found = after([COIN], acked=False)
    for _ in range(STATES + 1):
        assert found.fresh([]) == []
    assert not found.pending
    assert found.fresh([COIN]) == [True]


def test_an_answer_without_one_shot_items_proves_the_ack() -> None:
    found = after([COIN], acked=True)
    assert found.fresh([]) == []
    assert found.fresh([COIN]) == [True]


def test_after_a_restart_what_heads_the_first_answer_was_recorded() -> None:
    found = RepeatFilter()
    found.restore([COIN])
    assert found.pending
    assert found.fresh([COIN, COIN]) == [False, True]


def test_after_a_restart_a_different_head_means_all_is_new() -> None:
    found = RepeatFilter()
    found.restore([TUBE_8])
    assert found.fresh([TUBE_9, TUBE_8]) == [True, True]


def test_after_a_restart_what_was_recorded_and_stands_behind_another_is_new_and_astray() -> None:
    found = RepeatFilter()
    found.restore([COIN, COIN])
    assert found.fresh([TUBE_8, COIN, COIN]) == [True, True, True]
    assert found.astray
    assert found.fresh([TUBE_8]) == [True]
    assert not found.astray


def test_part_of_what_was_recorded_is_not_astray_nor_is_what_is_proved() -> None:
    found = RepeatFilter()
    found.restore([COIN, COIN])
    assert found.fresh([TUBE_8, COIN]) == [True, True]
    assert not found.astray
    found.restore([TUBE_8])
    assert found.fresh([COIN, TUBE_8], once={TUBE_8}) == [True, False]
    assert not found.astray


def test_restoring_nothing_leaves_nothing_pending() -> None:
    found = RepeatFilter()
    found.restore([])
    assert not found.pending


def test_a_reset_device_repeats_nothing() -> None:
    found = after([COIN], acked=False)
    found.clear()
    assert found.fresh([COIN]) == [True]


def test_a_direct_answer_is_new_and_may_be_repeated_by_poll() -> None:
    found = RepeatFilter()
    found.note([b"\x06"])
    assert found.fresh([b"\x06"]) == [False]
    found.note([b"\x06"])
    found.note([b"\x06"])
    assert found.pending


@given(st.lists(st.tuples(ITEMS, st.booleans(), st.booleans()), max_size=8))
def test_each_item_is_counted_once_whatever_is_lost(
    turns: list[tuple[list[bytes], bool, bool]],
) -> None:
    """A device that keeps what is not acknowledged, a host that withholds, ACKs that get lost."""
    found = RepeatFilter()
    queue: list[bytes] = []
    happened: list[bytes] = []
    counted: list[bytes] = []

    def poll(*, withhold: bool, lost: bool) -> None:
        if not queue:
            found.quiet()
            return
        offered = list(queue)
        new = found.fresh(offered)
        counted.extend(item for item, is_new in zip(offered, new, strict=True) if is_new)
        found.told(acked=not withhold)
        if not withhold and not lost:
            queue.clear()

    for items, withhold, lost in turns:
        queue += items
        happened += items
        poll(withhold=withhold, lost=lost)
        if not withhold:  # the quick second poll, before anything new can have happened
            poll(withhold=False, lost=lost)
            poll(withhold=False, lost=False)
            poll(withhold=False, lost=False)
    poll(withhold=False, lost=False)
    assert counted == happened
