"""What holds whatever breaks: the promise, checked against the physical truth to the cent.

Each oracle returns findings in words; none is an exception of the controller, and none asks the
controller for anything but its folded state and its records.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from config.climate import Climate
from controller.domain import accounts as acc
from controller.state.state import State
from simulator.truth import AuthState
from simulator.whole import Whole

# Why a reader charged what it should have given back: nothing was sold for it, so it is no
# discount on anything.
WATCHED_S: Final = 5.5  # a relay's own watch leaves the controller so much to be late
KEPT: Final = ("cannot refund", "refund error")


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the drawn faults excuse, in minor units.

    Args:
        lost_answer: Money that one poll answer held at the instant of a kill (on an adapter that
            acknowledges by itself) or of a power cut (which the changer's own memory does not
            survive); the controller can find it only as ``unclaimed``, and in the cash box not
            even that.
        lost_tokens: The same in vend tokens.
        unseen: The price of products that fell where no sensor can count them (two at once).
        blind: The evidence of a drop was lost (power cut in the turn): product and money may both
            be with one side, flagged.
    """

    lost_answer: int = 0
    lost_tokens: int = 0
    blind: bool = False
    unseen: int = 0


NONE: Final = Allowance()


def check(machine: Whole, allowance: Allowance = NONE) -> list[str]:
    """Return everything that is wrong; call it when nothing moves."""
    return [
        *books_equal_cash(machine, allowance),
        *ledger_balances(machine.state),
        *nobody_pays_for_nothing(machine, allowance),
        *tokens_are_there(machine, allowance),
        *stock_is_right(machine, allowance),
        *everything_ended(machine),
        *outputs_are_off(machine),
    ]


def books_equal_cash(machine: Whole, allowance: Allowance = NONE) -> Iterator[str]:
    """The ledger's cash accounts equal the coins and bills that are there."""
    physical, booked = machine.physical(), machine.booked()
    for account in acc.CASH:
        difference = physical[account] - booked[account]
        if not difference:
            continue
        if account == acc.CASH_CASHBOX and 0 < difference <= allowance.lost_answer:
            continue  # the named exception: nothing can count a cash box
        yield f"{account}: {physical[account]} is there, {booked[account]} is booked"


def ledger_balances(state: State) -> Iterator[str]:
    """The ledger sums to zero, and nothing is held or ordered without a saga."""
    total = sum(state.ledger.balance(account) for account in acc.ALL)
    if total:
        yield f"the ledger sums to {total}"
    for account in (
        acc.HELD_CASH,
        acc.HELD_CARD,
        acc.HELD_APP,
        acc.TOKENS_HELD,
        acc.PAYOUT_OWED,
    ):
        if not state.sagas and state.ledger.balance(account):
            yield f"{account} holds {state.ledger.balance(account)} and no saga is open"
    credit = -sum(state.ledger.balance(account) for account in acc.CREDIT)
    if credit != state.credit.total:
        yield f"credit accounts say {credit}, the lots {state.credit.total}"
    held = -state.ledger.balance(acc.HELD_CASH)
    if held != state.credit.held:
        yield f"the ledger holds {held} for vends, the lots {state.credit.held}"
    yield from rights_are_owed(state)
    claims = -sum(state.ledger.balance(account) for account in acc.CLAIMS)
    listed = sum(claim.amount for claim in state.claims.values())
    if claims != listed:
        yield f"claim accounts say {claims}, the open claims {listed}"


def nobody_pays_for_nothing(machine: Whole, allowance: Allowance = NONE) -> Iterator[str]:
    """Every customer's spending equals the goods, the credit, the claims; exceptions are flagged.

    Customers are judged together: what the machine has of them is one sum.
    """
    truth, state = machine.world.truth, machine.state
    prices = {c.product: machine.settings.price_of(c) for c in machine.settings.columns}
    accounts = list(truth.accounts.values())
    spent = sum(account.spent for account in accounts)
    goods = sum(prices[name] for account in accounts for name in account.products)
    discounts = sum(
        auth.requested - auth.amount
        for auth in truth.authorisations.values()
        if auth.state is AuthState.CAPTURED and auth.why not in KEPT
    )
    claims = sum(claim.amount for claim in state.claims.values())
    escrow = machine.physical()[acc.CASH_ESCROW]
    stuck = escrow if state.escrow is not None and state.escrow.claimed else 0
    with_machine = state.credit.total + claims + escrow - stuck
    given = state.counters.value_given + state.counters.value_app
    balance = spent + discounts + given - with_machine - goods
    staff = -state.ledger.balance(acc.UNCLAIMED)
    if balance > 0:
        # A customer is out of pocket: only what an adapter's lost answer held may be, and it
        # must stand in `unclaimed` (or lie in the cash box, which nobody can count).
        box = machine.physical()[acc.CASH_CASHBOX] - machine.booked()[acc.CASH_CASHBOX]
        excused = min(allowance.lost_answer, staff + max(0, box))
        if balance > excused and not (allowance.blind and machine.state.counters.flagged):
            yield f"customers are out of pocket by {balance} (excused: {excused})"
    elif balance < 0:
        flagged = state.counters.flagged > 0
        given = -balance
        missing = max(0, state.ledger.balance(acc.MISSING))
        if given <= allowance.unseen:
            return
        if not flagged and missing < given:
            yield f"customers got {given} for nothing, and no record flags it"
        elif not allowance.blind and missing < given:
            yield f"customers got {given} for nothing though the evidence was there"


