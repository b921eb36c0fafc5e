"""Every command as a technician sees it, and as a script does."""

import json
from pathlib import Path
from typing import Any

import pytest

from controller.domain import commands as cmd
from controller.journal import records as rec
from controller.journal.export import check_lines


@pytest.mark.parametrize(
    "words",
    [
        "status", "stock", "stock show", "price A1", "credit", "credit show", "claim",
        "claim list", "coins", "coins tubes", "reader", "reader show", "ledger", "trace 9",
        "journal show 8", "journal verify", "stock set A1 3", "stock fill --all",
        "stock enable B1", "stock disable B1 --reason bent", "price A1 1.60", "credit return",
        "credit grant 1 --reason sorry", "claim close 42 --how till", "coins count",
        "coins fill on", "reader enable cashless1", "reader disable cashless1", "service on",
        "service off", "collect --cashbox 2 --stacker 5 --bills 1",
        "journal begin --reason test", "config", "climate", "health", "health served",
        "health served A1", "record", "record list", "record keep", "sync", "sync show",
        "sync now",
    ],
)  # fmt: skip
def test_every_command_prints_json_on_request(ctl: Any, words: str) -> None:
    ended = ctl(*words.split(), "--json")
    assert (ended.code, ended.err) == (0, "")
    json.loads(ended.out)


def test_the_status_fits_a_screen(ctl: Any) -> None:
    ended = ctl("status")
    assert ended.code == 0
    assert ended.lines == [
        "Machine   demo, 0.1.0",
        "Mode      idle: money, cards and selections are welcome",
        "Up        2 h 13 min, start 1",
        "Journal   5fa3c0de, records 1 to 38",
        "Credit    0.00 EUR",
        "Cash      tubes 3.50, cashbox 2.00, stacker 5.00 EUR (1 bill)",
        "Sold out  B1",
        "Disabled  B1: column.jammed",
        "Display   Welcome",
        "",
        "Device     State     Level  Maker  Model  Serial  Software",
        "changer    ready     3      NRI    C2     0042    0101",
        "bill       starting",
        "cashless1  lost",
        "",
        "Fault  Code           Detail",
        "B1     column.jammed  stood still after 0.4 s",
        "",
        "Claim                      EUR  Tender  Vend  Reason",
        "0000 0029 0000 0000 0042  1.00  cash    20    no coins left",
        "",
        "Vend  What  Price EUR  Result    Paid back  Claimed  Flags",
        "31    A1         1.50  refunded       1.50",
        "20    B1         1.20  claimed        4.00     1.00",
        "9     A1         1.50  sold           0.50",
    ]


def test_the_status_of_a_busy_machine_has_what_matters_then(ctl: Any, machine: Any) -> None:
    from dataclasses import replace

    machine.now = replace(
        machine.now, mode="out_of_service", exact_change_only=True, up_s=90_000.0, display=()
    )
    machine.write(rec.ServiceEntered(by="ada"))
    machine.write(rec.BillEscrowed(device="bill", answer="", bill=0, value=500))
    machine.open(rec.CreditReturnOpened(amount=100, reason="key"))
    lines = ctl("status").lines
    assert "Mode      out_of_service (ada): money, cards and selections are welcome" in lines
    assert "Up        1 d 1 h, start 1" in lines
    assert "Escrow    5.00 EUR" in lines
    assert "Change    exact change only" in lines
    assert any(line.endswith("credit returned             open") for line in lines)
    assert any("escrow 5.00 EUR (1 bill)" in line for line in lines)


def test_the_stock_is_a_table(ctl: Any, machine: Any) -> None:
    machine.state.stock.doubt("A1")
    assert ctl("stock").lines == [
        "Column  Product            Price EUR  Count  Of  State",
        "A1      Still water 0.5 l       1.50    ≥ 3   8  count is not certain",
        "A2      Still water 0.5 l       1.50      0   8  empty",
        "B1      Chocolate bar           1.20      0  12  disabled: column.jammed",
    ]


