"""vendd and its guard as processes: stopped, killed, hung, doubled, and without its hardware."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest

from simulator.rig import VENDD_LOG, Rig, run_program
from simulator.shapes import Mark

StartRig = Callable[..., Awaitable[Rig]]

A1 = 4  # the pin of a motor
SAFE_WITHIN_S = 0.7
HANG_MS, OFF_S = 3_000, 0.2  # a hung vendd is given so long here, and its outputs are off so soon
TURNS = 10  # of several processes, one after the other; on a busy machine each of them may be late
KILLED = 128 + signal.SIGKILL
PLENTY_S = 60.0
UNAVAILABLE = 69  # sysexits.h; 78 alone, a configuration that is wrong, is not started again


async def in_order(rig: Rig) -> None:
    await rig.settled()
    reckoning = await rig.reckoning()
    assert reckoning.agrees, reckoning.differences


async def credit(rig: Rig, amount: int) -> None:
    await rig.sim.wait_for(display=f"Credit €{amount / 100:.2f}", timeout_s=PLENTY_S)


async def begins_to_turn(rig: Rig) -> Mark:
    """Have a customer pay for A1, whose motor turns slowly; returns an instant before it does."""
    mark = await rig.sim.mark()
    await rig.sim.set_fault("A1", "slow", True)
    await rig.sim.set_fault("A1", "hang", 9)
    await rig.sim.insert_coin(100)
    await rig.sim.insert_coin(50)
    await credit(rig, 150)
    await rig.sim.press_keys("A1")
    await rig.sim.wait_for(pin=A1, level=True, since=mark, timeout_s=PLENTY_S)
    return mark


async def safe_after(rig: Rig, began_s: float, mark: Mark) -> float:
    """Return how long after ``began_s`` the motor was off, in seconds."""
    await rig.sim.wait_for(pin=A1, level=False, since=mark, timeout_s=PLENTY_S)
    off = [edge.at_s for edge in await rig.sim.edges(mark.edge, A1) if not edge.level]
    return off[-1] - began_s


def now_s() -> float:
    """Return the system's monotonic seconds, which the simulator's edges carry too."""
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def lateness() -> AsyncIterator[list[float]]:
    """Measure how much later than asked this machine gives a process its turn."""
    late = [0.0]

    async def watch() -> None:
        while True:
            asked_s = now_s() + 0.01
            await asyncio.sleep(0.01)
            late.append(now_s() - asked_s)

    watching = asyncio.create_task(watch())
    try:
        yield late
    finally:
        watching.cancel()


async def test_a_stop_in_idle_keeps_the_credit_for_the_next_start(rig: Rig) -> None:
    await rig.sim.insert_coin(100)
    await credit(rig, 100)
    assert rig.vendd is not None
    assert await rig.vendd.stop() == 0
    log = (rig.home / VENDD_LOG).read_text(encoding="utf-8")
    assert {"ready", "stopped"} <= {json.loads(line)["event"] for line in log.splitlines()}
    assert "Out of service" in (await rig.sim.display()).text
    assert (await rig.sim.truth()).outputs_on == ()
    await rig.sim.insert_coin(50)
    await rig.sim.wait_for(totals={"returned": 50}, timeout_s=PLENTY_S)  # nothing is taken
    await rig.start_vendd()
    await credit(rig, 100)
    await rig.sim.pull_lever()
    await rig.sim.wait_for(totals={"returned": 150}, timeout_s=PLENTY_S)
    await in_order(rig)


async def test_a_stop_in_mid_vend_ends_the_vend_first(rig: Rig) -> None:
    await rig.sim.insert_coin(100, 2)
    await credit(rig, 200)
    mark = await rig.sim.mark()
    await rig.sim.press_keys("A1")
    await rig.sim.wait_for(pin=A1, level=True, since=mark, timeout_s=PLENTY_S)
    assert rig.vendd is not None
    assert await rig.vendd.stop() == 0
    account = (await rig.sim.truth()).accounts[""]
    assert (account.products, account.spent) == (("water",), 150)
    await rig.start_vendd()
    await in_order(rig)


async def test_a_vendd_that_hangs_in_mid_turn_is_killed_and_its_motor_off(rigs: StartRig) -> None:
    rig = await rigs(heartbeat_ms=HANG_MS)
    vendd = await rig.start_vendd()
    mark = await begins_to_turn(rig)
    async with lateness() as late:
        stopped_s = now_s()
        vendd.signal(signal.SIGSTOP)
        assert await vendd.ended() == KILLED
        took_s = await safe_after(rig, stopped_s, mark)
    assert took_s < HANG_MS / 1000 + OFF_S + TURNS * max(late)
    assert (await rig.sim.truth()).outputs_on == ()
    await rig.sim.clear_faults()
    await rig.start_vendd()
    await rig.sim.wait_for(totals={"returned": 150, "products": 0}, timeout_s=PLENTY_S)
    await in_order(rig)


async def test_a_guard_that_is_killed_takes_vendd_along_in_good_order(rigs: StartRig) -> None:
    rig = await rigs()
    vendd = await rig.start_vendd()
    mark = await begins_to_turn(rig)
    async with lateness() as late:
        killed_s = now_s()
        vendd.process.kill()
        await vendd.api.until(lambda api: api.gone, "vendd ends", PLENTY_S)
        took_s = await safe_after(rig, killed_s, mark)
    assert took_s < SAFE_WITHIN_S + TURNS * max(late)
    await rig.sim.clear_faults()
    await rig.sim.wait_for(quiet_s=0.2, timeout_s=PLENTY_S)
    await rig.start_vendd()
    await in_order(rig)
    truth = await rig.sim.truth()
    assert truth.accounts[""].spent == 0
    assert truth.accounts[""].products == ()


@pytest.mark.parametrize("link", ["adapter", "native"])
async def test_a_cable_that_is_pulled_and_put_back_is_picked_up(rigs: StartRig, link: str) -> None:
    rig = await rigs(link=link)
    await rig.start_vendd()
    await rig.sim.insert_coin(50)
    await credit(rig, 50)
    await rig.sim.unplug("line")
    await rig.api.until_record("fault.raised", PLENTY_S)
    await rig.sim.plug("line")
    await rig.api.until_record("fault.cleared", PLENTY_S)
    await rig.api.until_selling()
    await rig.sim.wait_for(quiet_s=1.0, timeout_s=PLENTY_S)
    await rig.sim.insert_coin(100)
    await credit(rig, 150)
    await rig.sim.press_keys("A1")
    await rig.sim.wait_for(totals={"products": 1}, timeout_s=PLENTY_S)
    await in_order(rig)


async def vendctl(rig: Rig, *arguments: str) -> Any:
    """Run vendctl beside the machine; returns its JSON."""
    code, said = await run_program(
        "-c", "from controller.cli import main; main()",
        "--home", str(rig.home), *arguments, "--json", stderr=False,
    )  # fmt: skip
    assert code == 0, said
    return json.loads(said)


async def test_a_technician_looks_at_the_running_machine(rig: Rig) -> None:
    await rig.sim.insert_coin(100, 2)
    await credit(rig, 200)
    await rig.sim.press_keys("A1")
    await rig.sim.wait_for(totals={"products": 1, "returned": 50}, timeout_s=PLENTY_S)
    await rig.settled()
    status, stock, verified = await asyncio.gather(
        vendctl(rig, "status"), vendctl(rig, "stock"), vendctl(rig, "journal", "verify")
    )
    assert (status["mode"], status["credit"], status["last"][-1]["result"]) == ("idle", 0, "sold")
    counts = {column["column"]: column["count"] for column in stock["columns"]}
    truth = await rig.sim.truth()
    assert counts == {name: column.stock for name, column in truth.columns.items()}
    assert verified["ok"]
    found = await vendctl(rig, "trace", str(status["last"][-1]["vend"]))
    assert [(way["origin"], way["amount"]) for way in found["ways"]] == [("coins", 100)] * 2
    assert rig.vendd is not None
    await rig.vendd.stop()
    assert (await vendctl(rig, "journal", "verify"))["ok"], "also when nobody runs"


async def test_a_second_vendd_on_the_journal_refuses_and_leaves_the_first_alone(rig: Rig) -> None:
    run, guard = await asyncio.gather(rig.try_vendd("run"), rig.try_vendd("guard"))
    for code, said in (run, guard):
        assert code == 74
        assert f"another vendd has the journal in {rig.home / 'journal'}" in said
        assert "stop that one" in said
    await rig.sim.insert_coin(100)
    await rig.sim.insert_coin(50)
    await credit(rig, 150)
    await rig.sim.press_keys("A1")
    await rig.sim.wait_for(totals={"products": 1}, timeout_s=PLENTY_S)
    await in_order(rig)


@pytest.mark.parametrize(
    ("door", "key"), [("gpio.sock", "gpio.pin_factory"), ("i2c.sock", "display.bus")]
)
async def test_hardware_that_cannot_be_opened_is_an_error_that_says_what_to_change(
    rigs: StartRig, door: str, key: str
) -> None:
    rig = await rigs()
    (rig.home / door).rename(rig.home / "away")
    code, said = await rig.try_vendd("run")
    assert code == UNAVAILABLE, "a start later may find it"
    assert key in said
    assert "is the simulated machine running" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("at", ["rest", "mid turn"])
async def test_pins_that_vanish_end_vendd_with_one_line_to_be_started_again(
    rigs: StartRig, at: str
) -> None:
    rig = await rigs()
    vendd = await rig.start_vendd()
    if at == "mid turn":
        await begins_to_turn(rig)
    await rig.lose_machine()
    assert await vendd.ended(PLENTY_S) == UNAVAILABLE
    said = (rig.home / VENDD_LOG).read_text(encoding="utf-8")
    assert said.count("vendd: gpio: the pins have vanished: the simulated pins at") == 1
    assert "Traceback" not in said
    assert "crashed" not in said
    code, said = await rig.try_vendd("guard")
    assert code == UNAVAILABLE, "a service manager tries again"
    assert "is the simulated machine running" in said
    await rig.new_machine()
    again = await rig.start_vendd()
    status = await again.api.call("status")
    assert (status["mode"], status["credit"]) == ("idle", 0)
    assert status["faults"] == []


async def test_a_bus_that_is_not_there_is_a_fault_and_never_a_simulation(rigs: StartRig) -> None:
    rig = await rigs()
    await rig.sim.unplug("line")
    vendd = await rig.start_vendd(selling=False)
    if not any(record["type"] == "fault.raised" for record in await vendd.api.journal()):
        await vendd.api.until_record("fault.raised", PLENTY_S)
    faults = (await vendd.api.call("status"))["faults"]
    assert [fault["part"] for fault in faults] == ["mdb"]
    assert f"{rig.home}/mdb can't be opened" in faults[0]["detail"]
    await rig.sim.plug("line")
    await vendd.api.until_selling()
    await rig.sim.wait_for(display="Welcome", timeout_s=PLENTY_S)


def without_rights() -> tuple[str, ...]:
    """Return what takes root's right to pass over the modes of files away."""
    if os.geteuid() != 0:
        return ()
    rights = "-dac_override,-dac_read_search,-fowner"
    return ("setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", "--")


