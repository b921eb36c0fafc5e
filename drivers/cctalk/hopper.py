"""A hopper on the line: how it pays, and what proves it.

A dispense command is sent once. What became of it is told by the hopper's event counter and by its
running dispense count, which outlives power cuts; the difference of that count is what left.

Source: ccTalk Generic Specification 4.7, part 2 (headers 160-168); what follows a power cut:
Money Controls SCH2 and Suzo-Happ Flow manuals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from controller.faults import DeviceFault, FaultCode, LinkError
from drivers.cctalk.addresses import Category
from drivers.cctalk.bus import TRIES, CcTalkBus, Peer
from drivers.cctalk.cursor import HopperMark
from drivers.cctalk.events import next_counter
from drivers.cctalk.frames import Checksum, Reply, ReplyKind
from drivers.cctalk.headers import Header
from drivers.cctalk.hopper_codec import (
    CIPHER_BYTES,
    DISABLED,
    ENABLE,
    MAX_DISPENSE,
    MEMORY_FAILED,
    SERIAL_BYTES,
    TIMEOUT,
    DispenseKind,
    HopperFlags,
    HopperStatus,
    decode_dispense_count,
    decode_hopper_flags,
    decode_hopper_status,
    dispense_data,
    dispensed_between,
)
from drivers.cctalk.unit import RESET_S, Silent, Unit

STATUS_S: Final = 0.2
"""Between two reads of the status while it pays."""
STALL_S: Final = 30.0
"""Without a coin: a motor that jams reverses and tries again before it gives up by itself."""
LINE_BACK_S: Final = 15.0
"""For a line that goes while a hopper pays: an interface that a motor disturbs is back sooner."""
SENDS: Final = 3
"""Dispense commands for one order that were proved not to be received, before giving up."""
STALLED_S: Final = 600.0
"""Before a hopper that turned in vain, or took no order, is asked again: it may have come loose."""
RAN_OUT: Final = "it ran out while the books say it holds"
IMPLAUSIBLE: Final = 4 * MAX_DISPENSE
"""More coins than this since the last mark never left between two looks: another hopper stands
there."""


@dataclass(frozen=True, slots=True)
class HopperPlan:
    """What the configuration says of a hopper.

    Args:
        address: 3 to 10 as a rule.
        value: Its coin, minor units.
        content: Coins inside at the first start.
        capacity: Coins it holds; the sorter sends no more.
        path: The acceptor's sorter path that ends in it; None when none does.
        kind: How it wants a dispense proved; None finds out.
        checksum: Hoppers usually use the sum.
    """

    address: int
    value: int
    content: int = 0
    capacity: int = 500
    path: int | None = None
    kind: DispenseKind | None = None
    checksum: Checksum = Checksum.SUM


@dataclass(frozen=True, slots=True)
class Look:
    """A hopper's own account at one moment."""

    status: HopperStatus
    dispensed: int
    flags: HopperFlags

    @property
    def trusted(self) -> bool:
        """Whether its counts survived its last power cut."""
        return not self.flags.has(MEMORY_FAILED)


@dataclass(frozen=True, slots=True)
class Paid:
    """What one order came to."""

    coins: int
    """By the running count."""
    told: int | None = None
    """By its status; None when the hopper was reset meanwhile, or could not say."""
    idle: bool = True
    """Whether it is known to have stopped, and its count tells."""


