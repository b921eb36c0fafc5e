"""What one can do to a running world, and ask of it: the methods of the control socket.

Each is a JSON-RPC method of its own name. No ``from __future__ import annotations`` here:
parameters are checked by their annotations.
"""

import functools
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any, Final

from pjrpc.common import MaybeSet, Request, Response
from pjrpc.server import (
    AsyncDispatcher,
    AsyncHandlerType,
    JsonRpcError,
    MethodRegistry,
    exclude_named_param,
)
from pjrpc.server.exceptions import InvalidParamsError
from pjrpc.server.validators import ValidationError
from pjrpc.server.validators.pydantic import PydanticValidatorFactory
from pydantic import Field

from simulator.cabinet import UnknownPartError
from simulator.faults import UnknownFaultError
from simulator.keypad import UnknownKeyError
from simulator.shapes import (
    BeepView,
    DisplayView,
    EdgeView,
    FactView,
    FrameView,
    Mark,
    PinView,
    Shape,
    Totals,
    Waited,
)
from simulator.subscriber import Subscriber
from simulator.truth import TruthError
from simulator.views import hello, pins, truth
from simulator.waiting import (
    Condition,
    display_shows,
    edge_seen,
    fact_noted,
    lasts,
    mark,
    totals_are,
    wait_until,
)
from simulator.world import World

NOT_POSSIBLE: Final = -32_001
"""No such part, key, card or fault, or not now; the message says what there is."""

# A person who holds a card to a reader, or a bill to its slot, tries again this often.
TRY_AGAIN_S: Final = 0.1
MOST_ANSWERED: Final = 1_000  # frames, facts or edges in one answer
LONGEST_WAIT_S: Final = 600.0

Count = Annotated[int, Field(ge=0, le=10_000)]
Amount = Annotated[int, Field(ge=0, le=99_999_999)]
Seconds = Annotated[float, Field(ge=0, le=LONGEST_WAIT_S)]
Celsius = Annotated[float, Field(ge=-60, le=150)]
Text = Annotated[str, Field(max_length=200)]
PinNumber = Annotated[int, Field(ge=0, le=63)]
Answer = dict[str, Any]


