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

BY_HAND: Final = DiagnosticPair(0x05, 0x10)
"""Stands while the tubes are filled or emptied by hand; it is told at least once."""
NEW_INVENTORY: Final = DiagnosticPair(0x05, 0x20)
"""The tubes hold something else, outside of that mode."""
CASSETTE_OUT: Final = DiagnosticPair(0x15, 0x02)
"""Stands while the tubes are out; whoever brings them back may have filled them."""

_MAIN_FAULTS: Final[dict[int, FaultCode]] = {
    0x10: FaultCode.CHANGER_FAILURE,
    0x11: FaultCode.CHANGER_ACCEPTOR,
    0x12: FaultCode.CHANGER_GATE,
    0x13: FaultCode.CHANGER_ROUTING,
    0x14: FaultCode.CHANGER_TUBE_JAM,
    0x15: FaultCode.CHANGER_TUBE_SENSOR,
}

_PAIR_FAULTS: Final[dict[tuple[int, int], FaultCode]] = {
    (0x10, 0x01): FaultCode.CHANGER_ROM,
    (0x10, 0x02): FaultCode.CHANGER_ROM,
    (0x10, 0x03): FaultCode.CHANGER_VOLTAGE,
    (0x11, 0x10): FaultCode.CHANGER_COIN_PATH_OPEN,
    (0x11, 0x11): FaultCode.CHANGER_COIN_PATH_OPEN,
    (0x11, 0x30): FaultCode.CHANGER_COIN_JAM,
    (0x12, 0x30): FaultCode.CHANGER_COIN_JAM,
    (0x15, 0x02): FaultCode.CHANGER_CASSETTE_REMOVED,
    (0x15, 0x03): FaultCode.CHANGER_CASHBOX_SENSOR,
}
"""Where the second byte says more; a main code with a second byte that nobody knows is its own."""


def diagnostic_fault(pair: DiagnosticPair) -> FaultCode | None:
    """The fault of a diagnostic pair; None for what is no trouble (OK, inhibited, powering up)."""
    return _PAIR_FAULTS.get((pair.main, pair.sub)) or _MAIN_FAULTS.get(pair.main)
