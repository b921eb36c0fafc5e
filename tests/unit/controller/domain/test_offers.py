"""When an offer holds, and what it makes of a price."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.offers import Offer, Offers, reduced
from controller.domain.planogram import Column, Planogram, Product
from controller.journal.envelope import to_ms

LUNCH = Offer("lunch", 50, frozenset({"A1"}), frozenset({0, 1, 2, 3, 4}), 12 * 60, 14 * 60)
NIGHT = Offer("night", 100, frozenset({"A1"}), frozenset({4}), 22 * 60, 2 * 60)
SHELF = Planogram(
    [Product("water", "Water")],
    [Column("A1", "water", 155, 8, 1), Column("A2", "water", 150, 8, 2)],
)


@pytest.mark.parametrize(
    ("offer", "when", "holds"),
    [
        (LUNCH, "2026-11-20 11:59", False),  # a Friday
        (LUNCH, "2026-11-20 12:00", True),
        (LUNCH, "2026-11-20 13:59", True),
        (LUNCH, "2026-11-20 14:00", False),
        (LUNCH, "2026-11-21 12:30", False),
        (NIGHT, "2026-11-20 22:00", True),
        (NIGHT, "2026-11-21 01:59", True),
        (NIGHT, "2026-11-21 02:00", False),
        (NIGHT, "2026-11-21 22:30", False),
        (NIGHT, "2026-11-20 01:00", False),
    ],
)
def test_an_offer_holds_within_its_hours_on_its_days(offer: Offer, when: str, holds: bool) -> None:
    assert offer.holds(datetime.fromisoformat(when)) is holds


def test_hours_are_those_of_the_machines_zone() -> None:
    berlin = Offers((LUNCH,), ZoneInfo("Europe/Berlin"))
    noon = datetime(2026, 7, 17, 10, 30, tzinfo=UTC)  # 12:30 there, in summer
    assert berlin.at(int(noon.timestamp() * 1000)) == (LUNCH,)
    assert Offers((LUNCH,)).at(int(noon.timestamp() * 1000)) == ()


def hours(start: int, end: int) -> Offer:
    """Return an offer of each day, from hour to hour."""
    return Offer("hours", 50, frozenset({"A1"}), frozenset(range(7)), start * 60, end * 60)


@pytest.mark.parametrize(
    ("offer", "day", "held"),
    [
        # The clocks of Berlin went from 02:00 to 03:00 on 2026-03-29, and back on 2026-10-25.
        (hours(2, 3), "2026-03-29", []),
        (hours(1, 4), "2026-03-29", [0, 1]),
        (hours(2, 3), "2026-10-25", [0, 1]),
        (hours(1, 3), "2026-10-25", [-1, 0, 1]),
        (hours(22, 3), "2026-03-29", [-3, -2, -1, 0]),
        (hours(22, 3), "2026-10-25", [-4, -3, -2, -1, 0, 1]),
        (hours(0, 0), "2026-03-29", [-4, -3, -2, -1, 0, 1, 2, 3]),
    ],
)
def test_hours_are_those_on_the_wall_when_the_clocks_change(
    offer: Offer, day: str, held: list[int]
) -> None:
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)
    berlin = Offers((offer,), ZoneInfo("Europe/Berlin"))
    half_past = [midnight + timedelta(hours=hour, minutes=30) for hour in range(-4, 4)]
    found = [hour for hour, at in enumerate(half_past, -4) if berlin.at(to_ms(at))]
    assert found == held


def test_the_best_offer_stands_beside_the_list_price() -> None:
    less = Offer("less", 10, frozenset({"A1", "A2"}), frozenset(range(7)), 0, 0)
    shelf = reduced(SHELF, (less, LUNCH))
    one, two = shelf.columns["A1"], shelf.columns["A2"]
    assert (one.price, one.list_price, one.offer, one.discount) == (75, 155, "lunch", 80)
    assert (two.price, two.list_price, two.offer, two.discount) == (135, 150, "less", 15)
    assert reduced(SHELF, ()) is SHELF


@given(price=st.integers(0, 9_999_999), percent=st.integers(1, 100), step=st.integers(1, 100))
def test_an_offer_never_costs_more_and_never_less_than_nothing(
    price: int, percent: int, step: int
) -> None:
    offer = Offer("x", percent, frozenset(), frozenset(), 0, 0, step)
    assert 0 <= offer.price(price) <= price
    assert offer.price(price) % step == 0 or offer.price(price) == price
    assert (offer.price(price) == 0) == (percent == 100 or price == 0)


def test_rounding_to_large_coins_gives_nothing_away() -> None:
    gum = Offer("less", 10, frozenset({"A1"}), frozenset(range(7)), 0, 0, step=50)
    assert [gum.price(listed) for listed in (120, 60, 50, 40)] == [100, 50, 50, 40]
