"""A life as plain data: what machine it is, who comes, what breaks and when. Nothing here acts.

A life is drawn before it begins, step by step from the seed and the step's number alone, so that a
step can be left out without changing any other: that is what makes it shrink.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from simulator.peripherals.faults import FaultValue
from simulator.world import Link


@dataclass(frozen=True, slots=True)
class Act:
    """One thing a customer does.

    Args:
        what: coin, bill, keys, chord (two keys at once), card, pull (the card), lever, app and free
            (a grant), order (the fleet sends one), elsewhere (a claim of another machine is keyed
            in), wait.
        value: Of the coin or bill, minor units.
        text: Keys, or the card's name.
        after_s: How long they let pass before it.
        until: What they wait for before it, for a while: "credit" (what they put in is shown),
            "card" (the panel asks for a card), "proof" (it asks for an age), "settle" (a reader is
            being told), "hours" (an offer's are nearly over), "end" (nothing is under way), or
            "" for nothing.
    """

    what: str
    value: int = 0
    text: str = ""
    after_s: float = 0.3
    until: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something breaks, and is whole again after a while.

    Args:
        part: As in the registry of faults; "disk", "clock" and "door" besides.
        name: Of the fault.
        value: What it is set to.
        when: The type of a record: it breaks once such a record is durable. "" for by the clock.
        at_s: Since the step began; for ``when`` since that record.
        for_s: How long it lasts; a customer's leaving ends it as well.
    """

    part: str
    name: str
    value: FaultValue = field(default=True, hash=False)  # a table of values has no hash
    when: str = ""
    at_s: float = 0.0
    for_s: float = 60.0

    @property
    def key(self) -> str:
        """Return part and name in one word."""
        return f"{self.part}.{self.name}"


@dataclass(frozen=True, slots=True)
class End:
    """The controller's life ends.

    Args:
        how: kill (SIGKILL), power (a power cut) or stop (asked to end).
        when: Counting begins once a record of this type is durable; "" from the step's start.
        after: That many instants later: writes, syncs, blocks on the bus, pin edges.
        dark_s: How long nobody starts it again.
        again: Ends of the lives that follow, in the middle of recovery.
    """

    how: str
    when: str = ""
    after: int = 1
    dark_s: float = 1.0
    again: tuple[End, ...] = ()

    def chain(self) -> Iterator[End]:
        """Yield this end and those that follow."""
        yield self
        for end in self.again:
            yield from end.chain()


@dataclass(frozen=True, slots=True)
class Step:
    """One customer with their bad luck, or one visit of a technician (no acts)."""

    number: int
    acts: tuple[Act, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    end: End | None = None
    visit: bool = False

    @property
    def weight(self) -> int:
        """Return how much happens, for shrinking."""
        ends = 0 if self.end is None else sum(1 for _ in self.end.chain())
        return 1 + len(self.acts) + len(self.troubles) + ends


@dataclass(frozen=True, slots=True)
class Build:
    """What the machine is made of."""

    link: Link = "adapter"
    changer_level: int = 3
    busy_silence: bool = False
    lowest_first: bool = False
    detects_empty: bool = True
    by_value: bool = True
    escrow: bool = True
    bill_stacks_at_power_up: bool = False
    always_idle: bool = True
    reader_refunds: bool = True
    reader_level: int = 3
    tube_fill: int = 30  # coins in each tube at the start
    tubes: tuple[int, ...] = ()  # or so many, tube by tube
    stock: int | None = None
    display: bool = True  # most of them sell without one, for speed's sake
    glass: tuple[int, int] = (20, 4)  # columns and rows of a display
    multi_vend: bool = False
    tokens: bool = False
    basket: bool = False
    offers: bool = False
    brief: bool = False  # they hold every other minute
    night: str = ""  # the day in whose small hours the life begins: sun, mon
    zone: str = "UTC"
    flagged: bool = False  # a product is for grown-ups
    youths: bool = False  # and another one for who is sixteen
    checks_age: bool = True
    multivend_reader: bool = False
    on_unknown: str = "refund"
    after_failure: str = "refund"
    max_credit: int = 5_000
    max_change: int = 2_000
    must_vend: bool = False
    credit_timeout: float = 0.0
    on_credit_timeout: str = "pay"
    bill_waits: str = "auto"  # the owner's policy for a bill in escrow
    dear: bool = False  # one product costs more than a bill
    column_retries: int = 0
    column_refunds_max: int = 3
    machine_refunds_max: int = 6
    bill_needs_change: bool = True
    sells_on: bool = False  # one column at a count of zero, until its switch says empty
    by_itself: bool = False  # no column stands in for another
    recycler: bool = False  # of fives and tens
    second_reader: bool = False
    wide: bool = False  # its readers of level 3 count in 32 bits, and tell more of a card
    recorded: bool = False  # it has a flight recorder, and what it kept is replayed
    cooled: float = 0.0  # its food may be too warm for so many seconds; 0: nothing is cooled
    heated: float = 0.0  # the same of hot food that is not hot enough
    defrosts: str = ""  # by the clock, by the evaporator's thermometer (ice), or with a heater
    light: str = ""  # in the cabinet: always, door, schedule
    light_zone: str = "UTC"
    reconfigured: bool = False  # every second start finds other policies
    cctalk: bool = False  # coins and bills on a line of their own
    events: int = 0  # that its acceptor has counted before: behind 255 comes 1
    keeps_inhibits: bool = False  # it takes coins right behind a reset of its own
    ordered: bool = False  # a fleet sends it commands, and gets its records
    loads: bool = False  # cash may be put on cards
    load_limit: int = 5_000
    load_s: float = 0.4  # that a reader takes for it; 0: it answers at once
    pulse: bool = False  # an acceptor that pulses, instead of the changer
    makes: tuple[str, ...] = ()  # ways of its devices that the usual ones do not have


@dataclass(frozen=True, slots=True)
class Life:
    """A whole run."""

    seed: int
    build: Build = field(default_factory=Build)
    steps: tuple[Step, ...] = ()
    finale: str = ""  # what becomes of the journal's file at the end (``damage``)

    def with_steps(self, steps: tuple[Step, ...]) -> Life:
        """Return the same machine with other visitors."""
        return replace(self, steps=steps)
