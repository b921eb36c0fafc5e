"""What a coin changer's status and diagnostic codes mean as faults. Pure tables.

Source: MDB/ICP 4.2, section 5 (POLL, EXPANSION 05).
"""

from __future__ import annotations

from typing import Final

from controller.faults import FaultCode
from drivers.mdb.changer_codec import ChangerStatus, DiagnosticPair

STATUS_FAULTS: Final[dict[ChangerStatus, FaultCode]] = {
    ChangerStatus.TUBE_SENSOR: FaultCode.CHANGER_TUBE_SENSOR,
    ChangerStatus.ACCEPTOR_UNPLUGGED: FaultCode.CHANGER_ACCEPTOR_UNPLUGGED,
    ChangerStatus.TUBE_JAM: FaultCode.CHANGER_TUBE_JAM,
    ChangerStatus.ROM_CHECKSUM: FaultCode.CHANGER_ROM,
    ChangerStatus.ROUTING_ERROR: FaultCode.CHANGER_ROUTING,
    ChangerStatus.COIN_JAM: FaultCode.CHANGER_COIN_JAM,
    ChangerStatus.CREDITED_COIN_REMOVED: FaultCode.CHANGER_COIN_REMOVED,
}

DEPOSIT_CLEARS: Final = (
    FaultCode.CHANGER_COIN_JAM,
    FaultCode.CHANGER_ROUTING,
    FaultCode.CHANGER_COIN_REMOVED,
)
"""Told once by the changer; a coin that went its way shows that the path works."""

PAYOUT_CLEARS: Final = (FaultCode.CHANGER_TUBE_JAM,)
"""A payout that ended without the jam code shows that the tubes work."""

ONE_SHOT: Final = frozenset(ChangerStatus) - {
    ChangerStatus.UNDEFINED,
    ChangerStatus.ESCROW_REQUEST,
    ChangerStatus.PAYOUT_BUSY,
    ChangerStatus.ACCEPTOR_UNPLUGGED,
    ChangerStatus.CHANGER_BUSY,
    ChangerStatus.JUST_RESET,
}
"""Reported once, so they take part in telling a repeat. The lever may be held down, a reset is
judged by itself, and the rest stands in each poll as long as it lasts."""

_MAIN_FAULTS: Final[dict[int, FaultCode]] = {
    0x10: FaultCode.CHANGER_ROM,
    0x11: FaultCode.CHANGER_COIN_JAM,
    0x12: FaultCode.CHANGER_COIN_JAM,
    0x13: FaultCode.CHANGER_ROUTING,
    0x14: FaultCode.CHANGER_TUBE_JAM,
    0x15: FaultCode.CHANGER_TUBE_SENSOR,
}


def diagnostic_fault(pair: DiagnosticPair) -> FaultCode | None:
    """The fault of a diagnostic pair; None for what is no trouble (OK, inhibited, powering up)."""
    return _MAIN_FAULTS.get(pair.main)
