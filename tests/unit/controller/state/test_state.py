"""The folded state's encoding, which snapshots and bases outlive."""

from __future__ import annotations

import hashlib
import json

import pytest
from pydantic import TypeAdapter

from controller.domain import accounts as acc
from controller.domain.credit import Pocket
from controller.domain.rights import Grant, Right
from controller.state.claims import Claim
from controller.state.climate import ColumnHealth
from controller.state.fold import StateFold
from controller.state.orders import Shown
from controller.state.saga import Closed, Saga
from controller.state.state import State

SHAPE = {28: "ad531728abcb62e5"}  # version -> digest of the shape; a new shape needs a new version


def test_a_new_shape_has_a_new_version() -> None:
    schema = json.dumps(TypeAdapter(State).json_schema(mode="validation"), sort_keys=True)
    digest = hashlib.sha256(schema.encode()).hexdigest()[:16]
    assert SHAPE.get(StateFold.version) == digest, "raise StateFold.version and note the digest"


def test_an_older_encoding_is_read_with_defaults_and_a_newer_one_refused() -> None:
    fold = StateFold()
    raw = json.loads(State(currency="EUR", boot=7).encode())
    del raw["failures"], raw["wrong_codes"]
    state = fold.decode(json.dumps(raw).encode(), 1)
    assert (state.boot, state.failures, state.wrong_codes) == (7, {}, 0)
    with pytest.raises(ValueError, match="version"):
        fold.decode(State().encode(), StateFold.version + 1)


def test_a_new_journal_inherits_credit_claims_and_what_open_sagas_held() -> None:
    old = State(seq=90, currency="EUR")
    old.credit.deposit(10, Pocket.COINS, 300)
    old.credit.lock(((10, 100),))
    old.ledger.post(((acc.CASH_TUBES, 340), (acc.CREDIT_COINS, -200), (acc.HELD_CASH, -100),
                     (acc.PAYOUT_OWED, -40)))  # fmt: skip
    old.ledger.post(((acc.OPERATOR, 70), (acc.CLAIMS_CASH, -70)))
    old.sagas[80] = Saga(80, "vend", held_coins=100, lots=[(10, 100)])
    old.sagas[85] = Saga(85, "return", owed=40)
    old.claims[50] = Claim(50, 40, 70, "cash", "1", "x", flagged=False)
    new = StateFold().inherit(old)
    assert (new.seq, new.sagas) == (0, {})
    assert new.credit.total == 340
    assert all(lot.seq < 0 for lot in new.credit.lots)
    assert [claim.seq for claim in new.claims.values()] == [-1]
    assert new.ledger.balance(acc.CREDIT_COINS) == -340
    assert new.ledger.balance(acc.HELD_CASH) == new.ledger.balance(acc.PAYOUT_OWED) == 0
    assert State.decode(new.encode()).encode() == new.encode()


def _asked(**changes: object) -> Saga:
    return Saga(80, "vend", device="cashless1", card_amount=200, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("saga", "owed"),
    [
        (_asked(card="approved"), [("cashless1", 200, False)]),
        (_asked(card="lost"), [("cashless1", 200, False)]),
        (_asked(intent="approval"), [("cashless1", 200, True)]),
        (_asked(card="approved", dispensed=True), []),
        (Saga(80, "vend", device="cashless1", card="refunded"), []),
    ],
    ids=["approved", "lost", "asked", "delivered", "refunded"],
)
def test_card_money_of_a_broken_journal_is_owed_unless_it_was_earned(
    saga: Saga, owed: list[tuple[str, int, bool]]
) -> None:
    old = State(seq=90, currency="EUR")
    if saga.card in ("approved", "lost"):
        old.ledger.post(((acc.CARD_RECEIVABLE, 200), (acc.HELD_CARD, -200)))
    old.sagas[80] = saga
    new = StateFold().inherit(old)
    assert new.cards_owed == owed
    assert new.ledger.balance(acc.HELD_CARD) == -sum(amount for _, amount, _ in owed)
    assert new.ledger.balance(acc.REVENUE_CARD) == (-200 if saga.dispensed else 0)


def test_a_card_that_a_broken_journal_had_asked_for_is_owed_once() -> None:
    old = State(seq=90, currency="EUR", cards_asked={"cashless1": (80, 200), "cashless2": (70, 50)})
    old.sagas[80] = _asked(intent="approval")
    # What cashless1 approves yet is only given back; cashless2's request was given up before.
    assert StateFold().inherit(old).cards_asked == {"cashless2": (70, 50)}


