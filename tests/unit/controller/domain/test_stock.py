"""Stock: which column serves, what is counted, what is doubted."""

import json

import pytest

from controller.domain.planogram import Column, Planogram, Product
from controller.domain.stock import ColumnStock, Refusal, Stock

PLAN = Planogram(
    [Product("water", "Still water"), Product("cola", "Cola")],
    [
        Column("A1", "water", 150, 8, 1),
        Column("A2", "cola", 200, 8, 2),
        Column("A3", "water", 150, 8, 3),
        Column("A4", "water", 150, 8, 4),
    ],
)


def stock(**counts: int) -> Stock:
    result = Stock()
    for column, count in counts.items():
        result.set(column, count)
    return result


def test_the_requested_column_serves_first_then_the_fullest_of_its_product() -> None:
    assert stock(A1=1, A2=9, A3=4, A4=7).candidates(PLAN, "A1") == ("A1", "A4", "A3")
    assert stock(A1=0, A3=4, A4=4).candidates(PLAN, "A1") == ("A3", "A4")


def test_a_column_whose_count_is_doubted_serves_last() -> None:
    s = stock(A1=1, A3=4, A4=9)
    s.doubt("A4")
    assert s.of("A4") == ColumnStock(8, uncertain=True)
    assert s.candidates(PLAN, "A1") == ("A1", "A3", "A4")


def test_a_selection_that_cannot_be_served_says_why() -> None:
    s = stock(A1=0, A2=3)
    assert s.candidates(PLAN, "Z9") is Refusal.NO_SUCH_SELECTION
    assert s.candidates(PLAN, "A1") is Refusal.SOLD_OUT
    s.disable("A2", "column.jammed")
    assert s.candidates(PLAN, "A2") is Refusal.OUT_OF_ORDER
    s.enable("A2")
    assert s.candidates(PLAN, "A2") == ("A2",)


def test_a_disabled_column_is_passed_over() -> None:
    s = stock(A1=5, A3=2)
    s.disable("A1", "")
    assert s.of("A1").disabled
    assert s.candidates(PLAN, "A1") == ("A3",)


def test_selections_are_on_sale_while_any_column_of_the_product_can_serve() -> None:
    s = stock(A1=0, A2=0, A3=1)
    assert s.on_sale(PLAN) == {"A1", "A3", "A4"}
    s.take("A3")
    assert s.on_sale(PLAN) == frozenset()


def test_what_was_seen_to_fall_is_counted() -> None:
    s = stock(A1=5)
    s.take("A1")
    s.take("A1", drops=2)
    assert s.of("A1") == ColumnStock(2)


def test_more_than_was_believed_makes_the_count_uncertain_and_never_negative() -> None:
    s = stock(A1=1)
    s.take("A1", drops=2)
    assert s.of("A1") == ColumnStock(0, uncertain=True)
    s.set("A1", -3)
    assert s.of("A1") == ColumnStock(0)


def test_counting_ends_the_doubt() -> None:
    s = stock(A1=3)
    s.doubt("A1")
    s.set("A1", 3)
    assert s.of("A1") == ColumnStock(3)


@pytest.mark.parametrize(("believed", "uncertain"), [(0, False), (2, True)])
def test_the_columns_own_switch_beats_the_count(believed: int, uncertain: bool) -> None:
    s = stock(A1=believed)
    s.found_empty("A1")
    assert s.of("A1") == ColumnStock(0, uncertain=uncertain)


def test_a_snapshot_is_json_and_gives_the_same_stock() -> None:
    s = stock(A1=3, A2=0)
    s.doubt("A1")
    s.disable("A3", "column.jammed")
    assert Stock.from_json(json.loads(json.dumps(s.to_json()))) == s
    assert s != Stock()
    assert stock(A2=0) == Stock()
    assert Stock() != "a stock"
