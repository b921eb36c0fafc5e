"""The rules of buses and cabinets: intents, times, what is cold and what is warm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controller.domain.health import HealthRule
from controller.journal import records as rec
from controller.machine.health import TOO_LONG, UNKNOWN
from simulator.clock import VirtualClock, VirtualLoop, run_virtual
from simulator.native_wire import NativeWire
from simulator.peripherals.reader_settings import ReaderState
from simulator.swarm import build
from simulator.swarm.cctalk import LINE
from simulator.swarm.cooling import CoolingOracle
from simulator.swarm.evidence import Evidence
from simulator.swarm.health import LATE_S, HealthOracle
from simulator.swarm.intents import Intents
from simulator.swarm.plan import Trouble
from simulator.swarm.times import Times
from simulator.swarm.troubles import Excuse
from simulator.thermal import Span
from simulator.truth import Fact
from simulator.whole import Whole
from simulator.world import World
from tests.swarm.bench import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_acceptor_that_begins_anew_was_reset(bench: Bench) -> None:
    fault = rec.FaultRaised(part="acceptor", code="device.reset", detail="")
    bench.rules.fact(Fact(1, 0.0, "reset", "c1", "acceptor by itself"))
    bench.told(fault)
    assert bench.findings == []
    bench.rules.fact(Fact(2, 0.0, "reset", "c1", "hopper3 by itself"))
    bench.told(fault)
    assert bench.findings == ["an acceptor is said to have been reset, and was not"]


def listening(with_line: bool = False) -> tuple[Intents, Any, list[str]]:
    found: list[str] = []
    devices = {name: SimpleNamespace(on_command=None) for name in ("changer", "bill", "cashless1")}
    unit = SimpleNamespace(on_command=None)
    line = SimpleNamespace(devices=[unit]) if with_line else None
    reader = SimpleNamespace(state=ReaderState.ENABLED)
    world = SimpleNamespace(devices=devices, cctalk=line, readers={"cashless1": reader})
    loop = SimpleNamespace(time=lambda: reader.now)
    reader.now = 100.0
    machine = SimpleNamespace(world=world, loop=loop)
    intents = Intents(cast("Whole", machine), found.append, lambda: reader.sound)
    reader.sound = True
    return intents, SimpleNamespace(**devices, unit=unit, reader=reader), found


STACK = rec.StackIntended(device="bill", bill=0, value=500, stacker=0)
BACK = rec.BillReturnIntended(device="bill", bill=0, value=500, reason="")
ASK = rec.ApprovalRequested(device="cashless1", amount=50, item=1)
SOLD = rec.SettleIntended(device="cashless1", success=True, item=1, amount=50)
PAY = rec.PayoutIntended(
    amount=50, plan=((3, 1),), by_value=False, coins=50, bills=0, lots=(), tubes=(), reason=""
)
PAY_BILL = PAY.model_copy(update={"device": "bill"})


@pytest.mark.parametrize(
    ("device", "command", "intent"),
    [
        ("changer", "0d13", PAY), ("changer", "0f0206", PAY), ("bill", "37060001", PAY_BILL),
        ("bill", "3501", STACK), ("bill", "3500", BACK), ("cashless1", "130000320001", ASK),
        ("cashless1", "13020001", SOLD),
    ],
)  # fmt: skip
def test_no_device_moves_money_without_an_intent(device: str, command: str, intent: Any) -> None:
    intents, devices, found = listening()
    told = getattr(devices, device)
    told.on_command(bytes.fromhex(command))
    assert len(found) == 1
    intents.record(cast("Any", SimpleNamespace(data=intent)))
    told.on_command(bytes.fromhex(command))
    assert len(found) == 1


@pytest.mark.parametrize(("command", "intent"), [("a701", PAY), ("9a01", STACK)])
def test_nor_does_one_on_a_cctalk_line(command: str, intent: Any) -> None:
    intents, devices, found = listening(with_line=True)
    devices.unit.on_command(bytes.fromhex(command))
    assert len(found) == 1
    intents.record(cast("Any", SimpleNamespace(data=intent)))
    devices.unit.on_command(bytes.fromhex(command))
    assert len(found) == 1
    assert LINE.hoppers  # which the swarm's machines have


def test_a_reader_that_is_in_no_session_is_not_told_that_one_is_over() -> None:
    _, devices, found = listening()
    reader, tell = devices.reader, devices.cashless1.on_command
    over = bytes.fromhex("1304")
    reader.state = ReaderState.IDLE
    tell(over)
    reader.state, reader.now = ReaderState.ENABLED, 101.0
    tell(over)  # by two at once: the customer's key, and the vend's end
    assert found == []
    reader.now, reader.sound = 200.0, False
    tell(over)  # it may not have heard the first
    assert found == []
    reader.sound = True
    tell(over)
    assert found == ["cashless1 is told that its session is over, and it is in none"]


def test_an_answer_is_acknowledged_in_time_and_the_line_is_never_broken() -> None:
    found: list[str] = []

    async def listens() -> None:
        running = cast("VirtualLoop", asyncio.get_running_loop())
        world = World(running, VirtualClock(running), build.base_settings(), link="native")
        now = [10.0]
        loop = SimpleNamespace(time=lambda: now[0])
        machine = SimpleNamespace(world=world, loop=loop, boots=1)
        times = Times(cast("Whole", machine), found.append)
        wire = world.wire
        assert isinstance(wire, NativeWire)
        assert wire.on_ack is not None
        wire.on_ack(0.005)
        times.heard("changer", b"\x08")
        now[0] += 0.5
        times.heard("changer", b"\x0a")
        assert found == []
        wire.on_ack(0.006)
        times.heard("changer", b"\x08")
        now[0] += 0.4
        times.heard("changer", b"\x0a")
        wire.host_break(0.2)

    run_virtual(listens())
    assert found == [
        "an answer was acknowledged 6.0 ms after its end",
        "tubes were asked for 0.400 s after a reset",
        "the line was broken: approved cards are charged by that",
    ]


def cabinet(celsius: float) -> tuple[SimpleNamespace, Span, Callable[[], HealthOracle]]:
    """Return a machine with one column under a rule, how long it has been warm, and its judges."""
    machine = SimpleNamespace(now=100.0)
    machine.loop = SimpleNamespace(time=lambda: machine.now)
    span = Span(5.0, hot=False)
    cabin = SimpleNamespace(watch=lambda limit_c, hot: span, celsius=celsius)
    machine.world = SimpleNamespace(cabin=cabin)
    rule = HealthRule("A3", "cabin", 5.0, hot=False, allowed_s=20.0, after_filling_s=30.0)
    return machine, span, lambda: HealthOracle(cast("Whole", machine), (rule,))


def test_food_that_is_too_warm_for_too_long_is_held_back_in_time() -> None:
    machine, span, judge = cabinet(12.0)
    oracle = judge()

    def exceeds() -> list[str]:
        data = rec.HealthExceeded(columns=("A3",), reason=TOO_LONG, celsius=12.0)
        told = SimpleNamespace(data=data, mono_ms=round(machine.now * 1000))
        evidence = Evidence()
        oracle.record(cast("Any", told), evidence)
        return evidence.findings

    span.since_s = 100.0
    machine.now = 100.0 + 20.0 + LATE_S - 1.0
    assert oracle.check(Evidence()) == []
    assert exceeds() == []
    machine.now += 30.0
    assert oracle.check(Evidence()) == [], "it is held back"
    oracle = judge()
    oracle.record(  # by a technician; the timer begins anew
        cast("Any", SimpleNamespace(data=rec.HealthServed(columns=("A3",)), mono_ms=0)), Evidence()
    )
    machine.now += 30.0 + LATE_S - 1.0
    assert oracle.check(Evidence()) == []
    machine.now += 3.0
    assert oracle.check(Evidence()) == ["A3 has been too warm for too long, and is not held back"]
    assert exceeds() == ["A3 is held back 2 s later than its health timer allows"]


@pytest.mark.parametrize(("came", "told"), [(True, 0), (False, 1)])
def test_a_visit_is_one_if_somebody_came(came: bool, told: int) -> None:
    machine, span, judge = cabinet(12.0)
    oracle = judge()
    span.since_s = machine.now = 200.0
    evidence = Evidence(struck=[Trouble("config", "service")] if came else [])
    record: Any = SimpleNamespace(data=rec.ServiceLeft(by="technician"), mono_ms=0)
    oracle.record(record, evidence)
    machine.now += 20.0 + LATE_S + 3.0
    assert len(oracle.check(evidence)) == told


@pytest.mark.parametrize(("later_s", "told"), [(4.0, 0), (20.0, 1)])
def test_a_thermometer_that_was_blind_until_somebody_left_is_judged_a_reading_later(
    later_s: float, told: int
) -> None:
    machine, _, judge = cabinet(3.0)
    oracle = judge()
    blind = Evidence()
    blind.hide("a thermometer", 40.0, Excuse.WARM)
    oracle.check(blind)  # its customer has left
    machine.now += later_s
    evidence, data = Evidence(), rec.HealthExceeded(columns=("A3",), reason=UNKNOWN)
    record = SimpleNamespace(data=data, mono_ms=round(machine.now * 1000))
    oracle.record(cast("Any", record), evidence)
    assert evidence.findings == ["A3 is held back, and its thermometer works"] * told


def cold() -> tuple[CoolingOracle, SimpleNamespace, Evidence]:
    machine = SimpleNamespace(
        settings=SimpleNamespace(
            climate=SimpleNamespace(
                cooling=SimpleNamespace(
                    pin=SimpleNamespace(number=40), min_on_s=5.0, min_off_s=10.0
                )
            )
        ),
        running=object(), now=0.0,
    )  # fmt: skip
    machine.loop = SimpleNamespace(time=lambda: machine.now)
    return CoolingOracle(cast("Whole", machine)), machine, Evidence()


@pytest.mark.parametrize(
    ("ran", "rested", "told"), [(5.0, 10.0, 0), (4.0, 10.0, 1), (5.0, 9.0, 1), (4.0, 9.0, 2)]
)
def test_a_compressor_runs_and_rests_as_long_as_it_must(
    ran: float, rested: float, told: int
) -> None:
    oracle, machine, evidence = cold()
    oracle.switched(evidence, on=True)
    machine.now += ran
    oracle.switched(evidence, on=False)
    machine.now += rested
    oracle.switched(evidence, on=True)
    assert len(evidence.findings) == told


def test_a_device_has_its_time_behind_a_reset_and_before_one() -> None:
    found: list[str] = []
    now = [100.0]
    changer = SimpleNamespace(on_unheard=None, busy_since=None)
    world = SimpleNamespace(wire=None, devices={"changer": changer})
    machine = SimpleNamespace(world=world, loop=SimpleNamespace(time=lambda: now[0]), boots=1)
    times = Times(cast("Whole", machine), found.append)
    reset, setup, poll = b"\x08", b"\x09", b"\x0b"

    def is_set_up() -> None:
        times.heard("changer", reset)
        now[0] += 0.5
        times.heard("changer", setup)

    def is_silent(seconds: float) -> None:
        silent: Any = changer.on_unheard
        silent(poll)
        now[0] += seconds
        times.heard("changer", reset)

    is_set_up()
    is_silent(2.1)
    now[0] += 0.1
    times.heard("changer", b"\x0c\0\0\0\0")  # take nothing: whoever ends knows no better
    now[0] += 0.09
    times.heard("changer", poll)
    now[0] += 1.0
    is_set_up()
    changer.busy_since = now[0] - 0.6  # it paid before, and said nothing either
    is_silent(1.5)
    changer.busy_since = None
    now[0] += 0.5
    is_set_up()
    is_silent(1.5)
    now[0] += 0.5
    machine.boots = 2  # and whatever another life found
    is_silent(1.0)
    silent: Any = changer.on_unheard
    for pause_s in (1.0, 5.0, 9.9, 9.9, 8.9):
        now[0] += pause_s
        silent(reset)
        silent(poll)
    assert found == [
        "changer is talked to 0.190 s after its RESET",
        "changer is RESET after 1.5 s of silence, and has 2.0 s",
        "changer is silent, and RESET again after 8.9 s",
    ]
