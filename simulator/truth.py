"""The physical truth: where each coin, bill and product is, and what each card was charged.

Peripherals move things here and nowhere else, so this is what a machine is judged by; nothing a
controller believes ever gets in. Amounts are minor units of the machine's one currency.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

LOG_LIMIT: Final = 20_000
"""Facts kept in the log. Counters go on for ever; the log is for people who look into a failure."""


class TruthError(RuntimeError):
    """The simulated world tried something impossible: a bug of the simulator."""


class Kind(StrEnum):
    """What can be counted."""

    COIN = "coin"
    BILL = "bill"
    PRODUCT = "product"


@dataclass(frozen=True, slots=True)
class Thing:
    """One sort of thing; things of one sort can't be told apart.

    Args:
        kind: Coin, bill or product.
        value: Face value in minor units; 0 for products, tokens and slugs.
        name: The product, or what a worthless coin is ("slug", "token").
    """

    kind: Kind
    value: int = 0
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name or self.value}"


CUSTOMER: Final = "customer"
TECHNICIAN: Final = "technician"
SLOT: Final = "slot"
"""Coins between the slot and the place they are sorted to."""
CASHBOX: Final = "cashbox"
TRAY: Final = "tray"
"""Where coins and bills come back to the customer."""
TRANSPORT: Final = "transport"
"""Bills that the validator has pulled in and neither holds in escrow nor has stacked."""
ESCROW: Final = "escrow"
STACKER: Final = "stacker"
BIN: Final = "bin"
"""Where products fall to."""

CASH: Final[Mapping[str, str]] = {
    "tube": "tubes", CASHBOX: "cashbox", ESCROW: "escrow", STACKER: "stacker",
    "recycler": "recycler",
}  # fmt: skip
"""Where money is kept, by the name of the place up to its number, and what ``Totals`` calls it."""

_OUTSIDE: Final = frozenset({CUSTOMER, TECHNICIAN})
_PAYING: Final = ("tube:", "recycler:")
_INTO_MACHINE: Final = frozenset({SLOT, TRANSPORT})


def tube(coin_type: int) -> str:
    """Return the place of the tube for a coin type, 0-15."""
    return f"tube:{coin_type}"


def recycler(bill_type: int) -> str:
    """Return the place of the recycler's bills of a type, 0-15."""
    return f"recycler:{bill_type}"


def column(name: str) -> str:
    """Return the place of the products in a column."""
    return f"column:{name}"


class AuthState(StrEnum):
    """What became of a card payment, as the card's issuer sees it."""

    REQUESTED = "requested"
    APPROVED = "approved"  # taken from the medium, the reader waits for the outcome
    DECLINED = "declined"
    CANCELLED = "cancelled"  # ended before an approval
    CAPTURED = "captured"  # the customer is charged for good
    REFUNDED = "refunded"


_NEXT: Final[Mapping[AuthState, frozenset[AuthState]]] = {
    AuthState.REQUESTED: frozenset({AuthState.APPROVED, AuthState.DECLINED, AuthState.CANCELLED}),
    AuthState.APPROVED: frozenset({AuthState.CAPTURED, AuthState.REFUNDED}),
    AuthState.CAPTURED: frozenset({AuthState.REFUNDED}),  # by reference, outside the machine
    AuthState.DECLINED: frozenset(),
    AuthState.CANCELLED: frozenset(),
    AuthState.REFUNDED: frozenset(),
}


@dataclass(slots=True)
class Authorisation:
    """One request to a card reader."""

    id: int
    reader: str
    card: str
    customer: str
    requested: int  # minor units
    item: int
    amount: int = 0  # what was taken from the medium; a discount makes it differ
    state: AuthState = AuthState.REQUESTED
    why: str = ""  # what led to the state: "success", "reset", "power", ...

    @property
    def charged(self) -> int:
        """Return what the customer is out of pocket now."""
        held = self.state in (AuthState.APPROVED, AuthState.CAPTURED)
        return self.amount if held else 0


