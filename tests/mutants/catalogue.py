"""The planted bugs: each is a mistake that somebody could make, or has made (field lessons)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Final, cast

from controller.domain.credit import Credit
from controller.domain.stock import Stock
from controller.domain.tubes import NOTHING as NO_PLAN
from controller.faults import JournalError
from controller.journal import records as rec
from controller.journal.store import Journal
from controller.machine import effects as fx
from controller.machine.cash import CashHandling
from controller.machine.desk import Desk
from controller.machine.performing import Performer
from controller.ports import (
    DispenseOutcome,
    DispenseResult,
    PayoutEvidence,
    PayoutOrder,
    RefundOutcome,
    SettleOutcome,
)
from controller.saga import cards, give_back, proofs, recovery, vend
from controller.saga.payout import Reconciled
from controller.state.climate import ClimateState
from controller.state.state import State
from drivers.dispenser.column_motor import DirectMotor
from drivers.dispenser.dispenser import GpioDispenser
from drivers.dispenser.matrix import MatrixMotor
from drivers.gpio import pulse_acceptor
from drivers.mdb.changer import MdbChanger
from drivers.mdb.device import MdbDriver
from drivers.mdb.repeats import RepeatFilter
from drivers.mdb.scheduler import MdbBus
from tests.mutants import bills, cabinets, heirs, lines, makes, owners, policies, rows, strangers
from tests.mutants.planting import Mutant, Soil


def _drops(*types: type[Any]) -> Any:
    """Return a ``Desk.write`` that forgets records of these types."""

    def make(write: Any) -> Any:
        def forgetful(self: Desk, data: Any, vend_: int | None = None) -> Any:
            if isinstance(data, types):
                return None
            return write(self, data, vend_)

        return forgetful

    return make


def _edits(kind: type[Any], edit: Any) -> Any:
    """Return a ``Desk.write`` that changes records of a type."""

    def make(write: Any) -> Any:
        def wrong(self: Desk, data: Any, vend_: int | None = None) -> Any:
            return write(self, edit(data) if isinstance(data, kind) else data, vend_)

        return wrong

    return make


# ------------------------------------------------------------------------------------ refunds


def keep_the_money_of_a_failed_vend(soil: Soil) -> None:
    def compensate(desk: Desk, saga: Any) -> bool:
        cash = saga.held_coins + saga.held_bills
        if cash:
            desk.write(rec.VendSettled(cash=cash, lots=tuple(saga.lots)), saga.vend)
        return True

    soil.wrap(vend, "_compensate", lambda real: lambda d, s: compensate(d, s) and real(d, s))


def pay_every_refund_twice(soil: Soil) -> None:
    def make(real: Any) -> Any:
        async def payout(self: MdbChanger, order: PayoutOrder) -> PayoutEvidence:
            await real(self, order)
            return await real(self, order)  # type: ignore[no-any-return]  # it is a PayoutEvidence

        return payout

    soil.wrap(MdbChanger, "payout", make)


def believe_the_order_and_not_the_tubes(soil: Soil) -> None:
    def reconcile(ordered: int, tubes: Any, evidence: PayoutEvidence, *_: Any) -> Reconciled:
        rest, paid = ordered, []
        for kind, value, count in sorted(tubes, key=lambda tube: -tube[1]):
            taken = min(rest // value if value else 0, count)
            rest -= taken * value
            if taken:
                paid.append((kind, value, taken))
        return Reconciled(tuple(paid), "both", certain=True)

    soil.put(proofs, "reconcile", reconcile)


def take_every_payout_for_unpaid_after_a_restart(soil: Soil) -> None:
    def cleared(desk: Desk, saga: Any, result: Any) -> None:
        if saga.intent == "payout":
            done = rec.PayoutFinished(ordered=saga.ordered, paid=(), proof="none", certain=True)
            desk.write(done, saga.vend)

    soil.put(recovery, "payout_cleared", cleared)


def claim_instead_of_paying(soil: Soil) -> None:
    soil.put(give_back, "best_partial", lambda amount, tubes: NO_PLAN)


def forget_the_claim(soil: Soil) -> None:
    soil.wrap(Desk, "write", _drops(rec.ClaimOpened))


def claim_a_coin_too_little(soil: Soil) -> None:
    def less(data: rec.ClaimOpened) -> rec.ClaimOpened:
        return data.model_copy(update={"amount": max(0, data.amount - 5)})

    soil.wrap(Desk, "write", _edits(rec.ClaimOpened, less))


def pay_from_the_wrong_tube(soil: Soil) -> None:
    def shifted(data: rec.PayoutFinished) -> rec.PayoutFinished:
        paid = tuple((max(0, kind - 1), value, count) for kind, value, count in data.paid)
        return data.model_copy(update={"paid": paid})

    soil.wrap(Desk, "write", _edits(rec.PayoutFinished, shifted))


def give_too_little_change(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def pick(self: Any, amount: int, order: Any = None) -> Any:
            more = min(self.total, amount + 5) if amount else amount
            return real(self, more) if order is None else real(self, more, order)

        return pick

    soil.wrap(Credit, "pick", make)


# ------------------------------------------------------------------------------ intents, disk


def turn_without_an_intent(soil: Soil) -> None:
    soil.wrap(Desk, "write", _drops(rec.DispenseIntended))


def act_before_the_commit(soil: Soil) -> None:
    async def commit(self: Journal[Any]) -> None:
        """Return at once: the effects begin while the disk still writes."""
        if self.durable_seq < self.next_seq - 1 and self._flight is None:
            self._flight = asyncio.get_running_loop().create_task(self._write())

    soil.put(Journal, "commit", commit)


def acknowledge_before_the_commit(soil: Soil) -> None:
    async def items(self: MdbBus, slot: Any, data: bytes) -> None:
        future = slot.listener.on_items(data)
        slot.said = data
        self.link.ack()
        if future is not None:
            self._watch(slot, future)
            slot.listener.on_told(acked=True)
            slot.poll_soon()

    soil.put(MdbBus, "_items", items)


def go_on_after_a_failed_commit(soil: Soil) -> None:
    def make(real: Any) -> Any:
        async def commit(self: Journal[Any]) -> None:
            try:
                await real(self)
            except JournalError:
                self._failed = None
                self._durable = self._next_seq - 1

        return commit

    soil.wrap(Journal, "commit", make)


def lose_the_last_record_of_a_turn(soil: Soil) -> None:
    from controller.journal import store

    def make(real: Any) -> Any:
        def inserts(batch: Any) -> Any:
            return real(batch[:-1] if len(batch) > 1 else batch)

        return inserts

    soil.wrap(store, "_inserts", make)


# --------------------------------------------------------------------------------------- coins


def count_a_repeated_coin_twice(soil: Soil) -> None:
    def forgetful(real: Any) -> Any:
        def fresh(
            self: RepeatFilter, items: Any, *, once: Any = frozenset(), soon: bool = False
        ) -> list[bool]:
            if self.unproved:  # an ACK that nobody may have heard
                self.clear()
            return cast("list[bool]", real(self, items, once=once, soon=soon))

        return fresh

    soil.wrap(RepeatFilter, "fresh", forgetful)


def take_a_new_coin_for_a_repeat(soil: Soil) -> None:
    def fresh(self: RepeatFilter, items: Any, *, once: Any = (), soon: bool = False) -> list[bool]:
        del once, soon  # what tells a coin from its repeat
        new = [item not in self._last for item in items]
        self._last = tuple(items) or self._last
        return new

    soil.put(RepeatFilter, "fresh", fresh)
    soil.put(RepeatFilter, "quiet", lambda self: None)


def book_every_coin_into_a_tube(soil: Soil) -> None:
    def tubed(data: rec.CoinsDeposited) -> rec.CoinsDeposited:
        coins = tuple((kind, value, "tube", count) for kind, value, _, count in data.coins)
        return data.model_copy(update={"coins": coins})

    soil.wrap(Desk, "write", _edits(rec.CoinsDeposited, tubed))


def explain_no_difference_of_the_tubes(soil: Soil) -> None:
    soil.put(proofs, "book_tubes", lambda desk, counted, cause: None)


def credit_no_stacked_bill(soil: Soil) -> None:
    def owed(data: rec.BillStacked) -> rec.BillStacked:
        return data.model_copy(update={"claimed": True})

    soil.wrap(Desk, "write", _edits(rec.BillStacked, owed))


def credit_a_returned_bill(soil: Soil) -> None:
    soil.wrap(CashHandling, "_returned", lambda _: CashHandling._stacked)


def reset_before_asking(soil: Soil) -> None:
    def make(real: Any) -> Any:
        async def greet(self: MdbDriver, known: Any) -> Any:
            from drivers.mdb.slots import Retry

            self._slot.start_polling()
            await self._slot.command(self._reset_payload, Retry.ONCE)
            return await real(self, known)

        return greet

    soil.wrap(MdbDriver, "greet", make)


# --------------------------------------------------------------------------------------- goods


def leave_the_motor_on(soil: Soil) -> None:
    soil.put(DirectMotor, "off", lambda self: None)
    soil.put(MatrixMotor, "off", lambda self: None)


def turn_again_after_a_restart(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def ask(desk: Desk, saga: Any) -> bool:
            if saga.intent != "dispense":
                return bool(real(desk, saga))
            missed = rec.DispenseFinished(column=saga.column, outcome="not_seen", proof="none")
            desk.write(missed, saga.vend)
            vend.advance(desk, saga)
            return False

        return ask

    soil.wrap(recovery, "_ask_about", make)


def refund_whatever_fell_before_a_restart(soil: Soil) -> None:
    def read(desk: Desk, saga: Any, result: Any) -> None:
        missed = rec.DispenseFinished(column=saga.column, outcome="not_seen", proof="latch")
        desk.write(missed, saga.vend)
        refused = rec.DispenseRefused(column=saga.column, reason="restart")
        desk.write(refused, saga.vend)

    soil.put(recovery, "evidence_read", read)


def trust_the_latch_after_a_power_cut(soil: Soil) -> None:
    from controller.state import state, table
    from drivers.dispenser.drop_sensor import DropSensor

    def make(real: Any) -> Any:
        def started(s: State, r: Any, d: Any) -> None:
            real(s, r, d)
            s.power_was_cut, s.power_boot = False, 0

        return started

    folds = table.FOLDS
    real = folds[rec.BootStarted.type]
    soil.put(state, "FOLDS", {**folds, rec.BootStarted.type: make(real)})
    soil.wrap(
        DropSensor,
        "__init__",
        lambda init: lambda self, lines, latch_lost=False: init(self, lines),
    )


def _outcomes(change: dict[DispenseOutcome, DispenseOutcome]) -> Any:
    def make(real: Any) -> Any:
        async def turn(self: GpioDispenser, column: str, *, extra: bool = False) -> DispenseResult:
            result: DispenseResult = await real(self, column, extra=extra)
            wrong = change.get(result.outcome, result.outcome)
            return replace(result, outcome=wrong, drops=int(wrong is DispenseOutcome.DROPPED))

        return turn

    return make


def take_what_nobody_saw_for_delivered(soil: Soil) -> None:
    seen = {
        DispenseOutcome.NOT_SEEN: DispenseOutcome.DROPPED,
        DispenseOutcome.JAMMED: DispenseOutcome.DROPPED,
    }
    soil.wrap(GpioDispenser, "turn", _outcomes(seen))


def overlook_a_drop(soil: Soil) -> None:
    """Light products fall past the sensor, so that a delivered sale is refunded (lesson 38)."""
    soil.wrap(GpioDispenser, "turn", _outcomes({DispenseOutcome.DROPPED: DispenseOutcome.NOT_SEEN}))


def count_no_product(soil: Soil) -> None:
    """Stock decrement lost (a fork's fault history)."""
    soil.put(Stock, "take", lambda self, column, drops=1: None)


def sell_for_nothing_now_and_then(soil: Soil) -> None:
    """A sale with price 0 because the request was missed (a fork's fault history)."""
    calls = [0]

    def free(data: rec.VendOpened) -> rec.VendOpened:
        calls[0] += 1
        return data.model_copy(update={"price": 0}) if calls[0] % 5 == 0 else data

    soil.wrap(Desk, "write", _edits(rec.VendOpened, free))


def sell_what_is_too_warm(soil: Soil) -> None:
    """The health timer runs out, and nobody asks it."""
    soil.put(ClimateState, "unhealthy", property(lambda self: []))


# --------------------------------------------------------------------------------------- cards


def _card(change: Any) -> Any:
    def make(real: Any) -> Any:
        async def perform(self: Performer, effect: Any) -> Any:
            if isinstance(effect, fx.Settle):
                return await change(self, effect, real)
            return await real(self, effect)

        return perform

    return make


def tell_the_reader_that_the_vend_failed(soil: Soil) -> None:
    async def change(self: Performer, effect: fx.Settle, real: Any) -> Any:
        if not effect.success:
            return await real(self, effect)
        await real(self, replace(effect, success=False))
        return SettleOutcome.DONE

    soil.wrap(Performer, "_card", _card(change))


def tell_the_reader_that_the_vend_succeeded(soil: Soil) -> None:
    async def change(self: Performer, effect: fx.Settle, real: Any) -> Any:
        if effect.success:
            return await real(self, effect)
        await real(self, replace(effect, success=True))
        return RefundOutcome.REFUNDED

    soil.wrap(Performer, "_card", _card(change))


def never_tell_the_reader(soil: Soil) -> None:
    async def change(self: Performer, effect: fx.Settle, real: Any) -> Any:
        return SettleOutcome.DONE if effect.success else RefundOutcome.REFUNDED

    soil.wrap(Performer, "_card", _card(change))


def make_coins_of_a_card(soil: Soil) -> None:
    """A card's failed vend is given back on the card, and in coins as well."""

    def make(real: Any) -> Any:
        def book(desk: Desk, saga: Any, *, success: bool, result: Any) -> Any:
            amount = saga.card_amount
            done = real(desk, saga, success=success, result=result)
            if done and not success and amount:
                desk.write(rec.CreditGranted(amount=amount, reason="card", by="bug"))
            return done

        return book

    soil.wrap(cards, "book_settle", make)


def flag_what_is_certain(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def book(desk: Desk, saga: Any, evidence: Any, **more: Any) -> None:
            desk.flag("payout unknown", saga.vend, saga.ordered)
            real(desk, saga, evidence, **more)

        return book

    soil.wrap(proofs, "book_payout", make)


def miscount_a_coin_type(soil: Soil) -> None:
    """The changer's answer is read one type too low."""

    def lower(data: rec.CoinsDeposited) -> rec.CoinsDeposited:
        coins = tuple((max(0, kind - 1), value, way, n) for kind, value, way, n in data.coins)
        return data.model_copy(update={"coins": coins})

    soil.wrap(Desk, "write", _edits(rec.CoinsDeposited, lower))


def book_bills_paid_as_coins(soil: Soil) -> None:
    """A payout of the recycler is taken out of the tubes' account."""

    def edit(data: rec.PayoutFinished) -> rec.PayoutFinished:
        return data.model_copy(update={"device": "changer"})

    soil.wrap(Desk, "write", _edits(rec.PayoutFinished, edit))


def stack_what_is_recycled(soil: Soil) -> None:
    """A bill in the recycler is believed to be in the stacker."""

    def edit(data: rec.BillStacked) -> rec.BillStacked:
        return data.model_copy(update={"into": "stacker"})

    soil.wrap(Desk, "write", _edits(rec.BillStacked, edit))


def take_pulses_for_the_next_coin_below(soil: Soil) -> None:
    """A group that fits no coin is taken for the largest one that it could be."""

    def make(value_of: Any) -> Any:
        def guess(group: Any, coins: Any) -> int | None:
            return max((v for n, v in coins.items() if n <= group.pulses), default=None)

        return guess

    soil.wrap(pulse_acceptor, "value_of", make)


MUTANTS: Final = (
    Mutant("keep the money of a failed vend", keep_the_money_of_a_failed_vend),
    Mutant("pay every refund twice", pay_every_refund_twice, "none"),
    Mutant("believe the order and not the tubes", believe_the_order_and_not_the_tubes),
    Mutant(
        "take every payout for unpaid after a restart",
        take_every_payout_for_unpaid_after_a_restart,
    ),
    Mutant("claim instead of paying", claim_instead_of_paying, "none"),
    Mutant("forget the claim", forget_the_claim),
    Mutant("claim a coin too little", claim_a_coin_too_little),
    Mutant("pay from the wrong tube", pay_from_the_wrong_tube, "none"),
    Mutant("give too little change", give_too_little_change, "none"),
    Mutant("turn without an intent", turn_without_an_intent, "none"),
    Mutant("act before the commit", act_before_the_commit),
    Mutant("acknowledge before the commit", acknowledge_before_the_commit, link="native"),
    Mutant("go on after a failed commit", go_on_after_a_failed_commit, "disk,kill,power"),
    Mutant("lose the last record of a turn", lose_the_last_record_of_a_turn),
    Mutant("count a repeated coin twice", count_a_repeated_coin_twice),
    Mutant("take a new coin for a repeat", take_a_new_coin_for_a_repeat, "none"),
    Mutant("book every coin into a tube", book_every_coin_into_a_tube, "none"),
    Mutant("explain no difference of the tubes", explain_no_difference_of_the_tubes),
    Mutant("credit no stacked bill", credit_no_stacked_bill, "none"),
    Mutant("credit a returned bill", credit_a_returned_bill),
    Mutant("reset before asking", reset_before_asking),
    Mutant("leave the motor on", leave_the_motor_on, "none"),
    Mutant("turn again after a restart", turn_again_after_a_restart, "kill"),
    Mutant("refund whatever fell before a restart", refund_whatever_fell_before_a_restart, "kill"),
    Mutant("trust the latch after a power cut", trust_the_latch_after_a_power_cut, "power"),
    Mutant("take what nobody saw for delivered", take_what_nobody_saw_for_delivered),
    Mutant("overlook a drop", overlook_a_drop, "none"),
    Mutant("count no product", count_no_product, "none"),
    Mutant("sell what is too warm", sell_what_is_too_warm, "cabin,climate"),
    Mutant("sell for nothing now and then", sell_for_nothing_now_and_then, "none"),
    Mutant("tell the reader that the vend failed", tell_the_reader_that_the_vend_failed, "none"),
    Mutant("tell the reader that the vend succeeded", tell_the_reader_that_the_vend_succeeded),
    Mutant("never tell the reader", never_tell_the_reader, "none"),
    Mutant("make coins of a card", make_coins_of_a_card),
    Mutant("flag what is certain", flag_what_is_certain, "none"),
    Mutant("miscount a coin type", miscount_a_coin_type, "none"),
    Mutant("book bills paid as coins", book_bills_paid_as_coins),
    Mutant("stack what is recycled", stack_what_is_recycled),
    Mutant("take pulses for the next coin below", take_pulses_for_the_next_coin_below, "pulse"),
    *owners.MUTANTS,
    *policies.MUTANTS,
    *cabinets.MUTANTS,
    *strangers.MUTANTS,
    *lines.MUTANTS,
    *heirs.MUTANTS,
    *rows.MUTANTS,
    *makes.MUTANTS,
    *bills.MUTANTS,
)
