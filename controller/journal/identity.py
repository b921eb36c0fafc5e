"""The two files beside the journal: which journal is ours, and the machine's own key.

The id file is the switch between journals (it names the one in use, and is replaced atomically)
and a witness: a journal that is gone, swapped or shorter than the witness says is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from controller.journal.chain import ID_BYTES
from controller.journal.database import Storage
from controller.journal.ed25519 import ed25519

ID_FILE: Final = "journal.id"
KEY_FILE: Final = "machine.key"
_KEY_BYTES: Final = 32  # an Ed25519 seed (RFC 8032, 5.1.5)

Entropy = Callable[[int], bytes]


def journal_file(journal: bytes) -> str:
    """Return the name of a journal's database."""
    return f"journal-{journal.hex()}.db"


@dataclass(frozen=True, slots=True)
class Witness:
    """What the id file says."""

    journal: bytes
    seq: int  # at least this many records were durable
    broken: str = ""  # damage that was found and would not show again; ends with a new journal


def _parse(raw: bytes) -> Witness | None:
    try:
        fields = json.loads(raw)
        journal = bytes.fromhex(fields["journal"])
        witness = Witness(journal, int(fields["seq"]), str(fields.get("broken", "")))
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
    return witness if len(journal) == ID_BYTES else None


async def read_witness(storage: Storage) -> Witness | None:
    """Return what the id file says; None when it is missing or cannot be read."""
    raw = await storage.read(ID_FILE)
    return None if raw is None else _parse(raw)


async def write_witness(storage: Storage, witness: Witness) -> None:
    """Replace the id file, durably."""
    fields: dict[str, object] = {"journal": witness.journal.hex(), "seq": witness.seq}
    if witness.broken:
        fields["broken"] = witness.broken
    await storage.write(ID_FILE, json.dumps(fields).encode() + b"\n")


class MachineKey:
    """The machine's own Ed25519 key."""

    __slots__ = ("_seed",)

    def __init__(self, seed: bytes) -> None:
        self._seed = seed

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature."""
        return ed25519().sign(self._seed, message)

    def public(self) -> bytes:
        """Return the 32 bytes of the public key."""
        return ed25519().public(self._seed)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Tell whether this key signed ``message``."""
        return ed25519().verifies(self.public(), signature, message)


async def read_key(storage: Storage) -> MachineKey | None:
    """Return the machine's key, or None when it is missing or damaged."""
    raw = await storage.read(KEY_FILE)
    if raw is None:
        return None
    try:
        seed = bytes.fromhex(raw.decode("ascii").strip())
    except ValueError:
        return None
    return MachineKey(seed) if len(seed) == _KEY_BYTES else None


async def make_key(storage: Storage, entropy: Entropy) -> MachineKey:
    """Make the machine's key, in a file of mode 0600."""
    seed = entropy(_KEY_BYTES)
    await storage.write(KEY_FILE, seed.hex().encode() + b"\n", private=True)
    return MachineKey(seed)
