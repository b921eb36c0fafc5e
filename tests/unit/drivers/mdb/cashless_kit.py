"""A card reader's driver beside a simulated reader, and where its tests begin."""

import asyncio

from controller.ports import (
    Approved,
    DeviceName,
    LateApprovalReport,
    RefundOutcome,
)
from drivers.mdb.cashless_expect import ReaderSettings as Ours
from simulator.bench import BenchSettings, LinkKind
from simulator.peripherals.reader_settings import (
    OPTION_32_BIT,
    OPTION_ALWAYS_IDLE,
    OPTION_MULTI_CURRENCY,
    Card,
    ReaderSettings,
    ReaderState,
)
from simulator.truth import Authorisation
from tests.mdb_kit import Rig, rig, until

BOTH: list[LinkKind] = ["native", "adapter"]
CLASSIC = ReaderSettings(options=0)
IDLE = ReaderSettings(options=OPTION_ALWAYS_IDLE)
EXPANDED = ReaderSettings(options=OPTION_32_BIT | OPTION_MULTI_CURRENCY | OPTION_ALWAYS_IDLE)


def reader(
    settings: ReaderSettings = CLASSIC, kind: LinkKind = "native", ours: Ours | None = None
) -> Rig:
    bench = BenchSettings(changer=None, bill=None, readers=(settings,))
    return rig(kind, bench, devices=frozenset({DeviceName.CASHLESS1}), reader=ours)


async def selling(
    settings: ReaderSettings = CLASSIC, kind: LinkKind = "native", ours: Ours | None = None
) -> Rig:
    it = await reader(settings, kind, ours).up()
    it.reader.set_prices((50, 500))
    it.reader.enable(True)
    await until(lambda: it.bench.reader.state is ReaderState.ENABLED)
    return it


async def session(it: Rig, card: Card | None = None) -> None:
    assert it.bench.reader.present_card(card or Card("c", balance=2000))
    await until(lambda: it.reader.in_session)


async def approved(it: Rig, card: Card | None = None) -> None:
    await session(it, card)
    assert isinstance(await it.reader.request_vend(120, 7), Approved)


def gives_back(it: Rig) -> None:
    """Do what the controller does with a late approval, once that is on record."""

    def committed() -> None:
        if isinstance(it.sink.durable[-1], LateApprovalReport):
            tasks.append(asyncio.create_task(it.reader.vend_failure()))

    tasks: list[asyncio.Task[RefundOutcome]] = []
    it.sink.after_commit = committed


def late(it: Rig) -> list[int | None]:
    return [report.amount for report in it.sink.reports if isinstance(report, LateApprovalReport)]


def auth(it: Rig) -> Authorisation:
    return list(it.bench.truth.authorisations.values())[-1]


def sent(it: Rig, start: bytes) -> list[bytes]:
    return [heard.data for heard in it.tap.log if heard.ours and heard.data.startswith(start)]
