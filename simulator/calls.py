"""The control socket's methods as typed values: what to ask, and how to read the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from simulator.shapes import (
    DisplayView,
    EdgeView,
    FactView,
    FaultList,
    Hello,
    Mark,
    PinView,
    Shape,
    TruthView,
    Waited,
)

T = TypeVar("T")
S = TypeVar("S", bound=Shape)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request.

    Args:
        method: Its name.
        params: By name; None is left out.
        read: Makes the answer's value of its JSON.
        patience_s: How long the other side may take on purpose, beside its usual haste.
    """

    method: str
    params: dict[str, Any]
    read: Callable[[Any], T]
    patience_s: float = 0.0

    def message(self, number: int) -> dict[str, Any]:
        """Return the JSON-RPC request."""
        params = {name: value for name, value in self.params.items() if value is not None}
        return {"jsonrpc": "2.0", "id": number, "method": self.method, "params": params}


def _nothing(answer: object) -> None:
    del answer


def _saved(answer: dict[str, Any]) -> str:
    return str(answer["state"])


def _taken(answer: dict[str, Any]) -> bool:
    return bool(answer["taken"])


def _count(answer: dict[str, Any]) -> int:
    return int(answer["taken"])


def _value(answer: dict[str, Any]) -> int:
    return int(answer["value"])


def _any_value(answer: dict[str, Any]) -> Any:
    return answer["value"]


def _products(answer: dict[str, Any]) -> tuple[str, ...]:
    return tuple(answer["products"])


def _stock(answer: dict[str, Any]) -> dict[str, int]:
    return dict(answer["stock"])


def _tubes(answer: dict[str, Any]) -> dict[int, int]:
    return {int(value): count for value, count in answer["tubes"].items()}


def _pins(answer: dict[str, Any]) -> dict[int, PinView]:
    return {int(pin): PinView.model_validate(view) for pin, view in answer.items()}


def _list(shape: type[S]) -> Callable[[list[Any]], list[S]]:
    return lambda answer: [shape.model_validate(entry) for entry in answer]


def hello() -> Call[Hello]:
    """Return who answers, and where a controller finds its hardware."""
    return Call("hello", {}, Hello.model_validate)


def customer(name: str) -> Call[None]:
    """Let somebody else stand in front of the machine."""
    return Call("customer", {"name": name}, _nothing)


def insert_coin(value: int, count: int = 1, *, name: str = "") -> Call[None]:
    """Put coins into the slot; ``name`` makes a token or a slug of it."""
    return Call(
        "insert_coin", {"value": value, "count": count, "name": name}, _nothing, 0.3 * count
    )


def insert_bill(value: int, patience_s: float = 20.0) -> Call[bool]:
    """Offer a bill until it is pulled in; False when it never was."""
    return Call("insert_bill", {"value": value, "patience_s": patience_s}, _taken, patience_s)


def present_card(
    card: str = "card", reader: str | None = None, patience_s: float = 20.0
) -> Call[bool]:
    """Hold a card to a reader until it takes notice; False when it never did."""
    return Call(
        "present_card",
        {"card": card, "reader": reader, "patience_s": patience_s},
        _taken,
        patience_s,
    )


def remove_card(reader: str | None = None) -> Call[None]:
    """Pull the card, or press the reader's cancel key."""
    return Call("remove_card", {"reader": reader}, _nothing)


def press_keys(keys: str) -> Call[None]:
    """Press keys, and return when the last one is let go."""
    return Call("press_keys", {"keys": keys}, _nothing, 0.3 * len(keys))


def pull_lever() -> Call[None]:
    """Press the coin return lever."""
    return Call("pull_lever", {}, _nothing)


def take_product() -> Call[tuple[str, ...]]:
    """Take what lies in the bin; returns the products' names."""
    return Call("take_product", {}, _products)


def take_money() -> Call[int]:
    """Take what lies in the tray; returns its value."""
    return Call("take_money", {}, _value)


def door(is_open: bool) -> Call[None]:
    """Open or close the service door."""
    return Call("door", {"is_open": is_open}, _nothing)


def temperature(celsius: float | None, ambient_c: float | None = None) -> Call[float]:
    """Make the air in the cabinet, or the room, so warm; returns how warm the cabinet is."""
    return Call(
        "temperature",
        {"celsius": celsius, "ambient_c": ambient_c},
        lambda answer: float(answer["celsius"]),
    )


def load(column: str | None = None, count: int | None = None) -> Call[dict[str, int]]:
    """Put products into a column, or into all; returns what is in them."""
    return Call("load", {"column": column, "count": count}, _stock)


