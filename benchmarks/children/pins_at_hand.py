"""vendd's whole composition on a real loop, its journal on disk, its pins in the same process.

Keys come through the kernel's input events on a FIFO, written by another thread while the loop
sleeps; the MDB line with its peripherals and the cabinet are simulated in the same loop, and the
display is written by its own thread to a bus whose far end is another process.
"""

from __future__ import annotations

import asyncio
import gc
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from benchmarks.children.given import given, hand_back
from benchmarks.keys import Keys
from config.machine import MachineSettings
from config.settings import load
from controller import app
from controller.clock import SystemClock, system_entropy
from controller.journal.sqlite_aio import DirectoryStorage
from drivers.gpio.on_time import ThreadWatch
from drivers.links.adapter_text import AdapterTextLink
from simulator.key_fifo import KeyFifo
from simulator.pins.board import Edge
from simulator.world import World

MOTOR: Final = 4  # column A1's pin
BILL: Final = 2_000
SPEED: Final = 20.0
_LOOK_S: Final = 0.002
_LONGEST_S: Final = 20.0


class Motor:
    """Notes when the motor's pin goes on."""

    def __init__(self, world: World) -> None:
        self._told = world.board.on_edge
        world.board.on_edge = self._edge
        self.on_at = 0.0

    def _edge(self, edge: Edge) -> None:
        if edge.pin == MOTOR and edge.level:
            self.on_at = time.monotonic()
        if self._told is not None:
            self._told(edge)


@contextmanager
def _display(settings: MachineSettings) -> Iterator[None]:
    """Put a display on the bus."""
    display = settings.display
    assert display is not None
    command = [
        sys.executable, "-m", "benchmarks.children.display_far_side",
        "--path", display.bus.removeprefix("socket:"), "--address", str(display.address),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.terminate()


async def _until(done: Callable[[], bool], words: str) -> None:
    until = time.monotonic() + _LONGEST_S
    while not done():
        if time.monotonic() > until:
            raise TimeoutError(words)
        await asyncio.sleep(_LOOK_S)


async def _sell(settings: MachineSettings, keys: Keys, count: int) -> list[float]:
    loop = asyncio.get_running_loop()
    clock = SystemClock()
    world = World(loop, clock, settings, speed=SPEED)
    motor = Motor(world)
    parts = app.Parts(
        clock=clock,
        storage=DirectoryStorage(settings.journal.folder),
        entropy=system_entropy,
        link=AdapterTextLink(world.port),
        pins=world.pins(),
        watch=ThreadWatch(clock.monotonic_s),
        system_boot="bench",
    )
    took_ms: list[float] = []
    async with app.composed(settings, parts) as running:
        task = loop.create_task(running.run())
        machine, state = running.machine, running.journal.state
        await _until(lambda: state.recovered and machine.desk.mode.selling, "not selling")
        await _until(lambda: all(device.ready for device in running.bus.devices), "not ready")
        gc.collect()
        gc.freeze()  # as vendd does when it is up
        rng = random.Random(1)
        for number in range(count):
            price = settings.price_of(settings.columns[0])
            if state.credit.total < price:
                await _until(lambda: world.insert_bill(BILL), "the bill is not pulled in")
                await _until(lambda: state.credit.total >= BILL, "no credit")
            await asyncio.sleep(rng.uniform(0.0, 0.15))  # any phase of the bus's polls
            motor.on_at = 0.0
            pressed_at = await loop.run_in_executor(None, keys.press, "A1")
            await _until(lambda: bool(motor.on_at), "the motor does not turn")
            took_ms.append((motor.on_at - pressed_at) * 1000)
            sold = number + 1
            await _until(lambda sold=sold: state.counters.vends >= sold, "not sold")  # type: ignore[misc]  # bound now
            await _until(lambda: machine.quiet and machine.desk.mode.selling, "not done")
            world.take_product()
        running.machine.stop("done")
        await task
    return took_ms


def main() -> None:
    """Sell ``--count`` products."""
    options = given(__doc__, config=Path, home=Path, count=int)
    settings = load(options.config, home=options.home)
    fifo = KeyFifo(options.home / "keypad")
    try:
        with _display(settings), closing(Keys(options.config, options.home)) as keys:
            found = asyncio.run(_sell(settings, keys, options.count))
    finally:
        fifo.close()
    hand_back({"took_ms": found})


if __name__ == "__main__":
    main()
