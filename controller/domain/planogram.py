"""What the machine sells: products, columns, and the map from what is keyed to what turns.

Pure and immutable; what is left in each column is ``controller.domain.stock``'s. A column is
named by the selection that customers key for it. Prices are ``int`` minor units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from controller.faults import ConfigError


@dataclass(frozen=True, slots=True)
class Product:
    """What a customer gets."""

    id: str
    name: str
    shared: bool = True  # any of its columns serves any of its selections
    min_age: int = 0  # years that a customer has to prove


@dataclass(frozen=True, slots=True)
class Column:
    """A motor and what it holds."""

    name: str  # also the selection, "A3"
    product: str  # the product's id
    price: int  # minor units; 0: free
    capacity: int  # products when full
    item: int  # the number that a reader's VEND REQUEST and the audit know it by
    extra_turn: bool = True  # turned once more if nothing was seen to drop
    sells_on: bool = False  # at a count of zero, until it is found to be empty
    list_price: int | None = None  # minor units; None: ``price`` is, no offer holds
    offer: str = ""

    @property
    def discount(self) -> int:
        """Return what an offer takes off, minor units."""
        return 0 if self.list_price is None else self.list_price - self.price


class Planogram:
    """All products and columns, in the order of the configuration."""

    __slots__ = ("_by_product", "_prices", "columns", "lowest_price", "products")

    def __init__(self, products: Iterable[Product], columns: Iterable[Column]) -> None:
        """Check that the parts fit.

        Raises:
            ConfigError: A name or an item number twice, an unknown product, a capacity below 1
                or a negative price.
        """
        self.products: dict[str, Product] = {}
        for product in products:
            if product.id in self.products:
                raise ConfigError(f"product {product.id!r} is there twice")
            self.products[product.id] = product
        self.columns: dict[str, Column] = {}
        self._by_product: dict[str, tuple[str, ...]] = {}
        items: dict[int, str] = {}
        for column in columns:
            name = column.name
            if name in self.columns:
                raise ConfigError(f"column {name!r} is there twice")
            if column.product not in self.products:
                raise ConfigError(f"column {name!r} holds {column.product!r}, which is no product")
            if column.capacity < 1 or column.price < 0:
                raise ConfigError(f"column {name!r}: {column.capacity=}, {column.price=}")
            if (other := items.setdefault(column.item, name)) != name:
                raise ConfigError(f"columns {other!r} and {name!r} have item number {column.item}")
            self.columns[name] = column
            self._by_product[column.product] = (*self._by_product.get(column.product, ()), name)
        self._prices = frozenset(column.price for column in self.columns.values())
        self.lowest_price = min(self._prices, default=None)  # None: there are no columns

    def find(self, selection: str) -> Column | None:
        """Return the column that a customer keyed, or None when there is none."""
        return self.columns.get(selection)

    def min_age(self, selection: str) -> int:
        """Return the years that a customer who keys this must prove; 0: none."""
        column = self.columns.get(selection)
        return 0 if column is None else self.products[column.product].min_age

    def siblings(self, column: str) -> tuple[str, ...]:
        """Return the other columns that may deliver in its place, in order. Raises KeyError."""
        product = self.columns[column].product
        if not self.products[product].shared:
            return ()
        return tuple(name for name in self._by_product[product] if name != column)

    def prices(self) -> frozenset[int]:
        """Return every price on the machine."""
        return self._prices

    def with_offers(self, reduced: Mapping[str, tuple[int, str]]) -> Planogram:
        """Return it with (price, offer's name) of some columns in place of their list prices."""
        return Planogram(
            self.products.values(),
            (
                replace(
                    column,
                    price=reduced[column.name][0],
                    list_price=column.price,
                    offer=reduced[column.name][1],
                )
                if column.name in reduced
                else column
                for column in self.columns.values()
            ),
        )

    def with_prices(self, prices: Mapping[str, int]) -> Planogram:
        """Return it with some columns' prices replaced; names it does not have are left out."""
        return Planogram(
            self.products.values(),
            (
                replace(column, price=prices.get(column.name, column.price))
                for column in self.columns.values()
            ),
        )
