"""Cash goes to the card in the reader: offered, moved, refused, and what nobody can tell."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from config.machine import MachineSettings
from controller.domain import accounts as acc
from simulator.oracles import Allowance
from simulator.peripherals.reader_settings import OPTION_ALWAYS_IDLE
from simulator.plan import WorldPlan, plan_for
from simulator.truth import ESCROW, STACKER
from simulator.world import Link
from tests.scenarios.stage import Stage, play, with_policy

READER, KEY = "cashless1", "C"
BLIND = Allowance(blind=True)


def machine(**policy: Any) -> MachineSettings:
    return with_policy(revalue=True, **policy)


def classic(settings: MachineSettings | None = None, **changes: Any) -> WorldPlan:
    """The demo's devices with a reader that begins its sessions itself."""
    plan = plan_for(settings or machine())
    made = {name: replace(one, options=0, **changes) for name, one in plan.readers.items()}
    return replace(plan, readers=made)


def revalues(scenario: Any, link: Link = "adapter", **more: Any) -> Stage:
    more.setdefault("settings", machine())
    more.setdefault("plan", classic(more["settings"]))
    return play(scenario, link, **more)


async def session(stage: Stage, card: str = "prepaid") -> None:
    """A card is put in, and its reader has told its limit."""
    await stage.until(lambda: stage.world.present_card(card), within_s=30.0)
    await stage.until(lambda: live(stage).session is not None, within_s=30.0)
    await stage.passes(1.0)


async def loads(stage: Stage) -> None:
    """The key is pressed; wait until nothing moves any more."""
    before = len(stage.state.closed)
    stage.press(KEY)
    await stage.until(lambda: len(stage.state.closed) > before)
    await stage.quiet()


def live(stage: Stage) -> Any:
    assert stage.running is not None
    return stage.running.machine.desk.live


def balance(stage: Stage, name: str = "prepaid") -> int | None:
    return stage.world.cards[name].balance


def outcomes(stage: Stage) -> list[str]:
    return [data.outcome for data in stage.records("revalue.finished")]


def receivable(stage: Stage) -> int:
    return stage.state.ledger.balance(acc.CARD_RECEIVABLE)


# ------------------------------------------------------------------------------- as it should


@pytest.mark.parametrize("options", [0, OPTION_ALWAYS_IDLE])
def test_coins_go_to_the_card_by_a_key_and_buy_there(link: Link, options: int) -> None:
    async def scenario(stage: Stage) -> None:
        await session(stage)
        await stage.coins(200, 100)
        await stage.shows("C = load card")
        await loads(stage)
        assert "On your card" in stage.screen
        assert balance(stage) == 1_300
        assert stage.credit == 0
        assert stage.spent == 0  # it is the customer's still
        assert receivable(stage) == -300
        assert stage.last.result == "revalued"
        types = [record.type for record in stage.told]
        assert types.index("revalue.intended") < types.index("revalue.finished")
        await stage.buys("A3")
        assert stage.products == ["cola"]
        assert receivable(stage) == -100

    plan = classic()
    readers = {name: replace(one, options=options) for name, one in plan.readers.items()}
    revalues(scenario, link, plan=replace(plan, readers=readers))


