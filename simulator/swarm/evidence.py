"""What was there to be seen since the last check: records, flags, claims, what troubles excuse.

Collected while a step is played; ``judge`` reads it and nothing else of the controller but its
folded state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from controller.domain.tubes import BILLS_FROM, TubeCoins, best_partial
from controller.journal import records as rec
from controller.journal.envelope import Record
from controller.ports import DeviceName
from simulator.adapter_wire import AdapterWire
from simulator.swarm.plan import Trouble
from simulator.swarm.troubles import Excuse, Kind
from simulator.truth import TRANSPORT
from simulator.whole import Whole
from simulator.world import World

BOX_COIN: Final = 200  # the one coin that has no tube
LINES: Final = ("line", "bus")
SILENCE: Final = ("silent", "mute_s", "silent_commands", "dead")
SPOILING: Final = ("lost_answers", "bad_checksums", "late_answers", "naks")
WOKE_S: Final = 0.1  # a poll, others' polls that would be late, and the RESET behind them
SPOILT_S: Final = 1.0
NEVER: Final = float("-inf")
FOREVER: Final = float("inf")
EPSILON_S: Final = 0.002  # a record's time is in whole milliseconds
_COIN: Final = 0x40  # 01rrtttt: a coin of type t went along route r (MDB/ICP 4.2, section 5)
_COINS: Final = 0xC0  # either bit: two bytes, of a coin or of coins that were let out by hand
_POLLS: Final = {b"\x0b": DeviceName.CHANGER, b"\x33": DeviceName.BILL}
_BILL: Final = 0x80  # 1rrrtttt: a bill of type t (section 6)


_RECYCLED: Final = 0xB0
_APPROVED: Final = 0x05  # VEND APPROVED
_REFUND_ERROR: Final = 0xC  # high nibble of MALFUNCTION / ERROR (section 7)


def _nobody(mark: str) -> None:
    del mark


def money_in(world: World, device: str, item: bytes) -> int:
    """Return what coins and bills of ours an item of a poll answer tells of, in minor units."""
    if not item:
        return 0
    byte = item[0]
    if device == DeviceName.CHANGER.value and world.changer is not None:
        coins = world.changer.settings.coin_table()
        told = byte & 0xC0 == _COIN and byte >> 4 & 3 in (0, 1) and byte & 15 < len(coins)
        return coins[byte & 15].value if told else 0
    if device == DeviceName.BILL.value and world.bill is not None:
        bills = world.bill.settings.bills
        ours = byte & 0xF0 in (_BILL, _RECYCLED) and byte & 15 < len(bills)
        return bills[byte & 15].value if ours else 0
    return 0


def is_refund_error(device: str, item: bytes) -> bool:
    """Tell whether an item of a reader says that a failed vend's money did not go back."""
    return device.startswith("cashless") and item[:1] == b"\x0a" and item[1] >> 4 == _REFUND_ERROR


@dataclass(slots=True)
class Window:
    """While a trouble lasts, it may excuse what its kind says; what follows from it may come later.

    Args:
        why: The trouble, or what else took the evidence away.
        excuses: What it may excuse.
        begins_s: From then on; a finding from before it was for another reason.
        ends_s: When it was mended.
    """

    why: object
    excuses: frozenset[Excuse]
    begins_s: float
    ends_s: float = FOREVER


