"""The card reader: sessions, requests, outcomes, and who is charged in the end."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from simulator.bench import BenchSettings, MdbBench
from simulator.conversation import ScriptedMaster, Story, run_story
from simulator.peripherals.reader_settings import (
    ALL_AT_ONCE,
    OPTION_DATA_ENTRY,
    OPTION_NEGATIVE_VEND,
    AtOnce,
    Card,
    ReaderSettings,
    ReaderState,
    WrongMoment,
)
from simulator.truth import AuthState

REQUEST = "13 00 00 78 00 07"  # 1.20, item 7
SUCCESS = "13 02 00 07"
FAILURE = "13 03"
COMPLETE = "13 04"
CANCEL = "13 01"


def tell(story: Story, settings: ReaderSettings | None = None) -> None:
    run_story(story, BenchSettings(readers=(settings or ReaderSettings(),)))


async def ready(
    bench: MdbBench, master: ScriptedMaster, *, level: int = 3, options: int = 0
) -> None:
    """Initialise and enable the reader."""
    assert await master.ask("12") == b"\x00"
    assert await master.ask(f"11 00 {level:02X} 14 02 01") == b""
    config = await master.ask("12")
    assert config is not None
    assert config[0] == 1
    assert await master.ask("11 01 FF FF 00 00") == b""
    if options:
        assert await master.ask(f"17 04 {options:08X}") == b""
    assert await master.ask("14 01") == b""
    assert bench.reader.state is ReaderState.ENABLED


async def session(bench: MdbBench, master: ScriptedMaster, card: Card | None = None) -> Card:
    """Bring the reader into a session."""
    card = card or Card("card", balance=2000)
    await ready(bench, master)
    assert bench.reader.present_card(card)
    await asyncio.sleep(1)
    begin = await master.ask("12")
    assert begin is not None
    assert begin[0] == 3
    assert bench.reader.state is ReaderState.IDLE
    return card


async def approved(bench: MdbBench, master: ScriptedMaster, card: Card | None = None) -> Card:
    """Bring the reader into a vend that it has approved."""
    card = await session(bench, master, card)
    assert await master.ask(REQUEST) == b""
    await asyncio.sleep(2)
    assert await master.ask("12") == bytes.fromhex("05 00 78")
    assert bench.reader.approved
    return card


def only(bench: MdbBench) -> AuthState:
    (entry,) = bench.truth.authorisations.values()
    return entry.state


# -- the way of a vend ------------------------------------------------------------------------


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


# -- what ends an approved vend besides its outcome -------------------------------------------


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


# -- states, levels, forms --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "reader", "begin", "out_of_sequence", "identity"),
    [
        (1, 3, "03 07 D0", "0B", 30),
        (3, 1, "03 07 D0", "0B", 30),
        (2, 3, "03 07 D0 00 12 34 56 00 00 00", "0B 03", 30),
        (3, 2, "03 07 D0 00 12 34 56 00 00 00", "0B 03", 30),
        (3, 3, "03 07 D0 00 12 34 56 00 00 00", "0B 03", 34),
    ],
)
def test_the_lower_of_both_levels_shapes_the_messages(
    level: int, reader: int, begin: str, out_of_sequence: str, identity: int
) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master, level=level)
        await master.ask("17 00" + " 20" * 29)
        name = await master.ask("12")
        assert name is not None
        assert len(name) == identity
        assert await master.ask("13 03") == b""
        assert await master.ask("12") == bytes.fromhex(out_of_sequence)
        bench.reader.present_card(Card("card", balance=2000, media_id=0x00123456))
        await asyncio.sleep(1)
        assert await master.ask("12") == bytes.fromhex(begin)

    tell(story, ReaderSettings(level=reader))


def test_some_readers_send_the_long_identity_at_any_level() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master, level=2)
        await master.ask("17 00" + " 20" * 29)
        name = await master.ask("12")
        assert name is not None
        assert len(name) == 34

    tell(story, ReaderSettings(long_id_always=True))


@pytest.mark.parametrize(
    ("card", "funds"),
    [
        (Card("card"), "FF FF"),
        (Card("card", balance=2000, show_balance=False), "FF FF"),
        (Card("card", balance=1_000_000), "FF FE"),
    ],
)
def test_funds_that_are_not_known_or_too_large(card: Card, funds: str) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.reader.present_card(replace(card))
        await asyncio.sleep(1)
        begin = await master.ask("12")
        assert begin is not None
        assert begin[1:3] == bytes.fromhex(funds)

    tell(story)


def test_a_reader_takes_no_card_before_it_is_enabled_or_while_it_is_disabled() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        assert not bench.reader.present_card(Card())
        await ready(bench, master)
        await master.ask("14 00")
        assert bench.reader.state is ReaderState.DISABLED
        assert not bench.reader.present_card(Card())
        await master.ask("14 01")
        bench.reader.faults.dead = True
        assert not bench.reader.present_card(Card())
        bench.reader.faults.dead = False
        assert bench.reader.present_card(Card())
        assert not bench.reader.present_card(Card()), "one at a time"

    tell(story)


def test_a_disable_before_the_session_was_told_drops_it() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.reader.present_card(Card())
        await asyncio.sleep(1)
        await master.ask("14 00")
        assert await master.ask("12") == b""
        assert bench.reader.state is ReaderState.DISABLED

    tell(story)


def test_a_disable_in_a_session_takes_effect_at_its_end() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        assert await master.ask("14 00") == b""
        await master.ask(REQUEST)
        await asyncio.sleep(2)
        assert await master.ask("12") == bytes.fromhex("05 00 78")
        await master.ask(SUCCESS)
        await master.ask(COMPLETE)
        assert await master.ask("12") == b"\x07"
        assert bench.reader.state is ReaderState.DISABLED

    tell(story)


def test_reader_cancel_is_answered_with_cancelled() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        assert await master.ask("14 02") == b""
        assert await master.ask("12") == b"\x08"

    tell(story)


def test_a_reader_may_answer_at_once() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        assert await master.ask("12") == b"\x00"
        config = await master.ask("11 00 03 00 00 00")
        assert config is not None
        assert config[0] == 1
        await master.ask("11 01 FF FF 00 00")
        name = await master.ask("17 00" + " 20" * 29)
        assert name is not None
        assert name[0] == 9
        await master.ask("14 01")
        assert await master.ask("14 02") == b"\x08"
        bench.reader.present_card(Card("card"))
        await asyncio.sleep(1)
        await master.ask("12")
        assert await master.ask("15 01") == bytes.fromhex("0F 13 88")
        assert await master.ask(REQUEST) == bytes.fromhex("05 00 78")
        await master.ask(SUCCESS)
        assert await master.ask(COMPLETE) == b"\x07"

    tell(story, ReaderSettings(at_once=ALL_AT_ONCE, approve_s=0))


def test_data_that_was_not_acknowledged_comes_again_by_poll() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        assert await master.ask(COMPLETE, ack=False) == b"\x07"
        await asyncio.sleep(0.1)
        assert await master.ask("12") == b"\x07"
        assert await master.ask("12") == b""

    tell(story, ReaderSettings(at_once=frozenset({AtOnce.END})))


def test_reset_may_be_answered_with_just_reset() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        assert await master.ask("10") == b"\x00"
        assert await master.ask("12") == b""

    tell(story, ReaderSettings(reset_tells_at_once=True, boot_s=0))


def test_just_reset_stands_alone_in_its_block() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        bench.reader.malfunction(0x51)
        assert await master.ask("12") == b"\x00"
        assert await master.ask("12") == bytes.fromhex("0A 51")

    tell(story)


# -- the wrong moment -------------------------------------------------------------------------


@pytest.mark.parametrize("command", [REQUEST, FAILURE, SUCCESS, CANCEL, "14 00", "15 01"])
def test_commands_at_a_wrong_moment_are_acknowledged_and_reported(command: str) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.ask("12")
        assert await master.ask("11 00 03 00 00 00") == b""
        await master.ask("12")
        assert await master.ask(command) == b""
        assert await master.ask("12") == b"\x0b\x01"

    tell(story)


def test_some_readers_stay_silent_at_a_wrong_moment() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        assert await master.ask(REQUEST) is None
        assert await master.ask("12") == b""

    tell(story, ReaderSettings(wrong_moment=WrongMoment.SILENCE))


def test_an_exchange_whose_data_is_owed_must_not_be_broken() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.ask("12")
        assert await master.ask("11 00 03 00 00 00") == b""
        assert await master.ask("11 00 03 00 00 00") == b"", "a repeat does no harm"
        assert await master.ask("11 01 FF FF 00 00") == b""
        answer = await master.ask("12")
        assert answer is not None
        assert answer[0] == 1
        assert answer[8:] == b"\x0b\x01"
        assert bench.reader.prices is None

    tell(story)


def test_repeats_are_tolerated_or_reported() -> None:
    async def tolerant(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        await master.ask(REQUEST)
        assert await master.ask(REQUEST) == b""
        await asyncio.sleep(2)
        assert await master.ask("12") == bytes.fromhex("05 00 78")
        await master.ask(SUCCESS)
        assert await master.ask(SUCCESS) == b""
        assert await master.ask("12") == b""
        await master.ask(COMPLETE)
        await master.ask("12")
        assert await master.ask(COMPLETE) == b""
        assert await master.ask("12") == b""
        assert bench.truth.totals().card_captured == 120, "counted once"

    async def strict(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        await master.ask(REQUEST)
        assert await master.ask(REQUEST) == b""
        assert await master.ask("12") == b"\x0b\x05"
        await asyncio.sleep(2)
        await master.ask("12")
        await master.ask(SUCCESS)
        assert await master.ask(SUCCESS) == b""
        assert await master.ask("12") == b"\x0b\x04", "already done"
        assert bench.truth.totals().card_captured == 120

    tell(tolerant)
    tell(strict, ReaderSettings(tolerates_repeats=False))


def test_one_vend_a_session_unless_the_reader_does_more() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await approved(bench, master)
        await master.ask(SUCCESS)
        await master.ask(REQUEST)
        await asyncio.sleep(2)
        answer = await master.ask("12")
        assert answer is not None
        assert answer[0] == (5 if bench.reader.settings.multivend else 6)

    tell(story)
    tell(story, ReaderSettings(multivend=True))


# -- always idle ------------------------------------------------------------------------------


def test_always_idle_waits_for_the_card_after_the_request() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master, options=0x20)
        assert bench.reader.always_idle
        assert await master.ask(REQUEST) == b""
        await asyncio.sleep(20)
        assert await master.ask("12") == b""
        bench.truth.customer = "ann"
        assert bench.reader.present_card(Card("ann's", balance=500))
        await asyncio.sleep(2)
        assert await master.ask("12") == bytes.fromhex("05 00 78")
        await master.ask(SUCCESS)
        await master.ask(COMPLETE)
        assert await master.ask("12") == b"\x07"
        (entry,) = bench.truth.authorisations.values()
        assert (entry.customer, entry.card) == ("ann", "ann's")
        assert bench.truth.accounts["ann"].charged == 120

    tell(story)


def test_always_idle_gives_up_when_nobody_comes_and_when_it_is_cancelled() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master, options=0x20)
        await master.ask(REQUEST)
        await asyncio.sleep(121)
        assert await master.ask("12") == b"\x06"
        await master.ask(COMPLETE)
        assert await master.ask("12") == b"\x07"
        await master.ask(REQUEST)
        await master.ask(CANCEL)
        assert await master.ask("12") == b"\x06"
        await master.ask(COMPLETE)
        assert await master.ask("12") == b"\x07"
        assert bench.reader.state is ReaderState.ENABLED

    tell(story)


def test_without_the_option_a_request_belongs_into_a_session() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        assert await master.ask(REQUEST) == b""
        assert await master.ask("12") == b"\x0b\x03"

    tell(story)


def test_an_always_idle_reader_may_begin_a_classic_session_too() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master, options=0x20)
        bench.reader.present_card(Card("card"))
        await asyncio.sleep(1)
        await master.ask(REQUEST)
        assert await master.ask("12") == b"", "the request was quicker than the poll"
        await asyncio.sleep(2)
        assert await master.ask("12") == bytes.fromhex("05 00 78")

    tell(story)


# -- customers --------------------------------------------------------------------------------


def test_the_customer_can_cancel_a_session_but_not_an_approved_vend() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        bench.reader.cancel_session()
        assert await master.ask("12") == b"\x04"
        assert await master.ask("12") == b""
        await master.ask(COMPLETE)
        assert await master.ask("12") == b"\x07"
        bench.reader.present_card(Card("card"))
        await asyncio.sleep(1)
        await master.ask("12")
        await master.ask(REQUEST)
        await asyncio.sleep(2)
        await master.ask("12")
        bench.reader.cancel_session()
        assert await master.ask("12") == b""
        await master.ask(SUCCESS)
        assert await master.ask("12") == b"\x04"

    tell(story)


def test_some_readers_ask_for_the_end_at_each_poll() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        bench.reader.cancel_session()
        for _ in range(3):
            assert await master.ask("12") == b"\x04"
        await master.ask(COMPLETE)
        assert b"\x07" in (await master.ask("12") or b"")
        assert await master.ask("12") == b""

    tell(story, ReaderSettings(cancel_repeats=True))


def test_a_card_pulled_before_the_answer_is_denied() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        card = await session(bench, master)
        await master.ask(REQUEST)
        bench.reader.cancel_session()
        assert await master.ask("12") == b"\x06"
        assert await master.ask("12") == b"\x04"
        assert only(bench) is AuthState.DECLINED
        assert card.balance == 2000

    tell(story)


def test_a_card_taken_away_before_the_session_begins_leaves_nothing() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.reader.present_card(Card("card"))
        bench.reader.cancel_session()
        await asyncio.sleep(1)
        assert await master.ask("12") == b""

    tell(story)


def test_a_session_without_selection_ends_by_itself() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        await asyncio.sleep(119)
        assert await master.ask("12") == b""
        await asyncio.sleep(2)
        assert await master.ask("12") == b"\x04"

    tell(story)


# -- malfunctions and planted faults ----------------------------------------------------------


def test_passing_malfunctions_are_told_once_others_until_they_are_cleared() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.reader.malfunction(0x11)
        assert await master.ask("12") == bytes.fromhex("0A 11")
        assert await master.ask("12") == b""
        bench.reader.malfunction(0x51)
        bench.reader.malfunction(0x51)
        for _ in range(3):
            assert await master.ask("12") == bytes.fromhex("0A 51")
        assert bench.reader.present_card(Card("card"))
        await asyncio.sleep(1)
        answer = await master.ask("12")
        assert answer is not None
        assert answer[0] == 3
        assert answer[-2:] == bytes.fromhex("0A 51"), "it works on"
        bench.reader.clear_malfunction()
        assert await master.ask("12") == b""

    tell(story)


def test_a_reader_that_has_failed_reads_no_card_and_denies() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        await master.ask(REQUEST)
        bench.reader.malfunction(0x80)
        await asyncio.sleep(2)
        assert await master.ask("12") == bytes.fromhex("06 0A 80")
        await master.ask(COMPLETE)
        await master.ask("12")
        assert not bench.reader.present_card(Card())

    tell(story)


def test_several_messages_come_in_one_answer() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        bench.reader.faults.declines = 1
        await master.ask(REQUEST)
        await asyncio.sleep(2)
        bench.reader.malfunction(0x11)
        bench.reader.request_time()
        assert await master.ask("12") == bytes.fromhex("06 0A 11 11")

    tell(story)


@pytest.mark.parametrize("moment", ["request", "approval", "success", "failure", "session"])
@pytest.mark.parametrize("how", ["dies_at", "resets_at"])
def test_a_reader_can_die_or_reset_at_each_moment(moment: str, how: str) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        faults = bench.reader.faults
        faults.dies_for_s = 10
        await ready(bench, master)
        setattr(faults, how, moment)
        bench.reader.present_card(Card("card"))
        await asyncio.sleep(1)
        await master.ask("12")
        await asyncio.sleep(0.5)
        steps = {"session": [], "request": [REQUEST], "approval": [REQUEST, "12"]}
        for step in steps.get(moment, [REQUEST, "12", SUCCESS if moment == "success" else FAILURE]):
            await master.ask(step)
            await asyncio.sleep(2)
        assert getattr(faults, how) == "", "it happened"
        assert await master.ask("12") == (None if how == "dies_at" else b"\x00")
        await asyncio.sleep(10)
        assert await master.ask("12") is not None
        held = moment in ("approval", "success", "failure")
        if held:
            expected = AuthState.APPROVED if how == "dies_at" else AuthState.CAPTURED
            assert only(bench) is expected

    tell(story)


def test_requests_may_stay_without_an_answer_and_ends_without_an_end() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        bench.reader.faults.no_answers = 1
        await master.ask(REQUEST)
        await asyncio.sleep(60)
        assert await master.ask("12") == b""
        await master.ask(CANCEL)
        assert await master.ask("12") == b"\x06"
        bench.reader.faults.no_end = 1
        assert await master.ask(COMPLETE) == b""
        assert await master.ask("12") == b""
        assert await master.ask(COMPLETE) == b""
        assert await master.ask("12") == b"\x07"

    tell(story)


def test_a_reader_may_talk_nonsense() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.reader.faults.out_of_sequence = 1
        assert await master.ask("12") == b"\x0b\x03"
        bench.reader.faults.unasked_ends = 1
        assert await master.ask("12") == b"\x07"
        bench.reader.faults.extra_approve_s = 10
        bench.reader.present_card(Card("card"))
        await asyncio.sleep(1)
        await master.ask("12")
        await master.ask(REQUEST)
        await asyncio.sleep(10)
        assert await master.ask("12") == b""
        await asyncio.sleep(2)
        assert await master.ask("12") == bytes.fromhex("05 00 78")

    tell(story)


# -- the rest ---------------------------------------------------------------------------------


def test_cash_sales_are_kept_for_the_audit() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        assert await master.ask("13 05 00 78 00 07") == b""
        assert list(bench.reader.cash_sales) == [(120, 7)]
        assert bench.reader.state is ReaderState.ENABLED

    async def without(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        assert await master.ask("13 05 00 78 00 07") is None

    tell(story)
    tell(without, ReaderSettings(cash_sale=False))


def test_revalue_puts_money_on_the_card_up_to_the_limit() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        bench.truth.customer = "ann"
        card = await session(bench, master)
        await master.ask("15 01")
        assert await master.ask("12") == bytes.fromhex("0F 13 88")
        await master.ask("15 00 01 F4")
        assert await master.ask("12") == b"\x0d"
        assert card.balance == 2500
        assert bench.truth.totals().card_credited == 500
        assert bench.truth.accounts["ann"].credited == 500
        await master.ask("15 00 FF 00")
        assert await master.ask("12") == b"\x0e"

    async def refused(bench: MdbBench, master: ScriptedMaster) -> None:
        await session(bench, master)
        await master.ask("15 01")
        assert await master.ask("12") == b"\x0e"

    async def level1(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master, level=1)
        assert await master.ask("15 01") is None

    tell(story)
    tell(refused, ReaderSettings(revalue_limit=0))
    tell(level1)


def test_a_product_that_comes_back_credits_the_card_only_on_success() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master, options=OPTION_NEGATIVE_VEND)
        card = Card("card", balance=100)
        bench.reader.present_card(card)
        await asyncio.sleep(1)
        await master.ask("12")
        await master.ask("13 06 00 19 00 07")
        assert await master.ask("12") == bytes.fromhex("05 00 19")
        await master.ask(FAILURE)
        assert card.balance == 100
        await master.ask("13 06 00 19 00 07")
        await master.ask("12")
        await master.ask(SUCCESS)
        assert card.balance == 125

    tell(story, ReaderSettings(options=OPTION_NEGATIVE_VEND))


def test_display_requests_fit_the_machines_display() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        assert not bench.reader.request_display("too early", 1)
        await ready(bench, master)
        assert bench.reader.request_display("Hello", 2.5)
        answer = await master.ask("12")
        assert answer == b"\x02\x19" + b"Hello".ljust(32)

    tell(story)


def test_keys_are_collected_until_the_last_one() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master, options=OPTION_DATA_ENTRY)
        assert bench.reader.request_keys(3)
        assert await master.ask("12") == bytes.fromhex("12 03")
        assert await master.ask("14 03 37 00 00 00 00 00 00 00") == b""
        assert await master.ask("14 03 38 39 00 00 00 00 00 00") == b""
        assert bench.reader.keys == b"789"
        assert bench.reader.request_keys(3)
        await master.ask("12")
        await master.ask("14 03" + " FF" * 8)
        assert bench.reader.keys == b""
        assert bench.reader.request_keys(3)
        bench.reader.cancel_keys()
        assert await master.ask("12") == bytes.fromhex("12 03 13")

    tell(story, ReaderSettings(options=OPTION_DATA_ENTRY))


def test_a_saved_reader_has_charged_what_was_open() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await approved(bench, master)
        fresh = MdbBench(bench.loop)
        fresh.from_state(bench.to_state())
        await asyncio.sleep(0.5)
        assert fresh.truth.totals().card_captured == 120
        assert await ScriptedMaster(fresh).ask("12") == b"\x00"

    tell(story)


def test_malfunctions_can_be_planted_by_name() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.reader.faults.malfunction = 0x11
        assert await master.ask("12") == bytes.fromhex("0A 11")
        assert await master.ask("12") == b""
        bench.reader.faults.malfunction = 0x80
        assert await master.ask("12") == bytes.fromhex("0A 80")
        assert await master.ask("12") == bytes.fromhex("0A 80")
        assert not bench.reader.present_card(Card())
        bench.reader.clear_malfunction()
        assert await master.ask("12") == b""

    tell(story)