def test_the_session_stays_and_ends_by_the_customer_s_word(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await session(stage)
        await stage.coins(100)
        await loads(stage)
        assert live(stage).session is not None
        await stage.coins(50)
        await stage.shows("C = load card")
        await loads(stage)
        assert balance(stage) == 1_150
        await stage.gives_back_session()

    revalues(scenario, link)


def test_what_is_beyond_the_limit_stays_credit_and_comes_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await session(stage)
        await stage.coins(200, 200)
        await stage.shows("C = load card")
        await loads(stage)
        assert balance(stage) == 1_300
        assert stage.credit == 100
        stage.press("*")
        await stage.until(lambda: not stage.credit and not stage.state.sagas)
        await stage.quiet()
        assert stage.account.returned == 100

    revalues(scenario, link, plan=classic(revalue_limit=300))


def test_a_bill_is_stacked_before_its_worth_goes_to_the_card(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await session(stage)
        assert stage.world.insert_bill(500)
        await stage.until(lambda: stage.state.escrow is not None and stage.state.escrow.waits)
        await stage.shows("C = load card")
        await loads(stage)
        assert stage.world.truth.count(STACKER) == 1
        types = [record.type for record in stage.told]
        assert types.index("bill.stacked") < types.index("revalue.intended")
        assert balance(stage) == 1_500

    revalues(scenario, link, settings=machine(escrow="hold"), plan=classic())


def test_only_bills_up_to_the_limit_come_in(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await session(stage)
        stage.world.insert_bill(1_000)
        await stage.passes(5.0)
        assert stage.account.returned == 1_000
        await stage.gives_back_session()
        await stage.passes(1.0)
        await stage.until(lambda: stage.world.insert_bill(1_000), within_s=10.0)
        await stage.until(lambda: stage.credit == 1_000 or stage.state.escrow is not None)
        await stage.quiet()
        stage.press("*")
        await stage.quiet()

    settings = machine(bill_needs_change=False)
    revalues(scenario, link, settings=settings, plan=classic(settings, revalue_limit=800))


def test_a_bill_that_does_not_get_stacked_does_not_go_to_the_card(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await session(stage)
        stage.breaks("bill", "return_when_stacking", 1)
        assert stage.world.insert_bill(500)
        await stage.until(lambda: stage.state.escrow is not None and stage.state.escrow.waits)
        await stage.passes(0.5)
        await loads(stage)
        assert stage.last.result == "refused"
        assert stage.world.truth.count(ESCROW) == 0
        assert stage.spent == 0
        assert balance(stage) == 1_000

    revalues(scenario, link, settings=machine(escrow="hold"), plan=classic())


# ------------------------------------------------------------------------------------ refused


def test_a_denial_leaves_the_credit_which_comes_back_as_change(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await session(stage)
        await stage.coins(200)
        stage.breaks(READER, "declines", 1)
        await loads(stage)
        assert "Nothing was put" in stage.screen
        assert outcomes(stage) == ["denied"]
        assert stage.credit == 200
        stage.press("*")
        await stage.until(lambda: stage.account.returned == 200)
        await stage.quiet()

    revalues(scenario, link, settings=machine(must_vend=True))


@pytest.mark.parametrize("level", [1, 2])
def test_a_reader_without_it_offers_nothing_and_is_not_reset(link: Link, level: int) -> None:
    async def scenario(stage: Stage) -> None:
        await session(stage)
        await stage.coins(200)
        await stage.passes(2.0)
        assert "load card" not in stage.screen
        stage.press(KEY)
        await stage.shows("Nothing was put")
        assert stage.records("revalue.opened") == []
        await stage.gives_back_session()
        assert stage.world.readers[READER].state.name == "ENABLED"

    revalues(scenario, link, plan=classic(level=level, revalue_limit=0))


def test_by_default_no_key_does_it_and_no_reader_is_asked(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await session(stage)
        await stage.coins(200)
        await stage.passes(1.0)
        stage.press(KEY)
        await stage.shows("No such selection")
        await stage.gives_back_session()

    stage = revalues(scenario, link, settings=with_policy())
    assert not re.search("revalue", " ".join(record.type for record in stage.told))


def test_a_claim_s_credit_never_goes_to_a_card(link: Link) -> None:
    """Card money never becomes other money, nor that of another card."""

    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        stage.breaks(READER, "refund", "error")
        await session(stage)
        await stage.buys("A3")
        code = next(iter(stage.state.claims.values())).code
        await stage.until(lambda: live(stage).session is None)
        await session(stage)
        stage.press("#" + code)
        await stage.until(lambda: stage.credit > 0)
        await stage.passes(2.0)
        assert "load card" not in stage.screen

    revalues(scenario, link)


# ------------------------------------------------------------------------------ out of service


def test_the_reader_s_wish_to_end_the_session_waits_for_the_answer(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await session(stage)
        await stage.coins(200)
        stage.press(KEY)
        await stage.until(lambda: "revalue" in stage.intents)
        stage.world.remove_card()
        stage.press("*")
        await stage.until(lambda: not stage.state.sagas)
        await stage.until(lambda: live(stage).session is None, within_s=30.0)
        await stage.quiet()
        assert outcomes(stage) == ["approved"]
        assert balance(stage) == 1_200

    revalues(scenario, link, plan=classic(revalue_s=2.0))


@pytest.mark.parametrize("moment", ["revalue", "revalued"])
@pytest.mark.parametrize("how", ["dies_at", "resets_at"])
def test_an_answer_that_never_comes_is_presumed_against_ourselves(
    link: Link, how: str, moment: str
) -> None:
    async def scenario(stage: Stage) -> None:
        await session(stage)
        await stage.coins(200)
        stage.breaks(READER, how, moment)
        stage.breaks(READER, "dies_for_s", 60.0)
        await loads(stage)
        assert outcomes(stage) == ["unknown"]
        assert stage.flags == ["revalue unknown"]
        assert stage.claimed == 200
        assert [c.tender for c in stage.state.claims.values()] == ["cash"]
        assert all(c.flagged for c in stage.state.claims.values())
        assert stage.credit == 0
        assert balance(stage) == (1_200 if moment == "revalued" else 1_000)

    done = Allowance(blind=True)
    revalues(scenario, link, allowance=done)


def test_a_reader_that_acknowledges_and_never_answers(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await session(stage)
        await stage.coins(200)
        stage.breaks(READER, "no_answers", 1)
        await loads(stage)
        assert outcomes(stage) == ["unknown"]
        assert stage.claimed == 200
        assert balance(stage) == 1_000

    revalues(scenario, link, allowance=BLIND)


def test_an_answer_that_comes_behind_the_claim_is_on_record_for_whoever_looks(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await session(stage)
        await stage.coins(200)
        stage.breaks(READER, "extra_approve_s", 3.0)
        stage.press(KEY)
        await stage.until(lambda: bool(stage.records("revalue.intended")))
        await stage.passes(1.0)
        stage.breaks(READER, "mute_s", 23.0)
        await stage.until(lambda: not stage.state.sagas)
        assert stage.claimed == 200
        await stage.until(lambda: bool(stage.records("revalue.heard")), within_s=60.0)
        await stage.kill()
        await stage.opens()
        assert [data.approved for data in stage.records("revalue.heard")] == [True]
        await stage.quiet()
        assert (stage.claimed, stage.credit, balance(stage)) == (200, 0, 1_200)

    revalues(scenario, link, allowance=BLIND)


def test_a_request_that_was_not_heard_leaves_the_credit(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await session(stage)
        await stage.coins(200)
        assert stage.running is not None

        def deafens(records: list[Any]) -> None:
            if any(record.type == "revalue.intended" for record in records):
                stage.breaks(READER, "silent_commands", 3)  # polls among them

        stage.running.machine.on_commit.append(deafens)
        stage.press(KEY)
        await stage.until(lambda: "revalue" in stage.intents)
        stage.running.machine.on_commit.remove(deafens)
        await stage.until(lambda: not stage.state.sagas)
        await stage.quiet()
        assert outcomes(stage) == ["not_sent"]
        assert stage.credit == 200
        assert stage.flags == []
        await loads(stage)
        assert balance(stage) == 1_200

    revalues(scenario, link)


# -------------------------------------------------------------------------------------- kills


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.2, 0.45, 0.6])
def test_killed_while_the_reader_is_asked(link: Link, after_s: float) -> None:
    """The native link hears it again; an adapter has acknowledged what then nobody knows."""

    async def scenario(stage: Stage) -> None:
        await session(stage)
        await stage.coins(200)
        stage.press(KEY)
        await stage.until(lambda: "revalue" in stage.intents)
        if after_s:
            await stage.passes_without(after_s)
        await stage.kill()
        await stage.passes_without(0.5)
        await stage.opens()
        await stage.quiet()
        there = balance(stage)
        assert there in (1_000, 1_200)
        if stage.flags:
            assert link == "adapter"
            assert stage.claimed == 200
        else:
            assert stage.credit + (there - 1_000) == 200
            assert receivable(stage) == 1_000 - there

    revalues(scenario, link, allowance=BLIND if link == "adapter" else Allowance())


def test_killed_while_the_bill_is_stacked(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await session(stage)
        assert stage.world.insert_bill(500)
        await stage.until(lambda: stage.state.escrow is not None and stage.state.escrow.waits)
        await stage.passes(0.5)
        stage.press(KEY)
        await stage.until(lambda: bool(stage.records("stack.intended")))
        await stage.kill()
        await stage.opens()
        await stage.quiet()
        assert stage.records("revalue.intended") == []
        assert stage.credit in (0, 500)  # its RESET may have sent it back
        assert stage.last.result == "refused"

    revalues(scenario, link, settings=machine(escrow="hold"), plan=classic())


def test_power_fails_while_the_reader_is_asked(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await session(stage)
        await stage.coins(200)
        stage.press(KEY)
        await stage.until(lambda: "revalue" in stage.intents)
        await stage.passes_without(0.6)
        if "revalue" in stage.intents:
            await stage.cut_power()
            await stage.restore_power()
            await stage.opens()
        await stage.quiet()

    revalues(scenario, link, allowance=BLIND)