class Control:
    """The methods, over one world.

    Args:
        world: What is controlled.
        about: Where a controller finds its hardware; part of ``hello``.
        stop: Ends the simulator.
    """

    def __init__(self, world: World, about: Answer, stop: Callable[[], None]) -> None:
        self._world = world
        self._about = about
        self._stop = stop
        self.controllers: Callable[[], int] = lambda: 0
        self.saver: Callable[[], Awaitable[None]] | None = None

    # ------------------------------------------------------------------------------- customers

    async def customer(self, name: Text) -> None:
        """Let somebody else stand in front of the machine."""
        self._world.truth.customer = name

    async def insert_coin(self, value: Amount, count: Count = 1, name: Text = "") -> None:
        """Put coins into the slot, one after the other, as fast as a hand can."""
        for number in range(count):
            if number:
                await self._pause(0.25)
            self._world.insert_coin(value, name=name)

    async def insert_bill(self, value: Amount, patience_s: Seconds = 5.0) -> Answer:
        """Offer a bill until it is pulled in."""
        return {"taken": await self._try(lambda: self._world.insert_bill(value), patience_s)}

    async def present_card(
        self, card: Text = "card", reader: Text | None = None, patience_s: Seconds = 5.0
    ) -> Answer:
        """Hold a card to a reader until it takes notice."""
        taken = await self._try(lambda: self._world.present_card(card, reader), patience_s)
        return {"taken": taken}

    async def remove_card(self, reader: Text | None = None) -> None:
        """Pull the card, or press the reader's cancel key."""
        self._world.remove_card(reader)

    async def press_keys(self, keys: Text) -> None:
        """Press keys one after the other, and return when the last one is let go."""
        self._world.press_keys(keys)
        while self._world.panel.pressing:
            await self._pause(0.01)

    async def pull_lever(self) -> None:
        """Press the coin return lever."""
        self._world.pull_lever()

    async def take_product(self) -> Answer:
        """Take what lies in the bin."""
        return {"products": list(self._world.take_product())}

    async def take_money(self) -> Answer:
        """Take what lies in the tray."""
        return {"value": self._world.take_money()}

    # ----------------------------------------------------------------------------- technicians

    async def door(self, is_open: bool) -> None:
        """Open or close the service door."""
        self._world.cabinet.set_door(is_open)

    async def temperature(
        self, celsius: Celsius | None = None, ambient_c: Celsius | None = None
    ) -> Answer:
        """Make the air in the cabinet, or the room, so warm."""
        return {"celsius": self._world.set_temperature(celsius, ambient_c)}

    async def load(self, column: Text | None = None, count: Count | None = None) -> Answer:
        """Put products into a column, or into all, as many as fit by default."""
        cabinet = self._world.cabinet
        columns = list(cabinet.spirals) if column is None else [column]
        return {"stock": {name: cabinet.load(name, count) for name in columns}}

    async def unload(self, column: Text) -> Answer:
        """Take all products out of a column."""
        return {"taken": self._world.cabinet.empty(column)}

    async def fill_tubes(self, value: Amount | None = None, count: Count | None = None) -> Answer:
        """Put coins into a tube, or into all, as many as fit by default."""
        for coin in self._world.tubes() if value is None else [value]:
            self._world.fill_tube(coin, count)
        return {"tubes": self._world.tubes()}

    async def empty_tubes(self, value: Amount | None = None, leave: Count = 0) -> Answer:
        """Take coins out of a tube, or out of all."""
        for coin in self._world.tubes() if value is None else [value]:
            self._world.empty_tube(coin, leave)
        return {"tubes": self._world.tubes()}

    async def fill_recycler(self, value: Amount, count: Count = 1) -> Answer:
        """Put bills into the recycler by its own slot."""
        self._world.fill_recycler(value, count)
        return {"recycler": self._world.truth.totals().recycler}

    async def press_switch(self, value: Amount, count: Count = 1) -> Answer:
        """Let coins out by the changer's own switch; none come while it is off."""
        return {"out": self._world.press_switch(value, count)}

    async def jam(self, column: Text) -> None:
        """Let a column's motor stall in mid turn from now on."""
        self._world.faults.set(column, "jam", True)

    async def unjam(self, column: Text, home: bool = False) -> None:
        """End a jam; with ``home`` turn the spiral home by hand as well."""
        self._world.faults.set(column, "jam", False)
        if home:
            self._world.cabinet.spirals[column].put(0.0)

    async def blind(self, on: bool = True) -> None:
        """Cover the light barrier's receiver with light, or mend it."""
        self._world.faults.set("sensor", "blind", on)

    async def set_fault(
        self, part: Text, name: Text, value: bool | int | float | str = True
    ) -> Answer:
        """Break something by name, or set it right with its default."""
        return {"value": self._world.faults.set(part, name, value)}

    async def clear_faults(self, part: Text | None = None) -> None:
        """Set every fault of a part, or of all, back."""
        self._world.faults.clear(part)

    async def list_faults(self, part: Text | None = None) -> Answer:
        """Return what can be broken, by part, with what it does, and what is broken now."""
        faults = self._world.faults
        parts = faults.parts if part is None else (part,)
        return {
            "known": {name: faults.describe(name) for name in parts},
            "active": faults.active(),
        }

    async def unplug(self, part: Text) -> None:
        """Pull a device, ``display`` or ``line``."""
        self._world.unplug(part)

    async def plug(self, part: Text) -> None:
        """Put a cable back."""
        self._world.plug(part)

    async def cut_power(self) -> None:
        """Take the whole machine's power away; whoever plays the computer dies by other hands."""
        self._world.cut_power()

    async def restore_power(self) -> None:
        """Give the power back."""
        self._world.restore_power()

    async def save(self) -> Answer:
        """Save the world's state now, and return when it is on the disk."""
        if self.saver is None:
            raise UnknownPartError("this world is not kept: start it with --state FILE")
        try:
            await self.saver()
        except OSError as error:
            raise UnknownPartError(f"not saved: {error}") from error
        return {"state": self._about["paths"]["state"]}

    async def stop(self) -> None:
        """End the simulator."""
        self._stop()

    # --------------------------------------------------------------------------------- looking

    async def hello(self) -> Answer:
        """Return who answers, and where a controller finds its hardware."""
        return hello(self._world) | self._about

    async def truth(self) -> Answer:
        """Return all that is physically so."""
        return truth(self._world, self.controllers())

    async def facts(self, after: int = 0) -> list[Answer]:
        """Return what happened after fact ``after``, the newest thousand at most."""
        found = [asdict(fact) for fact in self._world.truth.log if fact.seq > after]
        return [_json(FactView(**fact)) for fact in found[-MOST_ANSWERED:]]

    async def display(self, after: int = 0) -> Answer:
        """Return what the display shows, and showed after frame ``after``."""
        panel = self._world.panel
        frames = [frame for frame in panel.history if frame.seq > after][-MOST_ANSWERED:]
        view = DisplayView(
            lines=panel.lines,
            backlight=panel.display.backlight,
            history=tuple(FrameView(**asdict(frame)) for frame in frames),
            beeps=tuple(BeepView(**asdict(beep)) for beep in panel.beeps),
        )
        return _json(view)

    async def pins(self) -> Answer:
        """Return the pins that the machine's file names."""
        return {str(pin): _json(PinView(**view)) for pin, view in pins(self._world).items()}

    async def edges(self, after: int = 0, pin: PinNumber | None = None) -> list[Answer]:
        """Return the newest thousand edges after edge ``after``, of one pin or of all."""
        found = [
            EdgeView(**edge._asdict())
            for edge in self._world.board.edges
            if edge.seq > after and pin in (None, edge.pin)
        ]
        return [_json(edge) for edge in found[-MOST_ANSWERED:]]

    async def forget_pins(self) -> None:
        """Clear the recorded edges and longest on-times."""
        self._world.board.forget()

    # --------------------------------------------------------------------------------- waiting

    async def mark(self) -> Answer:
        """Return this instant, for a later ``wait_for``."""
        return _json(mark(self._world))

    async def wait_for(
        self,
        display: Text | None = None,
        fact: Text | None = None,
        pin: PinNumber | None = None,
        level: bool | None = None,
        totals: dict[str, int] | None = None,
        quiet_s: Seconds | None = None,
        still_s: Seconds | None = None,
        since: dict[str, int] | None = None,
        timeout_s: Seconds = 10.0,
    ) -> Answer:
        """Wait until all that is named has happened; never an error, see ``Waited.met``.

        Args:
            display: The display shows it (or showed it after ``since``).
            fact: A fact after ``since`` (by default from now on) has these words.
            pin: An edge of it after ``since``, to ``level`` if given.
            level: See ``pin``.
            totals: Names of totals and the values that they must have.
            quiet_s: Nothing has moved for so long, and no device has anything left to tell.
            still_s: Nothing has moved for so long, whoever still waits to be heard.
            since: A mark.
            timeout_s: Seconds on the wall.
        """
        world = self._world
        begin = mark(world) if since is None else Mark(**since)
        conditions: list[Condition] = []
        if display is not None:
            conditions.append(display_shows(world, display, None if since is None else begin))
        if fact is not None:
            conditions.append(fact_noted(world, fact, begin))
        if pin is not None:
            conditions.append(edge_seen(world, pin, level, begin))
        if totals:
            unknown = sorted(set(totals) - set(Totals.model_fields))
            if unknown:
                raise UnknownPartError(
                    f"no total {unknown[0]!r}; there are: {', '.join(Totals.model_fields)}"
                )
            conditions.append(totals_are(world, totals))
        if quiet_s is not None:
            conditions.append(lasts(world, lambda: world.quiet, quiet_s))
        if still_s is not None:
            conditions.append(lasts(world, lambda: world.still, still_s))
        waited: Waited = await wait_until(world, conditions, timeout_s)
        return _json(waited)

    async def subscribe(self, subscriber: Subscriber, kinds: list[str] | None = None) -> None:
        """Send ``event`` notifications of facts, display frames and pin edges from now on."""
        subscriber.subscribe(self._world, kinds)

    # ---------------------------------------------------------------------------------- inside

    async def _pause(self, seconds: float) -> None:
        await self._world.clock.sleep(seconds)

    async def _try(self, what: Callable[[], bool], patience_s: float) -> bool:
        """Do something again and again until it works or patience ends."""
        loop = self._world.loop
        until_s = loop.time() + patience_s
        while not what():
            if loop.time() >= until_s:
                return False
            await self._pause(TRY_AGAIN_S)
        return True