async def owes_until_it_may(rig: Rig, patterns: list[str], mask: int, *shown: str) -> None:
    """Start without rights to the journal, with credit in it; paid when the rights are back.

    Nobody has to start it for that.
    """
    await rig.sim.insert_coin(100)
    await credit(rig, 100)
    assert rig.vendd is not None
    await rig.vendd.stop()
    paths = [path for pattern in patterns for path in rig.home.glob(pattern)]
    with_modes = [(path, path.stat().st_mode) for path in paths]
    for path, mode in with_modes:
        path.chmod(mode & mask)
    vendd = await rig.start_vendd(selling=False, under=without_rights())
    for words in shown:
        await rig.sim.wait_for(display=words, timeout_s=PLENTY_S)
    assert (await vendd.api.call("status"))["mode"] == "out_of_service"
    await rig.sim.insert_coin(50)
    await rig.sim.wait_for(totals={"returned": 50}, timeout_s=PLENTY_S)
    for path, mode in with_modes:
        path.chmod(mode)
    await credit(rig, 100)
    await rig.sim.pull_lever()
    await rig.sim.wait_for(totals={"returned": 150}, timeout_s=PLENTY_S)


async def test_a_journal_that_cannot_be_written_shows_what_is_owed_and_takes_nothing(
    rig: Rig,
) -> None:
    await owes_until_it_may(rig, ["journal", "journal/**/*"], ~0o222, "We owe you", "€1.00")
    assert rig.vendd is not None
    await rig.vendd.stop()
    await rig.start_vendd()
    await in_order(rig)


