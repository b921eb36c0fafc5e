"""The standard's own exchanges, request and answer, in words."""

import pytest

from drivers.mdb.explain import BlockExplanation, explain, parse_hex


def words(block: BlockExplanation | None) -> str:
    assert block is not None
    return " | ".join(field.meaning for part in block.parts for field in part.fields)


# Every exchange that the standard's sequences show, with what its answer must say.
EXCHANGES = [
    ("changer", "08* 08", "00*", "accepted; JUST RESET follows"),
    ("changer", "0B* 0B", "0B 0B*", "just reset"),
    ("changer", "0B* 0B", "00*", "nothing to report"),
    ("changer", "09* 09",
     "03 18 26 05 02 00 17 01 02 04 0A 14 28 00 00 00 00 00 00 00 00 00 00 AC*",
     "GBP | every value is a multiple of 5 | 2 | types 0, 1, 2, 4 can go to a tube"),
    ("changer", "0F* 00 0F",
     ("58 59 5A 41 30 30 30 30 30 30 30 34 37 31 31 43 48 47 2D 34 20 20 20 20 20 20 20 01 23 "
     "00 00 00 03 A3*"),
     "'XYZ' | 'A00000004711' | 'CHG-4' | 1.23 | b0 alternative payout, b1 extended diagnostics"),
    ("changer", "0F* 01 00 00 00 03 13", "00*", "accepted"),
    ("changer", "0F* 05 14", "06 00 06*", "inhibited by the VMC"),
    ("changer", "0A* 0A", "00 02 0C 3E 1F 00 09 74*", "12 coins | 62 coins, tube full | 31 coins"),
    ("changer", "0C* 00 3F 00 00 4B", "00*", "accepted"),
    ("changer", "0B* 0B", "52 20 45 00 B7*",
     ("coin of type 2 to its tube: credit | 32 coins in that tube now | "
     "coin of type 5 to the cash box: credit")),
    ("changer", "0B* 0B", "42 07 49*", "coin of type 2 to the cash box: credit"),
    ("changer", "0B* 0B", "71 05 76*", "rejected, back to the customer: no credit"),
    ("changer", "0B* 0B", "91 04 95*", "1 coin of type 1 let out by hand | 4 coins left"),
    ("changer", "0B* 0B", "23 23*", "3 slugs"),
    ("changer", "0B* 0B", "0E 0E*", "undefined status code 0E, skipped"),
    ("changer", "0D* 30 3D", "00*", "the payout begins"),
    ("changer", "0B* 0B", "02 02*", "payout busy"),
    ("changer", "0F* 02 1B 2C", "00*", "the payout begins"),
    ("changer", "0F* 04 13", "04 04*", "4 scaling factors"),
    ("changer", "0F* 04 13", "00 00*", "nothing since the last poll, still running"),
    ("changer", "0F* 04 13", "00*", "finished"),
    ("changer", "0F* 03 12", "01 01 01 00 01 04*",
     "1 coin paid | 1 coin paid | 1 coin paid | 0 coins paid | 1 coin paid"),
    ("changer", "0F* 03 12", "00*", "busy: the payout still runs"),
    ("changer", "0F* 03 12", "00 00*", "0 coins paid"),
    ("changer", "0F* 06 15", "05 02 07*", "5 coins filled in | 2 coins filled in"),
    ("changer", "0F* 07 16", "01 01*", "1 coin paid out"),
    ("changer", "0F* 06 15", "00*", "no counts reported"),
    ("changer", "0F* FB 08 00 00 12", "00*", "accepted"),
    ("changer", "0B* 0B", "1F 00 08 01 07 00 2F*", "REQ TO SEND | VMC | coin changer | EVA-DTS"),
    ("changer", "0F* FF 01 0F", "42 43 85*", "defined by the manufacturer"),
    ("bill", "30* 30", "00*", "accepted; JUST RESET follows"),
    ("bill", "33* 33", "06 06*", "just reset"),
    ("bill", "33* 33", "06 09 0F*", "just reset: the validator must be initialised | validator"),
    ("bill", "31* 31", "01 19 78 01 F4 02 02 58 FF FF FF 01 02 04 0A F1*",
     "EUR | every value is a multiple of 500 | 2 | 600 bills | all types at high security | has"),
    ("bill", "32* 00 0C 3E", "00*", "accepted"),
    ("bill", "36* 36", "00 25 25*", "37 bills, not full"),
    ("bill", "36* 36", "82 58 DA*", "600 bills, full"),
    ("bill", "34* 00 0F 00 0E 51", "00*", "accepted"),
    ("bill", "33* 33", "91 91*", "in escrow: no credit yet"),
    ("bill", "35* 01 36", "00*", "the result follows by POLL"),
    ("bill", "33* 33", "81 81*", "bill of type 1 stacked in the cash box: credit"),
    ("bill", "33* 33", "43 22 14 79*",
     "3 attempts to insert a bill while disabled | dispenser payout busy | undefined code 14"),
    ("bill", "34* 00 00 00 00 34", "00*", "accepted"),
    ("bill", "37* 00 37", ("58 59 5A 41 30 30 30 30 30 30 30 34 37 31 31 43 48 47 2D 34 20 20 20 "
     "20 20 20 20 01 23 A0*"), "'CHG-4' | 1.23"),
    ("bill", "37* 01 00 00 00 02 3A", "00*", "accepted"),
    ("bill", "37* 02 39", ("58 59 5A 41 30 30 30 30 30 30 30 34 37 31 31 43 48 47 2D 34 20 20 20 "
     "20 20 20 20 01 23 00 00 00 02 A2*"), "b1 bill recycling"),
    ("bill", "37* 03 3A", "00 0B 0B*", "types 0, 1, 3 can be recycled"),
    ("bill", "37* 04 00 02 00 03 01 00 00 00 00 00 00 00 00 00 00 00 00 00 41", "00*", "accepted"),
    ("bill", "37* 05 3C", "00 05 00 00 00 07 01 2C 39*",
     "types 0, 2 full | no bills in a full recycler: defective | 7 bills | 300 bills, full"),
    ("bill", "37* 06 01 00 01 3F", "00*", "the payout begins"),
    ("bill", "37* 07 00 02 40", "00*", "the payout begins"),
    ("bill", "37* 09 40", "00 02 02*", "2 scaling factors"),
    ("bill", "37* 09 40", "00*", "finished"),
    ("bill", "37* 08 3F", "00 00 00 01 01*", "0 bills paid | 1 bill paid"),
    ("bill", "37* 08 3F", "00*", "busy: the payout still runs"),
    ("bill", "37* 08 3F", "00 00*", "nothing was paid"),
    ("bill", "37* 0A 41", "00*", "stops within 30 s"),
    ("bill", "37* FF 41 77", "42 42*", "defined by the manufacturer"),
    ("bill", "37* FD 30 00 64", "00*", "accepted"),
    ("bill", "33* 33", "1E 30 00 4E*", "FTL OK TO SEND | bill validator | VMC"),
    ("cashless", "10* 10", "00*", "accepted; JUST RESET follows"),
    ("cashless", "12* 12", "00 00*", "JUST RESET: the reader must be initialised"),
    ("cashless", "11* 00 03 14 02 01 2B", "00*", "READER CONFIG DATA is owed"),
    ("cashless", "12* 12", "01 03 19 78 01 02 14 09 B5*",
     "level 3 | EUR | every amount is a multiple of 1 | 2 | 20 s | b0 can refund, b3 wants cash"),
    ("cashless", "11* 01 01 F4 00 50 57", "00*", "accepted"),
    ("cashless", ("17* 00 56 4E 44 30 30 30 30 30 30 30 30 30 30 34 32 56 45 4E 44 44 20 20 20 20 "
     "20 20 20 00 01 97"), "00*", "PERIPHERAL ID is owed"),
    ("cashless", "12* 12",
     ("09 41 42 43 30 30 30 30 30 30 31 32 33 34 35 36 54 41 50 2D 31 20 20 20 20 20 20 20 02 10 "
     "00 00 00 28 81*"),
     "'ABC' | '000000123456' | 'TAP-1' | 2.10 | b3 negative vend, b5 always idle"),
    ("cashless", "17* 04 00 00 00 28 43", "00*", "accepted"),
    ("cashless", "14* 01 15", "00*", "accepted"),
    ("cashless", "12* 12", "03 00 00 07 D0 00 12 34 56 00 00 00 65 6E 19 78 02 DC*",
     "2000 scaling factors | 00123456 | normal prices | none | 'en' | EUR | b1 card can be refund"),
    ("cashless", "12* 12", "03 07 D0 00 12 34 56 00 00 00 76*", "2000 scaling factors | 00123456"),
    ("cashless", "12* 12", "03 FF FF 01*", "not yet determined, or not to be shown"),
    ("cashless", "13* 00 00 78 00 07 92", "00*", "VEND APPROVED or DENIED is owed"),
    ("cashless", "12* 12", "05 00 78 7D*", "120 scaling factors"),
    ("cashless", "12* 12", "05 FF FF 03*", "an electronic token was used"),
    ("cashless", "13* 02 00 07 1C", "00*", "accepted"),
    ("cashless", "13* 04 17", "00*", "END SESSION is owed"),
    ("cashless", "13* 04 17", "07 07*", "END SESSION: the session is over"),
    ("cashless", "13* 03 16", "00*", "poll for the outcome of the refund"),
    ("cashless", "12* 12", "0A C1 CB*", "refund error"),
    ("cashless", "12* 12", "06 0A 51 04 65*",
     ("VEND DENIED: nothing was taken | MALFUNCTION / ERROR | reader requires service (sub-code 1; "
     "class 2")),
    ("cashless", "15* 01 16", "0F 03 20 32*", "800 scaling factors"),
    ("cashless", "15* 00 00 C8 DD", "00*", "REVALUE APPROVED or DENIED is owed"),
    ("cashless", "12* 12", "0D 0D*", "the medium was credited"),
    ("cashless", "12* 12", "0B 04 0F*", "session idle"),
    ("cashless", "12* 12", "0B 0B*", "COMMAND OUT OF SEQUENCE"),
    ("cashless", "12* 12", "12 03 15*", "3 keys"),
    ("cashless", "12* 12", "12 84 96*", "4 keys, asked again"),
    ("cashless", "12* 12", "02 32 48 49 C5*", "5.0 s | 'HI'"),
    ("cashless", "14* 03 37 00 00 00 00 00 00 00 4E", "00*", "accepted"),
    ("cashless", "12* 12", "10 05 02 41 42 9A*", "2 bytes | 2 bytes"),
    ("cashless", "12* 12", "11 11*", "answer with EXPANSION WRITE TIME/DATE"),
    ("cashless", "12* 12", "14 07 D0 00 12 34 56 00 00 00 00 07 8E*", "not part of MDB/ICP 4.2"),
    ("cashless", "12* 12", "FF 41 40*", "defined by the manufacturer"),
    ("cashless", "17* FF 05 06 12 44 52 41 56 50 B0", "FF 05 06 01 44 52 41 56 50 88*",
     "features | 00000001 | 'DRAVP'"),
    ("cashless", "12* 12", "FF 06 07 92 01 44 52 41 56 53 1F*",
     "b1 age known, b4 old enough, b7 card in"),
    ("cashless", "12* 12", "1B 00 10 01 08 00 34*", "FTL REQ TO RCV | VMC | cashless device 1"),
    ("cashless", "12* 12", "06 FF 05*", "VEND DENIED: nothing was taken | FF at the very end"),
    ("cashless", "62* 62", "05 00 78 7D*", "120 scaling factors"),
]  # fmt: skip


