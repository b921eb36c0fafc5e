"""The oracle of what costs nobody a cent, and is promised all the same.

No sale behind an open door, no turn under a blind light barrier, none more than the owner allows,
no coin while nothing is sold; what only buys is spent first; a refund that came out short is tried
again; a stop waits for the vend; the panel tells the credit, a reader hears the truth, and none is
left in a session that nobody has.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from controller.app import BUILT
from controller.journal import records as rec
from controller.journal.envelope import Record, to_ms
from controller.ports import DispenseOutcome
from simulator.peripherals.reader_settings import ReaderState
from simulator.swarm.codes import WHOLE
from simulator.swarm.evidence import Evidence
from simulator.swarm.plan import Trouble
from simulator.swarm.purse import ON_ITS_WAY_S, Purse
from simulator.whole import Whole

LATE_S: Final = 6.0  # two looks for a changer that is away
AHEAD_MS: Final = 5_000
SEEN_S: Final = 1.0  # an edge, and the turn that it waits behind
DOOR_STOPS_S: Final = 0.1  # until a motor stands still behind a door that is opened
STOOD_S: Final = 700.0  # a code that was hidden comes back for ten minutes, and stays for one
TURNS_MAX: Final = 2  # of one column in one vend
CODE: Final = re.compile(r"\d{4} \d{4}")
CREDIT: Final = re.compile(r"(?:Credit|Guthaben|Crédito)\D*(\d+)[.,](\d\d)(?!\d)")


@dataclass(slots=True)
class _Vend:
    opened: rec.VendOpened | None
    turns: Counter[str] = field(default_factory=Counter)
    door: bool = False  # a turn was cut short by it
    short_s: float | None = None  # since it came out short, and nobody has done anything


class Manners:
    """Follows one machine, from one journal's first record on."""

    def __init__(self, machine: Whole, purse: Purse) -> None:
        """Nothing has happened yet."""
        self._machine = machine
        self._purse = purse
        self._extra = {c.selection: c.extra_turn for c in machine.settings.columns}
        self._vends: dict[int, _Vend] = {}
        self._door_s: float | None = None  # since when it has stood open
        self._motor_s: float | None = None  # since when a motor turns
        self._locked_s: float | None = None
        self._settled: set[tuple[int, int]] = set()  # cash and item
        self._told = {name: len(r.cash_sales) for name, r in machine.world.readers.items()}
        self._known_ms = to_ms(BUILT)  # or the last time that somebody confirmed
        self._claimed_s = float("-inf")  # when a code was made last
        self._asked: dict[int, float] = {}  # by vend: since when a reader is asked
        self._clouded: set[str] = set()  # readers whose session two may tell differently
        self.rules: dict[type[Any], Any] = {
            rec.VendOpened: self._opens,
            rec.CreditReturnOpened: self._returns,
            rec.CreditAuthorised: self._spends,
            rec.DispenseIntended: self._turns,
            rec.DispenseFinished: self._turned,
            rec.VendSettled: self._settles,
            rec.CoinsDeposited: self._coins,
            rec.PayoutIntended: self._pays,
            rec.PayoutFinished: self._paid,
            rec.ClaimOpened: self._claims,
            rec.VendClosed: self._closes,
            rec.MachineLocked: self._locks,
            rec.MachineUnlocked: self._unlocks,
            rec.StopRequested: self._stops,
            rec.ApprovalRequested: self._asks,
            rec.ApprovalCancelIntended: self._gives_up,
            rec.ApprovalFinished: self._gives_up,
        }

    def door(self, is_open: bool) -> None:
        """The door was opened or closed."""
        if not is_open:
            self._door_s = None
        elif self._door_s is None:
            self._door_s = self._machine.loop.time()

    def motor(self, *, on: bool, evidence: Evidence) -> None:
        """A motor got current, or has none any more."""
        now_s, began_s = self._machine.loop.time(), self._motor_s
        self._motor_s = now_s if on else None
        if on or began_s is None or self._door_s is None or self._door_s <= began_s:
            return  # one that turned behind an open door already is a technician's test
        if now_s - self._door_s > DOOR_STOPS_S:
            evidence.findings.append(
                f"a motor turns on for {now_s - self._door_s:.1f} s as the door is opened"
            )

    def _now(self, record: Record) -> bool:
        """Tell whether it was written under the settings that hold now."""
        return record.boot == self._machine.state.boot

    # ------------------------------------------------------------------------------- a vend

    def _opens(self, record: Record, opened: rec.VendOpened, evidence: Evidence) -> None:
        self._vends[record.seq] = _Vend(opened)
        at_s, door_s = record.mono_ms / 1_000, self._door_s
        if opened.test or door_s is None or not self._now(record):
            return
        if at_s - door_s > SEEN_S + 2.0 * evidence.slowest_commit_s():
            evidence.findings.append(
                f"{opened.selection} is sold, and the door has been open for {at_s - door_s:.0f} s"
            )

    def _returns(self, record: Record, data: rec.CreditReturnOpened, evidence: Evidence) -> None:
        del data, evidence
        self._vends[record.seq] = _Vend(None)

    def _spends(self, record: Record, data: rec.CreditAuthorised, evidence: Evidence) -> None:
        cash, left = data.coins + data.bills, self._purse.product - data.product
        if cash and left and self._now(record):
            evidence.findings.append(f"{cash} of cash is spent beside {left} that only buys")

    def _turns(self, record: Record, data: rec.DispenseIntended, evidence: Evidence) -> None:
        vend = self._vends.get(record.vend or 0)
        if vend is None or vend.opened is None or not self._now(record):
            return
        vend.turns[data.column] += 1
        again, tell = vend.turns[data.column], evidence.findings.append
        if again > (TURNS_MAX if self._extra[data.column] else 1):
            tell(f"{data.column} turns {again} times in one vend")
        if vend.door and not vend.opened.test:
            tell(f"{data.column} turns behind a turn that the door has ended")
        open_s = 0.0 if self._door_s is None else record.mono_ms / 1_000 - self._door_s
        if not vend.opened.test and open_s > SEEN_S + 2.0 * evidence.slowest_commit_s():
            tell(f"{data.column} turns, and the door has been open for {open_s:.0f} s")
        if again == 1 and self._blind_for_s(record, evidence) > 0:
            tell(f"{data.column} turns, and its light barrier is blind")

    def _blind_for_s(self, record: Record, evidence: Evidence) -> float:
        """Return for how long the light barrier was blind when it should have been looked at."""
        at_s = record.mono_ms / 1_000 - SEEN_S - 2.0 * evidence.slowest_commit_s()
        return max(
            (
                at_s - window.begins_s
                for window in evidence.windows
                if isinstance(window.why, Trouble)
                and (window.why.part, window.why.name) == ("sensor", "blind")
                and window.ends_s > (record.mono_ms + 1) / 1_000  # which is rounded down
            ),
            default=0.0,
        )

    def _turned(self, record: Record, data: rec.DispenseFinished, evidence: Evidence) -> None:
        del evidence
        vend = self._vends.get(record.vend or 0)
        if vend is not None and data.outcome == DispenseOutcome.DOOR_OPENED:
            vend.door = True

    def _settles(self, record: Record, data: rec.VendSettled, evidence: Evidence) -> None:
        del evidence
        vend = self._vends.get(record.vend or 0)
        if vend is not None and vend.opened is not None:
            self._settled.add((data.cash, vend.opened.item))

    def _closes(self, record: Record, data: rec.VendClosed, evidence: Evidence) -> None:
        del data
        vend = self._vends.pop(record.vend or 0, None)
        if vend is not None:
            self._owes(vend, record, evidence)

    def _stops(self, record: Record, data: rec.StopRequested, evidence: Evidence) -> None:
        del record
        if self._vends:
            evidence.findings.append(f"it stops ({data.reason}) in the middle of a vend")

    def _asks(self, record: Record, data: rec.ApprovalRequested, evidence: Evidence) -> None:
        del data, evidence
        if record.vend is not None:
            self._asked[record.vend] = record.mono_ms / 1_000

    def _gives_up(
        self,
        record: Record,
        data: rec.ApprovalCancelIntended | rec.ApprovalFinished,
        evidence: Evidence,
    ) -> None:
        """Nobody waits for a card for longer than the owner lets them."""
        since_s = self._asked.pop(record.vend or 0, None)
        if since_s is None or evidence.ends or not self._now(record):
            return
        waited_s = record.mono_ms / 1_000 - since_s
        most_s = self._machine.settings.policy.approval_timeout_s
        if waited_s > most_s + LATE_S + 2.0 * evidence.slowest_commit_s():
            evidence.findings.append(
                f"{data.device} was asked for {waited_s:.0f} s, and the owner gives it {most_s:.0f}"
            )

    # ---------------------------------------------------------------------------- what comes in

    def _coins(self, record: Record, data: rec.CoinsDeposited, evidence: Evidence) -> None:
        if data.owner != "customer" or not data.coins or not self._now(record):
            return
        if evidence.ends or any(trouble.part != "door" for trouble in evidence.struck):
            return  # whoever was to take none may not have heard it
        if self._vends:
            return  # one that began before may ask for the rest in coins
        for since_s, why in ((self._door_s, "its door is open"), (self._locked_s, "it is locked")):
            if since_s is not None and record.mono_ms / 1_000 - since_s > ON_ITS_WAY_S:
                evidence.findings.append(f"a coin is taken by a machine that sells nothing: {why}")

    def _locks(self, record: Record, data: rec.MachineLocked, evidence: Evidence) -> None:
        del data, evidence
        if self._locked_s is None:
            self._locked_s = record.mono_ms / 1_000

    def _unlocks(self, record: Record, data: rec.MachineUnlocked, evidence: Evidence) -> None:
        del record, data, evidence
        self._locked_s = None

    # ----------------------------------------------------------------------------- what goes back

    def _pays(self, record: Record, data: rec.PayoutIntended, evidence: Evidence) -> None:
        del data
        vend = self._vends.get(record.vend or 0)
        if vend is not None:
            self._owes(vend, record, evidence)

    def _paid(self, record: Record, data: rec.PayoutFinished, evidence: Evidence) -> None:
        del evidence
        vend = self._vends.get(record.vend or 0)
        if vend is not None and data.amount < data.ordered:
            vend.short_s = record.mono_ms / 1_000

    def _owes(self, vend: _Vend, record: Record, evidence: Evidence) -> None:
        """What is owed is paid or promised in the owner's time."""
        since_s, vend.short_s = vend.short_s, None
        if since_s is None or evidence.ends or not self._now(record):
            return
        late_s = record.mono_ms / 1_000 - since_s - self._machine.settings.policy.refund_deadline_s
        if late_s > LATE_S + 2.0 * evidence.slowest_commit_s():
            evidence.findings.append(
                f"a refund came out short, and nothing was done until {late_s:.0f} s behind its"
                " deadline"
            )

    def _claims(self, record: Record, claim: rec.ClaimOpened, evidence: Evidence) -> None:
        del claim
        self._claimed_s = self._machine.loop.time()
        vend = self._vends.get(record.vend or 0)
        if vend is not None:
            self._owes(vend, record, evidence)

    # ---------------------------------------------------------------------------------- time

    def label(self, record: Record, evidence: Evidence) -> None:
        """A time that nobody has confirmed is the wall clock's, or the last one known: no later."""
        if record.confirmed:
            self._known_ms = record.at_ms
            return
        clock, now_s = self._machine.clock, self._machine.loop.time()
        jumped = any(trouble.part == "clock" for trouble in evidence.struck)
        if jumped or not self._now(record):
            return
        wall_ms = clock.wall_utc().timestamp() * 1_000 - (now_s * 1_000 - record.mono_ms)
        if record.at_ms > max(wall_ms, self._known_ms) + AHEAD_MS:
            evidence.findings.append(
                f"a record is labelled {(record.at_ms - wall_ms) / 1_000:.0f} s ahead of the clock"
            )

    # -------------------------------------------------------------------------------- at the end

    def check(self, evidence: Evidence) -> None:
        """A customer has left, and nothing moves."""
        for name, reader in self._machine.world.readers.items():
            known, self._told[name] = self._told[name], len(reader.cash_sales)
            for cash, item in list(reader.cash_sales)[known:]:
                if (cash, item) not in self._settled:
                    evidence.findings.append(
                        f"{name} heard of a cash sale of {cash} (item {item}) that nobody made"
                    )
        self._settled.clear()
        self._look(evidence)
        self._sessions(evidence)

    def _look(self, evidence: Evidence) -> None:
        """What the panel calls the credit is the credit."""
        machine = self._machine
        if machine.running is None or machine.state.escrow is not None:
            return
        lines = machine.running.machine.screen
        if evidence.of(rec.ClaimOpened) or any(map(CODE.search, lines)) or self._claim_has_pages():
            return  # a claim's amount has the same name
        for line in lines:
            told = CREDIT.search(line)
            if told is not None and int(told[1] + told[2]) != self._purse.credit:
                evidence.findings.append(
                    f"the panel says {line.strip()!r}, and the credit is {self._purse.credit}"
                )

    def _claim_has_pages(self) -> bool:
        """Tell whether a claim may stand there whose amount is shown without its code."""
        display = self._machine.settings.display
        if display is None or (display.cols, display.rows) == WHOLE:
            return False
        return self._machine.loop.time() - self._claimed_s < STOOD_S

    def _sessions(self, evidence: Evidence) -> None:
        """A card's session that vendd does not have would pay for the next customer's selection."""
        running, readers = self._machine.running, self._machine.world.readers
        if running is None or evidence.ends or evidence.struck:
            self._clouded.update(readers)  # what began or ended may have been heard by one side
            return
        for name, reader in readers.items():
            if reader.state is not ReaderState.IDLE:
                self._clouded.discard(name)
            elif running.machine.desk.live.session != name and name not in self._clouded:
                evidence.findings.append(f"{name} is left in a session that nobody ends")