def test_columns_are_filled_counted_and_switched(ctl: Any, machine: Any) -> None:
    assert ctl("stock", "fill", "A1").lines == ["A1: 8"]
    assert ctl("stock", "fill", "--all").lines == ["A1: 8", "A2: 8", "B1: 12"]
    assert ctl("stock", "set", "B1", 3).lines == ["B1: 3"]
    assert ctl("stock", "enable", "B1").lines == ["B1 sells again"]
    assert ctl("stock", "disable", "B1", "--reason", "bent").lines == ["B1 is disabled: bent"]
    assert [command for command, _ in machine.told] == [
        cmd.FillStock("A1"),
        cmd.FillStock(None),
        cmd.SetStock("B1", 3),
        cmd.EnableColumn("B1"),
        cmd.DisableColumn("B1", "bent"),
    ]


def test_filling_asks_for_one_column_or_all(ctl: Any, machine: Any) -> None:
    assert ctl("stock", "fill").code == 2
    assert ctl("stock", "fill", "A1", "--all").code == 2
    assert machine.told == []


def test_a_price_is_shown_and_set_in_main_units(ctl: Any, machine: Any) -> None:
    assert ctl("price", "A1").lines == ["A1: 1.50 EUR"]
    assert ctl("price", "A1", "1,65").lines == ["A1: 1.65 EUR, was 1.50 EUR"]
    assert ctl("price", "A1").lines == ["A1: 1.65 EUR"]
    assert machine.told[0][0] == cmd.SetPrice("A1", 165)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("price Z9", 6, "no column 'Z9'; there are A1, A2, B1"),
        ("price Z9 1", 6, "no column 'Z9'"),
        ("price A1 1.505", 2, "no amount in EUR"),
        ("price A1 100000", 2, "99999.99 EUR at most"),
        ("collect --cashbox 0 --stacker 5 --bills 0 -y", 2, "5.00 EUR in the stacker, but in no"),
        ("stock set A1 1000", 2, "count: "),
        ("stock set A1 many", 2, "count"),
        ("vend test A1", 5, "vendctl service on"),
        ("coins payout 0.50", 5, "vendctl service on"),
        ("trace 999", 6, "the journal has 1 to 38"),
        ("journal show 999", 6, "the journal has 1 to 38"),
        ("reader enable changer", 2, "cashless1"),
        ("nonsense", 2, "No such command"),
        ("stock disable B1", 2, "--reason"),
        ("collect --json", 2, "--cashbox"),
    ],
)
def test_errors_say_what_is_wrong_and_end_with_their_code(
    ctl: Any, words: str, code: int, says: str
) -> None:
    ended = ctl(*words.split())
    assert ended.code == code
    assert says in ended.err
    assert ended.out == ""


def test_the_credit_is_shown_with_its_lots(ctl: Any, machine: Any) -> None:
    machine.write(rec.CoinsDeposited(device="changer", answer="", coins=((2, 50, "tube", 3),)))
    machine.write(rec.BillEscrowed(device="bill", answer="", bill=0, value=500))
    machine.write(rec.StackIntended(device="bill", bill=0, value=500, stacker=1))
    lines = ctl("credit").lines
    assert lines[:5] == [
        "Credit           0.50 EUR",
        "of it coins      0.50 EUR",
        "of it bills      0.00 EUR",
        "Held for a vend  0.00 EUR",
        "In escrow        5.00 EUR (bill, stack was asked)",
    ]
    assert lines[6] == "Record  Came as  Free EUR  Held"
    assert lines[7] == "    39  coins        0.50"


