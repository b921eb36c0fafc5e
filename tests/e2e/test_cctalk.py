"""A machine with its coins on a ccTalk line, as real processes over a pseudo terminal."""

from __future__ import annotations

import asyncio

from simulator.pytest_plugin import DEMO
from simulator.real_machines import CCTALK, HOPPER
from simulator.rig import BUSY_MS, Rig, RigOptions


async def coins_gone(rig: Rig) -> int:
    return HOPPER * 10 - (await rig.sim.truth()).totals.tubes


async def test_a_kill_in_mid_payout_pays_each_coin_once_over_a_terminal() -> None:
    async with Rig(RigOptions(DEMO, edits=CCTALK, heartbeat_ms=BUSY_MS)) as rig:
        await rig.start_vendd()
        await rig.api.until_selling()
        await rig.sim.insert_coin(200)
        await rig.api.until_record("coins.deposited")
        await rig.sim.press_keys("A1")
        await rig.api.until_record("payout.intended")
        async with asyncio.timeout(60):
            while await coins_gone(rig) < 20:  # noqa: ASYNC110 - the truth is asked, it calls nobody
                await asyncio.sleep(0.05)
        assert rig.vendd is not None
        await rig.vendd.kill()
        await rig.start_vendd()
        await rig.api.until_selling()
        assert await coins_gone(rig) == 50
        truth = await rig.sim.truth()
        (customer,) = truth.accounts.values()
        assert (customer.spent, len(customer.products)) == (150, 1)
        ledger = await rig.api.call("ledger.show")
        balance = {row["account"]: row["debit"] - row["credit"] for row in ledger["accounts"]}
        assert (balance["cash.tubes"], balance["cash.cashbox"]) == (HOPPER * 10 - 50, 200)
