"""The planogram: what fits, what is found."""

import pytest

from controller.domain.planogram import Column, Planogram, Product
from controller.faults import ConfigError

WATER, COLA = Product("water", "Still water"), Product("cola", "Cola")
A1 = Column("A1", "water", 150, 8, 1)
A2 = Column("A2", "cola", 200, 8, 2)
A3 = Column("A3", "water", 160, 6, 3)


def test_a_selection_finds_its_column_and_its_product() -> None:
    plan = Planogram([WATER, COLA], [A1, A2, A3])
    assert plan.find("A2") is A2
    assert plan.find("B7") is None
    assert plan.products[plan.columns["A3"].product] is WATER
    assert list(plan.columns) == ["A1", "A2", "A3"]


def test_columns_of_one_product_know_each_other() -> None:
    plan = Planogram([WATER, COLA], [A1, A2, A3])
    assert plan.siblings("A1") == ("A3",)
    assert plan.siblings("A3") == ("A1",)
    assert plan.siblings("A2") == ()


def test_prices_can_be_replaced_by_column() -> None:
    plan = Planogram([WATER, COLA], [A1, A2, A3])
    assert plan.prices() == {150, 200, 160}
    dearer = plan.with_prices({"A1": 155, "Z9": 1})
    assert dearer.prices() == {155, 200, 160}
    assert plan.find("A1") is A1
    assert Planogram([], []).prices() == set()


@pytest.mark.parametrize(
    ("products", "columns", "words"),
    [
        ([WATER, WATER], [], "'water' is there twice"),
        ([WATER], [A1, A1], "'A1' is there twice"),
        ([WATER], [A2], "'cola', which is no product"),
        ([WATER], [Column("A1", "water", 150, 0, 1)], "capacity"),
        ([WATER], [Column("A1", "water", -1, 5, 1)], "price"),
        ([WATER], [A1, Column("B1", "water", 150, 8, 1)], "item number 1"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(
    products: list[Product], columns: list[Column], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        Planogram(products, columns)
