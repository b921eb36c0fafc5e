"""A cashless device of level 1 to 3, classic or always idle, byte for byte.

The money: an approved request has been taken from the medium. It is the customer's loss until
VEND FAILURE brings it back, and every reset, break or loss of power makes it final.

Source: MDB/ICP 4.2, section 7.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from drivers.mdb.blocks import Address
from simulator.peripherals import reader_messages as say
from simulator.peripherals.base import ACK_ONLY, Item, Peripheral, Reply, Timeline
from simulator.peripherals.layout import fixed_lengths
from simulator.peripherals.reader_settings import (
    OPTION_32_BIT,
    OPTION_ALWAYS_IDLE,
    OPTION_DATA_ENTRY,
    OPTION_MULTI_CURRENCY,
    OPTION_NEGATIVE_VEND,
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

_REFUND_ERROR: Final = 0xC1
_ONCE_NIBBLES: Final = frozenset({0x0, 0x1, 0x2, 0x3, 0xC})
_DEAD_NIBBLES: Final = frozenset({0x8, 0x9, 0xA, 0xB})


class SimReader(Peripheral):
    """A card reader and its ledger.

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
        self.cash_sales: deque[tuple[int, int]] = deque(maxlen=CASH_SALES_KEPT)
        self.keys = b""
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
        return self._poll()

    def _conditions(self) -> tuple[int, ...]:
        found: list[int] = []
        for code in self._malfunctions:
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
            case 0x04 if self.level >= 3:
                self.options = int.from_bytes(payload[2:6], "big") & self.settings.options
                self._money = say.Money(self.settings, expanded=self.expanded)
                return ACK_ONLY
            case _:
                return None

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
                return self._owe(payload, AtOnce.CANCEL, lambda: say.CANCELLED)
            case 0x03 if self._entry_left:
                self._take_keys(payload[2:10])
                return ACK_ONLY
            case _:
                return self._wrong_moment()

    # -- vends -------------------------------------------------------------------------------

    def _vend(self, sub: int, payload: bytes) -> Reply:
        size = self._money.size
        match sub:
            case 0x00:
                price = self._money.minor(payload[2 : 2 + size])
                return self._request(price, _item(payload[2 + size :]))
            case 0x01:
                return self._cancel_request()
            case 0x02:
                return self._success(payload)
            case 0x03:
                return self._failure()
            case 0x04:
                return self._complete(payload)
            case 0x05 if self.settings.cash_sale:
                if self.state is ReaderState.INACTIVE or self.approved:
                    return self._wrong_moment()
                price = self._money.minor(payload[2 : 2 + size])
                self.cash_sales.append((price, _item(payload[2 + size :])))
                return ACK_ONLY
            case 0x06 if self.options & OPTION_NEGATIVE_VEND:
                return self._negative_request(payload)
            case _:
                return None

    def _may_request(self) -> bool:
        return self.state is ReaderState.IDLE or (
            self.state is ReaderState.ENABLED and self.always_idle
        )

    def _request(self, price: int, item: int) -> Reply:
        if self.state is ReaderState.VEND and not self.approved and self._auth is not None:
            same = (self._auth.requested, self._auth.item) == (price, item)
            if self.settings.tolerates_repeats and same:
                return ACK_ONLY
        if not self._may_request():
            return self._wrong_moment()
        card = self.card
        self._cancel_session_timer()
        self._unqueue_sessions()
        self.state = ReaderState.VEND
        self._auth = self._truth.request_card(self.name, card.name if card else "", price, item)
        self._happens("request")
        if self.faults.no_answers > 0:
            self.faults.no_answers -= 1
            return ACK_ONLY
        if card is None:
            self._after(self.settings.card_wait_s, self._no_card, self._auth)
            return ACK_ONLY
        return self._think()

    def _think(self) -> Reply:
        """Decide about a request, now or after the approval time."""
        self._deciding = True
        seconds = self.settings.approve_s + self.faults.extra_approve_s
        if seconds > 0:
            self._after(seconds, self._decide, self._auth)
            return ACK_ONLY
        return self._now_or_later(AtOnce.VEND, self._decide(self._auth))

    def _decide(self, auth: Authorisation | None) -> Item | None:
        if auth is None or auth is not self._auth or auth.state is not AuthState.REQUESTED:
            return None
        self._deciding = False
        card = self.card
        if card is None:
            return self._deny("no card")
        amount = auth.requested - auth.requested * card.discount_percent // 100
        if self.faults.declines > 0:
            self.faults.declines -= 1
            return self._deny("declined")
        if card.decline or self._dead or (self._vended and not self.settings.multivend):
            return self._deny("declined")
        if card.balance is not None and card.balance < amount:
            return self._deny("funds")
        if card.balance is not None:
            card.balance -= amount
        self._truth.set_card(auth, AuthState.APPROVED, "approved", amount=amount)
        told = self._money.unknown() if card.token else self._money.wire(amount)
        self._approval = self._tell(b"\x05" + told, on_sent=self._approval_told)
        if self.settings.approval_timeout_s:
            self._after(self.settings.approval_timeout_s, self._approval_timeout, auth)
        return self._approval

    def _approval_told(self) -> None:
        self._happens("approval")

    def _deny(self, why: str) -> Item:
        if self._auth is not None and self._auth.state is AuthState.REQUESTED:
            ended = AuthState.CANCELLED if why in ("cancelled", "no card") else AuthState.DECLINED
            self._truth.set_card(self._auth, ended, why)
        self._auth = None
        self._deciding = False
        return self._tell(say.VEND_DENIED, on_sent=self._back_to_idle)

    def _no_card(self, auth: Authorisation) -> None:
        if auth is self._auth and self.card is None and auth.state is AuthState.REQUESTED:
            self._deny("no card")

    def _cancel_request(self) -> Reply:
        if self.state is not ReaderState.VEND:
            return self._wrong_moment()
        if self._approval is not None and self._approval.sent:
            return self._wrong_moment()
        if self.approved:  # decided, but not told yet: take it back
            self._give_back("cancelled before it was told")
        elif self._auth is None:
            return ACK_ONLY  # denied meanwhile, 06 is on its way
        return self._now_or_later(AtOnce.VEND, self._deny("cancelled"))

    def _success(self, payload: bytes) -> Reply:
        if self._happens("success"):
            return None
        if self.state is ReaderState.NEGATIVE_VEND and self._negative is not None:
            return self._negative_success(payload)
        told = self._approval is not None and self._approval.sent
        if self.state is ReaderState.VEND and self.approved and told:
            assert self._auth is not None
            self._truth.set_card(self._auth, AuthState.CAPTURED, "success")
            self._close_vend(payload)
            return ACK_ONLY
        repeat = payload == self._last_success and self.state is ReaderState.IDLE
        if repeat and self.settings.tolerates_repeats:
            return ACK_ONLY
        return self._wrong_moment()

    def _failure(self) -> Reply:
        if self._happens("failure"):
            return None
        if self.state is ReaderState.NEGATIVE_VEND and self._negative is not None:
            self._close_vend(b"")
            return ACK_ONLY
        told = self._approval is not None and self._approval.sent
        if self.state is not ReaderState.VEND or not self.approved or not told:
            return self._wrong_moment()
        self._refunding = True
        if self.faults.refund.startswith("silent"):
            return ACK_ONLY
        self._unqueue(self._approval)
        if self.settings.refund_s > 0:
            self._after(self.settings.refund_s, self._refund_done, self._auth)
        else:
            self._refund_done(self._auth)
        return ACK_ONLY

    def _refund_done(self, auth: Authorisation | None) -> None:
        if auth is None or auth is not self._auth or not self.approved:
            return
        self._refunding = False
        card = self.card
        can = self.settings.can_refund and (card is None or card.refundable)
        if self.faults.refund == "error":
            self._truth.set_card(auth, AuthState.CAPTURED, "refund error")
            if self.level >= 2:
                self._tell(bytes((0x0A, _REFUND_ERROR)))
        elif can:
            self._give_back("vend failure")
        else:
            self._truth.set_card(auth, AuthState.CAPTURED, "cannot refund")
        self._close_vend(b"")

    def _give_back(self, why: str) -> None:
        """Put an approved amount back on the medium."""
        auth = self._auth
        assert auth is not None
        self._truth.set_card(auth, AuthState.REFUNDED, why)
        if self.card is not None and self.card.balance is not None:
            self.card.balance += auth.amount
        self._unqueue(self._approval)
        self._approval = None

    def _approval_timeout(self, auth: Authorisation) -> None:
        """Take an approval back that got no outcome; a late SUCCESS is heard and not charged."""
        if auth is self._auth and self.approved and not self._refunding:
            self._give_back("no outcome in time")
            self._last_success = bytes((self.address | 0x03, 0x02)) + auth.item.to_bytes(2, "big")
            self._auth = None
            self._back_to_idle()

    def _close_vend(self, success: bytes) -> None:
        self._unqueue(self._approval)
        self._approval = None
        self._auth = None
        self._negative = None
        self._last_success = success
        self._vended = True
        self._back_to_idle()

    def _back_to_idle(self) -> None:
        if self.state not in (ReaderState.VEND, ReaderState.REVALUE, ReaderState.NEGATIVE_VEND):
            return
        self.state = ReaderState.IDLE
        self._refunding = False
        self._start_session_timer()
        if self._cancel_asked:
            self._tell_cancel()

    def _complete(self, payload: bytes) -> Reply:
        if self._happens("complete"):
            return None
        state = self.state
        if state is ReaderState.VEND and self.approved and self.settings.complete_cancels:
            self._give_back("session complete")
            self._auth = None
            state = self.state = ReaderState.IDLE
        if state is not ReaderState.IDLE:
            repeat = state in (ReaderState.ENABLED, ReaderState.DISABLED)
            if repeat and self.settings.tolerates_repeats:
                return ACK_ONLY
            return self._wrong_moment()
        self._cancel_session_timer()
        if self.faults.no_end > 0:
            self.faults.no_end -= 1
            return ACK_ONLY
        return self._owe(
            payload,
            AtOnce.END,
            lambda: say.END_SESSION,
            self.settings.session_end_s,
            self._session_ended,
        )

    def _session_ended(self) -> None:
        self.state = ReaderState.DISABLED if self._disable_later else ReaderState.ENABLED
        self._disable_later = False
        self._cancel_asked = False
        self._vended = False
        self._last_success = b""
        self.card = None

    # -- the other ways of money -------------------------------------------------------------

    def _negative_request(self, payload: bytes) -> Reply:
        if not self._may_request():
            return self._wrong_moment()
        size = self._money.size
        self._cancel_session_timer()
        self._unqueue_sessions()
        self.state = ReaderState.NEGATIVE_VEND
        if self.card is None or self.card.decline:
            self._tell(say.VEND_DENIED, on_sent=self._back_to_idle)
            return ACK_ONLY
        value = self._money.minor(payload[2 : 2 + size])
        self._negative = (value, _item(payload[2 + size :]))
        self._tell(b"\x05" + self._money.wire(value))
        return ACK_ONLY

    def _negative_success(self, payload: bytes) -> Reply:
        assert self._negative is not None
        self._put_on_card(self._negative[0], "negative vend")
        self._close_vend(payload)
        return ACK_ONLY

    def _revalue(self, sub: int, data: bytes) -> Reply:
        if self.level < 2:
            return None
        if self.state is not ReaderState.IDLE:
            return self._wrong_moment()
        limit = self.settings.revalue_limit
        if sub == 0x01:
            answer = b"\x0f" + self._money.wire(limit) if limit else say.REVALUE_DENIED
            item = self._tell(answer)
        else:
            value = self._money.minor(data)
            self.state = ReaderState.REVALUE
            if 0 < value <= limit:
                self._put_on_card(value, "revalue")
                item = self._tell(say.REVALUE_APPROVED, on_sent=self._back_to_idle)
            else:
                item = self._tell(say.REVALUE_DENIED, on_sent=self._back_to_idle)
        return self._now_or_later(AtOnce.REVALUE, item)

    def _put_on_card(self, value: int, why: str) -> None:
        card = self.card
        self._truth.credit_card(self.name, card.name if card else "", value, why)
        if card is not None and card.balance is not None:
            card.balance += value

    # -- the customer ------------------------------------------------------------------------

    def present_card(self, card: Card) -> bool:
        """Hold a card to the reader; False when it takes no notice."""
        waiting = self.state is ReaderState.VEND and self.card is None and self._auth is not None
        ready = self.state is ReaderState.ENABLED and self.card is None and not self._entry_left
        if not self.powered or self._dead or self.faults.dead or not (waiting or ready):
            return False
        self.card = card
        self._after(self.settings.card_read_s, self._card_read, card)
        return True

    def _card_read(self, card: Card) -> None:
        if self.card is not card:
            return
        if self.state is ReaderState.VEND and self._auth is not None and not self._deciding:
            self._auth.card = card.name
            self._auth.customer = self._truth.customer
            self._think()
        elif self.state is ReaderState.ENABLED:
            self._tell(
                say.begin_session(card, self.settings, self._money, self.level),
                on_sent=self._session_begun,
            )

    def _session_begun(self) -> None:
        self.state = ReaderState.IDLE
        self._vended = False
        self._start_session_timer()
        self._happens("session")

    def cancel_session(self) -> None:
        """Press the reader's cancel key, or pull the card: a request to end, never a force."""
        if self.state is ReaderState.IDLE:
            self._tell_cancel()
        elif self.state is ReaderState.VEND and not self.approved and self._auth is not None:
            self._cancel_asked = True
            self._deny("pulled")
        elif self.state is ReaderState.ENABLED:
            self._drop_card()
        else:
            self._cancel_asked = True

    def _tell_cancel(self) -> None:
        told = self._cancel_asked and self.settings.cancel_repeats
        self._cancel_asked = True
        if not told and not self.settings.cancel_repeats:
            self._tell(say.SESSION_CANCEL)

    def malfunction(self, code: int) -> None:
        """Report MALFUNCTION / ERROR: once for the passing kinds, else until it is cleared."""
        if code >> 4 in _ONCE_NIBBLES:
            self._tell(bytes((0x0A, code)))
        elif code not in self._malfunctions:
            self._malfunctions.append(code)

    def clear_malfunction(self) -> None:
        """Mend what `malfunction` broke."""
        self._malfunctions.clear()

    @property
    def _dead(self) -> bool:
        return any(code >> 4 in _DEAD_NIBBLES for code in self._malfunctions)

    def request_display(self, text: str, seconds: float) -> bool:
        """Ask for text on the machine's display; False when the machine has none."""
        size = min(say.MAX_DISPLAY, self.columns * self.rows)
        if not size or self.state is ReaderState.INACTIVE:
            return False
        self._tell(say.display_request(text, seconds, size))
        return True

    def request_time(self) -> None:
        """Ask for time and date."""
        if self.level >= 2:
            self._tell(say.TIME_REQUEST)

    def request_keys(self, count: int) -> bool:
        """Ask the customer for keys; False when data entry is not in use."""
        if self.state is not ReaderState.ENABLED or not self.options & OPTION_DATA_ENTRY:
            return False
        self.keys = b""
        self._entry_left = count
        self._tell(bytes((0x12, count)))
        return True

    def cancel_keys(self) -> None:
        """Give the data entry up from the reader's side."""
        if self._entry_left:
            self._entry_left = 0
            self._tell(say.ENTRY_CANCEL)

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
        self._money = say.Money(self.settings, expanded=False)
        self._tell(say.JUST_RESET, alone=True)

    def _end_work(self, cause: str) -> None:
        """End a running transaction: what was approved and told is charged."""
        auth = self._auth
        if auth is not None and auth.state is AuthState.REQUESTED:
            self._truth.set_card(auth, AuthState.CANCELLED, cause)
        elif auth is not None and auth.state is AuthState.APPROVED:
            told = self._approval is not None and self._approval.sent
            if not told or (self._refunding and self.faults.refund == "silent_paid"):
                self._give_back(f"{cause} before it was told" if not told else "vend failure")
            elif self._refunding and not self.faults.refund and cause != "power":
                self._refund_done(auth)  # a running credit update is completed before the reset
            else:
                self._truth.set_card(auth, AuthState.CAPTURED, cause)
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._cancel_session_timer()
        self._auth = None
        self._approval = None
        self._negative = None
        self._deciding = False
        self._refunding = False
        self._owed = b""
        self._last_success = b""
        self._disable_later = False
        self._cancel_asked = False
        self._vended = False
        self._entry_left = 0
        self.card = None

    def _lose_power(self) -> None:
        self._end_work("power")

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

    def from_state(self, state: Mapping[str, Any]) -> None:
        """Become what `to_state` returned, as after power-up; open approvals are charged."""
        self._end_work("power")
        for entry in self._truth.open_cards(self.name):
            ended = AuthState.CAPTURED if entry.state is AuthState.APPROVED else AuthState.CANCELLED
            self._truth.set_card(entry, ended, "power")
        super().from_state(state)


def _item(data: bytes) -> int:
    return int.from_bytes(data[:2], "big")