@dataclass(slots=True)
class Evidence:
    """Since the last check."""

    records: list[Record] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    struck: list[Trouble] = field(default_factory=list)
    lost: int = 0  # money that told answers held when a life ended
    unrefunded: set[str] = field(default_factory=set)  # readers whose refund error it took along
    untold: set[str] = field(default_factory=set)  # readers whose approval was lost on its way
    ends: list[str] = field(default_factory=list)
    fell: Counter[str] = field(default_factory=Counter)  # products, by column, whoever saw them
    pulled: int = 0  # of bills that somebody took out of a validator that does not say so
    findings: list[str] = field(default_factory=list)
    forgotten: bool = False  # coins went unread with an acceptor's events; a flag will say so
    payable: set[str] = field(default_factory=set)  # claims that the tubes could have paid then

    def open(self, kind: Kind, trouble: Trouble, now: float) -> None:
        """A trouble struck."""
        self.struck.append(trouble)
        if kind.excuses:
            self.windows.append(Window(trouble, kind.excuses, now))

    def close(self, trouble: Trouble, now: float, *, struck: bool) -> None:
        """It is mended; one that never came to anything excuses nothing."""
        for window in self.windows:
            if window.why is trouble:
                window.ends_s = now
        if not struck:
            self.windows = [window for window in self.windows if window.why is not trouble]

    def hide(self, why: str, now: float, *excuses: Excuse) -> None:
        """Something else took evidence away: an end, a reader that can't say."""
        self.windows.append(Window(why, frozenset(excuses), now))

    def excused(self, *excuses: Excuse, at_s: float = FOREVER) -> bool:
        """Tell whether any of these held at, or before, the time of what is to be excused."""
        wanted = frozenset(excuses)
        return any(
            window.begins_s <= at_s + EPSILON_S and not wanted.isdisjoint(window.excuses)
            for window in self.windows
        )

    def slowest_commit_s(self) -> float:
        """Return how long the disk made a commit wait at most."""
        return max(
            (
                one.value
                for one in self.struck
                if (one.part, one.name) == ("disk", "latency_s") and isinstance(one.value, float)
            ),
            default=0.0,
        )

    def of(self, *types: type[Any]) -> list[Any]:
        """Return the data of all records of these types."""
        # No type of record inherits from another, and asking pydantic's classes takes its time.
        return [record.data for record in self.records if type(record.data) in types]

    def flags(self) -> list[rec.ReviewFlagged]:
        """Return what was flagged."""
        return self.of(rec.ReviewFlagged)

    def told(self, *types: type[Any]) -> Iterator[tuple[float, Any]]:
        """Yield when each record of these types was written, and its data."""
        for record in self.records:
            if type(record.data) in types:
                yield record.mono_ms / 1000, record.data


# The types of records that ``Watch`` takes something from; asking each for its class is slow.
TAKEN: Final = frozenset(
    data.type
    for data in (
        rec.CoinsDeposited, rec.RefundRefused, rec.BillStacked, rec.DispenseIntended,
        rec.DispenseFinished, rec.ClaimOpened, rec.OperatorActed,
    )
)  # fmt: skip


