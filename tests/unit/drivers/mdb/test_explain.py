"""Every byte of an exchange in words."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.explanation import Field
from drivers.mdb.blocks import BlockFault, MdbBlockError, build_block
from drivers.mdb.explain import (
    BlockExplanation,
    Device,
    Explanation,
    explain,
    parse_hex,
    render,
)
from drivers.mdb.money import Scale


def exchange(
    device: str, request: str | None, response: str | None = None, **options: object
) -> Explanation:
    """Explain an exchange written as the standard prints it."""
    return explain(
        device,
        None if request is None else parse_hex(request),
        None if response is None else parse_hex(response),
        **options,  # type: ignore[arg-type]  # passed on as given
    )


def answer(explanation: Explanation) -> BlockExplanation:
    assert explanation.response is not None
    return explanation.response


def fields(block: BlockExplanation | None) -> dict[str, Field]:
    assert block is not None
    return {field.name: field for part in block.parts for field in part.fields}


def words(block: BlockExplanation | None) -> str:
    assert block is not None
    return " | ".join(field.meaning for part in block.parts for field in part.fields)


# ------------------------------------------------------------------------------- money


def test_a_changers_setup_states_its_coins_in_money() -> None:
    setup = "03 18 26 05 02 00 17 01 02 FF 00 14 56"
    coins = fields(answer(exchange("changer", "09 09", setup)))
    assert coins["coin type 0"].scaled == "0.05 GBP"
    assert coins["coin type 4"].scaled == "1.00 GBP"
    assert (coins["coin type 2"].meaning, coins["coin type 2"].scaled) == ("vend token", None)
    assert coins["coin type 3"].meaning == "unused"
    assert coins["coin type 0"].raw == 1


def test_a_validators_setup_states_its_bills_in_money() -> None:
    block = "01 19 78 01 F4 02 02 58 FF FF FF 01 02 04 0A F1"
    bills = fields(answer(exchange("bill", "31 31", block)))
    assert bills["bill type 3"].scaled == "50.00 EUR"


def test_a_readers_config_states_its_smallest_amount() -> None:
    explanation = exchange("cashless", "12 12", "01 03 19 78 05 02 14 09 B9")
    assert answer(explanation).notes == ("one unit is 0.05 EUR",)


@pytest.mark.parametrize(
    ("device", "request_", "response", "field", "scaled"),
    [
        ("changer", "0F 02 1B 2C", None, "value to pay", "1.35 GBP"),
        ("changer", "0F 04 13", "04 04", "value since the last poll", "0.20 GBP"),
        ("bill", "37 09 40", "00 02 02", "value since the last poll", "0.10 GBP"),
        ("cashless", "13 00 00 78 00 07 92", None, "price", "6.00 GBP"),
        ("cashless", "12 12", "05 00 78 7D", "amount taken", "6.00 GBP"),
        ("cashless", "12 12", "05 FF FF 03", "amount taken", None),
        ("cashless", "12 12", "03 07 D0 DA", "funds available", "100.00 GBP"),
        ("cashless", "15 01 16", "0F 03 20 32", "limit", "40.00 GBP"),
        ("cashless", "11 01 FF FF 00 50 60", None, "lowest price", "4.00 GBP"),
        ("cashless", "11 01 FF FF 00 50 60", None, "highest price", None),
    ],
)
def test_a_given_scale_states_every_amount_in_money(
    device: str, request_: str, response: str | None, field: str, scaled: str | None
) -> None:
    explanation = exchange(device, request_, response, scale=Scale(5, 2), currency="GBP")
    assert explanation.errors == ()
    block = explanation.response if response else explanation.request
    assert fields(block)[field].scaled == scaled


def test_without_a_scale_amounts_are_raw_only() -> None:
    field = fields(exchange("changer", "0F 02 1B 2C").request)["value to pay"]
    assert (field.raw, field.scaled) == (27, None)


def test_a_scaling_factor_of_zero_is_an_error_and_the_rest_is_read() -> None:
    explanation = exchange("changer", "09 09", "03 18 26 00 02 00 17 01 5B")
    assert "scaling factor 0" in explanation.errors[0]
    assert fields(explanation.response)["coin type 0"].scaled is None


# ----------------------------------------------------------------- packed fields, details


def test_packed_fields_are_taken_apart_for_programs() -> None:
    (item,) = [
        field
        for field in answer(exchange("changer", None, "52 20 72")).parts[0].fields
        if field.name == "item"
    ]
    assert item.detail == {"coin_type": 2, "route": "tube", "credit": True}
    mask = fields(exchange("changer", "0C 00 05 00 00 11").request)["accept mask"]
    assert (mask.raw, mask.detail) == (5, {"types": [0, 2]})


def test_the_whole_explanation_is_json() -> None:
    explanation = exchange(
        "cashless", "12 12", "03 00 00 07 D0 00 12 34 56 00 00 00 65 6E 19 78 02 DC"
    )
    tree = json.loads(json.dumps(explanation.to_dict()))
    assert tree["device"] == "cashless"
    assert tree["errors"] == []
    names = [field["name"] for part in tree["response"]["parts"] for field in part["fields"]]
    assert names == [
        "message", "funds available", "payment media id", "payment type", "payment data",
        "language", "currency", "card options", "checksum",
    ]  # fmt: skip
    assert tree["response"]["parts"][0]["fields"][1] == {
        "offset": 1, "bytes": "00 00 07 D0", "name": "funds available", "raw": 2000,
        "meaning": "2000 scaling factors", "scaled": None, "detail": None,
    }  # fmt: skip


# --------------------------------------------------------------------- what goes wrong


def test_a_wrong_checksum_says_expected_and_actual_and_still_reads() -> None:
    explanation = exchange("changer", "0B 0B", "42 07 4A")
    assert explanation.errors == ("response: wrong checksum: 4A, the bytes before it add up to 49",)
    found = fields(explanation.response)
    assert found["tube count"].raw == 7
    assert found["checksum"].meaning == "wrong: expected 49"
    assert "--no-checksum" in answer(explanation).notes[0]


@pytest.mark.parametrize(
    ("device", "request_", "response", "error", "read"),
    [
        ("changer", "0B 0B", "53 08 42 9D", "tube count has 1 byte, 0 left", "coin of type 3"),
        ("changer", "09 09", "03 18 26 41", "scaling factor has 1 byte", "GBP"),
        ("changer", "0F 05 14", "06 00 11 17", "diagnostic code has 2 bytes, 1 left", "inhibited"),
        ("changer", "0A 0A", "00 00", "full mask has 2 bytes, 1 left", "cut short"),
        ("changer", "0F 04 13", "00 00 00", "more bytes than this message has", "nothing since"),
        ("changer", "0C 00 3F 00 00 4B", "0B 0B", "data where only an ACK belongs", "just reset"),
        ("changer", "0F 01 00 00 00 03 13", "0B 0B", "only an ACK belongs", "just reset"),
        ("bill", "34 00 0F 00 0E 51", "81 81", "data where only an ACK belongs", "stacked"),
        ("bill", "37 01 00 00 00 02 3A", "81 81", "data where only an ACK belongs", "stacked"),
        ("bill", "36 36", "25 25", "bills in the stacker has 2 bytes", "cut short"),
        ("bill", "37 08 3F", "00 01 02 03", "type 1 has 2 bytes", "1 bill paid"),
        ("cashless", "12 12", "04 05 00 09", "amount taken has 2 bytes, 1 left", "asks to end"),
        ("cashless", "12 12", "07 1A 01 22", "unknown message code 1A", "the session is over"),
        (
            "cashless",
            "12 12",
            "05 00 78 00 7D",
            "a 00 behind another message",
            "120 scaling factors",
        ),
        ("cashless", "12 12", "1B 00 1B", "source has 1 byte", "FTL REQ TO RCV"),
        ("changer", "0B 0B", "1B 08 00 23", "file id has 1 byte", "FTL REQ TO RCV"),
        ("changer", "0A 0A", "00*", "an ACK alone where data is owed", "ACK"),
        ("bill", "31 31", "00*", "an ACK alone where data is owed", "ACK"),
        ("changer", "0B 0B", "AA", "RET may be sent by the VMC only", "RET"),
        ("changer", "0B 0B", "07", "neither ACK, NAK nor a data block", "taken for RET"),
        ("changer", "0B 0B", "81", "neither ACK, NAK nor a data block", "81 alone"),
    ],
)
def test_a_broken_answer_is_an_error_beside_what_could_be_read(
    device: str, request_: str, response: str, error: str, read: str
) -> None:
    explanation = exchange(device, request_, response)
    assert any(error in text for text in explanation.errors), explanation.errors
    assert read in words(explanation.response)


@pytest.mark.parametrize(
    ("device", "block", "error"),
    [
        ("changer", "0E 0E", "0E is not used"),
        ("changer", "0F 0F", "sub-command has 1 byte, 0 left"),
        ("changer", "0F 08 17", "unknown EXPANSION sub-command 08"),
        ("changer", "0F 08 01 18", "data of an unknown command"),
        ("changer", "0D 0D", "coins to pay has 1 byte, 0 left"),
        ("changer", "0D 03 10", "DISPENSE of no coins"),
        ("changer", "0F 02 00 11", "PAYOUT of nothing"),
        ("changer", "0B 00 0B", "more bytes than this message has"),
        ("changer", "0B", "cut short: no checksum"),
        ("changer", "18 18", "address 18 is the communications gateway, not a changer (08)"),
        ("changer", "33 33", "address 30 is the bill validator, not a changer (08)"),
        ("bill", "37 0B 42", "unknown EXPANSION sub-command 0B"),
        ("bill", "37 06 01 00 00 3E", "a payout of nothing"),
        ("bill", "37 07 00 00 3E", "a payout of nothing"),
        ("cashless", "16 16", "16 is not used"),
        ("cashless", "13 07 1A", "of version 4.3, is not defined"),
        ("cashless", "17 05 1C", "sub-command 05 is not defined"),
        ("cashless", "17 03 2A 44", "month has 1 byte, 0 left"),
        ("cashless", "13 00 00 13", "price has 2 bytes, 1 left"),
    ],
)
def test_a_broken_request_is_an_error(device: str, block: str, error: str) -> None:
    explanation = exchange(device, block)
    assert any(error in text for text in explanation.errors), explanation.errors


def test_a_block_longer_than_36_bytes_is_an_error() -> None:
    explanation = explain("changer", None, bytes(40))
    assert "40 bytes, a block has 36 at most" in explanation.errors[0]


def test_a_request_for_another_device_is_read_as_what_it_is() -> None:
    explanation = exchange("changer", "33 33", "91 91")
    assert explanation.request is not None
    assert explanation.request.name == "POLL"
    assert "in escrow" in words(explanation.response)


@pytest.mark.parametrize(
    ("device", "level", "block", "note"),
    [
        ("changer", 2, "0F 00 0F", "below level 3 has no EXPANSION"),
        ("bill", 1, "37 03 3A", "knows no EXPANSION but 00"),
    ],
)
def test_a_command_above_the_level_is_noted(device: str, level: int, block: str, note: str) -> None:
    explanation = exchange(device, block, level=level)
    assert explanation.request is not None
    assert note in explanation.request.notes[0]
    fitting = exchange(device, block, level=level + 1)
    assert fitting.request is not None
    assert fitting.request.notes == ()


# ------------------------------------------------------------------------ lone bytes


@pytest.mark.parametrize(
    ("block", "name", "meaning"),
    [
        ("00", "ACK", "the VMC has received the data"),
        ("FF", "NAK", "the VMC saw a bad checksum"),
        ("AA", "RET", "the VMC wants the last data block again"),
    ],
)
@pytest.mark.parametrize("device", list(Device))
def test_a_lone_byte_of_the_vmc_is_a_control_byte(
    device: Device, block: str, name: str, meaning: str
) -> None:
    explanation = exchange(device, block)
    assert explanation.request is not None
    assert explanation.request.name == name
    assert meaning in words(explanation.request)
    assert explanation.errors == ()


def test_a_lone_nak_of_a_peripheral_is_no_error_of_ours() -> None:
    explanation = exchange("changer", "0B 0B", "FF")
    assert answer(explanation).name == "NAK"
    assert explanation.errors == ()


def test_without_a_request_the_response_is_a_poll_answer() -> None:
    assert answer(exchange("bill", None, "91 91")).name == "POLL answer"
    assert answer(exchange("changer", None, "00")).meaning.startswith("nothing to report")
    assert answer(exchange("cashless", None, "06 04 0A")).name == (
        "VEND DENIED, SESSION CANCEL REQUEST"
    )


# --------------------------------------------------------------------- no checksums


@pytest.mark.parametrize(
    ("device", "request_", "response", "meaning"),
    [
        ("changer", "0B", "5220", "coin of type 2 to its tube"),
        ("changer", "0B", "0B", "just reset"),
        ("changer", "0B", "00", "nothing to report"),
        ("changer", "0F04", "00", "still running"),
        ("changer", "0F03", "00", "0 coins paid"),
        ("changer", "0B", "FF", "NAK"),
        ("bill", "33", "AA", "bill of type 10 returned"),
        ("bill", "3708", "00", "nothing was paid"),
        ("bill", "33", "00", "nothing to report"),
        ("cashless", "12", "00", "JUST RESET"),
        ("cashless", "13000078 0007", "05 0078", "120 scaling factors"),
    ],
)
def test_adapters_that_drop_checksums_are_understood(
    device: str, request_: str, response: str, meaning: str
) -> None:
    explanation = exchange(device, request_, response, checksum=False)
    assert explanation.errors == ()
    assert meaning in words(explanation.response)


def test_a_lone_00_without_checksums_tells_both_readings() -> None:
    note = answer(exchange("changer", "0F03", "00", checksum=False)).notes[0]
    assert "as an ACK it would mean: busy" in note
    assert answer(exchange("changer", "0B", "0B", checksum=False)).notes == ()


# ------------------------------------------------------------------- levels and modes


def test_the_level_decides_between_two_cuts() -> None:
    block = "0B 04 0F"
    assert answer(exchange("cashless", "12 12", block, level=2)).name == "COMMAND OUT OF SEQUENCE"
    assert answer(exchange("cashless", "12 12", block, level=1)).name == (
        "COMMAND OUT OF SEQUENCE, SESSION CANCEL REQUEST"
    )


def test_the_expanded_mode_decides_between_two_cuts() -> None:
    block = "05 00 8C 0A 30 CB"
    assert answer(exchange("cashless", "12 12", block)).name == "VEND APPROVED, MALFUNCTION / ERROR"
    expanded = answer(exchange("cashless", "12 12", block, expanded=True))
    assert fields(expanded)["amount taken"].raw == 0x8C0A30


def test_other_lengths_than_those_in_use_are_noted() -> None:
    explanation = exchange("cashless", "12 12", "05 00 00 00 78 7D", level=2)
    assert explanation.errors == ()
    assert "other lengths" in answer(explanation).notes[0]


@pytest.mark.parametrize(
    ("kind", "data", "meaning"),
    [
        ("01", "05 02", "user group 5, price list 2"),
        ("02", "05 02", "user group 5, discount group 2"),
        ("03", "00 19", "discount 25 %"),
        ("04", "00 05", "surcharge 5 %"),
        ("C5", "01 02", "undefined kind 5, free-vend card, test media | 01 02"),
    ],
)
def test_the_payment_type_is_told_in_words(kind: str, data: str, meaning: str) -> None:
    payload = parse_hex(f"03 07 D0 FF FF FF FF {kind} {data}")
    explanation = explain("cashless", None, build_block(payload))
    assert "unknown" in words(explanation.response)
    assert meaning in words(explanation.response)


# ------------------------------------------------------------------------------ hex


@pytest.mark.parametrize(
    "text",
    ["0B* 0B", "0b0b", "0x0B 0x0B", "0x0B,0x0B", "0B:0B", "0B-0B", " 0B\t0B\n", "0X0B0b*"],
)
def test_pasted_bytes_are_read_in_every_usual_form(text: str) -> None:
    assert parse_hex(text) == b"\x0b\x0b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0B 0G", "'G' at position 5 is no hexadecimal digit"),
        ("0B B", "'B' at position 4 is one"),
        ("0B 1 2", "'1' at position 4 is one"),
        ("x", "'x' at position 1"),
        ("0B ACK", "'K' at position 6"),
    ],
)
def test_a_bad_character_is_named_with_its_position(text: str, message: str) -> None:
    with pytest.raises(MdbBlockError, match=message) as caught:
        parse_hex(text)
    assert caught.value.reason is BlockFault.BAD_HEX


def test_nothing_to_explain_is_an_error() -> None:
    with pytest.raises(MdbBlockError) as caught:
        explain("changer", None, None)
    assert caught.value.reason is BlockFault.EMPTY


def test_an_unknown_device_is_an_error_that_names_the_choices() -> None:
    with pytest.raises(MdbBlockError, match="changer, bill, cashless"):
        explain("toaster", b"\x0b", None)


# ------------------------------------------------------------------------------ render


def test_people_get_aligned_columns() -> None:
    assert render(exchange("changer", "0B* 0B", "52 20 45 00 B7*")) == [
        "request: VMC to coin changer: POLL",
        "  0B  address   coin changer (08), command 3: POLL",
        "  0B  checksum  correct",
        "",
        "response: coin changer to VMC: POLL answer",
        "  1. coin deposited (credit)",
        "  52  item        coin of type 2 to its tube: credit",
        "  20  tube count  32 coins in that tube now",
        "  2. coin deposited (credit)",
        "  45  item        coin of type 5 to the cash box: credit",
        "  00  tube count  0 coins in that tube now",
        "  B7  checksum    correct",
    ]


def test_long_fields_go_on_in_the_next_line() -> None:
    block = build_block(b"\xff" + bytes(range(1, 12)))
    lines = render(explain("cashless", None, block))
    assert "  01 02 03 04 05 06 07 08  data      defined by the manufacturer" in lines
    assert "  09 0A 0B" in lines


def test_errors_and_notes_come_last() -> None:
    lines = render(exchange("changer", None, "42 07 4A"))
    assert lines[-2].startswith("  error: wrong checksum: 4A")
    assert lines[-1].startswith("  note: ")


# -------------------------------------------------------------------------- any bytes

blocks = st.one_of(
    st.none(),
    st.binary(max_size=40),
    st.binary(min_size=1, max_size=35).map(build_block),
    st.builds(
        lambda first, rest: build_block(bytes((first,)) + rest),
        st.sampled_from([*range(0x08, 0x18), *range(0x30, 0x38), *range(0x60, 0x68)]),
        st.binary(max_size=34),
    ),
    st.builds(
        lambda first, sub, rest: build_block(bytes((first, sub)) + rest),
        st.sampled_from([0x0F, 0x37, 0x11, 0x13, 0x14, 0x15, 0x17]),
        st.one_of(st.integers(0, 0x0B), st.integers(0xF9, 0xFF)),
        st.binary(max_size=33),
    ),
)


@given(
    st.sampled_from(Device),
    blocks,
    blocks,
    st.sampled_from([None, 1, 2, 3]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, Scale(5, 2)]),
)
def test_any_bytes_are_explained_each_exactly_once(
    device: Device,
    request_: bytes | None,
    response: bytes | None,
    level: int | None,
    expanded: bool,
    checksum: bool,
    scale: Scale | None,
) -> None:
    if not request_ and not response:
        return
    explanation = explain(
        device, request_, response, level=level, expanded=expanded, checksum=checksum, scale=scale
    )
    for block, given_ in ((explanation.request, request_), (explanation.response, response)):
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
                covered += parse_hex(field.bytes)
        assert covered == given_
    json.dumps(explanation.to_dict())
    assert render(explanation)


def test_a_full_tube_whose_count_was_not_sent_is_noted_as_defective() -> None:
    notes = answer(exchange("changer", "0A 0A", "00 02 05 07")).notes
    assert notes == ("tube of type 1 is full without coins: defective",)
    notes = answer(exchange("bill", "37 05 3C", "00 02 00 05 07")).notes
    assert notes == ("type 1 is full without bills: defective",)


def test_tubes_at_the_cap_and_defective_tubes_are_told_apart() -> None:
    block = build_block(bytes.fromhex("00 02 FF 00"))
    told = words(explain("changer", parse_hex("0A 0A"), block).response)
    assert "255 coins or more | 0 coins in a full tube: defective" in told


@pytest.mark.parametrize(
    ("escrow", "meaning"), [("00", "no escrow"), ("01", "has escrow (the standard's yes is FF)")]
)
def test_the_escrow_byte_is_told_in_words(escrow: str, meaning: str) -> None:
    block = build_block(parse_hex(f"01 19 78 00 00 02 02 58 FF FF {escrow} 01"))
    explanation = explain("bill", parse_hex("31 31"), block)
    assert meaning in words(explanation.response)
    assert "scaling factor 0" in explanation.errors[0]


def test_a_reader_config_that_states_no_money_is_an_error() -> None:
    block = build_block(parse_hex("01 83 FF FF 00 02 14 00"))
    explanation = explain("cashless", None, block)
    assert "scaling factor 0" in explanation.errors[0]
    assert "level 3, battery-operated variant | unknown currency" in words(explanation.response)


@pytest.mark.parametrize(
    ("file_id", "meaning"), [("00", "manufacturer information"), ("22", "file 22")]
)
def test_file_ids_are_told_in_words(file_id: str, meaning: str) -> None:
    block = build_block(parse_hex(f"0F FA 08 00 {file_id} 01 00"))
    assert meaning in words(explain("changer", block, None).request)
