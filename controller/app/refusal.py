"""A machine that is not composed, or no more: it takes nothing, its outputs are off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from config.machine import MachineSettings
from controller.app.devices import cctalk_line, cctalk_plan, devices_of
from controller.app.parts import Parts
from drivers.gpio.safe import SafeOutputs
from drivers.links.mdb_link import MdbLink
from drivers.links.port import BytePort
from drivers.mdb.refusal import refuse_money
from drivers.panel.assembly import ClosableDisplay, build_display

REFUSE_S: Final = 0.3  # the guard's patience is 0.5 s, and nobody beats at the end


async def take_nothing(
    settings: MachineSettings, link: MdbLink, cctalk: Callable[[], BytePort] | None = None
) -> bool:
    """Tell every money device to take nothing; True when all have heard it. No bus may run.

    What one of them takes in spite of it is found by the next start.

    Args:
        settings: Say which devices there are.
        link: To those on the MDB.
        cctalk: Opens the ccTalk line; None: as the settings say.
    """
    devices = devices_of(settings)
    line = settings.cctalk
    if line is not None:
        from drivers.cctalk.refusal import refuse_cash  # noqa: PLC0415 - see devices.py

        acceptors = cctalk_plan(line).acceptors
        open_line = cctalk or cctalk_line(line)
    try:
        async with asyncio.timeout(REFUSE_S), asyncio.TaskGroup() as both:
            asked = both.create_task(refuse_money(link, sorted(devices))) if devices else None
            if line is None:
                return asked is None or await asked == devices
            refused = await refuse_cash(open_line, acceptors)
            heard = asked is None or await asked == devices
            return heard and refused == frozenset(acceptors)
    except TimeoutError:
        return False


def switch_off(settings: MachineSettings, parts: Parts) -> None:
    """Drive every output safe where no machine is composed. Raises EffectUnknownError."""
    SafeOutputs(settings.outputs(), lambda: parts.pins).drive()


def open_display(settings: MachineSettings) -> ClosableDisplay:
    """Open the display alone, for a machine that is out of service. Raises ConfigError."""
    return build_display(settings.display, lambda _event: None)
