"""Configuration over a real broker: set, applied, reported; refused; killed in between; adopted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from simulator.rig import Rig
from tests.e2e.test_fleet import PLENTY_S, of_shell, section, told
from tests.e2e.test_fleet import site as site  # noqa: PLC0414 - a fixture, told to the checker
from tests.fleet.site import Site, vendcloud

StartRig = Callable[..., Awaitable[Rig]]
MACHINE = "acme/demo"


async def column(rig: Rig, name: str = "A1") -> dict[str, Any]:
    columns = (await rig.api.call("stock.show"))["columns"]
    return next(dict(one) for one in columns if one["column"] == name)


async def until_outcome(site: Site, revision: int, *outcomes: str) -> dict[str, Any]:
    shown = await told(
        site,
        lambda line: (
            line["desired"]["revision"] == revision and line["desired"]["outcome"] in outcomes
        ),
        "desired",
        "show",
        MACHINE,
    )
    return dict(shown)


async def test_a_configuration_goes_from_the_fleet_to_the_machine_and_its_word_comes_back(
    rigs: StartRig, site: Site
) -> None:
    rig = await rigs(edits={"[machine]\n": section(site)})
    await rig.start_vendd()
    await rig.api.until_selling()

    made = await of_shell(
        site, "desired", "set", MACHINE, "planogram.columns.A1.price=170", "policy.max_credit=3000"
    )
    assert made["revision"] == 1
    await until_outcome(site, 1, "applied", "confirmed")
    assert (await column(rig))["price"] == 170
    shown = await told(site, lambda line: line["applied"] == 1, "desired", "show", MACHINE)
    assert (shown["seen"], shown["outcome"], shown["drift"]) == (1, "applied", {})

    # One that is wrong: told with its reasons, and the one before stands.
    await of_shell(site, "desired", "set", MACHINE, "policy.max_credit=-1", "gpio.rows=[1]")
    shown = await until_outcome(site, 2, "refused")
    assert "gpio: stays with the machine's own file" in shown["desired"]["detail"]
    shown = await told(site, lambda line: line["seen"] == 2, "desired", "show", MACHINE)
    assert shown["applied"] == 1
    assert any("gpio" in error for error in shown["errors"])
    assert (await column(rig))["price"] == 170

    # A customer is served: it waits, the machine dies, and takes it at its next start.
    await rig.sim.insert_coin(100)
    await rig.sim.wait_for(display="Credit €1.00", timeout_s=PLENTY_S)
    await of_shell(
        site, "desired", "set", MACHINE, "planogram.columns.A1.price=180", "--unset", "gpio",
        "--unset", "policy",
    )  # fmt: skip
    await told(site, lambda line: line["waiting"] == 3, "desired", "show", MACHINE)
    assert (await column(rig))["price"] == 170
    assert rig.vendd is not None
    await rig.vendd.kill()
    await rig.start_vendd()
    await rig.sim.wait_for(display="Credit €1.00", timeout_s=PLENTY_S)
    await rig.sim.press_keys("*")
    await until_outcome(site, 3, "applied", "confirmed")
    assert (await column(rig))["price"] == 180

    # A technician has another opinion, which stands until it is adopted.
    await rig.api.call("price.set", column="A1", price=190)
    drift = {"planogram.columns.A1.price": {"wanted": 180, "found": 190}}
    shown = await told(site, lambda line: bool(line["drift"]), "desired", "show", MACHINE)
    key = "planogram.columns.A1.price"
    assert {name: shown["drift"][key][name] for name in ("wanted", "found")} == drift[key]
    made = await of_shell(site, "desired", "adopt", MACHINE)
    assert (made["revision"], made["settings"]["planogram"]["columns"]["A1"]["price"]) == (4, 190)
    await until_outcome(site, 4, "applied", "confirmed")
    assert (await column(rig))["price"] == 190
    await told(
        site, lambda line: line["applied"] == 4 and not line["drift"], "desired", "show", MACHINE
    )
    refused = await asyncio.to_thread(vendcloud, site.home, "desired", "adopt", MACHINE, code=1)
    assert "nothing differs" in refused

    # The whole planogram as a command.
    await of_shell(
        site, "cmd", "send", MACHINE, "planogram.apply",
        'products={"tea":{"name":"Iced tea","price":160}}',
        'columns={"A1":{"product":"tea","capacity":6}}',
    )  # fmt: skip
    await told(
        site,
        lambda lines: any(line["kind"] == "planogram.apply" and line["outcome"] for line in lines),
        "cmd",
        "show",
    )
    now = await column(rig)
    assert (now["product"], now["name"], now["price"], now["capacity"]) == (
        "tea", "Iced tea", 160, 6
    )  # fmt: skip
    assert (await rig.reckoning()).agrees
