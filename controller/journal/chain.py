"""The hash chain that ties each record to everything before it.

Pure. Hashes are taken over the exact bytes that were first written, never over a model written
out again, so that the chain outlives every upgrade of the software.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

GENESIS: Final = bytes(32)  # the hash "before" the first record of a journal
ID_BYTES: Final = 16  # a journal's random id


def link(previous: bytes, journal: bytes, seq: int, boot: int, body: bytes) -> bytes:
    """Return SHA-256(previous ‖ journal ‖ seq ‖ boot ‖ body).

    Widths are fixed, so that no two inputs read alike: ``previous`` 32 bytes, ``journal`` 16,
    ``seq`` and ``boot`` 8 each, unsigned and big-endian; ``body`` is the rest.
    """
    return sha256(
        previous + journal + seq.to_bytes(8, "big") + boot.to_bytes(8, "big") + body
    ).digest()
