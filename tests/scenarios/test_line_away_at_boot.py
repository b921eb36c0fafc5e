"""A bus adapter that is not there when vendd starts: said as a fault until it is, and no longer."""

from __future__ import annotations

from controller.faults import FaultCode
from simulator.world import Link
from tests.scenarios.stage import Stage, play


def test_a_line_that_is_missing_at_the_start_is_a_fault_until_it_is_plugged_in(
    link: Link,
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.kill()
        stage.world.unplug("line")
        await stage.boot()
        await stage.shows("Out of service")
        await stage.passes(30.0)
        assert stage.has_fault("mdb", FaultCode.DEVICE_SILENT)
        stage.world.plug("line")
        await stage.sells()
        assert not stage.has_fault("mdb", FaultCode.DEVICE_SILENT)
        assert stage.running is not None
        live = stage.running.machine.desk.live
        await stage.until(lambda: live.tubes_checked)  # the reader alone may sell before
        await stage.passes(1.0)
        await stage.coins(100, 50)
        await stage.buys("A1")
        assert stage.products == ["water"]

    play(scenario, link)
