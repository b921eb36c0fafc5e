"""What a bill validator's status codes mean as faults. Pure tables.

Source: MDB/ICP 4.2, section 6 (POLL).
"""

from __future__ import annotations

from typing import Final

from controller.faults import FaultCode
from drivers.mdb.bill_codec import RecyclerStatus, ValidatorStatus

DISABLING: Final[dict[ValidatorStatus, FaultCode]] = {
    ValidatorStatus.DEFECTIVE_MOTOR: FaultCode.BILL_MOTOR,
    ValidatorStatus.SENSOR_PROBLEM: FaultCode.BILL_SENSOR,
    ValidatorStatus.ROM_CHECKSUM: FaultCode.BILL_ROM,
    ValidatorStatus.JAMMED: FaultCode.BILL_JAM,
    ValidatorStatus.CASHBOX_OUT: FaultCode.BILL_CASHBOX_OUT,
}
"""Told once; from then on the validator says "disabled" in each poll until it is mended."""

INCIDENTS: Final[dict[ValidatorStatus, str]] = {
    ValidatorStatus.BILL_REMOVED: "a bill left escrow by unknown means",
    ValidatorStatus.CREDITED_BILL_REMOVED: "possible removal of a credited bill",
}
"""Told once; the next bill that goes its way shows that the path works."""

ONE_SHOT: Final = frozenset(ValidatorStatus) - {
    ValidatorStatus.BUSY,
    ValidatorStatus.DISABLED,
    ValidatorStatus.JUST_RESET,
}
"""Reported once, so they take part in telling a repeat."""

DISPENSER_FAULTS: Final[dict[RecyclerStatus, str]] = {
    RecyclerStatus.DISPENSER_SENSOR: "its sensor is defective",
    RecyclerStatus.DID_NOT_START: "its motor does not start",
    RecyclerStatus.DISPENSER_JAM: "a bill is jammed",
    RecyclerStatus.ROM_CHECKSUM: "ROM checksum error",
}
"""Told once; from then on it says "dispenser disabled" in each poll until it is mended."""

DISPENSER_BUSY: Final = frozenset(
    {RecyclerStatus.PAYOUT_BUSY, RecyclerStatus.DISPENSER_BUSY, RecyclerStatus.BILL_WAITING}
)
"""A payout runs, or its last bill has not been taken yet."""

RECYCLER_ONE_SHOT: Final = frozenset(DISPENSER_FAULTS) | {
    RecyclerStatus.ESCROW_REQUEST,
    RecyclerStatus.FILL_KEY,
}
"""Reported once, as those of the validator."""
