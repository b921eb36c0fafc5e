"""A cold machine as real processes: the kernel's files, relays on pins, a kill, a recording."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

from controller.recorder.keeping import unpacked
from controller.recorder.replay import replay
from simulator.rig import Rig

StartRig = Callable[..., Awaitable[Rig]]

COMPRESSOR = 40
CLIMATE = """
[climate]
cooling = { pin = 40, target_c = 3, min_on_s = 0, min_off_s = 0 }

[[climate.thermometers]]
name = "cabin"
path = "w1/28-0316a2790c01/w1_slave"
every_s = 1

[[health]]
products = ["cola"]
above_c = 5
allowed_s = 2
after_filling_s = 1

[guard]"""
EDITS = {"[guard]": CLIMATE}
PLENTY_S = 60.0


async def comes(rig: Rig, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask vendd for its climate until it is so."""
    async with asyncio.timeout(PLENTY_S):
        while True:
            found: dict[str, Any] = await rig.api.call("climate.show")
            if done(found):
                return found
            await asyncio.sleep(0.1)


def held(found: dict[str, Any]) -> bool:
    return any(rule["exceeded"] for rule in found["health"])


async def test_a_cabinet_is_cooled_and_its_warm_food_is_held_back_through_a_kill(
    rigs: StartRig,
) -> None:
    rig = await rigs(edits=EDITS, speed=1.0)
    await rig.start_vendd()
    await rig.api.until_selling()
    mark = await rig.sim.mark()
    assert await rig.sim.temperature(12.0) > 11.0
    await rig.sim.wait_for(pin=COMPRESSOR, level=True, since=mark, timeout_s=PLENTY_S)
    found = await comes(rig, held)
    assert found["outputs"] == ["compressor"]
    assert found["thermometers"][0]["celsius"] > 10.0
    await rig.sim.press_keys("A3")
    await rig.sim.wait_for(display="Not for sale", timeout_s=PLENTY_S)

    mark = await rig.sim.mark()
    assert rig.vendd is not None
    await rig.vendd.kill()
    await rig.sim.wait_for(pin=COMPRESSOR, level=False, since=mark, timeout_s=PLENTY_S)
    await rig.sim.temperature(3.0)
    await rig.start_vendd()
    await rig.api.until_selling()
    found = await comes(rig, lambda found: found["thermometers"][0]["celsius"] is not None)
    assert held(found)
    assert await rig.api.act("health.served") == {"served": ["A3"], "held": []}
    await rig.sim.insert_coin(200)
    await rig.api.until_record("coins.deposited")
    await rig.sim.press_keys("A3")
    await rig.api.until_record("vend.closed", within_s=PLENTY_S)
    truth = await rig.sim.truth()
    assert truth.climate is not None
    assert [account.products for account in truth.accounts.values()] == [("cola",)]


async def test_a_jam_is_recorded_beside_the_journal_and_replayed(rig: Rig) -> None:
    await rig.api.until_selling()
    await rig.sim.jam("A3")
    await rig.sim.insert_coin(200)
    await rig.api.until_record("coins.deposited")
    await rig.sim.press_keys("A3")
    await rig.api.until_record("vend.closed", within_s=PLENTY_S)
    async with asyncio.timeout(PLENTY_S):
        while not (kept := await rig.api.call("record.list")):  # noqa: ASYNC110 - nobody calls us
            await asyncio.sleep(0.1)
    name = kept[0]["name"]
    assert name == "000001-a3-column.jammed.jsonl.gz"
    file = rig.settings.journal.folder / "recordings" / name
    assert file.stat().st_mode & 0o777 == 0o600
    piece = await rig.api.call("record.read", name=name)
    assert base64.b64decode(piece["piece"]) == file.read_bytes()
    found = replay(unpacked(file.read_bytes()))
    assert found.same, found.difference
    assert found.types[-1] == "vend.closed"
