"""Whether anything may be sold now, and the mode that follows from it."""

from __future__ import annotations

from typing import Final

from controller.faults import FaultCode
from controller.machine.configuring import NO_DEVICE
from controller.machine.desk import Desk
from controller.machine.table import Mode, Trigger
from controller.ports import DeviceName
from controller.saga import vend

SENSOR_BLIND: Final = f"sensor {FaultCode.SENSOR_BLIND.value}"  # as the state lists them
MACHINE_REFUNDS: Final = f"machine {FaultCode.MACHINE_REFUNDS.value}"


def blocked(desk: Desk, devices: tuple[DeviceName, ...]) -> str:
    """Return why nothing may be sold now, or an empty string."""
    lock = desk.state.orders.lock
    if lock is not None:
        return f"locked by {lock.by}: {lock.reason or 'no reason given'}"
    if desk.live.door_open:
        return "door open"
    if SENSOR_BLIND in desk.state.faults:
        return "drop sensor blind"
    if desk.journal.disk_full:
        return "the disk is full"
    if MACHINE_REFUNDS in desk.state.faults:
        return "too many failed vends in a row: `vendctl service on`, look, `service off`"
    if devices and not desk.live.ready:
        return NO_DEVICE
    return ""


def settle_mode(desk: Desk, blocked: str) -> None:
    """Bring the mode in line with what may be sold, and with the credit that is there."""
    if desk.state.orders.lock is not None and desk.mode.selling:
        vend.give_credit_back(desk, "locked")  # before nothing is taken any more
        if desk.state.sagas:
            return
    if blocked and desk.mode is not Mode.OUT_OF_SERVICE:
        desk.fire(Trigger.FAIL)
        if desk.live.session is not None:
            desk.end_session(desk.live.session)
    elif not blocked and desk.mode is Mode.OUT_OF_SERVICE and not desk.state.sagas:
        desk.fire(Trigger.HEAL)
    if not desk.state.sagas:
        desk.live.tried = desk.live.tried and desk.credit > 0
    if desk.mode.selling:
        paid = desk.credit > 0 or bool(desk.state.rights)
        present = paid or desk.live.session is not None
        if present and desk.mode is Mode.IDLE:
            desk.fire(Trigger.MONEY)
        elif not present and desk.mode is Mode.CREDIT:
            desk.fire(Trigger.SPENT)
