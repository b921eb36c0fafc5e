"""Frames that break off, headers nobody may send, and places of a buffer that hold nothing."""

import pytest

from drivers.cctalk.explain import BlockExplanation, Explanation, explain

H = bytes.fromhex


def meanings(block: BlockExplanation | None) -> list[str]:
    assert block is not None
    return [part.meaning or field.meaning for part in block.parts for field in part.fields]


def names(block: BlockExplanation | None) -> list[str]:
    assert block is not None
    return [part.name for part in block.parts]


def poll(answer: str) -> Explanation:
    return explain(H("020001E518"), H(answer))


@pytest.mark.parametrize("kept", range(5, 16))
def test_a_frame_cut_short_has_no_checksum_and_loses_no_byte(kept: int) -> None:
    whole = "010B02000703010002040100000000E0"
    explanation = poll(whole[: 2 * kept])
    block = explanation.response
    assert block is not None
    assert "checksum" not in names(block)
    assert any(f"cut short: {kept} bytes, the frame says 16" in e for e in block.errors)
    assert not any("wrong checksum" in error for error in explanation.errors)
    shown = "".join(field.bytes for part in block.parts for field in part.fields)
    assert shown.replace(" ", "") == whole[: 2 * kept]


def test_the_coin_in_the_last_byte_of_a_frame_cut_short_is_read() -> None:
    answer = poll("010B02000703")
    assert any("coin of position 3" in words for words in meanings(answer.response))


def test_a_request_cut_short_shows_the_data_it_has() -> None:
    request = explain(H("020501E7FFFF"), None).request
    assert "all 16 coin positions enabled" in meanings(request)
    assert "checksum" not in names(request)


@pytest.mark.parametrize("header", [0, 5, 6])
def test_a_header_of_replies_must_not_be_sent_to_a_device(header: int) -> None:
    frame = bytes([2, 0, 1, header])
    explanation = explain(frame + bytes([-sum(frame) & 0xFF]), None)
    assert any("is a reply's" in error for error in explanation.errors)


def test_a_wrong_checksum_says_that_the_frame_may_be_encrypted() -> None:
    block = explain(H("020001FEFE"), None).request
    assert block is not None
    assert any("encrypted" in note for note in block.notes)


def test_an_empty_place_of_a_bill_buffer_is_not_told_as_an_event_alone() -> None:
    answer = explain(H("2800319F5D"), H("010B6E0007020002010000000000007F")).response
    assert meanings(answer)[-2].startswith("master inhibit active, or an empty place")


def test_who_asks_is_who_is_answered() -> None:
    explanation = explain(H("020005FEFB"), H("05000200F9"))
    assert explanation.errors == ()
    assert explanation.request is not None
    assert "asked by address 5" in explanation.request.notes[0]
    astray = explain(H("020005FEFB"), H("01000200FD"))
    assert astray.errors == ("response: a reply goes to 5, which asked, not to 1",)


def test_the_host_is_no_device_to_be_asked() -> None:
    explanation = explain(H("010001FE00"), None)
    assert explanation.errors == (
        "request: address 1 is the host itself: a request goes to a device",
    )


def test_a_surplus_byte_is_one_byte() -> None:
    told = poll("010B0200050101000000000000000000EB").errors
    assert any(error.endswith("1 byte more than the frame has") for error in told)


def test_three_bytes_are_cut_short_once_for_each_reason() -> None:
    assert len(explain(H("020001"), None).errors) == 2
