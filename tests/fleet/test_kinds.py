"""Each kind of command through a real broker: what it does, and what the fleet hears of it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest

from cloud.contract.commands import KINDS
from cloud.fleet import reports
from cloud.fleet.database import FleetDatabase
from config.settings import load
from controller.journal.records import CommandStarted
from controller.machine.table import Mode
from controller.planning import SettingsPlanner
from controller.ports import DispenseResult
from controller.saga.claims import mint
from controller.spool import FolderSpool
from simulator.instant import InstantDispenser, InstantHardware
from tests.fleet.books import known
from tests.fleet.servers import Mosquitto
from tests.fleet.test_commands import MACHINE, Tied, tied

SETTINGS: Final = load(
    Path(__file__).parents[2] / "config" / "machines" / "demo.toml", home=Path("/nonexistent")
)


class Held(InstantDispenser):
    """A dispenser whose motor turns for as long as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.may_turn = asyncio.Event()
        self.may_turn.set()

    async def turn(self, column: str, *, extra: bool = False) -> DispenseResult:
        await self.may_turn.wait()
        return await super().turn(column, extra=extra)


@pytest.fixture
async def machine(
    database: FleetDatabase, server: Mosquitto, tmp_path: Path
) -> AsyncIterator[Tied]:
    await known(database, MACHINE)
    (tmp_path / "journal").mkdir()
    async with tied(
        database,
        server,
        tmp_path / "journal",
        hardware=InstantHardware(dispenser=Held()),
        planner=SettingsPlanner(SETTINGS, aside=False),
        spool=FolderSpool(tmp_path / "spool"),
    ) as made:
        yield made


async def ask(m: Tied, kind: str, **args: Any) -> Any:
    """What the fleet knows of a command that was done."""
    answer = await m.answered(await m.send(kind, args))
    assert (answer["kind"], answer["outcome"]) == (kind, "done"), answer
    return answer


def reason_kept(m: Tied) -> object:
    """The reason in the last command's own record."""
    started = [record.data for record in m.told if isinstance(record.data, CommandStarted)]
    return started[-1].arguments["reason"]


async def progressed(m: Tied, id_: str, text: str) -> None:
    """Wait until the fleet has heard how far a command is, which has not ended."""
    async with asyncio.timeout(60):
        while (line := await state_of(m, id_))["progress"] is None:  # noqa: ASYNC110 - a broker away
            await asyncio.sleep(0.05)
    assert (line["progress"]["text"], line["outcome"]) == (text, "")


async def state_of(m: Tied, id_: str) -> Any:
    (line,) = await reports.commands(m.database, command_id=id_)
    return line


async def price_set(m: Tied) -> None:
    assert (await ask(m, "price.set", column="A1", price=170))["result"]["price"] == 170
    assert m.shop.machine.desk.planogram.columns["A1"].price == 170


async def planogram_apply(m: Tied) -> None:
    columns = {"B1": {"product": "gum", "price": 210}}
    assert (await ask(m, "planogram.apply", columns=columns))["result"] == {"columns": ["B1"]}
    column = m.shop.machine.desk.planogram.columns["B1"]
    assert (column.product, column.price) == ("gum", 210)


async def column_disable(m: Tied) -> None:
    answer = await ask(m, "column.disable", column="A2", reason="wet")
    assert answer["result"] == {"column": "A2", "disabled": "wet"}
    assert m.shop.state.stock.of("A2").disabled == "wet"
    assert reason_kept(m) == "wet"


async def column_enable(m: Tied) -> None:
    for column in ("A1", "A2"):
        await ask(m, "column.disable", column=column)
    await ask(m, "column.enable", column="A2", reason="dry again")
    stock = m.shop.state.stock
    assert [stock.of(name).disabled for name in ("A1", "A2")] == ["by the fleet", ""]
    assert reason_kept(m) == "dry again"


async def column_test(m: Tied) -> None:
    await ask(m, "service.enter")
    dispenser = m.shop.hardware.dispenser
    assert isinstance(dispenser, Held)
    dispenser.may_turn.clear()
    id_ = await m.send("column.test", {"column": "A1"})
    try:
        await progressed(m, id_, Mode.SERVICE.value)
    finally:
        dispenser.may_turn.set()
    answer = await m.answered(id_)
    assert (answer["outcome"], dispenser.dropped) == ("done", ["A1"])


async def stock_set(m: Tied) -> None:
    await ask(m, "stock.set", column="A1", count=3)
    assert m.shop.state.stock.of("A1").count == 3


async def config_apply(m: Tied) -> None:
    await m.shop.coins(100)
    settings = {"policy.max_credit": 1_900}
    id_ = await m.send("config.apply", {"revision": 1, "settings": settings})
    await progressed(m, id_, "waits until no customer is served")
    assert m.shop.machine.desk.policy.max_credit != 1_900
    await ask(m, "refund.local")
    answer = await m.answered(id_)
    assert (answer["outcome"], answer["result"]["revision"]) == ("done", 1)
    assert m.shop.machine.desk.policy.max_credit == 1_900
    assert m.shop.state.config.held.revision == 1


async def message_show(m: Tied) -> None:
    await ask(m, "message.show", text="Hello")
    await m.until(lambda: "Hello" in " ".join(m.shop.machine.screen))


