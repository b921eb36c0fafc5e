"""A changer's driver beside a simulated changer, and what falls."""

from controller.ports import (
    DeviceName,
    PayoutEvidence,
    PayoutOrder,
)
from simulator.bench import BenchSettings, LinkKind
from simulator.peripherals.changer_settings import ChangerSettings
from simulator.truth import tube
from tests.mdb_kit import Rig, rig

ALL_COINS = frozenset(range(6))
BOTH: list[LinkKind] = ["native", "adapter"]
VALUES = (5, 10, 20, 50, 100, 200)


def changer(settings: ChangerSettings | None = None, kind: LinkKind = "native") -> Rig:
    bench = BenchSettings(changer=settings or ChangerSettings(), bill=None, readers=())
    return rig(kind, bench, devices=frozenset({DeviceName.CHANGER}))


def counts(it: Rig) -> tuple[int, ...]:
    return tuple(it.bench.truth.count(tube(kind)) for kind in range(16))


async def pay(it: Rig, order: PayoutOrder) -> tuple[PayoutEvidence, int]:
    """The evidence, and the value that really fell."""
    before = counts(it)
    evidence = await it.changer.payout(order)
    fell = sum(
        (old - new) * value for old, new, value in zip(before, counts(it), VALUES, strict=False)
    )
    return evidence, fell
