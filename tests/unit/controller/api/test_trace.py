"""Each cent's way: from the coin to where it is."""

from collections import Counter
from typing import Any

import pytest

from controller.api.errors import NothingToTraceError
from controller.api.shapes import TraceShape, WayShape
from controller.api.trace import trace
from controller.journal import records as rec


async def traced(machine: Any, seq: int) -> TraceShape:
    return await trace(machine.journal, seq, currency="EUR")


def legs(way: WayShape) -> list[tuple[int, int, str, str]]:
    return [(step["seq"], step["amount"], step["source"], step["target"]) for step in way["steps"]]


async def test_a_coin_is_followed_to_the_product_and_the_change(machine: Any) -> None:
    shape = await traced(machine, 8)
    (way,) = shape["ways"]
    assert (way["lot"], way["origin"], way["amount"]) == (8, "coins", 200)
    assert legs(way) == [
        (8, 200, "customer", "credit"),
        (10, 150, "credit", "held"),
        (13, 150, "held", "earned"),
        (14, 50, "credit", "owed"),
        (15, 50, "owed", "paid back"),
    ]
    assert way["now"] == {"earned": 150, "paid back": 50}
    assert way["steps"][4]["words"] == "paid out"
    assert way["steps"][4]["coins"] == [(50, 1)]
    assert shape["vend"] is None


@pytest.mark.parametrize("seq", [9, 12, 16])
async def test_a_vend_is_traced_by_any_of_its_records(machine: Any, seq: int) -> None:
    shape = await traced(machine, seq)
    assert [way["lot"] for way in shape["ways"]] == [8]
    vend = shape["vend"]
    assert vend is not None
    assert (vend["vend"], vend["selection"], vend["result"]) == (9, "A1", "sold")
    assert vend["paid_back"] == 50
    assert [record["seq"] for record in shape["records"]] == list(range(9, 17))


async def test_a_bill_is_followed_through_escrow_and_a_jam_to_coins_and_a_claim(
    machine: Any,
) -> None:
    for asked in (17, 19, 20):  # when it was held, when it was stacked, the vend that used it
        (way,) = (await traced(machine, asked))["ways"]
        assert (way["lot"], way["origin"], way["amount"]) == (19, "bills", 500)
        assert legs(way) == [
            (17, 500, "customer", "escrow"),
            (19, 500, "escrow", "credit"),
            (21, 120, "credit", "held"),
            (26, 120, "held", "credit"),
            (27, 500, "credit", "owed"),
            (28, 400, "owed", "paid back"),
            (29, 100, "owed", "claimed"),
        ]
        assert way["now"] == {"paid back": 400, "claimed": 100}


async def test_a_settled_claim_is_followed_to_its_end(machine: Any) -> None:
    machine.write(
        rec.ClaimClosed(claim=29, amount=100, tender="cash", how="from the till", by="ada")
    )
    (way,) = (await traced(machine, 19))["ways"]
    assert way["now"] == {"paid back": 400, "claim paid": 100}
    assert way["steps"][-1]["words"] == "claim settled: from the till"


async def test_a_card_payment_is_followed_to_its_refund(machine: Any) -> None:
    shape = await traced(machine, 31)
    (way,) = shape["ways"]
    assert (way["lot"], way["origin"]) == (33, "card")
    assert legs(way) == [(33, 150, "customer", "held"), (37, 150, "held", "refunded to card")]
    assert shape["vend"] is not None
    assert shape["vend"]["paid_back"] == 150


async def test_a_card_that_cannot_be_refunded_becomes_a_claim(machine: Any) -> None:
    vend = machine.open(
        rec.VendOpened(selection="A1", column="A1", product="water", price=150, item=1)
    )
    machine.write(rec.ApprovalFinished(device="cashless1", outcome="approved", amount=150), vend)
    machine.write(
        rec.SettleFinished(device="cashless1", success=False, outcome="refused", amount=150), vend
    )
    (way,) = (await traced(machine, vend))["ways"]
    assert way["now"] == {"held": 150}
    machine.write(rec.ClaimOpened(amount=150, tender="card", code="1", reason="refused"), vend)
    (way,) = (await traced(machine, vend))["ways"]
    assert way["now"] == {"claimed": 150}


