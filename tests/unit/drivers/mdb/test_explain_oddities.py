"""What a decoder must not gloss over: odd blocks, and the fields a script reads."""

import pytest

from drivers.explanation import Field
from drivers.mdb.blocks import build_block
from drivers.mdb.explain import BlockExplanation, Explanation, explain


def exchange(device: str, request: str, response: str, **options: object) -> Explanation:
    """Explain an exchange written without checksums; `ACK` and `NAK` stand alone."""
    lone = {"ACK": b"\x00", "NAK": b"\xff"}
    answer = lone.get(response) or build_block(bytes.fromhex(response))
    return explain(
        device,
        build_block(bytes.fromhex(request)),
        answer,
        **options,  # type: ignore[arg-type]  # passed on as given
    )


def told(block: BlockExplanation | None) -> BlockExplanation:
    assert block is not None
    return block


def fields(block: BlockExplanation | None) -> dict[str, Field]:
    return {field.name: field for part in told(block).parts for field in part.fields}


@pytest.mark.parametrize(
    ("device", "request_"),
    [("changer", "0D 30"), ("changer", "0F 02 1B"), ("bill", "37 06 01 00 01"),
     ("bill", "37 07 00 02")],
)  # fmt: skip
def test_a_nak_to_a_payout_is_never_told_as_something_to_repeat(device: str, request_: str) -> None:
    answer = told(exchange(device, request_, "NAK").response)
    assert "never repeat" in answer.meaning
    assert "bad checksum" in answer.meaning


def test_a_nak_to_anything_else_may_be_repeated() -> None:
    answer = told(exchange("changer", "09", "NAK").response)
    assert answer.meaning.endswith("repeat")


@pytest.mark.parametrize(
    ("device", "request_"), [("changer", "0E"), ("changer", "0F 08"), ("bill", "37 0B")]
)
def test_an_ack_to_an_unknown_command_is_not_said_to_owe_data(device: str, request_: str) -> None:
    explanation = exchange(device, request_, "ACK")
    assert len(explanation.errors) >= 1
    assert not any("owed" in error for error in explanation.errors)


@pytest.mark.parametrize(("device", "poll", "item"), [("changer", "0B", "53 01"),
                                                      ("bill", "33", "81 81")])  # fmt: skip
def test_more_poll_items_than_an_answer_may_hold_are_noted(
    device: str, poll: str, item: str
) -> None:
    assert told(exchange(device, poll, item * 8).response).notes == ()
    assert "16 at most" in told(exchange(device, poll, item * 9).response).notes[0]


@pytest.mark.parametrize(
    ("device", "poll", "answer"),
    [("changer", "0B", "53 0A 1B 00 08 01 10 00"), ("bill", "33", "81 1F 00 30 01 05 00"),
     ("cashless", "12", "04 1B 00 10 01 05 00")],
)  # fmt: skip
def test_a_file_transfer_message_behind_items_is_an_error_not_items(
    device: str, poll: str, answer: str
) -> None:
    explanation = exchange(device, poll, answer)
    assert any("never mixed" in error for error in explanation.errors)
    parts = [part.name for part in told(explanation.response).parts]
    assert parts[-2:] == ["leftover", "checksum"]
    assert len(parts) == 3  # one item, the rest, the checksum


def test_the_stacker_gives_its_count_and_whether_it_is_full_to_scripts() -> None:
    bills = fields(exchange("bill", "36", "82 58").response)["bills in the stacker"]
    assert bills.detail == {"bills": 600, "full": True}
    assert bills.raw == 0x8258


def test_a_request_cut_short_keeps_its_full_name() -> None:
    assert told(exchange("cashless", "13 00 00 78 00", "ACK").request).name == (
        "VEND REQUEST, cut short"
    )
    assert told(exchange("bill", "37 06 01", "ACK").request).name == (
        "EXPANSION DISPENSE BILL, cut short"
    )


@pytest.mark.parametrize(
    ("request_", "form"),
    [("13 00 00 78 00 07", "16-bit"), ("13 00 00 00 00 78 00 07", "expanded"),
     ("13 05 00 64 00 07", "16-bit"), ("15 00 00 C8", "16-bit"),
     ("11 01 01 F4 00 50", "expanded"), ("13 02 00 07", "expanded")],
)  # fmt: skip
def test_the_short_form_in_expanded_mode_is_noted(request_: str, form: str) -> None:
    notes = told(exchange("cashless", request_, "ACK", expanded=True).request).notes
    assert bool(notes) is (form == "16-bit")


def test_the_approval_of_a_negative_vend_is_credit_not_an_amount_taken() -> None:
    answer = fields(exchange("cashless", "13 06 00 64 00 07", "05 00 64").response)
    assert answer["credit to be written"].raw == 100
    assert "amount taken" not in answer


