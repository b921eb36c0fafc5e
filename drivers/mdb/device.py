"""What every MDB peripheral's driver does alike: greet, RESET, initialise, serve, lose, again.

A driver is a listener of the bus (plain calls, once per poll) and a coroutine (`start`) that runs
the dialogues. The life of a device: `greet` polls and never resets; `start` resets, initialises and
serves; a reset of its own makes it initialise again without RESET; silence for the non-response
time makes it lost, and from then on it gets a RESET every ten seconds, for ever.

Source: MDB/ICP 4.2, section 2 (timing) and the initialisation sequences of sections 5 to 7.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Final

from controller.faults import DeviceFault, FaultCode, LinkError, PeerProtocolError
from controller.ports import (
    BillInfo,
    ChangerInfo,
    DeviceLost,
    DeviceName,
    DeviceReady,
    DeviceSink,
    DeviceWasReset,
    Greeting,
    Known,
    ReaderInfo,
)
from drivers.fault_book import FaultBook
from drivers.links.mdb_link import Answer
from drivers.mdb.blocks import RESET_RETRY_S, SETTLE_S
from drivers.mdb.scheduler import MdbBus
from drivers.mdb.slots import Retry
from drivers.mdb.steps import step_of
from drivers.mdb.turns import Lost, ResetItself, Restart, Turn
from drivers.oddities import Oddities
from drivers.waiting import Stir

SECOND_RESET_S: Final = 1.0
"""An unheard RESET is sent once more soon, since a single block is easily lost."""

UNSUITABLE_RETRY_S: Final = 60.0  # then a device that is of no use is asked anew what it is
BOOTED_POLL_S: Final = 0.15
"""One poll of a device that may have booted: its block, its answer, and others' blocks before."""

RESET_SPREAD_S: Final = 1.3
"""Between the RESETs of two absent devices."""

JUST_RESET_POLLS: Final = 10
"""Plain ACKs instead of JUST RESET before RESET is sent again (1.5 s of polls)."""

NEVER_YET: Final = float("-inf")

RESET_ROUNDS: Final = 3
"""Rounds of that. Then the device is taken as reset: one that never says so still works."""

DRAIN_S: Final = 0.5
"""After the order to take nothing: what had passed the gate by then is where it belongs, and told
(a coin falls some tenths of a second)."""

RESET_LIMIT_S: Final = 20.0
"""For one that is RESET as its payout never ends: twice what RESET and bring-up take."""

GREET_TURNS: Final = 20
"""Poll answers that `greet` waits for while money keeps coming (3 s), before it returns anyway."""

_OURS: Final = (
    FaultCode.DEVICE_SILENT,
    FaultCode.DEVICE_PROTOCOL,
    FaultCode.DEVICE_UNSUITABLE,
)
"""Faults that we found, cleared when the device works; the rest it told, and starts anew with a
reset."""

_WITHHELD: Final = -1  # JUST RESET came in an answer that was not acknowledged


