"""The physical truth: things are moved, never made."""

from __future__ import annotations

import json

import pytest

from simulator.truth import (
    BIN,
    CASHBOX,
    CUSTOMER,
    SLOT,
    TECHNICIAN,
    TRAY,
    AuthState,
    Kind,
    Thing,
    Truth,
    TruthError,
    column,
    tube,
)

EURO = Thing(Kind.COIN, 100)
COLA = Thing(Kind.PRODUCT, name="cola")


def test_a_coins_way_is_on_the_customers_account() -> None:
    truth = Truth()
    truth.customer = "ann"
    truth.move(EURO, CUSTOMER, SLOT, 2)
    truth.move(EURO, SLOT, tube(4), 2)
    truth.customer = "bob"
    truth.move(EURO, tube(4), TRAY)
    assert truth.accounts["ann"].spent == 200
    assert truth.accounts["bob"].spent == -100
    assert truth.take_tray() == 100
    assert truth.value(tube(4)) == 100
    totals = truth.totals()
    assert (totals.inserted, totals.returned, totals.tubes) == (200, 100, 100)


def test_what_is_not_there_cannot_be_moved() -> None:
    truth = Truth()
    with pytest.raises(TruthError, match="not in cashbox"):
        truth.move(EURO, CASHBOX, TRAY)
    with pytest.raises(TruthError, match="cannot move 0"):
        truth.move(EURO, CUSTOMER, SLOT, 0)


def test_products_are_counted_for_who_stands_there() -> None:
    truth = Truth()
    truth.move(COLA, TECHNICIAN, column("A1"), 10)
    truth.customer = "ann"
    truth.move(COLA, column("A1"), BIN, 2)
    assert truth.accounts["ann"].products == ["cola", "cola"]
    assert truth.count(column("A1"), COLA) == 8
    assert truth.totals().products == 2
    assert set(truth.places()) == {column("A1"), BIN}


@pytest.mark.parametrize(
    ("way", "charged"),
    [
        ("approved", 100),
        ("approved captured", 100),
        ("approved refunded", 0),
        ("approved captured refunded", 0),
        ("declined", 0),
        ("cancelled", 0),
    ],
)
def test_a_card_payment_goes_its_way(way: str, charged: int) -> None:
    truth = Truth()
    truth.customer = "ann"
    entry = truth.request_card("cashless1", "ann's", 120, 7)
    for state in way.split():
        truth.set_card(entry, AuthState(state), "why", amount=100 if state == "approved" else None)
    assert truth.accounts["ann"].charged == charged == entry.charged
    totals = truth.totals()
    assert totals.card_captured + totals.card_approved == charged
    assert bool(truth.open_cards()) == (way == "approved")
    assert truth.open_cards("cashless2") == []


def test_a_card_payment_cannot_jump() -> None:
    truth = Truth()
    entry = truth.request_card("cashless1", "card", 120, 7)
    with pytest.raises(TruthError, match="cannot be captured"):
        truth.set_card(entry, AuthState.CAPTURED, "why")
    truth.set_card(entry, AuthState.APPROVED, "why", amount=120)
    truth.set_card(entry, AuthState.REFUNDED, "why")
    with pytest.raises(TruthError, match="cannot be refunded"):
        truth.set_card(entry, AuthState.REFUNDED, "twice")


def test_a_long_run_can_forget_customers() -> None:
    truth = Truth()
    truth.customer = "ann"
    truth.move(EURO, CUSTOMER, SLOT)
    closed = truth.request_card("cashless1", "card", 120, 7)
    truth.set_card(closed, AuthState.DECLINED, "why")
    still_open = truth.request_card("cashless1", "card", 120, 7)
    account = truth.forget("ann")
    assert account.inserted == 100
    assert list(truth.authorisations) == [still_open.id]
    assert "ann" not in truth.accounts
    assert truth.totals().inserted == 100


def test_the_log_tells_what_happened_in_order() -> None:
    now = 0.0
    truth = Truth(lambda: now)
    truth.customer = "ann"
    truth.move(EURO, CUSTOMER, SLOT)
    now = 1.5
    truth.move(EURO, SLOT, TRAY, why="inhibited")
    assert [(fact.seq, fact.at_s, fact.customer, fact.detail) for fact in truth.log] == [
        (1, 0.0, "ann", "coin 100: customer -> slot"),
        (2, 1.5, "ann", "coin 100: slot -> tray (inhibited)"),
    ]


def test_the_truth_survives_json() -> None:
    truth = Truth()
    truth.customer = "ann"
    truth.move(EURO, CUSTOMER, SLOT)
    truth.move(EURO, SLOT, tube(4))
    truth.move(COLA, TECHNICIAN, column("A1"), 3)
    entry = truth.request_card("cashless1", "card", 120, 7)
    truth.set_card(entry, AuthState.APPROVED, "why", amount=120)
    truth.credit_card("cashless1", "card", 50, "revalue")
    again = Truth()
    again.from_state(json.loads(json.dumps(truth.to_state())))
    assert again.totals() == truth.totals()
    assert again.to_state() == truth.to_state()
    assert again.accounts["ann"].spent == 100 + 120 - 50
    again.set_card(again.authorisations[entry.id], AuthState.CAPTURED, "power")
    assert again.totals().card_captured == 120
