"""Debounce and ghosts of a matrix keypad, as tables and as properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.panel.keypad_scan import KeypadScan, is_ambiguous

LAYOUT = ("123A", "456B", "789C", "*0#D")
STEP = 0.01
CROSSINGS = st.tuples(st.integers(0, 3), st.integers(0, 3))


def scan() -> KeypadScan:
    return KeypadScan(LAYOUT, debounce_s=0.03)


def play(scans: list[set[tuple[int, int]]], keypad: KeypadScan | None = None) -> list[str]:
    keypad = keypad or scan()
    keys = []
    for index, pressed in enumerate(scans):
        keys += keypad.feed(index * STEP, frozenset(pressed))
    return keys


def test_a_key_counts_once_it_has_stood_still() -> None:
    keypad = scan()
    assert keypad.feed(0.00, frozenset({(0, 0)})) == []
    assert keypad.feed(0.02, frozenset({(0, 0)})) == []
    assert keypad.feed(0.03, frozenset({(0, 0)})) == ["1"]
    assert keypad.feed(0.50, frozenset({(0, 0)})) == []


@pytest.mark.parametrize(("crossing", "key"), [((0, 3), "A"), ((3, 0), "*"), ((3, 2), "#")])
def test_each_crossing_is_its_key(crossing: tuple[int, int], key: str) -> None:
    assert play([{crossing}] * 5) == [key]


def test_bouncing_contacts_make_one_press() -> None:
    down, up = {(1, 1)}, set[tuple[int, int]]()
    bouncing = [down, up, down, down, up, down]
    assert play([*bouncing, *[down] * 5, *bouncing, *[up] * 5, *[down] * 5]) == ["5", "5"]


def test_a_spike_is_no_key() -> None:
    assert play([set(), {(2, 2)}, {(2, 2)}, set(), set(), set()]) == []


def test_two_keys_one_after_the_other_overlapping() -> None:
    one, two = {(0, 0)}, {(0, 1)}
    assert play([*[one] * 5, *[one | two] * 5, *[two] * 5, *[set()] * 5]) == ["1", "2"]


@pytest.mark.parametrize(
    ("pressed", "ambiguous"),
    [
        (set(), False),
        ({(0, 0), (0, 1), (0, 2)}, False),
        ({(0, 0), (1, 0), (2, 0)}, False),
        ({(0, 0), (0, 1), (1, 0)}, False),
        ({(0, 0), (0, 1), (1, 0), (1, 1)}, True),
        ({(0, 1), (0, 3), (3, 1), (3, 3), (2, 2)}, True),
    ],
)
def test_a_rectangle_may_hold_a_ghost(pressed: set[tuple[int, int]], ambiguous: bool) -> None:
    assert is_ambiguous(pressed) is ambiguous


def test_a_ghost_is_never_a_key_and_the_real_ones_come_after() -> None:
    corners = {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert play([*[corners] * 20, *[set()] * 10, *[{(1, 1)}] * 5]) == ["5"]


def physical(pressed: set[tuple[int, int]]) -> frozenset[tuple[int, int]]:
    """Return what a matrix of bare contacts shows: everything that is connected."""
    shown = set()
    for row in range(4):
        columns, rows = set[int](), {row}
        while True:
            more = {c for r, c in pressed if r in rows} - columns
            more_rows = {r for r, c in pressed if c in columns | more} - rows
            if not more and not more_rows:
                break
            columns |= more
            rows |= more_rows
        shown |= {(row, column) for column in columns}
    return frozenset(shown)


@given(st.lists(st.tuples(st.sets(CROSSINGS, max_size=4), st.integers(1, 6)), max_size=12))
def test_no_key_is_reported_that_no_finger_pressed(
    holds: list[tuple[set[tuple[int, int]], int]],
) -> None:
    keypad, now = scan(), 0.0
    for pressed, scans in holds:
        for _ in range(scans):
            for key in keypad.feed(now, physical(pressed)):
                row = next(r for r, keys in enumerate(LAYOUT) if key in keys)
                assert (row, LAYOUT[row].index(key)) in pressed
            now += STEP


@given(CROSSINGS, st.lists(st.booleans(), max_size=20), st.lists(st.booleans(), max_size=20))
def test_one_press_with_any_bounce_is_one_key(
    crossing: tuple[int, int], onset: list[bool], release: list[bool]
) -> None:
    def contact(levels: list[bool]) -> list[set[tuple[int, int]]]:
        # Bounce is shorter than the debounce time: never four equal scans in a row.
        short = [
            level for i, level in enumerate(levels) if i < 3 or levels[i - 3 : i] != [level] * 3
        ]
        return [{crossing} if level else set() for level in short[:3]]

    keypad = scan()
    keys = play([*contact(onset), *[{crossing}] * 6, *contact(release), *[set()] * 6], keypad)
    assert len(keys) == 1
    assert keypad.at_rest
