"""What a decision may see and use during one turn: the state, the records it writes, its effects.

Everything written here becomes durable in one commit; the effects begin only after it.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from controller.clock import Clock
from controller.domain.basket import Basket
from controller.domain.climate import ClimatePlan
from controller.domain.commands import ApplyConfig, ApplyPlanogram
from controller.domain.health import HealthRule
from controller.domain.offers import Offer, Offers, reduced
from controller.domain.planogram import Planogram
from controller.domain.policy import Policy
from controller.domain.tubes import BILLS_FROM, ChangeRule, TubeCoins, can_change, payable
from controller.faults import TAKES_NOTHING, FaultCode
from controller.journal import records as rec
from controller.journal.envelope import Record, RecordData, to_ms
from controller.journal.store import Journal
from controller.machine.damage import Stretch
from controller.machine.effects import CountTubes, Effect, EndSession, Wake
from controller.machine.modes import Modes
from controller.machine.plan import Judged, Plan
from controller.machine.table import Mode, Trigger
from controller.money import Money
from controller.panel.view import Message
from controller.ports import (
    BillInfo,
    ChangerInfo,
    DeviceName,
    Greeting,
    ReaderInfo,
)
from controller.state.saga import Saga
from controller.state.state import State

READERS: Final = (DeviceName.CASHLESS1, DeviceName.CASHLESS2)
NOTICE_S: Final = 4.0  # how long a customer gets to read what has just happened
CLAIM_NOTICE_S: Final = 60.0  # a claim's code has to be copied by hand


@dataclass(slots=True)
class Notice:
    """Something the customer is told for a while, over what the mode would show."""

    message: Message
    until_s: float
    selection: str = ""
    price: int | None = None
    amount: int | None = None
    code: str = ""
    text: str = ""
    owed_until_s: float = 0.0  # a claim's code; 0: it has stood there for its turn

    def owed(self, now: float) -> bool:
        """Tell whether this is a claim's code that its customer has yet to be shown."""
        return now < self.owed_until_s


@dataclass(frozen=True, slots=True)
class AgeCheck:
    """Somebody is asked to prove an age."""

    selection: str
    device: DeviceName
    age: int
    number: int = 0  # of the question
    tried: frozenset[DeviceName] = frozenset()  # readers that can't tell


@dataclass(frozen=True, slots=True)
class AskedClaim:
    """The fleet is asked about a code that is none of ours."""

    seq: int  # of its record
    digest: str
    until_s: float  # monotonic


@dataclass(slots=True)
class Waiting:
    """A configuration, or a planogram, that came and does not hold yet."""

    command: ApplyConfig | ApplyPlanogram
    by: str
    basis: int = -1  # what ``judged`` was judged against
    judged: Judged | None = None


