"""What an acknowledgement means for this machine; a decision, and nothing else.

Pure. An ack for another journal is ignored. One beyond our last record, or with another hash than
ours at that place, says that this disk went back or is a copy: then the fleet names the last record
that both hold, and nothing is sold on this journal any more.
"""

from __future__ import annotations

from dataclasses import dataclass

from cloud.contract.messages import Ack, Range


@dataclass(frozen=True, slots=True)
class Ignored:
    """It is not about this journal, or says nothing new."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """The fleet has all records up to ``seq``."""

    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """The fleet asks for records again."""

    range: Range


@dataclass(frozen=True, slots=True)
class Forked:
    """Both chains agree up to ``seq`` and not behind it."""

    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Ahead:
    """The fleet is ahead of us and does not say yet where both agree: tell it where we stand."""


Meaning = Ignored | Advanced | Wanted | Forked | Ahead


def meaning_of(ack: Ack, journal: bytes, durable: int, ours: bytes | None) -> Meaning:
    """Judge an ack.

    Args:
        ack: What came.
        journal: This machine's journal.
        durable: Its last durable record.
        ours: Our hash at ``ack.seq``; None when we do not have that record (any more).
    """
    if ack.journal != journal.hex():
        return Ignored()
    if ack.fork is not None:
        here = ours is not None and ack.seq <= durable and ours.hex() == ack.hash
        if here and ack.fork.seq < ack.seq:
            # The fleet answers a word of ours that was overtaken by batches behind it.
            return Advanced(ack.seq, bytes.fromhex(ack.hash))
        if ack.fork.journal == ack.journal and ack.fork.seq <= durable:
            return Forked(ack.fork.seq, bytes.fromhex(ack.fork.hash))
        return Ignored()
    if ack.seq > durable or (ours is not None and ours.hex() != ack.hash):
        return Wanted(ack.want) if ack.want is not None else Ahead()
    if ack.want is not None:
        return Wanted(ack.want)
    return Advanced(ack.seq, bytes.fromhex(ack.hash))
