"""What the data of each command says, header by header."""

import pytest

from drivers.cctalk.explain import TALKS, Explanation, Kind, explain
from drivers.cctalk.frames import Frame, encode_frame
from drivers.cctalk.headers import Header

H = bytes.fromhex
ADDRESSES = {Kind.COIN: 2, Kind.HOPPER: 3, Kind.BILL: 40, Kind.CHANGER: 55, Kind.ESCROW: 160}


def ask(header: int, request: str, answer: str | None, kind: Kind) -> Explanation:
    address = ADDRESSES[kind]
    sent = encode_frame(Frame(address, 1, header, H(request)))
    reply = None if answer is None else encode_frame(Frame(1, address, 0, H(answer)))
    return explain(sent, reply)


def told(explanation: Explanation) -> str:
    blocks = [block for block in (explanation.request, explanation.response) if block]
    return " | ".join(
        text
        for block in blocks
        for text in (
            *(f"{field.name}: {field.meaning}" for part in block.parts for field in part.fields),
            *block.notes,
        )
    )


C, B, P, N, E = Kind.COIN, Kind.BILL, Kind.HOPPER, Kind.CHANGER, Kind.ESCROW


@pytest.mark.parametrize(
    ("header", "request_", "answer", "kind", "words"),
    [
        (249, "", "02 14", C, "value: poll every 200 ms"),
        (249, "", "00 FF", C, "value: by a hardware line"),
        (248, "", "01", C, "status: coin return mechanism activated: flight deck open"),
        (247, "", "10 01", B, "bill types: 16 | banks: 1"),
        (247, "", "64 32 14 00", P, "variables: defined by the product"),
        (246, "", "49 54 4C", B, "manufacturer: 'ITL': Innovative Technology"),
        (246, "", "41 63 6D 65", C, "manufacturer: 'Acme'"),
        (245, "", "43 6F 69 6E 20 41 63 63 65 70 74 6F 72", C, "category: 'Coin Acceptor'"),
        (245, "", "54 6F 61 73 74 65 72", C, "no category of the specification"),
        (244, "", "53 43 48 32", P, "product code: 'SCH2'"),
        (240, "03", "", C, "solenoids: b0 accept gate, b1 sorter 1"),
        (236, "", "05", C, "blocked optos: b0 opto 1, b2 opto 3"),
        (230, "", "FF 00", C, "coin positions 1, 2, 3, 4, 5, 6, 7, 8 enabled"),
        (227, "", "01", B, "master inhibit: normal operation"),
        (226, "", "10 27 00", C, "count: 10000"),
        (218, "01 02 03 04", "", P, "PIN: four digits of a PIN"),
        (216, "", "02 00 08 01 08", C, "memory type: permanent, limited use | read blocks: 256"),
        (216, "", "00 00 00 00 00", C, "bytes per read block: none: there is no such storage"),
        (4, "", "01 04 07", P, "release: 1 | issue: 4 | minor issue: 7"),
        (4, "", "31 33 32 2D 49 54", P, "revision: '132-IT'"),
        (213, "", "01", C, "options: b0 credit codes are values (CVF)"),
        (213, "", "17", B, "b0 stacker, b1 escrow, b2 accept counters per bill, b4 non-volatile"),
        (212, "05", "10 00", C, "coin position 5 have this code"),
        (211, "01", "", C, "power: low"),
        (209, "03", "01 02 03 04", C, "primary path: where the coin goes | fall-back path"),
        (202, "03 01", "", B, "orientation: 1"),
        (201, "00", "03 FE", C, "status: busy"),
        (197, "", "DE AD BE EF", C, "ROM checksum: for the maker to compare"),
        (196, "", "35 0E", C, "date: day 21, month 1, 7 years after the base year"),
        (185, "05 45 55 31 30 30 41", "", C, "coin id: EU, value 100, issue A"),
        (183, "00 01 02", "", C, "operation: program"),
        (181, "03 00", "", C, "setting: default"),
        (180, "03", "02", C, "setting: stricter by 2"),
        (180, "03", "FE", C, "setting: laxer by 2"),
        (176, "", "03", C, "alarms: since the last read"),
        (173, "", "E7", P, "temperature: -25 degrees C"),
        (170, "", "32 30 30 30", C, "base year: '2000'"),
        (169, "", "44", P, "b2 in EEPROM, b6 changed by command until reset"),
        (162, "07 00 FF 01 00 FF", "", C, "current inhibit mask: coin positions 1, 2, 3 enabled"),
        (151, "01 0A", "", B, "control: flash, 100 ms"),
        (135, "00", "", C, "limit: off"),
        (135, "05", "", C, "limit: inhibits itself after 5 coins"),
        (156, "58 58", "00 00 00", B, "scaling factor: country unknown"),
        (156, "47 42", "64 00 02", B, "an id of value 1 is 1.00 main units"),
        (155, "45 55", "0F 00", B, "bill positions 1, 2, 3, 4 of this country"),
        (147, "", "FE", B, "result: stacker fault"),
        (146, "01 01 00", "", B, "direction: forward | speed: default"),
        (145, "", "55 6E 6B 6E 6F 77 6E", B, "currency revision: 'Unknown'"),
        (129, "", "31 32 33", B, "barcode: '123'"),
        (208, "10 27", "", P, "coins: 10000"),
        (208, "01 10 27", "", P, "hopper: 1 | coins: 10000"),
        (207, "", "10 27", P, "coins: 10000"),
        (171, "", "2E 2E 2E 2E 2E 2E", P, "coin id: empty position"),
        (163, "", "00 02", P, "register 2: b1 single-coin payout mode"),
        (133, "", "06 00 00 C8 00 00 00", P, "last payout: value paid: in the smallest unit"),
        (131, "01", "45 55 31 30 30 41 64 00", P, "coin value: in the smallest unit"),
        (130, "01", "39 30 00", P, "count: 12345"),
        (128, "", "64 00 00 00", N, "money in: in the smallest unit"),
        (125, "64 00 00 00", "", N, "value to pay: in the smallest unit"),
        (124, "", "03 64 00 00 00 00 00 00 00", N, "payouts completed: 3"),
        (123, "", "04 08", N, "register 1: b2 money in | register 2: b3 exit cup full"),
        (122, "", "02 01", N, "device: hopper 2 | fault: empty"),
        (122, "", "64 65", N, "device: acceptor | fault: acceptor fault 1"),
        (121, "FF 00", "", N, "hopper: all | coins: all"),
        (120, "01 0A 00", "", N, "hopper: 1 | coins: 10"),
        (119, "01", "45 55 31 30 30 41 0A 00", N, "coins: 10"),
        (115, "", "00 00 00 60", N, "seconds since 1970"),
        (114, "", "34 12 78 56", C, "vendor: 1234 | product: 5678"),
        (113, "01 05", "", C, "operation: switch | speed: 115200 baud"),
        (111, "AA 55 00 00 55 AA", "00 00" + " 00" * 15, B, "protocol level: plain"),
        (107, "01", "", E, "action: return the coins"),
        (106, "", "01 05 00", E, "status: operating"),
        (104, "00", "02", N, "service: overdue"),
        (4, "", "01 04 07", C, "release: 1 | issue: 4 | minor issue: 7"),
        (2, "", "01 02 03", C, "receive time-outs: 1 | receive bytes ignored: 2"),
        (235, "", "05", C, "until 4.6 the last credit or error"),
        (232, "", "23 02", C, "fault code: dual coin entry | extra information: token"),
        (166, "", "00 00 01 02", P, "the power failed during that payout"),
        (42, "01 02", "", C, "request data: a command that is not defined"),
    ],
)
def test_the_data_is_told(
    header: int, request_: str, answer: str | None, kind: Kind, words: str
) -> None:
    explanation = ask(header, request_, answer, kind)
    assert explanation.errors == ()
    assert words in told(explanation)


