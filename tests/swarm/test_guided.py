"""Customers who walk into a cell of the failure table: they get there, and the seed decides how."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from controller.saga.failure_cells import Cell
from controller.saga.failures import TABLE
from simulator.swarm import build
from simulator.swarm.draw import draw, luck
from simulator.swarm.fitting_cells import marks, weights
from simulator.swarm.guided import Misfortune, misfortune
from simulator.swarm.plan import Build, Life, Step
from simulator.swarm.play import play
from simulator.swarm.shelf import Shelf

CELLS = {cell.key: cell for cell in TABLE}
BASE = build.base_settings()


def machines() -> list[Build]:
    return [draw(BASE, seed, 0, luck("none")).build for seed in range(120)]


def wants(machine: Build, cell: Cell) -> float:
    return weights(machine)[TABLE.index(cell)]


def walks(machine: Build, cell: Cell, number: int) -> Misfortune:
    shelf = Shelf(build.settings_of(BASE, machine))
    return misfortune(random.Random(f"{cell.key}/{number}"), shelf, machine, cell)


def life(machine: Build, cell: Cell, customers: int) -> Life:
    met = [walks(machine, cell, number) for number in range(1, customers + 1)]
    steps = (Step(n, one.acts, one.troubles, one.end) for n, one in enumerate(met, 1))
    return Life(1, machine, tuple(steps))


@pytest.mark.parametrize(
    "key",
    [
        "column-says-that-it-is-empty/coins/turn",
        "drop-is-not-seen/card/drop",
        "customer-cancels/card/settle",
        "changer-never-ends-its-payout/coins/refund",
        "changer-pays-too-little-again-and-again/coins/refund",
        "clock-jumps-back-ten-years/coins/recovery",
        "reader-never-says-whether-it-refunded/card/recovery",
        "drop-latch-is-stuck/coins/recovery",
        "bill-is-stacked-after-power-up/bill/escrow",
        "vendd-is-killed-while-it-waits/free/money",
        "disk-fails-to-write/revalue/revalue/adapter",
        "an-offer's-hours-end/coins/turn",
        "vendd-is-killed,-and-nobody-knows-the-time-behind-it/coins/payout",
        "the-other-reader-falls-silent/card/turn",
        "a-card-comes-to-the-other-reader/card/approval",
        "one-of-two-readers-dies-when-told-of-success/card/settle",
    ],
)
def test_whoever_walks_into_a_cell_gets_there_soon(key: str) -> None:
    cell = CELLS[key]
    fitting = (machine for machine in machines() if wants(machine, cell))
    for machine in islice(fitting, 12):
        verdict, _ = play(BASE, life(machine, cell, 4))
        assert verdict.findings == []
        if verdict.cells[key]:
            return
    pytest.fail("twelve machines, and nobody got there")


def test_every_cell_is_wanted_on_some_machine() -> None:
    drawn = machines()
    unwanted = [c.key for c in TABLE if not any(wants(machine, c) for machine in drawn)]
    assert unwanted == []


def test_a_cell_is_wanted_only_where_something_can_bring_it_about() -> None:
    for machine in machines()[:20]:
        for cell in TABLE:
            assert marks(machine, cell) or not wants(machine, cell)


def test_the_same_numbers_draw_the_same_misfortune() -> None:
    machine = machines()[0]
    for cell in TABLE[::17]:
        assert walks(machine, cell, 1) == walks(machine, cell, 1)
