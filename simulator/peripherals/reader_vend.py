"""A cashless device's money: requests, approvals, outcomes, refunds, and what resets make of it.

An approved request has been taken from the medium. It is the customer's loss until VEND FAILURE
brings it back, and every reset, break or loss of power makes it final.

Source: MDB/ICP 4.2, section 7.
"""

from __future__ import annotations

from typing import Final

from simulator.peripherals import reader_messages as say
from simulator.peripherals.base import ACK_ONLY, Item, Reply
from simulator.peripherals.reader_core import ReaderCore
from simulator.peripherals.reader_settings import OPTION_NEGATIVE_VEND, AtOnce, ReaderState
from simulator.truth import Authorisation, AuthState

_REFUND_ERROR: Final = 0xC1
REVALUES_FROM: Final = 2  # the level that has a word for it
DENIES_LATE_S: Final = 1.0  # the motor turns by then


class ReaderVends(ReaderCore):
    """A card reader and its ledger."""

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
            self._deciding = True  # for ever, whatever card is shown
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
        discounted = auth.requested - auth.requested * card.discount_percent // 100
        # nobody charges what their reader can't tell
        amount = self._money.minor(self._money.wire(discounted))
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
        approval = self._approval
        if self.faults.denies_approved in ("answer", "stays"):
            self._deny_approved(auth)
        return approval

    def _approval_told(self) -> None:
        self._happens("approval")
        if self.faults.denies_approved == "poll":
            self._deny_approved(self._auth)
        elif self.faults.denies_approved == "late":
            self._after(DENIES_LATE_S, self._deny_approved, self._auth)

    def _deny_approved(self, auth: Authorisation | None) -> None:
        """Say VEND DENIED behind an approval: the last word is that nothing is to be dispensed."""
        if auth is None or auth is not self._auth or not self.approved:
            return
        how, self.faults.denies_approved = self.faults.denies_approved, ""
        if how == "stays":
            self._tell(say.VEND_DENIED)
            return
        self._truth.set_card(auth, AuthState.REFUNDED, "denied after all")
        if self.card is not None and self.card.balance is not None:
            self.card.balance += auth.amount
        self._auth = self._approval = None
        self._tell(say.VEND_DENIED, on_sent=self._back_to_idle)

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
        if self.told_of_card and card is not None:
            can = card.refundable  # what was told of it overrides what the reader says of itself
        if self.faults.refund == "error":
            self._truth.set_card(auth, AuthState.CAPTURED, "refund error")
            if self.level >= 2:
                self._tell(bytes((0x0A, _REFUND_ERROR)))
        elif can:
            self._give_back("vend failure")
        else:
            self._truth.set_card(auth, AuthState.CAPTURED, "cannot refund")
            if self.settings.can_refund and self.level >= 2:
                self._tell(bytes((0x0A, _REFUND_ERROR)))  # it can, but this card can't
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
        self.told_of_card = False

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
        if self.level < REVALUES_FROM:
            return None
        if self.state is not ReaderState.IDLE:
            return self._wrong_moment()
        if sub == 0x01:
            limit = self._revalue_limit
            answer = b"\x0f" + self._money.wire(limit) if limit else say.REVALUE_DENIED
            return self._now_or_later(AtOnce.REVALUE, self._tell(answer))
        value = self._money.minor(data)
        self._cancel_session_timer()
        self.state = ReaderState.REVALUE
        if self._happens("revalue"):
            return ACK_ONLY  # nothing is done
        if self.faults.no_answers > 0:
            self.faults.no_answers -= 1
            return ACK_ONLY
        seconds = self.settings.revalue_s + self.faults.extra_approve_s
        if AtOnce.REVALUE in self.settings.at_once or not seconds:
            return self._now_or_later(AtOnce.REVALUE, self._load(value))
        self._after(seconds, self._load, value)
        return ACK_ONLY

    @property
    def _revalue_limit(self) -> int:
        refused = self._dead or (self.card is not None and self.card.decline)
        return 0 if refused else self.settings.revalue_limit

    def _load(self, value: int) -> Item:
        """Put money on the card, and say so; or say that it is not."""
        if self.faults.declines > 0:
            self.faults.declines -= 1
        elif 0 < value <= self._revalue_limit:
            self._put_on_card(value, "revalue")
            self._happens("revalued")
            return self._tell(say.REVALUE_APPROVED, on_sent=self._back_to_idle)
        return self._tell(say.REVALUE_DENIED, on_sent=self._back_to_idle)

    def _put_on_card(self, value: int, why: str) -> None:
        card = self.card
        self._truth.credit_card(self.name, card.name if card else "", value, why)
        if card is not None and card.balance is not None:
            card.balance += value

    # -- resets ------------------------------------------------------------------------------

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
        self.told_of_card = False

    def _lose_power(self) -> None:
        self._end_work("power")


def _item(data: bytes) -> int:
    return int.from_bytes(data[:2], "big")
