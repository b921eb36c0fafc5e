"""Planted bugs against what owner and law have decided: the money comes out even all the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest

from controller.domain.credit import Credit, Order, Picked
from controller.domain.offers import Offer
from controller.faults import FaultCode
from controller.journal import records as rec
from controller.machine import commands, promises
from controller.machine.cash import CashHandling
from controller.machine.desk import Desk
from controller.machine.keys import Keys
from controller.machine.table import Mode
from controller.ports import AgeAnswer
from controller.saga import age, dispensing, escrow, jackpot, redeem, rights
from controller.state import state, table
from controller.state.climate import ClimateState
from tests.mutants.planting import Mutant, Soil


def _writes(soil: Soil, edit: Any) -> None:
    """Have each record's data changed on its way into the journal; None drops it."""

    def make(write: Any) -> Any:
        def wrong(self: Desk, data: Any, vend_: int | None = None) -> Any:
            edited = edit(data)
            return None if edited is None else write(self, edited, vend_)

        return wrong

    soil.wrap(Desk, "write", make)


def make_cash_of_a_claim_on_a_card(soil: Soil) -> None:
    def edit(data: Any) -> Any:
        if isinstance(data, rec.ClaimRedeemed) and data.tender == "card":
            return data.model_copy(update={"tender": "cash"})
        return data

    _writes(soil, edit)


def pay_out_credit_that_only_buys(soil: Soil) -> None:
    def pick_cash(self: Credit, amount: int | None = None) -> Picked:
        wanted = self.total if amount is None else amount
        picked = self._pick(list(self.lots), wanted, Order.OLDEST)
        assert picked is not None
        return Picked(picked.lots, picked.coins + picked.product, picked.bills)

    soil.put(Credit, "cash", property(lambda self: self.total))
    soil.put(Credit, "pick_cash", pick_cash)


def hold_an_offer_all_day(soil: Soil) -> None:
    soil.put(Offer, "holds", lambda self, local: True)


def sell_to_whoever_proves_no_age(soil: Soil) -> None:
    soil.put(age, "missing", lambda desk, selection: False)


