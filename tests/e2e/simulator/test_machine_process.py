"""`vendsim machine`: hardware that stands where the machine's file says, and outlives vendd."""

import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial

from drivers.panel.i2c_bus import SocketBus
from simulator.client import SimClient, SimulatorError, WaitTimeoutError
from simulator.keypad import EVENT_SIZE
from simulator.pins import SimulatorFactory
from simulator.pytest_plugin import DEMO, StartMachine
from simulator.running import RunningMachine, start_machine
from simulator.shapes import Mark

A1, A1_HOME, LATCH, CLEAR = 4, 5, 18, 19


class Host:
    """What vendd does with a serial port."""

    def __init__(self, machine: RunningMachine, baud: int = 115_200) -> None:
        self.port = serial.Serial(machine.hello.paths.mdb, baud, timeout=2.0)

    def ask(self, line: str) -> str:
        self.port.write(f"{line}\n".encode())
        return self.port.readline().decode().strip()

    def close(self) -> None:
        self.port.close()


Connect = Callable[..., Host]


@pytest.fixture
def connect() -> Iterator[Connect]:
    hosts: list[Host] = []

    def make(machine: RunningMachine, baud: int = 115_200) -> Host:
        hosts.append(Host(machine, baud))
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()


@pytest.fixture
def factory(machine: RunningMachine) -> Iterator[SimulatorFactory]:
    factory = SimulatorFactory(socket=machine.hello.paths.pins)
    yield factory
    factory.abandon()


def test_it_says_where_the_hardware_is_and_removes_it_when_it_ends(
    machine: RunningMachine,
) -> None:
    hello = machine.hello
    assert (hello.machine, hello.currency, hello.link, hello.speed) == (
        "demo",
        "EUR",
        "adapter",
        10,
    )
    assert hello.columns[0] == "A1"
    assert hello.coins == (5, 10, 20, 50, 100, 200)
    assert (machine.home / "vendsim.ready").exists()
    assert machine.sim.hello() == hello
    assert machine.stop() == 0
    left = {path.name for path in machine.home.iterdir()}
    assert left == {"vendsim.lock", "keypad"}


def test_an_adapter_answers_over_the_pty_also_to_the_next_vendd(
    machine: RunningMachine, connect: Connect
) -> None:
    host = connect(machine)
    assert host.ask("V").startswith("v,")
    assert host.ask("M,1") == "m,ACK"
    assert host.ask("R,08") == "p,ACK"
    host.close()
    machine.sim.insert_coin(100)
    machine.sim.wait_for(totals={"returned": 100})
    host = connect(machine)
    assert host.ask("R,0B") in ("p,0B", "p,0B21")
    assert host.ask("R,09").startswith("p,03")


def test_a_pulled_cable_ends_the_port_and_takes_its_name_away(
    machine: RunningMachine, connect: Connect
) -> None:
    host = connect(machine)
    assert host.ask("V").startswith("v,")
    machine.sim.unplug("line")
    assert not Path(machine.hello.paths.mdb).is_symlink()
    with pytest.raises((OSError, serial.SerialException)):
        host.ask("V")
    machine.sim.plug("line")
    assert connect(machine).ask("V").startswith("v,")


def test_the_native_link_speaks_parmrk_and_takes_a_blocks_first_byte_for_the_address(
    machines: StartMachine, connect: Connect
) -> None:
    machine = machines(speed=10.0, link="native")
    host = connect(machine, 9_600)
    began = time.monotonic()
    host.port.write(bytes((0x0B, 0x0B)))  # POLL of the changer
    answer = host.port.read(6)
    assert answer[0] == 0x0B, "JUST RESET"
    assert answer[1:4] == b"\xff\x00\x0b", "the last byte carries the mode bit"
    assert time.monotonic() - began > 4 * 0.001, "bytes take their time on the wire"


def test_a_motor_runs_over_the_pin_socket_and_its_product_falls(
    machine: RunningMachine, factory: SimulatorFactory
) -> None:
    motor, clear = factory.pin(A1), factory.pin(CLEAR)
    motor.output_with_state(0)
    clear.output_with_state(0)
    mark = machine.sim.mark()
    motor.state = 1
    machine.sim.wait_for(pin=A1_HOME, level=False, since=mark)  # at home again, active low
    motor.state = 0
    machine.sim.wait_for(totals={"products": 1})
    assert factory.pin(LATCH).state is True
    clear.state = 1  # the product may still be in the beam, which outranks the clear line
    machine.sim.wait_for(pin=LATCH, level=False, since=mark)
    clear.state = 0
    assert factory.pin(LATCH).state is False
    assert machine.sim.take_product() == ("water",)
    truth = machine.sim.truth()
    assert truth.columns["A1"].stock == 7
    assert truth.controllers == 1
    assert truth.outputs_on == ()
    pins = machine.sim.pins()
    assert pins[A1].use == "columns[0].motor.pin"
    assert 0.1 < pins[A1].longest_on_s < 1.0
    assert [edge.level for edge in machine.sim.edges(pin=A1)] == [True, False]
    machine.sim.forget_pins()
    assert machine.sim.edges() == []


