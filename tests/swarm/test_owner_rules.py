"""What the owner decided of prices, credit and promises: each rule bites, and spares the honest."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from config.machine import MachineSettings
from config.models import Offer
from controller.journal import records as rec
from simulator.peripherals.reader_settings import ReaderState
from simulator.swarm import build
from tests.swarm.bench import Bench, noon, settings

FULL = tuple((kind, value, 30) for kind, value in enumerate((5, 10, 20, 50, 100)))


def policy(**wanted: Any) -> MachineSettings:
    return settings(policy=build.base_settings().policy.model_copy(update=wanted))


@pytest.fixture
def bench() -> Bench:
    return Bench(tubes=FULL)


def closes(bench: Bench, vend: int, result: str = "sold", **more: Any) -> None:
    bench.told(rec.VendClosed.model_validate({"result": result, **more}), vend)


# ------------------------------------------------------------------------------------ prices

HALF = Offer(name="half", percent=50, start="10:00", end="14:00")


def test_a_sale_is_at_the_list_price(bench: Bench) -> None:
    bench.opens("B4", price=50)
    assert bench.findings == []
    bench.opens("B4", price=60)
    assert bench.findings == ["B4 is sold at 60, less 0, and its price is 50"]


def test_or_at_the_price_that_was_set_since(bench: Bench) -> None:
    bench.told(rec.PriceSet(column="B4", price=90, before=50))
    bench.opens("B4", price=90)
    assert bench.findings == []


@pytest.mark.parametrize(("discount", "right"), [(100, True), (60, False), (140, False)])
def test_a_discount_is_what_the_offer_says(discount: int, right: bool) -> None:
    bench = Bench(settings(offers=(HALF,)))
    bench.opens(offer="half", discount=discount, at_ms=noon(), confirmed=True)
    assert (bench.findings == []) is right


def test_an_offer_that_holds_is_given() -> None:
    bench = Bench(settings(offers=(HALF,)))
    bench.opens(at_ms=noon(9), confirmed=True)
    bench.opens(at_ms=noon(), confirmed=False)
    assert bench.findings == []
    bench.opens(at_ms=noon(), confirmed=True)
    assert bench.findings == ["A3 is sold at 200, and an offer makes 100 of it now"]


def test_it_is_given_by_the_clock_on_the_machine_s_wall() -> None:
    there = build.base_settings().machine.model_copy(update={"timezone": "Asia/Tokyo"})
    bench = Bench(settings(offers=(HALF,), machine=there))
    bench.opens(at_ms=noon(), confirmed=True)  # 21:00 there
    assert bench.findings == []
    bench.opens(at_ms=noon(3), confirmed=True)
    assert len(bench.findings) == 1


# ------------------------------------------------------------------------------------ credit


def test_after_a_sale_no_money_stays() -> None:
    bench = Bench()
    bench.coins(200, 200)
    vend = bench.opens()
    bench.told(rec.CreditAuthorised(coins=200, bills=0, lots=()), vend)
    bench.told(rec.VendSettled(cash=200, lots=()), vend)
    closes(bench, vend)
    assert bench.findings == ["A3 was sold, and 200 of its customer's money stays in the machine"]


@pytest.mark.parametrize(("wanted", "told"), [("refund", 1), ("keep", 0)])
def test_after_a_failed_vend_it_stays_where_the_owner_says_so(wanted: str, told: int) -> None:
    bench = Bench(policy(after_failure=wanted))
    bench.coins(200)
    closes(bench, bench.opens(), "refunded")
    closes(bench, bench.opens(), "refused")  # they may choose again, whatever the owner says
    assert len(bench.findings) == told


def test_what_waits_for_the_rest_of_a_basket_buys_nothing_else(bench: Bench) -> None:
    bench.coins(200, 200)
    first = bench.opens(basket=3, place=1, of=2)
    closes(bench, first, kept=True)
    closes(bench, bench.opens(basket=3, place=2, of=2), kept=True)
    assert bench.findings == []
    bench.opens()
    assert bench.findings == ["a basket is over, and its 400 buys something else"]


def test_a_basket_whose_bill_went_back_leaves_nothing_to_the_next_customer(bench: Bench) -> None:
    closes(bench, bench.opens(basket=3, place=1, of=2), kept=True)
    bench.told(rec.BillReturned(device="bill", answer="", bill=0, value=500))
    bench.coins(200)
    bench.opens(basket=9, place=1, of=1)
    assert bench.findings == []


@pytest.mark.parametrize(("waits", "told"), [(50.0, 0), (70.0, 1)])
def test_nor_does_it_stay_when_the_basket_is_over(waits: float, told: int, bench: Bench) -> None:
    bench.coins(200)
    closes(bench, bench.opens(basket=2, place=1, of=2), kept=True)
    bench.now_s += waits  # a card may pay for the rest
    bench.rules.check(bench.evidence)
    assert sum("stays" in finding for finding in bench.findings) == told


def test_no_more_credit_is_taken_than_the_owner_wants() -> None:
    bench = Bench(policy(max_credit=250))
    bench.coins(200)
    bench.now_s += 0.5
    bench.coins(100)  # it was on its way
    assert bench.findings == []
    bench.now_s += 10.0
    bench.coins(50)
    assert bench.findings == ["a coin of 50 was taken beside 300, and 250 is the most"]


def test_no_bill_is_stacked_beyond_it() -> None:
    bench = Bench(policy(max_credit=1_000, bill_needs_change=False))
    bench.coins(200)
    bench.bill(500)
    bench.stacks(500)
    assert bench.findings == []
    bench.bill(1_000)
    bench.stacks(1_000)
    assert bench.findings == ["a bill makes 1200 of the credit, and 1000 is the most"]


@pytest.mark.parametrize(("most", "told"), [(300, 0), (250, 1)])
def test_no_bill_is_taken_that_asks_for_more_change_than_the_owner_gives(
    most: int, told: int
) -> None:
    bench = Bench(policy(max_change=most), tubes=FULL)
    bench.bill(500)  # nuts for 240 leave the least
    bench.stacks(500)
    assert len(bench.findings) == told


def test_nor_one_that_the_tubes_can_t_change() -> None:
    bench = Bench(tubes=((2, 20, 9),))
    bench.bill(500)
    bench.stacks(500)
    assert bench.findings == ["a bill of 500 is taken, and nobody could give change on 500"]


@pytest.mark.parametrize(("way", "told"), [("auto", 0), ("hold", 1)])
def test_a_bill_waits_where_the_owner_has_it_wait(way: str, told: int) -> None:
    bench = Bench(policy(escrow=way), tubes=FULL)
    bench.bill(500)
    bench.stacks(500)
    assert len(bench.findings) == told


@pytest.mark.parametrize(("way", "told"), [("hold", 0), ("keep", 1)])
def test_a_bill_is_kept_where_the_owner_keeps_it(way: str, told: int) -> None:
    bench = Bench(policy(escrow=way))
    bench.bill(500)
    bench.opens(bill=200)
    assert len(bench.findings) == told


@pytest.mark.parametrize("card", [None, SimpleNamespace(refundable=False)])
def test_a_reader_that_can_t_refund_is_asked_behind_the_bill(card: object) -> None:
    told = SimpleNamespace(can_refund=card is not None, level=3)
    mute = SimpleNamespace(
        settings=told, cash_sales=(), card=card, told_of_card=True, state=ReaderState.IDLE
    )
    bench = Bench(tubes=FULL, readers={"cashless1": mute})
    request = rec.ApprovalRequested(device="cashless1", amount=20, item=1)
    bench.bill(500)
    first, second = bench.opens(bill=180), bench.opens(bill=180)
    bench.stacks(500, first)
    bench.told(request, first)
    assert bench.findings == []
    bench.told(request, second)
    assert len(bench.findings) == 1


def returns(bench: Bench, reason: str) -> None:
    bench.told(rec.CreditReturnOpened(amount=100, reason=reason))


def test_money_comes_back_behind_a_try_where_the_owner_wants_one() -> None:
    bench = Bench(policy(must_vend=True))
    bench.coins(100)
    returns(bench, "coin return")
    assert len(bench.findings) == 1
    bench.rules.purse.keyed("A3")
    returns(bench, "coin return")
    assert len(bench.findings) == 1


@pytest.mark.parametrize(
    ("waits", "reason", "told"), [(60.0, "timeout", 0), (5.0, "timeout", 1), (90.0, "", 1)]
)
def test_forgotten_credit_goes_back_in_its_time(waits: float, reason: str, told: int) -> None:
    bench = Bench(policy(credit_timeout_s=30.0))
    bench.coins(100)
    bench.now_s += waits
    if reason:
        returns(bench, reason)
    else:
        bench.rules.check(bench.evidence)
    assert len(bench.findings) == told


@pytest.mark.parametrize(("waits", "told"), [(0.5, 0), (12.0, 1), (31.0, 0)])
def test_credit_is_not_forgotten_while_its_customer_keys(waits: float, told: int) -> None:
    bench = Bench(policy(credit_timeout_s=30.0))
    bench.coins(100)
    bench.now_s += 29.0
    bench.rules.purse.keyed("A1")
    bench.now_s += waits
    returns(bench, "timeout")
    assert len(bench.findings) == told


def test_nobody_keeps_it_where_the_owner_does_not() -> None:
    bench = Bench(policy(credit_timeout_s=30.0))
    bench.coins(100)
    bench.now_s += 31.0
    bench.told(rec.CreditKept(coins=100, bills=0, lots=()))
    assert bench.findings == ["forgotten credit: keep, and the owner wants 'pay'"]


def pays(bench: Bench, count: int) -> None:
    intent = {
        "amount": 10 * count, "plan": ((1, count),), "by_value": False, "coins": 0, "bills": 0,
        "lots": (), "tubes": FULL, "reason": "change",
    }  # fmt: skip
    bench.told(rec.PayoutIntended.model_validate(intent))


def test_the_owner_s_reserve_is_never_paid(bench: Bench) -> None:
    pays(bench, 25)
    assert bench.findings == []
    pays(bench, 26)
    assert bench.findings == ["26 of 30 coins of 10 are paid, and the owner keeps 5"]


@pytest.mark.parametrize(("coins", "told"), [(9, 0), (1, 1)])
def test_nothing_is_sold_whose_change_can_t_be_paid(coins: int, told: int) -> None:
    bench = Bench(tubes=((2, 20, coins),))
    vend = bench.opens()
    done = {"column": "A3", "outcome": "dropped", "drops": 1}
    bench.told(rec.DispenseFinished.model_validate(done), vend)
    claim = rec.ClaimOpened(
        amount=60, tender="cash", code="00000203171412424254", reason="not enough coins"
    )
    bench.told(claim, vend)
    assert len(bench.findings) == told


# ----------------------------------------------------------------------------- promises, orders


def granted(column: str = "A3") -> rec.RightGranted:
    return rec.RightGranted(id="free-1", kind="free", column=column, lives_ms=60_000, by="fleet")


def held(bench: Bench, right: int, column: str) -> None:
    data = rec.RightHeld(right=right, kind="free", worth=50)
    bench.told(data, bench.opens(column))


def test_a_grant_buys_what_it_is_for(bench: Bench) -> None:
    right = bench.told(granted())
    held(bench, right, "A3")
    assert bench.findings == []
    held(bench, right, "B4")
    assert bench.findings == ["free-1 is for A3, and pays B4"]


def test_a_grant_ends_with_its_time(bench: Bench) -> None:
    right = bench.told(granted(""))
    bench.now_s += 59.0
    bench.rules.check(bench.evidence)
    assert bench.findings == []
    bench.now_s += 2.0
    bench.rules.check(bench.evidence)
    held(bench, right, "B4")
    assert bench.findings == [
        "free-1 is still open, and its time is over", "free-1 pays B4, and its time is over"
    ]  # fmt: skip


def test_a_machine_that_is_locked_sells_nothing(bench: Bench) -> None:
    bench.told(rec.MachineLocked(reason="", by="fleet: a"))
    bench.opens()
    bench.told(rec.MachineUnlocked(by="fleet: a"))
    bench.opens()
    assert bench.findings == ["A3 is sold by a machine that is locked"]


@pytest.mark.parametrize("code", ["00000203171412424254", "00000203171412424255"])
def test_a_claim_s_code_is_its_own_and_can_be_keyed_in(code: str, bench: Bench) -> None:
    first = rec.ClaimOpened(
        amount=60, tender="cash", code="00000203171412424254", reason="not enough coins"
    )
    bench.told(first, 1)
    assert bench.findings == []
    bench.told(first.model_copy(update={"code": code}), 1)
    assert len(bench.findings) == 1


@pytest.mark.parametrize(
    ("opened_s", "stops_s", "told"), [(1.0, 0.05, 0), (1.0, 0.4, 1), (-1.0, 2.0, 0)]
)
def test_a_motor_stands_still_once_the_door_is_opened(
    bench: Bench, opened_s: float, stops_s: float, told: int
) -> None:
    manners = bench.rules.manners
    if opened_s < 0:  # a technician's test
        manners.door(True)
        bench.now_s -= opened_s
    manners.motor(on=True, evidence=bench.evidence)
    if opened_s > 0:
        bench.now_s += opened_s
        manners.door(True)
    bench.now_s += stops_s
    manners.motor(on=False, evidence=bench.evidence)
    assert len(bench.findings) == told
