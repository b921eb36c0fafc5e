"""What a ccTalk bill validator's events mean as faults. Pure tables.

Source: ccTalk Generic Specification 4.7, part 3 (bill events).
"""

from __future__ import annotations

from typing import Final

from controller.faults import FaultCode
from drivers.cctalk.bill_codec import BillStatus

RAISES: Final = {
    BillStatus.JAM_UNSAFE: FaultCode.BILL_JAM,
    BillStatus.JAM_STACKER: FaultCode.BILL_JAM,
    BillStatus.JAM_SAFE: FaultCode.BILL_JAM,
    BillStatus.STACKER_JAMMED: FaultCode.BILL_JAM,
    BillStatus.STACKER_REMOVED: FaultCode.BILL_CASHBOX_OUT,
    BillStatus.STACKER_FULL: FaultCode.BILL_STACKER_FULL,
    BillStatus.STACKER_FAULTY: FaultCode.BILL_MOTOR,
    BillStatus.ANTI_STRING_FAULTY: FaultCode.BILL_SENSOR,
    BillStatus.PULLED_BACK: FaultCode.BILL_REMOVED,
    BillStatus.TAMPER: FaultCode.BILL_REMOVED,
    BillStatus.OPTO_FRAUD: FaultCode.BILL_REMOVED,
    BillStatus.STRING_FRAUD: FaultCode.BILL_REMOVED,
}
CLEARS: Final = {
    BillStatus.STACKER_OK: tuple(dict.fromkeys(RAISES.values())),
    BillStatus.STACKER_INSERTED: (FaultCode.BILL_CASHBOX_OUT, FaultCode.BILL_STACKER_FULL),
}
LASTING: Final = (
    FaultCode.BILL_JAM,
    FaultCode.BILL_CASHBOX_OUT,
    FaultCode.BILL_STACKER_FULL,
    FaultCode.BILL_MOTOR,
    FaultCode.BILL_SENSOR,
)
"""Ended by a self-check without a fault."""
