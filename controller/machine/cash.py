"""Cash that arrives: coins, bills in escrow, bills stacked, and what the stacker's count proves."""

from __future__ import annotations

from typing import Final, Literal

from controller.faults import FaultCode
from controller.journal import records as rec
from controller.machine import damage, promises
from controller.machine.desk import Desk
from controller.machine.effects import CountStacker, CountTubes, Failed, ReturnBill, Wake
from controller.machine.table import Mode
from controller.panel.view import Message
from controller.ports import (
    BillEvent,
    BillEventKind,
    BillsReport,
    CoinRoute,
    CoinsReport,
    DepositedCoin,
    DeviceName,
    StackerCount,
)
from controller.saga import basket_rules, cards, escrow, give_back, rights, vend
from controller.saga.escrow import ESCROW_DEADLINE_S
from controller.state.cash import Escrow

TROUBLE_S: Final = 5.0  # for a result all the same, once the validator has told of trouble
UNTOLD_S: Final = 2.0  # between two looks whether a vend has ended
LOSSES_MAX: Final = 3  # a validator that comes and goes is asked so often; then it is a claim
_OURS: Final = (CoinRoute.TUBE, CoinRoute.CASHBOX)
REFUSED_S: Final = 1.0  # some polls, for what it had to tell behind a refused ESCROW
AWAY_RETRY_S: Final = 3.0  # between two looks for a validator that is away with a bill


