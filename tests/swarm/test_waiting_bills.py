"""A bill that waits in escrow goes back where credit does."""

from __future__ import annotations

import pytest

from controller.journal import records as rec
from tests.swarm.bench import Bench, settings

POLICY = settings().policy


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.told(rec.BillEscrowed(device="bill", bill=0, value=500, answer="90"))
    return bench


def back(bench: Bench) -> None:
    bench.told(rec.BillReturnIntended(device="bill", bill=0, value=500, reason="coin return"))


@pytest.mark.parametrize("returned", [True, False])
def test_a_bill_waits_before_a_visit_or_a_stop(bench: Bench, returned: bool) -> None:
    if returned:
        back(bench)
    bench.told(rec.ServiceEntered(by="technician"))
    bench.told(rec.StopRequested(reason="test"))
    told = [
        f"{what} is on record, and a bill of 500 waits in escrow"
        for what in ("service.entered", "stop.requested")
    ]
    assert bench.findings == ([] if returned else told)


@pytest.mark.parametrize("returned", [True, False])
def test_a_bill_waits_behind_credit_that_goes_back(bench: Bench, returned: bool) -> None:
    saga = bench.told(rec.CreditReturnOpened(amount=50, reason="coin return"))
    if returned:
        back(bench)
    bench.told(rec.VendClosed(result="refunded"), saga)
    told = ["credit has gone back, and a bill of 500 waits in escrow"]
    assert bench.findings == ([] if returned else told)


def test_a_bill_that_comes_while_credit_goes_back_is_the_next_customers() -> None:
    bench = Bench()
    saga = bench.told(rec.CreditReturnOpened(amount=50, reason="coin return"))
    bench.told(rec.BillEscrowed(device="bill", bill=0, value=500, answer="90"))
    bench.told(rec.VendClosed(result="refunded"), saga)
    assert bench.findings == []


@pytest.mark.parametrize("multi_vend", [True, False])
def test_a_bill_waits_behind_a_sale(multi_vend: bool) -> None:
    bench = Bench(settings(policy=POLICY.model_copy(update={"multi_vend": multi_vend})))
    bench.told(rec.BillEscrowed(device="bill", bill=0, value=500, answer="90"))
    vend = bench.opens()
    bench.told(rec.VendClosed(result="sold"), vend)
    told = ["A3 was sold, and a bill of 500 waits in escrow"]
    assert bench.findings == ([] if multi_vend else told)


@pytest.mark.parametrize("returned", [True, False])
def test_a_bill_alone_is_asked_back(bench: Bench, returned: bool) -> None:
    bench.rules.purse.keyed("*")
    if returned:
        back(bench)
    bench.rules.check(bench.evidence)
    assert bench.findings == ([] if returned else ["a bill of 500 waits, and was asked back"])


def test_a_star_behind_other_keys_may_mean_them(bench: Bench) -> None:
    bench.rules.purse.keyed("A3")
    bench.rules.purse.keyed("*")
    bench.rules.check(bench.evidence)
    assert bench.findings == []


@pytest.mark.parametrize("what", ["must_vend", "basket"])
def test_an_owner_may_want_a_try_before_a_bill_goes_back(what: str) -> None:
    bench = Bench(settings(policy=POLICY.model_copy(update={what: True})))
    bench.told(rec.BillEscrowed(device="bill", bill=0, value=500, answer="90"))
    bench.rules.purse.keyed("*")
    bench.rules.check(bench.evidence)
    assert bench.findings == []


@pytest.mark.parametrize(("outcome", "told"), [("cancelled", 0), ("not_proved", 1)])
def test_the_key_that_ends_a_question_of_age_asks_no_bill_back(
    bench: Bench, outcome: str, told: int
) -> None:
    bench.rules.purse.keyed("A3")
    bench.now_s += 50.0
    bench.rules.purse.keyed("*")
    asked = {"device": "cashless1", "age": 18, "column": "A3", "outcome": outcome}
    bench.told(rec.AgeChecked.model_validate(asked))
    bench.rules.check(bench.evidence)
    assert bench.findings == ["a bill of 500 waits, and was asked back"] * told