async def test_a_journal_that_is_deleted_under_a_running_vendd_sells_nothing_more(
    rig: Rig,
) -> None:
    """Before anybody pays: Linux lets a process go on writing to a file that has no name."""
    assert rig.vendd is not None
    for file in rig.settings.journal.folder.glob("journal-*"):
        file.unlink()
    assert await rig.vendd.ended() != 0
    assert "was taken away while it was in use" in (rig.home / VENDD_LOG).read_text("utf-8")
    vendd = await rig.start_vendd(selling=False)
    await rig.sim.wait_for(display="Out of service", timeout_s=PLENTY_S)
    assert (await vendd.api.call("status"))["mode"] == "out_of_service"


@pytest.mark.parametrize(
    ("broken", "says", "keeps"),
    [
        ("its last record", "it knows what the old one did at record", 100),
        ("all of it", "nothing of an old one could be read", 0),
    ],
)
async def test_a_technician_begins_a_new_journal_and_hears_what_it_knows(
    broken: str, says: str, keeps: int, rig: Rig
) -> None:
    await rig.sim.insert_coin(100)
    await credit(rig, 100)
    assert rig.vendd is not None
    await rig.vendd.stop()
    (file,) = rig.settings.journal.folder.glob("journal-*.db")
    if broken == "all of it":
        file.write_bytes(b"\xff" * file.stat().st_size)
    else:
        with closing(sqlite3.connect(file)) as database, database:
            database.execute("UPDATE record SET hash = zeroblob(32) ORDER BY seq DESC LIMIT 1")
    vendd = await rig.start_vendd(selling=False)
    await rig.sim.wait_for(display="Out of service", timeout_s=PLENTY_S)
    assert (await vendd.api.call("status"))["mode"] == "out_of_service"
    code, said = await run_program(
        "-c", "from controller.cli import main; main()",
        "--home", str(rig.home), "journal", "begin", "--yes", "--reason", "its card broke",
    )  # fmt: skip
    assert (code, says in " ".join(said.split())) == (0, True), said
    words = f"Credit €{keeps / 100:.2f}" if keeps else "Welcome"
    await rig.sim.wait_for(display=words, timeout_s=PLENTY_S)  # it goes on by itself
    status = await vendctl(rig, "status")
    assert status["credit"] == keeps
    verified = await vendctl(rig, "journal", "verify")
    assert verified["ok"]


async def test_a_journal_that_cannot_be_read_is_looked_for_until_it_can(rig: Rig) -> None:
    """A vendd that ended at once, again and again, left the panel's last words and took coins."""
    await owes_until_it_may(rig, ["journal/journal-*.db*"], 0, "Out of service")
