"""Frames, both checksums, echo and replies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.cctalk.frames import (
    CcTalkError,
    Checksum,
    EchoFilter,
    EchoState,
    Frame,
    FrameFault,
    FrameReader,
    Reply,
    ReplyKind,
    accept_reply,
    crc16,
    decode_frame,
    encode_frame,
)

H = bytes.fromhex

SUM_FRAMES = [
    ("02 00 01 FE FF", Frame(2, 1, 254)),
    ("01 00 02 00 FD", Frame(1, 2, 0)),
    ("01 00 03 05 F7", Frame(1, 3, 5)),
    ("01 00 02 06 F7", Frame(1, 2, 6)),
    ("02 00 01 F2 0B", Frame(2, 1, 242)),
    ("01 03 02 00 4E 61 BC 8F", Frame(1, 2, 0, H("4E61BC"))),
    ("28 00 01 FE D9", Frame(40, 1, 254)),
    ("02 02 01 E7 FF FF 16", Frame(2, 1, 231, H("FFFF"))),
    ("04 04 01 A7 10 27 00 03 16", Frame(4, 1, 167, H("10270003"))),
    ("00 00 01 FD 02", Frame(0, 1, 253)),
]
CRC_FRAMES = [
    ("28 00 B6 FE 21", Frame(40, None, 254)),
    ("01 00 30 00 37", Frame(1, None, 0)),
    ("28 00 46 01 3F", Frame(40, None, 1)),
    ("01 00 95 05 67", Frame(1, None, 5)),
    ("28 00 31 9F 5D", Frame(40, None, 159)),
    (
        "01 0B 6E 00 07 02 00 02 01 00 00 00 00 00 00 7F",
        Frame(1, None, 0, H("0702000201000000000000")),
    ),
]


@pytest.mark.parametrize(("wire", "frame"), SUM_FRAMES)
def test_a_frame_ends_with_what_makes_its_sum_zero(wire: str, frame: Frame) -> None:
    assert encode_frame(frame) == H(wire)
    assert decode_frame(H(wire)) == frame


@pytest.mark.parametrize(("wire", "frame"), CRC_FRAMES)
def test_a_crc_stands_in_the_source_and_at_the_end(wire: str, frame: Frame) -> None:
    assert encode_frame(frame, Checksum.CRC) == H(wire)
    assert decode_frame(H(wire), Checksum.CRC) == frame


@pytest.mark.parametrize(
    ("data", "crc"), [("49D5F2", 0xA6B3), ("2FBD9D", 0x90B2), ("70B8D9640415", 0xFB00)]
)
def test_the_crc_is_the_specifications(data: str, crc: int) -> None:
    assert crc16(H(data)) == crc


frames = st.builds(
    Frame,
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 255),
    st.binary(max_size=255),
)


@given(frames, st.sampled_from(Checksum))
def test_a_frame_survives_the_wire(frame: Frame, checksum: Checksum) -> None:
    source = None if checksum is Checksum.CRC else frame.source
    expected = Frame(frame.destination, source, frame.header, frame.data)
    assert decode_frame(encode_frame(frame, checksum), checksum) == expected


@given(frames, st.integers(0, 7), st.data())
def test_one_flipped_bit_is_always_noticed(frame: Frame, bit: int, data: st.DataObject) -> None:
    for checksum in Checksum:
        raw = bytearray(encode_frame(frame, checksum))
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] ^= 1 << bit
        with pytest.raises(CcTalkError):
            decode_frame(bytes(raw), checksum)


@given(st.binary(max_size=300), st.sampled_from(Checksum))
def test_any_bytes_end_in_a_frame_or_one_error(data: bytes, checksum: Checksum) -> None:
    try:
        frame = decode_frame(data, checksum)
    except CcTalkError:
        return
    assert encode_frame(frame, checksum) == data


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        ("02 00 01", FrameFault.TRUNCATED),
        ("02 01 01 FE FF", FrameFault.TRUNCATED),
        ("02 00 01 FE FF 00", FrameFault.WRONG_LENGTH),
        ("02 00 01 FE FE", FrameFault.CHECKSUM),
    ],
)
def test_what_is_wrong_with_a_frame_is_told(wire: str, reason: FrameFault) -> None:
    with pytest.raises(CcTalkError) as told:
        decode_frame(H(wire))
    assert told.value.reason is reason
    assert told.value.data == H(wire)


@pytest.mark.parametrize(
    "frame", [Frame(256, 1, 254), Frame(2, -1, 254), Frame(2, 1, 300), Frame(2, 1, 1, bytes(256))]
)
def test_what_does_not_fit_is_refused(frame: Frame) -> None:
    with pytest.raises(CcTalkError):
        encode_frame(frame)


# --------------------------------------------------------------------------------- the stream


@given(st.lists(frames, min_size=1, max_size=4), st.integers(1, 9))
def test_frames_are_cut_out_of_any_chunks(sent: list[Frame], chunk: int) -> None:
    stream = b"".join(encode_frame(frame) for frame in sent)
    reader = FrameReader()
    got = [
        raw for at in range(0, len(stream), chunk) for raw in reader.feed(stream[at : at + chunk])
    ]
    assert [decode_frame(raw) for raw in got] == sent
    assert reader.partial == b""


def test_a_gap_drops_the_partial_frame_and_nothing_else() -> None:
    reader = FrameReader()
    assert list(reader.feed(H("01 0B 02"))) == []
    assert reader.reset() == H("01 0B 02")
    assert list(reader.feed(H("01 00 02 00 FD"))) == [H("01 00 02 00 FD")]


# ----------------------------------------------------------------------------------- the echo

POLL, ACK = H("02 00 01 FE FF"), H("01 00 02 00 FD")


@pytest.mark.parametrize("expected", [True, False, None])
@pytest.mark.parametrize("chunk", [1, 3, 10])
def test_our_own_bytes_are_taken_out(expected: bool | None, chunk: int) -> None:
    echo = EchoFilter(POLL, expected=expected)
    stream = POLL + ACK
    got = b"".join(echo.feed(stream[at : at + chunk]) for at in range(0, len(stream), chunk))
    assert (got, echo.state) == (ACK, EchoState.CUT)


@pytest.mark.parametrize("expected", [False, None])
def test_an_adapter_without_echo_is_understood(expected: bool | None) -> None:
    echo = EchoFilter(POLL, expected=expected)
    assert echo.feed(ACK) == ACK
    assert echo.state is EchoState.ABSENT


def test_other_bytes_than_ours_are_a_collision() -> None:
    echo = EchoFilter(POLL, expected=True)
    assert echo.feed(H("02 00 81")) == b""
    assert echo.state is EchoState.COLLISION
    assert echo.feed(ACK) == b""


def test_a_missing_echo_is_a_fault_where_one_is_expected() -> None:
    echo = EchoFilter(POLL, expected=True)
    echo.feed(ACK)
    assert echo.state is EchoState.COLLISION


def test_an_echo_alone_is_silence() -> None:
    echo = EchoFilter(POLL)
    assert echo.feed(POLL) == b""
    assert echo.state is EchoState.CUT


# ------------------------------------------------------------------------------------ replies


@pytest.mark.parametrize(
    ("wire", "reply"),
    [
        ("01 00 02 00 FD", Reply(ReplyKind.ACK)),
        ("01 03 02 00 4E 61 BC 8F", Reply(ReplyKind.DATA, H("4E61BC"))),
        ("01 00 02 05 F8", Reply(ReplyKind.NAK)),
        ("01 00 02 06 F7", Reply(ReplyKind.BUSY)),
    ],
)
def test_a_reply_is_ack_data_nak_or_busy(wire: str, reply: Reply) -> None:
    assert accept_reply(H(wire), 2, Checksum.SUM) == reply


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        ("03 00 02 00 FB", FrameFault.WRONG_ADDRESS),
        ("01 00 04 00 FB", FrameFault.WRONG_ADDRESS),
        ("01 00 02 07 F6", FrameFault.UNKNOWN),
        ("01 01 02 05 09 EE", FrameFault.WRONG_LENGTH),
        ("01 00 02 00 FC", FrameFault.CHECKSUM),
    ],
)
def test_anything_else_counts_as_no_reply(wire: str, reason: FrameFault) -> None:
    with pytest.raises(CcTalkError) as told:
        accept_reply(H(wire), 2, Checksum.SUM)
    assert told.value.reason is reason


def test_a_reply_with_a_crc_names_nobody() -> None:
    assert accept_reply(H("01 00 30 00 37"), 40, Checksum.CRC) == Reply(ReplyKind.ACK)
