import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.links.adapter_text_codec import (
    LINE_LIMIT,
    Acked,
    Confirmed,
    Data,
    Line,
    LineReader,
    NotAcked,
    Unknown,
    Version,
    command_line,
    decode_line,
    may_tell,
    request_line,
)


@pytest.mark.parametrize(
    ("payload", "line"),
    [("0B", b"R,0B\n"), ("0C003F0000", b"R,0C,003F0000\n"), ("130000780007", b"R,13,0000780007\n")],
)
def test_a_block_becomes_a_line(payload: str, line: bytes) -> None:
    assert request_line(bytes.fromhex(payload)) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("p,ACK", Acked()),
        ("p,NACK", NotAcked()),
        ("p,5220", Data(b"\x52\x20")),
        ("p,0b", Data(b"\x0b")),
        ("p,00", Data(b"\x00")),
        ("v,4.0.3.0,2c00", Version("v", "4.0.3.0,2c00")),
        ("h,4.1,01", Version("h", "4.1,01")),
        ("m,ACK", Confirmed("m", True)),
        ("f,NACK", Confirmed("f", False)),
        ("p,522", Unknown("p,522")),
        ("p,", Unknown("p,")),
        ("p,AC", Data(b"\xac")),
        ("d,STATUS,RESET", Unknown("d,STATUS,RESET")),
        ("", Unknown("")),
    ],
)
def test_a_line_becomes_a_value(text: str, line: Line) -> None:
    assert decode_line(text) == line


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_lines_end_with_lf_cr_or_both(end: bytes) -> None:
    assert LineReader().feed(b"p,ACK" + end + b"p,5220" + end) == ["p,ACK", "p,5220"]


def test_a_line_without_end_is_dropped_to_its_end() -> None:
    reader = LineReader()
    assert reader.feed(b"x" * (LINE_LIMIT + 50)) == []
    assert reader.feed(b"yyy\np,ACK\n") == ["p,ACK"]


def test_a_reset_forgets_the_beginning_of_a_line() -> None:
    reader = LineReader()
    reader.feed(b"p,52")
    reader.reset()
    assert reader.feed(b"p,ACK\n") == ["p,ACK"]


def test_commands_are_words_between_commas() -> None:
    assert command_line("F", "RESPTIMEOUT", "20") == b"F,RESPTIMEOUT,20\n"


@given(st.binary(max_size=300), st.integers(1, 7))
def test_garbage_in_any_pieces_gives_the_same_lines(data: bytes, size: int) -> None:
    whole = LineReader().feed(data)
    reader = LineReader()
    parts = [line for at in range(0, len(data), size) for line in reader.feed(data[at : at + size])]
    assert parts == whole
    for line in whole:
        decode_line(line)


@given(st.binary(min_size=1, max_size=35))
def test_data_in_either_case_reads_back(payload: bytes) -> None:
    assert decode_line(f"p,{payload.hex()}") == Data(payload)
    assert decode_line(f"p,{payload.hex().upper()}") == Data(payload)


@pytest.mark.parametrize("whole", ["p,4500", "p,0A51", "p,A0", "p,B1"])
def test_an_answer_with_data_that_lost_any_of_its_characters_is_known_for_one(whole: str) -> None:
    for gone in range(len(whole)):
        assert may_tell(whole[:gone] + whole[gone + 1 :])


@pytest.mark.parametrize(
    "text", ["p,ACK", "p,AK", "p,AC", "p,CK", "p,NACK", "p,NAK", "v,4.0.3.0,2c00", "m,ACK", ""]
)
def test_what_was_no_data_is_not_taken_for_a_damaged_answer_with_data(text: str) -> None:
    assert not may_tell(text)
