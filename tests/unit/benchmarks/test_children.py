"""The processes that are measured do what is said of them; nobody looks at how fast."""

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.children import busy_line, lives, long_journal, round_trips
from benchmarks.children.till import CUSTOMERS, Till


@pytest.fixture(autouse=True)
def thaw() -> Iterator[None]:
    yield
    gc.unfreeze()


async def test_three_customers_leave_the_tubes_as_they_were(tmp_path: Path) -> None:
    till = await Till.open(tmp_path)
    before = list(till.shop.hardware.changer.counts)
    for _ in CUSTOMERS:
        sold = await till.sell()
        assert 0 < sold.key_to_motor_s < sold.whole_s
    assert till.shop.hardware.changer.counts == before
    assert till.shop.state.closed[-1].paid_back == 100
    till.shop.books_agree()
    await till.shop.stop()


async def test_polls_go_round_over_each_kind_of_terminal() -> None:
    found = await round_trips.measure(3)
    assert {key: len(took) for key, took in found.items()} == {
        "floor": 3, "adapter": 3, "native": 3,
    }  # fmt: skip


async def test_a_busy_line_acknowledges_or_withholds_each_answer(tmp_path: Path) -> None:
    found = await busy_line.measure(tmp_path, 100)
    assert found["vends"] >= 1
    assert len(found["late_ms"]) >= 100
    assert len(found["acks_ms"]) + found["unacknowledged"] >= 99
    assert abs(found["unacknowledged"] - found["withheld"]) <= 1
    assert not asyncio.all_tasks() - {asyncio.current_task()}


async def test_a_long_journal_is_opened_with_its_snapshots_and_without(tmp_path: Path) -> None:
    found = await long_journal.measure(tmp_path / "long", tmp_path / "empty", 1_200, 2)
    assert len(found["empty_s"]) == len(found["with_s"]) == 2
    assert found["without_s"] > 0


def test_lives_are_counted_by_their_vends() -> None:
    found = lives.play(1, 3, fold=True)
    assert found["findings"] == []
    assert found["vends"] >= 1
    assert found["cpu_s"] > 0