@dataclass(slots=True)
class Live:
    """What is true only while this process lives; never needed to decide who owns which cent."""

    ready: dict[DeviceName, ChangerInfo | BillInfo | ReaderInfo] = field(default_factory=dict)
    greetings: dict[DeviceName, Greeting] = field(default_factory=dict)
    started: set[DeviceName] = field(default_factory=set)
    tubes_checked: bool = False  # counted since the changer was last initialised
    coins_untold: bool = False  # a coin may have come that nobody told of; counted behind the vend
    tubes_doubt: tuple[tuple[int, int, int, int], ...] = ()  # a count that nobody explained yet
    staff_counts: bool = False  # what they filled or took is theirs, until the tubes were counted
    recycler_doubt: tuple[tuple[int, int, int, int], ...] = ()  # as ``tubes_doubt``
    stacker_checked: bool = False
    escrow_asked: bool = False  # for the bill, since its validator is there
    defective_tubes: frozenset[int] = frozenset()
    defective_recycler: frozenset[int] = frozenset()  # bill types
    stacker_full: bool = False
    session: DeviceName | None = None
    session_funds: int | None = None
    session_language: str = ""
    language: str = ""  # that the customer chose by its key
    session_refundable: bool | None = None  # the card's own word; None: the reader's holds
    lever: bool = False  # it was pulled in the middle of a vend
    keyed: str = ""
    code: str | None = None  # digits of a claim's code so far; None: a selection is keyed
    codes_paused_until: float | None = None  # monotonic; None: not looked at in this life
    fleet: bool = False  # it can be asked now
    asked: AskedClaim | None = None
    door_open: bool = False
    busy: dict[int, str] = field(default_factory=dict)  # vend -> effect under way without intent
    notice: Notice | None = None
    promises: list[Notice] = field(default_factory=list)  # claims whose codes are still shown
    aside_until: float | None = None  # monotonic; an owed code waits for what the mode shows
    tried: bool = False  # to buy something, since there was credit
    forgotten_at: float = 0.0  # monotonic; before that no credit counts as forgotten
    reselect: str = ""  # the customer paid cash while the reader was being asked
    bill_until: float | None = None  # monotonic; stopping: no vend waits longer for its bill
    cancelling: set[int] = field(default_factory=set)  # vends whose request is being ended
    approved_again: set[str] = field(default_factory=set)  # readers that recovery is to ask
    asks_after_bill: dict[int, DeviceName] = field(default_factory=dict)  # vend -> its reader
    settling_since: dict[int, float] = field(default_factory=dict)  # payout retries
    unproved: set[int] = field(default_factory=set)  # payouts whose changer fell silent
    owing_since: dict[int, float] = field(default_factory=dict)  # since the first order
    again_at: dict[int, float] = field(default_factory=dict)  # the next order after a short one
    recounted: set[int] = field(default_factory=set)  # vends that the tubes were asked for
    # Pieces believed as its payout was ordered.
    held_then: dict[int, tuple[tuple[int, int, int], ...]] = field(default_factory=dict)
    seen: dict[int, tuple[object, ...]] = field(default_factory=dict)  # sagas at the last look
    watching: bool = False
    timed_out: set[int] = field(default_factory=set)  # vends of which a deadline ended an act
    fill_mode: bool = False
    service_wanted: tuple[str, Future[dict[str, Any]]] | None = None
    session_ends: bool = False  # SESSION COMPLETE was wanted for ``session``
    session_unwanted: bool = False  # its reader wants it ended, while it revalues
    revalue_asked: bool = False  # for the limit of this session, since it began or changed
    revalue_limit: int | None = None  # the most that may be put on its card; None: nothing
    damage: dict[str, Stretch] = field(default_factory=dict)  # by what is flagged of it
    basket: Basket = field(default_factory=Basket)
    age_check: AgeCheck | None = None
    ages_asked: int = 0
    config: Waiting | None = None  # a revision that is judged, or waits for its moment
    planogram: Waiting | None = None
    was_blocked: str = ""  # why nothing was sold when the configuration on trial began
    age_proved: tuple[int, float] = (0, 0.0)  # years, and until when (monotonic) they hold
    replies: dict[str, Future[dict[str, Any]]] = field(default_factory=dict)  # commands that wait


