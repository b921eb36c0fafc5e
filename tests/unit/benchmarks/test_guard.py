"""The benchmarks of the guard and of an idle vendd judge nearly every time, not half of them."""

from __future__ import annotations

from benchmarks.guard import LIMITS_S, row
from benchmarks.idle import judged
from config.models import Guard


def test_the_worst_end_is_held_against_the_limit() -> None:
    assert row("SIGSTOP", [0.4, 0.5, 0.69]).holds
    late = row("SIGSTOP", [0.4, 0.5, 0.71])
    assert late.holds is False
    assert "median 0.500 s; each: 0.400, 0.500, 0.710" in late.beside
    assert row("SIGKILL", [0.02, 0.21]).holds is False


def test_the_limit_of_a_vendd_that_hangs_is_the_default_patience_and_a_bit() -> None:
    assert LIMITS_S["SIGSTOP"] - Guard().heartbeat_timeout_ms / 1000 < 0.21


def test_of_twenty_starts_one_may_be_late_and_two_may_not() -> None:
    assert judged("start", [0.8] * 19 + [1.4], 1.0).holds
    row = judged("start", [0.8] * 18 + [1.1, 1.4], 1.0)
    assert row.holds is False
    assert row.value == 1.1
    assert row.beside.startswith("median 0.80, worst 1.40 s; each: 0.80, 0.80")
