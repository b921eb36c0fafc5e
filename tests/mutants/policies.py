"""Planted bugs against policies, promises and orders that the money's sum says nothing of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from typing import Any, Final

from controller.app import assembly
from controller.domain import climate, offers, rights
from controller.journal import opening
from controller.journal import records as rec
from controller.journal.errors import JournalMissingError
from controller.machine import effects as fx
from controller.machine import health, keys, screen, selling
from controller.machine.cash import CashHandling
from controller.machine.desk import Desk
from controller.machine.performing import Performer
from controller.machine.runner import Machine
from controller.ports import DeviceName
from controller.saga import escrow, give_back, proofs, redeem, revalue, vend
from controller.saga import rights as promised
from controller.state import state, table
from controller.state.remote import Remote
from drivers.cctalk import events
from drivers.gpio.pulse_train import PulseTrain
from drivers.mdb import scheduler
from tests.mutants.planting import Mutant, Soil

EARLY: Final = (
    fx.Payout, fx.StackBill, fx.ReturnBill, fx.RequestApproval, fx.CancelApproval, fx.Settle,
)  # fmt: skip


def _folds(soil: Soil, kind: type[Any], make: Callable[[Any], Any]) -> None:
    """Replace how the state takes a record in."""
    folds = table.FOLDS
    soil.put(state, "FOLDS", {**folds, kind.type: make(folds[kind.type])})


def _with_policy(soil: Soil, owner: Any, name: str, **other: Any) -> None:
    """Have a method go by another policy than the owner's."""

    def make(real: Any) -> Any:
        def wrong(self: Any, *args: Any, **named: Any) -> Any:
            desk = getattr(self, "_desk", self)
            wanted = desk.policy
            desk.policy = replace(wanted, **other)
            try:
                return real(self, *args, **named)
            finally:
                desk.policy = wanted

        return wrong

    soil.wrap(owner, name, make)


# --------------------------------------------------------------------------- credit and change


