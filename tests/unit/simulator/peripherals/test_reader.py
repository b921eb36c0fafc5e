"""The card reader: requests, outcomes, and who is charged in the end."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from simulator.bench import MdbBench
from simulator.conversation import ScriptedMaster
from simulator.peripherals.reader_settings import (
    Card,
    ReaderSettings,
    ReaderState,
)
from simulator.truth import AuthState
from tests.unit.simulator.peripherals.reader_kit import (
    CANCEL,
    COMPLETE,
    FAILURE,
    REQUEST,
    SUCCESS,
    approved,
    only,
    session,
    tell,
)


def test_success_charges_the_customer() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        bench.truth.customer = "ann"
        card = await approved(bench, master)
        assert await master.ask(SUCCESS) == b""
        assert only(bench) is AuthState.CAPTURED
        assert await master.ask(COMPLETE) == b""
        assert await master.ask("12") == b"\x07"
        assert bench.reader.state is ReaderState.ENABLED
        assert card.balance == 1880
        assert bench.truth.accounts["ann"].charged == 120

    tell(story)


def test_failure_gives_the_money_back_and_polls_are_silent_meanwhile() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        card = await approved(bench, master)
        assert await master.ask(FAILURE) == b""
        assert await master.ask("12") is None
        assert await master.ask(FAILURE) is None, "busy"
        await asyncio.sleep(0.5)
        assert await master.ask("12") == b""
        assert only(bench) is AuthState.REFUNDED
        assert card.balance == 2000
        assert await master.ask(COMPLETE) == b""
        assert await master.ask("12") == b"\x07"

    tell(story)


@pytest.mark.parametrize(
    ("fault", "settings", "card", "poll", "ends"),
    [
        ("error", ReaderSettings(), Card("card"), b"\x0a\xc1", AuthState.CAPTURED),
        ("", ReaderSettings(can_refund=False), Card("card"), b"", AuthState.CAPTURED),
        ("", ReaderSettings(), Card("card", refundable=False), b"\x0a\xc1", AuthState.CAPTURED),
        ("silent", ReaderSettings(), Card("card"), None, AuthState.CAPTURED),
        ("silent_paid", ReaderSettings(), Card("card"), None, AuthState.REFUNDED),
    ],
)
def test_a_refund_that_fails_leaves_the_charge(
    fault: str, settings: ReaderSettings, card: Card, poll: bytes | None, ends: AuthState
) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await approved(bench, master, replace(card))
        bench.reader.faults.refund = fault
        await master.ask(FAILURE)
        await asyncio.sleep(30)
        assert await master.ask("12") == poll
        await master.ask("10")
        assert only(bench) is ends

    tell(story, settings)


@pytest.mark.parametrize(
    "card",
    [Card("card", decline=True), Card("card", balance=100)],
    ids=["declined by the issuer", "too little on it"],
)
def test_a_denied_request_costs_nothing(card: Card) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        mine = replace(card)
        await session(bench, master, mine)
        await master.ask(REQUEST)
        assert await master.ask("12") == b"", "it takes its time"
        await asyncio.sleep(2)
        assert await master.ask("12") == b"\x06"
        assert bench.reader.state is ReaderState.IDLE
        assert only(bench) is AuthState.DECLINED
        assert mine.balance == card.balance

    tell(story)


def test_denials_can_be_planted() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        bench.reader.faults.declines = 1
        await master.ask(REQUEST)
        await asyncio.sleep(2)
        assert await master.ask("12") == b"\x06"
        await master.ask(REQUEST)
        await asyncio.sleep(2)
        assert await master.ask("12") == bytes.fromhex("05 00 78")

    tell(story)


def test_the_card_may_cost_more_or_less_than_the_price() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master, Card("student", balance=2000, discount_percent=25))
        await master.ask(REQUEST)
        await asyncio.sleep(2)
        assert await master.ask("12") == bytes.fromhex("05 00 5A")
        await master.ask(SUCCESS)
        assert bench.truth.totals().card_captured == 90

    tell(story)


def test_a_token_is_approved_without_an_amount() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master, Card("token", token=True))
        await master.ask(REQUEST)
        await asyncio.sleep(2)
        assert await master.ask("12") == bytes.fromhex("05 FF FF")

    tell(story)


def test_a_cancelled_request_is_denied_and_costs_nothing() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        card = await session(bench, master)
        await master.ask(REQUEST)
        assert await master.ask(CANCEL) == b""
        assert await master.ask("12") == b"\x06"
        assert only(bench) is AuthState.CANCELLED
        await asyncio.sleep(5)
        assert await master.ask("12") == b""
        assert card.balance == 2000

    tell(story)


def test_a_cancel_between_decision_and_telling_takes_the_money_back() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        card = await session(bench, master)
        await master.ask(REQUEST)
        await asyncio.sleep(2)
        assert bench.reader.approved
        assert await master.ask(CANCEL) == b""
        assert await master.ask("12") == b"\x06"
        assert only(bench) is AuthState.REFUNDED
        assert card.balance == 2000

    tell(story)


def test_a_cancel_after_the_approval_was_told_comes_too_late() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        await master.ask(REQUEST)
        await asyncio.sleep(2)
        assert await master.ask("12", ack=False) == bytes.fromhex("05 00 78")
        await asyncio.sleep(0.1)
        assert await master.ask(CANCEL) == b""
        assert await master.ask("12") == bytes.fromhex("05 00 78 0B 05")
        assert only(bench) is AuthState.APPROVED

    tell(story)


@pytest.mark.parametrize("how", ["reset", "break", "self", "power"])
def test_a_reset_in_any_form_charges_an_approved_vend(how: str) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        card = await approved(bench, master)
        if how == "reset":
            assert await master.ask("10") == b""
        elif how == "break":
            bench.break_bus()
        elif how == "self":
            bench.reader.self_reset()
        else:
            bench.power_off()
            bench.power_on()
        assert only(bench) is AuthState.CAPTURED
        assert card.balance == 1880
        await asyncio.sleep(0.5)
        assert await master.ask("12") == b"\x00"
        assert bench.reader.state is ReaderState.INACTIVE

    tell(story)


@pytest.mark.parametrize(("wait", "ends"), [(0.1, AuthState.CANCELLED), (2.0, AuthState.REFUNDED)])
def test_a_reset_before_the_approval_was_told_charges_nothing(wait: float, ends: AuthState) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        card = await session(bench, master)
        await master.ask(REQUEST)
        await asyncio.sleep(wait)
        await master.ask("10")
        assert only(bench) is ends
        assert card.balance == 2000

    tell(story)


@pytest.mark.parametrize(("how", "ends"), [("reset", "refunded"), ("power", "captured")])
def test_a_running_refund_is_completed_by_reset_and_lost_with_power(how: str, ends: str) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await approved(bench, master)
        await master.ask(FAILURE)
        if how == "reset":
            await master.ask("10")
        else:
            bench.power_off()
        assert only(bench).value == ends

    tell(story)


def test_an_approval_without_outcome_may_be_taken_back_and_a_late_success_is_free() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        card = await approved(bench, master)
        await asyncio.sleep(121)
        assert only(bench) is AuthState.REFUNDED
        assert await master.ask(SUCCESS) == b""
        assert await master.ask("12") == b""
        assert card.balance == 2000

    tell(story, ReaderSettings(approval_timeout_s=120))


def test_session_complete_in_place_of_the_outcome() -> None:
    async def strict(bench: MdbBench, master: ScriptedMaster) -> None:
        await approved(bench, master)
        assert await master.ask(COMPLETE) == b""
        assert await master.ask("12") == b"\x0b\x05"
        assert only(bench) is AuthState.APPROVED

    async def lenient(bench: MdbBench, master: ScriptedMaster) -> None:
        await approved(bench, master)
        assert await master.ask(COMPLETE) == b""
        assert await master.ask("12") == b"\x07"
        assert only(bench) is AuthState.REFUNDED

    tell(strict)
    tell(lenient, ReaderSettings(complete_cancels=True))
