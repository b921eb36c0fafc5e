"""How long an act may take before nobody waits for it any more.

Drivers end their acts by limits of their own, from the standards' times; these are the last net
under them, for a driver that never comes back. What has no outcome by then is *unknown*: it may
have happened. So each limit lies well above what its act can take in good order.
"""

from __future__ import annotations

from typing import Final

from controller.domain.policy import Policy
from controller.machine import effects as fx

SENSOR_S: Final = 30.0
"""A self-test, or a look at a latch: less than a second."""

TURN_S: Final = 120.0
"""A motor's maximum on-time is enforced at the pin and ends at 60 s; then the fall."""

READER_S: Final = 900.0
"""A reader's own limit is 255 s at most (MDB/ICP 4.2, section 7, Z7), and VEND CANCEL, a RESET and
a second answer may follow it."""

PAYOUT_S: Final = 1_800.0
"""Each DISPENSE ends in 60 s at most; the longest order has less than thirty of them."""

JUDGE_S: Final = 60.0
"""Some thousand checks in a thread: milliseconds, on the slowest board a second."""
SPOOL_S: Final = 60.0
"""A file of some hundred bytes on a card that wears: seconds at the worst."""

DEVICE_S: Final = 300.0
"""A greeting, a count, an ESCROW: repeated for the non-response time, 30 s at most."""


def limit_s(effect: fx.Effect, policy: Policy) -> float | None:
    """Return an act's limit in seconds, None for what has none (a device's life)."""
    match effect:
        case fx.CheckSensor() | fx.ReadEvidence():
            return SENSOR_S
        case fx.Turn():
            return TURN_S
        case fx.RequestApproval():
            return READER_S + policy.approval_timeout_s
        case (
            fx.CancelApproval()
            | fx.Settle()
            | fx.EndSession()
            | fx.ReportCashSale()
            | fx.AskRevalueLimit()
            | fx.Revalue()
            | fx.RevalueEvidence()
        ):
            return READER_S
        case fx.Payout() | fx.PayoutEvidenceAfterRestart():
            return PAYOUT_S
        case fx.Greet() | fx.CountTubes() | fx.CountStacker() | fx.PourCoins():
            return DEVICE_S
        case fx.StackBill() | fx.ReturnBill():
            return DEVICE_S
        case fx.JudgeConfig():
            return JUDGE_S
        case fx.HandOver():
            return SPOOL_S
        case _:
            return None
