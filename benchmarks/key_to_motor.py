"""From the last key to the motor's pin: software only, through the real processes."""

from __future__ import annotations

import random
import time
from contextlib import closing
from typing import Any, Final

from benchmarks.keys import Keys
from benchmarks.machine import Vendd, configured, simulated, vendd
from benchmarks.place import BenchError, Place
from benchmarks.report import Row, Spread, Table
from simulator.client import SimClient
from simulator.shapes import EdgeView

NAME: Final = "key-to-motor"
_MOTOR: Final = 4  # column A1's pin
_PRICE: Final = 50
_BILL: Final = 2_000
_SPEED: Final = 20.0
_WAIT_S: Final = 20.0
HOW: Final = (
    "vendd's whole composition on a real loop: kernel input events, journal on disk with "
    "synchronous=FULL, MDB polls, display thread, drop sensor's self-test; the pins are in the "
    "same process. The clock starts when the last key's event is written and stops when the "
    "motor's pin is on. Below it the same with `vendd run` and simulator as two processes, where "
    "some 25 round trips over the simulator's pin socket are part of the way."
)


def run(place: Place) -> Table:
    """Measure."""
    table = Table(NAME, "last key to the motor's pin, software only", HOW)
    config = configured(
        place,
        {
            "capacity = 8\n": "capacity = 900\n",
            'name = "Still water 0.5 l"\nprice = 150': f'name = "Water"\nprice = {_PRICE}',
            "multi_vend = false": "multi_vend = true",
        },
    )
    count = place.many(300, 80)
    place.say(f"key-to-motor: {count} vends, pins at hand")
    found = place.child(
        "pins_at_hand", "--config", config, "--home", place.folder("home"), "--count", count
    )
    spread = Spread.of(found["took_ms"])
    home = place.folder("home")
    with simulated(config, home, _SPEED) as machine, vendd(config, home) as daemon:
        daemon.wait_until_it_sells()
        with closing(Keys(config, home)) as keys:
            socketed = Spread.of(_sell(place, machine.sim, daemon, keys))
    table.rows += [
        Row("last key to the motor's pin, p99", spread.p99, "ms", 10.0, beside=spread.words()),
        Row("the same over the pin socket, p99", socketed.p99, "ms", beside=socketed.words()),
    ]
    return table


def _sell(place: Place, sim: SimClient, daemon: Vendd, keys: Keys) -> list[float]:
    rng = random.Random(1)
    took: list[float] = []
    count = place.many(80, 40)
    for number in range(count):
        if number % (_BILL // _PRICE) == 0:
            place.say(f"key-to-motor: two processes, {number} of {count}")
            _pay(sim, daemon)
        time.sleep(rng.uniform(0.0, 0.15))  # a person meets the bus's polls at any phase
        before = sim.mark()
        pressed_at = keys.press("A1")
        sim.wait_for(pin=_MOTOR, level=True, since=before, timeout_s=_WAIT_S)
        took.append((_on(sim.edges(before.edge, _MOTOR)) - pressed_at) * 1000)
        sold = number + 1
        daemon.wait_until(lambda status, sold=sold: _sold(status, sold), "sold")  # type: ignore[misc]  # bound now
        sim.take_product()
    return took


def _on(edges: list[EdgeView]) -> float:
    return next(edge.at_s for edge in edges if edge.level)


def _pay(sim: SimClient, daemon: Vendd) -> None:
    if not sim.insert_bill(_BILL):
        raise BenchError("the bill was not pulled in")
    daemon.wait_until(lambda status: bool(status["credit"] >= _BILL), "credit")


def _sold(status: dict[str, Any], count: int) -> bool:
    return bool(status["counters"]["vends"] >= count and status["mode"] in ("idle", "credit"))
