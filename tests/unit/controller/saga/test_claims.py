"""Claim codes: short enough to copy, long enough not to be guessed."""

from __future__ import annotations

import hmac
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.saga.claims import (
    CODE_DIGITS,
    MAC_BITS,
    MAC_DIGITS,
    SEQ_DIGITS,
    grouped,
    machine_key,
    mint,
    well_formed,
)

KEY = b"k" * 32


@given(st.integers(1, 10**8 - 1), st.integers(1, 10**7))
def test_a_code_is_its_own_and_nobody_elses(seq: int, amount: int) -> None:
    code = mint(KEY, "m1", seq, amount)
    assert len(code) == CODE_DIGITS <= 20
    assert code.isdecimal()
    assert well_formed(grouped(code))
    assert grouped(code).replace(" ", "") == code
    others = [mint(b"x" * 32, "m1", seq, amount), mint(KEY, "m2", seq, amount),
              mint(KEY, "m1", seq, amount + 1)]  # fmt: skip
    assert code not in others


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


@given(st.integers(1, 10**9), st.integers(1, 10**7))
def test_the_code_holds_the_truncated_hmac_over_machine_seq_and_amount(
    seq: int, amount: int
) -> None:
    code = mint(KEY, "m1", seq, amount)
    digest = hmac.new(KEY, f"m1\0{seq}\0{amount}".encode(), sha256).digest()
    first_bits = int.from_bytes(digest, "big") >> (256 - MAC_BITS)
    assert code[:SEQ_DIGITS] == f"{seq % 10**SEQ_DIGITS:0{SEQ_DIGITS}d}"
    assert int(code[SEQ_DIGITS : SEQ_DIGITS + MAC_DIGITS]) == first_bits
    assert 2**MAC_BITS <= 10**MAC_DIGITS, "ten digits hold every value"


def test_one_key_per_machine_and_tenant_and_none_tells_of_another() -> None:
    tenants = [bytes([n]) * 32 for n in range(3)]
    keys = {machine_key(tenant, name) for tenant in tenants for name in ("m1", "m2", "m3")}
    assert len(keys) == 9
    assert {len(key) for key in keys} == {32}
    stolen = machine_key(tenants[0], "m1")
    assert mint(stolen, "m2", 7, 150) != mint(machine_key(tenants[0], "m2"), "m2", 7, 150)


def test_a_short_tenant_key_is_none() -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        machine_key(b"secret", "m1")
