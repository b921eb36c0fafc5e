"""What fails again and again is stopped: a column at fault, one that refunds, the whole machine.

Whoever knows how to make a machine refund gets the same money back for ever, and perhaps a product
with it now and then (the jackpot). The rows are the folded state's; how long they may get the
owner decides, and what is too long under another policy of theirs sells no more either.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from controller.faults import FaultCode
from controller.journal import records as rec
from controller.machine.desk import Desk

_FAULTS: Final = (
    FaultCode.COLUMN_JAMMED,
    FaultCode.COLUMN_NO_START,
    FaultCode.COLUMN_NO_HOME,
    FaultCode.COLUMN_NOT_SEEN,
)


def guard(desk: Desk, columns: Iterable[str]) -> None:
    """Stop what refunds again and again: a column first, then the machine."""
    state, policy = desk.state, desk.policy
    for column in columns:
        failed = state.failures.get(column, 0)
        if policy.column_refunds_max and failed >= policy.column_refunds_max:
            desk.raise_fault(column, FaultCode.COLUMN_REFUNDS, f"{failed} in a row")
            _turn_off(desk, column, FaultCode.COLUMN_REFUNDS)
    if policy.machine_refunds_max and state.failures_machine >= policy.machine_refunds_max:
        detail = f"{state.failures_machine} in a row"
        desk.raise_fault("machine", FaultCode.MACHINE_REFUNDS, detail)


def hold_to_policy(desk: Desk) -> None:
    """Sell no more what has failed too often for the policy that holds from now on."""
    for column in desk.planogram.columns:
        if desk.state.column_faults.get(column, 0) > desk.policy.column_retries:
            faults = (code for code in _FAULTS if f"{column} {code.value}" in desk.state.faults)
            # None: its one turn let nothing fall, and something kept it from its second.
            if fault := next(faults, None):
                _turn_off(desk, column, fault)
    guard(desk, desk.planogram.columns)


def _turn_off(desk: Desk, column: str, fault: FaultCode) -> None:
    if not desk.state.stock.of(column).disabled:
        desk.write(rec.ColumnDisabled(column=column, reason=fault.value))
