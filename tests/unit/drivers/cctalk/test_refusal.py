"""Acceptors of the line are told to take nothing by whoever ends, and take again afterwards."""

from __future__ import annotations

import asyncio
from typing import Any

from controller.faults import LinkError
from drivers.cctalk.bus import Peer
from drivers.cctalk.frames import Checksum
from drivers.cctalk.refusal import refuse_cash
from simulator.peripherals.cctalk_coin import AcceptorSettings
from simulator.ports import MemoryPort
from simulator.truth import CASHBOX
from tests.cctalk_kit import Rig, rig, until, virtual

COINS = Peer(2)
BILLS = Peer(40, Checksum.CRC)


def opens(it: Rig) -> MemoryPort:
    return MemoryPort(it.wire)


async def ended(**built: Any) -> Rig:
    """A vendd that has served both ends, and nothing of it owns the line any more."""
    it = await rig(with_bill=True, **built).up()
    it.changer.accept(frozenset(range(16)))
    it.bill.accept(frozenset(range(16)))
    await until(lambda: it.acceptor.accepted and it.validator.accepted, 10, "both take")
    await it.die()
    return it


@virtual
async def test_both_take_nothing_afterwards() -> None:
    it = await ended()
    heard = await refuse_cash(lambda: opens(it), (COINS, BILLS))
    assert heard == {COINS, BILLS}
    it.acceptor.insert_coin(100)
    assert not it.validator.insert_bill(500)
    await asyncio.sleep(1.0)
    assert it.truth.value(CASHBOX) == 0


@virtual
async def test_one_that_knows_no_master_inhibit_is_told_by_its_mask() -> None:
    it = await ended(acceptor=AcceptorSettings(knows_master=False))
    assert await refuse_cash(lambda: opens(it), (COINS,)) == {COINS}
    it.acceptor.insert_coin(100)
    await asyncio.sleep(1.0)
    assert it.truth.value(CASHBOX) == 0


@virtual
async def test_a_silent_device_keeps_nobody_from_hearing_it() -> None:
    it = await ended()
    it.acceptor.faults.silent = True
    assert await refuse_cash(lambda: opens(it), (COINS, BILLS)) == {BILLS}


@virtual
async def test_a_line_that_does_not_open_is_given_up() -> None:
    def gone() -> MemoryPort:
        raise LinkError("no such port")

    assert await refuse_cash(gone, (COINS, BILLS)) == frozenset()
