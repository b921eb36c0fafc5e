"""A bench for the rules of owner and law: as much of a machine as they look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final, cast

from config.machine import MachineSettings
from controller.domain.stock import ColumnStock, Stock
from controller.journal import records as rec
from controller.journal.envelope import Record, RecordData, UnknownData
from simulator.swarm import build
from simulator.swarm.evidence import Evidence
from simulator.swarm.rules import Rules
from simulator.whole import Whole


def noon(hour: int = 12, day: int = 4) -> int:
    """Return a time of a day in May 2026 (the 4th was a Monday), UTC in ms."""
    return int(datetime(2026, 5, day, hour, tzinfo=UTC).timestamp() * 1000)


def settings(**sections: Any) -> MachineSettings:
    return build.base_settings().model_copy(update=sections)


LATE: Final = datetime(2100, 1, 1, tzinfo=UTC)  # no record is labelled later


@dataclass
class Bench:
    """A machine as far as a rule looks at it: settings, time, boot and panel."""

    settings: MachineSettings = field(default_factory=settings)
    now_s: float = 100.0
    boot: int = 1
    screen: tuple[str, ...] = ()
    mode: str = "credit"
    tubes: tuple[tuple[int, int, int], ...] = ()  # (type, value, coins) that the books know of
    readers: dict[str, Any] = field(default_factory=dict)
    there: dict[str, int] = field(default_factory=dict)  # products of a column; 8 unless named
    seq: int = 0
    evidence: Evidence = field(default_factory=Evidence)

    def __post_init__(self) -> None:
        self.loop = SimpleNamespace(time=lambda: self.now_s)
        self.clock = SimpleNamespace(wall_utc=lambda: LATE)
        self.running = SimpleNamespace(machine=self)
        cabinet = SimpleNamespace(door_open=False)
        self.world = SimpleNamespace(readers=self.readers, changer=object(), cabinet=cabinet)
        self.rules = Rules(cast("Whole", self))

    @property
    def state(self) -> Any:
        return SimpleNamespace(
            boot=self.boot,
            previous=None,
            tube_coins=lambda: list(self.tubes),
            recycler_bills=list,
            escrow=None,
            prices={},
            stock=Stock(
                {
                    column.selection: ColumnStock(self.there.get(column.selection, 8))
                    for column in self.settings.columns
                }
            ),
        )

    def told(
        self, data: RecordData, vend: int | None = None, *, at_ms: int = 0, confirmed: bool = False
    ) -> int:
        """Make a record durable; return its seq."""
        self.seq += 1
        mono_ms = int(self.now_s * 1000)
        record = SimpleNamespace(
            seq=self.seq, boot=self.boot, vend=vend, type=data.type, data=data, mono_ms=mono_ms,
            at_ms=at_ms, confirmed=confirmed, postings=data.postings(),
        )  # fmt: skip
        self.rules.record(cast("Record", record), self.evidence)
        return self.seq

    def damaged(self, kind: str) -> int:
        """Have a record that is read again, and can't be; return its seq."""
        self.seq += 1
        data = UnknownData(kind, 1, b"{", "does not fit")
        record = SimpleNamespace(
            seq=self.seq, boot=self.boot, vend=None, type=kind, data=data, mono_ms=0,
            at_ms=0, confirmed=False, postings=(),
        )  # fmt: skip
        self.rules.record(cast("Record", record), self.evidence)
        return self.seq

    def opens(self, column: str = "A3", **more: Any) -> int:
        """Open a vend; return its seq."""
        when = {"at_ms": more.pop("at_ms", 0), "confirmed": more.pop("confirmed", False)}
        listed = {c.selection: self.settings.price_of(c) for c in self.settings.columns}
        price = more.pop("price", listed[column] - more.get("discount", 0))
        data = rec.VendOpened(
            selection=column, column=column, product="cola", price=price, item=1, **more
        )
        return self.told(data, **when)

    def fails(self, column: str = "A3", outcome: str = "not_seen", proof: str = "watched") -> None:
        """Have a vend that comes to nothing."""
        vend = self.opens(column)
        self.turns(vend, column)
        done = {"column": column, "outcome": outcome, "proof": proof}
        self.told(rec.DispenseFinished.model_validate(done), vend)
        self.told(rec.VendClosed(result="refunded"), vend)

    def coins(self, *values: int) -> None:
        """Have coins fall into the cash box, one by one."""
        for value in values:
            coin = (5, value, "cashbox", 0)
            self.told(rec.CoinsDeposited(device="changer", answer="", coins=(coin,)))

    def bill(self, value: int) -> None:
        """Have a bill come to escrow."""
        self.told(rec.BillEscrowed(device="bill", answer="", bill=0, value=value))

    def stacks(self, value: int, vend: int | None = None) -> None:
        """Have it told to be stacked."""
        self.told(rec.StackIntended(device="bill", bill=0, value=value, stacker=0), vend)

    def turns(self, vend: int, column: str = "A3") -> None:
        """Begin to turn."""
        intent = {"column": column, "attempt": 1, "extra": False, "sensor": "ready"}
        self.told(rec.DispenseIntended.model_validate(intent), vend)

    @property
    def findings(self) -> list[str]:
        return self.evidence.findings
