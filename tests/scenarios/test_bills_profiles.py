"""Machines with a validator alone, and validators with ways of their own.

Field lesson 19 (cseg-michigan/chez-betty#260: a small shop with a validator alone).
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.domain import accounts as acc
from controller.faults import FaultCode
from controller.ports import DeviceName
from simulator.peripherals.bill_settings import BillSpec
from simulator.plan import WorldPlan, bill_for
from simulator.world import Link
from tests.scenarios.bill_kit import BILL, offers, plan
from tests.scenarios.stage import Stage, play, with_mdb


def test_a_machine_with_a_validator_alone_takes_only_bills_that_fit_a_price(link: Link) -> None:
    settings = with_mdb("changer", enabled=False)
    settings = settings.model_copy(
        update={
            "mdb": settings.mdb.model_copy(
                update={"cashless1": settings.mdb.cashless1.model_copy(update={"enabled": False})}
            )
        }
    )
    made = replace(bill_for("EUR"), scaling=5, bills=(BillSpec(150), BillSpec(500)))

    async def scenario(stage: Stage) -> None:
        await stage.until(lambda: stage.world.insert_bill(500))
        await stage.passes(4.0)
        assert stage.account.returned == 500, "nothing here costs that, and nobody gives change"
        await stage.bill(150)
        await stage.buys("A1")
        assert stage.products == ["water"]
        assert stage.spent == 150

    play(
        scenario,
        link,
        settings=settings.model_copy(
            update={
                "mdb": settings.mdb.model_copy(
                    update={"bill": settings.mdb.bill.model_copy(update={"accept": None})}
                )
            }
        ),
        plan=WorldPlan(bill=made),
    )


def test_the_stacker_account_follows_the_bills(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(500)
        assert stage.state.ledger.balance(acc.CASH_STACKER) == 500
        assert stage.state.ledger.balance(acc.CASH_ESCROW) == 0
        await stage.gives_back()

    play(scenario, link)


@pytest.mark.parametrize(
    "habit",
    [
        {"level": 2},
        {"reports_disabled": False},
        {"reports_busy": False},
        {"reports_reset_return": True},
        {"setup_values": 16},
        {"scaling": 5, "decimals": 0, "bills": (BillSpec(500), BillSpec(1000))},
        {"scaling": 100},
        {"has_escrow": False, "reports_disabled": False},
        {"intake_s": 0.1, "stack_s": 0.1, "return_s": 0.1},
        {"stack_s": 25.0},
        {"response_s": 0.0048},
        {"boot_s": 3.0},
    ],
    ids="-".join,
)
def test_validators_with_habits_of_their_own_take_and_give_back(
    habit: dict[str, object], link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.until(lambda: DeviceName.BILL in ready(stage), within_s=30.0)
        await stage.bill(500)
        await stage.buys("B2")
        assert stage.spent == 240
        stage.breaks(BILL, "resets")
        await stage.passes(10.0)
        await stage.bill(1000)
        await stage.gives_back()
        assert stage.spent - stage.claimed == 240

    play(scenario, link, plan=plan(**habit))


def ready(stage: Stage) -> set[DeviceName]:
    """What devices work."""
    assert stage.running is not None
    return set(stage.running.machine.desk.live.ready)


def test_a_validator_of_another_currency_takes_nothing_and_coins_sell(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.until(lambda: stage.has_fault(BILL, FaultCode.DEVICE_UNSUITABLE))
        assert not offers(stage, 500)
        await stage.coins(50)
        await stage.buys("B4")
        assert stage.spent == 50
        assert stage.faults_raised(BILL) == 1

    play(scenario, link, plan=plan(currency=0x1840))