class Watch:
    """Watches one machine: what its devices were acknowledged, what became durable, its motors."""

    def __init__(self, machine: Whole) -> None:
        """Hook into the world; ``follow`` hooks into each new life of the controller."""
        self.machine = machine
        self.evidence = Evidence()
        self.seen = 0  # the last record collected
        self.turning: set[int] = set()  # vends with a durable intent to turn and no outcome
        self.testing = 0
        self.woke: dict[str, float] = {}  # when a device was silent last
        self.spoilt: dict[str, float] = {}  # when its answers were spoilt last
        self._dead = False  # between the end of a life and the next
        self._acked = 0
        self._recorded = 0
        self.on_told: Callable[[], None] | None = None
        self.on_seen: Callable[[str], None] = _nobody
        self.on_record: list[Callable[[Record], None]] = []
        for name, device in machine.world.devices.items():
            device.on_item_acked = self._hearer(name)
            device.on_items_lost = self._loser(name)
        if isinstance(machine.world.wire, AdapterWire):
            machine.world.wire.on_spoilt = self._spoilt_text
        line = machine.world.cctalk
        if line is not None and line.acceptor is not None:
            line.acceptor.on_forgotten = self._forgotten
        self._acceptor = None if line is None else line.acceptor
        self._counter = self._events()
        self._pulsed: Counter[int] = Counter()  # coins that were pulsed, and in no record yet
        self._hushed: Counter[int] = Counter()  # those of a life that ended
        self._refusals: set[str] = set()  # acknowledged by an adapter, and not on record yet
        self._refused: set[str] = set()  # readers that told this life of a refund error
        if machine.world.pulse is not None:
            machine.world.pulse.on_coin = self._pulse_coin

    def _spoilt_text(self, asked: bytes, text: bytes) -> None:
        """An adapter has acknowledged what vendd got a damaged text of."""
        device = _POLLS.get(asked[:1])
        if device is None or text[2:3] in b"AN":
            return
        told = bytes.fromhex(text[2:].decode())
        while told:
            size = 2 if device is DeviceName.CHANGER and told[0] & _COINS else 1
            value = money_in(self.machine.world, device.value, told[:size])
            self.evidence.lost += value
            self._acked -= value
            told = told[size:]

    def _forgotten(self, value: int) -> None:
        """What nobody had read of a ccTalk acceptor went with its reset, or behind other events."""
        self.evidence.lost += value
        self.evidence.forgotten = True
        self.on_seen("seen.unread coin")

    def _events(self) -> int:
        """Return the event counter of a ccTalk acceptor; behind 255 comes 1."""
        return 0 if self._acceptor is None else self._acceptor.log.counter

    def _pulse_coin(self, value: int) -> None:
        """A coin fell into the cash box; its pulses are told to whoever listens, once."""
        if self._dead:
            self.evidence.lost += value
            self._hushed[value] += 1  # unless its pulses come so late that the next life hears them
        else:
            self._pulsed[value] += 1

    def end_step(self) -> None:
        """What spoilt pulses told of is in the cash box; what a reader told of is on record."""
        if self.evidence.excused(Excuse.PULSE):
            self.evidence.lost += self._unpulsed()
        written = {data.device for data in self.evidence.of(rec.RefundRefused)}
        self.evidence.findings += [
            f"{name} told that it could not give back, and nobody wrote it down"
            for name in sorted(self._refused - written)
        ]
        self._refused.clear()

    def _spoiling(self, name: str) -> bool:
        """Tell whether what a device says may not arrive, though it is acknowledged."""
        return self.machine.loop.time() - self.spoilt.get(name, NEVER) < SPOILT_S

    def _unpulsed(self) -> int:
        lost = sum(value * count for value, count in self._pulsed.items())
        self._hushed = self._pulsed
        self._pulsed = Counter()
        return lost

    def _pulse_recorded(self, value: int) -> None:
        """A coin is credited as what it is, or not at all."""
        if self._pulsed[value] > 0:
            self._pulsed[value] -= 1
        elif self._hushed[value] > 0:  # its record was durable, and nobody lived to tell
            self._hushed[value] -= 1
        else:
            self.evidence.findings.append(f"a coin of {value} was credited that nobody put in")

    def _hearer(self, name: str) -> Callable[[bytes], None]:
        def heard(item: bytes) -> None:
            money = money_in(self.machine.world, name, item)
            if is_refund_error(name, item) and self.machine.link == "adapter":
                (self.evidence.unrefunded if self._dead else self._refusals).add(name)
            if is_refund_error(name, item) and not self._dead and not self._spoiling(name):
                self._refused.add(name)
            if self._dead and self.machine.link == "adapter":
                # Asked for just before the end: the adapter acknowledges, and tells nobody.
                self.evidence.lost += money
            else:
                self._acked += money
            if self.on_told is not None:
                self.on_told()

        return heard

    def _loser(self, name: str) -> Callable[[str, list[bytes]], None]:
        def lost(cause: str, items: list[bytes]) -> None:
            if cause != "reset" or self._unheard(name):
                if name.startswith("cashless") and any(item[0] == _APPROVED for item in items):
                    self.evidence.untold.add(name)
                self.evidence.lost += sum(
                    money_in(self.machine.world, name, item) for item in items
                )

        return lost

    def _unheard(self, name: str) -> bool:
        """Tell whether a device that is being reset could not have been heard before.

        It came back, or the money came, between the last poll and the RESET right behind it; or
        what it said was spoilt on its way. The controller's RESET excuses nothing else.
        """
        now = self.machine.loop.time()
        device = self.machine.world.devices[name]
        if now - self.spoilt.get(name, NEVER) < SPOILT_S:
            return True
        since = max(device.polled_at, now - WOKE_S)
        return self.woke.get(name, NEVER) > since or all(
            item.at_s > since and not item.sent for item in device.waiting_items
        )

    def struck(self, trouble: Trouble) -> None:
        """A trouble began: what a device says may be spoilt."""
        if trouble.name in SPOILING or (trouble.part in LINES and trouble.name not in SILENCE):
            for name in self._hurt(trouble):
                self.spoilt[name] = FOREVER

    def _hurt(self, trouble: Trouble) -> Iterable[str]:
        return self.machine.world.devices if trouble.part in LINES else (trouble.part,)

    def mended(self, trouble: Trouble, now: float) -> None:
        """A trouble is over: a device may be heard again."""
        for name in self._hurt(trouble):
            if trouble.name in SILENCE:
                self.woke[name] = now
            elif trouble.name in SPOILING or trouble.part in LINES:
                self.spoilt[name] = now

    def begin(self) -> None:
        """Start anew after a check: nothing is on its way."""
        forgotten = self.evidence.forgotten  # noticed when it is asked how many coins it took
        self.evidence = Evidence(forgotten=forgotten)
        self._acked = self._recorded  # a RESET may have taken what was recorded and never heard

    async def follow(self) -> None:
        """Take the records of this life as they become durable, and those that a death hid."""
        running = self.machine.running
        assert running is not None, "a controller has just started"
        self._dead = False
        running.machine.on_commit.append(self.take)
        missed = [record async for record in running.journal.records(self.seen + 1)]
        self.take(missed)

    def take(self, records: Iterable[Record]) -> None:
        """Collect records."""
        for record in records:
            if record.seq <= self.seen:
                continue
            self.seen = record.seq
            self.evidence.records.append(record)
            if record.type in TAKEN:
                self._take_in(record)
            for told in self.on_record:
                told(record)

    def _take_in(self, record: Record) -> None:
        """Note what a record tells (``TAKEN``)."""
        match record.data:
            case rec.CoinsDeposited(coins=coins, suspect=suspect):
                before, self._counter = self._counter, self._events()
                if 0 < self._counter < before:
                    self.on_seen("seen.wrap")
                if self._acceptor is not None:
                    self._acceptor.written_down(sum(coin[1] > 0 for coin in coins))
                if self.machine.world.pulse is None:
                    self._recorded += sum(coin[1] for coin in coins) + suspect * BOX_COIN
                else:
                    for coin in coins:
                        self._pulse_recorded(coin[1])
            case rec.RefundRefused(device=device):
                self._refusals.discard(device)
            case rec.BillStacked(value=value, proof="reported"):
                self._recorded += value
            case rec.DispenseIntended() if record.vend is not None:
                self.turning.add(record.vend)
            case rec.DispenseFinished() if record.vend is not None:
                self.turning.discard(record.vend)
            case rec.ClaimOpened(code=code, amount=amount) if self._could_pay(amount):
                self.evidence.payable.add(code)
            case rec.OperatorActed(what="motor test"):
                self.testing += 1
            case _:
                pass

    def _could_pay(self, amount: int) -> bool:
        """Tell whether what is known to be in the tubes now, the reserve left alone, pays some.

        So do the recycler's bills, unless one is jammed in it, or stands in the way that all take.
        """
        machine = self.machine
        changer, bill = machine.world.changer, machine.world.bill
        kept = machine.settings.mdb.changer.keep
        stuck = machine.world.truth.value(TRANSPORT) > 0
        tubes = [
            TubeCoins(
                kind, value, max(0, min(believed, changer.tubes.real(kind)) - kept.get(value, 0))
            )
            for kind, value, believed in machine.state.tube_coins()
            if changer is not None
        ]
        bills = [
            TubeCoins(BILLS_FROM + kind, value, min(believed, bill.recycler.real(kind)))
            for kind, value, believed in machine.state.recycler_bills()
            if bill is not None and not bill.recycler.jammed and not stuck
        ]
        return best_partial(amount, [*tubes, *bills]).amount > 0

    def life_ended(self, *, power: bool) -> None:
        """Note what an end may hide: call it at the instant of the end."""
        evidence = self.evidence
        # A life that ended in its first moments has told nobody yet what the last one had recorded.
        untold = self._hushed if self._dead else Counter[int]()
        self._dead = True
        evidence.ends.append("power" if power else "kill")
        told = max(0, self._acked - self._recorded)
        if told and self.machine.link == "native":
            evidence.findings.append(f"{told} was acknowledged before it was durable")
        evidence.lost += told
        evidence.unrefunded |= self._refusals
        self._refusals.clear()
        self._refused.clear()
        if power and self.machine.world.cctalk is not None:
            # Its devices forget the credits that nobody has read yet.
            held = self.machine.held_by_an_answer()
            evidence.lost += held
            evidence.forgotten |= held > 0
        elif self._acceptor is not None:
            self._acceptor.reader_died()
        pulsing = self._unpulsed()
        if pulsing:
            self.on_seen(f"seen.cut pulses={'power' if power else 'kill'}")
        evidence.lost += pulsing
        self._hushed += untold
        hidden = {Excuse.REPEAT, Excuse.PULSE}
        unfinished = self.machine.unfinished
        if "settle failure" in unfinished:
            hidden.add(Excuse.REFUND)
        if "cancel" in unfinished:
            # An approval may have overtaken it; what its reader made of VEND FAILURE it says once.
            hidden |= {Excuse.APPROVAL, Excuse.REFUND}
        if power and "dispense" in unfinished:
            hidden.add(Excuse.DROP)
        if power and not unfinished.isdisjoint(("approval", "settle failure")):
            hidden |= {Excuse.APPROVAL, Excuse.REFUND}
        if "revalue" in unfinished and (power or self.machine.link == "adapter"):
            hidden.add(Excuse.REVALUE)  # by a link that withholds it is told once more
        if power and self.machine.unheard_bill:
            hidden.add(Excuse.BILL)
        evidence.hide("the end of a life", self.machine.loop.time(), *hidden)
        # What is recorded and not yet acknowledged will be told, and acknowledged, once more.
        self._acked = min(self._acked, self._recorded)

    def motor_on(self, pin: int) -> None:
        """A motor got current: somebody must have said so in the journal before."""
        if not self.turning and not self.testing:
            self.evidence.findings.append(f"motor pin {pin} is on and no durable record says why")