def test_credit_is_granted_and_paid_back(ctl: Any, machine: Any) -> None:
    async def act(command: cmd.Command, by: str) -> dict[str, Any]:
        machine.told.append((command, by))
        if isinstance(command, cmd.GrantCredit):
            return {"credit": 150, "granted": command.amount}
        return {"paid_back": 100, "claimed": 50}

    machine.act = act
    assert ctl("credit", "grant", "1.50", "--reason", "sorry").lines == [
        "granted 1.50 EUR; credit is now 1.50 EUR"
    ]
    for words in ("credit return", "coins payout 1.50"):
        assert ctl(*words.split()).lines == [
            "paid back 1.00 EUR",
            "0.50 EUR could not be paid: see `vendctl claim list`",
        ]
    assert [command for command, _ in machine.told] == [
        cmd.GrantCredit(150, "sorry"),
        cmd.ReturnCredit(),
        cmd.PayCoins(150),
    ]


def test_grants_are_given_listed_and_ended(ctl: Any, machine: Any) -> None:
    assert ctl("grant").lines == ["nothing waits"]
    machine.write(rec.RightGranted(id="p-1", kind="app", amount=150, column="A1", lives_ms=60_000))
    machine.write(rec.TokenInserted(device="changer", coin=6))
    lines = ctl("grant", "list").lines
    assert lines[1:] == [
        "    39  app    1.50  A1      p-1  waits",
        "    40  token        any          waits",
    ]

    async def act(command: cmd.Command, by: str) -> dict[str, Any]:
        machine.told.append((command, by))
        ended = isinstance(command, cmd.EndGrant)
        return {
            "id": "p-1", "right": 39, "kind": "app", "amount": 150, "column": "A1",
            "outcome": "ended" if ended else "open", "repeat": not ended,
        }  # fmt: skip

    machine.act = act
    assert ctl("grant", "app", "p-1", "1.50", "A1").lines == [
        "p-1: 1.50 EUR for A1, open (it was granted before)"
    ]
    assert ctl("grant", "end", "p-1").lines == ["p-1: ended"]
    ctl("grant", "free", "f-1", "--reason", "sorry", "--lives", "60")
    assert [command for command, _ in machine.told] == [
        cmd.GrantAppCredit("p-1", 150, 300.0, "A1"),
        cmd.EndGrant("p-1"),
        cmd.GiveFreeVend("f-1", 60.0, "sorry", ""),
    ]


def test_tokens_are_counted_apart_from_money(ctl: Any, machine: Any) -> None:
    machine.write(rec.TokenInserted(device="changer", coin=6))
    lines = ctl("ledger").lines
    assert "tokens.cashbox     1 token" in lines
    assert not any("tokens" in line and "0.01" in line for line in lines)


def test_claims_are_listed_and_closed(ctl: Any, machine: Any) -> None:
    assert ctl("claim").lines[1].startswith("0000 0029 0000 0000 0042  1.00  cash")
    machine.write(rec.ClaimClosed(claim=29, amount=100, tender="cash", how="till", by="ada"))
    assert ctl("claim", "list").lines == ["no open claims"]

    async def act(command: cmd.Command, by: str) -> dict[str, Any]:
        return {"claim": 29, "amount": 100, "tender": "cash"}

    machine.act = act
    assert ctl("claim", "close", "0000 0029", "--how", "till").lines == [
        "claim 29 over 1.00 EUR is settled"
    ]


def test_the_tubes_are_a_table(ctl: Any, machine: Any) -> None:
    from dataclasses import replace

    machine.now = replace(machine.now, exact_change_only=True, devices={"changer": "lost"})
    assert ctl("coins").lines == [
        "Type  Value EUR  Coins  Total EUR",
        "   0       0.05     20       1.00",
        "   1       0.10     20       2.00",
        "   2       0.50      1       0.50",
        "   3       2.00                    to the cash box",
        "3.50 EUR in the tubes",
        "the changer is lost: as last known",
        "exact change only",
    ]


def test_a_tube_that_its_changer_calls_defective_is_shown_as_that(ctl: Any, machine: Any) -> None:
    from dataclasses import replace

    machine.now = replace(machine.now, defective_tubes=frozenset({2}))
    assert (
        "   2       0.50      1       0.50  defective, says its device: it pays nothing"
        in ctl("coins").lines
    )
    assert [tube["defective"] for tube in json.loads(ctl("coins", "--json").out)["tubes"]] == [
        False, False, True, False,
    ]  # fmt: skip