class Hopper(Unit):
    """Drives one hopper.

    Args:
        bus: Its line.
        plan: What the configuration says.
        coin_type: Its coin type.
    """

    def __init__(self, bus: CcTalkBus, plan: HopperPlan, coin_type: int) -> None:
        super().__init__(bus, Peer(plan.address, plan.checksum), f"hopper {plan.address}")
        self.plan = plan
        self.coin_type = coin_type
        self.mark = HopperMark(0, 0, plan.content)
        self.believed = 0
        """Coins inside by the machine's books; 0 when they don't say."""
        self.counted = False
        """Whether the mark's count was read from the hopper, now or before."""
        self.alive = False
        self.missed = False
        """It did not answer the last look, which asks once."""
        self.blocked = ""
        """Why it can't pay, in words; empty when it can."""
        self.empty = False
        """It ran out in the last payout, whatever the books say."""
        self._failed, self._failed_until = "", float("-inf")
        self._reset_at = float("-inf")
        self._told = False, False
        self.doubt = ""
        """Why its counts prove nothing; empty when they do."""
        self._kind: DispenseKind | None = None
        """How it wants a dispense proved; None until it has told who it is."""
        self._proved = False
        """It has taken an order of that kind."""

    @property
    def pays(self) -> bool:
        """Whether it is worth asking."""
        sound = not self.blocked and not self.stalled and not self.doubt
        return self.alive and sound and not self.empty

    @property
    def room(self) -> bool:
        """Whether it may take a coin more."""
        return self.mark.content < self.plan.capacity

    @property
    def stalled(self) -> str:
        """Why the others are asked instead for a while, in words; empty when it is asked."""
        now = asyncio.get_running_loop().time()
        return self._failed if now < self._failed_until else ""

    def _stalls(self, why: str) -> None:
        """Whoever waits for it in vain once is better served by the other hoppers."""
        self._failed, self._failed_until = why, asyncio.get_running_loop().time() + STALLED_S

    @property
    def troubles(self) -> Mapping[FaultCode, str]:
        """What keeps it from paying, in words by its fault; empty where that is not so."""
        return {
            FaultCode.DEVICE_UNSUITABLE: self.doubt,
            FaultCode.CHANGER_TUBE_JAM: self.blocked or self.stalled,
            FaultCode.CHANGER_TUBE_SENSOR: RAN_OUT if self.empty else "",
        }

    def better(self) -> bool:
        """Whether it answers, or pays, and did not when this was asked last."""
        before, self._told = self._told, (self.alive, self.pays)
        return any(now and not was for was, now in zip(before, self._told, strict=True))

    @property
    def may_be_reset(self) -> bool:
        """Whether its last reset is long enough ago: one that jams at once is left alone."""
        return asyncio.get_running_loop().time() >= self._reset_at + STALLED_S

    async def reset(self) -> None:
        """Reset it. Its counts must be durable before. Raises LinkError."""
        self._reset_at = asyncio.get_running_loop().time()
        await self.tell(Header.RESET_DEVICE)
        await asyncio.sleep(RESET_S)

    def attended(self) -> None:
        """Somebody is there: what had run out, stood or was in doubt may be mended."""
        self.empty, self.doubt = False, ""
        self._failed_until = self._reset_at = float("-inf")

    # ------------------------------------------------------------------------------- looking

    async def look(self, tries: int = TRIES) -> Look:
        """Read status, running count and flags; sets the mark. Raises Silent or LinkError."""
        status = await self.read(Header.REQUEST_HOPPER_STATUS, decode_hopper_status, tries)
        dispensed = await self.read(Header.REQUEST_DISPENSE_COUNT, decode_dispense_count, tries)
        flags = await self.read(Header.TEST_HOPPER, decode_hopper_flags, tries)
        self.missed = False
        self._note(status.event, dispensed)
        told = [flag for flag in flags.blocking if flag != DISABLED]
        self.blocked = flags.words if told else ""
        if flags.has(MEMORY_FAILED):
            self.doubt = "its memory failed in a power cut"
        return Look(status, dispensed, flags)

    def adopt(self, mark: HopperMark) -> None:
        """Go on from what the journal remembers."""
        self.mark = mark
        self.counted = True

    def _note(self, event: int, dispensed: int) -> None:
        """Take a running count: what it grew by has left."""
        mark = self.mark
        left = dispensed_between(mark.dispensed, dispensed) if self.counted else 0
        if left > IMPLAUSIBLE:
            self.doubt = "its dispense count fits no record of it: another hopper?"
            mark, left = HopperMark(event, dispensed, self.believed or mark.content), 0
        self.counted = True
        self.believed = 0  # from here on the mark knows better: the books go on without it
        self.mark = HopperMark(event, dispensed, max(0, mark.content - left))

    def add(self, coins: int) -> None:
        """Coins came in by the sorter."""
        mark = self.mark
        self.mark = HopperMark(mark.event, mark.dispensed, mark.content + coins)
        self.empty = False

    async def learn(self) -> None:
        """Identify it, and find out how it wants to be told to pay.

        Raises:
            Silent: It does not say what it is, or not what a dispense of its kind needs.
            LinkError: The line is down.
            DeviceFault: It is no hopper.
        """
        self._kind, self._proved = None, False
        await self.identify(Category.PAYOUT)
        numbered = len(self.serial) >= SERIAL_BYTES
        kind = self.plan.kind
        if kind is None:
            model = self.identity.model.upper()
            plain = "NOENCRYPT" in model or model.startswith("SCH")
            kind = DispenseKind.SERIAL if numbered and not plain else DispenseKind.NO_CIPHER
        if kind is DispenseKind.SERIAL and not numbered:
            raise Silent(f"{self.part} does not tell the serial number that its dispenses need")
        self._kind = kind

    def _guess_again(self) -> None:
        """One that took no order, and was never told how, may want the other kind."""
        if self.plan.kind is None and not self._proved and len(self.serial) >= SERIAL_BYTES:
            serial = self._kind is DispenseKind.SERIAL
            self._kind = DispenseKind.NO_CIPHER if serial else DispenseKind.SERIAL

    async def wait_idle(self) -> Look | None:
        """Wait until no payout runs; None when that never becomes known. Raises LinkError."""
        loop = asyncio.get_running_loop()
        end, remaining = loop.time() + STALL_S, -1
        while True:
            try:
                look = await self.look()
                if not look.status.running:
                    return look
                if look.status.remaining != remaining:
                    end, remaining = loop.time() + STALL_S, look.status.remaining
            except Silent:
                pass  # it may be in the middle of a reset
            if loop.time() >= end:
                return None
            await asyncio.sleep(STATUS_S)

    async def settle(self) -> Look | None:
        """Wait until no payout runs, and end one that brings no coin any more.

        What is left of it may not fall behind a claim, or behind an order for the same money.

        Returns:
            How it stands; None when nobody knows.

        Raises:
            LinkError: The line is down.
        """
        look = await self.wait_idle()
        if look is not None:
            return look
        # it turns for ever, or fell silent: stop it, and see once more
        await self.try_ask(Header.EMERGENCY_STOP)
        await asyncio.sleep(STATUS_S)
        try:
            look = await self.look()
        except Silent:
            return None
        self._stalls(f"its motor turned for {STALL_S:.0f} s without a coin, and was stopped")
        return look

    # -------------------------------------------------------------------------------- paying

    async def pay(self, coins: int) -> Paid:
        """Pay, and wait until it has stopped.

        Its mark must be durable before: what it pays from here on is told by the difference.

        Raises:
            LinkError: The line is down and no dispense command can have left.
        """
        total, told = 0, 0
        while total < coins:
            order = min(coins - total, MAX_DISPENSE)
            try:
                paid = await self._pay_once(order)
            except LinkError:
                if not total:
                    raise
                return Paid(total, told)
            total += paid.coins
            if paid.told is None or not paid.idle or paid.coins < order:
                return Paid(total, None if paid.told is None else told + paid.told, paid.idle)
            told += paid.told
        return Paid(total, told)

    async def _pay_once(self, coins: int) -> Paid:
        sent = False
        before: Look | None = None
        try:
            for _ in range(SENDS):
                before = await self._ready()
                if before is None:
                    return Paid(0, 0)
                if not await self._unlock():
                    continue
                assert self._kind is not None, "learnt before it is ready"
                sent = True
                data = dispense_data(self._kind, coins, self._proof)
                reply = await self.try_ask(Header.DISPENSE_HOPPER_COINS, data)
                verdict = await self._received(before, reply)
                if verdict is None:
                    return Paid(0, idle=False)
                if verdict:
                    self._proved = True
                    return await self._finish(before, coins)
                self._guess_again()
            self._stalls(f"it took none of {SENDS} orders to pay")
            await self.tell(Header.ENABLE_HOPPER, b"\0")
            return Paid(0, 0)
        except LinkError:
            if not sent or before is None:
                raise
            return await self._pays_on(before, coins)

    @property
    def _proof(self) -> bytes:
        return self.serial[:SERIAL_BYTES]

    async def _ready(self) -> Look | None:
        """Look before paying; None when it can't pay.

        One that was silent when the others were asked who they are is asked now.
        """
        try:
            look = await self.look()
            if self._kind is None:
                await self.learn()
            if look.status.running:
                again = await self.settle()
                if again is None or again.status.running:
                    return None
                look = again
            if self.blocked:
                # its counts are known and durable, so a reset loses nothing
                await self.reset()
                look = await self.look()
            self.alive = True
        except Silent:
            self.alive = False
            return None
        except DeviceFault as fault:
            self.doubt = fault.detail
            return None
        return None if self.blocked else look

    async def _unlock(self) -> bool:
        if not await self.tell(Header.ENABLE_HOPPER, bytes((ENABLE,))):
            return False
        if self._kind is DispenseKind.NO_CIPHER:
            await self.try_ask(Header.PUMP_RNG, bytes(CIPHER_BYTES))
            await self.try_ask(Header.REQUEST_CIPHER_KEY)
        return True

    async def _received(self, before: Look, reply: Reply | None) -> bool | None:
        """Whether a dispense command was taken: told, or found out. None: not known."""
        if reply is not None and reply.kind in (ReplyKind.DATA, ReplyKind.ACK):
            return True
        for _ in range(SENDS):
            try:
                look = await self.look()
            except Silent:
                await asyncio.sleep(STATUS_S)
                continue
            if look.status.running or look.dispensed != before.dispensed:
                return True
            # a hopper may count the event of a dispense that it refused: its coins decide
            counted_on = look.status.event == next_counter(before.status.event)
            refused = reply is not None and reply.kind in (ReplyKind.NAK, ReplyKind.BUSY)
            return counted_on and not refused
        return None

    async def _pays_on(self, before: Look, coins: int) -> Paid:
        """The line went in the middle: the hopper pays on alone, and its count tells afterwards."""
        loop = asyncio.get_running_loop()
        end = loop.time() + LINE_BACK_S
        while (left := end - loop.time()) > 0:
            await asyncio.sleep(STATUS_S)
            if await self.bus.up(left):
                try:
                    return await self._finish(before, coins)
                except LinkError:
                    continue  # it has gone again
        return Paid(0, idle=False)

    async def _finish(self, before: Look, coins: int) -> Paid:
        """Wait for the end of a payout that has begun."""
        after = await self.settle()
        if after is None:
            self.alive = False
            return Paid(dispensed_between(before.dispensed, self.mark.dispensed), idle=False)
        paid = dispensed_between(before.dispensed, after.dispensed)
        await self.tell(Header.ENABLE_HOPPER, b"\0")
        if paid > IMPLAUSIBLE or (before.trusted and not after.trusted):
            return Paid(0, idle=False)  # its count went with its supply: nobody knows what fell
        if paid < coins and after.flags.has(TIMEOUT):
            self.empty = True
        # else its status tells of another payout than this one
        other = after.status.event in (0, before.status.event)
        told = None if other or not after.trusted else after.status.paid
        return Paid(paid, told, idle=not after.status.running)
