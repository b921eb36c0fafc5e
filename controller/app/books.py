"""The machine's journal, who starts it, and the key of its claim codes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

from config.machine import MachineSettings
from controller.app.parts import Parts
from controller.journal.beginning import BootInfo
from controller.journal.database import Storage
from controller.journal.store import Journal
from controller.saga.claims import KEY_BYTES
from controller.state.fold import StateFold
from controller.state.state import State

BUILT: Final = datetime(2026, 11, 1, tzinfo=UTC)  # the floor of wall time before any is confirmed


SOFTWARE: Final = f"vendd {version('vendd')}"


CLAIM_KEY_FILE: Final = "claim.key"


async def claim_key(storage: Storage, entropy: Callable[[int], bytes]) -> bytes:
    """Return this machine's key for claim codes, mode 0600.

    Made at the first start, unless one that was derived from the tenant's is there (`vendctl claim
    key`). Codes that were minted are in the journal: another key spoils none of them.
    """
    key = await storage.read(CLAIM_KEY_FILE)
    if key is None or len(key) != KEY_BYTES:
        key = entropy(KEY_BYTES)
        await storage.write(CLAIM_KEY_FILE, key, private=True)
    return key


def boot_info(settings: MachineSettings, parts: Parts) -> BootInfo:
    """Return who is starting, for the boot's record."""
    digest = hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:16]
    return BootInfo(
        machine=settings.machine.id,
        currency=settings.machine.currency,
        software=SOFTWARE,
        config_digest=digest,
        built=BUILT,
        system_boot=parts.system_boot,
    )


async def open_journal(settings: MachineSettings, parts: Parts) -> Journal[State]:
    """Open the machine's journal; raises as ``Journal.open`` does."""
    return await Journal.open(
        parts.storage,
        fold=StateFold(),
        registry=parts.registry,
        clock=parts.clock,
        entropy=parts.entropy,
        boot=boot_info(settings, parts),
    )