def test_a_cancelled_data_entry_shows_its_bytes_and_no_giant_number() -> None:
    keys = fields(exchange("cashless", "14 03" + "FF" * 8, "ACK").request)["keys"]
    assert keys.raw == "FF FF FF FF FF FF FF FF"
    assert keys.meaning == "cancelled by the VMC"


def test_a_malfunction_gives_its_class_and_sub_code_to_scripts() -> None:
    answer = exchange("cashless", "12", "0A 5F").response
    assert fields(answer)["error code"].detail == {"class": 2, "sub_code": 15}
    refund = exchange("cashless", "12", "0A C1").response
    assert fields(refund)["error code"].detail == {"class": None, "sub_code": 1}
    assert "no class" not in fields(refund)["error code"].meaning


@pytest.mark.parametrize(
    ("item", "detail"),
    [("20 07", {"item": 7, "flags": ["negative vend"]}), ("FF FF", {"item": None, "flags": []})],
)
def test_a_cash_sale_gives_item_and_flags_to_scripts(item: str, detail: object) -> None:
    request = exchange("cashless", f"13 05 00 64 {item}", "ACK").request
    assert fields(request)["item number"].detail == detail


def test_digits_that_are_no_bcd_are_an_error_and_stay_visible() -> None:
    explanation = exchange("cashless", "17 03 26 11 2A 00 30 15 07 47 00 FF", "ACK")
    assert fields(explanation.request)["day"].raw == "2A"
    assert any("day 2A is not BCD" in error for error in explanation.errors)


def test_a_selection_request_of_the_known_length_is_read_field_by_field() -> None:
    answer = exchange("cashless", "12", "14 00 10 00 00 00 01 00 00 00 00 05").response
    assert fields(answer)["item number"].raw == 5
    assert fields(answer)["funds available"].raw == 16
    assert "data" in fields(exchange("cashless", "12", "14 00").response)


@pytest.mark.parametrize(
    ("address", "name"), [("58", "hopper"), ("68", "age verification"), ("40", "satellite")]
)
def test_a_device_that_is_not_decoded_is_named(address: str, name: str) -> None:
    explanation = exchange("changer", address, "ACK")
    assert name in told(explanation.request).direction


def test_the_undefined_code_some_validators_send_says_what_it_means_there() -> None:
    item = fields(exchange("bill", "33", "14").response)["item"]
    assert "not accepted or not recognised" in item.meaning


@pytest.mark.parametrize(
    ("device", "request_", "error"),
    [
        ("cashless", "99", "address 98 is reserved: no device of the standard has it, not a card"),
        ("cashless", "19", "address 18 is the communications gateway, not a card reader (10 or"),
        ("changer", "00", "address 00 is the VMC itself, not a changer (08)"),
        ("bill", "20", "address 20 is the display, not a bill validator (30)"),
        ("bill", "F1", "address F0 is the machine's own device 1, not a bill validator (30)"),
    ],
)
def test_what_a_stranger_answers_is_not_read_as_one_of_ours(
    device: str, request_: str, error: str
) -> None:
    for answer, words in (
        ("ACK", "ACK: received; more is not known"),
        ("NAK", "NAK: saw a bad checksum; more is not known"),
        ("05 00 64", "an answer of a device this decoder does not know"),
    ):
        explanation = exchange(device, request_, answer)
        assert told(explanation.request).errors[0].startswith(error)
        response = told(explanation.response)
        assert [part.fields[0].meaning for part in response.parts[:1]] == [words]
        assert not any(word in response.direction for word in ("changer", "reader", "VMC to"))


@pytest.mark.parametrize(
    ("request_", "answer", "note"),
    [
        ("13 00 00 64 00 01", "03 00 64",
         "BEGIN SESSION does not answer VEND REQUEST but a later POLL: late, or another device's"),
        ("14 01", "05 00 64",
         ("VEND APPROVED does not answer READER ENABLE but VEND REQUEST, NEGATIVE VEND REQUEST "
         "or a later POLL: late, or another device's")),
        ("10", "07", ("END SESSION does not answer RESET but SESSION COMPLETE or a later POLL: "
                     "late, or another device's")),
    ],
)  # fmt: skip
def test_an_answer_that_cannot_belong_is_said_to_be_none(
    request_: str, answer: str, note: str
) -> None:
    assert told(exchange("cashless", request_, answer).response).notes == (note,)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [("12", "05 00 64"), ("13 00 00 64 00 01", "05 00 64"), ("13 01", "06"), ("13 04", "07"),
     ("14 02", "08"), ("13 00 00 64 00 01", "0B"), ("10", "00"), ("13 02 00 01", "04")],
)  # fmt: skip
def test_an_answer_that_may_belong_needs_no_words(request_: str, answer: str) -> None:
    assert told(exchange("cashless", request_, answer).response).notes == ()
