import hashlib
import struct

from hypothesis import given
from hypothesis import strategies as st

from controller.journal.chain import GENESIS, link


def test_a_link_is_the_hash_of_fixed_widths() -> None:
    journal, body = bytes(range(16)), b'{"at":1}'
    expected = hashlib.sha256(GENESIS + journal + struct.pack(">QQ", 7, 3) + body).digest()
    assert link(GENESIS, journal, 7, 3, body) == expected


@given(st.binary(max_size=64), st.integers(1, 2**63), st.integers(1, 2**32), st.integers(0, 4))
def test_any_change_changes_the_link(body: bytes, seq: int, boot: int, which: int) -> None:
    journal = bytes(16)
    right = link(GENESIS, journal, seq, boot, body)
    wrong = [
        link(b"\1" + bytes(31), journal, seq, boot, body),
        link(GENESIS, b"\1" + bytes(15), seq, boot, body),
        link(GENESIS, journal, seq + 1, boot, body),
        link(GENESIS, journal, seq, boot + 1, body),
        link(GENESIS, journal, seq, boot, body + b" "),
    ]
    assert wrong[which] != right
