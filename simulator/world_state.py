"""A world's state: what outlives the simulator's process, and how a world becomes it again.

A file of it may come from anywhere, so it is read here as at a door: checked whole, refused in
words, and only then believed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulator.truth import AuthState, Kind

if TYPE_CHECKING:
    from simulator.world import World

STATE_VERSION: Final = 1
_SHOWN: Final = 3  # mistakes that an error names; one is usually the cause of the others
_LINES: Final = ("line", "bus", "cctalk")  # whose faults are no device's
_SUMS: Final = 8

Count = Annotated[int, Field(ge=0)]
Faults = dict[str, bool | int | float | str | dict[str, int]]


class StateError(ValueError):
    """This is no state of such a world; says where and why."""


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class _Account(_Shape):
    inserted: int
    returned: int
    charged: int
    credited: int
    products: list[str]


class _Authorisation(_Shape):
    id: int
    reader: str
    card: str
    customer: str
    requested: int
    item: int
    amount: int
    state: Annotated[AuthState, Field(strict=False)]
    why: str


# Kind, face value, name, count; JSON has lists alone.
_Thing = Annotated[
    tuple[Annotated[Kind, Field(strict=False)], Count, str, Annotated[int, Field(ge=1)]],
    Field(strict=False),
]


class _Truth(_Shape):
    customer: str
    places: dict[str, list[_Thing]]
    accounts: dict[str, _Account]
    authorisations: list[_Authorisation]
    last_authorisation: Count
    sums: Annotated[list[int], Field(min_length=_SUMS, max_length=_SUMS)]


class _Column(_Shape):
    phase: float
    turns: Count
    faults: Faults


class _Cabinet(_Shape):
    door_open: bool
    latched: bool
    sensor_faults: Faults
    columns: dict[str, _Column]


class _Cabin(_Shape):
    celsius: float
    ambient_c: float
    evaporator_c: float
    faults: Faults


class _World(_Shape):
    version: Literal[1]
    machine: str
    currency: str
    truth: _Truth
    cabinet: _Cabinet
    devices: dict[str, dict[str, Any]]
    balances: dict[str, int | None]
    lines: dict[str, Faults]
    unplugged: list[str]
    powered: bool
    cabin: _Cabin | None


def of(world: World) -> dict[str, Any]:
    """Return all that outlives a restart of the simulator, as JSON values."""
    active = world.faults.active()
    return {
        "version": STATE_VERSION,
        "machine": world.settings.machine.id,
        "currency": world.settings.machine.currency,
        "truth": world.truth.to_state(),
        "cabinet": world.cabinet.to_state(),
        "devices": {name: device.to_state() for name, device in world.all_devices().items()},
        "balances": {card.name: card.balance for card in world.cards.values()},
        "lines": {part: active[part] for part in _LINES if part in active},
        "unplugged": sorted(world.unplugged),
        "powered": world.powered,
        "cabin": None if world.cabin is None else world.cabin.to_state(),
    }


def restore(world: World, state: Mapping[str, Any]) -> None:
    """Make a new world what ``of`` returned; what it does not have (any more) is left out.

    Raises:
        StateError: It is no state of such a world, or one of another version or currency.
    """
    check(state)
    currency = world.settings.machine.currency
    if state["currency"] != currency:
        raise StateError(f"a state in {state['currency']}, and this machine takes {currency}")
    world.truth.from_state(state["truth"])
    if not world.truth.totals().balanced:
        raise StateError("truth: the money inside is not what came in, less what went out")
    devices = world.all_devices()
    for name, data in state["devices"].items():
        if name in devices:
            _part(f"devices.{name}", devices[name].from_state, data)
    _part("cabinet", world.cabinet.from_state, state["cabinet"])
    if world.cabin is not None and state["cabin"] is not None:
        _part("cabin", world.cabin.from_state, state["cabin"])
    for name, balance in state["balances"].items():
        if name in world.cards:
            world.cards[name].balance = balance
    for part, faults in state["lines"].items():
        for name, value in faults.items() if part in world.faults.parts else ():
            _part(f"lines.{part}", lambda pair: world.faults.set(*pair), (part, name, value))
    for cable in state["unplugged"]:
        if cable in world.cables:
            world.unplug(cable)
    if not state["powered"]:
        world.cut_power()


def _part(name: str, restored: Callable[[Any], object], data: Any) -> None:
    """Restore a part, which knows alone what its state looks like."""
    try:
        restored(data)
    except (LookupError, TypeError, ValueError) as error:
        raise StateError(f"{name}: {type(error).__name__}: {error}") from error


def check(state: Mapping[str, Any]) -> None:
    """Check what a state looks like.

    Raises:
        StateError: It is of another version, or something is missing, too much or of a wrong kind.
    """
    version = state.get("version")
    if version != STATE_VERSION:
        known = f"this program reads version {STATE_VERSION}"
        if version is None:
            raise StateError(f"no version: this is no state of a world ({known})")
        raise StateError(f"state of version {version}: {known}")
    try:
        _World.model_validate(dict(state))
    except ValidationError as error:
        found = error.errors(include_url=False)
        told = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found[:_SHOWN]]
        more = f" (and {len(found) - _SHOWN} more)" if len(found) > _SHOWN else ""
        raise StateError("; ".join(told) + more) from error