def unload(column: str) -> Call[int]:
    """Take all products out of a column; returns how many."""
    return Call("unload", {"column": column}, _count)


def fill_tubes(value: int | None = None, count: int | None = None) -> Call[dict[int, int]]:
    """Put coins into a tube, or into all; returns coins by value."""
    return Call("fill_tubes", {"value": value, "count": count}, _tubes)


def empty_tubes(value: int | None = None, leave: int = 0) -> Call[dict[int, int]]:
    """Take coins out of a tube, or out of all; returns coins by value."""
    return Call("empty_tubes", {"value": value, "leave": leave}, _tubes)


def fill_recycler(value: int, count: int = 1) -> Call[int]:
    """Put bills into the recycler by its own slot; returns the value of what is in it."""
    return Call(
        "fill_recycler", {"value": value, "count": count}, lambda answer: int(answer["recycler"])
    )


def press_switch(value: int, count: int = 1) -> Call[int]:
    """Let coins out by the changer's own switch; returns how many came."""
    return Call("press_switch", {"value": value, "count": count}, lambda answer: int(answer["out"]))


def jam(column: str) -> Call[None]:
    """Let a column's motor stall in mid turn from now on."""
    return Call("jam", {"column": column}, _nothing)


def unjam(column: str, *, home: bool = False) -> Call[None]:
    """End a jam; with ``home`` the spiral is turned home by hand."""
    return Call("unjam", {"column": column, "home": home}, _nothing)


def blind(on: bool = True) -> Call[None]:
    """Blind the light barrier, or mend it."""
    return Call("blind", {"on": on}, _nothing)


def set_fault(part: str, name: str, value: bool | int | float | str = True) -> Call[Any]:
    """Break something by name; returns the value as it was taken."""
    return Call("set_fault", {"part": part, "name": name, "value": value}, _any_value)


def clear_faults(part: str | None = None) -> Call[None]:
    """Set every fault of a part, or of all, back."""
    return Call("clear_faults", {"part": part}, _nothing)


def list_faults(part: str | None = None) -> Call[FaultList]:
    """Return what can be broken, and what is."""
    return Call("list_faults", {"part": part}, FaultList.model_validate)


def unplug(part: str) -> Call[None]:
    """Pull a device, ``display`` or ``line``."""
    return Call("unplug", {"part": part}, _nothing)


def plug(part: str) -> Call[None]:
    """Put a cable back."""
    return Call("plug", {"part": part}, _nothing)


def cut_power() -> Call[None]:
    """Take the whole machine's power away; its computer is killed by other hands."""
    return Call("cut_power", {}, _nothing)


def restore_power() -> Call[None]:
    """Give the power back."""
    return Call("restore_power", {}, _nothing)


def save() -> Call[str]:
    """Save the world's state now; return the file's name."""
    return Call("save", {}, _saved)


def stop() -> Call[None]:
    """End the simulator."""
    return Call("stop", {}, _nothing)


def truth() -> Call[TruthView]:
    """Return all that is physically so."""
    return Call("truth", {}, TruthView.model_validate)


def facts(after: int = 0) -> Call[list[FactView]]:
    """Return what happened after fact ``after``."""
    return Call("facts", {"after": after}, _list(FactView))


def display(after: int = 0) -> Call[DisplayView]:
    """Return what the display shows, and showed after frame ``after``."""
    return Call("display", {"after": after}, DisplayView.model_validate)


def pins() -> Call[dict[int, PinView]]:
    """Return the pins that the machine's file names."""
    return Call("pins", {}, _pins)


def edges(after: int = 0, pin: int | None = None) -> Call[list[EdgeView]]:
    """Return edges after edge ``after``, of one pin or of all."""
    return Call("edges", {"after": after, "pin": pin}, _list(EdgeView))


def forget_pins() -> Call[None]:
    """Clear the recorded edges and longest on-times."""
    return Call("forget_pins", {}, _nothing)


def mark() -> Call[Mark]:
    """Return this instant, for a later wait."""
    return Call("mark", {}, Mark.model_validate)


def subscribe(kinds: list[str] | None = None) -> Call[None]:
    """Have events sent from now on; see ``events``."""
    return Call("subscribe", {"kinds": kinds}, _nothing)


def wait_for(
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
) -> Call[Waited]:
    """Wait until all that is named has happened; see ``simulator.control``."""
    params = {
        "display": display,
        "fact": fact,
        "pin": pin,
        "level": level,
        "totals": totals,
        "quiet_s": quiet_s,
        "still_s": still_s,
        "since": None if since is None else since.model_dump(),
        "timeout_s": timeout_s,
    }
    return Call("wait_for", params, Waited.model_validate, timeout_s)
