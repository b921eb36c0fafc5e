"""A look into SQLite's write-ahead log, for damage that SQLite passes over in silence.

Pure. Recovery stops at the first frame whose checksum is wrong and forgets all behind it: right
for the torn end of one unsynced commit, wrong for a bit that flipped in synced ones. Each commit
is synced before the next begins, so a power cut leaves the frames of at most *one* commit behind
the last whole one; a second commit mark there means that durable records were lost.
Source: SQLite file format, section 4.1 (WAL header 32 bytes, frame header 24, big-endian).
"""

from __future__ import annotations

import struct
from typing import Final

_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_MAGIC: Final = (0x377F0682, 0x377F0683)


def commits_behind(log: bytes, frames: int) -> int:
    """Count the commit marks of this log's generation behind its first ``frames`` whole frames."""
    if len(log) < _HEADER:
        return 0
    magic, _, page_size, _ = struct.unpack_from(">IIII", log)
    if magic not in _MAGIC or page_size == 0:
        return 0
    salts = log[16:24]
    stride = _FRAME_HEADER + page_size
    found = 0
    for at in range(_HEADER + frames * stride, len(log) - _FRAME_HEADER + 1, stride):
        # Bytes 4-7: the database's size in pages after a commit, zero in all other frames.
        if log[at + 8 : at + 16] == salts and log[at + 4 : at + 8] != b"\0\0\0\0":
            found += 1
    return found
