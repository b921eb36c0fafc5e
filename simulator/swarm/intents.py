"""The oracle of the intents: no device is told to move money before a durable record says so.

It listens at the devices themselves, to each command that they carry out, and follows the records
as they become durable. (Motors are watched at their pins: ``evidence.Watch.motor_on``.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from controller.journal import records as rec
from controller.journal.envelope import Record
from drivers.cctalk.headers import Header
from drivers.mdb.blocks import COMMAND_MASK
from simulator.peripherals.reader_settings import ReaderState
from simulator.whole import Whole

PAY_COINS: Final = ("changer", b"\x05")  # DISPENSE (MDB/ICP 4.2, section 5)
PAY_VALUE: Final = ("changer", b"\x07\x02")  # PAYOUT
PAY_BILLS: Final = ("bill", b"\x07\x06")  # DISPENSE BILL (section 6)
RETURN, STACK = ("bill", b"\x05\x00"), ("bill", b"\x05\x01")  # ESCROW
REQUEST: Final = b"\x03\x00"  # VEND REQUEST (section 7)
SUCCESS: Final = b"\x03\x02"
COMPLETE: Final = b"\x03\x04"
WITHOUT: Final = (ReaderState.ENABLED, ReaderState.DISABLED)  # a session; nor has a reset one
SOON_S: Final = 10.0  # a session that two have ended, such as a customer's key and its vend
REVALUE: Final = b"\x05\x00"
ROUTE_STACK: Final = bytes((Header.ROUTE_BILL, 1))
DISPENSE: Final = bytes((Header.DISPENSE_HOPPER_COINS,))


def _nobody(name: str, told: bytes) -> None:
    """Take what nobody listens to."""
    del name, told


class Intents:
    """Watches one machine's devices.

    Args:
        machine: The machine.
        tell: Takes what is wrong.
        sound: Tells whether what readers say arrives: one that has just reset itself, or that
            nobody hears, may have ended its session already.
        heard: Told of every command that an MDB device carries out.
    """

    def __init__(
        self,
        machine: Whole,
        tell: Callable[[str], None],
        sound: Callable[[], bool] = lambda: True,
        heard: Callable[[str, bytes], None] = _nobody,
    ) -> None:
        self._machine = machine
        self._tell = tell
        self._sound = sound
        self._heard = heard
        self._ended_s: dict[str, float] = {}  # when each reader heard that its session is over
        self._paying: set[str] = set()  # devices with a payout that has begun and not ended
        self._bill = ""  # what is to become of the bill in escrow
        self._asked: set[str] = set()  # readers with a request that has no answer on record
        self._sold: set[str] = set()  # readers that are to be told of a delivery
        self._loading: set[str] = set()  # readers that are to put money on a card, once
        self._taken: dict[type[Any], Callable[[Any], None]] = {
            rec.PayoutIntended: lambda data: self._paying.add(data.device),
            rec.PayoutFinished: lambda data: self._paying.discard(data.device),
            rec.BillEscrowed: lambda _: self._escrow(""),
            rec.StackIntended: lambda _: self._escrow("stack"),
            rec.BillReturnIntended: lambda _: self._escrow("return"),
            rec.ApprovalRequested: lambda data: self._asked.add(data.device),
            rec.ApprovalFinished: lambda data: self._asked.discard(data.device),
            rec.RevalueIntended: lambda data: self._loading.add(data.device),
            rec.RevalueFinished: lambda data: self._loading.discard(data.device),
            rec.SettleIntended: self._settles,
            rec.SettleFinished: lambda data: self._sold.discard(data.device),
        }
        for name, device in machine.world.devices.items():
            device.on_command = self._hearer(name)
        line = machine.world.cctalk
        for unit in () if line is None else line.devices:
            unit.on_command = self._line_heard

    def record(self, record: Record) -> None:
        """Take a record that is durable."""
        taken = self._taken.get(type(record.data))
        if taken is not None:
            taken(record.data)

    def _escrow(self, what: str) -> None:
        self._bill = what

    def _settles(self, data: rec.SettleIntended) -> None:
        if data.success:
            self._sold.add(data.device)

    # ----------------------------------------------------------------------------- what is heard

    def _hearer(self, name: str) -> Callable[[bytes], None]:
        reader = name.startswith("cashless")
        every = self._heard

        def heard(payload: bytes) -> None:
            every(name, payload)
            command = payload[0] & COMMAND_MASK
            if command in (3, 5, 7):  # most are polls
                told = bytes((command,)) + payload[1:2]
                self._card(name, told) if reader else self._cash(name, told)

        return heard

    def _cash(self, name: str, told: bytes) -> None:
        pays = (name, told) in (PAY_VALUE, PAY_BILLS) or (name, told[:1]) == PAY_COINS
        if pays and name not in self._paying:
            self._tell(f"{name} is told to pay, and no durable record says why")
        elif (name, told) == STACK and self._bill != "stack":
            self._tell("a bill is told to be stacked, and no durable record says why")
        elif (name, told) == RETURN and self._bill != "return":
            self._tell("a bill is told to go back, and no durable record says why")

    def _card(self, name: str, told: bytes) -> None:
        if told == REQUEST and name not in self._asked:
            self._tell(f"{name} is asked for money, and no durable record says why")
        elif told == REVALUE:
            if name not in self._loading:
                self._tell(f"{name} is told to load a card, and no durable record says why")
            self._loading.discard(name)  # a second time would load it twice
        elif told == SUCCESS and name not in self._sold:
            self._tell(f"{name} is told of a delivery, and no durable record says so")
        elif told == COMPLETE:
            self._completed(name)

    def _completed(self, name: str) -> None:
        """A session is over: it was one of this reader's, now or a moment ago."""
        now = self._machine.loop.time()
        if self._machine.world.readers[name].state not in WITHOUT:
            self._ended_s[name] = now
        elif now - self._ended_s.get(name, float("-inf")) > SOON_S and self._sound():
            self._tell(f"{name} is told that its session is over, and it is in none")

    def _line_heard(self, told: bytes) -> None:
        if told[:1] == DISPENSE and "changer" not in self._paying:
            self._tell("a hopper is told to pay, and no durable record says why")
        elif told[:2] == ROUTE_STACK and self._bill != "stack":
            self._tell("a bill is told to be stacked, and no durable record says why")