@dataclass(slots=True)
class Account:
    """One customer's dealings with the machine."""

    inserted: int = 0  # coins and bills put in, refused ones included
    returned: int = 0  # what came to the tray while this customer stood there
    charged: int = 0  # by card: approved or captured, less refunds
    credited: int = 0  # put on the card (revalue, returned product)
    products: list[str] = field(default_factory=list)

    @property
    def spent(self) -> int:
        """Return what the customer is out of pocket, products aside."""
        return self.inserted - self.returned + self.charged - self.credited


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened."""

    seq: int
    at_s: float
    what: str
    customer: str
    detail: str


@dataclass(frozen=True, slots=True)
class Totals:
    """The truth in one row, minor units."""

    inserted: int
    returned: int
    tubes: int
    cashbox: int
    escrow: int
    stacker: int
    recycler: int
    in_transit: int  # in the slot and in the bill transport
    card_approved: int  # open: the outcome is still owed
    card_captured: int
    card_refunded: int
    card_credited: int
    products: int
    supplied: int  # put in by technicians, less what they took
    paid_out: int  # of what came to the tray: out of tubes and recycler

    @property
    def held(self) -> int:
        """Return what all money inside the machine is worth."""
        inside = self.tubes + self.cashbox + self.escrow + self.stacker + self.recycler
        return inside + self.in_transit

    @property
    def balanced(self) -> bool:
        """Tell whether all money inside came from somewhere and none is missing."""
        return self.held == self.inserted - self.returned + self.supplied


class Truth:
    """All that is physically so.

    Args:
        now: Seconds, for the log.
    """

    def __init__(self, now: Callable[[], float] = lambda: 0.0) -> None:
        self._now = now
        self.customer = ""
        """Who stands in front of the machine; "" for nobody."""
        self.log: deque[Fact] = deque(maxlen=LOG_LIMIT)
        self.accounts: dict[str, Account] = {}
        self.authorisations: dict[int, Authorisation] = {}
        self._places: dict[str, dict[Thing, int]] = {}
        self._facts = 0
        self._last_authorisation = 0
        self._inserted = 0
        self._returned = 0
        self._captured = 0
        self._refunded = 0
        self._credited = 0
        self._products = 0
        self._supplied = 0
        self._paid_out = 0

    # -- things ------------------------------------------------------------------------------

    def move(
        self, thing: Thing, source: str, target: str, count: int = 1, *, why: str = ""
    ) -> None:
        """Move things; the outside (customer, technician) has as many as anyone wants.

        Raises:
            TruthError: There are not that many at `source`.
        """
        if count <= 0:
            raise TruthError(f"cannot move {count} of {thing}")
        if source not in _OUTSIDE:
            there = self._places.get(source, {})
            left = there.get(thing, 0) - count
            if left < 0:
                raise TruthError(f"{count} x {thing} are not in {source}")
            if left:
                there[thing] = left
            else:
                del there[thing]
        if target not in _OUTSIDE:
            there = self._places.setdefault(target, {})
            there[thing] = there.get(thing, 0) + count
        worth = thing.value * count
        if source == CUSTOMER and target in _INTO_MACHINE:
            self._inserted += worth
            self.account().inserted += worth
        elif target == TRAY:
            self._returned += worth
            self.account().returned += worth
            if source.startswith(_PAYING):
                self._paid_out += worth
        elif target == BIN:
            self._products += count
            self.account().products.extend([thing.name] * count)
        if source == TECHNICIAN:
            self._supplied += worth
        elif target == TECHNICIAN:
            self._supplied -= worth
        times = "" if count == 1 else f"{count} x "
        self.note("moved", f"{times}{thing}: {source} -> {target}{f' ({why})' if why else ''}")

    def count(self, place: str, thing: Thing | None = None) -> int:
        """Return how many things (of one sort) are at a place."""
        there = self._places.get(place, {})
        return sum(there.values()) if thing is None else there.get(thing, 0)

    def value(self, place: str) -> int:
        """Return what the money at a place is worth."""
        return sum(thing.value * count for thing, count in self._places.get(place, {}).items())

    def things(self, place: str) -> dict[Thing, int]:
        """Return a copy of what is at a place."""
        return dict(self._places.get(place, {}))

    def places(self) -> Iterator[str]:
        """Yield every place that holds something."""
        return (place for place, there in self._places.items() if there)

    def empty(self, place: str, target: str, *, why: str = "") -> int:
        """Move all that is at a place; return its value."""
        worth = self.value(place)
        for thing, count in self.things(place).items():
            self.move(thing, place, target, count, why=why)
        return worth

    def take_tray(self) -> int:
        """Let the customer take what is in the tray; return its value."""
        return self.empty(TRAY, CUSTOMER, why="taken")

    # -- cards -------------------------------------------------------------------------------

    def request_card(self, reader: str, card: str, requested: int, item: int) -> Authorisation:
        """Open a card payment; `customer` is who stands there now."""
        self._last_authorisation += 1
        entry = Authorisation(
            self._last_authorisation, reader, card, self.customer, requested, item
        )
        self.authorisations[entry.id] = entry
        self.note("card", f"#{entry.id} requested {requested} for item {item} at {reader}")
        return entry

    def set_card(
        self, entry: Authorisation, state: AuthState, why: str, *, amount: int | None = None
    ) -> None:
        """Move a card payment on.

        Raises:
            TruthError: From its state there is no way to `state`.
        """
        if state not in _NEXT[entry.state]:
            raise TruthError(f"card payment #{entry.id} is {entry.state}, it cannot be {state}")
        before = entry.charged
        if entry.state is AuthState.CAPTURED:
            self._captured -= entry.amount
        if amount is not None:
            entry.amount = amount
        entry.state = state
        entry.why = why
        if state is AuthState.CAPTURED:
            self._captured += entry.amount
        elif state is AuthState.REFUNDED:
            self._refunded += entry.amount
        self.account(entry.customer).charged += entry.charged - before
        self.note("card", f"#{entry.id} {state.value} {entry.amount} ({why})", entry.customer)

    def credit_card(self, reader: str, card: str, amount: int, why: str) -> None:
        """Put money on a card: a revalue, or a product that came back."""
        self._credited += amount
        self.account().credited += amount
        self.note("card", f"{amount} put on {card} at {reader} ({why})")

    def open_cards(self, reader: str | None = None) -> list[Authorisation]:
        """Return the payments whose outcome is still owed."""
        return [
            entry
            for entry in self.authorisations.values()
            if entry.state in (AuthState.REQUESTED, AuthState.APPROVED)
            and reader in (None, entry.reader)
        ]

    # -- people ------------------------------------------------------------------------------

    def account(self, customer: str | None = None) -> Account:
        """Return a customer's account, by default of the one who stands there."""
        name = self.customer if customer is None else customer
        found = self.accounts.get(name)
        if found is None:
            found = self.accounts[name] = Account()
        return found

    def forget(self, customer: str) -> Account:
        """Drop a customer and their closed card payments, in long runs; return the account."""
        for number in [
            entry.id
            for entry in self.authorisations.values()
            if entry.customer == customer
            and entry.state not in (AuthState.REQUESTED, AuthState.APPROVED)
        ]:
            del self.authorisations[number]
        return self.accounts.pop(customer, Account())

    # -- the whole ---------------------------------------------------------------------------

    def note(self, what: str, detail: str, customer: str | None = None) -> None:
        """Write a line into the log."""
        self._facts += 1
        who = self.customer if customer is None else customer
        self.log.append(Fact(self._facts, self._now(), what, who, detail))

    def cash(self) -> dict[str, int]:
        """Return what the money inside is worth: tubes, cashbox, stacker, recycler and escrow."""
        held = dict.fromkeys(CASH, 0)
        for place, there in self._places.items():
            kind = place.partition(":")[0]
            if kind in held:
                for thing, count in there.items():
                    held[kind] += thing.value * count
        return {name: held[kind] for kind, name in CASH.items()}

    def totals(self) -> Totals:
        """Return the truth in one row."""
        return Totals(
            inserted=self._inserted,
            returned=self._returned,
            **self.cash(),
            in_transit=self.value(SLOT) + self.value(TRANSPORT),
            card_approved=sum(
                entry.amount
                for entry in self.authorisations.values()
                if entry.state is AuthState.APPROVED
            ),
            card_captured=self._captured,
            card_refunded=self._refunded,
            card_credited=self._credited,
            products=self._products,
            supplied=self._supplied,
            paid_out=self._paid_out,
        )

    def to_state(self) -> dict[str, Any]:
        """Return the truth as JSON values; the log stays behind."""
        return {
            "customer": self.customer,
            "places": {
                place: [[t.kind.value, t.value, t.name, count] for t, count in there.items()]
                for place, there in self._places.items()
                if there
            },
            "accounts": {name: asdict(account) for name, account in self.accounts.items()},
            "authorisations": [asdict(entry) for entry in self.authorisations.values()],
            "last_authorisation": self._last_authorisation,
            "sums": [
                self._inserted,
                self._returned,
                self._captured,
                self._refunded,
                self._credited,
                self._products,
                self._supplied,
                self._paid_out,
            ],
        }

    def from_state(self, state: Mapping[str, Any]) -> None:
        """Become what `to_state` returned."""
        self.customer = str(state["customer"])
        self._places = {
            place: {Thing(Kind(kind), value, name): count for kind, value, name, count in there}
            for place, there in state["places"].items()
        }
        self.accounts = {name: Account(**data) for name, data in state["accounts"].items()}
        self.authorisations = {
            data["id"]: Authorisation(**{**data, "state": AuthState(data["state"])})
            for data in state["authorisations"]
        }
        self._last_authorisation = int(state["last_authorisation"])
        (
            self._inserted,
            self._returned,
            self._captured,
            self._refunded,
            self._credited,
            self._products,
            self._supplied,
            self._paid_out,
        ) = state["sums"]
