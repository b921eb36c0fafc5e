"""A machine that technicians can talk to: real state, real records, a journal in memory."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.api.access import Access
from controller.api.methods import dispatcher
from controller.api.server import ApiServer
from controller.api.service import Live, WatchEvent, WatchSink
from controller.api.shapes import SyncShape, VerifyShape
from controller.api.views import watch_display, watch_mode, watch_record
from controller.domain import commands as cmd
from controller.domain.planogram import Column, Planogram, Product
from controller.journal import chain
from controller.journal import records as rec
from controller.journal.envelope import Record, RecordData, decode, encode_body
from controller.machine.inputs import CommandRefused
from controller.recorder.keeping import MemoryKeeper
from controller.state.state import State

TURNS = [{"column": "A1", "outcome": "dropped"}]
JOURNAL = bytes.fromhex("5fa3c0de5fa3c0de5fa3c0de5fa3c0de")
T0_MS = 1_795_262_400_000  # 2026-11-21 12:00 UTC

PLANOGRAM = Planogram(
    [Product("water", "Still water 0.5 l"), Product("bar", "Chocolate bar")],
    [
        Column("A1", "water", 150, 8, 1),
        Column("A2", "water", 150, 8, 2),
        Column("B1", "bar", 120, 12, 11),
    ],
)
CHANGER_INFO: dict[str, object] = {
    "level": 3,
    "scaling": 5,
    "decimals": 2,
    "coins": [
        {"type": 0, "value": 5, "in_tube": True, "token": False},
        {"type": 1, "value": 10, "in_tube": True, "token": False},
        {"type": 2, "value": 50, "in_tube": True, "token": False},
        {"type": 3, "value": 200, "in_tube": False, "token": False},
    ],
    "identity": {"manufacturer": "NRI", "serial": "0042", "model": "C2", "software": "0101"},
}


class MemoryJournal:
    """A journal that lives in a list."""

    def __init__(self) -> None:
        self.id = JOURNAL.hex()
        self.first = 1
        self.all: list[Record] = []

    @property
    def last(self) -> int:
        return self.all[-1].seq if self.all else 0

    async def records(self, after: int, limit: int) -> Sequence[Record]:
        start = max(after, self.first - 1)
        return self.all[start : start + limit]

    async def verify(self) -> VerifyShape:
        return {
            "journal": self.id,
            "ok": True,
            "problem": "",
            "base": 0,
            "last": self.last,
            "last_good": self.last,
            "records": self.last,
            "snapshots": 0,
            "unknown": 0,
            "wrong_journal": "",
            "wrong": None,
            "checkpoints": 0,
            "countersigned": 0,
            "proved": 0,
            "rooted": False,
            "journals": [],
        }

    def write(self, data: RecordData, vend: int | None) -> Record:
        seq = self.last + 1
        body = encode_body(
            data,
            at_ms=T0_MS + seq * 1000,
            confirmed=seq > 3,
            mono_ms=seq * 1000,
            vend=vend,
            postings=data.postings(),
        )
        before = self.all[-1].hash if self.all else chain.GENESIS
        digest = chain.link(before, JOURNAL, seq, 1, body)
        record = decode(rec.REGISTRY, seq=seq, boot=1, body=body, digest=digest)
        self.all.append(record)
        return record


class FakeSync:
    """A tie to a fleet that has everything to ``acked``, and a piece more at each look."""

    def __init__(self, machine: "FakeMachine") -> None:
        self.machine = machine
        self.acked = 8
        self.per_look = 10
        self.connected = True
        self.error = ""
        self.hurried = 0

    async def show(self) -> SyncShape:
        last = self.machine.journal.last
        self.acked = min(last, self.acked + self.per_look * self.connected)
        waiting = last - self.acked
        phase = "offline" if not self.connected else "catching up" if waiting else "in sync"
        return {
            "phase": phase,
            "connected": self.connected,
            "transport": "mqtt",
            "journal": JOURNAL.hex(),
            "acked": self.acked,
            "last": last,
            "records": waiting,
            "bytes": 300 * waiting,
            "oldest_s": 93_600.0 if waiting else None,
            "oldest_certain": True,
            "heard": "2026-11-21T20:00:00.000Z",
            "heard_age_s": 61.0,
            "time_known": True,
            "offset_ms": -125_000,
            "retry_in_s": None if self.connected else 42.0,
            "vouched": 4,
            "error": self.error,
            "quarantined": "",
        }

    def hurry(self) -> None:
        self.hurried += 1


def without_a_record(command: cmd.BeginJournal | cmd.ServeHealth) -> dict[str, Any]:
    """Answer what writes nothing into the journal that is there."""
    if isinstance(command, cmd.ServeHealth):
        return {"served": [command.column] if command.column else [], "held": []}
    old, known = ("", 0) if command.reason == "card is gone" else ("ab" * 16, 1_204)
    return {"journal": "cd" * 16, "reason": command.reason, "previous": old, "known": known}


class FakeMachine:
    """Keeps real state and can be asked what it was told to do."""

    def __init__(self) -> None:
        self.state = State()
        self.planogram = PLANOGRAM
        self.recordings = MemoryKeeper()
        self.journal = MemoryJournal()
        self.sync: FakeSync | None = FakeSync(self)
        self.told: list[tuple[cmd.Command, str]] = []
        self.sinks: list[WatchSink] = []
        self.loop: asyncio.AbstractEventLoop | None = None  # that serves it, in another thread
        self.now = Live(
            mode="idle",
            promise="money, cards and selections are welcome",
            software="0.1.0",
            up_s=8_000.0,
            exact_change_only=False,
            devices={"changer": "ready", "bill": "starting", "cashless1": "lost"},
            display=("Welcome", "", "", ""),
        )

    def write(self, data: RecordData, vend: int | None = None) -> int:
        record = self.journal.write(data, vend)
        self.state.apply(record)
        self.tell(watch_record(record))
        return record.seq

    def open(self, data: RecordData) -> int:
        return self.write(data, self.journal.last + 1)

    def tell(self, event: WatchEvent) -> None:
        for sink in list(self.sinks):
            sink(event)

    def tell_from_outside(self, event: WatchEvent) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.tell, event)

    # ------------------------------------------------------------------------ the service

    def live(self) -> Live:
        return self.now

    def watch(self, sink: WatchSink) -> Callable[[], None]:
        self.sinks.append(sink)
        return lambda: self.sinks.remove(sink)

    async def act(self, command: cmd.Command, by: str) -> dict[str, Any]:
        self.told.append((command, by))
        match command:
            case cmd.SetStock(column, count):
                before = self.state.stock.of(column).count
                self.write(rec.StockSet(column=column, count=count, before=before, by=by))
                return {"stock": {column: count}}
            case cmd.FillStock(column):
                names = [column] if column else list(self.planogram.columns)
                counts = {name: self.planogram.columns[name].capacity for name in names}
                for name, count in counts.items():
                    self.write(rec.StockSet(column=name, count=count, before=0, by=by))
                return {"stock": counts}
            case cmd.SetPrice(column, price):
                before = self.planogram.columns[column].price
                self.write(rec.PriceSet(column=column, price=price, before=before, by=by))
                self.planogram = PLANOGRAM.with_prices(self.state.prices)
                return {"column": column, "price": price, "before": before}
            case cmd.EnableColumn(column):
                self.write(rec.ColumnEnabled(column=column, by=by))
                return {"column": column, "disabled": ""}
            case cmd.SyncNow() if self.sync is not None:
                self.sync.hurry()
                return {"to": self.write(rec.OperatorActed(by=by, what="sync now"))}
            case cmd.BeginJournal() | cmd.ServeHealth():
                return without_a_record(command)
            case cmd.EnterService():
                self.write(rec.ServiceEntered(by=by))
                self.now = replace(self.now, mode="service", promise="a technician has it")
                self.tell(watch_mode("service"))
                self.tell(watch_display(("Out of service", "", "", "")))
                return {"service": True, "by": by}
            case cmd.TryVend(column) if self.now.mode == "service":
                return {"vend": 40, "column": column, "result": "tested", "turns": TURNS}
            case cmd.TryVend() | cmd.TryMotor() | cmd.PayCoins():
                raise CommandRefused("only in service mode: `vendctl service on` first")
            case cmd.Collect(cashbox, stacker, bills):
                stacked = self.state.ledger.balance("cash.stacker")
                opening = max(0, stacker - stacked) if self.state.stacker_unknown and bills else 0
                data = rec.CashCollected(
                    cashbox_counted=cashbox,
                    cashbox_expected=self.state.ledger.balance("cash.cashbox"),
                    stacker_counted=stacker,
                    stacker_expected=stacked,
                    stacker_opening=opening,
                    bills_taken=bills,
                    by=by,
                )
                self.write(data)
                return {
                    "cashbox": {"counted": cashbox, "expected": data.cashbox_expected},
                    "stacker": {"counted": stacker, "expected": stacked, "opening": opening},
                    "difference": cashbox + stacker - data.cashbox_expected - stacked - opening,
                }
            case _:
                return {"done": type(command).__name__}


def tell_a_day(machine: FakeMachine) -> None:
    """Fill the journal: stock, tubes, a sale with change, a jam with a refund, a card refund."""
    write, open_ = machine.write, machine.open
    write(rec.JournalBegun(journal=JOURNAL.hex(), machine="demo", currency="EUR"))  # 1
    write(rec.BootStarted(boot=1, software="0.1.0", system_boot="b1"))  # 2
    write(rec.DeviceIdentified(device="changer", info=CHANGER_INFO))  # 3
    tubes = ((0, 5, 20, 0), (1, 10, 20, 0), (2, 50, 10, 0))
    write(rec.TubesCounted(cause="first_start", tubes=tubes))  # 4
    for column, count in (("A1", 5), ("A2", 0), ("B1", 0)):  # 5, 6, 7
        write(rec.StockSet(column=column, count=count, before=0, cause="opening"))

    # 2.00 in, a water for 1.50, 0.50 back
    coin = rec.CoinsDeposited(device="changer", answer="4300", coins=((3, 200, "cashbox", 0),))
    lot = write(coin)  # 8
    vend = open_(  # 9
        rec.VendOpened(selection="A1", column="A1", product="water", price=150, item=1)
    )
    write(rec.CreditAuthorised(coins=150, bills=0, lots=((lot, 150),)), vend)  # 10
    write(rec.DispenseIntended(column="A1", attempt=1), vend)  # 11
    write(rec.DispenseFinished(column="A1", outcome="dropped", drops=1, run_ms=2100), vend)  # 12
    write(rec.VendSettled(cash=150, lots=((lot, 150),)), vend)  # 13
    believed = ((0, 5, 20), (1, 10, 20), (2, 50, 10))
    write(  # 14
        rec.PayoutIntended(
            amount=50, plan=((2, 1),), by_value=False, coins=50, bills=0, lots=((lot, 50),),
            tubes=believed, reason="change",
        ),
        vend,
    )  # fmt: skip
    write(rec.PayoutFinished(ordered=50, paid=((2, 50, 1),), proof="both", certain=True), vend)
    write(rec.VendClosed(result="sold"), vend)  # 16

    # a 5 in, the bar jams, 4.00 come back and 1.00 becomes a claim
    write(rec.BillEscrowed(device="bill", answer="90", bill=0, value=500))  # 17
    write(rec.StackIntended(device="bill", bill=0, value=500, stacker=0))  # 18
    bill = write(  # 19
        rec.BillStacked(device="bill", answer="80", bill=0, value=500, escrowed=True)
    )
    vend = open_(  # 20
        rec.VendOpened(selection="B1", column="B1", product="bar", price=120, item=11)
    )
    write(rec.CreditAuthorised(coins=0, bills=120, lots=((bill, 120),)), vend)  # 21
    write(rec.DispenseIntended(column="B1", attempt=1), vend)  # 22
    write(rec.DispenseFinished(column="B1", outcome="jammed", run_ms=6000), vend)  # 23
    write(rec.FaultRaised(part="B1", code="column.jammed", detail="stood still after 0.4 s"))
    write(rec.ColumnDisabled(column="B1", reason="column.jammed"))  # 25
    write(rec.CreditRestored(coins=0, bills=120, lots=((bill, 120),)), vend)  # 26
    write(  # 27
        rec.PayoutIntended(
            amount=500, plan=((2, 9), (1, 5)), by_value=False, coins=0, bills=500,
            lots=((bill, 500),), tubes=believed, reason="jam",
        ),
        vend,
    )  # fmt: skip
    write(rec.PayoutFinished(ordered=500, paid=((2, 50, 8),), proof="both", certain=True), vend)
    write(  # 29
        rec.ClaimOpened(
            amount=100, tender="cash", code="00000029000000000042", reason="no coins left"
        ),
        vend,
    )
    write(rec.VendClosed(result="claimed"), vend)  # 30

    # a card, the motor does not start, the reader refunds
    vend = open_(  # 31
        rec.VendOpened(selection="A1", column="A1", product="water", price=150, item=1)
    )
    write(rec.ApprovalRequested(device="cashless1", amount=150, item=1), vend)
    write(rec.ApprovalFinished(device="cashless1", outcome="approved", amount=150), vend)  # 33
    write(rec.DispenseIntended(column="A1", attempt=1), vend)
    write(rec.DispenseFinished(column="A1", outcome="no_start"), vend)
    write(rec.SettleIntended(device="cashless1", success=False, item=1, amount=150), vend)
    write(
        rec.SettleFinished(device="cashless1", success=False, outcome="refunded", amount=150), vend
    )
    write(rec.VendClosed(result="refunded"), vend)  # 38


@pytest.fixture
def machine() -> FakeMachine:
    """Return a machine with a day behind it."""
    made = FakeMachine()
    tell_a_day(made)
    return made


@pytest.fixture
async def server(machine: FakeMachine, tmp_path: Path) -> AsyncIterator[ApiServer]:
    """Serve the machine in this test's loop."""
    access = Access()
    made = ApiServer(tmp_path / "vendd.sock", dispatcher(machine, access), access)
    task = asyncio.create_task(made.serve())
    await made.listening.wait()
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def socket_path(machine: FakeMachine, tmp_path: Path) -> Iterator[Path]:
    """Serve the machine in a thread with a loop of its own, for clients that block."""
    access = Access()
    path = tmp_path / "vendd.sock"
    made = ApiServer(path, dispatcher(machine, access), access)
    up = threading.Event()
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        task = asyncio.create_task(made.serve())
        await made.listening.wait()
        machine.loop = loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(task.cancel))
        up.set()
        await asyncio.gather(task, return_exceptions=True)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert up.wait(10)
    yield path
    stop[0]()
    thread.join(10)
