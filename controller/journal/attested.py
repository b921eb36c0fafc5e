"""Checkpoints: a machine states its books and signs that; its fleet countersigns.

Pure. A checkpoint stands in the journal right behind the record that it speaks of, so that whoever
walks the chain has the hash and the balances to compare it with. The fleet's word for it comes back
as a record as well: nothing of either can be taken away unseen, and the newest word vouches for
everything before it, pruned records included, because each hash holds all that went before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from controller.journal.ed25519 import ed25519
from controller.journal.records import CheckpointCountersigned, CheckpointSigned

# So that a signature for one purpose is none for another.
STATED: Final = b"vendd checkpoint 1|"
COUNTERSIGNED: Final = b"vendd countersigned 1|"
KEY: Final = b"vendd key 1|"


@dataclass(frozen=True, slots=True)
class Statement:
    """The books after the record ``seq``."""

    journal: str  # hex
    seq: int
    hash: str  # hex
    balances: dict[str, int]  # those that are not zero
    at_ms: int  # UTC in ms since 1970, as the journal labels it
    confirmed: bool  # the fleet or NTP had confirmed that time


@dataclass(frozen=True, slots=True)
class Word:
    """The fleet's countersignature: it holds the same chain and the same balances."""

    journal: str
    seq: int
    hash: str
    digest: str  # SHA-256 of the statement's bytes, hex
    at_ms: int  # the fleet's time


class AttestError(ValueError):
    """A checkpoint or a countersignature is not what it should be. Says what."""


def write(statement: Statement) -> str:
    """Return the text that is signed; read again by ``read`` and by the contract's model."""
    fields = {
        "v": 1,
        "journal": statement.journal,
        "seq": statement.seq,
        "hash": statement.hash,
        "balances": dict(sorted(statement.balances.items())),
        "at": statement.at_ms,
        "confirmed": statement.confirmed,
    }
    return json.dumps(fields, separators=(",", ":"))


def read(body: str) -> Statement:
    """Read a checkpoint's text.

    Raises:
        AttestError: It is none.
    """
    fields = _object("the checkpoint", body)
    try:
        balances = {str(account): int(amount) for account, amount in fields["balances"].items()}  # type: ignore[attr-defined]  # AttributeError is caught
        return Statement(
            str(fields["journal"]),
            int(str(fields["seq"])),
            str(fields["hash"]),
            balances,
            int(str(fields["at"])),
            fields.get("confirmed") is True,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise AttestError(f"the checkpoint can't be read: {error!r}") from error


def digest(body: str) -> str:
    """Return what a countersignature names a checkpoint by."""
    return sha256(body.encode()).hexdigest()


def compare(
    data: CheckpointSigned, journal: bytes, seq: int, digest_: bytes, balances: Mapping[str, int]
) -> Statement:
    """Compare a checkpoint with what the chain says right before its record.

    Args:
        data: The record's.
        journal: The journal's id.
        seq: The last record before it.
        digest_: The hash of that one.
        balances: The ledger after it; zeros do not count.

    Raises:
        AttestError: They differ; both values are named.
    """
    told = read(data.body)
    for what, theirs, ours in (
        ("journal", told.journal, journal.hex()),
        ("seq", told.seq, seq),
        ("hash", told.hash, digest_.hex()),
    ):
        if theirs != ours:
            raise AttestError(f"the checkpoint says {what} {theirs}, the chain {ours}")
    for account in sorted({*told.balances, *balances}):
        theirs, ours = told.balances.get(account, 0), balances.get(account, 0)
        if theirs != ours:
            raise AttestError(f"the checkpoint says {account} {theirs}, the records {ours}")
    return told


def signed_by(public: bytes, data: CheckpointSigned) -> bool:
    """Tell whether a machine's key signed its checkpoint."""
    try:
        signature = bytes.fromhex(data.signature)
    except ValueError:
        return False
    return verifies(public, signature, STATED + data.body.encode())


def word_of(data: CheckpointCountersigned, root: bytes | None) -> Word:
    """Check the fleet's word, and return it.

    Args:
        data: The record's.
        root: The root key that the machine pins; None: it is not known here, and then only that the
            operational key signed the word is checked, not who vouches for that key.

    Raises:
        AttestError: A signature does not fit, or the key had ended before it signed.
    """
    try:
        signature, key_signature = bytes.fromhex(data.signature), bytes.fromhex(data.key_signature)
    except ValueError as error:
        raise AttestError("a signature is no hex") from error
    if root is not None and not verifies(root, key_signature, KEY + data.key.encode()):
        raise AttestError(f"key {data.kid!r} is not signed by the root key")
    key = _object("the key", data.key)
    body = _object("the countersignature", data.body)
    try:
        if key["kid"] != data.kid:
            raise AttestError(f"the word names key {data.kid!r}, its key is {key['kid']!r}")
        public = bytes.fromhex(str(key["public"]))
        word = Word(
            str(body["journal"]),
            int(str(body["seq"])),
            str(body["hash"]),
            str(body["checkpoint"]),
            int(str(body["at"])),
        )
        ended = int(str(key["not_after"])) < word.at_ms
    except (KeyError, ValueError) as error:
        if isinstance(error, AttestError):
            raise
        raise AttestError(f"the countersignature can't be read: {error!r}") from error
    if ended:
        raise AttestError(f"key {data.kid!r} had ended when it countersigned")
    if not verifies(public, signature, COUNTERSIGNED + data.body.encode()):
        raise AttestError(f"the signature of key {data.kid!r} does not fit")
    return word


def verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    """Tell whether ``public`` (Ed25519, RFC 8032) signed ``message``."""
    return ed25519().verifies(public, signature, message)


def _object(what: str, text: str) -> dict[str, object]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AttestError(f"{what} can't be read: {error}") from error
    if not isinstance(fields, dict):
        raise AttestError(f"{what} is no object")
    return fields
