"""Error codes of the API beside those of JSON-RPC 2.0; part of its contract."""

from __future__ import annotations

from enum import IntEnum


class NothingToTraceError(LookupError):
    """The record is not there, or no money belongs to it."""


class Code(IntEnum):
    """Codes that ``vendctl`` and other clients may rely on."""

    # JSON-RPC's own
    PARSE = -32700  # the line is no JSON
    INVALID_REQUEST = -32600  # it is no request, or too long
    NO_SUCH_METHOD = -32601
    INVALID_PARAMS = -32602
    INTERNAL = -32603
    # ours
    FAILED = -32000  # a bug or a broken part behind the call; the log knows more
    NOT_PERMITTED = -32001  # the kernel says who called, and that user may not
    REFUSED = -32002  # not now, or not so; the message says why and what to do
    NOT_FOUND = -32003  # no such column, vend or record
    BUSY = -32004  # too many clients