async def credit_grant(m: Tied) -> None:
    await ask(m, "credit.grant", credit="paid-1", amount=150, seconds=600, column="A1")
    grant = m.shop.state.grants["paid-1"]
    assert (grant.kind, grant.amount, grant.column, grant.outcome) == ("app", 150, "A1", "open")


async def vend_free(m: Tied) -> None:
    await ask(m, "vend.free", column="A1", reason="sorry")
    (right,) = m.shop.state.rights.values()
    assert (right.kind, right.column) == ("free", "A1")
    assert reason_kept(m) == "sorry"


async def refund_local(m: Tied) -> None:
    await m.shop.coins(100, 50)
    assert m.shop.state.credit.total == 150
    answer = await ask(m, "refund.local", reason="the customer called")
    assert answer["result"]["paid_back"] == 150
    assert m.shop.state.credit.total == 0
    assert sum(count for _, count in m.shop.hardware.changer.paid) == 2
    assert reason_kept(m) == "the customer called"
    m.shop.books_agree()


async def claim_close(m: Tied) -> None:
    await m.shop.coins(5)  # of these there is no tube
    await ask(m, "refund.local")
    (claim,) = m.shop.state.claims.values()
    assert claim.amount == 5
    answer = await ask(m, "claim.close", claim=claim.seq, how="bank transfer")
    assert answer["result"] == {"claim": claim.seq, "amount": 5, "open": True}
    assert m.shop.state.claims == {}


async def claim_answer(m: Tied) -> None:
    await m.until(lambda: m.shop.machine.desk.live.fleet)
    await m.shop.keys("#" + mint(b"another machine's, of 32 bytes..", "m2", 7, 200))
    await m.until(lambda: m.shop.state.asked)
    asked, journal = m.shop.state.asked, m.shop.journal.journal_id.hex()
    answer = await ask(
        m, "claim.answer", journal=journal, asked=asked, answer="granted", amount=200, machine="m2"
    )
    assert answer["result"] == {"answer": "granted", "asked": asked, "amount": 200}
    assert m.shop.state.credit.total == 200


async def machine_lock(m: Tied) -> None:
    assert (await ask(m, "machine.lock", reason="recall"))["result"] == {"locked": True}
    lock = m.shop.state.orders.lock
    assert lock is not None
    assert lock.reason == "recall"
    await m.until(lambda: m.shop.machine.desk.mode is Mode.OUT_OF_SERVICE)


async def machine_unlock(m: Tied) -> None:
    await ask(m, "machine.lock")
    assert (await ask(m, "machine.unlock"))["result"] == {"locked": False}
    assert m.shop.state.orders.lock is None
    await m.until(lambda: m.shop.machine.desk.mode is Mode.IDLE)


async def service_enter(m: Tied) -> None:
    await ask(m, "service.enter")
    assert m.shop.machine.desk.mode is Mode.SERVICE


async def service_leave(m: Tied) -> None:
    await ask(m, "service.enter")
    await ask(m, "service.leave")
    await m.until(lambda: m.shop.machine.desk.mode is Mode.IDLE)


async def audit_read(m: Tied) -> None:
    await m.shop.coins(200)
    told = (await ask(m, "audit.read"))["result"]
    assert (told["currency"], told["cash"]["cashbox"]) == ("EUR", 200)


async def journal_upload(m: Tied) -> None:
    answer = await ask(m, "journal.upload", first=1, last=2)
    assert answer["detail"] == "records 1 to 2"


async def log_level(m: Tied) -> None:
    assert (await ask(m, "log.level", level="error"))["detail"] == "error"
    assert logging.getLogger().level == logging.ERROR


async def reboot(m: Tied) -> None:
    await ask(m, "reboot")
    async with asyncio.timeout(60):
        assert "new start" in await m.shop.task


async def software_update(m: Tied) -> None:
    wanted = {"version": "1.2.0", "digest": "ab" * 32, "artefact": "vendd-1.2.0"}
    answer = await m.answered(await m.send("software.update", wanted))
    assert (answer["outcome"], answer["result"]) == ("handed_over", {"version": "1.2.0"})
    assert m.types("update.") == ["update.requested", "update.intended", "update.finished"]


async def echo(m: Tied) -> None:
    assert (await ask(m, "echo", text="Grüße"))["result"] == {"text": "Grüße"}


PLAYS: Final[dict[str, Callable[[Tied], Awaitable[None]]]] = {
    play.__name__.replace("_", ".", 1): play
    for play in (
        price_set, planogram_apply, column_disable, column_enable, column_test, stock_set,
        config_apply, message_show, credit_grant, vend_free, refund_local, claim_close,
        claim_answer,
        machine_lock, machine_unlock, service_enter, service_leave, audit_read, journal_upload,
        log_level, reboot, software_update, echo,
    )
}  # fmt: skip


# How results come to be rows is tried on both databases elsewhere.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_command_of_each_kind_does_what_it_says_and_the_fleet_hears_so(
    machine: Tied, kind: str
) -> None:
    await PLAYS[kind](machine)


def test_no_kind_is_left_out() -> None:
    assert PLAYS.keys() == KINDS.keys()
