"""What the benchmark of polls says of a machine that stalls by itself, and of one that does not."""

from __future__ import annotations

import pytest

from benchmarks.polls import rows
from benchmarks.report import Row


def samples(late: int) -> list[float]:
    return [0.1] * (20_000 - late) + [3.0] * late


def test_on_a_quiet_machine_the_limit_alone_is_judged() -> None:
    (row,) = rows("the wire", samples(4), samples(3))
    assert row.holds
    assert row.cells()[3] == "holds"


def test_one_who_is_slow_where_the_floor_is_not_misses_the_limit_plainly() -> None:
    (row,) = rows("the wire", samples(60), samples(3))
    assert row.holds is False
    assert row.floor_holds
    assert row.cells()[3] == "MISSED"


def test_where_the_floor_misses_it_too_the_verdict_says_so_and_the_shares_are_judged() -> None:
    limit, share = rows("the wire", samples(61), samples(64))
    assert limit.holds is False  # the limit stays the limit
    assert limit.floor_holds is False
    assert limit.cells()[3] == "MISSED, by the floor too"
    assert share.holds
    assert share.value == pytest.approx(61 / 64)
    assert "0.30% of ours, 0.32% of the floor's" in share.beside


def test_one_who_stalls_more_often_than_the_machine_does_is_not_excused() -> None:
    _, share = rows("the wire", samples(141), samples(64))
    assert share.holds is False
    assert share.cells()[3] == "MISSED"


def test_one_who_keeps_a_limit_that_the_floor_misses_holds() -> None:
    limit, share = rows("the wire", samples(10), samples(30))
    assert limit.cells()[3] == "holds"
    assert share.holds


def test_a_floor_excuses_no_more_than_it_misses() -> None:
    assert Row("least", 1.0, "×", 2.0, at_least=True, floor=1.5).floor_holds is False
    assert Row("least", 1.0, "×", 2.0, at_least=True, floor=3.0).floor_holds
    assert Row("ours", 1.0, "ms", floor=3.0).floor_holds is None