def unbooked_tokens(machine: Whole) -> int:
    """Return how many vend tokens are in the machine beyond those that the ledger knows."""
    return machine.tokens_there() - machine.state.ledger.balance(acc.TOKENS_CASHBOX)


def tokens_are_there(machine: Whole, allowance: Allowance = NONE) -> Iterator[str]:
    """Tokens are where the ledger says."""
    off = unbooked_tokens(machine)
    if not 0 <= off <= allowance.lost_tokens:
        yield f"{off} tokens are there that are not booked"


def rights_are_owed(state: State) -> Iterator[str]:
    """What waits is what the ledger owes; an app has paid for what it bought and what waits."""
    tokens = sum(right.kind == "token" for right in state.rights.values() if not right.vend)
    if tokens != -state.ledger.balance(acc.TOKENS_CREDIT):
        yield f"{tokens} tokens wait, the ledger owes {-state.ledger.balance(acc.TOKENS_CREDIT)}"
    credit = sum(right.amount for right in state.rights.values() if not right.vend)
    owed = -state.ledger.balance(acc.CREDIT_APP)
    if credit != owed:
        yield f"app credit of {credit} waits, the ledger owes {owed}"
    receivable = state.ledger.balance(acc.APP_RECEIVABLE)
    bought = state.counters.value_app
    if not state.sagas and receivable != credit + bought:
        yield f"an app owes {receivable}, for {bought} bought and {credit} that waits"


def stock_is_right(machine: Whole, allowance: Allowance = NONE) -> Iterator[str]:
    """Believed stock equals the products, up to flagged columns."""
    for column in machine.settings.columns:
        name = column.selection
        believed = machine.state.stock.of(name)
        there = machine.world.cabinet.stock(name)
        if believed.count != there and not believed.uncertain and not allowance.blind:
            yield f"column {name}: {there} products, {believed.count} believed and not in doubt"


def everything_ended(machine: Whole) -> Iterator[str]:
    """No saga is open, and no card waits for its outcome."""
    for saga in machine.state.sagas.values():
        yield f"saga {saga.vend} is open: {saga.intent or 'no act'}, failed {saga.failed!r}"
    for auth in machine.world.truth.open_cards():
        if auth.state is AuthState.APPROVED:
            yield f"card payment {auth.id} over {auth.amount} waits for its outcome"


def _relay_limits(climate: Climate) -> dict[int, float]:
    """Return how long each relay of the climate may be on, by its pin."""
    limits: dict[int, float] = {}
    if climate.cooling is not None:
        limits[climate.cooling.pin.number] = climate.cooling.max_on_s + WATCHED_S
    if climate.defrost is not None and climate.defrost.pin is not None:
        limits[climate.defrost.pin.number] = climate.defrost.for_s + WATCHED_S
    if climate.heating is not None:
        limits[climate.heating.pin.number] = climate.heating.max_on_s + WATCHED_S
    if climate.light is not None:
        limits[climate.light.pin.number] = float("inf")
    return limits


def outputs_are_off(machine: Whole) -> Iterator[str]:
    """Nothing is on while nothing happens, and nothing was on longer than its maximum."""
    motors = {
        column.motor.pin.number: column.max_on_s
        for column in machine.settings.columns
        if column.motor.type == "direct"
    }
    longest = max(column.max_on_s for column in machine.settings.columns)
    board = machine.world.board
    buzzer, climate = machine.settings.buzzer, machine.settings.climate
    relays = _relay_limits(climate) if climate is not None else {}
    on = board.outputs_on()
    pulse = machine.settings.pulse
    gate = None if pulse is None else pulse.enable  # stands open for coins as long as it may
    for pin in machine.outputs:
        if pin == gate:
            continue
        if pin.number in on and (buzzer is None or pin != buzzer.pin):
            if pin.number not in relays:
                yield f"output {pin.number} is on"
            elif machine.running is None or machine.ended:
                yield f"relay {pin.number} is on and nobody leads it"
        limit = relays.get(pin.number, motors.get(pin.number, longest) + 0.5)
        if board.longest_on_s(pin.number) > limit:
            yield f"output {pin.number} was on for {board.longest_on_s(pin.number):.2f} s"
