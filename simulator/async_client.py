"""The same client for programs that run a loop of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from simulator import calls
from simulator.calls import Call
from simulator.client import (
    ANSWER_LIMIT_S,
    SimulatorError,
    WaitTimeoutError,
    result_of,
    unreachable,
)
from simulator.shapes import (
    DisplayView,
    EdgeView,
    FactView,
    FaultList,
    Hello,
    Mark,
    PinView,
    TruthView,
    Waited,
)

T = TypeVar("T")

MAX_LINE_BYTES: Final = 16 << 20  # a whole truth with a thousand customers is some hundred kB
MOST_EVENTS: Final = 100_000  # that nobody has taken yet; the oldest are dropped


class AsyncSimClient:
    """A connection to one simulated machine; requests may run side by side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """See ``connect``."""
        self._reader = reader
        self._writer = writer
        self._number = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def connect(cls, path: Path) -> Self:
        """Connect to a control socket. Raises SimulatorError."""
        try:
            reader, writer = await asyncio.open_unix_connection(path, limit=MAX_LINE_BYTES)
        except OSError as error:
            raise SimulatorError(unreachable(path, error)) from error
        return cls(reader, writer)

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Hang up."""
        await self.close()

    async def close(self) -> None:
        """Hang up; idempotent."""
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def do(self, call: Call[T]) -> T:
        """Send a request and wait for its answer.

        Raises:
            SimulatorError: It was refused, or the simulator has gone or hangs.
        """
        if self._listening.done():
            raise SimulatorError("the simulator went away")
        self._number += 1
        number = self._number
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(json.dumps(call.message(number)).encode() + b"\n")
            async with asyncio.timeout(ANSWER_LIMIT_S + call.patience_s):
                await self._writer.drain()
                return call.read(result_of(await answer))
        except OSError as error:  # a time-out is one too
            raise SimulatorError(f"no answer to {call.method}: {error}") from error
        finally:
            del self._waiting[number]

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Yield events as they come, after ``subscribe``, until the connection ends."""
        while (event := await self._events.get()) is not None:
            yield event

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                self._take(json.loads(line))
        except OSError:
            pass  # the same as an end: whoever waits is told below
        finally:
            self._events.put_nowait(None)
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(SimulatorError("the simulator went away"))

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("method") == "event":
            if self._events.qsize() >= MOST_EVENTS:
                self._events.get_nowait()
            self._events.put_nowait(message["params"])
            return
        waiting = self._waiting.get(message.get("id", 0))
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    async def hello(self) -> Hello:
        """Return who answers, and where a controller finds its hardware."""
        return await self.do(calls.hello())

    async def customer(self, name: str) -> None:
        """Let somebody else stand in front of the machine."""
        await self.do(calls.customer(name))

    async def insert_coin(self, value: int, count: int = 1, *, name: str = "") -> None:
        """Put coins into the slot; ``name`` makes a token or a slug of it."""
        await self.do(calls.insert_coin(value, count, name=name))

    async def insert_bill(self, value: int, patience_s: float = 20.0) -> bool:
        """Offer a bill until it is pulled in; False when it never was."""
        return await self.do(calls.insert_bill(value, patience_s))

    async def present_card(
        self, card: str = "card", reader: str | None = None, patience_s: float = 20.0
    ) -> bool:
        """Hold a card to a reader until it takes notice; False when it never did."""
        return await self.do(calls.present_card(card, reader, patience_s))

    async def remove_card(self, reader: str | None = None) -> None:
        """Pull the card, or press the reader's cancel key."""
        await self.do(calls.remove_card(reader))

    async def press_keys(self, keys: str) -> None:
        """Press keys, and return when the last one is let go."""
        await self.do(calls.press_keys(keys))

    async def pull_lever(self) -> None:
        """Press the coin return lever."""
        await self.do(calls.pull_lever())

    async def take_product(self) -> tuple[str, ...]:
        """Take what lies in the bin; returns the products' names."""
        return await self.do(calls.take_product())

    async def take_money(self) -> int:
        """Take what lies in the tray; returns its value."""
        return await self.do(calls.take_money())

    async def door(self, is_open: bool) -> None:
        """Open or close the service door."""
        await self.do(calls.door(is_open))

    async def temperature(self, celsius: float | None, ambient_c: float | None = None) -> float:
        """Make the air in the cabinet, or the room, so warm; returns how warm the cabinet is."""
        return await self.do(calls.temperature(celsius, ambient_c))

    async def load(self, column: str | None = None, count: int | None = None) -> dict[str, int]:
        """Put products into a column, or into all; returns what is in them."""
        return await self.do(calls.load(column, count))

    async def unload(self, column: str) -> int:
        """Take all products out of a column; returns how many."""
        return await self.do(calls.unload(column))

    async def fill_tubes(
        self, value: int | None = None, count: int | None = None
    ) -> dict[int, int]:
        """Put coins into a tube, or into all; returns coins by value."""
        return await self.do(calls.fill_tubes(value, count))

    async def empty_tubes(self, value: int | None = None, leave: int = 0) -> dict[int, int]:
        """Take coins out of a tube, or out of all; returns coins by value."""
        return await self.do(calls.empty_tubes(value, leave))

    async def fill_recycler(self, value: int, count: int = 1) -> int:
        """Put bills into the recycler by its own slot; returns the value of what is in it."""
        return await self.do(calls.fill_recycler(value, count))

    async def press_switch(self, value: int, count: int = 1) -> int:
        """Let coins out by the changer's own switch; returns how many came."""
        return await self.do(calls.press_switch(value, count))

    async def jam(self, column: str) -> None:
        """Let a column's motor stall in mid turn from now on."""
        await self.do(calls.jam(column))

    async def unjam(self, column: str, *, home: bool = False) -> None:
        """End a jam; with ``home`` the spiral is turned home by hand."""
        await self.do(calls.unjam(column, home=home))

    async def blind(self, on: bool = True) -> None:
        """Blind the light barrier, or mend it."""
        await self.do(calls.blind(on))

    async def set_fault(self, part: str, name: str, value: bool | int | float | str = True) -> Any:
        """Break something by name; returns the value as it was taken."""
        return await self.do(calls.set_fault(part, name, value))

    async def clear_faults(self, part: str | None = None) -> None:
        """Set every fault of a part, or of all, back."""
        await self.do(calls.clear_faults(part))

    async def list_faults(self, part: str | None = None) -> FaultList:
        """Return what can be broken, and what is."""
        return await self.do(calls.list_faults(part))

    async def unplug(self, part: str) -> None:
        """Pull a device, ``display`` or ``line``."""
        await self.do(calls.unplug(part))

    async def plug(self, part: str) -> None:
        """Put a cable back."""
        await self.do(calls.plug(part))

    async def cut_power(self) -> None:
        """Take the whole machine's power away; its computer is killed by other hands."""
        await self.do(calls.cut_power())

    async def restore_power(self) -> None:
        """Give the power back."""
        await self.do(calls.restore_power())

    async def save(self) -> str:
        """Save the world's state now; return the file's name."""
        return await self.do(calls.save())

    async def stop(self) -> None:
        """End the simulator."""
        await self.do(calls.stop())

    async def truth(self) -> TruthView:
        """Return all that is physically so."""
        return await self.do(calls.truth())

    async def facts(self, after: int = 0) -> list[FactView]:
        """Return what happened after fact ``after``."""
        return await self.do(calls.facts(after))

    async def display(self, after: int = 0) -> DisplayView:
        """Return what the display shows, and showed after frame ``after``."""
        return await self.do(calls.display(after))

    async def pins(self) -> dict[int, PinView]:
        """Return the pins that the machine's file names."""
        return await self.do(calls.pins())

    async def edges(self, after: int = 0, pin: int | None = None) -> list[EdgeView]:
        """Return edges after edge ``after``, of one pin or of all."""
        return await self.do(calls.edges(after, pin))

    async def forget_pins(self) -> None:
        """Clear the recorded edges and longest on-times."""
        await self.do(calls.forget_pins())

    async def mark(self) -> Mark:
        """Return this instant, for a later wait."""
        return await self.do(calls.mark())

    async def subscribe(self, kinds: list[str] | None = None) -> None:
        """Have events sent from now on; see ``events``."""
        await self.do(calls.subscribe(kinds))

    async def wait_for(
        self,
        *,
        display: str | None = None,
        fact: str | None = None,
        pin: int | None = None,
        level: bool | None = None,
        totals: dict[str, int] | None = None,
        quiet_s: float | None = None,
        still_s: float | None = None,
        since: Mark | None = None,
        timeout_s: float = 45.0,
    ) -> Waited:
        """Wait until all that is named has happened.

        Args:
            display: The display shows this text (or has shown it since ``since``).
            fact: A fact after ``since`` (by default from now on) contains these words.
            pin: An edge of this pin after ``since``, to ``level`` if given.
            level: See ``pin``.
            totals: Totals by name and the values that they must have.
            quiet_s: Nothing has moved for so long, and no device has anything left to tell.
            still_s: Nothing has moved for so long, whoever still waits to be heard.
            since: What happened after this mark counts.
            timeout_s: Seconds on the wall.

        Raises:
            WaitTimeoutError: It did not happen; says what is so instead.
        """
        call = calls.wait_for(
            display=display,
            fact=fact,
            pin=pin,
            level=level,
            totals=totals,
            quiet_s=quiet_s,
            still_s=still_s,
            since=since,
            timeout_s=timeout_s,
        )
        waited = await self.do(call)
        if not waited.met:
            wanted = {name: value for name, value in call.params.items() if value is not None}
            raise WaitTimeoutError(f"{wanted} did not happen; {waited.text}")
        return waited
