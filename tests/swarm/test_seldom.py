"""Customers that chance would seldom bring: they come, and the bugs that they are for are found."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from simulator.swarm import build, seldom
from simulator.swarm.draw import draw, luck
from simulator.swarm.plan import Act, Build, Life, Step
from simulator.swarm.play import play
from simulator.swarm.shelf import Shelf
from tests.mutants import heirs, owners, strangers
from tests.mutants.planting import Mutant, planted

BASE = build.base_settings()


def lives(sort: Any, machine: Build, numbers: int = 4) -> list[str]:
    """Play some of a sort, one in each life; return what is found."""
    shelf = Shelf(build.settings_of(BASE, machine))
    found = []
    for number in range(numbers):
        met = sort(random.Random(number), shelf, machine)
        step = Step(1, met.acts, met.troubles, met.end)
        found += play(BASE, Life(7, machine, (step,)))[0].findings
    return found


@pytest.mark.parametrize("always_idle", [False, True])
def test_a_code_is_no_older_for_a_clock_that_went_ahead(always_idle: bool) -> None:
    machine = Build(always_idle=always_idle)
    assert lives(seldom.back_with_a_code, machine) == []
    with planted(Mutant("none", strangers.judge_a_claim_s_age_by_any_clock)):
        found = lives(seldom.back_with_a_code, machine)
    assert "a code is taken for expired, and nobody knows its age" in found


BASKET = Build(basket=True, always_idle=False)


def test_nothing_is_bought_behind_a_basket_s_claim() -> None:
    idle = replace(BASKET, always_idle=True)
    assert lives(seldom.basket_with_a_claim, BASKET) == []
    assert lives(seldom.basket_with_a_claim, idle) == []
    with planted(Mutant("none", strangers.go_on_with_a_basket_behind_a_claim)):
        found = lives(seldom.basket_with_a_claim, idle)
    assert any("is bought behind a claim" in one for one in found), found


def test_a_right_is_counted_once_in_a_basket() -> None:
    assert lives(seldom.basket_with_a_right, BASKET) == []
    with planted(Mutant("none", strangers.count_a_right_for_every_item_of_a_basket)):
        found = lives(seldom.basket_with_a_right, BASKET)
    assert "a basket of 2 was begun, and what was there paid for 1" in found


def test_a_coin_just_behind_a_reset_is_read() -> None:
    machine = Build(cctalk=True, events=240, keeps_inhibits=True)
    assert lives(seldom.coin_behind_a_reset, machine) == []
    with planted(Mutant("none", strangers.overlook_an_acceptor_s_reset)):
        found = lives(seldom.coin_behind_a_reset, machine)
    assert len(found) == 1
    assert "not at rest" in found[0]  # the coin is on no record, however long anybody waits


def test_what_an_acceptor_told_somebody_else_is_nobody_s_credit() -> None:
    machine = Build(cctalk=True, events=240)
    life = Life(7, machine, ())
    assert play(BASE, life)[0].findings == []
    with planted(Mutant("none", strangers.credit_what_an_acceptor_told_somebody_else)):
        found = play(BASE, life)[0].findings
    assert found == ["a new machine says that a customer has 185 in it"]


def test_they_come_only_where_everything_may_go_wrong() -> None:
    def drawn(faults: str) -> int:
        steps = (step for seed in range(1, 9) for step in draw(BASE, seed, 40, luck(faults)).steps)
        return sum(any(one.when == "claim.opened" for one in step.troubles) for step in steps)

    assert drawn("all")
    assert not drawn("none")


def test_a_proof_of_one_age_is_none_of_another() -> None:
    machine = Build(always_idle=False, flagged=True, youths=True)
    assert lives(seldom.old_enough_for_one, machine) == []
    with planted(Mutant("none", owners.take_one_age_for_another)):
        found = lives(seldom.old_enough_for_one, machine)
    assert "A3 is sold to somebody who proved no age" in found


def test_a_card_that_takes_nothing_back_is_asked_behind_the_bill() -> None:
    machine = Build(always_idle=False, dear=True, wide=True)
    assert lives(seldom.one_way_beside_a_bill, machine) == []
    with planted(Mutant("none", owners.overlook_that_a_card_takes_nothing_back)):
        found = lives(seldom.one_way_beside_a_bill, machine)
    words = "cashless1 can't refund, and is asked before the bill beside it is stacked"
    assert words in found


@pytest.mark.parametrize(
    ("bug", "told"),
    [
        (owners.take_coins_for_the_operator_s_behind_a_visit, "customers are out of pocket by 50"),
        (owners.forget_that_the_recycler_was_emptied, "cash.recycler: 0 is there after a visit"),
    ],
)
def test_a_technician_takes_the_recycler_s_bills_and_puts_coins_in(bug: Any, told: str) -> None:
    coin = Act("coin", 50), Act("keys", text="B4", until="credit")
    steps = [Step(n, coin if n % 2 else (), visit=not n % 2) for n in range(1, 12)]
    life = Life(1, Build("native", recycler=True), tuple(steps))
    assert play(BASE, life)[0].findings == []
    with planted(Mutant("none", bug)):
        (found, *_) = play(BASE, life)[0].findings
    assert found.startswith(told)


@pytest.mark.parametrize("always_idle", [False, True])
def test_a_power_cut_is_known_though_the_life_that_heard_of_it_died(always_idle: bool) -> None:
    machine = Build("native", always_idle=always_idle)
    assert lives(seldom.cut_and_killed, machine, 8) == []
    with planted(Mutant("none", heirs.forget_the_power_cut_that_a_dead_life_heard_of)):
        found = lives(seldom.cut_and_killed, machine, 8)
    assert any("card refund unknown" in one for one in found)
