"""Each call that changes something leaves a durable record of who called, on a real machine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller.api.access import Access, Caller, Right
from controller.api.methods import Methods, dispatcher, rights
from controller.api.server import Session
from controller.machine.service import RunningService
from simulator.world import Link
from tests.scenarios.stage import Stage, play

ADA = Caller(1007, 1007, 4242, frozenset(), Right.ACT, "ada")
BOB = Caller(1008, 1008, 4243, frozenset(), Right.READ, "bob")

# What they are called with, in this order.
CALLS: dict[str, dict[str, Any]] = {
    "credit.grant": {"amount": 100, "reason": "sorry"},
    "credit.return": {},
    "grant.app": {"grant": "p-1", "amount": 150, "lives_s": 60.0, "column": "A1"},
    "grant.free": {"grant": "f-1", "lives_s": 60.0, "reason": "sorry"},
    "grant.end": {"grant": "f-1"},
    "service.enter": {},
    "stock.fill": {"column": "A2"},
    "stock.set": {"column": "A2", "count": 3},
    "stock.disable": {"column": "B1", "reason": "bent"},
    "stock.enable": {"column": "B1"},
    "price.set": {"column": "B1", "price": 130},
    "vend.test": {"column": "A1"},
    "motor.test": {"column": "A1"},
    "coins.fill": {"on": True},
    "coins.count": {},
    "coins.payout": {"amount": 50},
    "collect": {"cashbox": 0, "stacker": 0, "bills": 0},
    "reader.enable": {"device": "cashless1", "on": False},
    "service.leave": {},
}
ELSEWHERE = {
    "claim.close": "a claim: tests/scenarios/test_service.py",
    "coins.pour": "hoppers: tests/scenarios/test_cctalk.py",
    "health.served": "a column that is held back: tests/scenarios/test_health_timer.py",
    "machine.unlock": "a lock by the fleet: tests/scenarios/test_fleet_orders.py",
    "journal.begin": "a journal that is lost: tests/e2e/test_processes.py",
}
NO_FACT = {
    "record.keep": "keeps what was heard; no fact of the machine changes",
    "record.read": "reads",
    "sync.now": "asks the link; no fact of the machine changes",
}


def service_of(stage: Stage) -> RunningService:
    assert stage.running is not None
    return RunningService(stage.running.machine, "vendd 0")


async def call(stage: Stage, caller: Caller, method: str, params: dict[str, Any]) -> Any:
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    answer = await dispatcher(service_of(stage), Access()).dispatch(line, Session(caller))
    assert answer is not None
    return json.loads(answer[0])


def test_every_acting_call_has_its_place_here(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        acting = rights(Methods(service_of(stage), Access()))[Right.ACT]
        assert set(acting) == {*CALLS, *ELSEWHERE, *NO_FACT}

    play(scenario, link)


def test_each_leaves_a_record_with_its_caller(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        for method, params in CALLS.items():
            before = len(stage.told)
            answer = await call(stage, ADA, method, params)
            assert "result" in answer, (method, answer)
            names = [getattr(record.data, "by", None) for record in stage.told[before:]]
            assert str(ADA) in names, (method, names)
            await stage.passes(3.0)

    play(scenario, link, judged=False)


@pytest.mark.parametrize("method", [*CALLS, *ELSEWHERE, *NO_FACT])
def test_none_gets_through_with_the_right_to_read(method: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        before = len(stage.told)
        answer = await call(stage, BOB, method, CALLS.get(method, {}))
        assert answer["error"]["code"] == -32001
        assert len(stage.told) == before

    play(scenario, link)
