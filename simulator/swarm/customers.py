"""How a customer acts: looking at the panel, losing patience, knowing nothing of the controller."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from simulator.cabinet import UnknownPartError
from simulator.keypad import UnknownKeyError
from simulator.panel import BETWEEN_KEYS_S, HOLD_S
from simulator.swarm.plan import Act
from simulator.whole import Whole

PATIENCE_S: Final = {"credit": 6.0, "card": 4.0, "end": 40.0}
LOOK_S: Final = 3.0  # between two looks
CARD_TRIES: Final = 4
ASKED: Final = "Hold your card"


class Customer:
    """One person in front of one machine."""

    def __init__(self, machine: Whole, turned: Callable[[float], asyncio.Future[None]]) -> None:
        """``turned(s)`` is done after the machine's next turn, or after ``s`` seconds."""
        self._machine = machine
        self._turned = turned

    async def live(self, acts: tuple[Act, ...]) -> None:
        """Do everything, then wait for what comes of it."""
        for act in acts:
            await asyncio.sleep(act.after_s)
            if act.until:
                await self._wait(act.until)
            await self._do(act)
        await self._wait("credit")
        await self._wait("end")

    async def _do(self, act: Act) -> None:
        world = self._machine.world
        try:
            match act.what:
                case "coin":
                    world.insert_coin(act.value, name=act.text)
                case "bill":
                    world.insert_bill(act.value)
                case "keys":
                    await self._press(act.text)
                case "chord":
                    await self._press_together(act.text)
                case "card":
                    await self._present(act.text)
                case "pull":
                    world.remove_card()
                case "lever":
                    world.pull_lever()
                case _:
                    pass
        except (UnknownPartError, UnknownKeyError):
            return  # this machine has no such thing: the customer shrugs

    async def _press(self, keys: str) -> None:
        world = self._machine.world
        if world.powered:
            world.press_keys(keys)
            await asyncio.sleep(len(keys) * (HOLD_S + BETWEEN_KEYS_S))

    async def _press_together(self, keys: str) -> None:
        keypad = self._machine.world.panel.keypad
        for key in keys:
            keypad.down(key)
        await asyncio.sleep(HOLD_S)
        for key in keys:
            keypad.up(key)

    async def _present(self, name: str) -> None:
        for _ in range(CARD_TRIES):
            if self._machine.world.present_card(name):
                return
            await asyncio.sleep(0.5)

    async def _wait(self, what: str) -> None:
        loop = self._machine.loop
        deadline = loop.time() + PATIENCE_S[what]
        while not self._came(what) and (left := deadline - loop.time()) > 0:
            await self._turned(min(left, LOOK_S))

    def _came(self, what: str) -> bool:
        machine = self._machine
        running, world = machine.running, machine.world
        if running is None or machine.ended:
            return False
        if what == "card":
            return any(ASKED in line for line in running.machine.screen)
        calm = running.machine.quiet and world.still
        if what == "credit":
            held = machine.state.escrow
            return (
                calm
                and all(device.told_all for device in world.devices.values())
                and (held is None or held.claimed)
            )
        return calm and not machine.state.sagas