class Desk:
    """The turn's context; one object for the life of the process."""

    def __init__(
        self,
        journal: Journal[State],
        planogram: Planogram,
        policy: Policy,
        clock: Clock,
        mint: Callable[[int, int], str],
        *,
        climate: ClimatePlan | None = None,
        health: tuple[HealthRule, ...] = (),
        offers: Offers | None = None,
        plan: Plan | None = None,
        seal: Callable[[int, int], str] | None = None,
    ) -> None:
        """Bind the parts; ``mint(seq, amount)`` makes a claim's code, ``seal`` states the books."""
        self.journal = journal
        self.state: State = journal.state  # the fold of all written so far, this turn included
        self.base_planogram = planogram
        self.policy = policy
        self.clock = clock
        self.mint = mint
        self.seal = seal
        self.climate = climate
        self.health = health
        self.recorded = False  # a flight recorder runs
        self.updates = False  # somebody takes versions that the fleet wants
        self.offers = offers or Offers()
        self._active: tuple[Offer, ...] = ()
        self.modes = Modes()
        self.mode = self.modes.mode  # beside it: asked many times a turn
        self.live = Live()
        self.effects: list[Effect] = []
        self.written: list[Record] = []
        self.poke: Callable[[str], None] = lambda _name: None  # has the actor look at something
        # How far a long command has come: its id, in words, steps done and in all (0: unknown).
        self.progress: Callable[[str, str, int, int], None] = lambda _id, _text, _done, _all: None
        self.answers: list[tuple[Future[dict[str, Any]], dict[str, Any]]] = []
        self._plan = plan
        self._good_plan: Plan | None = None
        self.plans = 0  # that have held: what was recorded before another one is no more of use
        self.adopted: Callable[[Plan], None] = lambda _plan: None  # whoever else goes by the plan
        self._planogram = planogram
        self._listed = planogram
        self._prices: dict[str, int] = {}
        self._priced_seq = -1  # what these prices were compared with
        self._accepted: tuple[int, ...] = ()
        self._accepted_of: tuple[object, object] = (None, None)
        self._rule: ChangeRule | None = None
        self._rule_key: tuple[object, ...] = ()
        self._tubes: list[TubeCoins] = []
        self._tubes_key: tuple[object, ...] = ()
        self._payables = 0  # amounts that these tubes can pay, as bits
        self._changeable = 0
        self._changeable_of: tuple[int, frozenset[int]] = (0, frozenset())
        self._payable_of: list[TubeCoins] | None = None

    # ------------------------------------------------------------------------------ seeing

    @property
    def now(self) -> float:
        """Return monotonic seconds."""
        return self.clock.monotonic_s()

    @property
    def wall_ms(self) -> int:
        """Return the system's wall time, whatever it is worth, UTC in milliseconds."""
        return to_ms(self.clock.wall_utc())

    @property
    def now_ms(self) -> int:
        """Return UTC in milliseconds as a record would be labelled now."""
        wall = to_ms(self.clock.wall_utc())
        return self.journal.label.stamp(wall, int(self.now * 1000))[0]

    @property
    def planogram(self) -> Planogram:
        """Return what is sold, with the prices in force."""
        # The state changes by records only. Asked many times a turn, and prices are many.
        if self._priced_seq == self.state.seq:
            return self._planogram
        self._priced_seq = self.state.seq
        if self.state.prices != self._prices:
            self._prices = dict(self.state.prices)
            self._listed = self.base_planogram.with_prices(self._prices)
            self._planogram = reduced(self._listed, self._active)
        return self._planogram

    @property
    def plan(self) -> Plan | None:
        """Return what holds, since it was composed."""
        return self._plan

    @property
    def good_plan(self) -> Plan | None:
        """Return what held before the configuration on trial; None when nobody remembers."""
        return self._good_plan

    @good_plan.setter
    def good_plan(self, plan: Plan | None) -> None:
        self._good_plan = plan

    def adopt(self, plan: Plan) -> None:
        """Go by another plan from now on."""
        self._plan = plan
        self.base_planogram, self.policy = plan.planogram, plan.policy
        self.climate, self.health, self.offers = plan.climate, plan.health, plan.offers
        self.plans += 1
        self._prices = dict(self.state.prices)
        self._listed = self.base_planogram.with_prices(self._prices)
        self._active = ()
        self._planogram = self._listed
        self.look_at_offers()
        self.adopted(plan)

    def look_at_offers(self) -> None:
        """See which offers hold now; none does while the time is not known."""
        if not self.offers.all:
            return
        known = self.journal.label.confirmed
        active = self.offers.at(self.now_ms) if known else ()
        if active != self._active:
            self._active = active
            self._planogram = reduced(self._listed, active)

    def confirm_time(self, source: Literal["fleet", "ntp"]) -> None:
        """Take the wall clock's word from now on: somebody keeps it right."""
        wall, mono = to_ms(self.clock.wall_utc()), int(self.now * 1000)
        offset = wall - self.journal.label.stamp(wall, mono)[0]
        if self.journal.label.confirm(wall, mono):
            self.write(rec.TimeConfirmed(source=source, offset_ms=offset))

    @property
    def credit(self) -> int:
        """Return what the customer may spend or get back: cash, and a bill that waits in escrow."""
        bill = self.state.escrow
        waits = bill is not None and bill.waits and DeviceName.BILL in self.live.ready
        return self.state.credit.total + (bill.value if bill is not None and waits else 0)

    def credit_is_new(self) -> None:
        """Begin the owner's time for forgotten credit anew.

        A timer that is set now runs only once this turn is durable, and the one before it may end
        meanwhile: so the moment is kept as well.
        """
        wait_s = self.policy.credit_timeout_s
        if wait_s:
            self.live.forgotten_at = self.now + wait_s
            self.do(Wake("credit", wait_s))

    def takes_cards(self, reader: DeviceName) -> bool:
        """Tell whether a reader works and staff have not switched it off."""
        return self._works(reader) and reader not in self.state.readers_off

    def takes_cash(self) -> bool:
        """Tell whether a coin or a bill can come in.

        What it is that takes them goes on being enabled while it is out of order: for most that is
        the only way to hear that it is mended.
        """
        bills = self._works(DeviceName.BILL) and not self.live.stacker_full
        return bills or self._works(DeviceName.CHANGER)

    @property
    def tubes_out(self) -> bool:
        """Tell whether the changer says that its cassette is out: no count of it means anything."""
        return (
            f"{DeviceName.CHANGER.value} {FaultCode.CHANGER_CASSETTE_REMOVED.value}"
            in self.state.faults
        )

    def _works(self, device: DeviceName) -> bool:
        """Tell whether a money device is there and does not say that it takes nothing."""
        if device not in self.live.ready:
            return False
        faults = self.state.faults
        return not faults or not any(
            f"{device.value} {code.value}" in faults for code in TAKES_NOTHING
        )

    def customer_saga(self) -> Saga | None:
        """Return the open saga, if there is one (there is never more than one customer).

        A late approval is an earlier customer's.
        """
        return next((saga for saga in self.state.sagas.values() if saga.kind != "late"), None)

    @property
    def unhealthy(self) -> list[str]:
        """Return the columns that the health timer holds back.

        So it does until somebody has measured how a power cut of unknown length left them.
        """
        if not self.health:
            return self.state.climate.unhealthy
        known = self.state.climate.columns
        gaps = (rule.column for rule in self.health if rule.column in known)
        return [*self.state.climate.unhealthy, *(name for name in gaps if known[name].gap)]

    def tubes(self) -> list[TubeCoins]:
        """Return what change can be paid from now: no defective tubes, the reserve left alone.

        Coins of the changer, and bills of the recycler behind them.
        """
        live = self.live
        # The state changes by records only. Asked several times a turn, for each bill and price.
        key = (
            self.journal.next_seq,
            DeviceName.CHANGER in live.ready and live.tubes_checked,
            live.defective_tubes,
            DeviceName.BILL in live.ready and live.stacker_checked,
            live.defective_recycler,
        )
        if key != self._tubes_key:
            self._tubes_key = key
            tubes = [*self.coins(), *self._bills()]
            if tubes != self._tubes:
                self._tubes = tubes
        return self._tubes

    def coins(self) -> list[TubeCoins]:
        """Return the coins that can be paid from now, as ``tubes`` does."""
        if DeviceName.CHANGER not in self.live.ready or not self.live.tubes_checked:
            return []
        if self.tubes_out:
            return []
        kept = dict(self.policy.tubes_kept)
        bad = self.live.defective_tubes
        return [
            TubeCoins(type_, value, max(0, count - kept.get(value, 0)))
            for type_, value, count in self.state.tube_coins()
            if value and type_ not in bad
        ]

    def money(self, amount: int) -> str:
        """Return an amount of minor units as a refusal tells it: "1.03 EUR"."""
        return str(Money(amount, self.state.currency))

    def can_change(self, amount: int) -> bool:
        """Tell whether ``amount`` (>= 0) can be paid exactly now."""
        if amount > self.policy.max_change:
            return can_change(amount, self.tubes())
        return bool(self._payable() >> amount & 1)

    def changeable(self) -> int:
        """Return, as bits, the credits from which something can be bought and the rest be paid.

        The rest is at most the largest change.
        """
        payable, prices = self._payable(), self.planogram.prices()
        if (payable, prices) != self._changeable_of:
            self._changeable_of, self._changeable = (payable, prices), 0
            for price in prices:
                self._changeable |= payable << price
        return self._changeable

    def _payable(self) -> int:
        tubes = self.tubes()
        if tubes is not self._payable_of:
            self._payable_of, self._payables = tubes, payable(tubes, self.policy.max_change)
        return self._payables

    def last_resort(self) -> Sequence[TubeCoins]:
        """Return what can be paid with, bills of a recycler that is out of order included.

        One that stood still is not known to work before it has paid: nobody's change may hang on
        it, and where nothing else can pay it is tried before anybody gets a claim.
        """
        return [*self.coins(), *self._bills(faulty=True)]

    def _bills(self, *, faulty: bool = False) -> list[TubeCoins]:
        info = self.live.ready.get(DeviceName.BILL)
        if not isinstance(info, BillInfo) or not info.recycles or not self.live.stacker_checked:
            return []
        fault = f"{DeviceName.BILL.value} {FaultCode.BILL_DISPENSER.value}"
        if fault in self.state.faults and not faulty:
            return []
        bad = self.live.defective_recycler
        return [
            TubeCoins(BILLS_FROM + type_, value, max(0, count))
            for type_, value, count in self.state.recycler_bills()
            if value and type_ not in bad
        ]

    def change_rule(self) -> ChangeRule:
        """Return the rule for "exact change only" under the prices and devices of now."""
        ready = self.live.ready
        told = (ready.get(DeviceName.CHANGER), ready.get(DeviceName.BILL))
        if told[0] is not self._accepted_of[0] or told[1] is not self._accepted_of[1]:
            self._accepted_of = told
            self._accepted = tuple(sorted(self.accepted_values()))
        accepted = self._accepted
        key = (self.planogram, accepted)
        if self._rule is None or key != self._rule_key:
            self._rule_key = key
            most = self.policy.max_credit  # cash never buys what costs more
            prices = [price for price in self.planogram.prices() if price <= most]
            self._rule = ChangeRule(prices, accepted, self.policy.max_change)
        return self._rule

    def accepted_values(self) -> set[int]:
        """Return the denominations that the ready devices and the owner accept."""
        values: set[int] = set()
        changer = self.live.ready.get(DeviceName.CHANGER)
        if isinstance(changer, ChangerInfo):
            values |= {c.value for c in changer.coins if self.policy.takes_coin(c.value)}
        bill = self.live.ready.get(DeviceName.BILL)
        if isinstance(bill, BillInfo):
            values |= {b.value for b in bill.bills if self.policy.takes_bill(b.value)}
        return values

    # ------------------------------------------------------------------------------- doing

    def write(self, data: RecordData, vend: int | None = None) -> Record:
        """Stage a record: it is folded in at once and durable at the end of the turn."""
        record = self.journal.stage(data, vend=vend)
        self.written.append(record)
        return record

    def open(self, data: RecordData) -> Saga:
        """Stage the record that opens a saga and return the saga."""
        record = self.write(data, self.journal.next_seq)
        return self.state.sagas[record.seq]

    def do(self, effect: Effect) -> None:
        """Want an effect after this turn's commit."""
        self.effects.append(effect)

    def fire(self, trigger: Trigger) -> None:
        """Move the machine."""
        self.mode = self.modes.fire(trigger)

    def step(self, trigger: Trigger) -> None:
        """Move the machine with a saga, unless it is recovering, served, stopping or off."""
        if self.mode.vending or self.mode.selling:
            self.fire(trigger)

    def put(self, mode: Mode) -> None:
        """Be in a mode from the start: a replay begins where its recording does."""
        self.modes.put(mode)
        self.mode = mode

    def tell(
        self,
        message: Message,
        *,
        seconds: float = NOTICE_S,
        selection: str = "",
        price: int | None = None,
        amount: int | None = None,
        code: str = "",
        text: str = "",
    ) -> None:
        """Show the customer something for a while; ``text`` is a reader's own."""
        self.live.notice = Notice(message, self.now + seconds, selection, price, amount, code, text)
        self.do(Wake("show", seconds))

    def end_session(self, reader: DeviceName) -> None:
        """Have a reader's session ended: nothing that is chosen is for its card any more."""
        if self.live.session is reader:
            self.live.session_ends = True
        self.do(EndSession(reader))

    def asks_tubes(self) -> bool:
        """Have the tubes counted; False where none can be.

        A hand may have filled them, and no switch told of it: before anybody is refused, or gets a
        claim, for want of coins.
        """
        live = self.live
        here = DeviceName.CHANGER in live.ready and live.tubes_checked and not self.tubes_out
        if here and self.state.tube_coins():
            self.do(CountTubes("check"))
            return True
        return False

    def answer(self, key: str, result: dict[str, Any]) -> None:
        """Answer the command that waits under ``key``, if one does."""
        reply = self.live.replies.pop(key, None)
        if reply is not None:
            self.reply(reply, result)

    def reply(self, reply: Future[dict[str, Any]], result: dict[str, Any]) -> None:
        """Answer a command, once what this turn wrote is durable."""
        self.answers.append((reply, result))

    def raise_fault(self, part: str, code: FaultCode, detail: str = "") -> None:
        """Record a fault, once per cause."""
        if f"{part} {code.value}" not in self.state.faults:
            self.write(rec.FaultRaised(part=part, code=code.value, detail=detail[:200]))

    def clear_fault(self, part: str, code: FaultCode, by: str = "") -> None:
        """Record that a fault's cause is gone, if it stood."""
        if f"{part} {code.value}" in self.state.faults:
            self.write(rec.FaultCleared(part=part, code=code.value, by=by))

    def flag(self, reason: str, vend: int | None, amount: int = 0) -> None:
        """Ask for a person's look: evidence was missing and a rule decided."""
        self.write(rec.ReviewFlagged(reason=reason, amount=amount), vend)