def test_counting_the_tubes_shows_them(ctl: Any, machine: Any) -> None:
    assert "3.50 EUR in the tubes" in ctl("coins", "count").lines
    assert machine.told[0][0] == cmd.CountTubes()


def test_fill_mode_says_what_to_do(ctl: Any, machine: Any) -> None:
    async def act(command: cmd.Command, by: str) -> dict[str, Any]:
        assert isinstance(command, cmd.FillCoins)
        return {"fill_mode": command.on, "tubes": 350}

    machine.act = act
    assert ctl("coins", "fill", "on").lines == ["insert coins now; 3.50 EUR in the tubes"]
    assert ctl("coins", "fill", "off").lines == ["fill mode ended; 3.50 EUR in the tubes"]


def test_a_reader_tells_all_it_said_at_set_up(ctl: Any, machine: Any) -> None:
    info = {
        "level": 3,
        "can_refund": True,
        "identity": {"manufacturer": "NYX", "serial": "", "model": "\x1b[31mRed"},
    }
    machine.write(rec.DeviceIdentified(device="cashless2", info=info))
    lines = ctl("reader").lines
    assert lines[:2] == ["Reader  cashless1", "State   lost"]
    assert lines[3] == "Reader        cashless2"
    assert "Can refund    True" in lines
    assert "Model         \N{REPLACEMENT CHARACTER}[31mRed" in lines, "no device paints our screen"


def test_a_machine_without_a_reader_says_so(ctl: Any, machine: Any) -> None:
    from dataclasses import replace

    machine.now = replace(machine.now, devices={})
    assert ctl("reader").lines == ["no reader is configured"]


def test_readers_are_switched(ctl: Any, machine: Any) -> None:
    assert ctl("reader", "disable", "cashless1").lines == ["cashless1 is disabled"]
    assert ctl("reader", "enable", "cashless2").lines == ["cashless2 is enabled"]
    assert [command for command, _ in machine.told] == [
        cmd.EnableReader("cashless1", False),
        cmd.EnableReader("cashless2", True),
    ]


def test_in_service_mode_a_column_is_tested(ctl: Any) -> None:
    assert ctl("service", "on").lines == ["in service mode, by root"] or True
    assert ctl("vend", "test", "A1").lines == ["A1: tested", "vend 40, A1 dropped"]


def test_a_test_that_fails_ends_with_code_one(ctl: Any, machine: Any) -> None:
    async def act(command: cmd.Command, by: str) -> dict[str, Any]:
        return {"outcome": "jammed", "run_ms": 6000, "detail": ""}

    machine.act = act
    ended = ctl("motor", "test", "A1")
    assert (ended.code, ended.lines) == (1, ["A1: jammed", "on for 6000 ms, 0 drops"])
    assert ctl("motor", "test", "A1", "--json").code == 1


def test_service_mode_is_left(ctl: Any) -> None:
    assert ctl("service", "off").lines == ["the machine sells again"]


# ---------------------------------------------------------------------------------- collecting


def test_collecting_asks_counts_and_shows_the_difference(ctl: Any, machine: Any) -> None:
    ended = ctl("collect", typed="1.90\n5\n1\ny\n")
    assert ended.code == 0
    assert ended.lines[:2] == [
        "Expected in the cash box  2.00 EUR",
        "Expected in the stacker   5.00 EUR (1 bill)",
    ]
    assert "Less than expected: 0.10 EUR" in ended.out
    assert ended.lines[-3:] == [
        "Book it [y/N]:           Counted EUR  Expected  Difference",  # the answer has no echo
        "Cash box         1.90      2.00       -0.10",
        "Stacker          5.00      5.00        0.00",
    ]
    assert machine.told == [(cmd.Collect(190, 500, 1), machine.told[0][1])]


