"""What keys mean: a selection is keyed letter by letter or digit by digit; "*" gives back.

"#" before anything else begins a claim's code; one letter, of the owner's choice, shows another
language, and one puts cash credit on the card in the reader.
"""

from __future__ import annotations

from typing import Final

from controller.machine import languages
from controller.machine.desk import READERS, Desk
from controller.machine.effects import Beep, CancelReading, Wake
from controller.machine.table import Mode
from controller.panel.view import Message
from controller.ports import Tone
from controller.saga import age, basket, basket_rules, cards, revalue, rights, vend
from controller.saga.claims import CODE_DIGITS
from controller.saga.redeem import redeem

CANCEL: Final = "*"
ENTER: Final = "#"
KEY_TIMEOUT_S: Final = 5.0  # a half-keyed selection is forgotten
CODE_TIMEOUT_S: Final = 30.0  # and so is half a code: it is copied digit by digit


class Keys:
    """Collects keys into selections."""

    def __init__(self, desk: Desk) -> None:
        """Bind the desk."""
        self._desk = desk

    def pressed(self, key: str) -> None:
        """Take one key."""
        desk = self._desk
        desk.do(Beep(Tone.KEY))
        languages.stays(desk)
        if desk.credit or rights.tokens(desk):
            desk.credit_is_new()  # whoever chooses has not forgotten it
        if key == CANCEL:
            self.cancel()
            return
        if not desk.mode.selling:
            return
        live = desk.live
        if live.code is not None:
            self._code_key(key)
            return
        if key == desk.policy.language_key:
            languages.another(desk)
            return
        if key == desk.policy.revalue_key:
            live.keyed = ""
            revalue.begin(desk)
            return
        if key == ENTER:
            keyed, live.keyed = live.keyed, ""
            if keyed:
                self._chosen(keyed)
            elif live.basket.items:
                if not live.basket.buying:
                    basket.confirm(desk)
            else:
                live.code, live.notice = "", None
                desk.do(Wake("code", CODE_TIMEOUT_S))
            return
        if key.isalpha():
            live.keyed = ""
        live.keyed = (live.keyed + key)[-4:]
        names = desk.planogram.columns
        longer = any(name.startswith(live.keyed) and name != live.keyed for name in names)
        if live.keyed in names and not longer:
            keyed, live.keyed = live.keyed, ""
            live.notice = None
            self._chosen(keyed)
        elif longer or live.keyed in names:
            live.notice = None
            desk.do(Wake("keys", KEY_TIMEOUT_S))
        else:
            keyed, live.keyed = live.keyed, ""
            desk.tell(Message.INVALID_SELECTION, selection=keyed)
            desk.do(Beep(Tone.ERROR))

    def _chosen(self, selection: str) -> None:
        """A selection is whole: it is bought, or one more of what is bought together."""
        desk = self._desk
        age.forget(desk)
        if desk.live.basket.buying:
            desk.do(Beep(Tone.ERROR))  # not before that is over
        elif desk.policy.basket:
            basket.add(desk, selection)
        else:
            vend.select(desk, selection)

    def _code_key(self, key: str) -> None:
        """Take one key of a claim's code; it is judged when it is whole, or at "#"."""
        desk, live = self._desk, self._desk.live
        assert live.code is not None, "a code is keyed"
        if key.isdecimal():
            live.code += key
            desk.do(Wake("code", CODE_TIMEOUT_S))
        if key == ENTER or len(live.code) == CODE_DIGITS:
            code, live.code = live.code, None
            if code:
                redeem(desk, code)

    def timed_out(self) -> None:
        """Take a complete selection that could have gone on, forget any other."""
        desk = self._desk
        keyed, desk.live.keyed = desk.live.keyed, ""
        if keyed in desk.planogram.columns and desk.mode.selling:
            self._chosen(keyed)

    def lever(self) -> None:
        """The coin return lever was pressed: whoever pulls it wants all of it back, at once.

        What is keyed, put into a basket or waits for a proof of age does not hold it up. Each
        reader ends what it is at (MDB/ICP 4.2, section 7): a session, a request, or in Enabled, by
        READER CANCEL, the reading of a card that nobody has heard of.
        """
        desk = self._desk
        desk.live.keyed, desk.live.code = "", None
        proved_at = desk.live.age_check
        open_to_cards = desk.mode.selling or desk.mode is Mode.AUTHORISING
        desk.live.lever = desk.customer_saga() is not None
        age.forget(desk)
        basket_rules.give_up(desk)
        self._give_back()
        if not open_to_cards:
            return
        for reader in READERS:
            busy = reader is desk.live.session or (proved_at and proved_at.device is reader)
            if desk.takes_cards(reader) and not busy:
                desk.do(CancelReading(reader))  # which the driver says in Enabled alone

    def look(self) -> None:
        """Give back what the lever asked for in the middle of a vend, once that has ended."""
        desk = self._desk
        if desk.live.lever and not desk.state.sagas:
            desk.live.lever = False
            told = desk.live.notice
            if desk.mode.selling:
                self._give_back()
            desk.live.notice = desk.live.notice or told  # what came of the vend is to be read

    def cancel(self) -> None:
        """The key "*": first what is keyed, then the card session, then the credit."""
        desk, live = self._desk, self._desk.live
        if live.keyed or live.code is not None:
            live.keyed, live.code = "", None
        elif not (age.forget(desk) or basket_rules.give_up(desk)):
            self._give_back()

    def _give_back(self) -> None:
        """End the customer's request, or else the session, and give the credit back."""
        desk, live = self._desk, self._desk.live
        live.reselect = ""
        saga = desk.customer_saga()
        if saga is not None:
            cards.cancel_approval(desk, saga)
            return
        if desk.mode is Mode.OUT_OF_SERVICE:
            vend.give_credit_back(desk, "out of service")  # nothing is sold, but it is theirs
            return
        if not desk.mode.selling:
            return
        live.notice = None
        if live.session is not None:
            desk.end_session(live.session)
        if desk.policy.must_vend and desk.credit and not live.tried:
            desk.tell(Message.MUST_VEND)
            return
        vend.give_credit_back(desk, "coin return")