class MdbDriver(ABC):
    """The common life of a peripheral; implements the bus's `Listener` in part.

    Args:
        name: Who it is to the controller.
        bus: Gives it a slot.
        sink: Where what it hears goes.
        poll: The payload of its POLL.
        reset: The payload of its RESET.
        silence_s: Its non-response time.
    """

    def __init__(
        self,
        name: DeviceName,
        bus: MdbBus,
        sink: DeviceSink,
        *,
        poll: bytes,
        reset: bytes,
        silence_s: float,
    ) -> None:
        self._name = name
        self._bus = bus
        self._sink = sink
        self._reset_payload = reset
        self._slot = bus.attach(poll, self, silence_s)
        self._spread_s = RESET_SPREAD_S * bus.attached
        self._faults = FaultBook(name.value, sink.notify)
        self._turns: list[asyncio.Future[Turn]] = []
        self._stir = Stir()
        self._ready = False
        self._served = False  # `start` has been called: resets are ours to handle
        self._lost_told = False
        self._was_lost = False  # silent since it was last ready: it may hold what it could not tell
        self._reset_expected = False
        # Answers so far when JUST RESET came last; None where the last poll told of none.
        self._reset_told: int | None = None
        self._was_reset = False
        self._stuck = False  # a payout never ended: RESET, which aborts it, and initialise again
        self._may_take = False  # enabled by whoever drove it before a restart
        self._reset_at = NEVER_YET
        self.resets = 0  # those that nobody here asked for
        self.oddities = Oddities()

    @property
    def name(self) -> DeviceName:
        """Return which peripheral this is."""
        return self._name

    @property
    def ready(self) -> bool:
        """Return whether it is initialised and answering."""
        return self._ready

    @property
    def tally(self) -> dict[str, int]:
        """Return what went wrong between us and it, counted since the start."""
        slot = self._slot
        return {"silences": slot.silences, "naks": slot.naks, "garbled": slot.garbled,
                "resets": self.resets}  # fmt: skip

    # --------------------------------------------------------------------------------- greet

    async def greet(self, known: Known) -> Greeting:
        """Poll without RESET; see `MdbDevice.greet`."""
        self._adopt(known)
        self._slot.start_polling()
        for turns in range(GREET_TURNS):
            if await self._turn() is Turn.LOST:
                self._was_lost = True
                if not turns:
                    self._slot.stop_polling()
                    return Greeting(present=False)
                break
            if not turns:
                await self._learn()
            if not self._unsettled:
                break
        self._may_take = not self._was_reset
        return Greeting(present=True, just_reset=self._was_reset)

    # --------------------------------------------------------------------------------- start

    async def start(self) -> None:
        """Initialise and serve for ever; see `MdbDevice.start`."""
        self._served = True
        reset_first = True
        while True:
            try:
                if reset_first:
                    await self._reset()
                reset_first = True
                self._was_reset = False
                await self._settle()
                info = await self._initialise()
                self._be_ready(info)
                await self._serve()
            except ResetItself:
                reset_first = False
            except Lost as lost:
                self._was_lost = True
                self._tell_lost(str(lost))
            except Restart:
                await self._leave_service()
            except DeviceFault as fault:
                self._faults.raise_(fault.code, fault.detail)
                reset_first = not await self._sit_out()
            except PeerProtocolError as wrong:
                self._faults.raise_(FaultCode.DEVICE_PROTOCOL, str(wrong))
                await asyncio.sleep(RESET_RETRY_S)
            except LinkError:
                await asyncio.sleep(SECOND_RESET_S)  # the bus reopens its port, and tells
            finally:
                self._ready = False
                self._not_ready()

    async def _reset(self) -> None:
        """RESET until it is acknowledged, then poll until JUST RESET."""
        unheard = rounds = 0
        held_up = False  # by what the poll right before it brought
        while True:
            while not self._may_reset():
                await self._until_reset()
            asked = self._reset_expected
            if asked and await self._has_booted():
                return
            if not self._may_reset():
                continue
            drains, self._may_take = self._may_take and bool(self._refusal), False
            hear = self._holds_money and not rounds
            if drains and not self._was_lost:
                await self._drain()
            elif hear and (self._was_lost or held_up):
                await self._hear_out()
            answer = await self._send_reset(hear=hear)
            if answer is None:
                held_up = True
                continue
            if answer.heard:
                unheard = 0
                self._note_own_reset()
                rounds += 1
                if await self._await_just_reset() or rounds >= RESET_ROUNDS:
                    self._reset_expected = False
                    return
                continue
            unheard += 1
            if unheard == 1:
                await asyncio.sleep(SECOND_RESET_S)
                continue
            self._tell_lost(f"{unheard} RESETs unanswered")
            # the second pause differs from device to device, so that later RESETs are spread out
            pause = RESET_RETRY_S - BOOTED_POLL_S
            await asyncio.sleep(pause - (self._spread_s if unheard == 2 else 0.0))

    async def _send_reset(self, *, hear: bool) -> Answer | None:
        """Send RESET; None when it had to wait.

        With ``hear`` it goes right behind a poll, and only if that brought nothing that it would
        harm: money, an approval.
        """
        slot = self._slot
        sent = False

        def goes() -> bool:
            nonlocal sent
            if not sent and (
                not self._may_reset() or (hear and not slot.missed and self._unsettled)
            ):
                return False
            if not sent:
                sent = True
                self._reset_expected = True
                self._reset_told = None
                if not self._holds_money:
                    self._forget()
            return True

        if hear:
            slot.poll_soon(0.0)
        else:
            slot.stop_polling()
        answer = await slot.command(
            self._reset_payload, Retry.ONCE, wanted=goes, feed=self.on_items, strict=True
        )
        slot.stop_polling()
        if answer.heard and self._holds_money:
            self._forget()  # not before: a RESET that never arrived leaves what it may repeat
        return answer if sent else None

    async def _has_booted(self) -> bool:
        """Whether a RESET that was sent before has been carried out meanwhile.

        A device that takes longer to boot than we wait must not be reset again when it is done.
        """
        self._slot.start_polling()
        await self._turn_or(BOOTED_POLL_S)
        return not self._reset_expected

    async def _drain(self) -> None:
        """Have a device take nothing more, and tell what it has: a RESET would make it forget.

        It went on taking money while nobody drove it.
        """
        await self._slot.command(self._refusal, Retry.ASK)
        end = asyncio.get_running_loop().time() + DRAIN_S
        for _ in range(GREET_TURNS):
            left = end - asyncio.get_running_loop().time()
            if left <= 0 and not self._unsettled:
                return
            if await self._turn_or(max(left, BOOTED_POLL_S)) is Turn.LOST:
                return

    async def _hear_out(self) -> None:
        """Let a device that was silent tell what it holds: a RESET would make it forget.

        It may be back at any moment, and one answer may get lost: one more poll stands right before
        the RESET.
        """
        slot = self._slot
        slot.start_polling(fresh=False)
        slot.on_miss = lambda: self._end_turn(Turn.LOST)
        try:
            for _ in range(GREET_TURNS):
                slot.poll_soon(0.0)
                turn = await self._turn_or(BOOTED_POLL_S)
                if turn in (None, Turn.LOST) or not self._unsettled:
                    return
        finally:
            slot.on_miss = None

    async def _await_just_reset(self) -> bool:
        """Whether JUST RESET came; False after too many plain ACKs, or silence."""
        self._slot.hold(SETTLE_S)
        self._slot.start_polling()
        for _ in range(JUST_RESET_POLLS):
            if not self._reset_expected:
                await self._turn_or(SECOND_RESET_S)  # hears our ACK, or says it again
                return True
            if await self._turn() is Turn.LOST:
                return False
        return not self._reset_expected

    async def _settle(self) -> None:
        """Leave a device alone that has just been reset, then poll it."""
        left = self._reset_at + SETTLE_S - asyncio.get_running_loop().time()
        if left > 0:
            self._slot.hold(left)
        self._slot.start_polling()

    def _be_ready(self, info: ChangerInfo | BillInfo | ReaderInfo) -> None:
        self._ready = True
        self._lost_told = self._was_lost = False
        self._stir.set()
        self._faults.clear(*_OURS)
        self._sink.notify(DeviceReady(self._name, info))

    def _tell_lost(self, why: str) -> None:
        if self._lost_told:
            return
        self._lost_told = True
        self._faults.raise_(FaultCode.DEVICE_SILENT, why)
        self._sink.notify(DeviceLost(self._name))

    async def _sit_out(self) -> bool:
        """Keep polling a device that is of no use; True when it reset itself, else RESET it.

        What makes it useless may have been said by the line and not by it: two answers that collide
        can keep their checksum. So it is asked anew after a while.
        """
        end = asyncio.get_running_loop().time() + UNSUITABLE_RETRY_S
        while (left := end - asyncio.get_running_loop().time()) > 0:
            if self._was_reset:
                return True
            if await self._turn_or(left) is Turn.LOST:
                return False
        return self._was_reset

    async def _serve(self) -> None:
        """Do what is due until the device is reset or lost."""
        while True:
            self._check()
            self._stir.clear()
            if self._stuck:
                self._stuck = False
                raise Restart
            try:
                pause = await self._work()
            except LinkError:
                pause = SECOND_RESET_S
            self._check()
            await self._stir.wait(pause)

    async def _end_stuck(self) -> bool:
        """RESET a device that answers and never stops paying; True when it is ready again."""
        if self._slot.lost or not self._ready:
            return False
        self._stuck = True
        self._stir.set()
        try:
            async with asyncio.timeout(RESET_LIMIT_S):
                while self._stuck or not self._ready:
                    await self._turn()
        except TimeoutError:
            return False
        return True

    # ----------------------------------------------------------------------------- dialogues

    async def _tell(self, payload: bytes, retry: Retry = Retry.REPEAT) -> None:
        """Send what must be acknowledged. Raises Lost or ResetItself.

        What a device did not hear before it reset itself is not said to it again: it is set up
        anew first.
        """
        answer = await self._slot.command(payload, retry, wanted=lambda: not self._was_reset)
        self._check(payload)
        if not answer.heard:
            raise Lost(f"{step_of(payload)} was never acknowledged")

    async def _ask(self, payload: bytes, retry: Retry = Retry.REPEAT) -> Answer:
        """Ask for data; the caller judges silence. Raises Lost or ResetItself."""
        answer = await self._slot.command(payload, retry)
        self._check(payload)
        return answer

    def _gone(self) -> bool:
        """Whether nothing can be asked now: silent, never greeted, or the line is down."""
        return self._slot.lost or not self._slot.polling or self._bus.down is not None

    def _check(self, asked: bytes = b"") -> None:
        if self._was_reset:
            raise ResetItself
        if self._slot.lost:
            step = f"{step_of(asked)}: " if asked else ""
            raise Lost(f"{step}silent for {self._slot.silence_limit_s:.1f} s")

    async def _turn(self) -> Turn:
        """Wait for the next poll's end that says something (or for the loss of the device)."""
        if self._slot.lost and not self._slot.polling:
            return Turn.LOST
        waiter: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._turns.append(waiter)
        self._slot.awaited = True
        return await waiter

    async def _turn_or(self, seconds: float) -> Turn | None:
        """As `_turn`, but for at most so long."""
        try:
            async with asyncio.timeout(seconds):
                return await self._turn()
        except TimeoutError:
            return None

    def _end_turn(self, turn: Turn) -> None:
        self._slot.awaited = False
        if self._turns:
            waiting, self._turns = self._turns, []
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(turn)

    # ------------------------------------------------------------------- the bus calls these

    def on_lost(self) -> None:
        """The device has been silent for its non-response time."""
        self._stir.set()
        self._end_turn(Turn.LOST)

    @abstractmethod
    def on_quiet(self) -> None:
        """POLL was answered by an ACK."""

    @abstractmethod
    def on_items(self, data: bytes) -> asyncio.Future[None] | None:
        """POLL was answered by data."""

    @abstractmethod
    def on_told(self, *, acked: bool) -> None:
        """An answer with money was acknowledged or not."""

    def _note_just_reset(self) -> None:
        """JUST RESET was in a poll answer."""
        if self._same_reset():
            return
        # Tells whether our ACK was heard. Not asked for each time that it is said again: beside
        # money that waits for the set-up to be understood, no command would ever have its turn.
        self._slot.poll_soon()
        self._reset_told = self._slot.answers
        self._forget()
        self._faults.clear_but(*_OURS)
        if self._reset_expected:
            self._reset_expected = False  # the pause counts from our RESET
            return
        self._note_own_reset()
        self._was_reset = True
        self.resets += 1
        self._stir.set()
        if self._served:
            self._sink.notify(DeviceWasReset(self._name))

    def _same_reset(self) -> bool:
        """Whether a JUST RESET now is the last one, repeated because our ACK was lost.

        Anything else that the device has answered since makes it another, unless that answer was
        not acknowledged: a device says what it holds until it is.
        """
        return self._reset_told in (_WITHHELD, self._slot.answers)

    def _note_told(self, *, acked: bool) -> None:
        """Note whether an answer, perhaps one with JUST RESET in it, was acknowledged."""
        if self._reset_told is not None and not acked:
            self._reset_told = _WITHHELD
        elif self._reset_told == _WITHHELD:
            self._reset_told = self._slot.answers

    def _note_own_reset(self) -> None:
        self._reset_at = asyncio.get_running_loop().time()

    # ------------------------------------------------------------------------ each device's own

    @property
    def _unsettled(self) -> bool:
        """Whether `greet` should wait for another poll answer: money may be repeated."""
        return False

    _refusal = b""
    """The command that has it take nothing; empty for one that takes nothing by itself."""

    _holds_money = True
    """Whether it keeps what it could not tell until it is reset: coins, a bill, an approval."""

    def _may_reset(self) -> bool:
        """Whether a RESET would do no harm now."""
        return True

    async def _until_reset(self) -> None:
        """Let a while pass in which a RESET would do harm, or end what it would harm."""
        self._slot.start_polling(fresh=False)  # else it would never be heard again
        await self._turn_or(RESET_RETRY_S)

    async def _leave_service(self) -> None:
        """A RESET of ours comes next: say so where somebody might ask the device meanwhile."""
        self._ready = False

    @abstractmethod
    def _forget(self) -> None:
        """A reset emptied the device: nothing of it will be repeated."""

    @abstractmethod
    def _not_ready(self) -> None:
        """The device left service."""

    @abstractmethod
    def _adopt(self, known: Known) -> None:
        """Take over what the journal remembers."""

    @abstractmethod
    async def _learn(self) -> None:
        """In `greet`: find out without RESET what is needed to value its money."""

    @abstractmethod
    async def _initialise(self) -> ChangerInfo | BillInfo | ReaderInfo:
        """Run the bring-up sequence after a reset.

        Raises:
            Lost: Something was never acknowledged.
            ResetItself: Begin again, without RESET.
            DeviceFault: It works and is of no use here.
            PeerProtocolError: It answered nonsense.
        """

    @abstractmethod
    async def _work(self) -> float:
        """Do what is due in service; return seconds until something is due by itself."""
