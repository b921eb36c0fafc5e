"""The two ways from a pin factory to the pins: in this process, or over the simulator's socket."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from typing import Final, Protocol

from controller.clock import SystemClock
from simulator.pins.board import Edges, PinBoard, PinBusyError, PinSession, PinUseError, Pull
from simulator.pins.wire import ANSWER, EDGE_SIZE, REQUEST, Operation, PushedEdge, Status

# The simulator answers within a loop turn; a second of silence means that it hangs.
ANSWER_LIMIT_S: Final = 1.0

Listener = Callable[[int, bool, float], None]


class PinTransport(Protocol):
    """What a pin factory asks of the pins."""

    def claim_input(self, pin: int) -> None:
        """Make a pin an input without a pull. Raises PinBusyError."""
        ...

    def claim_output(self, pin: int, level: bool = False) -> None:
        """Make a pin an output. Raises PinBusyError."""
        ...

    def is_output(self, pin: int) -> bool:
        """Tell whether a pin is an output."""
        ...

    def write(self, pin: int, level: bool) -> None:
        """Set an output. Raises PinUseError."""
        ...

    def read(self, pin: int) -> bool:
        """Return a pin's level."""
        ...

    def pull(self, pin: int, pull: Pull) -> None:
        """Set an input's resistor."""
        ...

    def get_pull(self, pin: int) -> Pull:
        """Return an input's resistor."""
        ...

    def listen(self, pin: int, edges: Edges, listener: Listener | None) -> None:
        """Have edges told; over a socket in another thread."""
        ...

    def ticks(self) -> float:
        """Return the time base of the listener's third argument, in seconds."""
        ...

    def lost(self) -> str:
        """Return why the pins are out of reach; "" while they are not. Never waits."""
        ...

    def die(self) -> None:
        """Let go as a dead process does: the pins keep what they have."""
        ...


class DirectTransport(PinSession):
    """Pins in this process, without threads: the listener is called within ``drive``."""

    def __init__(self, board: PinBoard) -> None:
        super().__init__(board)

    def ticks(self) -> float:
        """Return the board's time."""
        return self.board.now_s()

    def lost(self) -> str:
        """Return nothing: a board in this process stays."""
        return ""


class SocketTransport:
    """Pins behind the simulator's socket.

    Requests are answered in turn on one connection; edges come over a second one, opened with the
    first listener, and are told in a thread of their own, as a GPIO library's callbacks are.

    Raises:
        ConnectionError: No simulator listens there, from the constructor and from every call after
            it went away.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._clock = SystemClock()
        self._lock = threading.Lock()
        self._pulls: dict[int, Pull] = {}
        self._listeners: dict[int, Listener] = {}
        self._edges: socket.socket | None = None
        self._dead = False
        self._commands = self._connect()
        self._token = self._ask(Operation.OPEN)

    def claim_input(self, pin: int) -> None:
        """Make a pin an input."""
        self._ask(Operation.INPUT, pin)
        self._pulls[pin] = Pull.FLOATING

    def claim_output(self, pin: int, level: bool = False) -> None:
        """Make a pin an output."""
        self._ask(Operation.OUTPUT, pin, level)

    def is_output(self, pin: int) -> bool:
        """Tell whether a pin is an output."""
        return bool(self._ask(Operation.FUNCTION, pin))

    def write(self, pin: int, level: bool) -> None:
        """Set an output."""
        self._ask(Operation.WRITE, pin, level)

    def read(self, pin: int) -> bool:
        """Return a pin's level."""
        return bool(self._ask(Operation.READ, pin))

    def pull(self, pin: int, pull: Pull) -> None:
        """Set an input's resistor."""
        self._ask(Operation.PULL, pin, pull)
        self._pulls[pin] = pull

    def get_pull(self, pin: int) -> Pull:
        """Return the resistor that was set last."""
        return self._pulls.get(pin, Pull.FLOATING)

    def listen(self, pin: int, edges: Edges, listener: Listener | None) -> None:
        """Have edges told in the listening thread."""
        if listener is None:
            self._listeners.pop(pin, None)
        else:
            self._listeners[pin] = listener
            self._begin_listening()
        self._ask(Operation.EDGES, pin, edges)

    def ticks(self) -> float:
        """Return the system's monotonic clock, which the simulator's edges carry too."""
        return self._clock.monotonic_s()

    def lost(self) -> str:
        """Look whether the other side has closed, without a word to it."""
        with self._lock:
            if self._dead:
                return ""
            look = select.poll()
            look.register(self._commands, select.POLLIN)
            # Between two requests it has nothing to say, unless it closes.
            return f"the simulated pins at {self._path} went away" if look.poll(0) else ""

    def die(self) -> None:
        """Close both connections; what is still called later is ignored."""
        self._dead = True
        for connection in (self._commands, self._edges):
            if connection is not None:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(ANSWER_LIMIT_S)
        try:
            connection.connect(self._path)
        except OSError as error:
            connection.close()
            raise ConnectionError(
                f"no simulated pins at {self._path}: {error.strerror or error} "
                "(`vendsim machine` makes them)"
            ) from error
        return connection

    def _ask(self, operation: Operation, pin: int = 0, value: int = 0) -> int:
        """Send one request and return the answer's value."""
        with self._lock:
            if self._dead:
                return 0
            try:
                self._commands.sendall(REQUEST.pack(operation, pin, value))
                status, answer = ANSWER.unpack(_receive(self._commands, ANSWER.size))
            except OSError as error:
                raise ConnectionError(
                    f"the simulated pins at {self._path} went away: {error}"
                ) from error
        if status == Status.OK:
            return int(answer)
        if status == Status.BUSY:
            raise PinBusyError(f"pin {pin} is held by another process")
        raise PinUseError(f"pin {pin}: {operation.name.lower()} is not possible")

    def _begin_listening(self) -> None:
        if self._edges is not None:
            return
        edges = self._connect()
        edges.sendall(REQUEST.pack(Operation.LISTEN, 0, self._token))
        _receive(edges, ANSWER.size)
        edges.settimeout(None)
        self._edges = edges
        threading.Thread(target=self._tell, args=(edges,), name="vendsim-pins", daemon=True).start()

    def _tell(self, edges: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the connection ends with the simulator or with us
            while True:
                edge = PushedEdge.from_bytes(_receive(edges, EDGE_SIZE))
                listener = self._listeners.get(edge.pin)
                if listener is not None:
                    listener(edge.pin, edge.level, edge.at_s)


def _receive(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionResetError("closed by the simulator")
        data += part
    return data
