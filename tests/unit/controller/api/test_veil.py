"""Claim codes are money: who may only look never sees a whole one, wherever it stands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller.api.access import Access, Caller, Right
from controller.api.methods import dispatcher
from controller.api.server import Session
from controller.api.veil import veiled

CODE = "00000029000000000042"  # of the claim that the fixture's day left open
SEEN = "00000029************"
BOB = Caller(1008, 1008, 4243, frozenset(), Right.READ, "bob")
ADA = Caller(1007, 1007, 4242, frozenset(), Right.ACT, "ada")
LOOKS: list[tuple[str, dict[str, Any]]] = [
    ("status", {}),
    ("credit.show", {}),
    ("journal.records", {}),
    ("trace", {"seq": 20}),
]


async def ask(machine: Any, caller: Caller, method: str, **params: Any) -> str:
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    answer = await dispatcher(machine, Access()).dispatch(line, Session(caller))
    assert answer is not None
    return answer[0]


@pytest.mark.parametrize(("method", "params"), LOOKS, ids=[look[0] for look in LOOKS])
async def test_who_may_only_look_sees_which_claim_it_is(
    machine: Any, method: str, params: dict[str, Any]
) -> None:
    answer = await ask(machine, BOB, method, **params)
    assert CODE not in answer
    assert SEEN in answer


@pytest.mark.parametrize(("method", "params"), LOOKS, ids=[look[0] for look in LOOKS])
async def test_who_may_act_sees_the_code(machine: Any, method: str, params: dict[str, Any]) -> None:
    assert CODE in await ask(machine, ADA, method, **params)


async def test_the_exact_text_of_records_is_for_those_who_may_act(machine: Any) -> None:
    refused = json.loads(await ask(machine, BOB, "journal.records", exact=True))
    assert refused["error"]["code"] == -32001
    assert "body" in await ask(machine, ADA, "journal.records", exact=True)


async def test_recordings_hold_codes_and_are_for_those_who_may_act(machine: Any) -> None:
    refused = json.loads(await ask(machine, BOB, "record.read", name="000001-asked.jsonl.gz"))
    assert refused["error"]["code"] == -32001
    none = json.loads(await ask(machine, ADA, "record.read", name="000001-asked.jsonl.gz"))
    assert none["error"]["code"] == -32003, "there is none; she would have got it"
    assert "result" in json.loads(await ask(machine, BOB, "record.list"))


async def test_events_are_looked_through_as_well() -> None:
    for caller, seen in ((BOB, SEEN), (ADA, CODE)):
        session = Session(caller)
        session.event({"kind": "record", "record": {"data": {"code": CODE}}})
        session.event({"kind": "display", "lines": ["Please write down:", CODE]})
        await session.finish()
        told = [await session._waiting.get() for _ in range(2)]
        assert all(seen in (text or "") for text in told)


def test_a_code_that_is_being_keyed_in_is_hidden_on_the_panel_only() -> None:
    assert veiled({"display": ["Claim code:", CODE[:14]]}) == {
        "display": ["Claim code:", "00000029******"]
    }
    assert veiled({"serial": "000000123456"}) == {"serial": "000000123456"}


def test_a_code_in_groups_is_hidden_on_however_many_lines_it_stands() -> None:
    lines = ["You get 2.50", " 0000 0029 1234 ", "   5678 9012    ", "1234 5678 9012"]
    assert veiled({"lines": lines}) == {
        "lines": ["You get 2.50", " 0000 0029 **** ", "   **** ****    ", "**** **** ****"]
    }
    keyed = ["Claim code:", "0000 002", "* = cancel", "0000 0029 12"]
    assert veiled({"display": keyed}) == {
        "display": ["Claim code:", "0000 002", "* = cancel", "0000 0029 **"]
    }


def test_what_is_no_code_stays_as_it_is() -> None:
    other = {"a": [1, 2.5, None, True], "b": "1234567890123456789", "c": CODE + "1"}
    assert veiled(other) == other
