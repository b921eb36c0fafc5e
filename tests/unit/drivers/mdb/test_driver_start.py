"""What devices say at awkward moments of their start."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from controller.ports import BillsReport, CoinsReport, DeviceName
from simulator.bench import BenchSettings, LinkKind
from simulator.peripherals.bill_settings import BillSettings
from simulator.peripherals.changer_settings import ChangerSettings
from tests.mdb_kit import Rig, rig, until, virtual

BOTH: list[LinkKind] = ["native", "adapter"]


def saying(kind: LinkKind, name: str, polls: Mapping[int, bytes], *, beside: bool = False) -> Rig:
    """Return a device that says something else to some of its polls, or that beside the rest."""
    bench = BenchSettings(
        changer=ChangerSettings() if name == "changer" else None,
        bill=BillSettings() if name == "bill" else None,
        readers=(),
    )
    it = rig(kind, bench, devices=frozenset({DeviceName(name)}))
    device = it.bench.changer if name == "changer" else it.bench.bill
    answer, count = device._poll, 0

    def poll() -> bytes:
        nonlocal count
        count += 1
        said = polls.get(count)
        if said is not None and beside:
            device._tell(said)
        return answer() if said is None or beside else said

    device._poll = poll  # type: ignore[method-assign]  # says what the simulated one never would
    return it


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(("name", "said"), [("changer", "50 1F"), ("bill", "90"), ("bill", "80")])
@virtual
async def test_money_beside_just_reset_keeps_no_device_from_its_set_up(
    kind: LinkKind, name: str, said: str
) -> None:
    it = saying(kind, name, {1: bytes.fromhex(said)}, beside=True)
    await it.greet()
    it.start()
    await until(lambda: (it.changer if name == "changer" else it.bill).ready, 20)
    told: list[object] = []
    for report in it.sink.reports:
        told += report.deposited if isinstance(report, CoinsReport) else ()
        told += report.events if isinstance(report, BillsReport) else ()
    assert len(told) == 1, "and it is told once, when it is known what it is worth"
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("nth", range(1, 7))
@pytest.mark.parametrize("then", ["90", "80", "0A", "D4"])
@virtual
async def test_what_comes_right_before_the_reset_of_a_start_holds_it_up_for_a_moment_only(
    kind: LinkKind, nth: int, then: str
) -> None:
    it = saying(kind, "bill", {nth: b"\x0a\x09", nth + 1: bytes.fromhex(then)})
    await it.greet()
    it.start()
    await until(lambda: it.bill.ready, 20)
    await it.die()
