"""The journal's pure parts, handed on: what a record is, how it is chained, what it may say."""

from controller.journal import attested, records
from controller.journal.chain import GENESIS, ID_BYTES, link
from controller.journal.ed25519 import ed25519
from controller.journal.envelope import (
    EnvelopeError,
    Head,
    Postings,
    Record,
    RecordData,
    Registry,
    UnknownData,
    decode,
    read_head,
    to_ms,
)
from controller.journal.records import REGISTRY
from controller.money import Money

HASH_BYTES = len(GENESIS)

__all__ = [
    "GENESIS",
    "HASH_BYTES",
    "ID_BYTES",
    "REGISTRY",
    "EnvelopeError",
    "Head",
    "Money",
    "Postings",
    "Record",
    "RecordData",
    "Registry",
    "UnknownData",
    "attested",
    "decode",
    "ed25519",
    "link",
    "read_head",
    "records",
    "to_ms",
]
