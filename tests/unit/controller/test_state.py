"""The folded state's encoding, which snapshots and bases outlive."""

from __future__ import annotations

import hashlib
import json

import pytest
from pydantic import TypeAdapter

from controller.domain import accounts as acc
from controller.domain.credit import Pocket
from controller.state import Claim, Saga, State, StateFold

SHAPE = {8: "dbe45b92248d6c24"}  # version -> digest of the shape; a new shape needs a new version


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
