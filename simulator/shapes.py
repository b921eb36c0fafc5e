"""The JSON shapes of the control socket, for both of its ends.

Amounts are minor units of ``currency``; times are seconds, ``at_s`` on the monotonic clock.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """What all answers share; a newer simulator may say more than a client knows."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Paths(Shape):
    """Where a controller finds its hardware."""

    home: str
    control: str
    mdb: str
    pins: str
    i2c: str | None
    keypad: str | None
    state: str | None


class Hello(Shape):
    """Who answers."""

    machine: str
    currency: str
    decimals: int
    pid: int
    link: str
    speed: float
    paths: Paths
    columns: tuple[str, ...]
    coins: tuple[int, ...]
    bills: tuple[int, ...]
    cards: tuple[str, ...]
    readers: tuple[str, ...]
    keys: tuple[str, ...]


class Totals(Shape):
    """The money and the products, counted."""

    inserted: int
    returned: int
    tubes: int
    cashbox: int
    escrow: int
    stacker: int
    recycler: int
    in_transit: int
    card_approved: int
    card_captured: int
    card_refunded: int
    card_credited: int
    products: int
    supplied: int  # put in by technicians, less what they took
    paid_out: int  # of what came to the tray: out of tubes, hoppers and recycler


class ColumnTruth(Shape):
    """One column."""

    product: str
    stock: int
    phase: float  # 0 is home
    at_home: bool  # what its switch says
    running: bool
    turns: int


class CardTruth(Shape):
    """One card payment, as the issuer sees it."""

    id: int
    reader: str
    card: str
    customer: str
    requested: int
    item: int
    amount: int
    state: str
    why: str


class AccountTruth(Shape):
    """One customer's dealings."""

    inserted: int
    returned: int
    charged: int
    credited: int
    products: tuple[str, ...]
    spent: int


class TruthView(Shape):
    """All that is physically so."""

    at_s: float
    currency: str
    customer: str
    totals: Totals
    tubes: dict[int, int]  # value -> coins
    places: dict[str, dict[str, int]]  # place -> thing -> how many
    columns: dict[str, ColumnTruth]
    bin: tuple[str, ...]  # products that wait to be taken
    tray: int  # money that waits to be taken
    cards: tuple[CardTruth, ...]
    accounts: dict[str, AccountTruth]
    climate: dict[str, Any] | None
    latched: bool
    door_open: bool
    powered: bool
    unplugged: tuple[str, ...]
    faults: dict[str, dict[str, Any]]
    outputs_on: tuple[int, ...]
    controllers: int  # processes that hold pins
    still: bool  # nothing moves
    quiet: bool  # nothing moves, and nobody waits to be heard


class FactView(Shape):
    """One thing that happened."""

    seq: int
    at_s: float
    what: str
    customer: str
    detail: str


class FrameView(Shape):
    """What the display showed from an instant on."""

    seq: int
    at_s: float
    lines: tuple[str, ...]


class BeepView(Shape):
    """One sound of the buzzer."""

    at_s: float
    seconds: float


class DisplayView(Shape):
    """The display now, what it showed, and the buzzer."""

    lines: tuple[str, ...]
    backlight: bool
    history: tuple[FrameView, ...]
    beeps: tuple[BeepView, ...]

    @property
    def text(self) -> str:
        """Return the lines as one text."""
        return "\n".join(line.rstrip() for line in self.lines)


class PinView(Shape):
    """One pin that is in use."""

    level: bool
    on: bool
    output: bool
    use: str  # the configuration's key
    longest_on_s: float


class EdgeView(Shape):
    """One change of a pin."""

    seq: int
    at_s: float
    pin: int
    level: bool
    driven: bool


class FaultList(Shape):
    """What can be broken, by part, with what it does; and what is."""

    known: dict[str, dict[str, str]]
    active: dict[str, dict[str, Any]]


class Mark(Shape):
    """An instant: what happened later counts for a wait that names it."""

    frame: int = 0
    fact: int = 0
    edge: int = 0


class Waited(Shape):
    """How a wait ended."""

    met: bool
    after_s: float
    text: str  # the line or fact that was waited for; else what is so instead