class CashHandling:
    """Books what changer and validator report."""

    def __init__(self, desk: Desk) -> None:
        """Bind the desk."""
        self._desk = desk
        self._escrow_tries = 0
        self._empty = False  # its validator says that it holds no bill, since it was last asked
        self._empty_at = 0.0  # monotonic; when it said so
        self._unread = False  # it told something since the bill came, and that came damaged
        self._losses = 0  # of the validator, since it has held this bill
        self._away_since: float | None = None  # monotonic; a validator with a bill in its escrow
        self._replaced = False  # no count has told yet where the bill before this one went
        self._word_due: int | None = None  # type of a bill that was booked without its own word

    # ------------------------------------------------------------------------------- coins

    def coins(self, report: CoinsReport) -> None:
        """Write down what arrived and what staff let out."""
        desk = self._desk
        answer = report.answer.hex()
        manual = tuple((m.type, m.value, m.count, m.left) for m in report.manual)
        if manual:
            desk.write(rec.CoinsReleased(device=report.device.value, answer=answer, coins=manual))
        coins = tuple(
            (c.type, c.value, self._where(report.device, c).value, c.tube_count)
            for c in report.deposited
            if c.route is not CoinRoute.REJECT
        )
        if coins or (report.suspect and answer):
            filling = desk.live.fill_mode and desk.mode is Mode.SERVICE
            desk.write(
                rec.CoinsDeposited(
                    device=report.device.value,
                    answer=answer,
                    coins=coins,
                    suspect=report.suspect,
                    owner="operator" if filling else "customer",
                )
            )
            if any(not c.value and not c.token for c in report.deposited if c.route in _OURS):
                desk.flag("a coin of which nobody knows the value", None)
            rights.tokens_inserted(desk, report)
            self._credited()
        elif report.note and not manual:
            desk.write(rec.DeviceNoted(device=report.device.value, answer=answer))
        if report.suspect and not answer:
            self.look_for_coins()
            damage.heard(desk, report.doubt)
        elif report.suspect:
            desk.flag(report.doubt or "coin not told from a repeat", None)

    def woken(self, what: str) -> None:
        """Go on with a bill's vend, or look for coins of which nobody was told."""
        if what == "bill":
            self.bill_moved()
        else:
            self.look_for_coins()

    def look_for_coins(self) -> None:
        """Count the tubes behind an answer that nobody could read: what fell into one is found.

        Behind a vend: while it pays a count tells of its payout.
        """
        desk = self._desk
        here = DeviceName.CHANGER in desk.live.ready  # else it is counted when it is back
        desk.live.coins_untold = here and bool(desk.state.sagas)
        if desk.live.coins_untold:
            desk.do(Wake("untold", UNTOLD_S))
        elif here:
            desk.do(CountTubes("check"))

    def _where(self, device: DeviceName, coin: DepositedCoin) -> CoinRoute:
        """Tell where a coin lies: one that missed its tube fell into the cash box.

        The changer names the tube that it aimed at, says "routing error" in the same answer, and
        that tube's count has not gone up.
        """
        astray = f"{device.value} {FaultCode.CHANGER_ROUTING.value}" in self._desk.state.faults
        believed = self._desk.state.tubes.get(coin.type, 0)
        if astray and coin.route is CoinRoute.TUBE and coin.tube_count <= believed:
            return CoinRoute.CASHBOX
        return coin.route

    def _credited(self) -> None:
        """Show the credit; a reader that waits for a card may not be needed any more."""
        desk = self._desk
        if desk.mode.selling:
            promises.left(desk)
        self._reckoned_anew()
        desk.credit_is_new()
        cards.paid_meanwhile(desk)

    def credit_timed_out(self) -> None:
        """Give forgotten credit back, or keep it as unclaimed money, as the owner decided."""
        desk = self._desk
        if not desk.credit and not rights.tokens(desk):
            return
        if desk.mode is not Mode.CREDIT or desk.state.sagas:
            desk.credit_is_new()  # not forgotten: not now
            return
        if (early_s := desk.live.forgotten_at - desk.now) > 0:
            desk.do(Wake("credit", early_s))
            return
        if desk.policy.on_credit_timeout == "pay":
            vend.give_credit_back(desk, "timeout")
            return
        basket_rules.give_up(desk)  # as behind any credit that goes
        rights.leave_tokens(desk)
        if escrow.waiting(desk) is not None:
            escrow.stack(desk, None)  # as credit it is looked at once more
            return
        if not desk.state.credit.total:
            return
        all_of_it = desk.state.credit.pick(desk.state.credit.total)
        assert all_of_it is not None, "the total is always there"
        desk.write(
            rec.CreditKept(
                coins=all_of_it.coins,
                bills=all_of_it.bills,
                lots=all_of_it.lots,
                product=all_of_it.product,
            )
        )
        desk.live.notice = None  # what was said a moment ago of their credit is over

    # ------------------------------------------------------------------------------- bills

    def bills(self, report: BillsReport) -> None:
        """Write down what happened to each bill, and decide about one in escrow."""
        answer = report.answer.hex()
        if report.doubt:
            damage.heard(self._desk, report.doubt)
            self._unread = True
        for event in report.events:
            match event.kind:
                case BillEventKind.ESCROWED:
                    self._escrowed(report, answer, event)
                case BillEventKind.STACKED | BillEventKind.RECYCLED:
                    self._stacked(report, answer, event)
                case BillEventKind.RETURNED:
                    self._returned(report, answer, event)
                case BillEventKind.FILLED | BillEventKind.DISPENSED | BillEventKind.MOVED:
                    self._recycler_moved(report, answer, event)
                case _:
                    pass  # rejected before it was ours: audit only
        if report.note and self._desk.state.last_answers.get(report.device.value) != answer:
            self._desk.write(rec.DeviceNoted(device=report.device.value, answer=answer))
        self.bill_moved()

    def bill_moved(self) -> None:
        """Go on with a vend that a bill in escrow is to pay: it is stacked, or will not be."""
        state = self._desk.state
        for saga in list(state.sagas.values()):
            if saga.bill_asked and saga.bill_due and saga.boot == state.boot:
                vend.advance(self._desk, saga)

    def _escrowed(self, report: BillsReport, answer: str, event: BillEvent) -> None:
        desk = self._desk
        device = report.device.value
        held = desk.state.escrow
        if held is not None and held.claimed:
            self._makes_room(held)
        desk.write(
            rec.BillEscrowed(device=device, answer=answer, bill=event.type, value=event.value)
        )
        refusal = self._refuses(event.value)
        self._escrow_tries, self._away_since, self._losses = 0, None, 0
        self._empty = self._unread = False
        self._word_due = None
        if refusal:
            desk.write(
                rec.BillReturnIntended(
                    device=device, bill=event.type, value=event.value, reason=refusal
                )
            )
            desk.do(ReturnBill())
            desk.tell(Message.BILL_REFUSED, amount=event.value)
        elif escrow.waits(desk, desk.state.credit.total + event.value):
            self._credited()
            return
        else:
            escrow.stack(desk, None)
        desk.do(Wake("escrow", ESCROW_DEADLINE_S))

    def _makes_room(self, held: Escrow) -> None:
        """Book a bill that was stuck, and claimed, as gone: another is where it was.

        Somebody freed it, and nobody could be asked before the next one came. If it is in the
        stacker, the count says so, once this one's way is known: until then it could be either.
        """
        self._replaced = True
        self._gone_unseen(held)

    def _gone_unseen(self, held: Escrow, proof: Literal["counted", "none"] = "none") -> None:
        """Book a bill as out of escrow of which nobody told.

        "counted": it was not stacked, and so it came back. "none": nothing proves where it went,
        and it is claimed.
        """
        self._word_due = held.bill if held.claimed else None
        self._reckoned_anew()
        self._desk.clear_fault(held.device, FaultCode.BILL_STUCK_IN_ESCROW)
        self._desk.write(
            rec.BillReturned(
                device=held.device,
                answer="",
                bill=held.bill,
                value=held.value,
                proof=proof,
                claimed=held.claimed,
            )
        )

    def _left_escrow(self, device: str) -> None:
        """Nothing is in escrow any more."""
        self._desk.clear_fault(device, FaultCode.BILL_STUCK_IN_ESCROW)
        if self._replaced:
            self._desk.do(CountStacker("check"))

    def _refuses(self, value: int) -> str:
        """Return why a bill in escrow can't be taken, or an empty string."""
        desk = self._desk
        if not desk.mode.selling:
            return "not selling"
        if not desk.policy.takes_bill(value):
            return "not accepted"
        credit = desk.state.credit.total + value
        if credit > desk.policy.max_credit:
            return "credit limit"
        if desk.policy.bill_needs_change and not changeable(desk, credit):
            return "no change"
        return ""

    def _stacked(self, report: BillsReport, answer: str, event: BillEvent) -> None:
        desk = self._desk
        held = desk.state.escrow
        if held is None and event.type == self._word_due:
            self._word_due = None
            desk.write(rec.DeviceNoted(device=report.device.value, answer=answer))
            return
        desk.write(
            rec.BillStacked(
                device=report.device.value,
                answer=answer,
                bill=event.type,
                value=event.value,
                escrowed=held is not None,
                claimed=held is not None and held.claimed,
                into="recycler" if event.kind is BillEventKind.RECYCLED else "stacker",
            )
        )
        if not event.value:
            desk.flag("a bill of which nobody knows the value", None)
        self._left_escrow(report.device.value)
        self._credited()

    def _recycler_moved(self, report: BillsReport, answer: str, event: BillEvent) -> None:
        """Staff's hand, or the recycler's own: no customer's money."""
        self._desk.write(
            rec.BillMoved.model_validate(
                {
                    "device": report.device.value,
                    "answer": answer,
                    "bill": event.type,
                    "value": event.value,
                    "how": event.kind.value,
                }
            )
        )

    def _reckoned_anew(self) -> None:
        """What was told to lack was reckoned with other credit."""
        notice = self._desk.live.notice
        if notice is not None and notice.message is Message.INSERT_MORE:
            self._desk.live.notice = None

    def _returned(self, report: BillsReport, answer: str, event: BillEvent) -> None:
        desk = self._desk
        self._reckoned_anew()
        held = desk.state.escrow
        desk.write(
            rec.BillReturned(
                device=report.device.value,
                answer=answer,
                bill=event.type,
                value=held.value if held is not None else event.value,
                escrowed=held is not None,
                claimed=held is not None and held.claimed,
            )
        )
        self._left_escrow(report.device.value)

    def escrow_asked(self, result: object) -> None:
        """ESCROW was acknowledged (the result comes by poll) or not: then the count decides.

        A moment later: a validator that let the bill go by itself, and refuses, is about to say so.
        """
        here = DeviceName.BILL in self._desk.live.ready
        if isinstance(result, Failed) and self._desk.state.escrow is not None and here:
            self._desk.do(Wake("stacker check", REFUSED_S))

    def escrow_overdue(self) -> None:
        """Neither stacked nor returned in time: ask the stacker, then the other way, then claim."""
        desk = self._desk
        held = desk.state.escrow
        here = DeviceName.BILL in desk.live.ready
        if held is not None and held.claimed and here and self._empty:
            desk.do(CountStacker("check"))  # by now no word of it is to come any more
        if held is None or held.claimed or (held.waits and here):
            return
        desk.raise_fault(held.device, FaultCode.BILL_STUCK_IN_ESCROW)
        self._replaced = False  # it is this one that the count has to tell of
        if here:
            self._away_since = None
            desk.do(CountStacker("check"))
        elif self._away_since is None:
            self.validator_away()
        elif desk.now - self._away_since >= desk.policy.refund_deadline_s:
            give_back.claim_escrow(desk, held.value, "silent validator")
            self.bill_moved()
        else:
            desk.do(Wake("escrow", AWAY_RETRY_S))

    def validator_away(self) -> None:
        """It took a bill along: its customer gets a claim if it does not come back in time."""
        desk = self._desk
        held = desk.state.escrow
        if held is None or held.claimed or DeviceName.BILL in desk.live.ready:
            return
        self._away_since = desk.now
        self._losses += 1
        if self._losses <= LOSSES_MAX:
            self._escrow_tries = 0  # whatever it was told, it may not have heard
        desk.do(Wake("escrow", AWAY_RETRY_S))
        if desk.mode.selling:
            desk.tell(Message.STARTING, seconds=desk.policy.refund_deadline_s)

    def stacker_counted(self, result: StackerCount, *, after_reset: bool) -> None:
        """Let STACKER settle what became of the bill in escrow, then compare the counts.

        A RESET returns what is in escrow, so after one a bill that was not stacked is out, unless
        it is jammed: only a person gets it out then. A validator that keeps no count proves
        nothing: ours stands, and what was in escrow is asked for again.
        """
        desk, state = self._desk, self._desk.state
        held = state.escrow
        if desk.live.stacker_checked and held is not None and not held.claimed:
            after_reset = False  # a person had been inside: it was to tell of the one before
        counts, was_reset = result.known, after_reset
        if was_reset:
            self._word_due = None  # what it had to tell of before is forgotten
        if not counts:
            result, after_reset = StackerCount(state.stacker, result.full), False
        if self._replaced and held is not None and desk.live.stacker_checked:
            return  # not reset since: it may be the one before; asked again behind this one
        self._replaced = False
        if held is not None:
            if into := self._went_into(held, result, reset=was_reset):
                self._word_due = held.bill  # a moment later than its bill is counted
                desk.write(
                    rec.BillStacked.model_validate(
                        {
                            "device": held.device,
                            "answer": "",
                            "bill": held.bill,
                            "value": held.value,
                            "escrowed": True,
                            "proof": "counted",
                            "claimed": held.claimed,
                            "into": into,
                        }
                    )
                )
                desk.clear_fault(held.device, FaultCode.BILL_STUCK_IN_ESCROW)
                self._credited()
            elif self._jammed(held.device):
                if not held.claimed:
                    give_back.claim_escrow(desk, held.value)
            elif after_reset:
                self._gone_unseen(held, "counted")
            elif held.claimed:  # nobody counts; it is ours, and may be there still
                if was_reset:
                    escrow.stack(desk, None)
                elif counts and self._left():
                    desk.flag("bill in escrow unknown", None, held.value)
                    self._gone_unseen(held)
            elif was_reset and desk.live.escrow_asked:
                pass  # it was told just now what to do, and has its time for that
            elif was_reset or not held.waits:
                self._ask_again(counts=counts)
        self.bill_moved()
        self._compared(result)

    def _compared(self, result: StackerCount) -> None:
        """Write down where the count of the stacker is not ours."""
        desk, state = self._desk, self._desk.state
        if not state.stacker_counted or result.bills != state.stacker:
            cause = "boot" if state.stacker_counted else "first_start"
            unknown = 0 if state.stacker_counted else result.bills - state.stacker
            if unknown > 0:
                desk.raise_fault(
                    DeviceName.BILL.value,
                    FaultCode.BILL_UNCOUNTED,
                    f"{unknown} in the stacker at the first start, of unknown value: "
                    "`vendctl collect` counts them",
                )
            if state.stacker_counted and result.bills > state.stacker:
                desk.flag("bills in the stacker that no record explains", None)
            desk.write(
                rec.StackerCounted.model_validate(
                    {"cause": cause, "counted": result.bills, "believed": state.stacker}
                )
            )

    def _went_into(self, held: Escrow, result: StackerCount, *, reset: bool) -> str:
        """Tell where the bill that was in escrow is, if a count has gone up by one.

        One that waits goes nowhere by itself, but for a reset: then the count tells of another. The
        first count of all has none before it.
        """
        state = self._desk.state
        if held.waits and not reset:
            return ""
        if state.stacker_counted and result.bills == state.stacker + 1:
            return "stacker"
        if result.recycler is None or not state.recycler_counted:
            return ""
        believed = state.recycler.get(held.bill, 0)
        return "recycler" if result.recycler.counts[held.bill] == believed + 1 else ""

    def _left(self) -> bool:
        """Tell whether a bill is in escrow no more by its validator's word, and no other came."""
        return self._empty and self._desk.now - self._empty_at >= ESCROW_DEADLINE_S

    def _jammed(self, device: str) -> bool:
        return f"{device} {FaultCode.BILL_JAM.value}" in self._desk.state.faults

    def escrow_in_trouble(self) -> None:
        """A jam, or "no bill is in escrow": don't wait out the whole time for a result.

        One may still come: of an ESCROW that was repeated as its first ACK was lost.
        """
        held = self._desk.state.escrow
        if held is not None and not held.claimed and not held.waits:
            self._desk.do(Wake("escrow", TROUBLE_S))

    def escrow_empty(self) -> None:
        """The validator says that it holds no bill."""
        self._empty, self._empty_at = True, self._desk.now
        self.escrow_in_trouble()

    def look_again(self) -> None:
        """A person has been inside: what was stuck in escrow, and claimed, is out or stacked."""
        held = self._desk.state.escrow
        if held is not None and held.claimed and DeviceName.BILL in self._desk.live.ready:
            self._desk.do(CountStacker("boot"))

    def _ask_again(self, *, counts: bool) -> None:
        """The bill may still be in escrow: return it; if it stays, its customer gets a claim.

        Unless its validator has answered that it holds none, and what it told before came damaged:
        by the count it was not stacked.
        Where nothing counts it may as well be out or stacked: it is booked as gone, and flagged.
        """
        desk = self._desk
        held = desk.state.escrow
        assert held is not None, "asked about a bill"
        self._escrow_tries += 1
        if self._escrow_tries > 1 and counts and self._empty and self._unread:
            self._gone_unseen(held, "counted")
            return
        if self._escrow_tries > 1:
            give_back.claim_escrow(desk, held.value)
            if not counts:
                desk.flag("bill in escrow unknown", None, held.value)
                self._gone_unseen(held)
            elif self._empty:
                desk.do(Wake("escrow", ESCROW_DEADLINE_S))  # then it is out, and others may come
            return
        desk.write(
            rec.BillReturnIntended(
                device=held.device, bill=held.bill, value=held.value, reason="unsure"
            )
        )
        self._empty = False
        desk.do(ReturnBill())
        desk.do(Wake("escrow", ESCROW_DEADLINE_S))


def changeable(desk: Desk, credit: int) -> bool:
    """Tell whether a customer with ``credit`` could buy something and get the rest back."""
    if desk.changeable() >> credit & 1:
        return True
    lowest = desk.planogram.lowest_price
    return lowest is None or credit < lowest
