"""Machines of the swarm with a fleet: orders at any instant, deaths in between, equal books."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cloud.contract.signing import Verifier
from cloud.fleet.projections import fold
from controller.journal import records as rec
from controller.machine import remote
from controller.machine.runner import Machine
from simulator.swarm import build, orders
from simulator.swarm.draw import draw, luck
from simulator.swarm.orders import FATES, GOOD, HELD, KINDS, Order
from simulator.swarm.plan import Act, Build, End, Life, Step
from simulator.swarm.play import play
from simulator.swarm.verdict import Verdict

BASE = build.base_settings()
COIN = Act("coin", 200, after_s=0.4)
CHOICE = Act("keys", text="A3", after_s=0.5, until="credit")
PRODUCT = Step(2, (COIN, CHOICE))


def order(kind: str, *, id_: str = "c1", fate: str = GOOD, lives_s: int = 600, **args: Any) -> Act:
    return Act("order", lives_s, Order(id_, fate, kind, args, lives_s).text, after_s=2.0)


def lived(*steps: Step, **fields: Any) -> Verdict:
    verdict, _ = play(BASE, Life(7, Build(ordered=True, **fields), steps))
    return verdict


@pytest.mark.parametrize("seed", range(201, 207))
def test_whatever_is_ordered_and_whatever_breaks_the_promises_hold(seed: int) -> None:
    life = draw(BASE, seed, 25, luck("all"))
    ordered = replace(life, build=replace(life.build, ordered=True))
    verdict, _ = play(BASE, with_orders(seed, ordered))
    assert verdict.findings == []


def with_orders(seed: int, life: Life) -> Life:
    """Return a life whose customers meet orders, in turn of each kind and fate."""
    made = []
    for step in life.steps:
        kind, fate = KINDS[step.number % len(KINDS)], FATES[(seed + step.number) % len(FATES)]
        args = ARGUMENTS.get(kind, {})
        if kind == "credit.grant":
            args = {**args, "credit": f"paid-{step.number}"}
        one = order(kind, id_=f"c{step.number}", fate=fate, **args)
        acts = (*step.acts[:1], one, *step.acts[1:], replace(one, after_s=0.0))
        made.append(step if step.visit else replace(step, acts=acts))
    return life.with_steps(tuple(made))


ARGUMENTS: dict[str, dict[str, Any]] = {
    "echo": {"text": "hello"},
    "message.show": {"text": "Try our nuts!", "seconds": 20},
    "price.set": {"column": "B1", "price": 180},
    "planogram.apply": {"columns": {"B4": {"product": "gum"}}},
    "credit.grant": {"amount": 150, "seconds": 60},
    "vend.free": {"column": "B4"},
}


def test_every_kind_that_is_drawn_can_be_read() -> None:
    drawn = {
        act.text.split(" ")[2]
        for seed in range(80)
        for step in draw(BASE, seed, 20, luck("all")).steps
        for act in step.acts
        if act.what == "order"
    }
    assert drawn == set(KINDS)


def test_an_order_between_two_acts_of_a_customer_runs_once_though_it_comes_thrice() -> None:
    give_back = order("refund.local")
    found = lived(Step(1, (COIN, give_back, give_back, COIN, CHOICE, give_back)), PRODUCT)
    assert (found.findings, found.vends) == ([], 2)


def test_a_credit_that_was_granted_before_a_kill_is_granted_once() -> None:
    grant = order("credit.grant", credit="paid-1", amount=200, seconds=60, column="A3")
    kill = End("kill", when="command.started", after=1)
    found = lived(Step(1, (grant, grant, CHOICE), end=kill), PRODUCT)
    assert found.findings == []
    assert found.boots == 2


def test_a_machine_that_is_locked_in_mid_vend_gives_the_product_and_then_the_money() -> None:
    locked = replace(order("machine.lock"), after_s=0.2)
    found = lived(Step(1, (COIN, COIN, CHOICE, locked)), PRODUCT)
    assert (found.findings, found.vends) == ([], 2)


def test_a_lock_that_a_damaged_journal_brings_back_is_taken_off_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(orders, "SHARE", 1.1)  # each machine has a fleet
    life = draw(BASE, 9175, 25, luck("all"))
    assert life.build.ordered
    assert life.finale
    assert play(BASE, life)[0].findings == []


Take = Callable[[remote.RemoteDesk, Any, Any], Any]


@pytest.fixture
def take() -> Take:
    return remote.RemoteDesk.take


def test_an_order_that_runs_twice_is_told(monkeypatch: pytest.MonkeyPatch, take: Take) -> None:
    def forgetful(desk: remote.RemoteDesk, one: Any, reply: Any) -> Any:
        desk._desk.state.remote.commands.pop(one.id, None)
        return take(desk, one, reply)

    monkeypatch.setattr(remote.RemoteDesk, "take", forgetful)
    twice = order("echo", text="hello")
    assert lived(Step(1, (twice, twice))).findings[0] == "order c1 began 2 times"


def test_an_order_that_was_overtaken_and_runs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    args: dict[str, Any] = {"column": "B1", "price": 180}
    overtaken = order("price.set", fate=HELD, **args)
    newer = order("price.set", id_="c2", **args)
    customer = Step(1, (COIN, overtaken, newer, CHOICE))
    assert lived(customer).findings == []
    monkeypatch.setattr(remote, "counted", lambda kind, target: f"{kind} {target} of nobody")
    assert lived(customer).findings == ["order c1 price.set ran behind a newer one"]


def test_an_order_that_runs_after_its_end_is_told(
    monkeypatch: pytest.MonkeyPatch, take: Take
) -> None:
    def patient(desk: remote.RemoteDesk, one: Any, reply: Any) -> Any:
        return take(desk, replace(one, expires_ms=2**52), reply)

    monkeypatch.setattr(remote.RemoteDesk, "take", patient)
    (found,) = lived(Step(1, (order("echo", fate="late", text="hello"),))).findings
    assert found == "an order ran after its end: c1 echo"


@pytest.mark.parametrize(
    ("fate", "what"), [("forged", "_open"), ("foreign", "_for_us")], ids=["forged", "foreign"]
)
def test_an_order_that_is_not_for_it_is_told(
    monkeypatch: pytest.MonkeyPatch, fate: str, what: str
) -> None:
    believes = {
        "_open": lambda verifier, _purpose, message, now_ms: verifier.key_of(message, now_ms),
        "_for_us": lambda *_: None,
    }
    monkeypatch.setattr(Verifier, what, believes[what])
    (found,) = lived(Step(1, (order("echo", fate=fate, text="hello"),))).findings
    assert found == f"a {fate} order was taken: c1 echo"


def test_an_order_that_a_death_cut_short_and_nobody_ended_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote.RemoteDesk, "boot", lambda _: None)
    waits = order("planogram.apply", columns={"B4": {"product": "gum"}})
    # It waits for the credit that somebody leaves behind, and the machine dies meanwhile.
    kill = End("kill", when="command.started", after=1)
    (found,) = lived(Step(1, (COIN, waits, Act("wait", after_s=5.0)), end=kill)).findings
    assert found == "order c1 planogram.apply began, and nothing says how it ended"


def test_books_that_differ_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    takers = {kind: take for kind, take in fold._TAKERS.items() if kind is not rec.DispenseFinished}
    monkeypatch.setattr(fold, "_TAKERS", takers)
    (found,) = lived(PRODUCT).findings
    assert found.startswith("column A3: ")


def test_a_fleet_that_confirms_no_time_leaves_orders_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What nobody can judge the end of does not run: and the oracle says that it is stuck."""
    act = Machine.act

    async def timeless(machine: Machine, command: Any, by: str) -> dict[str, Any]:
        if type(command).__name__ == "ConfirmTime":
            return {}
        return await act(machine, command, by)

    monkeypatch.setattr(Machine, "act", timeless)
    (found,) = lived(Step(1, (order("echo", text="hello"),))).findings
    assert found.startswith("NotQuietError")
