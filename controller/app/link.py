"""What keeps a machine in touch with its fleet."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from config.machine import MachineSettings
from controller.app.books import SOFTWARE
from controller.app.parts import Parts
from controller.app.running import Running

CLOUD: Final = "cloud"  # another one: what the link keeps


def root_key(settings: MachineSettings) -> bytes | None:
    """Return the fleet's key that the machine pins; None when it lives alone."""
    return None if settings.cloud is None else bytes.fromhex(settings.cloud.root_key)


def fleet(
    settings: MachineSettings,
    running: Running,
    parts: Parts,
    forked: Callable[[int, bytes], None],
    damaged: Callable[[str], bool],
) -> Callable[[], Coroutine[Any, Any, None]] | None:
    """Return what keeps the machine in touch with its fleet, or None when it lives alone.

    Loads the network's libraries, which takes a while: call it in a thread of its own.

    Raises:
        ConfigError: A certificate or key can't be read.
    """
    if settings.cloud is None:
        return None
    from cloud.link.assembly import Fleet  # noqa: PLC0415 - loads the network

    tie = Fleet(
        settings.cloud,
        settings.machine.id,
        running.machine,
        parts.clock,
        parts.entropy,
        SOFTWARE,
        forked,
        settings.journal.folder / CLOUD,
        damaged,
    )
    return tie.run