HOLD_A_PIN = """
import sys, time
from simulator.pins import SimulatorFactory
pin = SimulatorFactory(socket=sys.argv[1]).pin(4)
pin.output_with_state(1)
print("on", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(("policy", "goes_on"), [("keep", True), ("input", False)])
def test_pins_of_a_killed_process(machines: StartMachine, policy: str, goes_on: bool) -> None:
    machine = machines(speed=10.0, pins_on_exit=policy)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_A_PIN, machine.hello.paths.pins], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"on\n"
    process.kill()
    process.wait()
    process.stdout.close()
    if goes_on:
        machine.sim.wait_for(totals={"products": 2})
        assert machine.sim.truth().outputs_on == (A1,)
    else:
        machine.sim.wait_for(pin=A1, level=False, since=Mark())
        assert machine.sim.truth().outputs_on == ()
    assert machine.sim.truth().controllers == 0


def strobe(nibble: int, rs: int = 0) -> bytes:
    base = nibble << 4 | 0x08 | rs
    return bytes((base | 4, base))


def send(value: int, rs: int = 0) -> bytes:
    return strobe(value >> 4, rs) + strobe(value & 15, rs)


def test_the_display_shows_what_reaches_its_expander(machine: RunningMachine) -> None:
    bus = SocketBus(str(machine.hello.paths.i2c))
    start = strobe(3) + strobe(3) + strobe(3) + strobe(2) + send(0x28) + send(0x0C) + send(0x01)
    text = b"".join(send(letter, 1) for letter in b"Insert coins")
    assert bus.write(0x27, start + text)
    assert not bus.write(0x28, b"\x00")
    machine.sim.wait_for(display="Insert coins")
    view = machine.sim.display()
    assert view.text.splitlines()[0] == "Insert coins"
    assert view.backlight
    machine.sim.unplug("display")
    assert not bus.write(0x27, b"\x08")
    machine.sim.plug("display")
    assert bus.write(0x27, b"\x08")
    assert machine.sim.display().text.strip() == ""
    bus.close()


def test_keys_arrive_as_input_events_and_are_lost_when_nobody_reads(
    machine: RunningMachine,
) -> None:
    machine.sim.press_keys("A")
    reader = os.open(str(machine.hello.paths.keypad), os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert not select.select([reader], [], [], 0)[0]
        machine.sim.press_keys("5*")
        data = os.read(reader, 4_096)
    finally:
        os.close(reader)
    events = [struct.unpack("@qqHHi", data[i : i + EVENT_SIZE]) for i in range(0, len(data), 24)]
    assert [(code, value) for _, _, kind, code, value in events if kind == 1] == [
        (6, 1), (6, 0), (1, 1), (1, 0),
    ]  # fmt: skip
    assert abs(events[0][0] - time.time()) < 60
    machine.sim.press_keys("1")


def test_the_truth_outlives_a_killed_simulator(machines: StartMachine, run_folder: Path) -> None:
    state = run_folder / "world.json"
    first = machines(speed=10.0, state=state)
    first.sim.customer("ada")
    first.sim.insert_coin(50, count=2)
    first.sim.wait_for(totals={"returned": 100})
    first.sim.jam("B2")
    first.sim.unload("A2")
    first.sim.unplug("cashless1")
    first.sim.door(True)
    expected = first.sim.truth()
    assert first.sim.save() == str(state)
    first.kill()
    second = machines(speed=10.0, state=state)
    truth = second.sim.truth()
    assert truth.totals == expected.totals
    assert truth.accounts == expected.accounts
    assert truth.columns["A2"].stock == 0
    assert truth.faults == {"B2": {"jam": True}}
    assert truth.unplugged == ("cashless1",)
    assert truth.door_open


def test_a_second_simulator_in_the_same_folder_is_refused(
    machine: RunningMachine, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SimulatorError, match="code 1"):
        start_machine(DEMO, machine.home)
    assert "runs in" in capfd.readouterr().err
    assert machine.sim.hello().machine == "demo"


def test_what_a_killed_simulator_left_does_not_keep_the_next_one_from_starting(
    machines: StartMachine,
) -> None:
    machines().kill()
    assert machines().sim.hello().machine == "demo"


def test_a_file_for_real_hardware_is_refused_with_what_to_change(
    run_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SimulatorError):
        start_machine(DEMO.with_name("pi-example.toml"), run_folder)
    words = capfd.readouterr().err
    assert 'gpio.pin_factory = "lgpio"' in words
    assert "display.bus" in words


def test_waiting_in_vain_says_what_is_so_instead(machine: RunningMachine) -> None:
    with pytest.raises(WaitTimeoutError, match=r"Thank you.*display:"):
        machine.sim.wait_for(display="Thank you", timeout_s=0.05)


def test_a_simulator_that_ends_is_an_error_for_its_clients(machine: RunningMachine) -> None:
    other = SimClient(machine.control)
    other.stop()
    assert machine.process.wait(5) == 0
    with pytest.raises(SimulatorError, match="went away"):
        other.truth()
    other.close()
    with pytest.raises(SimulatorError, match="no simulated machine"):
        SimClient(machine.control)
