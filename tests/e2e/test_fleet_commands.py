"""The fleet's commands, end to end: a signer of its own, a real broker, a real vendd, its panel."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_fleet import PLENTY_S, StartRig, of_shell, section, sell_one, told
from tests.fleet.site import Site, asked, vendcloud


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("fleet") / "home", signer=True)
    made.wait()
    asked(made.home, "machine", "add", "acme/demo")
    yield made
    made.end()


async def sent(site: Site, kind: str, *arguments: str) -> dict[str, Any]:
    """Send a command and follow it to its end; the last that was told of it."""
    order = await of_shell(site, "cmd", "send", "acme/demo", kind, *arguments)
    async with asyncio.timeout(PLENTY_S):
        lines = await asyncio.to_thread(
            vendcloud, site.home, "cmd", "show", order["id"], "--follow", "--json"
        )
    last: dict[str, Any] = json.loads(lines.splitlines()[-1])
    return last


async def test_what_a_fleet_orders_is_signed_apart_done_once_and_seen_at_the_machine(
    rigs: StartRig, site: Site, run_folder: Path
) -> None:
    spool = run_folder / "updates"
    update = f'[update]\nspool = "{spool}"\n\n'
    rig = await rigs(edits={"[machine]\n": update + section(site)})
    await rig.start_vendd()
    await rig.api.until_selling()
    await sell_one(rig)

    shown = await sent(site, "message.show", "text=Back on Monday", "seconds=600")
    assert shown["outcome"] == "done"
    await rig.sim.wait_for(display="Back on Monday", timeout_s=PLENTY_S)
    await rig.sim.insert_coin(100)
    await rig.sim.wait_for(display="Credit €1.00", timeout_s=PLENTY_S)

    # Locked with a customer's money in: it comes back, and the lock outlives a kill.
    locked = await sent(site, "machine.lock", "reason=recall")
    assert locked["result"] == {"locked": True}
    await rig.sim.wait_for(display="Closed for now", timeout_s=PLENTY_S)
    await rig.settled()
    assert (await rig.api.call("credit.show"))["total"] == 0
    assert rig.vendd is not None
    await rig.vendd.kill()
    await rig.start_vendd(selling=False)
    await rig.sim.wait_for(display="Closed for now", timeout_s=PLENTY_S)
    lock = (await rig.api.call("status"))["lock"]
    assert (lock["reason"], lock["by"].startswith("fleet: ")) == ("recall", True)
    await rig.api.call("machine.unlock", reason="the recall is another batch")
    await rig.api.until_selling()

    audit = (await sent(site, "audit.read"))["result"]
    assert audit["life"]["columns"]["A1"] == [1, 150]
    assert audit["life"]["paid_out"] >= 100

    # What the default key may not ask for is refused before anything travels.
    refused = await asyncio.to_thread(
        vendcloud, site.home, "cmd", "send", "acme/demo", "software.update", "version=2",
        f"digest={'ab' * 32}", code=5,
    )  # fmt: skip
    assert "wants a key for update" in refused
    await of_shell(
        site, "key", "add", "acme", "--role", "update",
        "--root", str(site.home / "signer" / "keys" / "root.key"),
    )  # fmt: skip
    handed = await sent(
        site, "software.update", "version=2.0.0", f"digest={'ab' * 32}", "artefact=vendd-2.0.0"
    )
    assert handed["outcome"] == "handed_over"
    (request,) = spool.iterdir()
    assert json.loads(request.read_bytes())["version"] == "2.0.0"

    last = (await rig.api.journal())[-1]["seq"]
    upload = await sent(site, "journal.upload", "first=1", f"last={last}")
    assert (upload["outcome"], upload["detail"]) == ("done", f"records 1 to {last}")

    log = (site.home / "signer" / "keys" / "signed.log").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["kind"] for line in lines if line["what"] == "command"] == [
        "message.show", "machine.lock", "audit.read", "software.update", "software.update",
        "journal.upload",
    ]  # fmt: skip
    assert [line["outcome"] for line in lines].count("refused") == 1
    durable = (await rig.api.journal())[-1]["seq"]
    machine = await told(
        site, lambda line: line["records"] >= durable, "machine", "show", "acme/demo"
    )
    records = [record["type"] for record in await rig.api.journal()]
    assert records.count("machine.locked") == 1
    assert machine["online"] is True
    assert (await rig.reckoning()).agrees
