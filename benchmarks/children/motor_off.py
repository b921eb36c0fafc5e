"""End vendd while a motor turns, again and again, and tell how long the motor still turned.

``vendd guard`` with ``vendd run`` below it and a simulated machine are processes of their own, all
of them scheduled as the unit schedules vendd, if this user may.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

from benchmarks.children.given import given, hand_back
from benchmarks.children.round_trips import in_real_time
from benchmarks.idle import child_of
from benchmarks.machine import Vendd, simulated, vendd
from benchmarks.place import BenchError
from controller.cli.client import Client
from simulator.client import SimClient

COLUMN: Final = "A1"
MOTOR: Final = 4  # its pin
COINS: Final = (100, 50)
WAIT_S: Final = 60.0
RUNS_S: Final = 0.4  # the longest that the motor has run when vendd ends


def off_after(
    sim: SimClient, config: Path, home: Path, number: signal.Signals, rng: random.Random
) -> float:
    """Have a customer pay, end vendd while the motor turns; return how long it still turned."""
    sim.clear_faults()
    sim.unjam(COLUMN, home=True)
    with vendd(config, home, "guard") as guard:
        guard.wait_until_it_sells()
        _in_order(guard)
        sim.set_fault(COLUMN, "slow", True)
        sim.set_fault(COLUMN, "hang", 9)
        for coin in COINS:
            sim.insert_coin(coin)
        guard.wait_until(lambda status: bool(status["credit"] >= sum(COINS)), "credit")
        before = sim.mark()
        sim.press_keys(COLUMN)
        sim.wait_for(pin=MOTOR, level=True, since=before, timeout_s=WAIT_S)
        time.sleep(rng.uniform(0.0, RUNS_S))  # no wait: the instant of the end is drawn
        daemon = child_of(guard.process.pid)
        ended_at = time.monotonic()
        os.kill(daemon, number)
        try:
            guard.process.wait(WAIT_S)
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"the guard did not end within {WAIT_S:g} s") from error
        sim.wait_for(pin=MOTOR, level=False, since=before, timeout_s=WAIT_S)
        off = [edge.at_s for edge in sim.edges(before.edge, MOTOR) if not edge.level]
        if off[0] < ended_at:
            raise BenchError("the motor had stopped before vendd ended")
        return off[0] - ended_at


def _in_order(guard: Vendd) -> None:
    """Have the column sell again, whatever the last time left of it."""
    with Client(guard.socket) as client:
        client.call("stock.enable", column=COLUMN)
    guard.wait_until(lambda status: not status["credit"], "the last one's money is paid back")


def main() -> None:
    """Measure ``--count`` ends by ``--signal``."""
    options = given(__doc__, config=Path, home=Path, signal=str, count=int)
    real_time = in_real_time()
    number = signal.Signals[options.signal]
    rng = random.Random(1)
    with simulated(options.config, options.home) as machine:
        took_s = [
            off_after(machine.sim, options.config, options.home, number, rng)
            for _ in range(options.count)
        ]
    hand_back({"took_s": took_s, "real_time": real_time})


if __name__ == "__main__":
    main()
