"""Commands that show what was written: ledger, journal, trace, recordings."""

import json
from pathlib import Path
from typing import Any

from controller.domain import commands as cmd
from controller.journal import records as rec
from controller.journal.export import check_lines

# ------------------------------------------------------------------------------------- ledger


def test_the_ledger_balances_on_one_screen(ctl: Any) -> None:
    assert ctl("ledger").lines == [
        "Account       Debit EUR  Credit",
        "cash.tubes         3.50",
        "cash.cashbox       2.00",
        "cash.stacker       5.00",
        "claims.cash                1.00",
        "revenue.cash               1.50",
        "operator                   8.00",
        "balanced          10.50   10.50",
        "",
        "In the machine     10.50 EUR",
        "Owed to customers  1.00 EUR",
        "After record       38",
    ]
    assert any(line.startswith("held.card") for line in ctl("ledger", "--all").lines)


# ------------------------------------------------------------------------------------ journal


def test_the_last_records_are_a_line_each(ctl: Any) -> None:
    refund = "cashless1: VEND FAILURE 1.50 EUR"
    lines = ctl("journal", "tail", "-n", 4).lines
    assert lines == [
        "     35 12:00:35 dispense.finished      vend 31     A1: no_start after 0 ms",
        f"     36 12:00:36 settle.intended        vend 31     {refund}",
        f"     37 12:00:37 settle.finished        vend 31     {refund}: refunded",
        "     38 12:00:38 vend.closed            vend 31     refunded",
    ]
    assert len(ctl("journal", "tail", "-n", 200).lines) == 38


def test_records_for_scripts_are_a_line_of_json_each(ctl: Any) -> None:
    rows = [json.loads(line) for line in ctl("journal", "tail", "-n", 2, "--json").lines]
    assert [row["seq"] for row in rows] == [37, 38]


def test_records_that_are_not_there_are_said_to_be(ctl: Any, tmp_path: Path) -> None:
    file = tmp_path / "records"
    for words, code, said in [
        (("show", 99), 6, "no record 99: the journal has 1 to 38"),
        (("export", "--from", 99, "-o", file), 6, "no record 99: the journal has 1 to 38"),
        (("show", 5, 2), 2, "from 5 to 2 there is nothing: the first is told first"),
        (("export", "--from", 5, "--to", 2), 2, "from 5 to 2 there is nothing"),
    ]:
        ended = ctl("journal", *words)
        assert (ended.code, ended.out) == (code, "")
        assert said in ended.err
    assert not file.exists()


def test_a_record_is_shown_with_everything_in_it(ctl: Any) -> None:
    lines = ctl("journal", "show", 8, 9).lines
    assert lines[:2] == ["Record     8, start 1", "Type       coins.deposited, version 1"]
    assert '  coins    [[3, 200, "cashbox", 0]]' in lines
    assert "Posting            2.00  cash.cashbox" in lines
    assert "Posting           -2.00  credit.coins" in lines
    assert any(line.startswith("Vend") and line.endswith(" 9") for line in lines)
    early = ctl("journal", "show", 1).lines
    assert any("(not confirmed)" in line for line in early)


def test_a_journal_that_verifies_says_how_much_was_checked(ctl: Any) -> None:
    assert ctl("journal", "verify").lines == [
        "verified: 38 records, the last is 38; 0 snapshots equal the fold"
    ]


def test_a_journal_that_does_not_verify_ends_with_code_one(ctl: Any, machine: Any) -> None:
    async def verify() -> dict[str, Any]:
        return {
            "journal": "", "ok": False, "problem": "record 4: fails its hash", "base": 0,
            "last": 38, "last_good": 3, "records": 3, "snapshots": 0, "unknown": 0,
        }  # fmt: skip

    machine.journal.verify = verify
    ended = ctl("journal", "verify")
    assert ended.code == 1
    assert ended.lines == [
        "NOT VERIFIED: record 4: fails its hash",
        "everything to record 3 is right",
    ]
    assert ctl("journal", "verify", "--json").code == 1


def test_pruned_and_newer_records_are_told_when_verifying(ctl: Any, machine: Any) -> None:
    async def verify() -> dict[str, Any]:
        return {
            "journal": "", "ok": True, "problem": "", "base": 20, "last": 38,
            "last_good": 38, "records": 18, "snapshots": 1, "unknown": 2,
        }  # fmt: skip

    machine.journal.verify = verify
    lines = ctl("journal", "verify").lines
    assert "records to 20 pruned" in lines[0]
    assert lines[1] == "2 records are of a newer software"


def test_an_export_lets_anybody_compute_the_chain(ctl: Any, tmp_path: Path) -> None:
    assert check_lines(ctl("journal", "export").lines) == 38
    assert check_lines(ctl("journal", "export", "--from", 9, "--to", 16).lines) == 16
    assert check_lines(ctl("journal", "export", "--to", 999, "--json").lines) == 38
    file = tmp_path / "export.jsonl"
    ended = ctl("journal", "export", "-o", file)
    assert file.stat().st_mode & 0o777 == 0o600, "claim codes are in it"
    assert "38 records written" in ended.err
    assert check_lines(file.read_text().splitlines()) == 38
    again = ctl("journal", "export", "-o", file)
    assert (again.code, "is there already" in again.err) == (2, True)
    assert ctl("journal", "export", "-o", tmp_path / "no" / "folder").code == 7