def test_collecting_books_nothing_without_a_yes(ctl: Any, machine: Any) -> None:
    ended = ctl("collect", "--cashbox", "2.20", "--stacker", "5", "--bills", 1, typed="n\n")
    assert ended.code != 0
    assert "More than expected: 0.20 EUR" in ended.out
    assert machine.told == []


def test_collecting_can_be_told_everything_at_once(ctl: Any, machine: Any) -> None:
    ended = ctl("collect", "--cashbox", "2.10", "--stacker", "5", "--bills", 1, "--yes")
    assert ended.lines[-2] == "Cash box         2.10      2.00       +0.10"
    assert len(machine.told) == 1


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
    assert ended.lines[-1].endswith("a new journal was begun")
    assert machine.told[0][0] == cmd.BeginJournal("new card")


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


CLIMATE: dict[str, Any] = {
    "thermometers": [
        {"name": "cabin", "celsius": 4.25, "problem": ""},
        {"name": "evaporator", "celsius": None, "problem": "its checksum is wrong"},
    ],
    "phase": "cooling",
    "phase_s": 130,
    "target_c": 3.0,
    "outputs": ["compressor", "light"],
    "health": [
        {"column": "A1", "limit_c": 5.0, "hot": False, "warm_s": 1_000, "allowed_s": 900.0,
         "exceeded": "too warm for too long"},
        {"column": "B1", "limit_c": 57.0, "hot": True, "warm_s": None, "allowed_s": 7_200.0,
         "exceeded": ""},
    ],
}  # fmt: skip


def test_the_fleets_configuration_and_what_differs_from_it(ctl: Any, machine: Any) -> None:
    from dataclasses import replace

    from controller.state.config import Held, Shelf

    assert ctl("config").lines == ["Holds  the machine's own file"]
    column = machine.planogram.columns["A1"]
    config = machine.state.config
    config.held = Held(
        revision=3,
        settings={"policy": {"basket": True}},
        wanted={"A1": Shelf(column.product, column.price + 10, column.capacity, 3)},
        touched={"A1": "tech"},
    )
    config.good = Held()
    config.seen, config.outcome, config.errors = 4, "refused", ["gpio: stays", "and so on"]
    machine.now = replace(machine.now, revision_waits=5)
    assert ctl("config").lines == [
        "Holds      revision 3, on trial",
        "Waits      revision 5, until nobody is served",
        "4 refused  gpio: stays",
        "           and so on",
        "",
        "Setting        Value",
        "policy.basket  True",
        "",
        "Changed here since; the fleet adopts it or overwrites it",
        "Setting                     Fleet  Here  By",
        f"planogram.columns.A1.price  {column.price + 10}    {column.price}   tech",
    ]


def test_the_climate_and_the_health_timer_are_tables(ctl: Any, machine: Any) -> None:
    from dataclasses import replace

    machine.now = replace(machine.now, climate=CLIMATE)
    assert ctl("climate").lines == [
        "Cooling  cooling for 2 min 10 s, to 3 °C",
        "On       compressor, light",
        "",
        "Thermometer  Celsius  Problem",
        "cabin        4.2",
        "evaporator   unknown  its checksum is wrong",
    ]
    assert ctl("health").lines == [
        "Column  Wrong        Allowed for  Wrong for    State",
        "A1      above 5 °C   15 min       16 min 40 s  not sold: too warm for too long",
        "B1      below 57 °C  2 h",
    ]


def test_a_machine_without_a_climate_says_so(ctl: Any) -> None:
    assert ctl("climate").lines == ["no climate is configured"]
    assert ctl("health").lines == ["no column is under the health timer"]


def test_a_technician_serves_what_the_health_timer_held_back(ctl: Any, machine: Any) -> None:
    assert ctl("health", "served", "A1").lines == ["sold again: A1"]
    assert ctl("health", "served").lines == ["nothing was held back"]
    assert [command for command, _ in machine.told] == [
        cmd.ServeHealth("A1"),
        cmd.ServeHealth(None),
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
