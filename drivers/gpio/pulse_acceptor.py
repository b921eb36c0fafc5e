"""A coin acceptor that tells its coins by pulses on a wire, as the controller's `Changer` port.

Nothing acknowledges a pulse and nothing repeats it: a coin is handed over the moment its group has
ended, and what falls while nobody listens is never heard of. So the acceptor takes coins only
while its enable output is on, which is off whenever vendd does not run. A pulse is as long as the
edges' own times say, whenever vendd gets to hear of them. Its coins fall into the cash box; it
pays nothing out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from controller.faults import FaultCode, JournalError, LinkError
from controller.ports import (
    ChangerInfo,
    CoinKind,
    CoinRoute,
    CoinsReport,
    DepositedCoin,
    DeviceName,
    DeviceReady,
    DeviceSink,
    EscrowLever,
    FaultCleared,
    FaultRaised,
    Greeting,
    Known,
    LinkCapabilities,
    PayoutEvidence,
    PayoutOrder,
    TubeCounts,
)
from drivers.gpio.debounce import Debounced
from drivers.gpio.lines import InputLine, OutputLine
from drivers.gpio.pulse_train import Group, PulseShape, PulseTrain, value_of

LEVER_S: Final = 0.05
"""A lever is held for longer."""

HELD_UP_S: Final = 0.01
"""A timer that rings later than this says that vendd has stood still (a busy processor)."""

HEARING_S: Final = 0.05
"""Then edges of that time are on their way yet: what hands them over has stood still as well."""

LEVEL: Final = 1
"""It has none; a coin changer's begin with 2."""

NO_TUBES: Final = TubeCounts((0,) * 16)
NO_COIN: Final = "pulses that are no coin"
"""The flag of a group that fits no coin: somebody's money, perhaps, and nobody knows how much."""


@dataclass(frozen=True, slots=True)
class PulsePlan:
    """What the configuration says of a pulse acceptor.

    Args:
        coins: How many pulses stand for which value, minor units; 16 at most.
        shape: How the pulses look.
    """

    coins: Mapping[int, int]
    shape: PulseShape = field(default_factory=PulseShape)


