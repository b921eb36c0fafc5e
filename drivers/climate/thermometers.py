"""Reads the kernel's temperature files again and again, one after the other.

A 1-wire conversion holds the reader for 750 ms, and a bus in trouble for ever: so a read runs in a
thread of its own, at most one at a time per thermometer, and nobody waits for it. In virtual time
``read`` is the simulator's and answers at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from controller.ports import DeviceEvent, TemperatureRead
from drivers.climate.kernel_file import NoTemperatureError, temperature

FIRST_S: Final = 0.2  # after the start: whatever else starts comes first
MOST_BYTES: Final = 256  # a w1_slave has 75

ReadFile = Callable[[Path], Awaitable[str]]


class ThermometerShape(Protocol):
    """One file."""

    @property
    def name(self) -> str:
        """Return what the configuration calls it."""
        ...

    @property
    def path(self) -> Path:
        """Return the kernel's file."""
        ...

    @property
    def every_s(self) -> float:
        """Return the time between two readings."""
        ...


async def read_in_thread(path: Path) -> str:
    """Read a small file in a thread of its own, which a hanging read keeps for itself.

    Raises:
        OSError: It can't be read.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[str] = loop.create_future()

    def tell(text: str, error: OSError | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(text)
        else:
            done.set_exception(error)

    def read() -> None:
        text, failure = "", None
        try:
            with path.open("rb") as file:
                text = file.read(MOST_BYTES).decode("ascii", "replace")
        except OSError as error:
            failure = error
        try:
            loop.call_soon_threadsafe(tell, text, failure)
        except RuntimeError:  # the loop is closed: nobody waits for it any more
            return

    threading.Thread(target=read, name="thermometer", daemon=True).start()
    return await done


class Thermometers:
    """All thermometers of a machine.

    Args:
        shapes: Which.
        notify: Takes ``TemperatureRead``, with each reading and each failure.
        read: Reads a file.
    """

    def __init__(
        self,
        shapes: Sequence[ThermometerShape],
        notify: Callable[[DeviceEvent], None],
        read: ReadFile = read_in_thread,
    ) -> None:
        self._shapes = shapes
        self._notify = notify
        self._read = read
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._reading: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Begin, on the running loop."""
        for shape in self._shapes:
            self._later(shape, FIRST_S)

    def stop(self) -> None:
        """End."""
        for timer in self._timers.values():
            timer.cancel()
        for task in self._reading.values():
            task.cancel()
        self._timers.clear()

    def _later(self, shape: ThermometerShape, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._timers[shape.name] = loop.call_later(seconds, self._due, shape)

    def _due(self, shape: ThermometerShape) -> None:
        task = asyncio.get_running_loop().create_task(self._take(shape))
        self._reading[shape.name] = task

    async def _take(self, shape: ThermometerShape) -> None:
        celsius, why = None, ""
        try:
            celsius = temperature(await self._read(shape.path))
        except OSError as error:
            why = error.strerror or str(error)
        except NoTemperatureError as error:
            why = str(error)
        now = asyncio.get_running_loop().time()
        self._notify(TemperatureRead(shape.name, celsius, now, why))
        self._later(shape, shape.every_s)
