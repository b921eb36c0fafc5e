"""What lines and devices have counted since the start, gathered for who asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from controller.api.service import Counted, LineCounts
from drivers.mdb.scheduler import MdbBus

if TYPE_CHECKING:
    from controller.app.running import Running
    from drivers.cctalk.assembly import CcTalkParts
    from drivers.cctalk.unit import Unit

MDB: Final = "mdb"
CCTALK: Final = "cctalk"


def counted(running: Running, now_s: float) -> Counted:
    """Return the counts of a composed machine at a loop time."""
    lines: list[LineCounts] = []
    oddities: dict[str, Mapping[str, int]] = {}
    if running.bus.devices:
        devices = running.bus.devices
        parts = {device.name.value: device.tally for device in devices}
        bus = running.bus.bus
        lines.append(LineCounts(MDB, bus.down, _mdb(bus, now_s), parts))
        oddities |= {device.name.value: dict(device.oddities) for device in devices}
    if running.cctalk is not None:
        lines.append(_cctalk(running.cctalk, oddities))
    if running.pulse is not None:
        oddities[running.pulse.name.value] = running.pulse.oddities
    return Counted(tuple(lines), oddities)


def _mdb(bus: MdbBus, now_s: float) -> dict[str, float]:
    """Return the link's and the bus's counts; a moment as how long ago it was."""
    told: dict[str, float] = asdict(bus.link.counters) | asdict(bus.counters)
    at = told.pop("worst_at_s")
    return told | {"worst_late_s": round(told["worst_late_s"], 6),
                   "worst_ago_s": round(now_s - at, 3) if at else 0.0}  # fmt: skip


def _cctalk(parts: CcTalkParts, oddities: dict[str, Mapping[str, int]]) -> LineCounts:
    units: list[Unit] = []
    if parts.changer is not None:
        units += parts.changer.units
        odd: Counter[str] = Counter()
        for unit in parts.changer.units:
            odd.update(unit.oddities)
        oddities[parts.changer.name.value] = dict(odd)
    if parts.bill is not None:
        units.append(parts.bill.unit)
        oddities[parts.bill.name.value] = dict(parts.bill.unit.oddities)
    bus = parts.bus
    return LineCounts(
        CCTALK, bus.down, asdict(bus.counters), {unit.part: unit.tally for unit in units}
    )
