"""A cashless device of level 1 to 3, classic or always idle, with the people in front of it.

Source: MDB/ICP 4.2, section 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.peripherals import reader_messages as say
from simulator.peripherals.reader_core import ONCE_NIBBLES
from simulator.peripherals.reader_settings import OPTION_DATA_ENTRY, Card, ReaderState
from simulator.peripherals.reader_vend import ReaderVends
from simulator.truth import AuthState


class SimReader(ReaderVends):
    """A card reader with its ledger and what customers do to it."""

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
        if self.age_asked:
            self._after(self.settings.age_check_s, self._tell_age, card)
        if not card.pays:
            if not self.age_asked:
                self.card = None
            return
        asked = self._auth is not None and self._auth.state is AuthState.REQUESTED
        if self.state is ReaderState.VEND and asked and not self._deciding:
            assert self._auth is not None
            self._auth.card = card.name
            self._auth.customer = self._truth.customer
            self.told_of_card = False
            self._think()
        elif self.state is ReaderState.ENABLED:
            self._tell(
                say.begin_session(card, self.settings, self._money, self.level),
                on_sent=self._session_begun,
            )

    def _session_begun(self) -> None:
        self.state = ReaderState.IDLE
        self.told_of_card = self.expanded  # BEGIN SESSION says more of it in that mode
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

    def malfunction(self, code: int) -> None:
        """Report MALFUNCTION / ERROR: once for the passing kinds, else until it is cleared."""
        if code >> 4 in ONCE_NIBBLES:
            self._tell(bytes((0x0A, code)))
        elif code not in self._malfunctions:
            self._malfunctions.append(code)

    def clear_malfunction(self) -> None:
        """Mend what `malfunction` broke."""
        self._malfunctions.clear()
        self.faults.malfunction = -1

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

    def from_state(self, state: Mapping[str, Any]) -> None:
        """Become what `to_state` returned, as after power-up; open approvals are charged."""
        self._end_work("power")
        for entry in self._truth.open_cards(self.name):
            ended = AuthState.CAPTURED if entry.state is AuthState.APPROVED else AuthState.CANCELLED
            self._truth.set_card(entry, ended, "power")
        super().from_state(state)