async def test_a_card_whose_reader_had_refunded_it_by_then_is_followed_to_that(
    machine: Any,
) -> None:
    vend = machine.open(
        rec.VendOpened(selection="A1", column="A1", product="water", price=150, item=1)
    )
    machine.write(rec.ApprovalFinished(device="cashless1", outcome="approved", amount=150), vend)
    machine.write(
        rec.SettleFinished(device="cashless1", success=False, outcome="already", amount=150), vend
    )
    shape = await traced(machine, vend)
    assert shape["ways"][0]["now"] == {"refunded to card": 150}
    assert shape["vend"] is not None
    assert shape["vend"]["paid_back"] == 150


async def test_an_approved_card_that_was_delivered_is_earned(machine: Any) -> None:
    vend = machine.open(
        rec.VendOpened(selection="A1", column="A1", product="water", price=150, item=1)
    )
    machine.write(rec.ApprovalFinished(device="cashless1", outcome="approved", amount=150), vend)
    machine.write(
        rec.SettleFinished(device="cashless1", success=True, outcome="done", amount=150), vend
    )
    (way,) = (await traced(machine, vend))["ways"]
    assert way["now"] == {"earned": 150}


async def test_a_returned_bill_ends_where_it_came_from(machine: Any) -> None:
    held = machine.write(rec.BillEscrowed(device="bill", answer="91", bill=1, value=1000))
    machine.write(rec.BillReturned(device="bill", answer="a1", bill=1, value=1000))
    (way,) = (await traced(machine, held))["ways"]
    assert way["now"] == {"returned": 1000}


async def test_a_bill_stuck_in_escrow_is_a_claim(machine: Any) -> None:
    held = machine.write(rec.BillEscrowed(device="bill", answer="91", bill=1, value=1000))
    vend = machine.open(rec.CreditReturnOpened(amount=0, reason="stuck"))
    machine.write(
        rec.ClaimOpened(amount=1000, tender="cash", code="1", reason="stuck", escrow=True), vend
    )
    machine.write(
        rec.BillStacked(device="bill", answer="81", bill=1, value=1000, escrowed=True, claimed=True)
    )
    (way,) = (await traced(machine, held))["ways"]
    assert way["now"] == {"claimed": 1000}


async def test_a_bill_that_was_never_held_is_a_lot_at_once(machine: Any) -> None:
    stacked = machine.write(
        rec.BillStacked(device="bill", answer="80", bill=0, value=500, escrowed=False)
    )
    (way,) = (await traced(machine, stacked))["ways"]
    assert way["now"] == {"credit": 500}


async def test_credit_of_staff_has_its_own_origin(machine: Any) -> None:
    lot = machine.write(rec.CreditGranted(amount=100, reason="goodwill", by="ada"))
    (way,) = (await traced(machine, lot))["ways"]
    assert way["origin"] == "granted"
    assert "ada: goodwill" in way["steps"][0]["words"]


