"""A coin acceptor on ccTalk, byte for byte.

Source: ccTalk Generic Specification 4.7, parts 2 and 3 (headers 184, 210, 227-231).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from drivers.cctalk.headers import Header
from simulator.peripherals.base import Timeline
from simulator.peripherals.cctalk_base import (
    ACK,
    EVENTS_KEPT,
    CcTalkDevice,
    CcTalkFaults,
    EventLog,
    Reply,
)
from simulator.peripherals.faults import counter, switch
from simulator.truth import CASHBOX, CUSTOMER, SLOT, TRAY, Kind, Thing, Truth

WATCHDOG_S: Final = 1.0
"""Without a read of the credit buffer it takes no coins; the next read lifts that."""
DEFAULT_PATH: Final = 8
"""Of the sorter: what is full or not sorted falls past the hoppers, into the cash box."""
_POSITIONS: Final = 16
_INHIBITED: Final = 2
_REJECTED: Final = 1
_RETURN_LEVER: Final = 254
_JAM: Final = 5


@dataclass(frozen=True, slots=True)
class AcceptorSettings:
    """How an acceptor is built.

    Args:
        ids: Coin id and value in minor units, by position from 1.
        transport_s: From the slot to the credit sensor.
        knows_master: It has a master inhibit.
        dummy_event: Moves its counter to 1 by a null event after the first read.
        tells_options: It answers header 213, which is no must.
        keeps_count: It counts the coins that it took (header 225), without power as well.
        keeps_inhibits: What it may take, and where to, outlives a reset of its own.
        maker: What it answers to header 246; ALB sends that count's high byte first.
    """

    ids: Mapping[int, tuple[str, int]] = field(
        default_factory=lambda: {
            1: ("EU005A", 5),
            2: ("EU010A", 10),
            3: ("EU020A", 20),
            4: ("EU050A", 50),
            5: ("EU100A", 100),
            6: ("EU200A", 200),
            7: ("TK830A", 0),
        }
    )
    transport_s: float = 0.3
    knows_master: bool = True
    dummy_event: bool = False
    tells_options: bool = True
    keeps_count: bool = True
    keeps_inhibits: bool = False
    maker: str = "SIM"


@dataclass(slots=True)
class AcceptorFaults(CcTalkFaults):
    """What can go wrong with an acceptor."""

    coin_jam: bool = switch("coins stick between slot and sensor")
    swallowed: int = counter("the next N coins fall into the cash box without credit")


_UNTOLD: Final = 32  # coins that are remembered, should nobody ever say that they are on record


@dataclass(slots=True)
class _Coin:
    """A coin that was taken, and that no record tells of yet.

    Args:
        value: Its worth.
        event: The number of its event, counted for ever.
        read: Somebody who lives has read it.
    """

    value: int
    event: int
    read: bool = False


class SimCoinAcceptor(CcTalkDevice):
    """One coin acceptor with its sorter.

    Args:
        timeline: Physical time.
        truth: Where coins are.
        settings: How it is built.
        paths: The truth's place at the end of each sorter path; others end in the cash box.
        address: Usually 2.
    """

    faults: AcceptorFaults

    def __init__(
        self,
        timeline: Timeline,
        truth: Truth,
        settings: AcceptorSettings | None = None,
        *,
        paths: Mapping[int, str] | None = None,
        address: int = 2,
    ) -> None:
        self.settings = settings or AcceptorSettings()
        self.faults = AcceptorFaults()
        super().__init__(
            "acceptor", address, "Coin Acceptor", timeline, truth, self.faults, model="SIM-COIN"
        )
        self.paths = dict(paths or {})
        self._identity[Header.REQUEST_MANUFACTURER_ID] = self.settings.maker.encode()
        self.log = EventLog()
        self.accepted = 0
        self.master = True
        self.routes: dict[int, int] = {}
        self.override = 0xFF  # a path whose bit is 0 is full: its coins take the default one
        self.taken = 0
        """Coins ever taken; kept without power."""
        self.on_forgotten: Callable[[int], None] | None = None
        """Told of the worth of coins whose events went unread: by its reset, or behind others."""
        self._untold: list[_Coin] = []
        self._happened = 0  # events ever
        self._anew = False  # reset since its events were read last
        self._rolling: list[Thing] = []
        self._generation = 0
        self._read_at = float("-inf")
        self._dummy_due = False
        self._reset_state()

    @property
    def quiet(self) -> bool:
        """Tell whether no coin is on its way."""
        return not self._rolling

    @property
    def listening(self) -> bool:
        """Tell whether somebody reads the credit buffer."""
        return self._timeline.now() - self._read_at <= WATCHDOG_S

    @property
    def told_all(self) -> bool:
        """Tell whether every event has been read."""
        return self.log.told or not self.powered

    @property
    def noted(self) -> bool:
        """Tell whether its reader has every coin on record that it can tell of."""
        return not self._untold

    def _handle(self, header: int, data: bytes) -> Reply:
        match header:
            case Header.READ_BUFFERED_CREDIT:
                self._read_at = self._timeline.now()
                last, answer = self._told, self.log.read()
                if self._anew and answer == last:
                    # As many of the same coins came since a reset as had come before: nobody can
                    # tell them from those.
                    self._forget(self._untold)
                self._told, self._anew = answer, False
                for coin in self._untold:
                    coin.read = True
                if self._dummy_due:
                    self._dummy_due = False
                    self.log.add(0, 0)
                return answer
            case Header.REQUEST_INHIBIT_STATUS:
                return self.accepted.to_bytes(2, "little")
            case Header.REQUEST_COIN_ID if data and 1 <= data[0] <= _POSITIONS:
                return self.settings.ids.get(data[0], ("......", 0))[0].encode()
            case Header.REQUEST_ACCEPT_COUNTER if self.settings.keeps_count:
                return self.taken.to_bytes(3, "big" if self.settings.maker == "ALB" else "little")
            case Header.REQUEST_POLLING_PRIORITY:
                return bytes((2, 20))
            case Header.PERFORM_SELF_CHECK:
                return b"\0"
            case Header.REQUEST_DEFAULT_SORTER_PATH:
                return bytes((DEFAULT_PATH,))
            case Header.REQUEST_OPTION_FLAGS if self.settings.tells_options:
                return b"\0"
            case _:
                return self._set(header, data)

    def polled(self, at: float) -> None:
        """Note that somebody reads the credit buffer."""
        self._read_at = at

    def _events(self) -> bytes:
        return self.log.answer

    def _set(self, header: int, data: bytes) -> Reply:
        match header:
            case Header.MODIFY_INHIBIT_STATUS:
                self.accepted = int.from_bytes(data, "little")
            case Header.MODIFY_MASTER_INHIBIT if self.settings.knows_master:
                self.master = bool(data[0] & 1)
            case Header.MODIFY_SORTER_PATHS:
                self.routes[data[0]] = data[1]
            case Header.MODIFY_SORTER_OVERRIDE:
                self.override = data[0]
            case _:
                return None
        return ACK

    # -- coins -------------------------------------------------------------------------------

    def insert_coin(self, value: int, *, name: str = "") -> None:
        """Put a coin into the slot."""
        thing = Thing(Kind.COIN, value, name)
        self._truth.move(thing, CUSTOMER, SLOT)
        if not self.powered:
            self._truth.move(thing, SLOT, TRAY, why="no power")
            return
        self._rolling.append(thing)
        self._timeline.after(self.settings.transport_s, self._arrive, thing, self._generation)

    def has_counted(self, events: int) -> None:
        """Have told somebody else of so many events, the last five of them coins that it took."""
        self.log.counter = events - EVENTS_KEPT
        self.taken = events
        for position in range(1, EVENTS_KEPT + 1):
            self.log.add(position, 0)
        self.log.read()

    def press_lever(self) -> None:
        """Open the coin return."""
        if self.powered:
            self._event(0, _RETURN_LEVER)

    def clear_jam(self) -> None:
        """Give jammed coins back."""
        self.faults.coin_jam = False
        for thing, count in self._truth.things(SLOT).items():
            self._truth.move(thing, SLOT, TRAY, count, why="jam cleared")

    def _arrive(self, thing: Thing, generation: int) -> None:
        if generation != self._generation:
            return
        self._rolling.remove(thing)
        position = self._position_of(thing)
        if self.faults.coin_jam:
            self._event(0, _JAM)
        elif position is None:
            self._truth.move(thing, SLOT, TRAY, why="unknown")
            self._event(0, _REJECTED)
        elif not self.accepted >> position - 1 & 1 or not self.master:
            self._truth.move(thing, SLOT, TRAY, why="inhibited")
            self._event(0, _INHIBITED)
        elif not self.listening:
            self._truth.move(thing, SLOT, TRAY, why="nobody reads")
        elif self.faults.swallowed > 0:
            self.faults.swallowed -= 1
            self._truth.move(thing, SLOT, CASHBOX, why="swallowed")
            self._event(0, 36)
        else:
            path = self.routes.get(position, 0)
            if path and not self.override >> path - 1 & 1:
                path = DEFAULT_PATH
            self._truth.move(thing, SLOT, self.paths.get(path, CASHBOX))
            self.taken += 1
            if not self.faults.frozen:
                self._event(position, path, thing.value)

    def _event(self, first: int, second: int, value: int = 0) -> None:
        """Note an event; the sixth that nobody has read pushes the first one out."""
        self._happened += 1
        self._forget([coin for coin in self._untold if not coin.read and self._is_gone(coin)])
        if value:
            self._untold = [*self._untold[-_UNTOLD:], _Coin(value, self._happened)]
        self.log.add(first, second)

    def _is_gone(self, coin: _Coin) -> bool:
        return coin.event <= self._happened - EVENTS_KEPT

    def _forget(self, coins: list[_Coin]) -> None:
        worth = sum(coin.value for coin in coins)
        self._untold = [coin for coin in self._untold if coin not in coins]
        if worth and self.on_forgotten is not None:
            self.on_forgotten(worth)

    def written_down(self, coins: int) -> None:
        """Its reader has so many more coins on record."""
        del self._untold[:coins]

    def reader_died(self) -> None:
        """What was read and is on no record has to be read once more, if it can be."""
        for coin in self._untold:
            coin.read = False
        self._forget([coin for coin in self._untold if self._is_gone(coin)])

    def _position_of(self, thing: Thing) -> int | None:
        for position, (text, value) in self.settings.ids.items():
            token = text.startswith("TK")
            if (token and thing.name == "token") or (
                not token and not thing.name and thing.value == value
            ):
                return position
        return None

    # -- resets ------------------------------------------------------------------------------

    def self_reset(self) -> None:
        """Reset by itself, at any moment: what nobody has read yet is forgotten."""
        if self.powered:
            self._forget([coin for coin in self._untold if not coin.read])
            self._anew = True
        kept, routes, override = self.accepted, self.routes, self.override
        super().self_reset()
        if self.powered and self.settings.keeps_inhibits:
            self.accepted, self.routes, self.override = kept, routes, override
            self._read_at = self._timeline.now()

    def _reset_state(self) -> None:
        self.log.clear()
        self._untold = [coin for coin in self._untold if coin.read]
        self._happened += EVENTS_KEPT  # which none of them outlives
        self.accepted = 0
        self.master = True
        self.routes, self.override = {}, 0xFF
        self._read_at = float("-inf")
        self._dummy_due = self.settings.dummy_event

    def _end_work(self) -> None:
        self._give_back("reset")

    def _lose_power(self) -> None:
        self._untold.clear()
        self._give_back("no power")

    def _power_returned(self) -> None:
        """Nothing is left inside: without power the gate stands open."""

    def _give_back(self, why: str) -> None:
        """The gate falls open to the tray."""
        self._generation += 1
        for thing in self._rolling:
            self._truth.move(thing, SLOT, TRAY, why=why)
        self._rolling.clear()

    def to_state(self) -> dict[str, Any]:
        """Return what outlives a loss of power."""
        return {**super().to_state(), "taken": self.taken}

    def from_state(self, state: Mapping[str, Any]) -> None:
        """Become what `to_state` returned."""
        self.taken = int(state.get("taken", 0))
        super().from_state(state)