def leave_the_change_in_the_machine(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def returns(desk: Desk, saga: Any) -> bool:
            return not (saga.kind == "vend" and saga.dispensed) and bool(real(desk, saga))

        return returns

    soil.wrap(give_back, "_returns_credit", make)


def keep_a_failed_vend_s_money_as_credit(soil: Soil) -> None:
    """As if every owner wanted it so."""

    def make(real: Any) -> Any:
        def returns(desk: Desk, saga: Any) -> bool:
            failed = saga.kind == "vend" and not saga.dispensed
            return not failed and bool(real(desk, saga))

        return returns

    soil.wrap(give_back, "_returns_credit", make)


def forget_what_a_basket_left(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def closed(s: Any, r: Any, d: Any) -> None:
            real(s, r, d)
            s.basket_due = False

        return closed

    _folds(soil, rec.VendClosed, make)


def sell_what_nobody_can_give_change_on(soil: Soil) -> None:
    soil.put(vend, "can_change", lambda amount, available: True)


def pay_the_owner_s_reserve(soil: Soil) -> None:
    _with_policy(soil, Desk, "coins", tubes_kept=())


def take_any_credit(soil: Soil) -> None:
    for owner, name in (
        (screen.Acceptor, "_coins_taken"),
        (screen.Acceptor, "_bills_taken"),
        (CashHandling, "_refuses"),
    ):
        _with_policy(soil, owner, name, max_credit=1_000_000)


def give_any_change_on_a_bill(soil: Soil) -> None:
    _with_policy(soil, Desk, "_payable", max_change=20_000)


def give_money_back_without_a_try(soil: Soil) -> None:
    _with_policy(soil, keys.Keys, "cancel", must_vend=False)


def forget_to_forget_credit(soil: Soil) -> None:
    soil.put(CashHandling, "credit_timed_out", lambda self: None)


def have_every_bill_wait(soil: Soil) -> None:
    soil.put(escrow, "waits", lambda desk, credit: True)


def ask_a_reader_that_can_t_refund_first(soil: Soil) -> None:
    soil.put(escrow, "stacked_first", lambda desk, reader: False)


# ------------------------------------------------------------------------------ what it costs


def take_the_percentage_for_what_is_left(soil: Soil) -> None:
    def price(self: offers.Offer, price: int) -> int:
        left = price * self.percent // 100
        return left - left % self.step

    soil.put(offers.Offer, "price", price)


def tell_the_hour_in_greenwich(soil: Soil) -> None:
    """Report days cut in the wrong time zone (a fork's fault history)."""

    def make(real: Any) -> Any:
        def at(self: offers.Offers, utc_ms: int) -> Any:
            return real(replace(self, zone=UTC), utc_ms)

        return at

    soil.wrap(offers.Offers, "at", make)


# ---------------------------------------------------------------------- promises and orders


def let_a_grant_buy_anything(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def best(all_: Any, column: str, tokens_buy: frozenset[str]) -> Any:
            bound = next((r for r in all_ if r.kind != "token" and r.column and not r.vend), None)
            return bound or real(all_, column, tokens_buy)

        return lambda rights, column, tokens_buy: best(list(rights), column, tokens_buy)

    soil.wrap(rights, "best", make)


def let_no_grant_end(soil: Soil) -> None:
    soil.put(promised, "_late", lambda desk, right: False)
    soil.put(promised, "timed_out", lambda desk, seq: None)


def give_equal_claims_one_code(soil: Soil) -> None:
    def make(real: Any) -> Any:
        return lambda key, machine, seq, amount: real(key, machine, 0, amount)

    soil.wrap(assembly, "mint", make)


def end_the_pause_with_a_restart(soil: Soil) -> None:
    def paused(desk: Desk) -> bool:
        until = desk.live.codes_paused_until or 0.0
        desk.live.codes_paused_until = until
        return desk.now < until

    soil.put(redeem, "paused", paused)


def sell_while_locked(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def blind(desk: Desk, other: Any) -> Any:
            orders = desk.state.orders
            lock, orders.lock = orders.lock, None
            try:
                return real(desk, other)
            finally:
                orders.lock = lock

        return blind

    soil.wrap(selling, "blocked", make)
    soil.wrap(selling, "settle_mode", make)


def run_what_was_superseded(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def started(self: Remote, record: Any, data: Any) -> None:
            real(self, record, data)
            self.counters.clear()

        return started

    soil.wrap(Remote, "started", make)


# --------------------------------------------------------------------- devices, disk, visits


def tell_devices_before_the_intent_is_durable(soil: Soil) -> None:
    """Only what moves money: motors wait."""
    machines: dict[int, Machine] = {}

    def begun(real: Any) -> Any:
        def init(self: Machine, *args: Any, **named: Any) -> None:
            real(self, *args, **named)
            machines[id(self.desk)] = self

        return init

    def doing(real: Any) -> Any:
        def do(self: Desk, effect: Any) -> None:
            machine = machines.get(id(self))
            if machine is not None and isinstance(effect, EARLY):
                machine._begin(effect)
            else:
                real(self, effect)

        return do

    soil.wrap(Machine, "__init__", begun)
    soil.wrap(Desk, "do", doing)


def start_the_compressor_at_once(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def off(plan: Any, cooling: Any, cooler: Any, *more: Any) -> Any:
            return real(plan, replace(cooling, min_off_s=0.0), cooler, *more)

        return off

    soil.wrap(climate, "_while_off", make)


def forget_the_bills_that_staff_took(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def collected(s: Any, r: Any, d: Any) -> None:
            real(s, r, d)
            s.stacker += d.bills_taken

        return collected

    _folds(soil, rec.CashCollected, make)


def take_a_deleted_journal_for_a_first_start(soil: Soil) -> None:
    def make(real: Any) -> Any:
        async def locate(storage: Any) -> Any:
            try:
                return await real(storage)
            except JournalMissingError:
                return None

        return locate

    soil.wrap(opening, "locate", make)


def count_events_in_steps_of_256(soil: Soil) -> None:
    """Behind 255 comes 1, not 0."""
    soil.put(events, "steps_between", lambda last, now: (now - last) % 256)


def take_two_pulsed_coins_for_one(soil: Soil) -> None:
    def make(init: Any) -> Any:
        def patient(self: PulseTrain, shape: Any, now_s: float, *, active: bool) -> None:
            init(self, replace(shape, gap_s=3 * shape.gap_s), now_s, active=active)

        return patient

    soil.wrap(PulseTrain, "__init__", make)


def book_what_is_found_as_the_operator_s(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def book(desk: Desk, counted: Any, cause: str) -> None:
            real(desk, counted, "fill" if cause in ("boot", "check") else cause)

        return book

    soil.wrap(proofs, "book_tubes", make)


def tell_the_wrong_reader_that_its_session_is_over(soil: Soil) -> None:
    other = {DeviceName.CASHLESS1: DeviceName.CASHLESS2, DeviceName.CASHLESS2: DeviceName.CASHLESS1}

    def make(real: Any) -> Any:
        async def perform(self: Performer, effect: Any) -> Any:
            if isinstance(effect, fx.EndSession) and other[effect.device] in self.devices():
                effect = replace(effect, device=other[effect.device])
            return await real(self, effect)

        return perform

    soil.wrap(Performer, "_card", make)


def let_the_health_timer_run_half_a_minute_longer(soil: Soil) -> None:
    soil.wrap(
        health,
        "due_s",
        lambda real: lambda rule, since_s, served: 30.0 + real(rule, since_s, served),
    )


def take_a_loaded_card_for_a_refusal(soil: Soil) -> None:
    """The card has it, and it is credit again."""

    def make(real: Any) -> Any:
        def book(desk: Desk, saga: Any, outcome: Any, detail: str = "") -> None:
            real(desk, saga, "denied" if outcome == "approved" else outcome, detail)

        return book

    soil.wrap(revalue, "book", make)


def acknowledge_however_late(soil: Soil) -> None:
    """An answer's record is waited for as long as it takes, and then its ACK is sent."""
    soil.put(scheduler, "ACK_BUDGET_S", 0.5)


MUTANTS: Final = (
    Mutant("leave the change in the machine", leave_the_change_in_the_machine, "none"),
    Mutant("keep a failed vend's money as credit", keep_a_failed_vend_s_money_as_credit),
    Mutant("forget what a basket left", forget_what_a_basket_left),
    Mutant("sell what nobody can give change on", sell_what_nobody_can_give_change_on),
    Mutant("pay the owner's reserve", pay_the_owner_s_reserve),
    Mutant("take any credit", take_any_credit, "none"),
    Mutant("give any change on a bill", give_any_change_on_a_bill),
    Mutant("give money back without a try", give_money_back_without_a_try),
    Mutant("forget to forget credit", forget_to_forget_credit),
    Mutant("have every bill wait", have_every_bill_wait),
    Mutant("ask a reader that can't refund first", ask_a_reader_that_can_t_refund_first),
    Mutant("take the percentage for what is left", take_the_percentage_for_what_is_left),
    Mutant("tell the hour in Greenwich", tell_the_hour_in_greenwich),
    Mutant("let a grant buy anything", let_a_grant_buy_anything),
    Mutant("let no grant end", let_no_grant_end, "none"),
    Mutant("give equal claims one code", give_equal_claims_one_code),
    Mutant("end the pause with a restart", end_the_pause_with_a_restart),
    Mutant("sell while locked", sell_while_locked),
    Mutant("run what was superseded", run_what_was_superseded),
    Mutant("tell devices before the intent", tell_devices_before_the_intent_is_durable),
    Mutant("start the compressor at once", start_the_compressor_at_once),
    Mutant("forget the bills that staff took", forget_the_bills_that_staff_took),
    Mutant("take a deleted journal for a first start", take_a_deleted_journal_for_a_first_start),
    Mutant("count events in steps of 256", count_events_in_steps_of_256),
    Mutant("take two pulsed coins for one", take_two_pulsed_coins_for_one, "pulse"),
    Mutant("book what is found as the operator's", book_what_is_found_as_the_operator_s),
    Mutant(
        "tell the wrong reader that its session is over",
        tell_the_wrong_reader_that_its_session_is_over,
    ),
    Mutant("acknowledge however late", acknowledge_however_late, "disk", link="native"),
    Mutant(
        "let the health timer run half a minute longer",
        let_the_health_timer_run_half_a_minute_longer,
        "cabin,climate",
    ),
    Mutant("take a loaded card for a refusal", take_a_loaded_card_for_a_refusal),
)