def _json(shape: Shape) -> Answer:
    return shape.model_dump(mode="json")


def methods(control: Control) -> dict[str, Callable[..., Awaitable[Any]]]:
    """Return the public methods by name."""
    return {
        name: getattr(control, name)
        for name, entry in vars(Control).items()
        if not name.startswith("_") and callable(entry)
    }


def dispatcher(control: Control) -> AsyncDispatcher[Subscriber]:
    """Make the dispatcher of one world's control socket."""
    registry = MethodRegistry(
        validator_factory=PydanticValidatorFactory(exclude_named_param("subscriber"))
    )
    for name, method in methods(control).items():
        context = "subscriber" if name == "subscribe" else False
        registry.add_method(_explained(method), name, pass_context=context)

    async def middleware(
        request: Request, context: Subscriber, handler: AsyncHandlerType[Subscriber]
    ) -> MaybeSet[Response]:
        try:
            return await handler(request, context)
        except InvalidParamsError as error:
            raise InvalidParamsError(_wrong_parameters(error)) from error

    made: AsyncDispatcher[Subscriber] = AsyncDispatcher(middlewares=[middleware])
    made.add_methods(registry)
    return made


def _explained(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Turn what a world can explain into an answer of its own."""

    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return await method(*args, **kwargs)
        except (UnknownPartError, UnknownFaultError, UnknownKeyError, TruthError) as error:
            raise JsonRpcError(NOT_POSSIBLE, str(error)) from error

    return call


def _wrong_parameters(error: InvalidParamsError) -> str:
    """Say in words which parameter is wrong and why."""
    problems = error.data.args if isinstance(error.data, ValidationError) else ()
    words = [
        f"{'.'.join(str(part) for part in problem.get('loc', ()))}: {problem.get('msg', '')}"
        for problem in problems
        if isinstance(problem, dict)
    ]
    return "; ".join(words) or "wrong parameters"
