"""The methods: what they read, which command they become, and who is said to have called."""

import json
from typing import Any

import pytest

from controller.api.access import Access, Caller, Right
from controller.api.methods import dispatcher
from controller.api.server import Session
from controller.domain import commands as cmd
from controller.journal import records as rec
from controller.journal.chain import link

ADA = Caller(1007, 1007, 4242, frozenset(), Right.ACT, "ada")


async def ask(machine: Any, method: str, caller: Caller = ADA, **params: Any) -> Any:
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    answer = await dispatcher(machine, Access()).dispatch(line, Session(caller))
    assert answer is not None
    return json.loads(answer[0])


async def result(machine: Any, method: str, **params: Any) -> Any:
    answer = await ask(machine, method, **params)
    assert "result" in answer, answer
    return answer["result"]


ACTS: list[tuple[str, dict[str, Any], cmd.Command]] = [
    ("stock.fill", {}, cmd.FillStock(None)),
    ("stock.fill", {"column": "A2"}, cmd.FillStock("A2")),
    ("stock.set", {"column": "A2", "count": 3}, cmd.SetStock("A2", 3)),
    ("stock.enable", {"column": "B1"}, cmd.EnableColumn("B1")),
    ("stock.disable", {"column": "B1", "reason": "bent"}, cmd.DisableColumn("B1", "bent")),
    ("price.set", {"column": "B1", "price": 130}, cmd.SetPrice("B1", 130)),
    ("credit.return", {}, cmd.ReturnCredit()),
    ("credit.grant", {"amount": 100, "reason": "sorry"}, cmd.GrantCredit(100, "sorry")),
    (
        "grant.app",
        {"grant": "p-1", "amount": 150, "lives_s": 60.0, "column": "A1"},
        cmd.GrantAppCredit("p-1", 150, 60.0, "A1"),
    ),
    (
        "grant.free",
        {"grant": "f-1", "lives_s": 60.0, "reason": "sorry"},
        cmd.GiveFreeVend("f-1", 60.0, "sorry", ""),
    ),
    ("grant.end", {"grant": "f-1"}, cmd.EndGrant("f-1")),
    ("claim.close", {"code": "0042", "how": "till"}, cmd.CloseClaim("0042", "till")),
    ("collect", {"cashbox": 200, "stacker": 500, "bills": 1}, cmd.Collect(200, 500, 1)),
    (
        "collect",
        {"cashbox": 0, "stacker": 0, "bills": 1_500, "tokens": 4_000, "expected": -5},
        cmd.Collect(0, 0, 1_500, tokens=4_000, expected=-5),
    ),
    ("coins.count", {}, cmd.CountTubes()),
    ("coins.fill", {"on": True}, cmd.FillCoins(True)),
    ("reader.enable", {"device": "cashless2", "on": False}, cmd.EnableReader("cashless2", False)),
    ("service.enter", {}, cmd.EnterService()),
    ("service.leave", {}, cmd.LeaveService()),
    ("journal.begin", {"reason": "new card"}, cmd.BeginJournal("new card")),
]


@pytest.mark.parametrize(("method", "params", "command"), ACTS, ids=[act[0] for act in ACTS])
async def test_an_acting_call_becomes_a_command_with_its_callers_name(
    machine: Any, method: str, params: dict[str, Any], command: cmd.Command
) -> None:
    await result(machine, method, **params)
    assert machine.told == [(command, "ada")]


@pytest.mark.parametrize(
    ("method", "params"),
    [("vend.test", {"column": "A1"}), ("motor.test", {"column": "A1"}),
     ("coins.payout", {"amount": 50})],
)  # fmt: skip
async def test_tests_and_payouts_reach_the_machine_which_may_refuse(
    machine: Any, method: str, params: dict[str, Any]
) -> None:
    answer = await ask(machine, method, **params)
    assert answer["error"]["code"] == -32002
    assert len(machine.told) == 1


@pytest.mark.parametrize("method", [act[0] for act in ACTS])
async def test_no_acting_call_gets_through_with_the_right_to_read(
    machine: Any, method: str
) -> None:
    reader = Caller(1008, 1008, 4243, frozenset(), Right.READ, "bob")
    answer = await ask(machine, method, reader)
    assert answer["error"]["code"] == -32001
    assert machine.told == []


@pytest.mark.parametrize(
    "params",
    [
        {"device": "changer", "on": True},
        {"device": "cashless1", "on": "yes"},
        {"device": "cashless1", "on": 1},
        {"device": "cashless1"},
    ],
)
async def test_parameters_are_not_guessed(machine: Any, params: dict[str, Any]) -> None:
    answer = await ask(machine, "reader.enable", **params)
    assert answer["error"]["code"] == -32602
    assert machine.told == []


async def test_the_status_is_the_machine_at_a_glance(machine: Any) -> None:
    status = await result(machine, "status")
    assert status["journal"] == {"id": machine.journal.id, "first": 1, "last": 38}
    assert (status["mode"], status["credit"], status["currency"]) == ("idle", 0, "EUR")
    assert [(d["name"], d["state"]) for d in status["devices"]] == [
        ("changer", "ready"),
        ("bill", "starting"),
        ("cashless1", "lost"),
    ]
    assert status["devices"][0]["serial"] == "0042"
    assert status["faults"] == [
        {"part": "B1", "code": "column.jammed", "detail": "stood still after 0.4 s"}
    ]
    assert status["sold_out"] == ["B1"]
    assert status["disabled"] == {"B1": "column.jammed"}
    assert [claim["amount"] for claim in status["claims"]] == [100]
    assert [vend["result"] for vend in status["last"]] == ["sold", "claimed", "refunded"]
    assert status["cash"] == {
        "tubes": 20 * 5 + 20 * 10 + 10 * 50 - 50 - 400,
        "cashbox": 200,
        "stacker": 500,
        "escrow": 0,
        "bills": 1,
        "bills_unknown": 0,
        "recycler": 0,
    }
    assert status["counters"]["vends"] == 1


