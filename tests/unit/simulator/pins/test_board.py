"""The pins of the header: who drives, what level that makes, what is remembered."""

import pytest

from simulator.pins.board import Edges, OnRelease, PinBoard, PinBusyError, PinUseError, Pull


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def board(time: Time) -> PinBoard:
    return PinBoard(time)


def test_an_undriven_input_takes_its_pull_then_its_resistor_then_low(board: PinBoard) -> None:
    session = board.session()
    session.claim_input(4)
    assert board.level(4) is False
    session.pull(4, Pull.UP)
    assert session.read(4) is True
    assert session.get_pull(4) is Pull.UP
    board.drive(4, False)
    assert board.level(4) is False
    board.drive(4, None)
    assert board.level(4) is True
    board.wire(5, active_low=True)
    assert board.level(5) is True
    assert not board.is_on(5)


def test_an_output_outranks_the_world_and_its_on_time_is_measured(
    board: PinBoard, time: Time
) -> None:
    board.wire(4)
    session = board.session()
    session.claim_output(4)
    board.drive(4, True)
    assert board.level(4) is False
    time.now = 1.0
    session.write(4, True)
    assert board.outputs_on() == (4,)
    time.now = 3.5
    assert board.longest_on_s(4) == 2.5
    session.write(4, False)
    time.now = 9.0
    session.write(4, True)
    time.now = 9.5
    session.write(4, False)
    assert board.longest_on_s(4) == 2.5
    assert [(edge.at_s, edge.level) for edge in board.edges if edge.driven] == [
        (1.0, True), (3.5, False), (9.0, True), (9.5, False),
    ]  # fmt: skip
    board.forget()
    assert board.longest_on_s(4) == 0.0
    assert not board.edges


def test_an_active_low_output_is_on_while_it_is_low(board: PinBoard, time: Time) -> None:
    board.wire(4, active_low=True)
    session = board.session()
    session.claim_output(4, True)
    assert board.outputs_on() == ()
    session.write(4, False)
    time.now = 2.0
    session.write(4, True)
    assert board.longest_on_s(4) == 2.0


def test_wanted_edges_of_inputs_are_told(board: PinBoard) -> None:
    told: list[tuple[int, bool]] = []
    session = board.session()
    session.claim_input(4)
    session.listen(4, Edges.RISING, lambda pin, level, at_s: told.append((pin, level)))
    board.switch(4, True)
    board.switch(4, False)
    session.listen(4, Edges.FALLING, lambda pin, level, at_s: told.append((pin, level)))
    board.switch(4, True)
    board.switch(4, False)
    assert told == [(4, True), (4, False)]
    session.listen(4, Edges.NONE, None)
    board.switch(4, True)
    assert len(told) == 2


def test_an_edge_that_is_played_late_has_the_time_at_which_it_was(
    board: PinBoard, time: Time
) -> None:
    told: list[tuple[bool, float]] = []
    session = board.session()
    session.claim_input(4)
    session.listen(4, Edges.BOTH, lambda pin, level, at_s: told.append((level, at_s)))
    time.now = 7.0
    board.switch(4, True, 5.0)
    board.switch(4, False)
    assert told == [(True, 5.0), (False, 7.0)]
    assert [edge.at_s for edge in board.edges] == [5.0, 7.0]


def test_pins_keep_their_level_when_a_process_dies(board: PinBoard) -> None:
    board.wire(4)
    session = board.session()
    session.claim_output(4)
    session.write(4, True)
    session.die()
    session.die()
    assert board.outputs_on() == (4,)
    session.write(4, False)
    session.claim_input(4)
    session.pull(4, Pull.UP)
    session.listen(4, Edges.BOTH, lambda *_: None)
    assert board.outputs_on() == (4,), "a dead process does nothing more"
    next_one = board.session()
    next_one.claim_input(4)
    assert board.outputs_on() == ()


def test_pins_may_become_inputs_when_a_process_dies(time: Time) -> None:
    board = PinBoard(time, on_release=OnRelease.INPUT)
    board.wire(4)
    session = board.session()
    session.claim_output(4)
    session.write(4, True)
    session.die()
    assert not board.is_output(4)
    assert board.level(4) is False


def test_a_pin_belongs_to_one_living_process(board: PinBoard) -> None:
    one, other = board.session(), board.session()
    one.claim_output(4)
    with pytest.raises(PinBusyError, match="pin 4"):
        other.claim_output(4)
    with pytest.raises(PinUseError, match="not claimed"):
        other.write(4, True)
    one.die()
    other.claim_output(4)
    with pytest.raises(PinUseError, match="0 to 63"):
        other.claim_input(64)
    other.claim_input(5)
    with pytest.raises(PinUseError, match="an input"):
        other.write(5, True)


def test_a_power_cut_lets_go_of_everything(board: PinBoard) -> None:
    board.wire(4)
    session = board.session()
    session.claim_output(4)
    session.write(4, True)
    board.power_cut()
    assert not session.alive
    assert board.outputs_on() == ()
    assert board.level(4) is False


def test_a_pressed_key_joins_two_pins(board: PinBoard) -> None:
    session = board.session()
    session.claim_output(10, True)
    session.claim_input(20)
    session.pull(20, Pull.UP)
    board.bridge(10, 20)
    session.write(10, False)
    assert board.level(20) is False
    session.write(10, True)
    board.unbridge(10, 20)
    assert board.level(20) is True


def test_three_corners_of_a_rectangle_make_a_ghost(board: PinBoard) -> None:
    session = board.session()
    for row in (10, 11):
        session.claim_output(row, True)
    for column in (20, 21):
        session.claim_input(column)
        session.pull(column, Pull.UP)
    for row, column in ((10, 20), (11, 20), (11, 21)):
        board.bridge(row, column)
    session.write(10, False)
    assert board.level(21) is False, "nobody pressed the key at 10 and 21"
    assert board.conflicts > 0
