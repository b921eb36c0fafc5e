"""A cashless device's states, set-up and exchanges whose data is owed; the money is next door.

Source: MDB/ICP 4.2, section 7.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Final

from drivers.mdb.blocks import Address
from simulator.peripherals import reader_messages as say
from simulator.peripherals.base import ACK_ONLY, Item, Peripheral, Reply, Timeline
from simulator.peripherals.layout import fixed_lengths
from simulator.peripherals.reader_settings import (
    OPTION_32_BIT,
    OPTION_ALWAYS_IDLE,
    OPTION_MULTI_CURRENCY,
    AtOnce,
    Card,
    ReaderFaults,
    ReaderSettings,
    ReaderState,
    WrongMoment,
)
from simulator.truth import Authorisation, AuthState, Truth

CASH_SALES_KEPT: Final = 1_000
"""Cash sales the reader remembers for its audit."""

AGE_TAG: Final = b"DRAVP"
AGE_AT: Final = 4  # 17 FF 05 06 age "DRAVP"
ONCE_NIBBLES: Final = frozenset({0x0, 0x1, 0x2, 0x3, 0xC})
"""MALFUNCTION / ERROR codes that are told once; the others until they are cleared."""

_DEAD_NIBBLES: Final = frozenset({0x8, 0x9, 0xA, 0xB})


class ReaderCore(Peripheral):
    """A card reader without its ledger: what `reader_vend` and `reader` build upon.

    Args:
        timeline: Physical time.
        truth: Where card payments are kept.
        settings: How it is built.
        name: "cashless1" (address 10) or "cashless2" (60).
    """

    faults: ReaderFaults
    max_poll = 35

    def __init__(
        self,
        timeline: Timeline,
        truth: Truth,
        settings: ReaderSettings | None = None,
        *,
        name: str = "cashless1",
    ) -> None:
        self.settings = settings or ReaderSettings()
        self.faults = ReaderFaults()
        address = Address.CASHLESS_1 if name == "cashless1" else Address.CASHLESS_2
        super().__init__(
            name,
            address,
            timeline,
            truth,
            self.faults,
            response_s=self.settings.response_s,
            boot_s=self.settings.boot_s,
        )
        self.state = ReaderState.INACTIVE
        self.level = 1
        """The level in use."""
        self.options = 0
        self.columns = 0
        self.rows = 0
        self.prices: tuple[int, int] | None = None
        """Highest and lowest price told, minor units."""
        self.card: Card | None = None
        self.told_of_card = False  # whether it can be refunded
        self.cash_sales: deque[tuple[int, int]] = deque(maxlen=CASH_SALES_KEPT)
        self.keys = b""
        self.age_asked = 0
        self._malfunctions: list[int] = []
        self._auth: Authorisation | None = None
        self._approval: Item | None = None
        self._deciding = False  # a card is there and the answer is on its way
        self._refunding = False
        self._negative: tuple[int, int] | None = None
        self._owed = b""  # the command whose data is still owed
        self._last_success = b""
        self._disable_later = False
        self._vended = False
        self._cancel_asked = False
        self._entry_left = 0
        self._timers: set[asyncio.TimerHandle] = set()
        self._session_timer: asyncio.TimerHandle | None = None
        self._config_told = False
        self._lengths = say.command_lengths(address, expanded=False)
        self._long_lengths = say.command_lengths(address, expanded=True)
        self._money = say.Money(self.settings, expanded=False)
        self._reset_state("power")

    @property
    def expanded(self) -> bool:
        """Tell whether the expanded currency mode is in use."""
        return bool(self.options & (OPTION_32_BIT | OPTION_MULTI_CURRENCY))

    @property
    def always_idle(self) -> bool:
        """Tell whether the always-idle mode is in use."""
        return bool(self.options & OPTION_ALWAYS_IDLE)

    @property
    def approved(self) -> bool:
        """Tell whether an approval waits for its outcome."""
        return self._auth is not None and self._auth.state is AuthState.APPROVED

    # -- the bus -----------------------------------------------------------------------------

    def length_of(self, head: bytes) -> int | None:
        """Return a block's length from its head, in the currency mode in use."""
        return fixed_lengths(head, self._long_lengths if self.expanded else self._lengths)

    def _handle(self, payload: bytes) -> Reply:
        lengths = self._long_lengths if self.expanded else self._lengths
        if len(payload) != lengths.get(payload[:1], lengths.get(payload[:2])):
            return None
        command = payload[0] & 0x07
        if command == 0x00:
            self._end_work("reset")
            self._restart("reset")
            return self._poll() if self.settings.reset_tells_at_once else ACK_ONLY
        if self._refunding:
            return None
        if command == 0x02:
            return self._answer_poll()
        if self._owed:
            repeat = self.settings.tolerates_repeats and payload == self._owed
            return ACK_ONLY if repeat else self._wrong_moment()
        return self._dispatch(command, payload)

    def _dispatch(self, command: int, payload: bytes) -> Reply:
        match command:
            case 0x01:
                return self._setup(payload)
            case 0x03:
                return self._vend(payload[1], payload)
            case 0x04:
                return self._control(payload[1], payload)
            case 0x05:
                return self._revalue(payload[1], payload[2:])
            case 0x07:
                return self._expansion(payload[1], payload)
            case _:
                return None

    def _answer_poll(self) -> Reply:
        faults = self.faults
        if faults.out_of_sequence > 0:
            faults.out_of_sequence -= 1
            self._tell(self._out_of_sequence())
        if faults.unasked_ends > 0:
            faults.unasked_ends -= 1
            self._tell(say.END_SESSION)
        if faults.malfunction >= 0 and faults.malfunction >> 4 in ONCE_NIBBLES:
            self._tell(bytes((0x0A, faults.malfunction)))
            faults.malfunction = -1
        return self._poll()

    @property
    def quiet(self) -> bool:
        """Tell whether a POLL now would bring a plain ACK and change nothing."""
        faults = self.faults
        if faults.out_of_sequence or faults.unasked_ends or faults.malfunction >= 0:
            return False
        return not self._refunding and super().quiet

    def _broken(self) -> list[int]:
        """Return the malfunctions that last."""
        code = self.faults.malfunction
        return self._malfunctions + ([code] if code >= 0 and code >> 4 not in ONCE_NIBBLES else [])

    def _conditions(self) -> tuple[int, ...]:
        if not (self._malfunctions or self._cancel_asked or self.faults.malfunction >= 0):
            return ()  # as at nearly every poll
        found: list[int] = []
        for code in self._broken():
            found += (0x0A, code)
        if self._cancel_asked and self.settings.cancel_repeats and self.state is ReaderState.IDLE:
            found += say.SESSION_CANCEL
        return tuple(found)

    def _wrong_moment(self) -> Reply:
        if self.settings.wrong_moment is WrongMoment.SILENCE:
            return None
        self._tell(self._out_of_sequence())
        return ACK_ONLY

    def _out_of_sequence(self) -> bytes:
        return bytes((0x0B, self.state)) if self.level >= 2 else b"\x0b"

    def _owe(
        self,
        command: bytes,
        what: AtOnce,
        data: Callable[[], bytes],
        seconds: float = 0.0,
        on_sent: Callable[[], None] | None = None,
    ) -> Reply:
        """Answer with data now or at a later POLL; nothing else may come before it."""
        self._owed = command

        def sent() -> None:
            self._owed = b""
            if on_sent is not None:
                on_sent()

        if seconds > 0:
            self._after(seconds, lambda: self._tell(data(), on_sent=sent))
            return ACK_ONLY
        item = self._tell(data(), on_sent=sent)
        return self._now_or_later(what, item)

    def _now_or_later(self, what: AtOnce, item: Item | None) -> Reply:
        return self._offer([item]) if item and what in self.settings.at_once else ACK_ONLY

    # -- set-up ------------------------------------------------------------------------------

    def _setup(self, payload: bytes) -> Reply:
        if self.state in (ReaderState.VEND, ReaderState.REVALUE, ReaderState.NEGATIVE_VEND):
            return self._wrong_moment()
        if payload[1] == 0x00:
            self.level = max(1, min(payload[2], self.settings.level))
            self.columns, self.rows = payload[3], payload[4]
            self._config_told = True
            return self._owe(payload, AtOnce.CONFIG, lambda: say.reader_config(self.settings))
        size = self._money.size
        self.prices = (
            self._money.minor(payload[2 : 2 + size]),
            self._money.minor(payload[2 + size : 2 + 2 * size]),
        )
        if self.state is ReaderState.INACTIVE and self._config_told:
            self.state = ReaderState.DISABLED
        return ACK_ONLY

    def _expansion(self, sub: int, payload: bytes) -> Reply:
        match sub:
            case 0x00:
                return self._owe(
                    payload, AtOnce.IDENTITY, lambda: say.peripheral_id(self.settings, self.level)
                )
            case 0x03 if self.level >= 2:
                return ACK_ONLY
            case 0xFF if self.settings.checks_age and payload.endswith(AGE_TAG):
                return self._ask_age(payload)
            case 0xFB:  # RETRY/DENY: the master wants no file
                return ACK_ONLY
            case 0x04 if self.level >= 3:
                self.options = int.from_bytes(payload[2:6], "big") & self.settings.options
                self._money = say.Money(self.settings, expanded=self.expanded)
                return ACK_ONLY
            case _:
                return None

    def _ask_age(self, payload: bytes) -> Reply:
        """Check the age on each card from now on; 0 ends that."""
        self.age_asked = payload[AGE_AT]
        if self.age_asked:
            self._tell(say.AGE_FEATURES)
            if self.card is not None:
                self._after(self.settings.age_check_s, self._tell_age, self.card)
        return ACK_ONLY

    def _tell_age(self, card: Card) -> None:
        if self.age_asked:
            known = card.age is not None
            enough = card.age is not None and card.age >= self.age_asked
            if enough:
                self._truth.note("age", f"{self.name}: a card proves {self.age_asked}")
            self._tell(say.age_result(enough=enough, known=known))
        if not card.pays and self.card is card:
            self.card = None

    def _control(self, sub: int, payload: bytes) -> Reply:
        state = self.state
        in_vend = state in (ReaderState.VEND, ReaderState.REVALUE, ReaderState.NEGATIVE_VEND)
        if state is ReaderState.INACTIVE or in_vend:
            return self._wrong_moment()
        match sub:
            case 0x00 | 0x01:
                on = sub == 0x01
                if state is ReaderState.IDLE:
                    self._disable_later = not on
                else:
                    self.state = ReaderState.ENABLED if on else ReaderState.DISABLED
                    if not on:
                        self._drop_card()
                return ACK_ONLY
            case 0x02 if state is ReaderState.ENABLED:
                self._drop_card()
                if self.faults.no_cancelled > 0:
                    self.faults.no_cancelled -= 1
                    return ACK_ONLY
                return self._owe(payload, AtOnce.CANCEL, lambda: say.CANCELLED)
            case 0x03 if self._entry_left:
                self._take_keys(payload[2:10])
                return ACK_ONLY
            case _:
                return self._wrong_moment()

    def _take_keys(self, data: bytes) -> None:
        if data == b"\xff" * 8:
            self._entry_left = 0
            return
        pressed = data.rstrip(b"\0")[: self._entry_left]
        self.keys += pressed
        self._entry_left -= len(pressed)

    # -- resets ------------------------------------------------------------------------------

    def _reset_state(self, cause: str) -> None:
        self._truth.note("reset", f"{self.name} ({cause})")
        self.state = ReaderState.INACTIVE
        self.level = 1
        self.options = 0
        self.columns = self.rows = 0
        self._config_told = False
        self.age_asked = 0
        self._money = say.Money(self.settings, expanded=False)
        self._tell(say.JUST_RESET, alone=True)

    # -- small parts -------------------------------------------------------------------------

    def _happens(self, moment: str) -> bool:
        """Let the reader die or reset at this moment, if that was asked for."""
        faults = self.faults
        if faults.dies_at == moment:
            faults.dies_at = ""
            self.mute(faults.dies_for_s)
            return True
        if faults.resets_at == moment:
            faults.resets_at = ""
            self._timeline.loop.call_soon(self.self_reset)
            return True
        return False

    def _after(self, seconds: float, callback: Callable[..., object], *args: object) -> None:
        """Call back in physical time, unless a reset comes first."""

        def due() -> None:
            self._timers.discard(timer)
            callback(*args)

        timer = self._timeline.after(seconds, due)
        self._timers.add(timer)

    def _start_session_timer(self) -> None:
        self._cancel_session_timer()
        if self.settings.session_timeout_s:
            self._session_timer = self._timeline.after(
                self.settings.session_timeout_s, self._session_timeout
            )

    def _cancel_session_timer(self) -> None:
        if self._session_timer is not None:
            self._session_timer.cancel()
            self._session_timer = None

    def _session_timeout(self) -> None:
        self._session_timer = None
        if self.state is ReaderState.IDLE:
            self._tell_cancel()

    def _drop_card(self) -> None:
        """Let go of a card whose session has not begun."""
        self._unqueue_sessions()
        self.card = None

    def _unqueue_sessions(self) -> None:
        for item in [item for item in self._queue if item.data[0] == 0x03 and not item.sent]:
            self._unqueue(item)

    def _unqueue(self, item: Item | None) -> None:
        if item is not None and item in self._queue:
            self._queue.remove(item)

    @abstractmethod
    def _vend(self, sub: int, payload: bytes) -> Reply:
        """Carry out a VEND command."""

    @abstractmethod
    def _revalue(self, sub: int, data: bytes) -> Reply:
        """Carry out a REVALUE command."""

    @property
    def _dead(self) -> bool:
        return any(code >> 4 in _DEAD_NIBBLES for code in self._broken())

    def _tell_cancel(self) -> None:
        told = self._cancel_asked and self.settings.cancel_repeats
        self._cancel_asked = True
        if not told and not self.settings.cancel_repeats:
            self._tell(say.SESSION_CANCEL)
