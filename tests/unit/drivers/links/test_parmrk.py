from hypothesis import given
from hypothesis import strategies as st

from drivers.links.parmrk import MARKED, ParmrkDecoder, encode_parmrk


def feed(*pieces: bytes) -> list[int]:
    decoder = ParmrkDecoder()
    return [value for piece in pieces for value in decoder.feed(piece)]


def test_the_standards_example_block_reads_back() -> None:
    assert feed(bytes.fromhex("45 FF FF 12 FF 00 56")) == [0x45, 0xFF, 0x12, MARKED | 0x56]


def test_an_ack_alone_is_one_marked_zero() -> None:
    assert feed(b"\xff\x00\x00") == [MARKED]
    assert feed(b"\xff", b"\x00", b"\x00") == [MARKED]


def test_a_marked_nak_is_told_from_a_plain_ff() -> None:
    assert feed(b"\xff\x00\xff") == [MARKED | 0xFF]
    assert feed(b"\xff\xff") == [0xFF]


def test_just_reset_of_a_reader_is_two_bytes_and_no_ack() -> None:
    assert feed(b"\x00\xff\x00\x00") == [0, MARKED]


def test_what_is_no_parmrk_counts_as_plain_bytes() -> None:
    assert feed(b"\xff\x12\x34") == [0xFF, 0x12, 0x34]


def test_a_reset_forgets_half_a_sequence() -> None:
    decoder = ParmrkDecoder()
    decoder.feed(b"\xff\x00")
    pending = [decoder.pending]
    decoder.reset()
    pending.append(decoder.pending)
    assert pending == [True, False]
    assert decoder.feed(b"\x12") == [0x12]


@given(st.binary(min_size=1, max_size=36), st.integers(1, 5))
def test_any_block_in_any_pieces_reads_back(block: bytes, size: int) -> None:
    raw = encode_parmrk(block)
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
    assert feed(*pieces) == [*block[:-1], MARKED | block[-1]]


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_garbage_never_raises_and_pieces_do_not_matter(first: bytes, second: bytes) -> None:
    assert feed(first, second) == feed(first + second)


@given(st.binary(min_size=1, max_size=36))
def test_without_a_mark_the_last_byte_is_plain(block: bytes) -> None:
    assert feed(encode_parmrk(block, marked_last=False)) == list(block)
