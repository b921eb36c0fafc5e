"""The air in the cabinet: what warms it, what cools it, and what its thermometers say.

First order: the air goes towards what ambient, compressor and heaters would make of it, with a time
constant that an open door shortens. Computed when somebody looks, so that nothing ticks. What a
thermometer's file holds is what the kernel would write into it; how warm it really is stands apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from config.climate import Climate
from simulator.peripherals.base import Timeline
from simulator.peripherals.faults import amount, switch, word
from simulator.pins.board import PinBoard

EVAPORATOR_BELOW_C: Final = 12.0  # so much colder than the air while the compressor runs
DEFROST_ABOVE_C: Final = 20.0  # and so much warmer while its heater is on
EVAPORATOR_S: Final = 120.0  # its own time constant
HIGH_C: Final = 140.0  # what a shorted one tells


@dataclass(slots=True)
class ClimateFaults:
    """What can go wrong with the climate."""

    compressor_dead: bool = switch("its relay clicks and nothing gets cold")
    heater_dead: bool = switch("its relay clicks and nothing gets warm")
    sensor: str = word(
        "every thermometer: gone (no file), checksum, open (wire broken), shorted (to ground),"
        " power_up (85 °C), stuck, or high (140 °C)"
    )
    off_by_c: float = amount("every thermometer is off by so many degrees")


@dataclass(frozen=True, slots=True)
class ThermalPlan:
    """What the cabinet is like."""

    ambient_c: float = 24.0
    start_c: float = 4.0
    closed_s: float = 14_400.0  # time constant of the insulation
    open_s: float = 900.0  # and of an open door
    cooling_c: float = 40.0  # so far below ambient the compressor would get it in the end
    cooling_s: float = 3_600.0  # and so fast
    heating_c: float = 60.0  # and so far above it the heater


@dataclass(slots=True)
class Span:
    """How long the air has been beyond a limit, for those who judge."""

    limit_c: float
    hot: bool
    since_s: float | None = None  # on the loop's clock; None: it is within the limit
    ended_s: float = float("-inf")  # when it was last beyond it, before now
    began_s: float = float("-inf")  # and when that began

    def wrong(self, celsius: float) -> bool:
        """Tell whether a temperature is beyond the limit."""
        return celsius < self.limit_c if self.hot else celsius > self.limit_c

    def end(self, now: float) -> None:
        """Note that the air is within the limit."""
        if self.since_s is not None:
            self.began_s, self.since_s, self.ended_s = self.since_s, None, now


@dataclass(slots=True)
class _Air:
    celsius: float
    at_s: float
    evaporator_c: float
    stuck_text: str = ""
    spans: list[Span] = field(default_factory=list)


class Cabin:
    """The air of one machine.

    Args:
        timeline: Physical time.
        board: The pins that relays hang on.
        climate: How the machine's file says it is wired.
        plan: What the cabinet is like.
    """

    def __init__(
        self, timeline: Timeline, board: PinBoard, climate: Climate, plan: ThermalPlan
    ) -> None:
        self._timeline = timeline
        self._board = board
        self._climate = climate
        self.plan = plan
        self.ambient_c = plan.ambient_c
        self.faults = ClimateFaults()
        self.door_open = False
        self.powered = True
        self._air = _Air(plan.start_c, timeline.now(), plan.start_c)
        self._relays = {
            name: part.pin.number
            for name in ("cooling", "defrost", "heating")
            if (part := getattr(climate, name)) is not None and part.pin is not None
        }
        for _, pin in climate.pins():
            board.wire(pin.number, active_low=pin.active_low)
            board.watch(pin.number, self._before)
        self._on = self._what_is_on()

    # ------------------------------------------------------------------------------- physics

    @property
    def celsius(self) -> float:
        """Return how warm the air is."""
        self._settle()
        return self._air.celsius

    @property
    def evaporator_c(self) -> float:
        """Return how warm the evaporator is."""
        self._settle()
        return self._air.evaporator_c

    def put(self, celsius: float) -> None:
        """Make the air so warm, at once."""
        self._settle()
        self._judge(celsius, self._timeline.now())
        self._air.celsius = self._air.evaporator_c = celsius

    def set_door(self, is_open: bool) -> None:
        """Let the room in, or not."""
        self._settle()
        self.door_open = is_open

    def set_ambient(self, celsius: float) -> None:
        """Make the room so warm."""
        self._settle()
        self.ambient_c = celsius

    def power(self, on: bool) -> None:
        """Cut or restore the power."""
        self._settle()
        self.powered = on

    def faults_changed(self) -> None:
        """Look at ``faults`` again; until now the old ones held."""
        self._settle()
        if self.faults.sensor == "stuck" and not self._air.stuck_text:
            self._air.stuck_text = w1_slave(self._shown(""))
        elif self.faults.sensor != "stuck":
            self._air.stuck_text = ""

    def watch(self, limit_c: float, *, hot: bool) -> Span:
        """Keep the time for which the air is beyond a limit."""
        span = Span(limit_c, hot)
        if span.wrong(self.celsius):
            span.since_s = self._timeline.now()
        self._air.spans.append(span)
        return span

    def _what_is_on(self) -> frozenset[str]:
        return frozenset(name for name, pin in self._relays.items() if self._board.is_on(pin))

    def _before(self, level: bool) -> None:
        """A relay has moved: until now the old ones held."""
        del level
        self._settle()

    def _aim(self) -> tuple[float, float]:
        """Return where the air goes, and its time constant in physical seconds."""
        plan, on = self.plan, self._on if self.powered else frozenset()
        tau = plan.open_s if self.door_open else plan.closed_s
        aim = self.ambient_c
        if "cooling" in on and not self.faults.compressor_dead:
            speed = 1 / tau + 1 / plan.cooling_s
            cold = (aim / tau + (aim - plan.cooling_c) / plan.cooling_s) / speed
            return cold, 1 / speed
        if ("heating" in on) and not self.faults.heater_dead:
            # Its power is what it is: through an open door most of it is gone.
            return aim + plan.heating_c * tau / plan.closed_s, tau
        return aim, tau

    def _evaporator_aim(self) -> float:
        on = self._on if self.powered else frozenset()
        if "cooling" in on and not self.faults.compressor_dead:
            return self._air.celsius - EVAPORATOR_BELOW_C
        return self._air.celsius + (DEFROST_ABOVE_C if "defrost" in on else 0.0)

    def _settle(self) -> None:
        """Bring the air to now."""
        air, now = self._air, self._timeline.now()
        passed = (now - air.at_s) * self._timeline.speed
        if passed > 0:
            aim, tau = self._aim()
            celsius = aim + (air.celsius - aim) * math.exp(-passed / tau)
            self._cross(celsius, now, aim, tau)
            frost = self._evaporator_aim()
            lag = math.exp(-passed / EVAPORATOR_S)
            air.evaporator_c = frost + (air.evaporator_c - frost) * lag
            air.celsius, air.at_s = celsius, now
        self._on = self._what_is_on()

    def _cross(self, celsius: float, now: float, aim: float, tau: float) -> None:
        """Note which limits were passed on the way, and when."""
        air = self._air
        for span in air.spans:
            was, is_wrong = span.wrong(air.celsius), span.wrong(celsius)
            if is_wrong and not was:
                left = (span.limit_c - aim) / (air.celsius - aim)
                passed = -tau * math.log(left) if 0 < left < 1 else 0.0
                span.since_s = min(now, air.at_s + passed / self._timeline.speed)
            elif not is_wrong:
                span.end(now)

    def _judge(self, celsius: float, now: float) -> None:
        for span in self._air.spans:
            if not span.wrong(celsius):
                span.end(now)
            elif span.since_s is None:
                span.since_s = now

    # --------------------------------------------------------------------------- thermometers

    def files(self) -> Iterator[Path]:
        """Yield the thermometers' files."""
        for thermometer in self._climate.thermometers:
            yield thermometer.path

    def content(self, path: Path) -> str | None:
        """Return what the kernel would write into a file; None: there is none."""
        self._settle()
        defrost = self._climate.defrost
        of_evaporator = defrost.thermometer if defrost is not None else None
        name = next((t.name for t in self._climate.thermometers if t.path == path), None)
        if name is None or not self.powered:
            return None
        celsius = self._shown("evaporator" if name == of_evaporator else "")
        match self.faults.sensor:
            case "gone":
                return None
            case "checksum":
                return w1_slave(celsius).replace("YES", "NO")
            case "open":
                return w1_slave(-0.0625, raw="ff ff ff ff ff ff ff ff ff")
            case "shorted":  # nine zeros have the checksum zero
                text = "00 00 00 00 00 00 00 00 00"
                return f"{text} : crc=00 YES\n{text} t=0\n"
            case "power_up":
                return w1_slave(85.0)
            case "stuck":
                return self._air.stuck_text or w1_slave(celsius)
            case "high":
                return w1_slave(HIGH_C)
            case _:
                return w1_slave(celsius)

    def _shown(self, where: str) -> float:
        air = self._air
        return self.faults.off_by_c + (air.evaporator_c if where == "evaporator" else air.celsius)

    # -------------------------------------------------------------------------------- its state

    def to_state(self) -> dict[str, Any]:
        """Return what outlives the simulator's process."""
        return {
            "celsius": self.celsius,
            "ambient_c": self.ambient_c,
            "evaporator_c": self._air.evaporator_c,
            "faults": asdict(self.faults),
        }

    def from_state(self, state: dict[str, Any]) -> None:
        """Become what ``to_state`` returned."""
        self.put(float(state["celsius"]))
        if state.get("evaporator_c") is not None:
            self._air.evaporator_c = float(state["evaporator_c"])
        self.ambient_c = float(state["ambient_c"])
        self.faults = ClimateFaults(**state["faults"])
        self.faults_changed()

    def view(self) -> dict[str, Any]:
        """Return how it is, for people."""
        return {
            "celsius": round(self.celsius, 2),
            "ambient_c": self.ambient_c,
            "on": sorted(self._on),
        }


def w1_slave(celsius: float, raw: str = "") -> str:
    """Return the text of a DS18B20's ``w1_slave``: sixteenths of a degree, as the chip has them.

    Source: the Linux kernel's Documentation/w1/slaves/w1_therm.rst; the DS18B20's data sheet.
    """
    steps = round(celsius * 16)
    low, high = steps & 0xFF, steps >> 8 & 0xFF
    scratchpad = bytes((low, high, 0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10))
    check = _crc8(scratchpad)
    text = raw or " ".join(f"{byte:02x}" for byte in (*scratchpad, check))
    # The kernel truncates the sixteenths' thousandths.
    thousandths = int(steps * 1000 / 16)
    return f"{text} : crc={check:02x} YES\n{text} t={thousandths}\n"


def _crc8(data: bytes) -> int:
    """Return the 1-wire checksum: x^8 + x^5 + x^4 + 1, least significant bit first."""
    check = 0
    for byte in data:
        check ^= byte
        for _ in range(8):
            check = (check >> 1) ^ 0x8C if check & 1 else check >> 1
    return check
