"""Claim codes: short enough to copy, long enough not to be guessed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.saga.claims import CODE_DIGITS, MAC_BITS, genuine, grouped, mint, well_formed

KEY = b"k" * 32


@given(st.integers(1, 10**8 - 1), st.integers(1, 10**7))
def test_a_code_is_its_own_and_nobody_elses(seq: int, amount: int) -> None:
    code = mint(KEY, "m1", seq, amount)
    assert len(code) == CODE_DIGITS <= 20
    assert code.isdecimal()
    assert well_formed(grouped(code))
    assert genuine(grouped(code), KEY, "m1", seq, amount)
    assert not genuine(code, b"x" * 32, "m1", seq, amount)
    assert not genuine(code, KEY, "m2", seq, amount)
    assert not genuine(code, KEY, "m1", seq, amount + 1)


@given(st.integers(1, 10**8 - 1), st.integers(0, CODE_DIGITS - 1), st.integers(1, 9))
def test_one_wrong_digit_is_seen(seq: int, place: int, by: int) -> None:
    code = mint(KEY, "m1", seq, 150)
    wrong = code[:place] + str((int(code[place]) + by) % 10) + code[place + 1 :]
    assert not well_formed(wrong)


@given(st.integers(1, 10**8 - 1), st.integers(0, CODE_DIGITS - 2))
def test_swapped_neighbours_are_seen(seq: int, place: int) -> None:
    code = mint(KEY, "m1", seq, 150)
    swapped = code[:place] + code[place + 1] + code[place] + code[place + 2 :]
    assert swapped == code or not well_formed(swapped)


def test_garbage_is_not_well_formed() -> None:
    assert not well_formed("")
    assert not well_formed("12345678901234567890x")
    assert MAC_BITS >= 30