async def test_money_of_two_lots_leaves_in_the_order_in_which_it_was_ordered(
    machine: Any,
) -> None:
    lots = [
        machine.write(rec.CoinsDeposited(device="changer", answer="", coins=((2, 50, "tube", n),)))
        for n in (11, 12)
    ]
    vend = machine.open(rec.CreditReturnOpened(amount=100, reason="key"))
    order = {"plan": (), "by_value": False, "bills": 0, "tubes": (), "reason": "key"}
    first = rec.PayoutIntended.model_validate(
        {"amount": 50, "coins": 50, "lots": ((lots[0], 50),), **order}
    )
    machine.write(first, vend)
    machine.write(
        rec.PayoutFinished(ordered=50, paid=((1, 10, 3),), proof="both", certain=True), vend
    )
    machine.write(rec.ShortfallBooked(coins=50, bills=0, lots=((lots[1], 50),)), vend)
    machine.write(rec.ClaimOpened(amount=70, tender="cash", code="1", reason="empty"), vend)
    # Asked for the younger lot alone, the older one's debt is still paid first.
    (way,) = (await traced(machine, lots[1]))["ways"]
    assert way["now"] == {"claimed": 50}
    (way,) = (await traced(machine, lots[0]))["ways"]
    assert way["now"] == {"paid back": 30, "claimed": 20}


async def test_fill_mode_and_tokens_are_nobodys_credit(machine: Any) -> None:
    fill = rec.CoinsDeposited(
        device="changer", answer="", coins=((2, 50, "tube", 11),), owner="operator"
    )
    token = rec.CoinsDeposited(device="changer", answer="", coins=((9, 0, "cashbox", 0),))
    for data in (fill, token):
        assert (await traced(machine, machine.write(data)))["ways"] == []


async def test_what_was_pruned_is_said_to_come_from_earlier(machine: Any) -> None:
    machine.journal.first = 9
    (way,) = (await traced(machine, 9))["ways"]
    assert (way["lot"], way["origin"], way["amount"]) == (8, "earlier", 200)
    assert way["now"] == {"earned": 150, "paid back": 50}


@pytest.mark.parametrize(("seq", "words"), [(999, "1 to 38"), (2, "boot.started"), (24, "fault")])
async def test_a_record_without_money_says_so(machine: Any, seq: int, words: str) -> None:
    with pytest.raises(NothingToTraceError, match=words):
        await traced(machine, seq)


async def test_a_vend_without_money_has_no_way(machine: Any) -> None:
    vend = machine.open(
        rec.VendOpened(selection="A1", column="A1", product="water", price=0, item=1, test=True)
    )
    machine.write(rec.VendClosed(result="tested", flags=("a",)), vend)
    shape = await traced(machine, vend)
    assert shape["ways"] == []
    assert shape["vend"] is not None
    assert (shape["vend"]["result"], shape["vend"]["flags"]) == ("tested", ["a"])


async def test_every_cent_that_came_in_is_in_one_place(machine: Any) -> None:
    places: Counter[str] = Counter()
    for lot in (8, 19, 33):
        (way,) = (await traced(machine, lot))["ways"]
        assert sum(way["now"].values()) == way["amount"]
        places.update(way["now"])
    assert places["earned"] == -machine.state.ledger.balance("revenue.cash")
    assert places["claimed"] == -machine.state.ledger.balance("claims.cash")


@pytest.mark.parametrize(
    ("outcome", "where"), [("approved", "put on a card"), ("denied", "credit"), ("unknown", "owed")]
)
async def test_a_coin_is_followed_onto_a_card(machine: Any, outcome: Any, where: str) -> None:
    coin = machine.write(
        rec.CoinsDeposited(device="changer", answer="", coins=((4, 200, "tube", 1),))
    )
    vend = machine.open(rec.RevalueOpened(device="cashless1", amount=200))
    lots = ((coin, 200),)
    machine.write(
        rec.RevalueIntended(
            device="cashless1", amount=200, coins=200, bills=0, lots=lots, limit=500
        ),
        vend,
    )
    (way,) = (await traced(machine, vend))["ways"]
    assert way["now"] == {"held": 200}
    machine.write(
        rec.RevalueFinished(device="cashless1", outcome=outcome, coins=200, bills=0, lots=lots),
        vend,
    )
    shape = await traced(machine, vend)
    assert shape["vend"] is not None
    assert shape["vend"]["kind"] == "revalue"
    (way,) = shape["ways"]
    assert way["now"] == {where: 200}
