"""Change: the plan against brute force, the largest partial sum, and the exact-change rule."""

from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.tubes import (
    BILLS_FROM,
    NOTHING,
    ChangeRule,
    PayoutPlan,
    TubeCoins,
    best_partial,
    can_change,
    exact_change_only,
    left_by_greatest_first,
    payable,
    plan_payout,
)


def tubes(**counts: int) -> list[TubeCoins]:
    """Make `tubes(v5=10, v20=3)`: ten 5s as type 0 and three 20s as type 1."""
    return [
        TubeCoins(kind, int(name[1:]), count) for kind, (name, count) in enumerate(counts.items())
    ]


EURO = tubes(v5=20, v10=20, v20=20, v50=20, v100=20, v200=20)


def value_of(plan: PayoutPlan, available: list[TubeCoins]) -> int:
    value = {coins.type: coins.value for coins in available}
    return sum(value[kind] * count for kind, count in plan.coins)


def all_ways(available: list[TubeCoins]) -> Iterator[tuple[int, ...]]:
    return product(*(range(coins.count + 1) for coins in available))


def scarcity(available: list[TubeCoins], way: tuple[int, ...]) -> int:
    total: dict[int, list[int]] = {}
    for coins, taken in zip(available, way, strict=True):
        had = total.setdefault(coins.value, [0, 0])
        had[0] += coins.count
        had[1] += taken
    return sum(720_720 // k for had, taken in total.values() for k in range(had, had - taken, -1))


small_tubes = st.lists(
    st.tuples(st.sampled_from([1, 2, 3, 4, 5, 7, 10]), st.integers(0, 4)), min_size=0, max_size=4
).map(lambda rows: [TubeCoins(kind, *row) for kind, row in enumerate(rows)])


# ------------------------------------------------------------------------------- the plan


@pytest.mark.parametrize(
    ("amount", "available", "coins"),
    [
        pytest.param(0, EURO, (), id="nothing owed, nothing paid"),
        pytest.param(235, EURO, ((5, 1), (2, 1), (1, 1), (0, 1)), id="the usual change"),
        pytest.param(60, tubes(v20=3, v50=1), ((0, 3),), id="greedy takes the 50 and is stuck"),
        pytest.param(80, tubes(v10=8, v40=2, v50=1), ((1, 2),), id="greedy needs four coins"),
        pytest.param(30, tubes(v10=1, v20=0, v5=4), ((0, 1), (2, 4)), id="what is there is used"),
        pytest.param(40, tubes(v20=1, v30=0, v10=2), ((0, 1), (2, 2)), id="an empty tube is none"),
    ],
)
def test_a_plan_is_exact_and_has_the_fewest_coins(
    amount: int, available: list[TubeCoins], coins: tuple[tuple[int, int], ...]
) -> None:
    plan = plan_payout(amount, available)
    assert plan == PayoutPlan(amount, coins)


@pytest.mark.parametrize(
    ("amount", "available"),
    [
        (5, []),
        (3, EURO),
        (30, tubes(v20=5, v50=5)),
        (205, tubes(v200=1, v10=9)),
        (100_000, EURO),
        (-5, EURO),
        (5, [TubeCoins(0, 0, 10)]),
    ],
)
def test_no_plan_is_made_where_no_coins_sum_to_the_amount(
    amount: int, available: list[TubeCoins]
) -> None:
    assert plan_payout(amount, available) is None


def test_among_equally_few_coins_the_rare_ones_stay() -> None:
    # 60 in three coins: three 20s, or a 50 and two 5s.
    assert plan_payout(60, tubes(v20=30, v50=30, v5=2)) == PayoutPlan(60, ((0, 3),))
    assert plan_payout(60, tubes(v20=3, v50=30, v5=30)) == PayoutPlan(60, ((1, 1), (2, 2)))


def test_of_two_types_with_one_value_the_higher_numbered_pays_first() -> None:
    old_and_new = [TubeCoins(2, 20, 3), TubeCoins(3, 20, 2)]
    assert plan_payout(60, old_and_new) == PayoutPlan(60, ((3, 2), (2, 1)))


def test_a_token_never_pays() -> None:
    assert plan_payout(20, [TubeCoins(0, 0, 9), TubeCoins(1, 20, 1)]) == PayoutPlan(20, ((1, 1),))


def test_the_number_of_pieces_is_told() -> None:
    assert PayoutPlan(235, ((5, 1), (2, 3))).pieces == 4
    assert NOTHING.pieces == 0


@given(small_tubes, st.integers(0, 40))
def test_a_plan_agrees_with_trying_every_set_of_coins(
    available: list[TubeCoins], amount: int
) -> None:
    ways = [
        (sum(way), scarcity(available, way))
        for way in all_ways(available)
        if sum(n * coins.value for n, coins in zip(way, available, strict=True)) == amount
    ]
    plan = plan_payout(amount, available)
    if not ways:
        assert plan is None
        return
    assert plan is not None
    taken = dict(plan.coins)
    way = tuple(taken.get(coins.type, 0) for coins in available)
    assert all(0 < taken.get(c.type, 1) <= c.count for c in available if c.type in taken)
    assert value_of(plan, available) == plan.amount == amount
    assert (plan.pieces, scarcity(available, way)) == min(ways)


@given(small_tubes, st.integers(0, 40))
def test_equal_coins_leave_from_the_higher_type_until_it_is_empty(
    available: list[TubeCoins], amount: int
) -> None:
    plan = plan_payout(amount, available) or NOTHING
    taken = dict(plan.coins)
    for low in available:
        for high in available:
            if low.value == high.value and low.type < high.type and taken.get(low.type):
                assert taken.get(high.type, 0) == high.count


# --------------------------------------------------------------------------- what can be paid


@given(small_tubes, st.integers(0, 60))
def test_the_partial_plan_is_the_largest_payable_sum_not_above_the_amount(
    available: list[TubeCoins], amount: int
) -> None:
    sums = {
        sum(n * coins.value for n, coins in zip(way, available, strict=True))
        for way in all_ways(available)
    }
    plan = best_partial(amount, available)
    assert plan.amount == max(total for total in sums if total <= amount)
    assert value_of(plan, available) == plan.amount
    assert can_change(amount, available) == (amount in sums)
    assert payable(available, 60) == sum(1 << total for total in sums if total <= 60)


def test_a_limit_far_beyond_what_the_tubes_hold_costs_nothing() -> None:
    """Each amount up to it is a bit: an owner's 999,999.99 would cost 12 MB at every coin."""
    endless = 10**18
    assert payable(EURO, endless) == payable(EURO, 7_700)
    assert best_partial(endless, EURO).amount == 7_700
    assert plan_payout(endless, EURO) is None
    assert not exact_change_only(EURO, [150], [200, 500], endless)


def test_nothing_is_paid_of_nothing() -> None:
    assert best_partial(0, EURO) == best_partial(-10, EURO) == best_partial(50, []) == NOTHING
    assert can_change(0, [])
    assert not can_change(-5, EURO)


# ------------------------------------------------------------------------- exact change only


def test_empty_tubes_ask_for_exact_change() -> None:
    assert exact_change_only([], [120], [50, 100], 1000)


def test_full_tubes_do_not() -> None:
    assert not exact_change_only(EURO, [120, 135, 250], [5, 10, 20, 50, 100, 200, 500], 500)


def test_prices_that_every_coin_meets_exactly_never_need_change() -> None:
    assert not exact_change_only([], [100, 200], [100], 1000)


def test_free_products_and_tokens_need_no_change() -> None:
    assert not exact_change_only([], [0], [0, 100], 1000)
    assert not exact_change_only([], [], [100], 1000)


def test_only_the_pieces_that_could_not_be_changed_are_named() -> None:
    rule = ChangeRule([120], [10, 20, 50, 100, 500], 1000)
    # 3.80 for a 5 needs more than three coins of 50 and four of 20 can make.
    available = tubes(v10=3, v20=4, v50=3)
    assert rule.unchangeable(available) == {500}
    assert rule.exact_change_only(available)


def test_change_above_the_promised_limit_is_not_looked_at() -> None:
    available = tubes(v10=3, v20=4, v50=3)
    assert not ChangeRule([120], [10, 20, 50, 100, 500], 200).exact_change_only(available)
    assert not ChangeRule([120], [500], 0).exact_change_only([])


def test_the_answer_follows_the_tubes() -> None:
    rule = ChangeRule([130], [50, 100], 500)
    assert rule.exact_change_only(tubes(v10=1))
    assert not rule.exact_change_only(tubes(v10=2, v50=1))
    assert not rule.exact_change_only(tubes(v10=2, v50=1))
    assert rule.exact_change_only(tubes(v10=0, v50=1))


@given(
    small_tubes,
    st.lists(st.integers(1, 15), max_size=3),
    st.lists(st.sampled_from([1, 2, 3, 5, 10]), min_size=1, max_size=3, unique=True),
    st.integers(0, 12),
)
def test_the_rule_agrees_with_playing_every_customer(
    available: list[TubeCoins], prices: list[int], accepted: list[int], limit: int
) -> None:
    unsafe = set()
    for price in prices:
        seen, open_credits = {0}, [0]
        while open_credits:
            credit = open_credits.pop()
            for piece in accepted:
                change = credit + piece - price
                if change < 0 and credit + piece not in seen:
                    seen.add(credit + piece)
                    open_credits.append(credit + piece)
                if 0 < change <= limit and not can_change(change, available):
                    unsafe.add(piece)
    assert ChangeRule(prices, accepted, limit).unchangeable(available) == unsafe


def test_bills_of_the_recycler_are_planned_with_the_coins_and_told_apart() -> None:
    available = [TubeCoins(3, 50, 9), TubeCoins(4, 100, 9), TubeCoins(BILLS_FROM, 500, 2)]
    plan = plan_payout(1_150, available)
    assert plan is not None
    assert plan.coins == ((BILLS_FROM, 2), (4, 1), (3, 1))
    assert plan.bills == ((0, 2),)


def test_a_bill_goes_before_a_coin_of_the_same_value() -> None:
    plan = plan_payout(500, [TubeCoins(5, 500, 1), TubeCoins(BILLS_FROM + 1, 500, 1)])
    assert plan is not None
    assert plan.coins == ((BILLS_FROM + 1, 1),)


# -------------------------------------------------------------- what a changer picks by itself


def test_the_greatest_coin_first_may_leave_what_no_coin_pays() -> None:
    available = tubes(v20=3, v50=1)
    assert plan_payout(60, available) == PayoutPlan(60, ((0, 3),))
    unpaid, left = left_by_greatest_first(60, available)
    assert (unpaid, left) == (10, [TubeCoins(1, 50, 0), TubeCoins(0, 20, 3)])


@given(small_tubes, st.integers(0, 40))
def test_the_greatest_coin_first_never_pays_more_than_can_be_paid(
    available: list[TubeCoins], amount: int
) -> None:
    unpaid, left = left_by_greatest_first(amount, available)
    assert amount - unpaid <= best_partial(amount, available).amount
    before, after = (sum(c.value * c.count for c in coins) for coins in (available, left))
    assert before - after == amount - unpaid
