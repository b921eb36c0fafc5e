"""The verdict after every customer and restart: what changed, against the physical truth.

Judged as a difference from the last check, to the cent. Whatever does not come out even must be
explained by a record (a flag, a claim, ``unclaimed``, ``missing``), and each such record must in
turn be explained by a trouble that really took that evidence away, or by coins that were not there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from controller.domain import accounts as acc
from controller.journal import records as rec
from controller.ports import DispenseOutcome
from simulator.oracles import (
    KEPT,
    everything_ended,
    ledger_balances,
    outputs_are_off,
    unbooked_tokens,
)
from simulator.swarm import doubts
from simulator.swarm.evidence import BOX_COIN, Evidence
from simulator.swarm.flags import FLAGS, FORGOTTEN, GIVEN_UP, UNREAD
from simulator.swarm.troubles import Excuse
from simulator.truth import STACKER, TRANSPORT, Authorisation, AuthState, tube
from simulator.whole import Whole

RESETS: Final = ("self", "reset", "break", "power")  # which make an approval final
ERROR_LEVEL: Final = 2  # from which a reader can tell that it could not refund
APART_S: Final = 0.25  # two coins at least: no changer sorts more than four a second
BILL_LIMIT: Final = 5_000  # the largest bill there is
NO_ITEM: Final = -1  # of an approval that came when nobody waited for it any more


@dataclass(slots=True)
class Mark:
    """How things stood at the last check."""

    credit: int = 0
    claims: int = 0
    escrow: int = 0
    cash_owed: int = 0  # of credit and claims what may be paid out in coins and bills
    receivable: int = 0  # what the books expect of the readers' acquirers
    unclaimed: int = 0
    missing: int = 0
    box: int = 0  # in the cash box beyond what is booked
    stacker: int = 0
    transit: int = 0  # between slot and escrow, and not moving
    given: int = 0  # bought with tokens, free vends and app credit, by what was sold
    tokens: int = 0  # in the machine beyond what is booked
    tokens_there: int = 0
    stock: dict[str, int] = field(default_factory=dict)  # products beyond what is believed
    hoppers: dict[int, int] = field(default_factory=dict)  # coins beyond what is believed, by type
    in_hoppers: int = 0  # the worth of those
    doubtful: int = 0  # a bill that is owed as a claim, and that nobody can find
    unread: int = 0  # bills in the stacker that no count of it has told of yet


class Judge:
    """Judges one machine, check by check."""

    def __init__(self, machine: Whole) -> None:
        """Start with a machine that has counted its opening balance."""
        self.machine = machine
        settings = machine.settings
        self._prices = {c.product: settings.price_of(c) for c in settings.columns}
        self._columns = {c.selection: settings.price_of(c) for c in settings.columns}
        self.mark = Mark()
        self._flagged: set[str] = set()
        self._opened = self._openings()
        self._line_s = float("-inf")  # when a check last found the line out of order
        self.reset()

    def reset(self, now: Mark | None = None) -> None:
        """Take what is there now as the beginning: after a technician's visit."""
        self.mark = self._now(self.machine.physical()) if now is None else now
        truth = self.machine.world.truth
        for name in list(truth.accounts):
            truth.forget(name)

    def check(self, evidence: Evidence) -> list[str]:
        """Return everything that is wrong since the last check, and begin the next."""
        machine = self.machine
        self._stand(evidence)
        physical = machine.physical()
        now = self._now(physical)
        findings = [
            *evidence.findings,
            *ledger_balances(machine.state),
            *everything_ended(machine),
            *outputs_are_off(machine),
            *self._cash(now, evidence, physical),
            *self._stock(now, evidence),
            *self._people(now, evidence),
            *self._tenders(now, evidence),
            *self._receivable(now, evidence),
            *self._loaded(evidence),
            *self._flags(evidence),
            *self._claims(evidence),
            *self._times(evidence),
        ]
        self.reset(now)
        return findings

    def after_visit(self, evidence: Evidence) -> list[str]:
        """Return what is wrong after a technician's visit: the books must equal what is there."""
        physical, booked = self.machine.physical(), self.machine.booked()
        now = self._now(physical)
        findings = [
            *evidence.findings,
            *ledger_balances(self.machine.state),
            *everything_ended(self.machine),
            *outputs_are_off(self.machine),
            *(
                f"{account}: {physical[account]} is there after a visit, {booked[account]} booked"
                for account in acc.CASH
                if physical[account] != booked[account]
                and not (account == acc.CASH_ESCROW and booked[account] == self._doubtful())
            ),
            *(
                f"column {name}: off by {off}, after a visit"
                for name, off in now.stock.items()
                if off
            ),
        ]
        if now.unread and not self.mark.unread:
            findings.append(f"the stacker's count is off by {now.unread}, after a visit")
        changed = now.credit - self.mark.credit + self._forgotten(evidence)
        if changed:
            findings.append(f"a visit changed the credit by {changed}")
        self.reset(now)
        return findings

    # ---------------------------------------------------------------------------- how it stands

    def _now(self, physical: Mapping[str, int]) -> Mark:
        machine, state = self.machine, self.machine.state
        booked = machine.booked()
        held = state.escrow
        hoppers = self._hoppers()
        return Mark(
            credit=state.credit.total,
            claims=sum(claim.amount for claim in state.claims.values()),
            escrow=held.value if held is not None and not held.claimed else 0,
            cash_owed=state.credit.cash
            + sum(claim.amount for claim in state.claims.values() if claim.tender == "cash"),
            receivable=state.ledger.balance(acc.CARD_RECEIVABLE),
            unclaimed=-state.ledger.balance(acc.UNCLAIMED),
            missing=state.ledger.balance(acc.MISSING),
            box=physical[acc.CASH_CASHBOX] - booked[acc.CASH_CASHBOX],
            transit=machine.world.truth.value(TRANSPORT),
            stacker=physical[acc.CASH_STACKER] - booked[acc.CASH_STACKER],
            given=state.counters.value_given + state.counters.value_app,
            tokens=unbooked_tokens(machine),
            tokens_there=machine.tokens_there(),
            stock={
                name: machine.world.cabinet.stock(name) - state.stock.of(name).count
                for name in self._columns
            },
            hoppers={kind: off for kind, (_, off) in hoppers.items()},
            in_hoppers=sum(value * off for value, off in hoppers.values()),
            doubtful=self._doubtful(),
            unread=machine.world.truth.count(STACKER) - state.stacker,
        )

    def _hoppers(self) -> dict[int, tuple[int, int]]:
        """Return the value of each hopper's coins, and how many are there that nobody knows of.

        Nothing but a hand counts them: a coin whose event was lost with its acceptor's power is
        found at the next visit.
        """
        truth = self.machine.world.truth
        return {
            kind: (value, truth.count(tube(kind)) - believed)
            for kind, value, believed in self.machine.state.tube_coins()
            if self.machine.world.cctalk is not None
        }

    @property
    def must_count_hoppers(self) -> bool:
        """Whether coins fell into a hopper that no event told of."""
        return any(self.mark.hoppers.values())

    def _stand(self, evidence: Evidence) -> None:
        """Add what is hidden without any trouble: what this reader, this card can never tell."""
        world = self.machine.world
        if any(reader.level < ERROR_LEVEL for reader in world.readers.values()):
            if evidence.ends or doubts.asked_back(evidence):
                evidence.hide("a reader of level 1", 0.0, Excuse.REFUND)
            if evidence.ends:  # failed after the restart, unproved
                evidence.hide("a reader of level 1", 0.0, Excuse.APPROVAL)
        kept = [auth for auth in world.truth.authorisations.values() if auth.why in KEPT]
        if kept and evidence.ends:
            evidence.hide("it was given back, and was not", 0.0, Excuse.APPROVAL)

    # ---------------------------------------------------------------------------------- oracles

    def _cash(self, now: Mark, evidence: Evidence, physical: Mapping[str, int]) -> Iterator[str]:
        """The ledger's cash accounts equal what is there; what can't be counted is bounded."""
        booked = self.machine.booked()
        changer = self.machine.world.changer
        for kind, value, believed in self.machine.state.tube_coins():
            truth = self.machine.world.truth
            real = truth.count(tube(kind)) if changer is None else changer.tubes.real(kind)
            more = real - believed - self.mark.hoppers.get(kind, 0)
            least, most = (0, evidence.lost) if kind in now.hoppers else (0, 0)
            if not least <= more * value <= most:
                yield f"tube of {value}: {real} coins are there, {believed} are believed"
        bill = self.machine.world.bill
        for kind, value, believed in self.machine.state.recycler_bills():
            real = 0 if bill is None else bill.recycler.real(kind)
            if real != believed:
                yield f"recycler: {real} bills of {value} are there, {believed} are believed"
        for account in (acc.CASH_TUBES, acc.CASH_RECYCLER, acc.CASH_ESCROW):
            hidden = (0, self._doubtful()) if account == acc.CASH_ESCROW else (0,)
            hidden = (-now.in_hoppers,) if account == acc.CASH_TUBES else hidden
            if booked[account] - physical[account] not in hidden:
                yield f"{account}: {physical[account]} is there, {booked[account]} is booked"
        box = now.box - self.mark.box
        repeats = self._repeats(evidence)
        most = evidence.lost + repeats + (BOX_COIN if evidence.excused(Excuse.BOX) else 0)
        least = -repeats
        if not least <= box <= most:
            yield f"{acc.CASH_CASHBOX}: off by {box}; excused is {least} to {most}"
        tokens = now.tokens - self.mark.tokens
        least, most = doubts.tokens(evidence, now.tokens_there - self.mark.tokens_there)
        if not least <= tokens <= most:
            yield f"{tokens} tokens are there that are not booked; excused is {least} to {most}"
        stacker = now.stacker - self.mark.stacker
        most = BILL_LIMIT if evidence.excused(Excuse.BILL, Excuse.LOST) or evidence.lost else 0
        if not -most <= stacker <= most:
            yield f"{acc.CASH_STACKER}: off by {stacker}; excused is {most}"

    def _doubtful(self) -> int:
        """Return the worth of a bill that is owed as a claim, and that nobody can find."""
        held = self.machine.state.escrow
        return held.value if held is not None and held.claimed else 0

    def _stock(self, now: Mark, evidence: Evidence) -> Iterator[str]:
        """Believed stock equals the products, but for what nobody could see."""
        excused = doubts.columns(evidence)
        for name, off in now.stock.items():
            change = off - self.mark.stock[name]
            doubtful = self.machine.state.stock.of(name).uncertain
            if change and name not in excused and not doubtful:
                yield f"column {name}: believed stock went wrong by {change}"

    def _people(self, now: Mark, evidence: Evidence) -> Iterator[str]:
        """Nobody is out of pocket, and nobody got more than they paid for."""
        truth, mark = self.machine.world.truth, self.mark
        accounts = list(truth.accounts.values())
        spent = sum(account.spent for account in accounts)
        goods = sum(self._prices[name] for account in accounts for name in account.products)
        claimed = _claimed(evidence, truth.authorisations.values())
        discounts = sum(
            auth.requested - auth.amount
            for auth in truth.authorisations.values()
            if auth.state is AuthState.CAPTURED
            and auth.why not in KEPT  # no product, and so no discount on one
            and auth.id not in claimed
        )
        discounts += now.given - mark.given
        # What another machine owes its customer, and the fleet has taken over (``elsewhere``).
        discounts += sum(one.amount for one in evidence.of(rec.ClaimGranted))
        goods += self._repriced(evidence)
        kept = now.credit - mark.credit + now.claims - mark.claims + now.escrow - mark.escrow
        # Without escrow a bill may get stuck on its way, before anybody is told of it.
        stuck = now.transit - mark.transit
        if stuck and not evidence.excused(Excuse.BILL) and stuck > 0:
            yield f"{stuck} is on its way for good"
        balance = spent + discounts - goods - kept - stuck
        if balance > 0:
            found = now.unclaimed - mark.unclaimed - (now.missing - mark.missing)
            found += max(0, now.box - mark.box) + max(0, now.stacker - mark.stacker)
            found += max(0, now.in_hoppers - mark.in_hoppers)
            found += max(0, mark.doubtful - now.doubtful)  # written off: it was missing before
            hidden = max(evidence.lost + self._repeats(evidence), self._uncounted(evidence))
            excuse = min(max(0, found), hidden)
            excuse += self._decided(evidence, "charge") + self._untellable()
            excuse += self._unrefunded(evidence) + self._untold(evidence)
            excuse += self._seen(evidence) + self._left_behind(evidence)
            if balance > excuse:
                yield (
                    f"customers are out of pocket by {balance} (excused: {excuse}): spent {spent},"
                    f" goods {goods}, discounts {discounts}, credit and claims {kept}"
                )
        elif balance < 0:
            excuse = self._gift(now, evidence)
            if -balance > excuse:
                yield (
                    f"customers got {-balance} for nothing (excused: {excuse}): spent {spent},"
                    f" goods {goods}, discounts {discounts}, credit and claims {kept}"
                )

    def _tenders(self, now: Mark, evidence: Evidence) -> Iterator[str]:
        """No money of a card or an app becomes coins: what cash paid for, cash had brought in."""
        mark, accounts = self.mark, self.machine.world.truth.accounts.values()
        brought = sum(account.inserted - account.returned for account in accounts)
        brought -= now.transit - mark.transit
        granted = evidence.of(rec.ClaimGranted)
        brought += sum(one.amount for one in granted if one.tender == "cash")
        used = sum(data.cash for data in evidence.of(rec.VendSettled))
        owed = now.cash_owed + now.escrow - mark.cash_owed - mark.escrow
        more = used + owed - brought
        if more > 0 and more > self._gift(now, evidence):
            yield (
                f"{more} became cash that nobody had put in: brought {brought},"
                f" spent of it {used}, owed of it {owed}"
            )

    def _receivable(self, now: Mark, evidence: Evidence) -> Iterator[str]:
        """What the books expect of the acquirers is what the readers have charged."""
        if doubts.cards(evidence) or self._untellable():
            return
        accounts = self.machine.world.truth.accounts.values()
        charged = sum(account.charged - account.credited for account in accounts)
        booked = now.receivable - self.mark.receivable
        if booked != charged:
            yield f"{acc.CARD_RECEIVABLE}: {charged} was charged, {booked} is booked"

    def _loaded(self, evidence: Evidence) -> Iterator[str]:
        """What cash gave is what the cards got; only what is in doubt may be either."""
        accounts = self.machine.world.truth.accounts.values()
        got = sum(account.credited for account in accounts)
        told: Counter[str] = Counter()
        for data in evidence.of(rec.RevalueFinished):
            told[data.outcome] += data.amount
        if not told["approved"] <= got <= told["approved"] + told["unknown"]:
            yield (
                f"cards got {got}; {told['approved']} is on record, {told['unknown']} in doubt,"
                f" {told['denied'] + told['not_sent']} not given"
            )

    def _repriced(self, evidence: Evidence) -> int:
        """Return how much more than on the list was asked for what fell, while prices were set."""
        set_higher = {0, *(t.value for t in evidence.struck if t.part == "config")}
        if set_higher == {0}:
            return 0  # nobody set a price
        opened = {r.seq: r.data for r in evidence.records if isinstance(r.data, rec.VendOpened)}
        more = 0
        for record in evidence.records:
            data = opened.get(record.vend or 0)
            turn = record.data
            if data is None or not isinstance(turn, rec.DispenseFinished):
                continue
            if turn.outcome != DispenseOutcome.DROPPED:
                continue
            dearer = data.price + data.discount - self._columns[data.column]
            if dearer in set_higher:
                more += dearer
        return more

    def _uncounted(self, evidence: Evidence) -> int:
        """Return what faulty counts may hide from the customer's credit."""
        return BILL_LIMIT if evidence.excused(Excuse.BILL, Excuse.COUNT, Excuse.BOX) else 0

    def _forgotten(self, evidence: Evidence) -> int:
        """Return the credit whose time ran out."""
        returned = evidence.of(rec.CreditReturnOpened)
        paid: int = sum(data.amount for data in returned if data.reason == "timeout")
        return paid + self._left_behind(evidence)

    def _left_behind(self, evidence: Evidence) -> int:
        """Return the credit that nobody came back for, and that the owner keeps."""
        kept = evidence.of(rec.CreditKept)
        return sum(int(data.coins + data.bills + data.product) for data in kept)

    def _seen(self, evidence: Evidence) -> int:
        """Return the price of vends that a light barrier out of order made look delivered."""
        if not evidence.excused(Excuse.SEEN):
            return 0
        return sum(
            self._columns[turn.column]
            for turn in evidence.of(rec.DispenseFinished)
            if turn.outcome == "dropped"
        )

    def _untellable(self) -> int:
        """Return what a level 1 reader kept that claims to refund: it has no word to say so."""
        world = self.machine.world
        mute = {name for name, reader in world.readers.items() if reader.level < ERROR_LEVEL}
        return sum(
            auth.amount
            for auth in world.truth.authorisations.values()
            if auth.state is AuthState.CAPTURED and auth.why in KEPT and auth.reader in mute
        )

    def _unrefunded(self, evidence: Evidence) -> int:
        """Return what readers kept whose refund error was told to a life that ended, and flagged.

        An adapter acknowledges by itself, and a reader says so only once.
        """
        kept = sum(
            auth.amount
            for auth in self.machine.world.truth.authorisations.values()
            if auth.state is AuthState.CAPTURED
            and auth.why in KEPT
            and auth.reader in evidence.unrefunded
        )
        asked = sum(f.amount for f in evidence.flags() if f.reason == "card refund already")
        return min(kept, asked)

    def _untold(self, evidence: Evidence) -> int:
        """Return what readers' resets charged whose approvals the line had lost, and flagged.

        A reader that resets itself over a request charges nothing that it has not told; that it
        had, in the one answer that was lost, nobody can see.
        """
        charged = sum(
            auth.amount
            for auth in self.machine.world.truth.authorisations.values()
            if auth.state is AuthState.CAPTURED
            and auth.why in RESETS
            and auth.reader in evidence.untold
        )
        asked = sum(f.amount for f in evidence.flags() if "reader gone" in f.reason)
        return min(charged, asked)

    def _repeats(self, evidence: Evidence) -> int:
        """Return the worth of cash-box coins that were flagged, not being told from a repeat."""
        if not (evidence.excused(Excuse.REPEAT) or self._acknowledged_late(evidence)):
            return 0
        return BOX_COIN * sum("repeat" in flag.reason for flag in evidence.flags())

    def _acknowledged_late(self, evidence: Evidence) -> bool:
        """Tell whether a coin may have had its acknowledgement as the next one like it fell.

        A slow disk withholds it on the native link; no two coins are closer to each other.
        """
        return self.machine.link == "native" and evidence.slowest_commit_s() >= APART_S

    def _decided(self, evidence: Evidence, policy: str) -> int:
        """Return the price of vends that the owner's rule decided, the drop not being known."""
        if not evidence.excused(Excuse.DROP):
            return 0
        decided = {
            record.vend
            for record in evidence.records
            if isinstance(record.data, rec.DispenseDecided) and record.data.policy == policy
        }
        # Goods are judged by the price on the list: an offer's discount belongs to it.
        discounts = {
            record.seq: record.data.discount
            for record in evidence.records
            if isinstance(record.data, rec.VendOpened)
        }
        return sum(
            flag.amount + discounts.get(vend or 0, 0)
            for flag, vend in (
                (record.data, record.vend)
                for record in evidence.records
                if isinstance(record.data, rec.ReviewFlagged)
            )
            if vend in decided and flag.reason == "drop not known"
        )

    def _gift(self, now: Mark, evidence: Evidence) -> int:
        """Return what customers may have got for nothing, by what the journal says."""
        mark = self.mark
        excuse = self._decided(evidence, "refund")
        if evidence.excused(Excuse.GOODS):
            gone = sum(
                max(0, mark.stock[name] - now.stock[name]) * self._columns[name]
                for name in self._columns
            )
            # A sold-out switch may have set the count right since.
            excuse += max(gone, self._uncounted_drops(evidence))
        if evidence.excused(Excuse.OVERPAID, Excuse.BILL, Excuse.COUNT, Excuse.PAYOUT):
            excuse += max(0, now.missing - mark.missing - (now.unclaimed - mark.unclaimed))
            # Perhaps missing, later: who took it out told nobody.
            excuse += min(max(0, now.doubtful - mark.doubtful), evidence.pulled)
        flagged = sum(claim.amount for claim in evidence.of(rec.ClaimOpened) if claim.flagged)
        if evidence.excused(Excuse.PAYOUT, Excuse.APPROVAL, Excuse.REFUND, Excuse.REVALUE):
            excuse += flagged
        return excuse + self._repeats(evidence)

    def _uncounted_drops(self, evidence: Evidence) -> int:
        """Return the price of products that fell and that no turn's outcome tells of."""
        fell = evidence.fell.copy()
        for turn in evidence.of(rec.DispenseFinished):
            fell[turn.column] -= max(turn.drops, turn.outcome == DispenseOutcome.DROPPED)
        return sum(self._columns[name] * max(0, extra) for name, extra in fell.items())

    def _flags(self, evidence: Evidence) -> Iterator[str]:
        """A flag only where the evidence was really taken away."""
        for at_s, flag in evidence.told(rec.ReviewFlagged):
            reason, many, _ = flag.reason.partition(" (")
            excuses = FLAGS.get(reason)
            if many and reason in self._flagged:
                continue  # a count of such as were judged one by one before they became many
            self._flagged.add(reason)
            if excuses is None:
                yield f"a flag that no oracle knows: {flag.reason!r}"
            elif Excuse.LOST in excuses and evidence.lost:
                continue  # what the flag asks about was told to a life that ended
            elif Excuse.REPEAT in excuses and self._acknowledged_late(evidence):
                continue
            elif evidence.forgotten and flag.reason in FORGOTTEN:
                evidence.forgotten = False
            elif flag.reason == UNREAD and self.mark.unread > 0:
                continue  # stacked unheard, for somebody before: a count has told of it only now
            elif flag.reason == GIVEN_UP and 0 < self.mark.doubtful == flag.amount:
                continue  # owed to somebody before, and looked for until now
            elif not evidence.excused(*excuses, at_s=at_s):
                yield f"flagged {flag.reason!r} ({flag.amount}), and nothing hid the evidence"

    def _claims(self, evidence: Evidence) -> Iterator[str]:
        """A claim only where tubes or reader truly could not pay."""
        truth = self.machine.world.truth
        charged = sum(
            auth.amount
            for auth in truth.authorisations.values()
            if auth.state is AuthState.CAPTURED
        )
        for at_s, claim in evidence.told(rec.ClaimOpened):
            why = f"claim over {claim.amount} ({claim.reason})"
            if claim.product:
                continue  # a claim that was keyed in and not used: the people's sum holds it
            if claim.tender == "card":
                known = evidence.excused(Excuse.APPROVAL, Excuse.REFUND, at_s=at_s)
                if not known and claim.amount > charged:
                    yield f"{why}, and the reader had given the money back"
            elif claim.escrow:
                if not evidence.excused(Excuse.BILL, at_s=at_s):
                    yield f"{why}, and no bill was stuck"
            elif claim.reason == "revalue unknown":
                if not evidence.excused(*FLAGS["revalue unknown"], at_s=at_s):
                    yield f"{why}, and nothing hid what the reader did"
            elif claim.reason == "payout uncertain":
                if not evidence.excused(Excuse.PAYOUT, at_s=at_s):
                    yield f"{why}, and nothing hid what was paid"
            elif not evidence.excused(Excuse.CHANGER, at_s=at_s) and claim.code in evidence.payable:
                yield f"{why}, and the tubes could have paid"

    def _openings(self) -> int:
        """Return how often this life has opened the bus's line."""
        running = self.machine.running
        return 0 if running is None else running.bus.bus.link.counters.reopened

    def _times(self, evidence: Evidence) -> Iterator[str]:
        """The bus keeps its rhythm whatever the disk does."""
        running = self.machine.running
        if running is None:
            return
        counters = running.bus.bus.counters
        late, counters.worst_late_s = counters.worst_late_s, 0.0
        opened = self._openings()
        reopened, self._opened = opened != self._opened, opened
        echo = counters.worst_at_s - self._line_s < ECHO_S
        if evidence.excused(Excuse.LINE):
            self._line_s = self.machine.loop.time()
            return
        if reopened or echo:
            return  # its cable was away, or a block on its way, since before this customer
        # Behind a power cut all of them may be silent in turn.
        latest = max(LATEST_S, (running.bus.bus.attached - 1) * SILENCE_S)
        if late > latest and not evidence.ends:
            yield f"a device was polled {late:.3f} s late"


ECHO_S: Final = 5.0  # the last block of a spoilt line is given up by then
LATEST_S: Final = 0.2  # behind its beat; the standard polls each device every 25 to 200 ms
SILENCE_S: Final = 0.074  # for which a native link waits for a device that says nothing


def _claimed(evidence: Evidence, authorisations: Iterable[Authorisation]) -> set[int]:
    """Return which requests are owed as claims: of those for an item and an amount the last."""
    items = {r.seq: r.data.item for r in evidence.records if isinstance(r.data, rec.VendOpened)}
    latest = sorted(authorisations, key=lambda auth: auth.id, reverse=True)
    found: set[int] = set()
    for record in reversed(evidence.records):
        if not isinstance(record.data, rec.ClaimOpened) or record.data.tender != "card":
            continue
        item, amount = items.get(record.vend or 0, NO_ITEM), record.data.amount
        over = (a.id for a in latest if a.amount == amount and item in (a.item, NO_ITEM))
        found.update([one for one in over if one not in found][:1])
    return found