class PulseAcceptor:
    """Drives one acceptor.

    Args:
        plan: What its pulses mean.
        sink: Where coins and faults go.
        decimals: Decimal digits of the currency's minor unit.
        pulses: The line that it pulses.
        enable: On while it may take coins; None when it can't be stopped.
        lever: On while the coin return is pressed; None without one.
    """

    def __init__(
        self,
        plan: PulsePlan,
        sink: DeviceSink,
        *,
        decimals: int,
        pulses: InputLine,
        enable: OutputLine | None = None,
        lever: InputLine | None = None,
    ) -> None:
        self._plan = plan
        self._sink = sink
        self._pulses = pulses
        self._enable = enable
        self._types = {value: index for index, value in enumerate(plan.coins.values())}
        kinds = tuple(CoinKind(index, value, in_tube=False) for value, index in self._types.items())
        self._info = ChangerInfo(LEVEL, 1, decimals, kinds)
        self._every = frozenset(self._types.values())
        self._train: PulseTrain | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0  # when it rings
        self._late_s = 0.0  # how long after it came the last edge was heard
        self._waited = False  # for edges of a time in which vendd stood still
        self._forget: Callable[[], None] | None = None
        self._stuck = False
        self._noise = 0  # of the trains that have ended
        self._misfits = 0
        self._lever = None if lever is None else Debounced(lever, LEVER_S, self._lever_moved)

    # ------------------------------------------------------------------------------ the port

    @property
    def name(self) -> DeviceName:
        """Return which peripheral this is."""
        return DeviceName.CHANGER

    @property
    def info(self) -> ChangerInfo:
        """Return what it is: as the configuration says."""
        return self._info

    @property
    def capabilities(self) -> LinkCapabilities:
        """Return that nothing can be held back: a pulse is told once."""
        return LinkCapabilities(withholds_ack=False, bus_reset=False)

    @property
    def oddities(self) -> dict[str, int]:
        """Return what was no coin and no fault, counted since the start."""
        now = 0 if self._train is None else self._train.noise
        told = {"pulses too short": self._noise + now, "pulses that are no coin": self._misfits}
        return {what: count for what, count in told.items() if count}

    async def greet(self, known: Known) -> Greeting:
        """Begin to listen; see `MdbDevice.greet`. A wire has no memory to be asked."""
        del known
        self._listen()
        return Greeting(present=True)

    async def start(self) -> None:
        """Be ready, and listen for ever."""
        self._listen()
        self._sink.notify(DeviceReady(self.name, self._info))
        try:
            await asyncio.Event().wait()
        finally:
            self.stop()

    async def tubes(self) -> TubeCounts:
        """Tell that there are none."""
        return NO_TUBES

    async def pour(self, type_: int, count: int) -> TubeCounts:
        """Raise LinkError: there is nowhere to pour them."""
        raise LinkError(f"a pulse acceptor has no tubes for {count} coins of type {type_}")

    async def payout(self, order: PayoutOrder) -> PayoutEvidence:
        """Raise LinkError: it pays nothing out."""
        raise LinkError(f"a pulse acceptor has no tubes; {order.amount} was not paid")

    async def payout_evidence(self) -> PayoutEvidence:
        """Raise LinkError: a changer was here when the payout began, and is not any more."""
        raise LinkError("a pulse acceptor has no tubes that could tell")

    def accept(self, types: frozenset[int], *, manual: bool = False) -> None:
        """Take coins when every coin is wanted; see `Changer.accept`.

        There is one wire for all of them, so the one that is not wanted keeps the others out.
        """
        del manual
        if self._enable is None:
            return
        if types and types == self._every:
            self._enable.on()
        else:
            self._enable.off()

    def stop(self) -> None:
        """Take nothing and listen no more."""
        if self._enable is not None:
            self._enable.off()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._forget is not None:
            self._forget()
            self._forget = None
            self._noise += 0 if self._train is None else self._train.noise
            self._train = None
        if self._lever is not None:
            self._lever.stop()

    # ----------------------------------------------------------------------------- the lines

    def _listen(self) -> None:
        if self._forget is not None:
            return
        self._forget = self._pulses.listen(self._edge)
        now = asyncio.get_running_loop().time()
        self._train = PulseTrain(self._plan.shape, now, active=self._pulses.active)
        if self._lever is not None:
            self._lever.start()
        self._plan_tick()

    def _edge(self, active: bool, at_s: float) -> None:
        if self._train is None:
            return
        # As late as this one may be the next one, too: so long a group is not over.
        self._late_s = max(0.0, asyncio.get_running_loop().time() - at_s)
        self._waited = False
        self._ended(self._train.edge(at_s, active=active))
        self._plan_tick()

    def _tick(self) -> None:
        self._timer = None
        if self._train is None:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now > self._due_s + HELD_UP_S and not self._waited:
            self._waited, self._due_s = True, now + HEARING_S
            self._timer = loop.call_at(self._due_s, self._tick)
            return
        self._waited = False
        self._ended(self._train.tick(now))
        self._plan_tick()

    def _plan_tick(self) -> None:
        train = self._train
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if train is None:
            return
        if train.stuck != self._stuck:
            self._stuck = train.stuck
            code = FaultCode.CHANGER_COIN_JAM
            words = "its pulse line stays on"
            part = self.name.value
            self._sink.notify(
                FaultRaised(part, code, words) if train.stuck else FaultCleared(part, code)
            )
        due = train.due()
        if due is not None:
            self._due_s = due + self._late_s
            self._timer = asyncio.get_running_loop().call_at(self._due_s, self._tick)

    def _ended(self, group: Group | None) -> None:
        if group is None:
            return
        value = value_of(group, self._plan.coins)
        answer = bytes((group.pulses,))
        if value is None:
            self._misfits += 1
            report = CoinsReport(self.name, answer, suspect=1, doubt=NO_COIN)
        else:
            coin = DepositedCoin(self._types[value], value, CoinRoute.CASHBOX, 0)
            report = CoinsReport(self.name, answer, (coin,))
        self._sink.money(report).add_done_callback(_heard)

    def _lever_moved(self, active: bool) -> None:
        if active:
            self._sink.notify(EscrowLever(self.name))


def _heard(durable: asyncio.Future[None]) -> None:
    """Nothing waits for it: a record that could not be written ends vendd by itself."""
    if not durable.cancelled() and isinstance(durable.exception(), JournalError):
        return
