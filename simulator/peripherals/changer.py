"""A coin changer of level 2 or 3, byte for byte.

Source: MDB/ICP 4.2, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from drivers.mdb.blocks import Address
from drivers.mdb.changer_codec import ChangerStatus, CoinRoute
from simulator.peripherals.base import ACK_ONLY, Peripheral, Reply, Timeline
from simulator.peripherals.changer_payout import MAX_COUNT, Payout, Tubes, coin_thing
from simulator.peripherals.changer_settings import (
    OPTION_ALTERNATIVE_PAYOUT,
    OPTION_DIAGNOSTICS,
    OPTION_MANUAL_FILL,
    BusyStyle,
    ChangerFaults,
    ChangerSettings,
)
from simulator.peripherals.changer_slot import CoinPath
from simulator.peripherals.layout import fixed_lengths, identification
from simulator.truth import CASHBOX, SLOT, TECHNICIAN, TRAY, Kind, Thing, Truth, tube

_SILENT_AT_MOST_S: Final = 1.5
"""A changer that is silent while it pays still answers within its 2 s non-response time."""

_ALL_TYPES: Final = 0xFFFF
_LENGTHS: Final[Mapping[bytes, int]] = {
    b"\x08": 1, b"\x09": 1, b"\x0a": 1, b"\x0b": 1, b"\x0c": 5, b"\x0d": 2,
    b"\x0f\x00": 2, b"\x0f\x01": 6, b"\x0f\x02": 3, b"\x0f\x03": 2, b"\x0f\x04": 2,
    b"\x0f\x05": 2, b"\x0f\x06": 2, b"\x0f\x07": 2,
    b"\x0f\xfa": 7, b"\x0f\xfb": 5, b"\x0f\xfd": 4, b"\x0f\xfe": 7,
}  # fmt: skip


class SimChanger(Peripheral):
    """A changer with its tubes, its cash box chute and its lever.

    Args:
        timeline: Physical time.
        truth: Where coins are; the tubes are filled from `settings` once, here.
        settings: How it is built.
    """

    faults: ChangerFaults

    def __init__(
        self,
        timeline: Timeline,
        truth: Truth,
        settings: ChangerSettings | None = None,
    ) -> None:
        self.settings = settings or ChangerSettings()
        self.faults = ChangerFaults()
        super().__init__(
            "changer",
            Address.CHANGER,
            timeline,
            truth,
            self.faults,
            response_s=self.settings.response_s,
            boot_s=self.settings.boot_s,
        )
        self.tubes = Tubes(self.settings, self.faults, truth)
        self.accepted = 0
        """Mask of the coin types that are accepted."""
        self.manual = 0
        self.options = 0
        self.lever_held = False
        self.fill_mode = False
        self._fill_report: dict[int, int] = {}
        self._takeout_report: dict[int, int] = {}
        self._busy_until = 0.0
        self._answered_at = 0.0
        self._payout = Payout(
            self.settings,
            self.faults,
            self.tubes,
            timeline,
            ended=self._payout_ended,
            reset=self.self_reset,
        )
        self._path = CoinPath(self.settings, self.faults, self.tubes, timeline, truth, self)
        for kind, coin in enumerate(self.settings.coin_table()):
            if coin.coins:
                truth.move(coin_thing(coin), TECHNICIAN, tube(kind), coin.coins, why="first fill")
        self._reset_state("power")

    @property
    def paying(self) -> bool:
        """Tell whether coins are being paid out."""
        return self._payout.running

    # -- the bus -----------------------------------------------------------------------------

    def length_of(self, head: bytes) -> int | None:
        """Return a block's length from its head."""
        return fixed_lengths(head, _LENGTHS)

    def _handle(self, payload: bytes) -> Reply:
        command = payload[0]
        if len(payload) != _LENGTHS.get(payload[:1], _LENGTHS.get(payload[:2])):
            return None
        match command:
            case 0x08:
                self._end_work("reset")
                self._restart("reset")
                return ACK_ONLY
            case 0x09:
                return self._setup()
            case 0x0A:
                return self._tube_status()
            case 0x0B:
                return self._answer_poll()
            case 0x0C:
                self.accepted = int.from_bytes(payload[1:3], "big")
                self.manual = int.from_bytes(payload[3:5], "big")
                return ACK_ONLY
            case 0x0D:
                return self._dispense(payload[1] & 0x0F, payload[1] >> 4)
            case _:
                return self._expansion(payload[1], payload[2:]) if self._level3 else None

    @property
    def _level3(self) -> bool:
        return self.settings.level >= 3

    def _answer_poll(self) -> Reply:
        now = self._timeline.now()
        if (
            self._payout.running
            and self.settings.busy is BusyStyle.SILENCE
            and now - self._answered_at < _SILENT_AT_MOST_S
        ):
            return None
        self._answered_at = now
        return self._poll()

    def _conditions(self) -> tuple[int, ...]:
        found: list[int] = []
        if self._payout.running and self.settings.busy is not BusyStyle.NEVER:
            found.append(ChangerStatus.PAYOUT_BUSY)
        if self._now() < self._busy_until:
            found.append(ChangerStatus.CHANGER_BUSY)
        if self.faults.acceptor_unplugged:
            found.append(ChangerStatus.ACCEPTOR_UNPLUGGED)
        if self.lever_held and self.settings.lever_repeats:
            found.append(ChangerStatus.ESCROW_REQUEST)
        return tuple(found)

    def _setup(self) -> bytes:
        settings = self.settings
        routing = sum(1 << kind for kind in self.tubes.types())
        values = [settings.scaled(coin) for coin in self.tubes.coins]
        values += [0] * (settings.setup_values - len(values))
        return (
            bytes((settings.level,))
            + settings.currency.to_bytes(2, "big")
            + bytes((settings.scaling, settings.decimals))
            + routing.to_bytes(2, "big")
            + bytes(values)
        )

    def _tube_status(self) -> bytes:
        full = self.settings.full_without_tube
        for kind in self.tubes.types():
            if self.faults.defective.get(kind) or self.tubes.is_full(kind):
                full |= 1 << kind
        return full.to_bytes(2, "big") + self._per_type(
            {kind: self.tubes.told(kind) for kind in self.tubes.types()}
        )

    def _per_type(self, counts: Mapping[int, int]) -> bytes:
        """Lay counts out by type, up to the last type that has a tube."""
        size = 1 + max(self.tubes.types(), default=-1)
        return bytes(min(MAX_COUNT, max(0, counts.get(kind, 0))) for kind in range(size))

    def _dispense(self, kind: int, count: int) -> Reply:
        if self._payout.ordered:
            return None
        self._begin_payout([kind] * count if self.tubes.has_tube(kind) else [], remembered=False)
        return ACK_ONLY

    def _begin_payout(self, coins: list[int], *, remembered: bool) -> None:
        self._busy_until = self._timeline.now() + self.faults.busy_s
        self._answered_at = self._timeline.now()
        self._payout.begin(coins, remembered=remembered)

    def _expansion(self, sub: int, data: bytes) -> Reply:
        settings = self.settings
        match sub:
            case 0x00:
                return identification(settings) + settings.options.to_bytes(4, "big")
            case 0x01:
                self.options = int.from_bytes(data, "big") & settings.options
                return ACK_ONLY
            case 0x02 | 0x03 | 0x04 if self.options & OPTION_ALTERNATIVE_PAYOUT:
                return self._alternative_payout(sub, data)
            case 0x05 if self.options & OPTION_DIAGNOSTICS:
                return b"".join(bytes(pair) for pair in self._diagnostics())
            case 0x06 if self.options & OPTION_MANUAL_FILL:
                return self._report(self._fill_report)
            case 0x07 if self.options & OPTION_MANUAL_FILL:
                return self._report(self._takeout_report)
            case 0xFB:  # RETRY/DENY: the master wants no file
                return ACK_ONLY
            case _:
                return None

    def _alternative_payout(self, sub: int, data: bytes) -> Reply:
        payout = self._payout
        if sub == 0x02:
            if payout.ordered:
                return None
            self._begin_payout(payout.plan_value(data[0]), remembered=True)
            return ACK_ONLY
        if sub == 0x03:
            if payout.running:
                return ACK_ONLY
            self._on_ack = payout.forget
            told = {
                kind: payout.paid.get(kind, 0) + self.faults.status_error.get(kind, 0)
                for kind in self.tubes.types()
            }
            return self._per_type(told) if any(told.values()) else b"\x00"
        if self.faults.value_poll_stuck:
            return b"\x02"
        if not payout.running:
            return ACK_ONLY
        units = min(MAX_COUNT, payout.units_since_poll)

        def heard() -> None:
            payout.units_since_poll -= units

        self._on_ack = heard
        return bytes((units,))

    def _report(self, counts: dict[int, int]) -> bytes:
        self._on_ack = counts.clear
        return self._per_type(counts)

    def _diagnostics(self) -> list[tuple[int, int]]:
        faults = self.faults
        found: list[tuple[int, int]] = []
        if self.fill_mode:
            found.append((0x05, 0x10))
        if faults.coin_jam:
            found.append((0x11, 0x30))
        if faults.acceptor_unplugged:
            found.append((0x11, 0x00))
        if any(faults.defective.values()):
            found.append((0x15, 0x00))
        if not self.accepted:
            found.append((0x06, 0x00))
        if faults.diagnostic:
            found.append((faults.diagnostic >> 8, faults.diagnostic & 0xFF))
        return found or [(0x03, 0x00)]

    # -- resets ------------------------------------------------------------------------------

    def _reset_state(self, cause: str) -> None:
        self._truth.note("reset", f"changer ({cause})")
        self.accepted = 0
        self.manual = _ALL_TYPES
        self.options = 0
        self._busy_until = 0.0
        self._tell(bytes((ChangerStatus.JUST_RESET,)))
        if self.faults.rom_error:
            self._tell(bytes((ChangerStatus.ROM_CHECKSUM,)))

    def _end_work(self, cause: str) -> None:
        if self._payout.running:
            self._truth.note("changer", f"payout aborted ({cause})")
        self._payout.abort()

    def _lose_power(self) -> None:
        self._end_work("power")
        self._path.lose_power()

    def _payout_ended(self, jammed: int | None) -> None:
        if jammed is not None:
            self.faults.defective[jammed] = 1
            self.tell_status(ChangerStatus.TUBE_JAM)

    # -- what the coin path asks and tells ---------------------------------------------------

    @property
    def alive(self) -> bool:
        """Tell whether the acceptor works at all."""
        return self.powered and not self.faults.acceptor_unplugged

    def has_room(self, size: int) -> bool:
        """Tell whether an item of so many bytes still fits into one POLL answer."""
        return self._pending_bytes() + size <= self.max_poll

    def tell_status(self, status: ChangerStatus) -> None:
        """Queue a one-time status; dropped when sixteen bytes wait already."""
        if self.powered and self.has_room(1):
            self._tell(bytes((status,)))

    def tell_coin(self, route: CoinRoute, kind: int) -> None:
        """Queue a deposited coin, with the count of its tube now."""
        count = self.tubes.told(kind) if self.tubes.has_tube(kind) else 0
        self._tell(bytes((0x40 | route << 4 | kind, count)))

    def tell_slug(self) -> None:
        """Count a slug, in the item that still waits if there is one."""
        for item in self._queue:
            if not item.sent and item.data[0] >> 5 == 1 and item.data[0] < 0x3F:
                item.data = bytes((item.data[0] + 1,))
                return
        if self.has_room(1):
            self._tell(b"\x21")

    # -- the customer ------------------------------------------------------------------------

    def insert_coin(self, value: int, *, name: str = "", coin_type: int | None = None) -> None:
        """Let the customer put a coin in; it is sorted after the transport time.

        Args:
            value: Face value in minor units; one that no type has comes back.
            name: "token" for a token, "slug" for a worthless disc.
            coin_type: Which of two types of one value it is.
        """
        self._path.insert(Thing(Kind.COIN, value, name), coin_type)

    def press_lever(self) -> None:
        """Press the coin return lever once."""
        self.tell_status(ChangerStatus.ESCROW_REQUEST)

    def steal_credited_coin(self, value: int) -> None:
        """Pull a credited coin out of the cash box on a string (0D)."""
        self._truth.move(Thing(Kind.COIN, value), CASHBOX, TRAY, why="fraud")
        self.tell_status(ChangerStatus.CREDITED_COIN_REMOVED)

    # -- the technician ----------------------------------------------------------------------

    def fill_tube(self, coin_type: int, count: int, *, counted: bool = True) -> None:
        """Put coins into a tube by hand; without `counted` the changer does not see it."""
        thing = coin_thing(self.tubes.coins[coin_type])
        self._truth.move(thing, TECHNICIAN, tube(coin_type), count, why="fill")
        if not counted:
            self.tubes.miscount(coin_type, -count)
        if self.fill_mode:
            self._fill_report[coin_type] = self._fill_report.get(coin_type, 0) + count

    def empty_tube(self, coin_type: int, count: int, *, counted: bool = True) -> None:
        """Take coins out of a tube by hand, past the switches."""
        thing = coin_thing(self.tubes.coins[coin_type])
        self._truth.move(thing, tube(coin_type), TECHNICIAN, count, why="taken out")
        if not counted:
            self.tubes.miscount(coin_type, count)
        if self.fill_mode:
            self._takeout_report[coin_type] = self._takeout_report.get(coin_type, 0) + count

    def press_switch(self, coin_type: int, count: int = 1) -> int:
        """Let coins out by the changer's own switch (1-7); return how many came."""
        if not self.powered or not self.manual >> coin_type & 1 or self._payout.running:
            return 0
        out = 0
        while out < min(count, 7) and self.tubes.take(coin_type, TECHNICIAN, "switch"):
            out += 1
        if out and self.has_room(2):
            self._tell(bytes((0x80 | out << 4 | coin_type, self.tubes.told(coin_type))))
        return out

    def break_tube_sensor(self, coin_type: int) -> None:
        """Make a tube's sensor defective (04 once, then full and empty at once)."""
        self.faults.defective[coin_type] = 1
        self.tell_status(ChangerStatus.TUBE_SENSOR)

    def mend_tube(self, coin_type: int) -> None:
        """Clear a jam or a defective sensor."""
        self.faults.defective.pop(coin_type, None)

    def clear_coin_jam(self) -> None:
        """Take the jammed coin out and give it back."""
        self._path.clear_jam()

    def end_fill_mode(self) -> None:
        """End the controlled manual mode; the reports stay until they are read."""
        self.fill_mode = False

    def to_state(self) -> dict[str, Any]:
        """Return faults and reports; the coins are in the truth."""
        return {
            **super().to_state(),
            "fill": {str(kind): count for kind, count in self._fill_report.items()},
            "takeout": {str(kind): count for kind, count in self._takeout_report.items()},
        }

    def from_state(self, state: Mapping[str, Any]) -> None:
        """Become what `to_state` returned, as after power-up."""
        self._fill_report = {int(kind): count for kind, count in state["fill"].items()}
        self._takeout_report = {int(kind): count for kind, count in state["takeout"].items()}
        self._lose_power()
        if not state["faults"].get("coin_jam"):
            self._truth.empty(SLOT, TRAY, why="no power")
        super().from_state(state)
