"""Tells every money device to take nothing, without a driver: when vendd ends, or can't write.

An acceptor that was enabled goes on taking money while nobody listens. No RESET is sent, which
would charge approved cards, abort a payout and return a bill from escrow.

Source: MDB/ICP 4.2, sections 5 (COIN TYPE), 6 (BILL TYPE) and 7 (READER DISABLE).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

from controller.faults import LinkError
from controller.ports import DeviceName
from drivers.links.mdb_link import AnswerKind, MdbLink
from drivers.mdb import bill_commands, cashless_requests, changer_commands
from drivers.mdb.bill_commands import BillType
from drivers.mdb.blocks import Address
from drivers.mdb.cashless_commands import ReaderDisable
from drivers.mdb.changer_commands import CoinType

TRIES: Final = 3
"""Each: a device that is busy or on a noisy line misses one."""

_REFUSALS: Final[Mapping[DeviceName, bytes]] = {
    DeviceName.CHANGER: changer_commands.encode_command(CoinType(0, 0)),
    DeviceName.BILL: bill_commands.encode_command(BillType(0, 0)),
    DeviceName.CASHLESS1: cashless_requests.encode_command(ReaderDisable(), Address.CASHLESS_1),
    DeviceName.CASHLESS2: cashless_requests.encode_command(ReaderDisable(), Address.CASHLESS_2),
}


async def refuse_money(link: MdbLink, devices: Iterable[DeviceName]) -> frozenset[DeviceName]:
    """Have the devices take nothing from now on; returns those that acknowledged it.

    Args:
        link: Not in use by anybody else; opened and closed here.
        devices: Asked in this order.
    """
    heard: set[DeviceName] = set()
    with suppress(LinkError):
        await link.open()
        for name in devices:
            if await _refuse(link, _REFUSALS[name]):
                heard.add(name)
    link.close()
    return frozenset(heard)


async def _refuse(link: MdbLink, payload: bytes) -> bool:
    for _ in range(TRIES):
        answer = await link.exchange(payload)
        if answer.kind is AnswerKind.DATA:
            link.ack()
        if answer.heard:
            return True
    return False