async def test_the_stock_names_product_price_and_doubt(machine: Any) -> None:
    machine.state.stock.doubt("A1")
    stock = await result(machine, "stock.show")
    assert stock["columns"][0] == {
        "column": "A1",
        "product": "water",
        "name": "Still water 0.5 l",
        "price": 150,
        "list_price": 150,
        "offer": "",
        "count": 3,
        "capacity": 8,
        "uncertain": True,
        "disabled": "",
    }


async def test_the_credit_names_its_lots_and_the_bill_in_escrow(machine: Any) -> None:
    lot = machine.write(
        rec.CoinsDeposited(device="changer", answer="", coins=((2, 50, "tube", 3),))
    )
    machine.write(rec.BillEscrowed(device="bill", answer="", bill=0, value=500))
    credit = await result(machine, "credit.show")
    assert (credit["total"], credit["coins"], credit["bills"], credit["held"]) == (50, 50, 0, 0)
    assert credit["lots"] == [{"seq": lot, "pocket": "coins", "free": 50, "held": 0}]
    assert credit["escrow"] == {"device": "bill", "value": 500, "asked": ""}
    assert len(credit["claims"]) == 1
    assert (await result(machine, "status"))["escrow"] == 500


async def test_the_coins_are_counted_per_tube(machine: Any) -> None:
    coins = await result(machine, "coins.show")
    assert [(t["value"], t["count"], t["total"]) for t in coins["tubes"]] == [
        (5, 20, 100),
        (10, 20, 200),
        (50, 1, 50),
        (200, 0, 0),
    ]
    assert coins["total"] == machine.state.ledger.balance("cash.tubes") == 350


async def test_the_ledger_balances(machine: Any) -> None:
    ledger = await result(machine, "ledger.show")
    assert ledger["debit"] == ledger["credit"] > 0
    assert ledger["cash"] == 350 + 200 + 500
    assert ledger["owed"] == 100
    assert ledger["seq"] == 38


async def test_devices_tell_all_they_said_at_set_up(machine: Any) -> None:
    devices = await result(machine, "devices.show")
    assert devices[0]["info"]["scaling"] == 5
    assert devices[2]["info"] == {}


async def test_records_come_in_pages(machine: Any) -> None:
    page = await result(machine, "journal.records", after=36, limit=200)
    assert [record["seq"] for record in page["records"]] == [37, 38]
    assert page["journal"]["last"] == 38
    first = (await result(machine, "journal.records", limit=1))["records"][0]
    assert first["type"] == "journal.begun"
    assert first["at"] == "2026-11-21T12:00:01.000Z"
    assert first["confirmed"] is False
    assert "body" not in first
    too_many = await ask(machine, "journal.records", limit=201)
    assert too_many["error"]["code"] == -32602


async def test_exact_records_carry_the_text_that_their_hash_covers(machine: Any) -> None:
    one, two = (await result(machine, "journal.records", limit=2, exact=True))["records"]
    journal = bytes.fromhex(machine.journal.id)
    digest = link(bytes.fromhex(one["hash"]), journal, 2, two["boot"], two["body"].encode())
    assert digest.hex() == two["hash"]


async def test_the_journal_can_be_verified(machine: Any) -> None:
    assert (await result(machine, "journal.verify"))["ok"]


async def test_a_watch_is_one_per_connection(machine: Any) -> None:
    made, session = dispatcher(machine, Access()), Session(ADA)
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "watch.start"})
    for _ in range(2):
        await made.dispatch(line, session)
    assert len(machine.sinks) == 1
    assert session.end_watch is not None
    session.end_watch()
    assert machine.sinks == []


async def test_a_label_that_no_calendar_knows_is_shown_as_it_is(machine: Any) -> None:
    from dataclasses import replace

    machine.journal.all[0] = replace(machine.journal.all[0], at_ms=10**18)
    page = await result(machine, "journal.records", limit=1)
    assert page["records"][0]["at"] == f"@{10**18}"


async def test_a_refusal_is_no_line_in_the_log(
    machine: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        calls: list[tuple[str, dict[str, Any]]] = [
            ("vend.test", {"column": "A1"}),
            ("trace", {"seq": "x"}),
            ("x", {}),
        ]
        for method, params in calls:
            assert "error" in await ask(machine, method, **params)
        reader = Caller(1008, 1008, 4243, frozenset(), Right.READ, "bob")
        assert "error" in await ask(machine, "service.enter", reader)
    assert caplog.records == []


async def test_a_notification_gets_no_answer_even_when_it_is_refused(machine: Any) -> None:
    line = json.dumps({"jsonrpc": "2.0", "method": "vend.test", "params": {"column": "A1"}})
    assert await dispatcher(machine, Access()).dispatch(line, Session(ADA)) is None
