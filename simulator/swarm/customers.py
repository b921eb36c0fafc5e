"""How a customer acts: looking at the panel, losing patience, knowing nothing of the controller."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from simulator.cabinet import UnknownPartError
from simulator.keypad import UnknownKeyError
from simulator.panel import BETWEEN_KEYS_S, HOLD_S
from simulator.swarm import elsewhere, orders, rights
from simulator.swarm.plan import Act
from simulator.whole import Whole

PATIENCE_S: Final = {"credit": 6.0, "card": 4.0, "proof": 3.0, "settle": 12.0, "end": 40.0}
HOURS_S: Final = 60.0  # that an offer holds, and then does not
LAST_S: Final = 6.0  # of them
LOOK_S: Final = 3.0  # between two looks
CARD_TRIES: Final = 4
# What the panel says when it asks for a card, or for a proof; customers choose its language.
ASKED: Final = ("Hold your card", "Karte bitte an den", "Karte an den Leser", "Acerque su tarjeta")
PROOF: Final = ("prove it", "Karte zum Nachweis", "que lo demuestre")


def _says(screen: tuple[str, ...], texts: tuple[str, ...]) -> bool:
    read = " ".join(" ".join(screen).split())
    return any(text in read for text in texts)


def _unseen(act: Act) -> None:
    del act


async def _coin(machine: Whole, act: Act) -> None:
    machine.world.insert_coin(act.value, name=act.text)


async def _bill(machine: Whole, act: Act) -> None:
    machine.world.insert_bill(act.value)


async def _keys(machine: Whole, act: Act) -> None:
    if machine.world.powered:
        machine.world.press_keys(act.text)
        await asyncio.sleep(len(act.text) * (HOLD_S + BETWEEN_KEYS_S))


async def _chord(machine: Whole, act: Act) -> None:
    keypad = machine.world.panel.keypad
    for key in act.text:
        keypad.down(key)
    await asyncio.sleep(HOLD_S)
    for key in act.text:
        keypad.up(key)


async def _card(machine: Whole, act: Act) -> None:
    readers = sorted(machine.world.readers)
    reader = readers[act.value % len(readers)] if readers else None
    for _ in range(CARD_TRIES):
        if machine.world.present_card(act.text, reader):
            return
        await asyncio.sleep(0.5)


async def _redeem(machine: Whole, act: Act) -> None:
    """Key in the code of a claim that this machine has shown, a card's before others."""
    del act
    if machine.running is None or machine.ended:
        return
    claims = sorted(machine.state.claims.values(), key=lambda one: (one.tender != "card", one.seq))
    if claims:
        await _keys(machine, Act("keys", text=f"#{claims[0].code}"))


async def _elsewhere(machine: Whole, act: Act) -> None:
    """Key in the code of a claim that another machine has shown."""
    await _keys(machine, Act("keys", text=await elsewhere.promised(machine, act)))


async def _pull(machine: Whole, act: Act) -> None:
    del act
    machine.world.remove_card()


async def _lever(machine: Whole, act: Act) -> None:
    del act
    machine.world.pull_lever()


Doing = Callable[[Whole, Act], Awaitable[None]]
ACTS: Final[Mapping[str, Doing]] = {
    "coin": _coin, "bill": _bill, "keys": _keys, "chord": _chord, "card": _card, "pull": _pull,
    "lever": _lever, "redeem": _redeem, "app": rights.grant, "free": rights.grant,
    "order": orders.deliver, "elsewhere": _elsewhere,
}  # fmt: skip


class Customer:
    """One person in front of one machine."""

    def __init__(
        self,
        machine: Whole,
        turned: Callable[[float], asyncio.Future[None]],
        acts: Callable[[Act], None] = _unseen,
    ) -> None:
        """``turned(s)`` is done after the machine's next turn, or after ``s`` seconds.

        ``acts`` is told of each act as it is done.
        """
        self._machine = machine
        self._acts = acts
        self._turned = turned

    async def live(self, acts: tuple[Act, ...]) -> None:
        """Do everything, then wait for what comes of it."""
        for act in acts:
            await asyncio.sleep(act.after_s)
            if act.until:
                await self._wait(act.until)
            self._acts(act)
            await self._do(act)
        await self._wait("credit")
        await self._wait("end")

    async def _do(self, act: Act) -> None:
        done = ACTS.get(act.what)
        if done is None:
            return  # they only wait
        try:
            await done(self._machine, act)
        except (UnknownPartError, UnknownKeyError):
            return  # this machine has no such thing: the customer shrugs

    async def _wait(self, what: str) -> None:
        loop = self._machine.loop
        if what == "hours":
            wall_s = self._machine.clock.wall_utc().timestamp()
            await asyncio.sleep((2 * HOURS_S - LAST_S - wall_s) % (2 * HOURS_S))
            return
        deadline = loop.time() + PATIENCE_S[what]
        while not self._came(what) and (left := deadline - loop.time()) > 0:
            await self._turned(min(left, LOOK_S))

    def _came(self, what: str) -> bool:
        machine = self._machine
        running, world = machine.running, machine.world
        if running is None or machine.ended:
            return False
        if what == "proof":
            return _says(running.machine.screen, PROOF)
        if what == "card":
            return _says(running.machine.screen, ASKED)
        if what == "settle":  # by chance: nobody can see that
            return any(saga.intent == "settle" for saga in machine.state.sagas.values())
        calm = running.machine.quiet and world.still
        if what == "credit":
            held = machine.state.escrow
            return (
                calm
                and all(device.told_all for device in world.devices.values())
                and (world.cctalk is None or world.cctalk.told_all)
                and (held is None or held.claimed or held.waits)
            )
        return calm and not machine.state.sagas
