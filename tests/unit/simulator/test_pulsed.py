"""Coins that are told once: none may be lost without a death, and none become another one."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.pulsed import PulsedCoins


def record(seq: int, *values: int) -> dict[str, Any]:
    return {"seq": seq, "type": "coins.deposited", "data": {"coins": [[0, v] for v in values]}}


def test_what_a_vendd_died_over_is_lost_once() -> None:
    pulsed = PulsedCoins([100, 50])
    pulsed.read([record(1, 100), {"seq": 2, "type": "vend.opened", "data": {}}])
    assert pulsed.last == 2
    assert pulsed.judge({"coin 100": 1, "coin 50": 1}) == (50, [])
    pulsed.put_in += [200]
    pulsed.read([record(3, 200)])
    assert pulsed.judge({"coin 100": 1, "coin 50": 1, "coin 200": 1}) == (0, [])


def test_a_coin_that_came_back_is_not_lost() -> None:
    pulsed = PulsedCoins([100, 50])
    assert pulsed.judge({"coin 100": 1}) == (100, [])
    assert pulsed.judge({"coin 100": 1}) == (0, [])


def test_a_coin_that_is_gone_although_nobody_died_is_a_finding() -> None:
    found = "a coin of 100 is on no record, and nobody died over it"
    assert PulsedCoins().judge({"coin 100": 1}) == (0, [found])


def test_a_coin_that_was_told_as_on_record_is_never_lost() -> None:
    lost, problems = PulsedCoins([100, 50], safe=1).judge({"coin 100": 1, "coin 50": 1})
    assert lost == 50
    assert problems == [
        "1 of [100, 50] were told as on record, 0 are",
        "a coin of 100 is on no record, and nobody died over it",
    ]


@pytest.mark.parametrize(
    ("put_in", "heard"),
    [([100, 50], [50]), ([200], [100, 100]), ([200], [100]), ([50], [50, 50]), ([], [50])],
)
def test_a_coin_that_was_taken_for_another_is_a_finding(
    put_in: list[int], heard: list[int]
) -> None:
    pulsed = PulsedCoins(list(put_in))
    pulsed.read([record(1, *heard)])
    box = {f"coin {value}": put_in.count(value) for value in put_in}
    assert f"{put_in} were put in, {heard} are on record" in pulsed.judge(box)[1]
