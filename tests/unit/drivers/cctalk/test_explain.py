"""Every byte of a ccTalk exchange in words."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from drivers.cctalk.explain import TALKS, BlockExplanation, Explanation, Field, Kind, explain
from drivers.cctalk.frames import CcTalkError, Checksum, Frame, encode_frame
from drivers.cctalk.headers import Header
from drivers.decode_cli import app

H = bytes.fromhex


def exchange(request: str, response: str = "", **options: object) -> Explanation:
    """Explain an exchange written in pairs."""
    return explain(
        H(request) or None,
        H(response) or None,
        **options,  # type: ignore[arg-type]  # passed on as given
    )


def fields(block: BlockExplanation | None) -> dict[str, Field]:
    assert block is not None
    return {field.name: field for part in block.parts for field in part.fields}


def words(block: BlockExplanation | None) -> str:
    assert block is not None
    return " | ".join(
        text
        for part in block.parts
        for text in (part.meaning, *(field.meaning for field in part.fields))
        if text
    )


POLL = "02 00 01 E5 18"
EVENTS = "01 0B 02 00 07 03 01 00 02 04 01 00 00 00 00 E0"


@pytest.mark.parametrize(
    ("request_", "response", "told"),
    [
        ("02 00 01 FE FF", "01 00 02 00 FD", "ACK"),
        ("02 00 01 F2 0B", "01 03 02 00 4E 61 BC 8F", "12345678"),
        ("02 00 01 04 F9", "01 03 02 00 01 04 07 EE", "4"),
        ("02 01 01 B8 05 3F", "01 06 02 00 45 55 31 30 30 41 8B", "EU, value 100, issue A"),
        ("02 01 01 B8 05 3F", "01 06 02 00 2E 2E 2E 2E 2E 2E E3", "empty position"),
        ("02 00 01 E8 15", "01 01 02 00 00 FC", "OK"),
        ("02 00 01 E8 15", "01 02 02 00 08 02 F1", "sorter exit sensors | sensor 2"),
        ("28 01 01 9D 02 37", "01 07 28 00 47 42 30 30 31 30 43 43", "GB, value 10, issue C"),
        ("28 02 01 9C 47 42 B0", "01 03 28 00 64 00 02 6E", "values count times 100"),
        ("28 01 01 9A 01 3B", "01 01 28 00 FE D8", "escrow empty"),
        ("28 01 01 9A 01 3B", "01 01 28 00 FF D7", "failed to route the bill"),
        ("28 00 01 98 3F", "01 01 28 00 03 D3", "b0 stacker, b1 escrow"),
        ("04 00 01 A6 55", "01 04 04 00 06 02 01 00 EE", "2 coins to pay | 1 coin"),
        ("04 00 01 A3 58", "01 03 04 00 C0 00 00 38", "power-up detected, b7 payout disabled"),
        ("04 00 01 AC 4F", "01 01 04 00 02 F8", "2 coins"),
        ("04 00 01 D9 22", "01 01 04 00 11 E9", "below the low level, no high level sensor"),
        ("04 00 01 A8 53", "01 03 04 00 39 30 00 8F", "coins ever paid, kept without power"),
        (
            "04 00 01 A0 5B",
            "01 08 04 00 01 02 03 04 05 06 07 08 CF",
            "key 01 02 03 04 05 06 07 08 for the next dispense",
        ),
        ("04 04 01 A7 10 27 00 03 16", "01 01 04 00 06 F4", "6 (one more with each dispense"),
        ("04 04 01 A7 10 27 00 03 16", "01 00 04 05 F6", "NAK: received well, refused or failed"),
    ],
)
def test_an_answer_is_told_in_the_light_of_its_request(
    request_: str, response: str, told: str
) -> None:
    explanation = exchange(request_, response)
    assert explanation.errors == ()
    assert told in words(explanation.response)


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ("02 02 01 E7 FF FF 16", "all 16 coin positions enabled"),
        ("02 02 01 E7 07 00 0D", "coin positions 1, 2, 3 enabled"),
        ("02 02 01 E7 00 00 14", "no coin position enabled"),
        ("28 02 01 E7 0F 00 DF", "bill positions 1, 2, 3, 4 enabled"),
        ("02 01 01 E4 01 17", "normal operation"),
        ("02 01 01 E4 00 18", "inhibited"),
        ("02 02 01 D2 04 02 23", "where the coin goes"),
        ("02 01 01 DE FD 21", "b0 path 1 normal, b2 path 3 normal"),
        ("28 01 01 9A 00 3C", "return the bill"),
        ("28 01 01 99 03 3A", "b0 stacker, b1 escrow"),
        ("04 01 01 A4 A5 B1", "enabled"),
        ("04 01 01 A4 00 56", "disabled: only A5 enables"),
        ("04 08 01 A1 09 08 07 06 05 04 03 02 26", "for the cipher"),
        ("04 04 01 A7 10 27 00 03 16", "serial number, bytes as header 242 gave them | 3 coins"),
        ("04 09 01 A7 00 00 00 00 00 00 00 00 03 48", "cipher, or eight bytes that nobody checks"),
        ("04 0A 01 86 00 00 00 00 00 00 00 00 C8 00 A3", "in the smallest unit of the currency"),
        ("03 01 01 FB 05 FB", "Address change"),
        ("00 00 01 FA 05", "broadcast"),
        ("00 02 01 01 E4 01 17", "Reset device"),
    ],
)
def test_a_request_is_told_field_by_field(request_: str, told: str) -> None:
    assert told in words(exchange(request_).request)


def test_a_null_byte_before_a_frame_makes_a_reset_that_nobody_should_obey() -> None:
    request = exchange("00 02 01 01 E4 01 17").request
    assert request is not None
    assert any("null bytes" in note for note in request.notes)


def test_new_events_are_told_from_old_ones() -> None:
    told = words(exchange(POLL, EVENTS, last_counter=5).response)
    assert "coin of position 3 to sorter path 1: credit, new" in told
    assert "inhibited coin, coin rejected, new" in told
    assert "coin of position 4 to sorter path 1: credit, seen before" in told


@pytest.mark.parametrize(
    ("last", "note"),
    [
        (7, "0 new events since counter 7"),
        (255, "7 new events since counter 255, the buffer holds 5: 2 lost, or the device was"),
    ],
)
def test_lost_events_are_counted(last: int, note: str) -> None:
    response = exchange(POLL, EVENTS, last_counter=last).response
    assert response is not None
    assert any(note in text for text in response.notes)


def test_a_counter_that_fell_to_zero_is_a_reset() -> None:
    empty = "01 0B 02 00 00 00 00 00 00 00 00 00 00 00 00 F2"
    response = exchange(POLL, empty, last_counter=9).response
    assert response is not None
    assert "the counter fell from 9 to 0" in response.notes[0]
    assert "empty: nothing has happened since the reset" in words(response)


def test_events_are_taken_apart_for_programs() -> None:
    told = fields(exchange(POLL, EVENTS).response)
    assert told["coin position"].detail == {"credit": True, "position": 4, "path": 1}


@pytest.mark.parametrize(
    ("response", "header"),
    [
        (EVENTS, 229),
        ("01 0B 28 00 09 04 01 00 02 03 00 03 01 00 01 B4", 159),
        ("01 04 04 00 06 00 01 02 EE", 166),
    ],
)
def test_an_answer_alone_is_read_as_the_devices_poll(response: str, header: int) -> None:
    told = exchange("", response).response
    assert told is not None
    assert told.notes[0] == f"without a request; read as an answer to header {header}"


def test_the_echo_is_told_apart() -> None:
    response = exchange("02 00 01 FE FF", "02 00 01 FE FF 01 00 02 00 FD").response
    assert response is not None
    assert [part.name for part in response.parts] == ["echo", "reply", "checksum"]
    silent = exchange("02 00 01 FE FF", "02 00 01 FE FF").response
    assert silent is not None
    assert silent.errors == ("nothing but the echo: the device is silent",)


def test_frames_with_a_crc_are_recognised() -> None:
    explanation = exchange("28 00 31 9F 5D", "01 0B 6E 00 07 02 00 02 01 00 00 00 00 00 00 7F")
    assert (explanation.checksum, explanation.errors) == (Checksum.CRC, ())
    assert "bill of type 2 stacked: credit" in words(explanation.response)
    assert "bill of type 2 in escrow: no credit yet" in words(explanation.response)


def test_a_wrong_checksum_is_told_with_the_right_one() -> None:
    explanation = exchange("02 00 01 E5 19")
    assert explanation.errors == ("request: wrong checksum: expected 18",)
    assert explanation.request is not None
    assert explanation.request.notes == (
        "neither the sum nor the CRC is right, or it is encrypted",
    )
    crc = exchange("28 00 B6 FE 22", checksum=Checksum.CRC)
    assert crc.errors == ("request: wrong checksum: expected 21B6: B6 before the header, 21 here",)


@pytest.mark.parametrize(
    ("request_", "response", "error"),
    [
        ("02 00 01 FE FF", "01 00 03 00 FC", "payout 3 answers, coin acceptor 2 was asked"),
        ("02 00 01 FE FF", "04 00 02 00 FA", "a reply goes to the host (1), not to 4"),
        ("02 00 01 FE FF", "01 01 02 00 07 F5", "data where only an ACK belongs"),
        ("02 00 01 E5 18", "01 00 02 00 FD", "an ACK without data where data is owed"),
        ("02 00 01 FE FF", "01 00 02 FE FF", "header 254 is none of a reply (0, 5, 6)"),
        ("02 00 01 00 FD", "", "header 0 is a reply's"),
        ("02 01 01 E5 18", "", "5 bytes, the frame says 6 (1 of data)"),
        ("02 00 01 FE FF 00", "", "6 bytes, the frame says 5 (0 of data)"),
        ("02 00", "", "cut short"),
        (POLL, "01 02 02 00 07 03 F1", "cut short"),
    ],
)
def test_what_is_wrong_is_said(request_: str, response: str, error: str) -> None:
    assert any(error in text for text in exchange(request_, response).errors)


def test_addresses_come_as_single_bytes() -> None:
    told = exchange("00 00 01 FD 02", "00 00 01 FD 02 02 03 28").response
    assert words(told).endswith("coin acceptor 2 | payout 3 | bill validator 40")
    clash = exchange("03 00 01 FC 00", "03 03").response
    assert clash is not None
    assert clash.notes == ("2 devices share the address",)


def test_the_kind_of_device_may_be_named() -> None:
    option = "01 01 4D 00 03 AE"
    assert "stacker" in words(exchange("4D 00 01 D5 DD", option, device=Kind.BILL).response)
    assert "CVF" in words(exchange("4D 00 01 D5 DD", option, device=Kind.COIN).response)


def test_every_header_has_a_layout() -> None:
    assert set(map(int, Header)) == set(TALKS)


def test_nothing_to_explain_is_refused() -> None:
    with pytest.raises(CcTalkError):
        explain(None, b"")


# ----------------------------------------------------------------------------------- any bytes

whole = st.builds(
    encode_frame,
    st.builds(
        Frame,
        st.sampled_from([0, 1, 2, 3, 40, 55, 160]),
        st.sampled_from([1, 2, 3, 40]),
        st.one_of(st.sampled_from([*map(int, Header)]), st.integers(0, 255)),
        st.binary(max_size=20),
    ),
    st.sampled_from(Checksum),
)
bytes_ = st.one_of(st.none(), st.binary(max_size=30), whole)


@given(
    bytes_,
    bytes_,
    st.sampled_from([None, *Kind]),
    st.sampled_from([None, *Checksum]),
    st.sampled_from([None, 0, 9, 255]),
    st.booleans(),
)
def test_any_bytes_are_explained_each_exactly_once(
    request_: bytes | None,
    response: bytes | None,
    device: Kind | None,
    checksum: Checksum | None,
    last: int | None,
    echo: bool,
) -> None:
    if echo and request_ and response:
        response = request_ + response
    if not request_ and not response:
        return
    told = explain(request_, response, device=device, checksum=checksum, last_counter=last)
    for block, given_ in ((told.request, request_), (told.response, response)):
        if not given_:
            assert block is None
            continue
        assert block is not None
        covered = b""
        for part in block.parts:
            assert part.name
            for field in part.fields:
                assert field.offset == len(covered)
                assert field.name
                assert field.meaning
                covered += H(field.bytes)
        assert covered == given_
    json.dumps(told.to_dict())


# ---------------------------------------------------------------------------------- the command


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, words)
    return done.exit_code, done.output


def test_the_command_prints_a_table() -> None:
    code, out = run("cctalk", "--request", POLL, "--response", EVENTS, "--last-counter", "6")
    assert code == 0
    assert "host to coin acceptor 2" in out
    assert "coin of position 3 to sorter path 1: credit, new" in out


def test_the_command_prints_json() -> None:
    code, out = run("cctalk", "--request", "0x02,0x00,0x01,0xFE,0xFF", "--json")
    told = json.loads(out)
    assert (code, told["device"], told["checksum"], told["errors"]) == (0, "coin", "sum", [])
    assert told["request"]["name"] == "Simple poll"


def test_wrong_bytes_end_with_1_and_wrong_arguments_with_2() -> None:
    assert run("cctalk", "--request", "02 00 01 FE 00")[0] == 1
    assert run("cctalk", "--request", "02 0g 01")[0] == 2
    assert run("cctalk")[0] == 2


def test_the_other_wire_is_still_there() -> None:
    code, out = run("mdb", "--device", "changer", "--request", "0B 0B")
    assert code == 0
    assert "POLL" in out
