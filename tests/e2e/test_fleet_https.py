"""A simulated machine, a real vendd and a real server, over HTTPS alone: no broker runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

import pytest

from simulator.rig import Rig
from tests.e2e.test_fleet import books_of, section, sold_and_repriced, stopped, told
from tests.fleet.site import Site, asked

StartRig = Callable[..., Awaitable[Rig]]


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("fleet") / "home", broker=False)
    made.wait()
    asked(made.home, "machine", "add", "acme/demo")
    yield made
    made.end()


def over_https(site: Site) -> str:
    return section(site).replace(
        f"port = {site.port}", f'transport = "https"\nhttps_port = {site.https}'
    )


async def test_a_vend_is_in_the_cloud_and_a_price_comes_back_without_a_broker(
    rigs: StartRig, site: Site
) -> None:
    rig = await rigs(edits={"[machine]\n": over_https(site)})
    await rig.start_vendd()
    await rig.api.until_selling()
    await sold_and_repriced(rig, site)

    # Killed and started again, it goes on where the fleet is, and runs nothing twice.
    await stopped(rig)
    await rig.start_vendd()
    await rig.api.until_selling()
    durable = (await rig.api.journal())[-1]["seq"]
    machine = await told(
        site, lambda line: line["records"] >= durable, "machine", "show", "acme/demo"
    )
    assert machine["online"] is True
    assert machine["balances"] == await books_of(rig)
    finished = [r for r in await rig.api.journal() if r["type"] == "command.finished"]
    assert len(finished) == 1
    assert (await rig.reckoning()).agrees
