"""Tokens, free vends and app credit: a product without money of one's own, and never twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from config.machine import MachineSettings
from config.models import Tokens
from controller.domain import accounts as acc
from controller.domain import commands as cmd
from controller.domain.rights import MAX_IDS, REMEMBERED_MS, Grant
from controller.machine.inputs import CommandRefused
from simulator.oracles import Allowance
from simulator.truth import CASHBOX, TECHNICIAN
from simulator.world import Link
from tests.scenarios.stage import SETTINGS, Stage, play, with_policy
from tests.scenarios.test_remote_commands import confirm

WITH_TOKENS = SETTINGS.model_copy(update={"tokens": Tokens(products=("water", "cola"))})


def with_price(selection: str, price: int) -> MachineSettings:
    columns = tuple(
        c.model_copy(update={"price": price}) if c.selection == selection else c
        for c in SETTINGS.columns
    )
    return SETTINGS.model_copy(update={"columns": columns})


async def token(stage: Stage) -> None:
    before = len(stage.state.rights)
    stage.world.insert_coin(0, name="token")
    await stage.until(lambda: len(stage.state.rights) > before, within_s=30.0)


def pieces(stage: Stage, account: str) -> int:
    return stage.state.ledger.balance(account)


# ------------------------------------------------------------------------------------- free


def test_a_column_that_costs_nothing_gives_without_money(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.buys("B4")
        assert stage.products == ["gum"]
        assert stage.spent == 0
        assert stage.state.counters.vends_free == 1
        assert stage.state.counters.vends_cash == 0

    play(scenario, link, settings=with_price("B4", 0))


def test_a_column_that_costs_nothing_takes_nothing_of_the_credit(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100)
        await stage.buys("B4")
        assert stage.products == ["gum"]
        assert stage.spent == 0

    play(scenario, link, settings=with_price("B4", 0))


def test_a_free_vend_is_bound_to_one_vend_and_runs_once(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        give = cmd.GiveFreeVend("f-1", 60.0, "was out of order yesterday")
        first = await stage.act(give)
        await stage.shows("free")
        await stage.buys("A3")
        assert stage.products == ["cola"]
        again = await stage.act(give)
        assert (again["right"], again["outcome"], again["repeat"]) == (first["right"], "used", True)
        stage.press("A3")
        await stage.shows("Price")
        assert stage.products == ["cola"]
        assert stage.spent == 0
        assert stage.state.counters.value_given == 200

    play(scenario, link)


def test_a_free_vend_of_one_column_buys_no_other(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.GiveFreeVend("f-1", 60.0, "sorry", "A3"))
        stage.press("A1")
        await stage.shows("Price")
        await stage.gives_back()
        assert stage.products == []
        await stage.buys("A3")
        assert stage.products == ["cola"]

    play(scenario, link)


def test_a_free_vend_that_fails_stays_open_until_its_time_is_over(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.GiveFreeVend("f-1", 60.0, "sorry"))
        stage.breaks("A3", "jam")
        await stage.buys("A3")
        assert stage.products == []
        assert len(stage.state.rights) == 1
        await stage.passes(61.0)
        assert not stage.state.rights
        assert [data.reason for data in stage.records("right.ended")] == ["expired"]
        assert stage.records("refund.requested") == []
        stage.press("A1")
        await stage.shows("Price")

    play(scenario, link)


# ----------------------------------------------------------------------------------- tokens


def test_a_token_buys_what_it_is_configured_for_and_stays_in_the_cash_box(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await token(stage)
        await stage.shows("Token accepted")
        stage.press("B4")
        await stage.shows("Price")
        stage.press("*")
        await stage.quiet()
        assert stage.products == []
        await stage.buys("A3")
        assert stage.products == ["cola"]
        assert stage.spent == 0
        assert pieces(stage, acc.TOKENS_CASHBOX) == 1
        assert pieces(stage, acc.TOKENS_USED) == -1
        assert stage.state.counters.vends_token == 1

    play(scenario, link, settings=WITH_TOKENS)


def test_a_token_whose_vend_fails_buys_something_else(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await token(stage)
        stage.breaks("A3", "jam")
        await stage.buys("A3")
        assert stage.products == []
        await stage.shows("Token accepted")
        await stage.buys("A1")
        assert stage.products == ["water"]
        assert pieces(stage, acc.TOKENS_CREDIT) == pieces(stage, acc.TOKENS_HELD) == 0

    play(scenario, link, settings=WITH_TOKENS)


def test_whose_vend_has_just_failed_has_not_forgotten_the_token(link: Link) -> None:
    """Its time for being forgotten begins anew, as that of credit does (seed 5586)."""

    async def scenario(stage: Stage) -> None:
        await token(stage)
        await stage.passes(16.0)
        stage.breaks("A3", "jam")
        await stage.buys("A3")
        await stage.passes(15.0)
        assert stage.state.rights, "they may choose again"
        await stage.until(lambda: not stage.state.rights, within_s=10.0)
        assert stage.last.result == "claimed"

    policy = SETTINGS.policy.model_copy(update={"credit_timeout_s": 20.0})
    play(scenario, link, settings=WITH_TOKENS.model_copy(update={"policy": policy}))


def test_whoever_keys_has_not_forgotten_the_token(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await token(stage)
        await stage.passes(16.0)
        stage.press("B9")
        await stage.passes(16.0)
        assert stage.state.rights
        await stage.until(lambda: not stage.state.rights, within_s=10.0)

    policy = SETTINGS.policy.model_copy(update={"credit_timeout_s": 20.0})
    play(scenario, link, settings=WITH_TOKENS.model_copy(update={"policy": policy}))


def test_a_token_that_is_not_wanted_becomes_a_claim_that_buys_later(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await token(stage)
        await stage.gives_back()
        assert stage.last.result == "claimed"
        assert not stage.state.rights
        (claim,) = stage.state.claims.values()
        assert (claim.tender, claim.amount) == ("token", 0)
        await stage.shows("write down")
        await stage.passes(70.0)
        stage.press("#" + claim.code)
        await stage.until(lambda: bool(stage.state.rights))
        assert not stage.state.claims
        await stage.buys("A1")
        assert stage.products == ["water"]
        assert pieces(stage, acc.TOKENS_CLAIMS) == 0

    play(scenario, link, settings=WITH_TOKENS)


def test_coins_beside_a_token_come_back_as_change(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await token(stage)
        await stage.coins(50)
        await stage.buys("A3")
        assert stage.products == ["cola"]
        assert stage.spent == 0

    play(scenario, link, settings=WITH_TOKENS)


def test_a_token_survives_a_kill_and_a_power_cut(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await token(stage)
        await stage.kill()
        await stage.opens()
        stage.press("A3")
        await stage.until(lambda: "dispense" in stage.intents)
        await stage.cut_power()
        await stage.passes_without(2.0)
        await stage.restore_power()
        await stage.opens()
        assert not stage.products or stage.flags
        assert len(stage.state.rights) == 1  # nobody saw it fall: the customer is right

    play(scenario, link, settings=WITH_TOKENS, allowance=Allowance(blind=True))


def test_tokens_are_refused_where_they_buy_nothing(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        for column in ("A1", "A2", "A3", "A4"):
            if column in stage.state.stock.to_json():
                await stage.act(cmd.DisableColumn(column, "test"))
        await stage.quiet()
        stage.world.insert_coin(0, name="token")
        await stage.passes(3.0)
        assert not stage.state.rights

    play(scenario, link, settings=WITH_TOKENS)


def test_collected_tokens_are_counted_by_staff(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await token(stage)
        await stage.buys("A1")
        stage.world.truth.empty(CASHBOX, TECHNICIAN, why="collected")
        answer = await stage.act(cmd.Collect(0, 0, 0, tokens=1))
        assert answer["tokens"] == {"counted": 1, "expected": 1}
        assert pieces(stage, acc.TOKENS_CASHBOX) == 0

    play(scenario, link, settings=WITH_TOKENS)


# -------------------------------------------------------------------------------- app credit


def test_app_credit_buys_its_column_once(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        grant = cmd.GrantAppCredit("pay-7", 200, 60.0, "A3")
        await stage.act(grant)
        await stage.shows("Paid in the app")
        await stage.buys("A3")
        assert stage.products == ["cola"]
        assert (await stage.act(grant))["outcome"] == "used"
        assert not stage.state.rights
        assert pieces(stage, acc.REVENUE_APP) == -200
        assert pieces(stage, acc.APP_RECEIVABLE) == 200
        assert stage.records("refund.requested") == []

    play(scenario, link)


def test_what_an_app_paid_too_much_goes_back_to_the_app(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.GrantAppCredit("pay-7", 500, 60.0, "A3"))
        await stage.buys("A3")
        (refund,) = stage.records("refund.requested")
        assert (refund.tender, refund.reference, refund.amount) == ("app", "pay-7", 300)
        assert stage.spent == 0
        assert pieces(stage, acc.APP_RECEIVABLE) == 200

    play(scenario, link)


def test_a_grant_is_forgotten_30_days_later_and_none_before_though_another_be_refused() -> None:
    """A command that carries it is valid no longer then; before, it might come once more."""

    def grant(id_: str) -> cmd.GrantAppCredit:
        return cmd.GrantAppCredit(id_, 200, 60.0, "A3")

    async def scenario(stage: Stage) -> None:
        await confirm(stage)
        await stage.act(grant("now"))
        known = stage.state.grants
        old_ms = known["now"].at_ms - REMEMBERED_MS - 1
        young = Grant(1, "app", 200, "A3", "used", old_ms + 60_000, confirmed=True)
        known["open"] = replace(young, outcome="open", at_ms=old_ms)
        known["of no known time"] = replace(young, at_ms=old_ms, confirmed=False)
        kept = [*known]
        known["old"] = replace(young, at_ms=old_ms)
        for number in range(MAX_IDS - len(kept)):
            known[f"young {number}"] = young
        with pytest.raises(CommandRefused, match="too many grants to remember"):
            await stage.act(grant("more"))
        assert (await stage.act(grant("young 0")))["repeat"]
        del known["young 1"]
        await stage.act(grant("more"))  # and "old" is forgotten, which may have waited for it
        assert len(known) == MAX_IDS
        assert known.keys() >= {*kept, "more"}
        assert "old" not in known

    play(scenario, "native")


def test_app_credit_may_be_a_part_of_the_price(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.GrantAppCredit("pay-7", 150, 60.0, "A3"))
        await stage.coins(50)
        await stage.buys("A3")
        assert stage.products == ["cola"]
        assert stage.spent == 50

    play(scenario, link)


def test_app_credit_of_a_failed_vend_goes_back_to_the_app_and_never_becomes_coins(
    link: Link,
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.GrantAppCredit("pay-7", 150, 60.0, "A3"))
        await stage.coins(50)
        stage.breaks("A3", "jam")
        await stage.buys("A3")
        assert stage.products == []
        assert stage.spent == 0
        assert stage.claimed == 0
        (refund,) = stage.records("refund.requested")
        assert (refund.reference, refund.amount) == ("pay-7", 150)
        assert pieces(stage, acc.APP_RECEIVABLE) == 0
        assert (await stage.act(cmd.GrantAppCredit("pay-7", 150, 60.0, "A1")))[
            "outcome"
        ] == "returned"

    play(scenario, link)


@pytest.mark.parametrize("how", ["time", "kill", "power", "staff"])
def test_app_credit_that_nobody_uses_ends_with_a_record(how: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.GrantAppCredit("pay-7", 150, 60.0, "A3"))
        if how == "time":
            await stage.passes(61.0)
        elif how == "staff":
            await stage.act(cmd.EndGrant("pay-7"))
        elif how == "kill":
            await stage.kill()
            await stage.opens()
        else:
            await stage.cut_power()
            await stage.passes_without(2.0)
            await stage.restore_power()
            await stage.opens()
        await stage.quiet()
        assert not stage.state.rights
        (refund,) = stage.records("refund.requested")
        assert (refund.reference, refund.amount) == ("pay-7", 150)
        assert pieces(stage, acc.CREDIT_APP) == pieces(stage, acc.APP_RECEIVABLE) == 0
        assert (await stage.act(cmd.GrantAppCredit("pay-7", 150, 60.0, "A3")))["repeat"]

    play(scenario, link)


def test_app_credit_keeps_the_last_product_of_its_column(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.SetStock("A1", 0))
        await stage.act(cmd.SetStock("A2", 1))
        await stage.act(cmd.GrantAppCredit("pay-7", 150, 60.0, "A2"))
        with pytest.raises(CommandRefused, match="set aside"):
            await stage.act(cmd.GrantAppCredit("pay-8", 150, 60.0, "A2"))
        await stage.coins(100, 50)
        stage.press("A1")
        await stage.shows("Sold out")
        await stage.gives_back()
        await stage.buys("A2")
        assert stage.products == ["water"]
        await stage.act(cmd.SetStock("A1", stage.world.cabinet.stock("A1")))
        await stage.act(cmd.SetStock("A2", stage.world.cabinet.stock("A2")))

    play(scenario, link)


def test_a_declined_card_leaves_the_app_credit_open(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.GrantAppCredit("pay-7", 150, 120.0, "A3"))
        await stage.pays_by_card("A3", "declined")
        assert stage.products == []
        assert len(stage.state.rights) == 1
        await stage.pays_by_card("A3")
        assert stage.products == ["cola"]
        assert stage.spent == 50

    play(scenario, link)


def test_a_machine_that_dies_with_the_motor_running_asks_the_app_for_its_refund(
    link: Link,
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.GrantAppCredit("pay-7", 200, 60.0, "A3"))
        stage.breaks("A3", "hang", 2)
        stage.press("A3")
        await stage.until(lambda: "dispense" in stage.intents)
        await stage.kill()
        await stage.opens()
        assert not stage.state.rights
        (refund,) = stage.records("refund.requested")
        assert refund.amount == 200
        assert pieces(stage, acc.HELD_APP) == 0

    play(scenario, link)


def test_grants_are_refused_in_service_and_for_what_is_not_sold(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        for wrong in (
            cmd.GrantAppCredit("x", 100, 60.0, "D9"),
            cmd.GrantAppCredit("x", 0, 60.0, "A3"),
            cmd.GrantAppCredit("x", 100, 0.0, "A3"),
        ):
            with pytest.raises(CommandRefused):
                await stage.act(wrong)
        await stage.act(cmd.EnterService())
        with pytest.raises(CommandRefused, match="service"):
            await stage.act(cmd.GiveFreeVend("x", 60.0, "sorry"))
        await stage.act(cmd.LeaveService())
        assert not stage.state.grants

    play(scenario, link)


def test_forgotten_tokens_become_claims_when_credit_times_out(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await token(stage)
        await stage.passes(31.0)
        await stage.quiet()
        assert [claim.tender for claim in stage.state.claims.values()] == ["token"]

    settings = with_policy(credit_timeout_s=30.0).model_copy(
        update={"tokens": Tokens(products=("water",))}
    )
    play(scenario, link, settings=settings)


def test_who_is_asked_for_a_card_reads_so_whatever_is_granted_to_the_next_customer(
    link: Link,
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.press("B4")
        await stage.shows("Hold your card")
        await stage.act(cmd.GiveFreeVend("f-1", 300.0, "sorry", "A1"))
        await stage.passes(1.0)
        assert "Hold your card" in stage.screen
        assert stage.world.present_card("card")
        await stage.closes()
        await stage.quiet()
        assert (stage.products, stage.spent) == (["gum"], 50)
        await stage.act(cmd.EndGrant("f-1"))

    play(scenario, link)
