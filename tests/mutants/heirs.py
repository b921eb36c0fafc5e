"""Planted bugs against what is handed on: from a life, or a broken journal, to the next one."""

from __future__ import annotations

from typing import Any, Final

from controller.domain import accounts as acc
from controller.machine.desk import Desk
from controller.ports import DeviceName
from controller.saga import recovery
from controller.state import fold, inherit
from controller.state.saga import Saga
from tests.mutants.planting import Mutant, Soil


def owe_what_fell_before_the_journal_broke(soil: Soil) -> None:
    """A vend that had delivered is earned, and its cash stands in the customer's lots as well."""

    def make(real: Any) -> Any:
        def generous(old: Any, new: Any) -> None:
            for saga in old.sagas.values():
                saga.lots = []
            real(old, new)

        return generous

    soil.wrap(fold, "inherit", make)


def earn_what_a_broken_journal_was_paying_out(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def greedy(old: Any, new: Any) -> None:
            for saga in old.sagas.values():
                owed, saga.owed = saga.owed, 0
                if owed:
                    new.ledger.post(((acc.PAYOUT_OWED, owed), (acc.REVENUE_CASH, -owed)))
            real(old, new)

        return greedy

    soil.wrap(fold, "inherit", make)


def forget_the_card_that_a_broken_journal_had_asked_for(soil: Soil) -> None:
    """No answer is on record, so nothing is owed; but the reader may have approved."""

    def make(real: Any) -> Any:
        def card(saga: Any, new: Any) -> None:
            if saga.intent != "approval":
                real(saga, new)

        return card

    soil.wrap(inherit, "_card", make)


def forget_the_power_cut_that_a_dead_life_heard_of(soil: Soil) -> None:
    """A device says only once that it was reset."""

    def was_reset(desk: Desk, saga: Saga, name: DeviceName) -> bool:
        del saga
        greeting = desk.live.greetings.get(name)
        return greeting is not None and greeting.just_reset

    soil.put(recovery, "_was_reset", was_reset)


MUTANTS: Final = (
    Mutant("owe what fell before the journal broke", owe_what_fell_before_the_journal_broke),
    Mutant("earn what a broken journal was paying out", earn_what_a_broken_journal_was_paying_out),
    Mutant(
        "forget the card that a broken journal had asked for",
        forget_the_card_that_a_broken_journal_had_asked_for,
    ),
    Mutant(
        "forget the power cut that a dead life heard of",
        forget_the_power_cut_that_a_dead_life_heard_of,
    ),
)
