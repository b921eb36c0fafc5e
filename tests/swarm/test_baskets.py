"""The oracle of baskets bites, and is right about those that other things than money end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from controller.journal import records as rec
from simulator.peripherals.reader_settings import OPTION_ALWAYS_IDLE, ReaderState
from simulator.swarm.plan import Act
from tests.swarm.bench import Bench

TOLD = ["a basket of 2 was begun, and what was there paid for 1"]


def reader(state: ReaderState = ReaderState.ENABLED, options: int = 0) -> Any:
    built = SimpleNamespace(options=options)
    return SimpleNamespace(state=state, settings=built, cash_sales=())


def buys(bench: Bench, *, place: int = 1, result: Any = "sold") -> None:
    """Have one item of a basket of two bought."""
    vend = bench.opens(basket=40, place=place, of=2)
    bench.told(rec.VendClosed(result=result), vend)


def left(bench: Bench) -> list[str]:
    """Have the customer leave; return what is found of the basket."""
    bench.rules.baskets.check(bench.evidence)
    return bench.findings


def test_a_basket_that_begins_is_bought_to_its_end() -> None:
    bench = Bench()
    buys(bench)
    assert left(bench) == TOLD


def test_one_that_is_bought_whole_is_right() -> None:
    bench = Bench()
    buys(bench)
    buys(bench, place=2)
    assert left(bench) == []


@pytest.mark.parametrize("act", [Act("keys", text="*"), Act("lever"), Act("card", text="card")])
def test_one_that_its_customer_ends_or_a_card_pays_for_is_right(act: Act) -> None:
    bench = Bench()
    bench.rules.baskets.acts(act)
    buys(bench)
    assert left(bench) == []


@pytest.mark.parametrize(
    "there", [reader(ReaderState.IDLE), reader(options=OPTION_ALWAYS_IDLE)], ids=["card", "asked"]
)
def test_one_that_a_reader_may_pay_for_is_right(there: Any) -> None:
    bench = Bench(readers={"cashless1": there})
    buys(bench)
    assert left(bench) == []


def test_one_whose_item_failed_is_right() -> None:
    bench = Bench()
    buys(bench, result="refunded")
    assert left(bench) == []


def test_the_rest_of_one_that_somebody_before_began_is_right() -> None:
    bench = Bench()
    buys(bench, place=2)
    assert left(bench) == []


def test_nothing_is_bought_behind_a_claim() -> None:
    bench = Bench()
    vend = bench.opens(basket=40, place=1, of=2)
    claim = rec.ClaimOpened(
        amount=200, tender="card", code="00000203171412424254", reason="the reader could not refund"
    )
    bench.told(claim, vend)
    bench.told(rec.VendClosed(result="claimed"), vend)
    bench.opens(basket=40, place=2, of=2)
    assert bench.findings == ["A3 is bought behind a claim, and its code has to be read"]