def take_a_refusal_for_a_proof_of_age(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def answered(desk: Desk, asked: Any, result: Any) -> Any:
            told = AgeAnswer.PROVED if result is AgeAnswer.NOT_PROVED else result
            return real(desk, asked, told)

        return answered

    soil.wrap(age, "answered", make)


def sell_on_a_column_at_fault(soil: Soil) -> None:
    soil.put(dispensing, "_COLUMN_FAULTS", {})


def refund_again_and_again(soil: Soil) -> None:
    """No column and no machine is off, however often in a row it gives the money back."""
    soil.put(jackpot, "guard", lambda desk, columns: None)


def turn_no_machine_off_for_its_refunds(soil: Soil) -> None:
    """Each column that refunds too often is off, and the machine goes on with the others."""

    def edit(data: Any) -> Any:
        stops = isinstance(data, rec.FaultRaised) and data.code == FaultCode.MACHINE_REFUNDS
        return None if stops else data

    _writes(soil, edit)


def forget_that_the_power_was_away(soil: Soil) -> None:
    """The health timer starts anew with the power, as if nothing had got warm without it."""

    def make(booted: Any) -> Any:
        def wrong(self: ClimateState, mono_ms: int, last_ms: int | None) -> None:
            booted(self, mono_ms, last_ms)
            for column in self.columns.values():
                column.gap = False

        return wrong

    soil.wrap(ClimateState, "booted", make)


def overrule_the_owner(soil: Soil) -> None:
    """Whoever was perhaps served is charged, whatever the owner has decided."""

    def edit(data: Any) -> Any:
        decided = isinstance(data, rec.DispenseDecided)
        return data.model_copy(update={"policy": "charge"}) if decided else data

    _writes(soil, edit)


def show_no_claim_s_code(soil: Soil) -> None:
    soil.put(promises, "_show", lambda desk, notice: None)


def let_codes_be_guessed(soil: Soil) -> None:
    soil.put(redeem, "paused", lambda desk: False)


def give_a_granted_claim_with_each_answer(soil: Soil) -> None:
    """The fleet says once more that it has granted a claim of another machine."""

    def make(real: Any) -> Any:
        def answered(desk: Desk, told: Any) -> Any:
            asked = desk.live.asked
            answer = real(desk, told)
            if told.answer == "granted":
                desk.live.asked = asked
            return answer

        return answered

    soil.wrap(redeem, "answered", make)


def take_a_grant_and_give_nothing(soil: Soil) -> None:
    _writes(soil, lambda data: None if isinstance(data, rec.ClaimGranted) else data)


def give_a_claim_behind_its_time(soil: Soil) -> None:
    soil.put(redeem, "ASK_S", 300.0)


def give_a_claim_on_a_code_s_word(soil: Soil) -> None:
    """Whatever the fleet says of it, as long as the check digits fit."""

    def make(real: Any) -> Any:
        def answered(desk: Desk, told: Any) -> Any:
            worth = {"amount": told.amount or 100, "machine": "lobby-2"}
            return real(desk, replace(told, answer="granted", **worth))

        return answered

    soil.wrap(redeem, "answered", make)


def give_what_a_command_grants_twice(soil: Soil) -> None:
    """A command that comes again, because its answer was lost, is run again."""

    def make(real: Any) -> Any:
        def grant(desk: Desk, command: Any, by: str) -> Any:
            desk.state.grants.pop(command.id, None)
            return real(desk, command, by)

        return grant

    soil.wrap(rights, "grant", make)


def keep_what_an_app_paid_too_much(soil: Soil) -> None:
    soil.put(rights, "_ask_refund", lambda *_: None)


def book_a_card_s_refund_as_earned(soil: Soil) -> None:
    """Held becomes revenue, and the acquirer is expected to pay what went back."""
    soil.wrap(rec.SettleFinished, "postings", _earned)


def _earned(real: Any) -> Any:
    def postings(self: rec.SettleFinished) -> Any:
        gone = not self.success and self.outcome in rec.REFUNDED
        return real(self.model_copy(update={"success": True}) if gone else self)

    return postings


def forget_credit_while_its_customer_keys(soil: Soil) -> None:
    """The owner's time runs from the last coin, whatever its customer does."""

    def make(pressed: Any) -> Any:
        def wrong(self: Keys, key: str) -> None:
            with pytest.MonkeyPatch.context() as deaf:
                deaf.setattr(Desk, "credit_is_new", lambda _: None)
                pressed(self, key)

        return wrong

    soil.wrap(Keys, "pressed", make)


def take_one_age_for_another(soil: Soil) -> None:
    """Who has proved any age has proved all."""

    def missing(desk: Desk, selection: str) -> bool:
        proved, until = desk.live.age_proved
        holds = proved > 0 and (desk.now < until or desk.live.basket.buying)
        return desk.planogram.min_age(selection) > 0 and not holds

    soil.put(age, "missing", missing)


def overlook_that_a_card_takes_nothing_back(soil: Soil) -> None:
    """A reader that can refund is asked before the bill beside it is stacked, whatever the card."""

    def make(real: Any) -> Any:
        def first(desk: Desk, reader: Any) -> bool:
            told, desk.live.session_refundable = desk.live.session_refundable, None
            try:
                return bool(real(desk, reader))
            finally:
                desk.live.session_refundable = told

        return first

    soil.wrap(escrow, "stacked_first", make)


def take_coins_for_the_operator_s_behind_a_visit(soil: Soil) -> None:
    """A technician had the slot take coins for the operator; nobody ends that when they leave."""

    def make(real: Any) -> Any:
        def coins(self: CashHandling, report: Any) -> None:
            desk = self._desk
            mode, desk.mode = desk.mode, Mode.SERVICE if desk.live.fill_mode else desk.mode
            try:
                real(self, report)
            finally:
                desk.mode = mode

        return coins

    def stays(real: Any) -> Any:
        def leave(desk: Desk, by: str) -> Any:
            on = desk.live.fill_mode
            answer = real(desk, by)
            desk.live.fill_mode = on
            return answer

        return leave

    soil.wrap(commands, "_leave_service", stays)
    soil.wrap(CashHandling, "coins", make)


def forget_that_the_recycler_was_emptied(soil: Soil) -> None:
    """Its money is booked as taken, and its bills are believed to be there."""
    folds = table.FOLDS
    real = folds[rec.CashCollected.type]

    def collected(s: Any, r: Any, d: Any) -> None:
        held = dict(s.recycler)
        real(s, r, d)
        s.recycler = held

    soil.put(state, "FOLDS", {**folds, rec.CashCollected.type: collected})


MUTANTS: Final = (
    Mutant("make cash of a claim on a card", make_cash_of_a_claim_on_a_card),
    Mutant("pay out credit that only buys", pay_out_credit_that_only_buys),
    Mutant("hold an offer all day", hold_an_offer_all_day),
    Mutant("sell to whoever proves no age", sell_to_whoever_proves_no_age),
    Mutant("take a refusal for a proof of age", take_a_refusal_for_a_proof_of_age),
    Mutant("sell on a column at fault", sell_on_a_column_at_fault),
    Mutant("refund again and again", refund_again_and_again),
    Mutant("turn no machine off for its refunds", turn_no_machine_off_for_its_refunds),
    Mutant("forget that the power was away", forget_that_the_power_was_away, "power"),
    Mutant("overrule the owner", overrule_the_owner, "power"),
    Mutant("show no claim's code", show_no_claim_s_code),
    Mutant("let codes be guessed", let_codes_be_guessed),
    Mutant("give what a command grants twice", give_what_a_command_grants_twice),
    Mutant("give a granted claim with each answer", give_a_granted_claim_with_each_answer),
    Mutant("take a grant and give nothing", take_a_grant_and_give_nothing),
    Mutant("give a claim behind its time", give_a_claim_behind_its_time),
    Mutant("give a claim on a code's word", give_a_claim_on_a_code_s_word),
    Mutant("keep what an app paid too much", keep_what_an_app_paid_too_much, "none"),
    Mutant("book a card's refund as earned", book_a_card_s_refund_as_earned),
    Mutant("forget credit while its customer keys", forget_credit_while_its_customer_keys),
    Mutant("take one age for another", take_one_age_for_another),
    Mutant("overlook that a card takes nothing back", overlook_that_a_card_takes_nothing_back),
    Mutant(
        "take coins for the operator's behind a visit",
        take_coins_for_the_operator_s_behind_a_visit,
        "none",
    ),
    Mutant("forget that the recycler was emptied", forget_that_the_recycler_was_emptied, "none"),
)
