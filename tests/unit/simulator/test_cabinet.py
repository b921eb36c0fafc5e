"""Columns turn, products fall, the light barrier remembers, in virtual time."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.settings import MachineSettings, load
from simulator.cabinet import Cabinet, UnknownPartError
from simulator.clock import VirtualLoop
from simulator.peripherals.base import Timeline
from simulator.pins.board import PinBoard, PinSession
from simulator.truth import BIN, Truth

DEMO = Path(__file__).parents[3] / "config" / "machines" / "demo.toml"
A1, A1_HOME, A3, A3_EMPTY = 4, 5, 8, 10
ROWS, COLUMNS, B_HOME = (11, 12), (13, 16), 17
LATCH, CLEAR, TEST, CURRENT, DOOR = 18, 19, 20, 21, 22


@pytest.fixture(scope="module")
def settings() -> MachineSettings:
    return load(DEMO, home=Path("/nowhere"))


class Machine:
    """A cabinet on a virtual loop, and the pins as a controller holds them."""

    def __init__(self, settings: MachineSettings, *, speed: float = 1.0) -> None:
        self.loop = VirtualLoop()
        self.truth = Truth(self.loop.time)
        self.board = PinBoard(self.loop.time)
        timeline = Timeline(self.loop, speed)
        self.cabinet = Cabinet(timeline, self.board, settings, self.truth, brake_s=0.05)
        for plan in settings.columns:
            self.cabinet.load(plan.selection)
        self.pins: PinSession = self.board.session()
        for pin in (A1, A3, *ROWS, *COLUMNS, CLEAR, TEST):
            self.pins.claim_output(pin)

    def wait(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def run(self, pin: int, seconds: float) -> None:
        self.pins.write(pin, True)
        self.wait(seconds)
        self.pins.write(pin, False)

    def turn(self, pin: int, home: int) -> float:
        """Turn until home, as a controller does; return the time it took."""
        began = self.loop.time()
        self.pins.write(pin, True)
        left = False
        while self.loop.time() < began + 6:
            self.wait(0.01)
            at_home = self.board.is_on(home)
            left = left or not at_home
            if left and at_home:
                break
        self.pins.write(pin, False)
        return self.loop.time() - began

    def clear(self) -> None:
        self.pins.write(CLEAR, True)
        self.pins.write(CLEAR, False)

    def latched(self) -> bool:
        return self.board.is_on(LATCH)

    def fallen(self) -> int:
        return self.truth.count(BIN)


Build = Callable[..., Machine]


@pytest.fixture
def build(settings: MachineSettings) -> Iterator[Build]:
    built: list[Machine] = []

    def make(speed: float = 1.0) -> Machine:
        built.append(Machine(settings, speed=speed))
        return built[-1]

    yield make
    for machine in built:
        machine.loop.close()


@pytest.fixture
def machine(build: Build) -> Machine:
    return build()


def test_one_turn_drops_one_product_and_ends_at_home(machine: Machine) -> None:
    assert machine.board.is_on(A1_HOME)
    assert machine.turn(A1, A1_HOME) == pytest.approx(2.0, abs=0.02)
    assert machine.cabinet.busy()
    machine.wait(0.4)
    assert machine.latched()
    assert machine.fallen() == 1
    assert machine.cabinet.stock("A1") == 7
    assert machine.cabinet.spirals["A1"].turns == 1
    assert not machine.cabinet.busy()
    assert machine.cabinet.take_products() == ("water",)
    assert machine.fallen() == 0


def test_a_motor_that_loses_its_current_stands_where_it_is(machine: Machine) -> None:
    machine.run(A1, 1.0)
    machine.wait(10)
    assert machine.cabinet.spirals["A1"].phase == pytest.approx(0.5)
    assert not machine.board.is_on(A1_HOME)
    assert machine.fallen() == 0
    assert machine.turn(A1, A1_HOME) == pytest.approx(1.0, abs=0.02)
    machine.wait(1)
    assert machine.fallen() == 1


def test_a_motor_that_nobody_stops_empties_its_column(machine: Machine) -> None:
    machine.run(A1, 20.0)
    machine.wait(1)
    assert machine.cabinet.stock("A1") == 0
    assert machine.fallen() == 8


def test_the_motor_at_a_crossing_turns_when_both_lines_are_on(machine: Machine) -> None:
    machine.pins.write(COLUMNS[1], True)
    machine.wait(3)
    assert machine.cabinet.spirals["B2"].phase == 0
    assert machine.turn(ROWS[0], B_HOME) == pytest.approx(2.4, abs=0.02)
    machine.pins.write(COLUMNS[1], False)
    machine.wait(1)
    assert machine.cabinet.take_products() == ("nuts",)


def test_two_rows_and_two_columns_run_four_motors(machine: Machine) -> None:
    for pin in (*ROWS, *COLUMNS):
        machine.pins.write(pin, True)
    machine.wait(2.4 + 0.3)
    assert machine.fallen() == 4


def test_a_shared_home_line_speaks_for_the_motor_that_runs(machine: Machine) -> None:
    machine.pins.write(COLUMNS[0], True)
    machine.run(ROWS[0], 1.0)
    assert not machine.board.is_on(B_HOME), "at rest nothing is heard"
    assert machine.turn(ROWS[1], B_HOME) == pytest.approx(2.4, abs=0.02)
    machine.wait(0.01)
    assert not machine.board.is_on(B_HOME)


def test_a_shared_home_line_is_heard_a_moment_after_its_motor_has_current(
    machine: Machine,
) -> None:
    machine.pins.write(COLUMNS[0], True)
    machine.pins.write(ROWS[0], True)
    assert not machine.board.is_on(B_HOME)
    machine.wait(0.01)
    assert machine.board.is_on(B_HOME)


@pytest.mark.parametrize(
    ("fault", "stall", "home_after", "fallen"),
    [
        ("jam", True, False, 0),
        ("no_start", False, True, 0),
        ("seized", True, True, 0),
        ("no_home", False, False, 2),
        ("home_stuck", False, True, 2),
    ],
)
def test_faults_of_a_motor_show_at_the_pins(
    machine: Machine, fault: str, stall: bool, home_after: bool, fallen: int
) -> None:
    spiral = machine.cabinet.spirals["A1"]
    setattr(spiral.faults, fault, True)
    spiral.faults_changed()
    machine.pins.write(A1, True)
    machine.wait(4.5)
    assert machine.board.is_on(CURRENT) is stall
    machine.pins.write(A1, False)
    machine.wait(1)
    assert not machine.board.is_on(CURRENT)
    assert machine.board.is_on(A1_HOME) is home_after
    assert machine.fallen() == fallen


def test_a_jam_that_is_cleared_stays_off_home_until_the_next_turn(machine: Machine) -> None:
    spiral = machine.cabinet.spirals["A1"]
    spiral.faults.jam = True
    spiral.faults_changed()
    machine.run(A1, 2.0)
    spiral.faults.jam = False
    spiral.faults_changed()
    assert spiral.phase == pytest.approx(0.3)
    assert machine.turn(A1, A1_HOME) == pytest.approx(1.4, abs=0.02)


def test_every_start_draws_heavy_current_for_a_moment(machine: Machine) -> None:
    machine.pins.write(A1, True)
    assert machine.board.is_on(CURRENT)
    machine.wait(0.05)
    assert not machine.board.is_on(CURRENT)


def test_a_conducting_transistor_turns_without_being_asked(machine: Machine) -> None:
    spiral = machine.cabinet.spirals["A1"]
    spiral.faults.stuck_on = True
    spiral.faults_changed()
    machine.wait(4.5)
    assert machine.fallen() == 2
    machine.cabinet.power(False)
    machine.wait(10)
    assert machine.fallen() == 2


def test_a_fault_in_mid_turn_keeps_the_way_made_so_far(machine: Machine) -> None:
    spiral = machine.cabinet.spirals["A1"]
    machine.pins.write(A1, True)
    machine.wait(1.0)
    spiral.faults.slow = True
    spiral.faults_changed()
    assert spiral.phase == pytest.approx(0.5)
    machine.wait(0.9)
    assert spiral.phase == pytest.approx(0.75)


def test_a_product_that_hangs_falls_with_the_next_turn(machine: Machine) -> None:
    machine.cabinet.spirals["A1"].faults.hang = 1
    machine.turn(A1, A1_HOME)
    machine.wait(1)
    assert machine.fallen() == 0
    assert not machine.latched()
    machine.turn(A1, A1_HOME)
    machine.wait(1)
    assert machine.fallen() == 1
    assert machine.cabinet.spirals["A1"].faults.hang == 0


def test_two_products_break_the_beam_twice(machine: Machine) -> None:
    machine.cabinet.spirals["A1"].faults.double_drop = 1
    machine.pins.write(A1, True)
    machine.wait(1.8 + 0.25 + 0.05)
    assert machine.latched()
    machine.clear()
    assert not machine.latched()
    machine.wait(0.2)
    assert machine.latched()
    assert machine.fallen() == 2


def test_a_late_product_falls_seconds_after_the_turn(machine: Machine) -> None:
    machine.cabinet.spirals["A1"].faults.late_drop = 1
    machine.turn(A1, A1_HOME)
    machine.wait(2.5)
    assert not machine.latched()
    machine.wait(1)
    assert machine.latched()


def test_a_late_product_may_be_taken_out_by_hand_before_it_falls(machine: Machine) -> None:
    machine.cabinet.spirals["A1"].faults.late_drop = 1
    machine.turn(A1, A1_HOME)
    assert machine.cabinet.empty("A1") == 8
    machine.wait(5)
    assert machine.fallen() == 0


def test_a_product_may_fall_past_the_beam(machine: Machine) -> None:
    machine.cabinet.spirals["A1"].faults.unseen_drop = 1
    machine.turn(A1, A1_HOME)
    machine.wait(1)
    assert machine.fallen() == 1
    assert not machine.latched()


def test_an_empty_column_turns_and_drops_nothing(machine: Machine) -> None:
    machine.cabinet.spirals["A3"].faults.hang = 1
    assert not machine.board.is_on(A3_EMPTY)
    machine.cabinet.empty("A3")
    assert machine.board.is_on(A3_EMPTY)
    machine.run(A3, 3)
    machine.wait(1)
    assert machine.fallen() == 0
    assert machine.cabinet.spirals["A3"].faults.hang == 1, "no product met the fault"
    assert machine.cabinet.load("A3", 2) == 2
    assert not machine.board.is_on(A3_EMPTY)


def test_the_last_product_that_falls_opens_the_empty_switch(machine: Machine) -> None:
    machine.cabinet.empty("A3")
    machine.cabinet.load("A3", 1)
    machine.turn(A3, 9)
    machine.wait(1)
    assert machine.board.is_on(A3_EMPTY)


def test_dark_outranks_the_clear_line_and_the_emitter_can_be_tested(machine: Machine) -> None:
    machine.pins.write(CLEAR, True)
    assert not machine.latched()
    machine.pins.write(TEST, True)
    assert machine.latched()
    machine.pins.write(TEST, False)
    assert not machine.latched()
    machine.pins.write(CLEAR, False)
    machine.pins.write(TEST, True)
    machine.pins.write(TEST, False)
    assert machine.latched()
    machine.clear()
    assert not machine.latched()


@pytest.mark.parametrize(
    ("fault", "tested", "cleared"),
    [("blind", False, False), ("blocked", True, True), ("latch_stuck", True, True)],
)
def test_a_broken_light_barrier_fails_its_test(
    machine: Machine, fault: str, tested: bool, cleared: bool
) -> None:
    sensor = machine.cabinet.sensor
    setattr(sensor.faults, fault, True)
    sensor.faults_changed()
    machine.pins.write(TEST, True)
    assert machine.latched() is tested
    machine.pins.write(TEST, False)
    machine.clear()
    assert machine.latched() is cleared


def test_the_latch_outlives_the_controller_and_not_a_power_cut(machine: Machine) -> None:
    machine.turn(A1, A1_HOME)
    machine.wait(1)
    machine.pins.die()
    assert machine.latched()
    machine.cabinet.power(False)
    machine.cabinet.power(True)
    assert not machine.latched()


def test_a_power_cut_stops_a_motor(machine: Machine) -> None:
    machine.pins.write(A1, True)
    machine.wait(1)
    machine.cabinet.power(False)
    machine.wait(5)
    assert machine.cabinet.spirals["A1"].phase == pytest.approx(0.5)


def test_a_motor_runs_on_when_its_controller_dies(machine: Machine) -> None:
    machine.pins.write(A1, True)
    machine.wait(1)
    machine.pins.die()
    machine.wait(9.2)
    assert machine.fallen() == 5


def test_the_door_has_a_switch(machine: Machine) -> None:
    assert not machine.board.level(DOOR)
    machine.cabinet.set_door(True)
    assert machine.board.level(DOOR)


def test_a_fast_world_turns_faster_and_brakes_as_slowly(build: Build) -> None:
    machine = build(speed=10.0)
    assert machine.turn(A1, A1_HOME) == pytest.approx(0.2, abs=0.02)
    machine.pins.write(A1, True)
    machine.wait(0.045)
    assert machine.board.is_on(A1_HOME), "a controller has 50 ms to stop at home"


def test_its_state_outlives_the_process(machine: Machine, build: Build) -> None:
    cabinet = machine.cabinet
    cabinet.set_door(True)
    cabinet.sensor.faults.blind = True
    cabinet.spirals["A1"].faults.hang = 3
    machine.run(A1, 1.0)
    machine.turn(A3, 9)
    state = json.loads(json.dumps([cabinet.to_state(), machine.truth.to_state()]))
    other = build()
    other.truth.from_state(state[1])
    other.cabinet.from_state(state[0])
    assert other.cabinet.spirals["A1"].phase == pytest.approx(0.5)
    assert other.cabinet.spirals["A1"].faults.hang == 3
    assert not other.board.is_on(A1_HOME)
    assert other.board.level(DOOR)
    assert other.cabinet.sensor.faults.blind
    assert other.cabinet.spirals["A3"].turns == 1
    other.cabinet.from_state({**state[0], "columns": {"Z9": {}}})


def test_unknown_columns_are_named_with_those_that_exist(machine: Machine) -> None:
    with pytest.raises(UnknownPartError, match="no column Z9; there are: A1, A2"):
        machine.cabinet.load("Z9")