@pytest.mark.parametrize("header", [h for h in Header if h not in (253, 252)])
def test_an_answer_that_breaks_off_is_an_error_and_never_an_exception(header: Header) -> None:
    for size in range(12):
        sent = encode_frame(Frame(40, 1, header, bytes(range(size))))
        reply = encode_frame(Frame(1, 40, 0, bytes(range(size))))
        assert explain(sent, reply).request is not None
    if TALKS[header].answer is not None and TALKS[header].ack is None:
        bare = encode_frame(Frame(1, 40, 0))
        assert "where data is owed" in explain(encode_frame(Frame(40, 1, header)), bare).errors[-1]


def test_busy_and_nak_are_told() -> None:
    sent = encode_frame(Frame(3, 1, Header.DISPENSE_HOPPER_COINS, H("01 02 03 01")))
    busy = explain(sent, encode_frame(Frame(1, 3, 6)))
    assert "BUSY: ask again later" in told(busy)
    nak = explain(sent, encode_frame(Frame(1, 3, 5)))
    assert "nothing was paid; header 163 tells why" in told(nak)
    odd = explain(sent, encode_frame(Frame(1, 3, 5, b"\1")))
    assert "response: NAK and BUSY carry no data" in odd.errors


def test_a_reply_alone_without_meaning_is_shown_raw() -> None:
    alone = explain(None, encode_frame(Frame(1, 77, 0, b"\1\2")))
    assert "what was asked is not known" in told(alone)
    assert explain(None, encode_frame(Frame(1, 77, 0))).errors == ()
