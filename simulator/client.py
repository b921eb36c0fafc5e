"""A typed client of a running simulator, for scripts, stories and the command line.

Every method asks once and waits for its answer; ``wait_for`` takes the place of sleeping.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from simulator import calls
from simulator.calls import Call
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

# A simulator answers within a loop turn; what takes longer on purpose says so (``patience_s``).
ANSWER_LIMIT_S: Final = 45.0


class SimulatorError(Exception):
    """The simulator refused, or could not be reached."""


class WaitTimeoutError(SimulatorError):
    """What was waited for did not happen in time."""


class SimClient:
    """A connection to one simulated machine.

    Args:
        path: Its control socket.

    Raises:
        SimulatorError: Nobody listens there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number = 0
        self._buffer = b""
        self._events: list[dict[str, Any]] = []
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise SimulatorError(unreachable(path, error)) from error

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Hang up."""
        self.close()

    def close(self) -> None:
        """Hang up; idempotent."""
        self._socket.close()

    def do(self, call: Call[T]) -> T:
        """Send a request and wait for its answer.

        Raises:
            SimulatorError: It was refused, or the simulator has gone.
        """
        self._number += 1
        line = json.dumps(call.message(self._number)).encode() + b"\n"
        limit_s = ANSWER_LIMIT_S + call.patience_s
        try:
            self._socket.sendall(line)
            while True:
                message = self._receive(limit_s)
                if message.get("method") == "event":
                    self._events.append(message["params"])
                elif message.get("id") in (self._number, None):
                    return call.read(result_of(message))
        except OSError as error:
            raise SimulatorError(f"the simulator at {self._path} went away: {error}") from error

    def events(self, timeout_s: float) -> Iterator[dict[str, Any]]:
        """Yield events as they come, after ``subscribe``, until none comes for ``timeout_s``."""
        while True:
            while self._events:
                yield self._events.pop(0)
            try:
                message = self._receive(timeout_s)
            except TimeoutError:
                return
            except OSError as error:
                raise SimulatorError(f"the simulator at {self._path} went away") from error
            if message.get("method") == "event":
                yield message["params"]

    def _receive(self, limit_s: float) -> dict[str, Any]:
        self._socket.settimeout(limit_s)
        while b"\n" not in self._buffer:
            part = self._socket.recv(65_536)
            if not part:
                raise ConnectionResetError("closed by the simulator")
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def hello(self) -> Hello:
        """Return who answers, and where a controller finds its hardware."""
        return self.do(calls.hello())

    def customer(self, name: str) -> None:
        """Let somebody else stand in front of the machine."""
        self.do(calls.customer(name))

    def insert_coin(self, value: int, count: int = 1, *, name: str = "") -> None:
        """Put coins into the slot; ``name`` makes a token or a slug of it."""
        self.do(calls.insert_coin(value, count, name=name))

    def insert_bill(self, value: int, patience_s: float = 20.0) -> bool:
        """Offer a bill until it is pulled in; False when it never was."""
        return self.do(calls.insert_bill(value, patience_s))

    def present_card(
        self, card: str = "card", reader: str | None = None, patience_s: float = 20.0
    ) -> bool:
        """Hold a card to a reader until it takes notice; False when it never did."""
        return self.do(calls.present_card(card, reader, patience_s))

    def remove_card(self, reader: str | None = None) -> None:
        """Pull the card, or press the reader's cancel key."""
        self.do(calls.remove_card(reader))

    def press_keys(self, keys: str) -> None:
        """Press keys, and return when the last one is let go."""
        self.do(calls.press_keys(keys))

    def pull_lever(self) -> None:
        """Press the coin return lever."""
        self.do(calls.pull_lever())

    def take_product(self) -> tuple[str, ...]:
        """Take what lies in the bin; returns the products' names."""
        return self.do(calls.take_product())

    def take_money(self) -> int:
        """Take what lies in the tray; returns its value."""
        return self.do(calls.take_money())

    def door(self, is_open: bool) -> None:
        """Open or close the service door."""
        self.do(calls.door(is_open))

    def temperature(self, celsius: float | None, ambient_c: float | None = None) -> float:
        """Make the air in the cabinet, or the room, so warm; returns how warm the cabinet is."""
        return self.do(calls.temperature(celsius, ambient_c))

    def load(self, column: str | None = None, count: int | None = None) -> dict[str, int]:
        """Put products into a column, or into all; returns what is in them."""
        return self.do(calls.load(column, count))

    def unload(self, column: str) -> int:
        """Take all products out of a column; returns how many."""
        return self.do(calls.unload(column))

    def fill_tubes(self, value: int | None = None, count: int | None = None) -> dict[int, int]:
        """Put coins into a tube, or into all; returns coins by value."""
        return self.do(calls.fill_tubes(value, count))

    def empty_tubes(self, value: int | None = None, leave: int = 0) -> dict[int, int]:
        """Take coins out of a tube, or out of all; returns coins by value."""
        return self.do(calls.empty_tubes(value, leave))

    def fill_recycler(self, value: int, count: int = 1) -> int:
        """Put bills into the recycler by its own slot; returns the value of what is in it."""
        return self.do(calls.fill_recycler(value, count))

    def press_switch(self, value: int, count: int = 1) -> int:
        """Let coins out by the changer's own switch; returns how many came."""
        return self.do(calls.press_switch(value, count))

    def jam(self, column: str) -> None:
        """Let a column's motor stall in mid turn from now on."""
        self.do(calls.jam(column))

    def unjam(self, column: str, *, home: bool = False) -> None:
        """End a jam; with ``home`` the spiral is turned home by hand."""
        self.do(calls.unjam(column, home=home))

    def blind(self, on: bool = True) -> None:
        """Blind the light barrier, or mend it."""
        self.do(calls.blind(on))

    def set_fault(self, part: str, name: str, value: bool | int | float | str = True) -> Any:
        """Break something by name; returns the value as it was taken."""
        return self.do(calls.set_fault(part, name, value))

    def clear_faults(self, part: str | None = None) -> None:
        """Set every fault of a part, or of all, back."""
        self.do(calls.clear_faults(part))

    def list_faults(self, part: str | None = None) -> FaultList:
        """Return what can be broken, and what is."""
        return self.do(calls.list_faults(part))

    def unplug(self, part: str) -> None:
        """Pull a device, ``display`` or ``line``."""
        self.do(calls.unplug(part))

    def plug(self, part: str) -> None:
        """Put a cable back."""
        self.do(calls.plug(part))

    def cut_power(self) -> None:
        """Take the whole machine's power away; its computer is killed by other hands."""
        self.do(calls.cut_power())

    def restore_power(self) -> None:
        """Give the power back."""
        self.do(calls.restore_power())

    def save(self) -> str:
        """Save the world's state now; return the file's name."""
        return self.do(calls.save())

    def stop(self) -> None:
        """End the simulator."""
        self.do(calls.stop())

    def truth(self) -> TruthView:
        """Return all that is physically so."""
        return self.do(calls.truth())

    def facts(self, after: int = 0) -> list[FactView]:
        """Return what happened after fact ``after``."""
        return self.do(calls.facts(after))

    def display(self, after: int = 0) -> DisplayView:
        """Return what the display shows, and showed after frame ``after``."""
        return self.do(calls.display(after))

    def pins(self) -> dict[int, PinView]:
        """Return the pins that the machine's file names."""
        return self.do(calls.pins())

    def edges(self, after: int = 0, pin: int | None = None) -> list[EdgeView]:
        """Return edges after edge ``after``, of one pin or of all."""
        return self.do(calls.edges(after, pin))

    def forget_pins(self) -> None:
        """Clear the recorded edges and longest on-times."""
        self.do(calls.forget_pins())

    def mark(self) -> Mark:
        """Return this instant, for a later wait."""
        return self.do(calls.mark())

    def subscribe(self, kinds: list[str] | None = None) -> None:
        """Have events sent from now on; see ``events``."""
        self.do(calls.subscribe(kinds))

    def wait_for(
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
        waited = self.do(call)
        if not waited.met:
            wanted = {name: value for name, value in call.params.items() if value is not None}
            raise WaitTimeoutError(f"{wanted} did not happen; {waited.text}")
        return waited


def result_of(message: dict[str, Any]) -> Any:
    """Return an answer's result. Raises SimulatorError."""
    error = message.get("error")
    if error is not None:
        details = error.get("data")
        words = str(error.get("message"))
        raise SimulatorError(f"{words}: {details}" if isinstance(details, str) else words)
    return message.get("result")


def unreachable(path: Path, error: OSError) -> str:
    """Say why there is no connection, and what to do."""
    return (
        f"no simulated machine at {path} ({error.strerror or error}); start one with "
        "`vendsim machine`, or name its folder with --dir"
    )
