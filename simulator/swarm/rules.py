"""What owner and law have decided, held against each record: rules that no cent would tell of.

The oracle follows records as they become durable, and what the panel shows; of the controller it
asks nothing else. A rule reads the machine's settings itself, and never the controller's reading
of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, Final
from zoneinfo import ZoneInfo

from controller.faults import FaultCode
from controller.journal import records as rec
from controller.journal.envelope import Record, UnknownData
from controller.saga.claims import well_formed
from simulator.swarm.baskets import Baskets
from simulator.swarm.codes import Codes
from simulator.swarm.evidence import Evidence
from simulator.swarm.grants import Grants
from simulator.swarm.manners import Manners
from simulator.swarm.prices import Prices, within
from simulator.swarm.purse import Purse
from simulator.truth import Fact
from simulator.whole import Whole

AGE_HOLDS_S: Final = 31.0  # a proof is good for half a minute, and a turn takes its time
GUESSES_MAX: Final = 5  # wrong codes until no code is taken
ACCEPTOR: Final = "acceptor"
WRONG: Final = ("unknown", "expired")
PAUSE_S: Final = 15 * 60.0
DAY_MS: Final = 86_400_000
FAULTY: Final = ("jammed", "no_start", "no_home", "not_seen")  # turns that tell of a fault
OFF_FOR: Final = tuple(f"column.{fault}" for fault in FAULTY)


class Rules:
    """Watches one machine, from one journal's first record on."""

    def __init__(self, machine: Whole) -> None:
        """Nothing has happened yet."""
        self._machine = machine
        self._columns = {column.selection: column for column in machine.settings.columns}
        self._opened: dict[int, rec.VendOpened] = {}
        self._turns: dict[int, dict[str, str]] = {}  # by open vend: each column's last outcome
        self._failed: Counter[str] = Counter()  # vends in a row that failed, by column
        self._failed_machine = 0
        self._unknown: dict[int, str] = {}  # by open vend: a turn of which nobody knows the end
        self._faulty: Counter[str] = Counter()  # of them those whose last turn told of a fault
        self._unblamed: Counter[str] = Counter()  # of these those that were kept from their second
        self._kept_from: dict[int, str] = {}  # by open vend: the column that has such a turn now
        self._unhealthy: set[str] = set()
        self._off: set[str] = set()
        self._ages: list[int] = []  # that a reader has truly seen proved
        self._proved: tuple[int, int, float] = (0, 0, 0.0)  # boot, years, when
        self._grants: set[str] = set()
        self._paid: dict[int, tuple[str, int]] = {}  # by an app's open right: its id and amount
        self._refunds: Counter[str] = Counter()  # by id: what its app has yet to be asked for
        self._inherited = 0  # the same of rights whose grant nobody can read (an older journal's)
        self._unread: set[int] = set()  # records behind a damage
        self._codes: set[str] = set()
        self._dated: list[int] = []  # when claims were made, where somebody confirmed that time
        self._guesses = 0
        self._paused_until_s = float("-inf")
        self._locked = False
        self._began_anew = False  # a ccTalk acceptor's events, and nobody has said so yet
        prices = Prices(machine)
        self.purse = Purse(machine, prices)
        self._rights = Grants(machine)
        self.manners = Manners(machine, self.purse)
        self.codes = Codes(machine)
        self.baskets = Baskets(machine)
        # By the type of a record's data: most are none of these, and asking one by one takes time.
        own: dict[type[Any], Callable[[Record, Any, Evidence], None]] = {
            rec.VendOpened: self._opens,
            rec.AgeChecked: self._checks_age,
            rec.DispenseIntended: self._may_turn,
            rec.DispenseFinished: self._turned,
            rec.DispenseDecided: self._decided,
            rec.VendClosed: self._closes,
            rec.HealthExceeded: self._too_warm,
            rec.HealthServed: self._healthy,
            rec.ColumnDisabled: self._disabled,
            rec.ColumnEnabled: self._enabled,
            rec.ServiceLeft: self._served,
            rec.ClaimOpened: self._claims,
            rec.ClaimRedeemed: self._redeemed,
            rec.ClaimRefused: self._refused,
            rec.ClaimGranted: self._redeemed,
            rec.RightGranted: self._granted,
            rec.RightUsed: self._used,
            rec.RightEnded: self._ended,
            rec.RightReturned: self._returned,
            rec.RefundRequested: self._asked_back,
            rec.MachineLocked: self._locks,
            rec.FaultRaised: self._fails,
            rec.MachineUnlocked: self._unlocks,
            UnknownData: self._cannot_read,
        }
        self._rules = defaultdict[type[Any], list[Callable[[Record, Any, Evidence], None]]](list)
        for rules in (
            prices.rules, self._rights.rules, self.purse.rules, self.manners.rules,
            self.codes.rules, self.baskets.rules, own,
        ):  # fmt: skip
            for kind, rule in rules.items():
                self._rules[kind].append(rule)

    # --------------------------------------------------------------------------- what is heard

    def fact(self, fact: Fact) -> None:
        """Hear what really happened."""
        if fact.what == "power" or (fact.what == "reset" and fact.detail.startswith(ACCEPTOR)):
            self._began_anew = True
        elif fact.what == "age":
            self._ages.append(int(fact.detail.split()[-1]))

    def look(self) -> None:
        """Look at the panel: the machine has had a turn."""
        self.purse.look()
        machine = self._machine
        if machine.running is not None and machine.settings.display is None:
            self.codes.look(machine.running.machine.screen)

    def check(self, evidence: Evidence) -> None:
        """A customer has left."""
        evidence.findings += [
            f"an app paid for {id_}, and {left} of it was neither used nor asked back"
            for id_, left in self._refunds.items()
            if left
        ]
        if self._inherited:
            evidence.findings.append(
                f"apps paid under an older journal, and {self._inherited} of it was neither used"
                " nor asked back"
            )
        self._rights.check(evidence)
        self.purse.check(evidence)
        self.manners.check(evidence)
        self.codes.check(evidence)
        self.baskets.check(evidence)
        self._refunds.clear()
        self._inherited = 0

    def record(self, record: Record, evidence: Evidence) -> None:
        """Hold a record against the rules."""
        for rule in self._rules.get(type(record.data), ()):
            rule(record, record.data, evidence)
        if record.postings:
            self.purse.post(record)
        self.manners.label(record, evidence)

    def _is_of_this_life(self, record: Record) -> bool:
        """Tell whether it was written under the settings that hold now."""
        return record.boot == self._machine.state.boot

    # ------------------------------------------------------------------------- what may be sold

    def _opens(self, record: Record, opened: rec.VendOpened, evidence: Evidence) -> None:
        self._opened[record.seq] = opened
        if opened.test or not self._is_of_this_life(record):
            return
        if self._locked:
            evidence.findings.append(f"{opened.column} is sold by a machine that is locked")
        years = self._years(opened.column)
        boot, proved, at_s = self._proved
        since_s = record.mono_ms / 1_000 - at_s
        fresh = boot == record.boot and (since_s <= AGE_HOLDS_S or opened.basket)
        if years and not (fresh and proved >= years):
            evidence.findings.append(f"{opened.column} is sold to somebody who proved no age")
        if opened.offer and not self._holds(opened, record):
            evidence.findings.append(
                f"{opened.column} is sold by the offer {opened.offer!r}, which does not hold now"
            )

    def _years(self, column: str) -> int:
        found = self._columns.get(column)
        wanted = {product.id: product.min_age for product in self._machine.settings.products}
        return 0 if found is None else wanted.get(found.product, 0)

    def _checks_age(self, record: Record, checked: rec.AgeChecked, evidence: Evidence) -> None:
        if checked.outcome != "proved":
            return
        self._proved = record.boot, checked.age, record.mono_ms / 1_000
        seen = any(years >= checked.age for years in self._ages)
        if not seen and self._is_of_this_life(record):
            evidence.findings.append(
                f"an age of {checked.age} is on record as proved, and no reader saw a proof"
            )

    def _holds(self, opened: rec.VendOpened, record: Record) -> bool:
        """Tell whether an offer holds at a time that somebody has confirmed."""
        settings = self._machine.settings
        offer = next((one for one in settings.offers if one.name == opened.offer), None)
        if offer is None or not record.confirmed:
            return False
        product = self._columns[opened.column].product
        everything = not offer.columns and not offer.products
        meant = everything or opened.column in offer.columns or product in offer.products
        zone = ZoneInfo(settings.machine.timezone)
        # The shelf's prices are those of the turn's beginning, some milliseconds before.
        times = (record.at_ms, record.at_ms - 1_000)
        return meant and any(within(offer, at_ms, zone) for at_ms in times)

    # -------------------------------------------------------------------- columns that fail again

    def _may_turn(self, record: Record, data: rec.DispenseIntended, evidence: Evidence) -> None:
        opened, column = self._opened.get(record.vend or 0), data.column
        self._kept_from.pop(record.vend or 0, None)
        if opened is None or opened.test or not self._is_of_this_life(record):
            return
        policy = self._machine.settings.policy
        tell = evidence.findings.append
        if 0 < policy.column_refunds_max <= self._failed[column]:
            tell(f"{column} turns, and it has failed {self._failed[column]} times in a row")
        if 0 < policy.machine_refunds_max <= self._failed_machine:
            tell(f"{column} turns, and {self._failed_machine} vends have failed in a row")
        blamed = self._faulty[column] - self._unblamed[column]
        if blamed > policy.column_retries:
            tell(f"{column} turns, and {blamed} vends in a row found it at fault")

    def _turned(self, record: Record, data: rec.DispenseFinished, evidence: Evidence) -> None:
        del evidence
        seen = data.trouble or data.outcome  # it may have delivered, and yet not come home
        seen = seen if data.proof == "watched" else ""  # an end is no column's fault
        turns = self._turns.setdefault(record.vend or 0, {})
        if data.outcome == "unknown" or (data.outcome == "blind" and (data.run_ms or turns)):
            self._unknown[record.vend or 0] = data.column
        if seen == "not_seen" and data.column not in turns and self._stays_from(data.column):
            self._kept_from[record.vend or 0] = data.column
        turns[data.column] = seen

    def _stays_from(self, column: str) -> bool:
        """Tell whether a column that would turn once more may not: one turn is not yet a fault."""
        plan = self._columns.get(column)
        held = column in self._unhealthy or column in self._off
        held = held or self._machine.world.cabinet.door_open
        return plan is not None and plan.extra_turn and held

    def _decided(self, record: Record, data: rec.DispenseDecided, evidence: Evidence) -> None:
        self._unknown.pop(record.vend or 0, None)
        wanted = self._machine.settings.policy.on_unknown
        if data.policy != wanted and self._is_of_this_life(record):
            evidence.findings.append(
                f"an unknown drop was decided by {data.policy!r}, the owner says {wanted!r}"
            )

    def _closes(self, record: Record, data: rec.VendClosed, evidence: Evidence) -> None:
        vend = record.vend or 0
        opened, turns = self._opened.pop(vend, None), self._turns.pop(vend, {})
        kept_from = self._kept_from.pop(vend, "")
        if column := self._unknown.pop(vend, ""):
            evidence.findings.append(
                f"nobody knows whether {column} let something fall, and no rule has decided that"
            )
        if opened is None:
            return
        for column, outcome in turns.items():
            if outcome == "dropped":
                self._works(column)
            elif outcome in FAULTY and not opened.test:
                self._faulty[column] += 1
                self._unblamed[column] += column == kept_from
        if opened.test:
            return
        if data.result == "sold":
            self._failed_machine = 0
            self._failed.pop(list(turns)[-1] if turns else "", None)
        elif turns:
            self._failed_machine += 1
            self._failed.update(turns.keys())

    def _works(self, column: str) -> None:
        self._faulty.pop(column, None)
        self._unblamed.pop(column, None)

    def _too_warm(self, record: Record, data: rec.HealthExceeded, evidence: Evidence) -> None:
        del record, evidence
        self._unhealthy.update(data.columns)

    def _healthy(self, record: Record, data: rec.HealthServed, evidence: Evidence) -> None:
        del record, evidence
        self._unhealthy.difference_update(data.columns)

    def _disabled(self, record: Record, data: rec.ColumnDisabled, evidence: Evidence) -> None:
        self._off.add(data.column)
        retries, found = self._machine.settings.policy.column_retries, self._faulty[data.column]
        ours = self._is_of_this_life(record) and self._machine.state.previous is None
        if data.reason in OFF_FOR and found < retries and ours:  # an older journal may know more
            evidence.findings.append(
                f"{data.column} is off at once, and the owner has it tried on after {found} vends"
                " that found it at fault"
            )

    def _enabled(self, record: Record, data: rec.ColumnEnabled, evidence: Evidence) -> None:
        del record, evidence
        self._failed.pop(data.column, None)
        self._works(data.column)
        self._off.discard(data.column)

    def _served(self, record: Record, data: rec.ServiceLeft, evidence: Evidence) -> None:
        del record, data, evidence
        self._failed_machine = 0

    # --------------------------------------------------------------------------- claims, grants

    def _fails(self, record: Record, data: rec.FaultRaised, evidence: Evidence) -> None:
        ours = self._is_of_this_life(record) and self._machine.state.previous is None
        policy = self._machine.settings.policy
        if data.code == FaultCode.MACHINE_REFUNDS.value and ours:
            if not 0 < policy.machine_refunds_max <= self._failed_machine:
                evidence.findings.append(
                    f"the machine is off, and {self._failed_machine} vends have failed in a row"
                )
        elif data.code == FaultCode.COLUMN_REFUNDS.value and ours:
            failed = self._failed[data.part]
            if not 0 < policy.column_refunds_max <= failed:
                evidence.findings.append(
                    f"{data.part} is off, and has failed {failed} times in a row"
                )
        if (data.part, data.code) == (ACCEPTOR, FaultCode.DEVICE_RESET_BY_ITSELF.value):
            if not self._began_anew:
                evidence.findings.append("an acceptor is said to have been reset, and was not")
            self._began_anew = False

    def _locks(self, record: Record, data: rec.MachineLocked, evidence: Evidence) -> None:
        del record, data, evidence
        self._locked = True

    def _unlocks(self, record: Record, data: rec.MachineUnlocked, evidence: Evidence) -> None:
        del record, data, evidence
        self._locked = False

    def _claims(self, record: Record, claim: rec.ClaimOpened, evidence: Evidence) -> None:
        if record.confirmed:
            self._dated.append(record.at_ms)
        if claim.code in self._codes:
            evidence.findings.append(f"two claims have the code {claim.code}")
        elif not well_formed(claim.code):
            evidence.findings.append(f"{claim.code} is no code that anybody could key in")
        self._codes.add(claim.code)

    def _redeemed(
        self, record: Record, data: rec.ClaimRedeemed | rec.ClaimGranted, evidence: Evidence
    ) -> None:
        del data
        self._judged(record, evidence)
        self._guesses = 0

    def _refused(self, record: Record, data: rec.ClaimRefused, evidence: Evidence) -> None:
        self._judged(record, evidence)
        self._guesses += data.reason in WRONG
        if data.reason == "expired" and self._machine.state.previous is None:
            self._expires(record, evidence)
        if data.reason in WRONG and self._guesses % GUESSES_MAX == 0:
            self._paused_until_s = self._machine.loop.time() + PAUSE_S - 1.0

    def _expires(self, record: Record, evidence: Evidence) -> None:
        """A code is too old only by two times that somebody has confirmed."""
        born_ms = record.at_ms - self._machine.settings.policy.claim_days * DAY_MS
        if not (record.confirmed and any(at_ms < born_ms for at_ms in self._dated)):
            evidence.findings.append("a code is taken for expired, and nobody knows its age")

    def _judged(self, record: Record, evidence: Evidence) -> None:
        """Five wrong codes in a row, and none is taken for a quarter of an hour."""
        if self._machine.loop.time() < self._paused_until_s and self._is_of_this_life(record):
            evidence.findings.append("a code is judged, and too many were wrong just now")

    def _granted(self, record: Record, granted: rec.RightGranted, evidence: Evidence) -> None:
        if granted.id in self._grants:
            evidence.findings.append(f"what {granted.id} grants was given twice")
        self._grants.add(granted.id)
        self._paid[record.seq] = granted.id, granted.amount

    def _cannot_read(self, record: Record, data: UnknownData, evidence: Evidence) -> None:
        del data, evidence
        self._unread.add(record.seq)

    def _used(self, record: Record, data: rec.RightUsed, evidence: Evidence) -> None:
        del record, evidence
        self._over(data, data.worth)

    def _ended(self, record: Record, data: rec.RightEnded, evidence: Evidence) -> None:
        del record, evidence
        self._over(data, 0)

    def _returned(self, record: Record, data: rec.RightReturned, evidence: Evidence) -> None:
        del record, evidence
        if data.ended:
            self._over(data, 0)

    def _over(self, data: rec.RightUsed | rec.RightReturned | rec.RightEnded, worth: int) -> None:
        """A right has come to its end: what it did not buy, its app gets back."""
        id_, amount = self._paid.pop(data.right, ("", 0))
        if amount:
            self._refunds[id_] += amount - worth
        elif (data.right < 0 or data.right in self._unread) and data.kind == "app":
            self._inherited += data.amount - worth

    def _asked_back(self, record: Record, data: rec.RefundRequested, _: Evidence) -> None:
        del record
        # What an older journal asked for behind its damage is asked for again: its app pays once.
        if data.reference in self._grants:
            self._refunds[data.reference] -= data.amount
        else:
            self._inherited -= data.amount
