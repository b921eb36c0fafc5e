"""One conversation over a perfect, a chopped, a lossy, a noisy and a delayed line, on both links.

Whatever the line does, money is counted once, and what a payout or a card vend is said to have come
to is what really happened.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from controller.ports import (
    Approved,
    Denied,
    PayoutOrder,
    RefundOutcome,
    SettleOutcome,
)
from simulator.bench import BenchSettings, LinkKind, MdbBench
from simulator.line import LineFaults
from simulator.peripherals.reader_settings import Card, ReaderSettings
from simulator.truth import ESCROW, STACKER, Authorisation, AuthState, tube
from tests.mdb_kit import Rig, at_least, rig, until, virtual

COINS = (100, 50, 200, 20, 5, 100, 10, 200)
ALL_COINS = frozenset(range(6))


@dataclass(frozen=True, slots=True)
class Line:
    """How to spoil the lines of a bench; `host` is the stretch between host and adapter."""

    name: str
    bus: Callable[[LineFaults], None]
    host: Callable[[LineFaults], None]

    def spoil(self, bench: MdbBench) -> None:
        self.bus(bench.bus_line)
        self.host(bench.host_line)

    def __str__(self) -> str:
        return self.name


def _nothing(line: LineFaults) -> None:
    """Leave it perfect."""


def _single(line: LineFaults) -> None:
    line.single = True


def _chopped(line: LineFaults) -> None:
    line.chop = True


def _lossy(line: LineFaults) -> None:
    """Lose whole blocks, answers and acknowledgements, four of them a second.

    Not single bytes: a lost byte of value 00 leaves the checksum right, and nobody can tell.
    """
    loop = asyncio.get_running_loop()
    chance = random.Random(line.seed)

    def lose() -> None:
        what = chance.choice(
            ("lose_blocks", "lose_answers", "lose_host_acks", "lose_device_acks", "drop_mode_bits")
        )
        setattr(line, what, 1)
        loop.call_later(0.25 * chance.random() + 0.125, lose)

    lose()


def _noisy(line: LineFaults) -> None:
    line.flip = 0.008
    line.noise = 0.004


def _delayed(line: LineFaults) -> None:
    line.delay_s = 0.006
    line.jitter_s = 0.010


def _slow_host(line: LineFaults) -> None:
    line.delay_s = 0.030
    line.jitter_s = 0.060


LINES = (
    Line("perfect", _nothing, _nothing),
    Line("single", _single, _single),
    Line("chopped", _chopped, _chopped),
    Line("lossy", _lossy, _nothing),
    Line("noisy", _noisy, _nothing),
    Line("delayed", _delayed, _slow_host),
)
EVERY = [
    pytest.param(kind, line, seed, id=f"{kind}-{line}-{seed}")
    for kind in ("native", "adapter")
    for line in LINES
    for seed in ((1, 2, 3) if line.name in ("lossy", "noisy", "delayed") else (1,))
]
over_every_line = pytest.mark.parametrize(("kind", "line", "seed"), EVERY)


async def on(kind: LinkKind, line: Line, seed: int, reader: ReaderSettings | None = None) -> Rig:
    it = rig(kind, BenchSettings(seed=seed, readers=(reader or ReaderSettings(),)))
    line.spoil(it.bench)
    return await it.up(120)


def tubes_of(bench: MdbBench) -> tuple[int, ...]:
    return tuple(bench.truth.count(tube(kind)) for kind in range(16))


@over_every_line
@virtual
async def test_coins_are_counted_once(kind: LinkKind, line: Line, seed: int) -> None:
    it = await on(kind, line, seed)
    it.changer.accept(ALL_COINS)
    await until(lambda: it.bench.changer.accepted == 0x3F)
    for value in COINS:
        it.bench.changer.insert_coin(value)
        await asyncio.sleep(0.1)
    await until(lambda: len(it.sink.coins) == len(COINS), 20)
    assert sorted(it.sink.coins) == sorted(COINS)
    # two identical coins in a row, each after the last one's acknowledgement was proved
    for more in (1, 2, 3):
        it.bench.changer.insert_coin(200)
        await at_least(len(COINS) + more, lambda: it.sink.coins)
    assert it.sink.coins[-3:] == [200, 200, 200]
    assert len(it.sink.coins) == len(COINS) + 3
    await it.die()


@over_every_line
@virtual
async def test_bills_are_held_stacked_and_returned(kind: LinkKind, line: Line, seed: int) -> None:
    it = await on(kind, line, seed)
    it.bill.accept(frozenset({0, 1, 2, 3}))
    await until(lambda: it.bench.bill.accepted == 0x0F)
    for value, stack in ((1000, True), (500, False), (1000, True), (1000, True)):
        before = len(it.sink.bills)
        await it.offer_bill(value)
        await at_least(before + 1, lambda: it.sink.bills)
        assert it.bench.truth.value(ESCROW) == value
        await (it.bill.stack() if stack else it.bill.return_bill())
        await at_least(before + 2, lambda: it.sink.bills)
    assert it.sink.bills == [
        ("escrowed", 1000), ("stacked", 1000),
        ("escrowed", 500), ("returned", 500),
        ("escrowed", 1000), ("stacked", 1000),
        ("escrowed", 1000), ("stacked", 1000),
    ]  # fmt: skip
    assert it.bench.truth.value(STACKER) == 3000
    assert (await it.bill.stacker()).bills == 3
    await it.die()


@pytest.mark.parametrize("by_value", [False, True], ids=["coins", "value"])
@over_every_line
@virtual
async def test_the_evidence_of_a_payout_is_what_fell(
    kind: LinkKind, line: Line, seed: int, by_value: bool
) -> None:
    it = await on(kind, line, seed)
    it.changer.accept(ALL_COINS)
    for order in (
        PayoutOrder(370, ((4, 3), (3, 1), (2, 1)), by_value),
        PayoutOrder(180, ((2, 9),), by_value),
        PayoutOrder(340, ((2, 17),), by_value),
    ):
        before = tubes_of(it.bench)
        evidence = await it.changer.payout(order)
        after = tubes_of(it.bench)
        assert evidence.idle
        assert evidence.tubes is not None
        assert evidence.tubes.counts == after
        fell = tuple(x - y for x, y in zip(before, after, strict=True))
        if evidence.status is not None:
            assert evidence.status == fell
        assert not it.bench.changer.paying
        assert fell_value(fell) in (0, order.amount) or not by_value
        assert fell_value(fell) <= order.amount
    await until(lambda: it.bench.changer.accepted == 0x3F, 30, "acceptance restored")
    await it.die()


def fell_value(fell: tuple[int, ...]) -> int:
    return sum(count * value for count, value in zip(fell, (5, 10, 20, 50, 100, 200), strict=False))


def session(it: Rig) -> bool:
    """Hold the card to the reader again and again, as people do."""
    it.bench.reader.present_card(Card("c", balance=5000))
    return it.reader.in_session


def last_card(bench: MdbBench) -> Authorisation:
    return list(bench.truth.authorisations.values())[-1]


@pytest.mark.parametrize("always_idle", [False, True], ids=["classic", "always_idle"])
@over_every_line
@virtual
async def test_card_vends_end_as_they_are_said_to(
    kind: LinkKind, line: Line, seed: int, always_idle: bool
) -> None:
    settings = ReaderSettings(options=0x20 if always_idle else 0, multivend=True)
    it = await on(kind, line, seed, settings)
    it.reader.set_prices((50, 500))
    it.reader.enable(True)
    for delivered in (True, False, True):
        await until(lambda: session(it), 60, "session")
        answer = await it.reader.request_vend(120, 7)
        assert isinstance(answer, Approved | Denied)
        if isinstance(answer, Approved):
            assert answer.amount == 120
            if delivered:
                assert await it.reader.vend_success(7) in (
                    SettleOutcome.DONE,
                    SettleOutcome.ALREADY,
                )
                assert last_card(it.bench).state is AuthState.CAPTURED
            else:
                outcome = await it.reader.vend_failure()
                state = last_card(it.bench).state
                assert (outcome, state) in (
                    (RefundOutcome.REFUNDED, AuthState.REFUNDED),
                    (RefundOutcome.UNKNOWN, AuthState.REFUNDED),
                    (RefundOutcome.UNKNOWN, AuthState.APPROVED),
                )
        else:
            assert last_card(it.bench).charged == 0
        await it.reader.end_session()
        await until(lambda: not it.reader.in_session)
    await it.die()