def test_a_power_cut_of_a_broken_journal_is_behind_no_vend_of_the_next_one() -> None:
    old = State(seq=90, currency="EUR", boot=7, power_boot=6)
    new = StateFold().inherit(old)
    assert not new.power_cut_since(Saga(3, "vend", intent="dispense", intent_boot=2))


def test_cash_of_a_vend_that_was_delivered_is_earned_when_the_journal_breaks() -> None:
    old = State(seq=90, currency="EUR")
    old.credit.deposit(10, Pocket.COINS, 300)
    old.credit.lock(((10, 200),))
    old.ledger.post(((acc.CASH_TUBES, 300), (acc.CREDIT_COINS, -100), (acc.HELD_CASH, -200)))
    old.sagas[80] = Saga(80, "vend", held_coins=200, lots=[(10, 200)], dispensed=True)
    new = StateFold().inherit(old)
    assert new.credit.total == 100
    assert new.ledger.balance(acc.REVENUE_CASH) == -200
    assert new.ledger.balance(acc.HELD_CASH) == 0


@pytest.mark.parametrize("delivered", [False, True])
def test_a_new_journal_inherits_rights_and_uses_up_those_that_had_bought(delivered: bool) -> None:
    old = State(seq=90, currency="EUR")
    old.ledger.post(((acc.TOKENS_CASHBOX, 2), (acc.TOKENS_CREDIT, -1), (acc.TOKENS_HELD, -1)))
    old.ledger.post(((acc.APP_RECEIVABLE, 250), (acc.HELD_APP, -250)))
    old.rights[10] = Right(10, "token")
    old.rights[20] = Right(20, "token", vend=80)
    old.rights[30] = Right(30, "app", 250, "A3", "pay-1", vend=81)
    old.grants["pay-1"] = Grant(30, "app", 250, "A3")
    old.sagas[80] = Saga(80, "vend", right=20, right_worth=150, dispensed=delivered)
    old.sagas[81] = Saga(81, "vend", right=30, right_worth=200, dispensed=delivered)
    new = StateFold().inherit(old)
    kinds = sorted((right.kind, right.amount, right.vend) for right in new.rights.values())
    assert all(seq < 0 and right.seq == seq for seq, right in new.rights.items())
    assert new.ledger.balance(acc.TOKENS_HELD) == new.ledger.balance(acc.HELD_APP) == 0
    if delivered:
        assert kinds == [("app", 50, 0), ("token", 0, 0)]
        assert new.ledger.balance(acc.REVENUE_APP) == -200
        assert new.ledger.balance(acc.CREDIT_APP) == -50
        assert new.ledger.balance(acc.TOKENS_USED) == -1
        assert (new.counters.value_app, new.counters.value_given) == (200, 150)
        assert new.grants["pay-1"].outcome == "used"
    else:
        assert kinds == [("app", 250, 0), ("token", 0, 0), ("token", 0, 0)]
        assert new.ledger.balance(acc.CREDIT_APP) == -250
        assert new.ledger.balance(acc.TOKENS_CREDIT) == -2


def test_behind_a_fork_no_code_is_keyed_in_that_the_other_chain_may_have_honoured() -> None:
    old = State(seq=90, currency="EUR")
    old.ledger.post(((acc.OPERATOR, 70), (acc.CLAIMS_CASH, -70)))
    old.claims[50] = Claim(50, 40, 70, "cash", "1234", "x", flagged=False)
    fold = StateFold()
    new = fold.inherit(old)

    fold.forked(new)

    assert [(claim.fleet_only, claim.amount) for claim in new.claims.values()] == [(True, 70)]
    assert new.ledger.balance(acc.CLAIMS_CASH) == -70, "it is owed all the same"


def test_nothing_of_a_broken_journal_passes_for_what_the_next_one_counts_or_measures() -> None:
    old = State(seq=90, currency="EUR", mono_ms=5_000)
    old.closed += [Closed(80, "vend", "A1", "A1", 100, "sold", 0, 0, [])]
    old.climate.columns = {"A1": ColumnHealth(), "A2": ColumnHealth(dark_ms=4_000)}
    old.orders.shown = Shown("new prices", until_ms=9, boot=2, until_mono_ms=99_000)
    old.stock.set("A1", 5)
    old.sagas[85] = Saga(85, "vend", column="A1", intent="dispense")
    new = StateFold().inherit(old)
    assert new.closed[0].vend < 0
    assert (new.stock.of("A1").count, new.stock.of("A1").uncertain) == (5, True)
    assert [column.dark_ms for column in new.climate.columns.values()] == [5_000, 4_000]
    assert new.orders.shown is not None
    assert new.orders.shown.boot == 0, "the new one's second start is another"
