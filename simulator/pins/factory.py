"""A gpiozero pin factory whose pins are the simulator's.

gpiozero finds it by its entry point (name ``vendsim`` in the group ``gpiozero_pin_factories``), so
that a configuration chooses it as it chooses ``lgpio``. It behaves as gpiozero's lgpio factory
does: a pin is claimed as an input when it is first made, an output starts low, closing a pin makes
it an input, edges are told in another thread (over a socket; within the call, in one process).
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any, Final, Literal

from gpiozero import exc
from gpiozero.pins import BoardInfo, HeaderInfo, PinInfo
from gpiozero.pins.pi import PiFactory, PiPin

from simulator.pins.board import PIN_COUNT, Edges, PinBoard, Pull
from simulator.pins.transport import DirectTransport, PinTransport, SocketTransport

SOCKET_VARIABLE: Final = "VENDSIM_PINS"  # for tools that cannot pass arguments to a factory

_PULLS: Final = {"floating": Pull.FLOATING, "up": Pull.UP, "down": Pull.DOWN}
_EDGES: Final = {
    "none": Edges.NONE, "rising": Edges.RISING, "falling": Edges.FALLING, "both": Edges.BOTH,
}  # fmt: skip
_EDGE_NAMES: Final = {value: name for name, value in _EDGES.items()}


@cache  # a life makes two of these, and nobody changes them
def _board_info() -> BoardInfo:
    """Describe a board with one header of ``PIN_COUNT`` lines, all of them free."""
    pins = {
        number + 1: PinInfo(
            number=number + 1,
            name=f"GPIO{number}",
            names=frozenset({number, str(number), f"GPIO{number}", f"BCM{number}"}),
            pull="",
            row=number + 1,
            col=1,
            interfaces=frozenset({"gpio"}),
        )
        for number in range(PIN_COUNT)
    }
    return BoardInfo(
        revision="vendsim", model="simulator", pcb_revision="1", released="", soc="", memory=0,
        manufacturer="vendd", storage="", usb=0, usb3=0, ethernet=0, eth_speed=0, wifi=False,
        bluetooth=False, csi=0, dsi=0, board="",
        headers={"SIM": HeaderInfo(name="SIM", rows=PIN_COUNT, columns=1, pins=pins)},
    )  # fmt: skip


class SimulatorPin(PiPin):  # type: ignore[misc]  # gpiozero ships no types
    """One simulated pin, with the surface of gpiozero's ``Pin``."""

    def __init__(self, factory: SimulatorFactory, info: PinInfo) -> None:
        super().__init__(factory, info)
        self._transport: PinTransport = factory.transport
        self._edges = Edges.BOTH
        self._transport.claim_input(self._number)

    def close(self) -> None:
        """Make it an input again."""
        self.when_changed = None
        self._transport.claim_input(self._number)

    def _get_function(self) -> Literal["input", "output"]:
        return "output" if self._transport.is_output(self._number) else "input"

    def _set_function(self, value: str) -> None:
        if value == "output":
            self._transport.claim_output(self._number)
        elif value == "input":
            self._transport.claim_input(self._number)
        else:
            raise exc.PinInvalidFunction(f"invalid function {value!r} for pin {self!r}")

    def _get_state(self) -> bool:
        return self._transport.read(self._number)

    def _set_state(self, value: float) -> None:
        if not self._transport.is_output(self._number):
            raise exc.PinSetInput(f"cannot set state of pin {self!r}")
        self._transport.write(self._number, bool(value))

    def _get_pull(self) -> str:
        return self._transport.get_pull(self._number).name.lower()

    def _set_pull(self, value: str) -> None:
        if self._transport.is_output(self._number):
            raise exc.PinFixedPull(f"cannot set pull on non-input pin {self!r}")
        if value not in _PULLS:
            raise exc.PinInvalidPull(f"invalid pull {value!r} for pin {self!r}")
        self._transport.pull(self._number, _PULLS[value])

    def _get_frequency(self) -> None:
        return None

    def _set_frequency(self, value: float | None) -> None:
        if value is not None:
            raise exc.PinPWMUnsupported(f"no PWM on pin {self!r}")

    def _get_bounce(self) -> None:
        return None

    def _set_bounce(self, value: float | None) -> None:
        if value is not None:
            raise exc.PinInvalidBounce(f"pin {self!r} has no bounce filter; allowed: None")

    def _get_edges(self) -> str:
        return _EDGE_NAMES[self._edges]

    def _set_edges(self, value: str) -> None:
        if value not in _EDGES:
            raise exc.PinInvalidEdges(f"invalid edges {value!r} for pin {self!r}")
        self._edges = _EDGES[value]
        if self._get_when_changed() is not None:
            self._enable_event_detect()

    def _enable_event_detect(self) -> None:
        self._transport.listen(self._number, self._edges, self._edge_came)

    def _disable_event_detect(self) -> None:
        self._transport.listen(self._number, Edges.NONE, None)

    def _edge_came(self, pin: int, level: bool, at_s: float) -> None:
        del pin
        if self._when_changed is not None:  # else it was let go while the edge was on its way
            self._call_when_changed(at_s, level)


class SimulatorFactory(PiFactory):  # type: ignore[misc]  # gpiozero ships no types
    """Makes pins of a simulated machine.

    Args:
        board: The pins, when they are in this process (virtual time, no threads).
        socket: The path of a simulator's pin socket. Without either, ``VENDSIM_PINS`` names it.

    Raises:
        ConnectionError: No simulator listens at the socket.
        ValueError: Neither a board nor a socket is known.
    """

    def __init__(self, *, board: PinBoard | None = None, socket: str | None = None) -> None:
        super().__init__()
        path = socket or os.environ.get(SOCKET_VARIABLE)
        if board is not None:
            self.transport: PinTransport = DirectTransport(board)
        elif path:
            self.transport = SocketTransport(path)
        else:
            raise ValueError(
                "a simulated pin factory needs a board or a socket; in a configuration: "
                'factory_arguments = { socket = "./gpio.sock" }'
            )
        self.pin_class = SimulatorPin
        self._info = _board_info()

    def close(self) -> None:
        """Make every pin an input and let the pins go."""
        super().close()
        self.transport.die()

    def abandon(self) -> None:
        """Let the pins go as a killed process does; whatever is still called later is ignored."""
        self.transport.die()

    def lost(self) -> str:
        """Return why the pins are out of reach; "" while they are not."""
        return self.transport.lost()

    def ticks(self) -> float:
        """Return seconds on the clock that stamps edges."""
        return self.transport.ticks()

    @staticmethod
    def ticks_diff(later: float, earlier: float) -> float:
        """Return the seconds between two ticks."""
        return later - earlier

    def _get_board_info(self) -> Any:
        return self._info
