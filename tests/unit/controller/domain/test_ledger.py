"""The ledger: what it refuses, what it sums."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain import accounts as acc
from controller.domain.ledger import Ledger, Row
from controller.faults import InvariantError

moves = st.lists(
    st.tuples(st.sampled_from(acc.ALL), st.sampled_from(acc.ALL), st.integers(-500, 500)),
    max_size=20,
)


def test_an_empty_ledger_is_at_zero_everywhere() -> None:
    ledger = Ledger()
    assert ledger.cash() == ledger.owed() == 0
    assert {(row.debit, row.credit) for row in ledger.trial_balance()} == {(0, 0)}
    assert [row.account for row in ledger.trial_balance()] == list(acc.ALL)


def test_a_sale_with_change_moves_money_from_the_coin_to_the_revenue() -> None:
    ledger = Ledger()
    ledger.post([(acc.CASH_TUBES, 50), (acc.CASH_CASHBOX, 200), (acc.CREDIT_COINS, -250)])
    assert (ledger.cash(), ledger.owed()) == (250, 250)
    ledger.post([(acc.CREDIT_COINS, 235), (acc.HELD_CASH, -235)])
    assert (ledger.cash(), ledger.owed()) == (250, 250)
    ledger.post([(acc.HELD_CASH, 235), (acc.REVENUE_CASH, -235)])
    ledger.post([(acc.CREDIT_COINS, 15), (acc.PAYOUT_OWED, -15)])
    ledger.post([(acc.CASH_TUBES, -15), (acc.PAYOUT_OWED, 15)])
    assert (ledger.cash(), ledger.owed()) == (235, 0)
    assert ledger.balance(acc.REVENUE_CASH) == -235
    assert Row(acc.REVENUE_CASH, 0, 235) in ledger.trial_balance()
    assert Row(acc.CASH_TUBES, 35, 0) in ledger.trial_balance()


def test_a_bill_in_escrow_and_a_claim_are_owed_too() -> None:
    ledger = Ledger()
    ledger.post([(acc.CASH_ESCROW, 500), (acc.ESCROW_OWED, -500)])
    ledger.post([(acc.CARD_RECEIVABLE, 120), (acc.HELD_CARD, -120)])
    ledger.post([(acc.HELD_CARD, 120), (acc.CLAIMS_CARD, -120)])
    assert ledger.owed() == 620
    assert ledger.cash() == 500


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([(acc.CASH_TUBES, 5)], id="one side only"),
        pytest.param([(acc.CASH_TUBES, 5), (acc.OPERATOR, -4)], id="a cent short"),
        pytest.param([("cash.tube", 5), (acc.OPERATOR, -5)], id="a misspelt account"),
    ],
)
def test_wrong_postings_are_refused_whole(lines: list[tuple[str, int]]) -> None:
    ledger = Ledger()
    with pytest.raises(InvariantError):
        ledger.post(lines)
    assert ledger == Ledger()
    with pytest.raises(InvariantError):
        Ledger(dict(lines))


@given(moves)
def test_whatever_is_posted_the_balances_sum_to_zero_and_survive_a_snapshot(
    moves: list[tuple[str, str, int]],
) -> None:
    ledger = Ledger()
    for to, source, amount in moves:
        ledger.post([(to, amount), (source, -amount)])
    rows = ledger.trial_balance()
    assert sum(row.debit for row in rows) == sum(row.credit for row in rows)
    assert all(row.debit == 0 or row.credit == 0 for row in rows)
    assert Ledger(ledger.to_json()) == ledger


def test_an_account_back_at_zero_is_as_if_it_had_never_been_used() -> None:
    used = Ledger()
    used.post([(acc.CASH_TUBES, 5), (acc.OPERATOR, -5)])
    assert used != Ledger()
    used.post([(acc.CASH_TUBES, -5), (acc.OPERATOR, 5)])
    assert used == Ledger()
    assert used.to_json() == {}
    assert used != "a ledger"
