"""What became of a batch, in words that a caller can act on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cloud.contract.messages import Ack


class Fate(StrEnum):
    """What became of a batch."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    WAITING = "waiting"  # ahead of the cursor: stored, and the gap asked for
    ASKED_AGAIN = "asked again"  # not readable, or the chain broke inside
    FORKED = "forked"  # the machine holds another chain than ours
    QUARANTINED = "quarantined"
    REFUSED = "refused"  # nothing was stored: no such machine


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a batch, and what the machine is told."""

    fate: Fate
    ack: Ack | None = None  # None: nothing to tell; a silence that the machine sends into again
    records: int = 0  # that are new
    queries: bool = True  # False: decided from memory
    stated: bool = False  # a checkpoint came with it, which waits for the fleet's word
    problem: str = ""  # what could not be read, and where
    trace: str = ""  # as its machine gave it
