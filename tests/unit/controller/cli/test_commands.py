"""Commands for stock, prices, money and service, as a technician sees them and as a script does."""

import json
from dataclasses import replace
from typing import Any

import pytest

from controller.domain import commands as cmd
from controller.journal import records as rec


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
        "sync now", "bus",
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


def test_a_column_that_is_enabled_and_sells_nothing_says_why(ctl: Any, machine: Any) -> None:
    words = "A2 is enabled; its count is 0: `vendctl stock fill A2`"
    assert ctl("stock", "enable", "A2").lines == [words]
    machine.write(rec.HealthExceeded(columns=("A1",), reason="too warm for too long", celsius=9.0))
    assert ctl("stock", "enable", "A1").lines == ["A1 is not sold yet: health.exceeded"]


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
    ended = ctl("price", "A1", "")  # a script's variable that is empty
    assert (ended.code, ended.out) == (2, "")
    assert "'' is no amount in EUR" in ended.err


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
    assert "Can refund    yes" in lines
    assert "Model         \N{REPLACEMENT CHARACTER}[31mRed" in lines, "no device paints our screen"


def test_a_machine_without_a_reader_says_so(ctl: Any, machine: Any) -> None:
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


def test_a_test_vend_that_fails_ends_with_code_one(ctl: Any, machine: Any) -> None:
    async def act(command: cmd.Command, by: str) -> dict[str, Any]:
        turns = [{"column": "A1", "outcome": "jammed"}]
        return {"vend": 40, "result": "tested", "turns": turns, "reason": "jammed"}

    machine.act = act
    ended = ctl("vend", "test", "A1")
    assert (ended.code, ended.lines) == (1, ["A1: failed: jammed", "vend 40, A1 jammed"])


def test_service_mode_is_left(ctl: Any) -> None:
    assert ctl("service", "off").lines == ["the machine sells again"]


def test_a_machine_that_sells_nothing_behind_its_service_says_why(ctl: Any, machine: Any) -> None:
    machine.now = replace(machine.now, mode="out_of_service", promise="door open")
    words = "service mode has ended, but nothing is sold: door open"
    assert ctl("service", "off").lines == [words]


def test_a_bill_that_goes_back_with_the_credit_is_told(ctl: Any, machine: Any) -> None:
    async def act(command: cmd.Command, by: str) -> dict[str, Any]:
        return {"paid_back": 0, "claimed": 0, "bill": 500}

    machine.act = act
    words = ["paid back 0.00 EUR", "a bill of 5.00 EUR goes back"]
    assert ctl("credit", "return").lines == words


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
    assert machine.told == [(cmd.Collect(190, 500, 1, expected=700), machine.told[0][1])]


def test_collecting_books_nothing_without_a_yes(ctl: Any, machine: Any) -> None:
    ended = ctl("collect", "--cashbox", "2.20", "--stacker", "5", "--bills", 1, typed="n\n")
    assert ended.code != 0
    assert "More than expected: 0.20 EUR" in ended.out
    assert machine.told == []


def test_collecting_ends_with_what_to_say_when_nobody_answers(ctl: Any, machine: Any) -> None:
    ended = ctl("collect", "--yes")
    assert ended.code == 2
    assert ended.err.endswith(
        "nothing was booked; to be asked nothing, say --cashbox, --stacker and --bills\n"
    )
    ended = ctl("collect", "--cashbox", "2.001", typed="5\n1\ny\n")
    assert (ended.code, ended.out) == (2, "")
    assert "'2.001' is no amount in EUR" in ended.err
    assert machine.told == []


def test_bills_from_before_the_first_start_are_no_surplus(ctl: Any, machine: Any) -> None:
    machine.state.stacker, machine.state.stacker_unknown = 4, 3
    assert "Cash      tubes 3.50, cashbox 2.00, stacker 5.00 EUR (4 bills, 3 of unknown value)" in (
        ctl("status").lines
    )
    ended = ctl("collect", typed="2\n35\n4\ny\n")
    assert "Expected in the stacker   5.00 EUR (4 bills, 3 of unknown value)" in ended.lines
    words = "30.00 EUR of it in bills from before the first start: an opening balance, no surplus"
    assert words in ended.out
    assert "More than expected" not in ended.out
    assert ended.lines[-2:] == ["Stacker         35.00      5.00        0.00", words]
    record = machine.journal.all[-1]
    assert dict(record.postings) == {"cash.cashbox": -200, "cash.stacker": -500, "operator": 700}
    assert "30.00 EUR from before the first start" in ctl("journal", "tail").out


def test_collecting_can_be_told_everything_at_once(ctl: Any, machine: Any) -> None:
    ended = ctl("collect", "--cashbox", "2.10", "--stacker", "5", "--bills", 1, "--yes")
    assert ended.lines[-2] == "Cash box         2.10      2.00       +0.10"
    assert len(machine.told) == 1


def test_who_gets_no_answer_is_told_where_it_stands_whether_it_was_done(
    ctl: Any, machine: Any
) -> None:
    async def act(command: cmd.Command, by: str) -> dict[str, Any]:
        raise RuntimeError("the disk is gone")

    machine.act = act
    ended = ctl("credit", "grant", "1.50", "--reason", "sorry")
    assert ended.code == 7
    assert ended.err.endswith("or is under way, tells `vendctl journal tail`\n")
