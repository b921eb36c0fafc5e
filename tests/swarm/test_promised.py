"""What apps have paid for, and tokens: what is set aside, and what nothing is left for."""

from __future__ import annotations

import pytest

from config.models import Tokens
from controller.journal import records as rec
from tests.swarm.bench import Bench, settings


def app(id_: str, column: str = "A1") -> rec.RightGranted:
    return rec.RightGranted(
        id=id_, kind="app", amount=150, column=column, lives_ms=60_000, reason="", by="fleet"
    )


@pytest.mark.parametrize(("there", "told"), [(3, False), (2, True), (0, True)])
def test_an_app_is_told_that_it_can_have_what_others_have_paid_for(there: int, told: bool) -> None:
    bench = Bench(there={"A1": 8, "A2": 0})
    bench.told(app("app-1"))
    bench.told(app("app-2"))
    bench.there["A1"] = there
    bench.told(app("app-3"))
    wanted = f"app-3 is for one of A1, and all {there} are set aside"
    assert bench.findings == ([wanted] if told else [])


def test_what_a_vend_is_about_to_take_is_not_counted() -> None:
    bench = Bench(there={"A1": 1})
    bench.opens("A1")
    bench.there["A1"] = 0  # it has fallen, and its record is on its way
    bench.told(app("app-1"))
    assert bench.findings == []


@pytest.mark.parametrize("keyed", ["A1", "A2"])
@pytest.mark.parametrize("there", [1, 2])
def test_what_is_set_aside_falls_for_whom_it_is(keyed: str, there: int) -> None:
    bench = Bench(there={"A1": there})
    bench.told(app("app-1"))
    bench.turns(bench.opens(keyed), "A1")
    wanted = "A1 turns for A2, and all 1 are set aside"
    assert bench.findings == ([wanted] if (keyed, there) == ("A2", 1) else [])


def test_what_a_vend_holds_is_not_set_aside_any_more() -> None:
    bench = Bench(there={"A1": 1})
    right = bench.told(app("app-1"))
    vend = bench.opens("A1")
    bench.told(rec.RightHeld(right=right, kind="app", amount=150, worth=150), vend)
    bench.told(rec.RightUsed(right=right, kind="app", amount=150, worth=150), vend)
    bench.told(rec.VendClosed(result="sold"), vend)
    bench.turns(bench.opens("A2"), "A1")
    assert bench.findings == []


@pytest.mark.parametrize(
    ("waited_s", "there", "told"), [(7, 0, True), (5, 0, False), (7, 1, False)]
)
def test_a_token_is_taken_and_buys_nothing(waited_s: int, there: int, told: bool) -> None:
    bench = Bench(settings(tokens=Tokens(products=("cola",))), there={"A3": 0})
    bench.told(rec.ColumnDisabled(column="A2", reason="jammed"))  # whatever made it so
    bench.now_s += waited_s
    bench.there["A3"] = there
    bench.told(rec.TokenInserted(device="changer", coin=5))
    wanted = "a token is taken, and there is nothing that it buys"
    assert bench.findings == ([wanted] if told else [])