@pytest.mark.parametrize(("device", "request_", "response", "meaning"), EXCHANGES)
def test_each_exchange_of_the_standard_is_told_in_words(
    device: str, request_: str, response: str, meaning: str
) -> None:
    explanation = explain(device, parse_hex(request_), parse_hex(response))
    assert explanation.errors == ()
    assert meaning in words(explanation.response)


REQUESTS = [
    ("changer", "0C* 00 3F 00 00 4B", "COIN TYPE", "types 0, 1, 2, 3, 4, 5 | no type"),
    ("changer", "0C* 00 00 FF FF 0A", "COIN TYPE", "acceptance off | all types"),
    ("changer", "0D* 30 3D", "DISPENSE", "3 coins of type 0"),
    ("changer", "0F* 02 1B 2C", "EXPANSION PAYOUT", "PAYOUT | 27 scaling factors"),
    ("changer", "0F* 01 00 00 00 83 93", "EXPANSION FEATURE ENABLE", "b7 undefined"),
    ("changer", "0F* FC 08 01 41 55", "EXPANSION FTL SEND BLOCK",
     "FTL SEND BLOCK | coin changer | 1 | 1 byte"),
    ("changer", "0F* FB 08 00 FF 11", "EXPANSION FTL RETRY/DENY",
     "not supported"),
    ("changer", "0F* FB 08 00 05 17", "EXPANSION FTL RETRY/DENY",
     "try again in 5 s"),
    ("changer", "0F* FE 30 08 F1 07 03 40", "EXPANSION FTL REQ TO SEND",
     "bill validator | coin changer | private file | 7 blocks | b0 reset after transfer, b1 end"),
    ("bill", "35* 01 36", "ESCROW", "stack the bill"),
    ("bill", "35* 00 35", "ESCROW", "return the bill"),
    ("bill", "34* 00 0F 00 0E 51", "BILL TYPE", "types 1, 2, 3 held in escrow"),
    ("bill", "37* 06 01 00 01 3F", "EXPANSION DISPENSE BILL", "type 1 | 1 bill"),
    ("bill", "37* 07 00 02 40", "EXPANSION DISPENSE VALUE", "2 scaling factors"),
    ("bill", "37* 04 00 02 00 03 01 09 00 00 00 00 00 00 00 00 00 00 00 00 4A",
     "EXPANSION RECYCLER ENABLE", ("type 1 | not recycled | recycle all qualities | recycle high "
     "quality only | undefined")),
    ("cashless", "11* 00 03 14 02 01 2B", "SETUP CONFIG DATA", "level 3 | 20 | 2 | full ASCII"),
    ("cashless", "11* 00 01 00 00 00 12", "SETUP CONFIG DATA", "0: no display | 0 | digits"),
    ("cashless", "11* 01 FF FF 00 00 10", "SETUP MAX/MIN PRICES", "unknown | 0 scaling factors"),
    ("cashless", "11* 01 00 00 01 F4 00 00 00 50 19 78 E8", "SETUP MAX/MIN PRICES",
     "500 scaling factors | 80 scaling factors | EUR"),
    ("cashless", "13* 00 00 78 00 07 92", "VEND REQUEST", "120 scaling factors | item 7"),
    ("cashless", "13* 00 00 00 00 78 00 07 92", "VEND REQUEST", "120 scaling factors | item 7"),
    ("cashless", "13* 05 00 78 80 07 17", "CASH SALE", "120 scaling factors | item 7, free vend"),
    ("cashless", "13* 05 00 00 00 78 FF FF 19 78 1F", "CASH SALE", "undefined | EUR"),
    ("cashless", "13* 06 00 78 FF FF 8F", "NEGATIVE VEND REQUEST", "120 scaling factors | undef"),
    ("cashless", "14* 03 FF FF FF FF FF FF FF FF 0F", "DATA ENTRY RESPONSE", "cancelled"),
    ("cashless", "14* 03 37 00 00 00 00 00 00 00 4E", "DATA ENTRY RESPONSE", "'7'"),
    ("cashless", "15* 00 00 00 00 C8 DD", "REVALUE REQUEST", "200 scaling factors"),
    ("cashless", "17* 01 05 1D", "EXPANSION READ USER FILE (obsolete)", "5"),
    ("cashless", "17* 02 05 01 41 60", "EXPANSION WRITE USER FILE (obsolete)", "file number"),
    ("cashless", "17* 03 26 11 21 14 19 48 FF 47 00 00 2D", "EXPANSION WRITE TIME/DATE",
     "26 | 11 | 21 | 14 | 19 | 48 | not supported | 47 | 0 | 0"),
    ("cashless", "17* 04 00 00 00 28 43", "EXPANSION ENABLE OPTIONS", "negative vend, b5 always"),
    ("cashless", "17* FF 05 06 00 44 52 41 56 50 9E", "EXPANSION DIAGNOSTICS", "off"),
    ("cashless", "17* FF 01 17", "EXPANSION DIAGNOSTICS", "defined by the manufacturer"),
    ("cashless", "17* FB 10 00 00 22", "EXPANSION FTL RETRY/DENY",
     "FTL RETRY/DENY | cashless device 1 | VMC"),
    ("cashless", "63* 03 66", "VEND FAILURE", "cashless device 2 (60), command 3: VEND"),
    ("cashless", "10* 10", "RESET", "cashless device 1 (10), command 0: RESET"),
]  # fmt: skip


@pytest.mark.parametrize(("device", "block", "name", "meaning"), REQUESTS)
def test_each_request_is_told_in_words(device: str, block: str, name: str, meaning: str) -> None:
    explanation = explain(device, parse_hex(block), None)
    assert explanation.request is not None
    assert explanation.errors == ()
    assert explanation.request.name == name
    assert meaning in words(explanation.request)