def test_a_pruned_journal_is_exported_from_where_it_begins(ctl: Any, machine: Any) -> None:
    machine.journal.first = 9
    head, *rows = [json.loads(line) for line in ctl("journal", "export").lines]
    assert (head["after"], rows[0]["seq"]) == (8, 9)


def test_a_new_journal_is_begun_after_a_question(ctl: Any, machine: Any) -> None:
    assert ctl("journal", "begin", "--reason", "new card", typed="n\n").code != 0
    assert machine.told == []
    ended = ctl("journal", "begin", "--reason", "new card", typed="y\n")
    assert ended.lines[-1].endswith("it knows what the old one did at record 1,204")
    assert machine.told[0][0] == cmd.BeginJournal("new card")


def test_a_technician_hears_that_a_new_journal_knows_nothing(ctl: Any) -> None:
    said = " ".join(ctl("journal", "begin", "--reason", "card is gone", "--yes").lines)
    assert "with empty books: nothing of an old one could be read" in said


# -------------------------------------------------------------------------------------- trace


def test_a_trace_is_a_table_from_the_coin_to_where_its_cents_are(ctl: Any) -> None:
    assert ctl("trace", 8).lines == [
        "2.00 EUR in coins, record 8",
        "Record  Time       EUR  From      To         Why",
        "     8  12:00:08  2.00  customer  credit     a coin inserted",
        "    10  12:00:10  1.50  credit    held       locked for the vend",
        "    13  12:00:13  1.50  held      earned     product delivered",
        "    14  12:00:14  0.50  credit    owed       payout ordered: change",
        "    15  12:00:15  0.50  owed      paid back  paid out: 1 × 0.50",
        "now: 1.50 earned, 0.50 paid back",
    ]


def test_a_traced_vend_is_summed_up(ctl: Any) -> None:
    lines = ctl("trace", 20).lines
    assert lines[0] == "Vend 20: B1 for 1.20 EUR, claimed, 4.00 EUR paid back, 1.00 EUR claimed"
    assert lines[-1] == "now: 4.00 paid back, 1.00 claimed"


def test_a_vend_without_money_is_said_to_have_none(ctl: Any, machine: Any) -> None:
    vend = machine.open(rec.CreditReturnOpened(amount=0, reason="key"))
    machine.write(rec.VendClosed(result="refused", flags=("odd",)), vend)
    assert ctl("trace", vend).lines == [
        f"Vend {vend}: credit returned, refused, odd",
        "no money was moved",
    ]


HEAD = {
    "format": 1, "reason": "A3-column.jammed", "machine": "demo", "software": "vendd", "boot": 3,
    "after_seq": 90, "begun_s": 10.0, "inputs": 1, "events": 1, "gap": "",
}  # fmt: skip
RECORDED = [
    json.dumps(HEAD).encode() + b"\n",
    b'{"at":10.5,"mdb":"0b","answer":"ack","idle":4}\n',
    b'{"at":11.25,"pin":"the motor of column A3","on":true}\n',
]


def test_a_recording_is_listed_shown_and_exported(ctl: Any, machine: Any, tmp_path: Path) -> None:
    assert ctl("record").lines == ["nothing was recorded"]
    machine.recordings.keep("A3-column.jammed", iter(RECORDED))
    name, size = machine.recordings.names()[0]
    assert ctl("record", "list").lines == [
        "Recording                         Bytes",
        f"{name}    {size}",
    ]
    told = f"{HEAD['reason']}: demo, vendd, start 3, behind record 90; 1 inputs, 1 events"
    assert ctl("record", "show", "1").lines == [
        f"     0.000 recording {told}",
        "     0.500 bus       (4 idle polls) 0b -> ack",
        "     1.250 pin       the motor of column A3 on",
    ]
    assert ctl("record", "show", name, "--json").lines == [
        line.decode().strip() for line in RECORDED
    ]
    file = tmp_path / "out.gz"
    assert ctl("record", "export", "1", file).lines == [
        f"{file}: {size} bytes; `vendsim replay {file}`"
    ]
    assert file.stat().st_mode & 0o777 == 0o600, "claim codes are in it"
    assert file.read_bytes() == machine.recordings.read(name)
    assert json.loads(ctl("record", "export", "1", file, "--json").out)["name"] == name
    assert ctl("record", "show", "9").code == 6
    assert ctl("record", "keep").lines[0].startswith("kept once the machine is at rest")
    assert machine.told[-1][0] == cmd.KeepRecording()
    assert ctl("record", "export", "1", tmp_path / "none" / "x").code == 7


def test_a_long_recording_comes_in_pieces(ctl: Any, machine: Any, tmp_path: Path) -> None:
    import random

    noise = random.Random(1).randbytes(150_000).hex().encode()
    machine.recordings.keep("long", iter([noise]))
    name, size = machine.recordings.names()[0]
    assert size > 100_000
    file = tmp_path / "out.gz"
    assert ctl("record", "export", name, file).code == 0
    assert file.read_bytes() == machine.recordings.read(name)
