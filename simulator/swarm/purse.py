"""The oracle of the owner's policies about credit: the cents come out even all the same.

It follows the credit by the records' own lines, and reads the owner's wishes from the file.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from controller.domain import accounts as acc
from controller.domain.tubes import BILLS_FROM, TubeCoins, can_change
from controller.journal import records as rec
from controller.journal.envelope import Record
from simulator.peripherals.reader_settings import ReaderState
from simulator.swarm.evidence import Evidence
from simulator.swarm.prices import Prices
from simulator.whole import Whole

CASH: Final = (acc.CREDIT_COINS, acc.CREDIT_BILLS)
ON_ITS_WAY_S: Final = 6.0  # money that was let in may come to be credit so much later
TELLS_REFUNDS: Final = 2  # the level from which a reader can say that it could not refund
LATE_S: Final = 5.0
SLOW_S: Final = 65.0  # behind two turns of a disk that takes half a minute
HEARD_S: Final = 1.0  # until a key that was pressed is heard, and what it says is done
ALONE_S: Final = 40.0  # behind the last key nothing is half keyed, or waited for, any more
SHORT: Final = "not enough coins"


@dataclass(slots=True)
class _Vend:
    opened: rec.VendOpened
    pieces: list[TubeCoins] | None  # that the books knew of; None: nothing hangs on them
    turned: bool = False
    dispensed: bool = False
    stacked: bool = False  # its bill was asked for
    paid: int = 0
    more: bool = False  # money came in meanwhile


class Purse:
    """Follows the credit of one machine, from one journal's first record on."""

    def __init__(self, machine: Whole, prices: Prices) -> None:
        """Nobody has put anything in."""
        self._machine = machine
        self._prices = prices
        self._cash = self._product = 0
        self._levels: deque[tuple[float, int]] = deque([(float("-inf"), 0)], maxlen=32)
        self._raised_s = self._touched_s = float("-inf")
        self._escrow: tuple[int, int, int] = (0, 0, 0)  # boot, time (ms), credit with it
        self._bill = 0  # that waits in escrow, of this life: nothing was asked about it
        self._bill_seq = 0
        self._wanted = 0  # of it what its customer has asked for
        self._returning: set[int] = set()  # sagas that give credit back
        self._keyed_s = self._chose_s = float("-inf")  # any key; one beside credit
        self._vends: dict[int, _Vend] = {}
        self._kept = 0  # the basket for whose rest credit waits
        self._load = 0  # the open saga that puts cash on a card
        self._tried = False  # to buy something, since somebody put money in
        self.rules: dict[type[Any], Any] = {
            rec.JournalBegun: self._begins,
            rec.CoinsDeposited: self._coins,
            rec.BillEscrowed: self._escrowed,
            rec.ClaimGranted: self._granted,
            rec.StackIntended: self._stacks,
            rec.BillReturnIntended: self._waits_no_more,
            rec.BillReturned: self._waits_no_more,
            rec.BootStarted: self._waits_no_more,
            rec.ServiceEntered: self._leaves,
            rec.StopRequested: self._leaves,
            rec.BillStacked: self._stacked,
            rec.VendOpened: self._opens,
            rec.RevalueOpened: self._loads,
            rec.ApprovalRequested: self._asks_card,
            rec.DispenseIntended: self._turns,
            rec.DispenseFinished: self._turned,
            rec.DispenseDecided: self._decided,
            rec.PayoutIntended: self._pays,
            rec.PayoutFinished: self._paid,
            rec.ClaimOpened: self._claims,
            rec.CreditReturnOpened: self._returns,
            rec.CreditKept: self._keeps,
            rec.AgeChecked: self._asks_age,
            rec.VendClosed: self._closes,
        }

    # ------------------------------------------------------------------------- what is there

    @property
    def credit(self) -> int:
        """Return what the customer may spend, a bill that waits left out."""
        return self._cash + self._product

    @property
    def product(self) -> int:
        """Return what of it only buys."""
        return self._product

    def post(self, record: Record) -> None:
        """Take a record's lines, behind its rules."""
        before = self.credit
        for account, amount in record.postings:
            if account in CASH:
                self._cash -= amount
            elif account == acc.CREDIT_PRODUCT:
                self._product -= amount
        now_s = record.mono_ms / 1_000
        if self.credit != before:
            self._levels.append((now_s, self.credit))
            self._touched_s = self._machine.loop.time()
            if self.credit > before:
                self._raised_s = now_s
        self._tried = self._tried and bool(self.credit or self._bill or self._vends or self._load)

    def begin(self) -> None:
        """Some records can't be read any more, or say something else: what is there is given."""
        credit = self._machine.state.credit
        self._cash, self._product = credit.cash, credit.product

    def look(self) -> None:
        """The machine has had a turn: nothing is forgotten while it does not sell."""
        if self._machine.settings.policy.credit_timeout_s and self._machine.mode != "credit":
            self._touched_s = self._machine.loop.time()

    def acts(self) -> None:
        """A customer does something, which may be keys: nobody has forgotten anything."""
        self._touched_s = self._machine.loop.time()

    def keyed(self, text: str) -> None:
        """A customer has keyed something, which may be a selection that can't be had now."""
        policy = self._machine.settings.policy
        self._tried = self._tried or any(
            c.selection in text for c in self._machine.settings.columns
        )
        now_s = self._machine.loop.time()
        if text == "*" and now_s - self._keyed_s > ALONE_S and self._machine.mode == "credit":
            self._wanted = 0 if policy.must_vend or policy.basket else self._bill
        self._keyed_s = now_s
        if self._machine.mode == "credit":
            self._chose_s = now_s

    def _begins(self, record: Record, data: rec.JournalBegun, evidence: Evidence) -> None:
        del record, evidence
        inherited = dict(data.inherited)
        self._cash = -sum(inherited.get(account, 0) for account in CASH)
        self._product = -inherited.get(acc.CREDIT_PRODUCT, 0)

    def _lately(self, now_s: float) -> int:
        """Return the least credit that anybody may have let this money in on."""
        past = [credit for at_s, credit in self._levels if at_s < now_s - ON_ITS_WAY_S]
        recent = [credit for at_s, credit in self._levels if at_s >= now_s - ON_ITS_WAY_S]
        return min([*past[-1:], *recent], default=0)

    def _now(self, record: Record) -> bool:
        """Tell whether it was written under the settings that hold now."""
        return record.boot == self._machine.state.boot

    # ------------------------------------------------------------------- what is taken, how much

    def _coins(self, record: Record, data: rec.CoinsDeposited, evidence: Evidence) -> None:
        for vend in self._vends.values():
            vend.more = True
        if data.owner != "customer" or not self._now(record) or evidence.struck or evidence.ends:
            return
        most = self._machine.settings.policy.max_credit
        before = self._lately(record.mono_ms / 1_000)
        values = [value for _, value, _, _ in data.coins if value]
        if values and before + max(values) > most:
            evidence.findings.append(
                f"a coin of {max(values)} was taken beside {before}, and {most} is the most"
            )

    def _granted(self, record: Record, data: rec.ClaimGranted, evidence: Evidence) -> None:
        del record, data, evidence
        for vend in self._vends.values():
            vend.more = True  # the fleet's word comes at any time

    def _escrowed(self, record: Record, data: rec.BillEscrowed, evidence: Evidence) -> None:
        del evidence
        self._escrow = record.boot, record.mono_ms, self.credit + data.value
        self._bill, self._bill_seq, self._wanted = data.value, record.seq, 0

    def _asks_age(self, record: Record, data: rec.AgeChecked, evidence: Evidence) -> None:
        del record, evidence
        if data.outcome == "cancelled":
            self._wanted = 0  # that "*" was for the question, which ends first

    def _waits_no_more(self, record: Record, data: object, evidence: Evidence) -> None:
        del record, evidence
        self._bill = self._wanted = 0
        if isinstance(data, rec.BillReturned) and not self.credit:
            self._kept = 0  # that bill was all that there was for its rest

    def _leaves(
        self, record: Record, data: rec.ServiceEntered | rec.StopRequested, evidence: Evidence
    ) -> None:
        self._keeps_bill(record, f"{data.type} is on record", evidence)

    def _keeps_bill(self, record: Record, why: str, evidence: Evidence) -> None:
        """A bill that waits goes back to its customer before that."""
        if self._bill and self._now(record) and not evidence.struck and not evidence.ends:
            evidence.findings.append(f"{why}, and a bill of {self._bill} waits in escrow")

    def _stacks(self, record: Record, data: rec.StackIntended, evidence: Evidence) -> None:
        self._bill = self._wanted = 0
        boot, at_ms, credit = self._escrow
        vend = self._vends.get(record.vend or 0)
        if vend is not None:
            vend.stacked = True
        if not self._now(record) or boot != record.boot:
            return
        policy, tell = self._machine.settings.policy, evidence.findings.append
        if credit > policy.max_credit:
            tell(f"a bill makes {credit} of the credit, and {policy.max_credit} is the most")
        if policy.bill_needs_change and not self._changes(credit, policy.max_change):
            tell(f"a bill of {data.value} is taken, and nobody could give change on {credit}")
        if policy.escrow == "hold" and record.vend is None and at_ms == record.mono_ms:
            tell("a bill is stacked at once, and the owner has it wait")

    def _changes(self, credit: int, most: int) -> bool:
        """Tell whether something may be bought with that, and the rest be paid."""
        prices = [price for price in self._prices.ever if price <= credit]
        if not prices:
            return True  # it does not buy anything yet
        pieces = self._pieces()
        return any(credit - p <= most and can_change(credit - p, pieces) for p in prices)

    def _pieces(self) -> list[TubeCoins]:
        """Return all that the books know of, the owner's reserve included."""
        state = self._machine.state
        coins = [TubeCoins(kind, value, max(0, n)) for kind, value, n in state.tube_coins()]
        bills = [
            TubeCoins(BILLS_FROM + kind, value, max(0, n))
            for kind, value, n in state.recycler_bills()
        ]
        return coins + bills

    def _stacked(self, record: Record, data: rec.BillStacked, evidence: Evidence) -> None:
        if data.escrowed:
            self._bill = self._wanted = 0
        for vend in self._vends.values():
            vend.more = vend.more or not vend.stacked
        if data.escrowed or not self._now(record) or evidence.struck or evidence.ends:
            return
        most = self._machine.settings.policy.max_credit
        before = self._lately(record.mono_ms / 1_000)
        if before + data.value > most:
            evidence.findings.append(
                f"a bill of {data.value} was taken beside {before}, and {most} is the most"
            )

    # --------------------------------------------------------------------------------- a vend

    def _opens(self, record: Record, opened: rec.VendOpened, evidence: Evidence) -> None:
        self._tried = True
        if self._kept and self._cash and opened.basket != self._kept:
            evidence.findings.append(f"a basket is over, and its {self._cash} buys something else")
        self._kept = 0
        policy = self._machine.settings.policy
        alone = not (opened.test or opened.basket or policy.multi_vend) and self._now(record)
        self._vends[record.seq] = _Vend(opened, self._pieces() if alone else None)
        escrowed_now = self._escrow[0] == record.boot
        if opened.bill and policy.escrow == "keep" and escrowed_now and self._now(record):
            evidence.findings.append("a bill has waited for its vend, and the owner keeps bills")

    def _loads(self, record: Record, data: rec.RevalueOpened, evidence: Evidence) -> None:
        self._tried = True  # denied, it may go back
        self._load = record.seq
        if self._kept and self._cash:
            evidence.findings.append(f"a basket is over, and {data.amount} of it goes to a card")
        if self._now(record) and not self._machine.settings.policy.revalue:
            evidence.findings.append("cash goes to a card, and the owner does not want that")

    def _asks_card(self, record: Record, data: rec.ApprovalRequested, evidence: Evidence) -> None:
        vend = self._vends.get(record.vend or 0)
        if vend is None or not vend.opened.bill or vend.stacked or evidence.struck:
            return
        reader = self._machine.world.readers[data.device]
        settings, card = reader.settings, reader.card
        # Of its card a reader tells when its session begins; one that is asked first has none yet.
        told = reader.told_of_card and reader.state is ReaderState.IDLE
        one_way = told and card is not None and not card.refundable
        if one_way or not settings.can_refund or settings.level < TELLS_REFUNDS:
            evidence.findings.append(
                f"{data.device} can't refund, and is asked before the bill beside it is stacked"
            )

    def _turns(self, record: Record, data: rec.DispenseIntended, evidence: Evidence) -> None:
        del data, evidence
        if record.vend in self._vends:
            self._vends[record.vend].turned = True

    def _turned(self, record: Record, data: rec.DispenseFinished, evidence: Evidence) -> None:
        del evidence
        if record.vend in self._vends and data.outcome == "dropped":
            self._vends[record.vend].dispensed = True

    def _decided(self, record: Record, data: rec.DispenseDecided, evidence: Evidence) -> None:
        del evidence
        if record.vend in self._vends and data.policy == "charge":
            self._vends[record.vend].dispensed = True

    def _pays(self, record: Record, data: rec.PayoutIntended, evidence: Evidence) -> None:
        if data.device != "changer" or data.by_value or not self._now(record):
            return
        kept = self._machine.settings.mdb.changer.keep
        there = {kind: (value, count) for kind, value, count in data.tubes}
        for kind, count in data.plan:
            value, believed = there[kind]
            if believed - count < kept.get(value, 0) and self._machine.world.changer is not None:
                evidence.findings.append(
                    f"{count} of {believed} coins of {value} are paid, and the owner keeps"
                    f" {kept[value]}"
                )

    def _paid(self, record: Record, data: rec.PayoutFinished, evidence: Evidence) -> None:
        del evidence
        if record.vend in self._vends:
            self._vends[record.vend].paid += data.amount

    def _claims(self, record: Record, claim: rec.ClaimOpened, evidence: Evidence) -> None:
        vend = self._vends.get(record.vend or 0)
        if vend is None or vend.pieces is None or vend.more or not vend.dispensed:
            return
        change = vend.paid + claim.amount
        cash = claim.tender == "cash" and not claim.escrow
        if cash and claim.reason == SHORT and not can_change(change, vend.pieces):
            evidence.findings.append(
                f"{vend.opened.selection} was sold, and its change of {change} could not be paid"
            )

    def _closes(self, record: Record, closed: rec.VendClosed, evidence: Evidence) -> None:
        self._touched_s = self._machine.loop.time()
        self._load = 0 if record.vend == self._load else self._load
        if record.vend in self._returning:
            self._returning.discard(record.vend)
            if self._bill_seq < record.vend:
                self._keeps_bill(record, "credit has gone back", evidence)
        vend = self._vends.pop(record.vend or 0, None)
        basket = self._kept if vend is None else vend.opened.basket
        self._kept = basket if closed.kept else 0
        self._tried = self._tried and bool(self.credit or self._bill)
        if vend is None or vend.opened.test or closed.kept or not self._now(record):
            return
        policy = self._machine.settings.policy
        sold = closed.result == "sold"
        failed = closed.result == "refunded" or (closed.result == "claimed" and vend.turned)
        returns = not policy.multi_vend if sold else failed and policy.after_failure == "refund"
        if returns and self._cash:
            evidence.findings.append(
                f"{vend.opened.selection} was {closed.result}, and {self._cash} of its customer's"
                " money stays in the machine"
            )
        if returns and self._bill_seq < (record.vend or 0):
            self._keeps_bill(record, f"{vend.opened.selection} was {closed.result}", evidence)

    # ------------------------------------------------------------------------ credit without one

    def _returns(self, record: Record, data: rec.CreditReturnOpened, evidence: Evidence) -> None:
        self._returning.add(record.seq)
        if not self._now(record):
            return
        policy, tell = self._machine.settings.policy, evidence.findings.append
        asked = data.reason == "coin return" and self.credit
        if asked and policy.must_vend and not self._tried:
            tell(f"{self.credit} goes back, and its customer has not tried to buy anything")
        if data.reason == "timeout":
            self._timed_out(record, evidence, "pay")

    def _keeps(self, record: Record, data: rec.CreditKept, evidence: Evidence) -> None:
        del data
        self._kept = 0  # all of it is kept
        if self._now(record):
            self._timed_out(record, evidence, "keep")

    def _timed_out(self, record: Record, evidence: Evidence, what: str) -> None:
        policy, tell = self._machine.settings.policy, evidence.findings.append
        waited_s = record.mono_ms / 1_000 - self._raised_s
        if policy.on_credit_timeout != what or not policy.credit_timeout_s:
            tell(f"forgotten credit: {what}, and the owner wants {policy.on_credit_timeout!r}")
        elif waited_s < policy.credit_timeout_s - LATE_S / 10:
            tell(f"credit was taken for forgotten {waited_s:.1f} s after it was put in")
        elif not evidence.struck and not evidence.ends:
            keyed_s = record.mono_ms / 1_000 - self._chose_s
            if HEARD_S < keyed_s < policy.credit_timeout_s - LATE_S / 10:
                tell(f"credit was taken for forgotten {keyed_s:.1f} s after its customer keyed")

    def check(self, evidence: Evidence) -> None:
        """A customer has left, and nothing moves."""
        policy = self._machine.settings.policy
        if self._wanted and not evidence.struck and not evidence.ends:
            evidence.findings.append(f"a bill of {self._bill} waits, and was asked back")
        self._wanted = 0
        limit_s = policy.credit_timeout_s
        waited_s = self._machine.loop.time() - self._touched_s
        # Until then a card may pay for the rest.
        if self._kept and self._cash and waited_s > policy.approval_timeout_s + LATE_S:
            evidence.findings.append(f"a basket is over, and {self._cash} of it stays")
        late_s = SLOW_S if evidence.struck else LATE_S
        if limit_s and self.credit and waited_s > 2 * limit_s + late_s:
            evidence.findings.append(
                f"{self.credit} was forgotten {waited_s:.0f} s ago, and nobody gives it back"
            )
