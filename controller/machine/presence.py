"""Devices come, go silent, are reset or are of no use: what holds of them then."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from controller.faults import FaultCode
from controller.journal import records as rec
from controller.machine import counts, sessions
from controller.machine import effects as fx
from controller.machine.cash import CashHandling
from controller.machine.desk import Desk
from controller.machine.incidents import Incidents
from controller.ports import BillInfo, ChangerInfo, DeviceName, ReaderInfo
from controller.saga import recovery as boot


def ready(
    desk: Desk,
    recovery: boot.Recovery | None,
    incidents: Incidents,
    device: DeviceName,
    info: ChangerInfo | BillInfo | ReaderInfo,
) -> None:
    """A device told who it is: recovery goes on with it, and what it holds is counted."""
    live = desk.live
    live.ready[device] = info
    described = _plain(asdict(info))
    if desk.state.devices.get(device.value) != described:
        if isinstance(info, ChangerInfo | BillInfo):
            counts.exchanged(desk, info)
        desk.write(rec.DeviceIdentified(device=device.value, info=described))
    incidents.ready(device)
    if recovery is not None and recovery.phase is not boot.Phase.DONE:
        boot.started(desk, recovery, device)
        if recovery.phase in (boot.Phase.GREET, boot.Phase.ASK, boot.Phase.START):
            return  # the count comes as a phase of its own
    if device is DeviceName.CHANGER and not live.tubes_checked:
        desk.do(fx.CountTubes("boot"))
    elif device is DeviceName.BILL and not live.stacker_checked:
        desk.do(fx.CountStacker("boot"))


def lost(
    desk: Desk,
    recovery: boot.Recovery | None,
    incidents: Incidents,
    cash: CashHandling,
    device: DeviceName,
) -> None:
    """A device is silent: recovery waits for it no longer."""
    incidents.raised(device.value, FaultCode.DEVICE_SILENT)
    if device is DeviceName.BILL:
        cash.validator_away()
    if recovery is not None and recovery.phase is not boot.Phase.DONE:
        boot.started(desk, recovery, device)


def gone(desk: Desk, device: DeviceName) -> None:
    """What a device told before its reset or its silence holds no longer."""
    live = desk.live
    live.ready.pop(device, None)
    if device is DeviceName.CHANGER:
        live.tubes_checked = False
    elif device is DeviceName.BILL:
        live.stacker_checked = live.escrow_asked = False
    if live.session is device:
        sessions.over(desk)


def unsuitable(
    desk: Desk, recovery: boot.Recovery | None, devices: tuple[DeviceName, ...], part: str
) -> None:
    """A device that is of no use here never will be ready: sell without it."""
    device = next((name for name in devices if name.value == part), None)
    if device is not None and recovery is not None and recovery.phase is boot.Phase.START:
        boot.started(desk, recovery, device)


def _plain(value: Any) -> Any:
    """Turn tuples into lists, as JSON will, so that what is written equals what is read."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
