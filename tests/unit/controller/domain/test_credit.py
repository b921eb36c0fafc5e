"""Credit: which lots are used, where their money is, what can't happen."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controller.domain.credit import Credit, Lot, Order, Picked, Pocket
from controller.faults import InvariantError


def three_lots() -> Credit:
    """Return 2.00 in coins (lot 3), a 5 (lot 7), 0.50 in coins (lot 9)."""
    credit = Credit()
    credit.deposit(3, Pocket.COINS, 200)
    credit.deposit(7, Pocket.BILLS, 500)
    credit.deposit(9, Pocket.COINS, 50)
    return credit


def test_totals_are_told_per_pocket() -> None:
    credit = three_lots()
    assert (credit.total, credit.coins, credit.bills, credit.held) == (750, 250, 500, 0)


@pytest.mark.parametrize(
    ("amount", "order", "picked"),
    [
        (0, Order.OLDEST, Picked((), 0, 0)),
        (150, Order.OLDEST, Picked(((3, 150),), 150, 0)),
        (200, Order.OLDEST, Picked(((3, 200),), 200, 0)),
        (300, Order.OLDEST, Picked(((3, 200), (7, 100)), 200, 100)),
        (300, Order.COINS_FIRST, Picked(((3, 200), (9, 50), (7, 50)), 250, 50)),
        (520, Order.BILLS_FIRST, Picked(((7, 500), (3, 20)), 20, 500)),
        (750, Order.OLDEST, Picked(((3, 200), (7, 500), (9, 50)), 250, 500)),
        (751, Order.OLDEST, None),
    ],
)
def test_lots_are_picked_in_the_order_asked_for(
    amount: int, order: Order, picked: Picked | None
) -> None:
    credit = three_lots()
    assert credit.pick(amount, order) == picked
    assert credit == three_lots(), "picking changes nothing"


def test_all_that_is_free_can_be_picked_for_a_return() -> None:
    credit = three_lots()
    credit.lock([(3, 150)])
    picked = credit.pick_cash()
    assert picked == Picked(((3, 50), (7, 500), (9, 50)), 100, 500)
    assert picked.amount == 600


def test_a_failed_vend_gives_back_the_very_lots_it_locked() -> None:
    credit = three_lots()
    picked = credit.pick(300)
    assert picked is not None
    credit.lock(picked.lots)
    assert (credit.total, credit.held) == (450, 300)
    credit.restore(picked.lots)
    assert credit == three_lots()


def test_a_sold_product_and_its_change_leave_nothing_behind() -> None:
    credit = three_lots()
    credit.lock([(3, 200), (7, 100)])
    credit.earn([(3, 200), (7, 100)])
    assert (credit.total, credit.held) == (450, 0)
    credit.withdraw(credit.pick_cash().lots)
    assert credit == Credit()
    assert credit.lots == ()


def test_money_that_was_held_in_part_stays_with_its_lot() -> None:
    credit = three_lots()
    credit.lock([(7, 500)])
    assert credit.lots[1] == Lot(7, Pocket.BILLS, 0, 500)
    credit.restore([(7, 500)])
    assert credit.pick(250) == Picked(((3, 200), (7, 50)), 200, 50)


@pytest.mark.parametrize("lots", [[(4, 10)], [(3, 201)], [(3, -1)], [(3, 150), (3, 60)]])
def test_more_than_a_lot_has_cannot_be_used(lots: list[tuple[int, int]]) -> None:
    with pytest.raises(InvariantError):
        three_lots().lock(lots)
    with pytest.raises(InvariantError):
        three_lots().withdraw(lots)


def test_what_is_not_held_can_be_neither_earned_nor_restored() -> None:
    for use in (Credit.earn, Credit.restore):
        with pytest.raises(InvariantError):
            use(three_lots(), [(3, 10)])


def test_lots_come_in_the_order_of_the_journal() -> None:
    credit = three_lots()
    for seq in (9, 8):
        with pytest.raises(InvariantError):
            credit.deposit(seq, Pocket.COINS, 10)
    with pytest.raises(InvariantError):
        credit.deposit(10, Pocket.COINS, -10)
    credit.deposit(10, Pocket.COINS, 0)  # a token is no money
    assert credit == three_lots()


@given(st.lists(st.tuples(st.sampled_from(Pocket), st.integers(1, 900)), max_size=6), st.data())
def test_a_snapshot_is_json_and_gives_the_same_credit(
    deposits: list[tuple[Pocket, int]], data: st.DataObject
) -> None:
    credit = Credit()
    for seq, (pocket, amount) in enumerate(deposits, start=1):
        credit.deposit(seq, pocket, amount)
    picked = credit.pick(data.draw(st.integers(0, credit.total)), data.draw(st.sampled_from(Order)))
    assert picked is not None
    credit.lock(picked.lots)
    assert Credit.from_json(json.loads(json.dumps(credit.to_json()))) == credit


class Customers(RuleBasedStateMachine):
    """Any course of deposits, vends and payouts keeps every cent in exactly one place."""

    def __init__(self) -> None:
        super().__init__()
        self.credit = Credit()
        self.seq = 0
        self.paid_in = self.gone = 0
        self.open: list[Picked] = []

    @rule(pocket=st.sampled_from(Pocket), amount=st.integers(1, 500))
    def insert(self, pocket: Pocket, amount: int) -> None:
        self.seq += 1
        self.credit.deposit(self.seq, pocket, amount)
        self.paid_in += amount

    @rule(price=st.integers(1, 700), order=st.sampled_from(Order))
    def authorise(self, price: int, order: Order) -> None:
        picked = self.credit.pick(price, order)
        assert (picked is None) == (price > self.credit.total)
        if picked is not None:
            assert picked.amount == price
            self.credit.lock(picked.lots)
            self.open.append(picked)

    @precondition(lambda self: self.open)
    @rule(sold=st.booleans())
    def end_vend(self, sold: bool) -> None:
        picked = self.open.pop(0)
        if sold:
            self.credit.earn(picked.lots)
            self.gone += picked.amount
        else:
            self.credit.restore(picked.lots)

    @rule()
    def return_credit(self) -> None:
        picked = self.credit.pick_cash()
        assert picked.product == 0
        self.credit.withdraw(picked.lots)
        self.gone += picked.amount

    @rule()
    def claim_what_only_buys(self) -> None:
        picked = self.credit.pick_product()
        assert (picked.coins, picked.bills) == (0, 0)
        self.credit.withdraw(picked.lots)
        self.gone += picked.amount

    @invariant()
    def every_cent_is_somewhere(self) -> None:
        credit = self.credit
        assert self.paid_in == credit.total + credit.held + self.gone
        assert credit.held == sum(picked.amount for picked in self.open)
        assert credit.total == credit.coins + credit.bills + credit.product
        assert credit.cash == credit.coins + credit.bills
        assert all(lot.free or lot.held for lot in credit.lots)


TestCustomers = Customers.TestCase


def test_credit_that_only_buys_is_used_first() -> None:
    credit = Credit()
    credit.deposit(1, Pocket.COINS, 100)
    credit.deposit(2, Pocket.PRODUCT, 150)
    picked = credit.pick(200)
    assert picked == Picked(((2, 150), (1, 50)), 50, 0, 150)
