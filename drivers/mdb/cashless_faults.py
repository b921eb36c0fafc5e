"""What a reader's malfunction codes mean as faults. Pure table.

Source: MDB/ICP 4.2, section 7 (MALFUNCTION / ERROR).
"""

from __future__ import annotations

from typing import Final

from controller.faults import FaultCode

_BY_NIBBLE: Final = (
    FaultCode.READER_MEDIA,
    FaultCode.READER_MEDIA,
    FaultCode.READER_TAMPER,
    FaultCode.READER_OTHER,
    FaultCode.READER_COMMUNICATIONS,
    FaultCode.READER_SERVICE,
    FaultCode.READER_OTHER,
    FaultCode.READER_OTHER,
    FaultCode.READER_FAILURE,
    FaultCode.READER_FAILURE,  # communications again, but of class 3: it does not work
    FaultCode.READER_JAM,
    FaultCode.READER_OTHER,
    FaultCode.READER_REFUND,
    FaultCode.READER_OTHER,
    FaultCode.READER_OTHER,
    FaultCode.READER_OTHER,
)

READER_FAULTS: Final = tuple(dict.fromkeys(_BY_NIBBLE))
"""All that a malfunction can raise. A transient one is told until it is acknowledged, a lasting one
at every poll: so an answer without it clears it, either way."""


def malfunction_fault(code: int) -> FaultCode:
    """The fault of a malfunction code, by its high nibble."""
    return _BY_NIBBLE[code >> 4 & 0x0F]
