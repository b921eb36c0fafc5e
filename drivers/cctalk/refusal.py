"""Tells every acceptor of the line to take nothing, without its driver: at the end, or stranded.

A coin acceptor takes nothing a second after its last poll, a bill validator five, so that a coin
or bill may still fall into them unheard. No reset is sent, which would return a bill from escrow.

Source: ccTalk Generic Specification 4.7, part 2 (headers 228 and 231).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from controller.faults import LinkError
from controller.ports import DeviceEvent, MoneyReport
from drivers.cctalk.bus import CcTalkBus, Peer
from drivers.cctalk.coin_codec import MASTER_OFF
from drivers.cctalk.frames import ReplyKind
from drivers.cctalk.headers import Header
from drivers.links.port import BytePort

OPENS_S: Final = 0.2
"""For the port; it was open a moment ago, or is a tty that opens at once."""

NOTHING: Final = bytes(2)
"""The inhibit mask of sixteen types, none of them taken."""


async def refuse_cash(
    open_port: Callable[[], BytePort], acceptors: Iterable[Peer]
) -> frozenset[Peer]:
    """Have the acceptors take nothing from now on; returns those that acknowledged it.

    Some know no master inhibit and stay silent: their mask alone decides, so both are told.

    Args:
        open_port: Opens the line, which nobody else uses.
        acceptors: Coin acceptor and bill validator.
    """
    bus = CcTalkBus(open_port, _Deaf())
    owner = asyncio.get_running_loop().create_task(bus.run())
    heard: set[Peer] = set()
    try:
        if await bus.up(OPENS_S):
            for peer in acceptors:
                if await _refuse(bus, peer):
                    heard.add(peer)
    except LinkError:
        pass  # the line went: what one of them takes in spite of it the next start finds
    finally:
        owner.cancel()
        await asyncio.gather(owner, return_exceptions=True)
    return frozenset(heard)


async def _refuse(bus: CcTalkBus, peer: Peer) -> bool:
    told = False
    for header, data in (
        (Header.MODIFY_INHIBIT_STATUS, NOTHING),
        (Header.MODIFY_MASTER_INHIBIT, bytes((MASTER_OFF,))),
    ):
        reply = await bus.ask(peer, header, data)
        told = told or (reply is not None and reply.kind is ReplyKind.ACK)
    return told


class _Deaf:
    """A sink for what nobody listens to any more."""

    def money(self, report: MoneyReport) -> asyncio.Future[None]:
        """Never called: nothing is read here."""
        raise AssertionError(f"nobody reads money here: {report}")

    def notify(self, event: DeviceEvent) -> None:
        """Let it pass: a line that is down at the end is down at the next start."""
