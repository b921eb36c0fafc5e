"""Days lived in virtual time are taken over by real processes, which find nothing amiss."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from simulator.rig import Rig, run_program
from simulator.vendd_client import VenddClient

StartRig = Callable[..., Awaitable[Rig]]
# What tells of a comparison that found a difference, or of something that needs a look.
WORRIES = {"review.flagged", "claim.opened", "vend.opened", "coins.deposited", "recovery.decided"}


async def lived(home: Path, *arguments: str) -> dict[str, Any]:
    code, said = await run_program(
        "-m", "simulator", "live", "--dir", str(home), "--json", *arguments, stderr=False
    )
    assert code == 0, said
    found: dict[str, Any] = json.loads(said)
    return found


async def balances_of(api: VenddClient) -> dict[str, int]:
    rows = (await api.call("ledger.show"))["accounts"]
    found = {row["account"]: row["debit"] - row["credit"] for row in rows}
    return {account: amount for account, amount in found.items() if amount}


async def test_a_day_is_lived_and_a_real_vendd_finds_no_difference(
    rigs: StartRig, run_folder: Path
) -> None:
    past = await lived(run_folder, "--days", "0.5", "--customers", "40", "--seed", "3")
    assert past["vends"] > 10
    assert any("." in name for name in past["faults"]), "something broke"

    rig = await rigs(state=run_folder / "world.json")
    rig.staff_paid_claim(past["by_hand"])
    rig.left_behind(past["left_behind"])
    await rig.start_vendd()

    assert await balances_of(rig.api) == past["balances"]
    journal = await rig.api.journal()
    new = [record for record in journal if record["seq"] > past["records"]]
    assert new, "it has started"
    assert WORRIES.isdisjoint(record["type"] for record in new)
    found = await rig.reckoning()
    assert found.agrees, found.differences
    assert all(believed == there for believed, there in found.stock.values())

    # And it sells on where it was left.
    before = (await rig.sim.truth()).totals.products
    await rig.sim.insert_coin(50)
    await rig.sim.insert_coin(10)
    await rig.sim.wait_for(display="Credit €0.60", timeout_s=20.0)
    await rig.sim.press_keys("B4")
    await rig.sim.wait_for(totals={"products": before + 1}, timeout_s=20.0)
    await rig.settled()
    assert (await rig.reckoning()).agrees
    report = await rig.api.call("journal.verify")
    assert report["ok"]
    assert report["records"] > past["records"]


async def test_the_same_seed_is_the_same_past_and_no_journal_is_ever_replaced(
    tmp_path: Path,
) -> None:
    asked = ("--days", "0.2", "--customers", "30", "--seed", "4")
    one = await lived(tmp_path / "one", *asked)
    other = await lived(tmp_path / "other", *asked)
    assert {**one, **dict.fromkeys(("journal", "state", "took_s"))} == {
        **other, **dict.fromkeys(("journal", "state", "took_s"))
    }  # fmt: skip
    for folder in ("one", "other"):
        (database,) = (tmp_path / folder / "journal").glob("*.db")
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    code, said = await run_program(
        "-m", "simulator", "live", "--dir", str(tmp_path / "one"), "--days", "0.2"
    )
    assert code == 1
    assert "a journal is never replaced" in " ".join(said.split())
