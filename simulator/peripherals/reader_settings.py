"""How a simulated card reader is built, the cards people hold, and what can go wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from simulator.peripherals.faults import (
    PeripheralFaults,
    amount,
    counter,
    switch,
    whole,
    word,
)

OPTION_32_BIT: Final = 1 << 1
OPTION_MULTI_CURRENCY: Final = 1 << 2
OPTION_NEGATIVE_VEND: Final = 1 << 3
OPTION_DATA_ENTRY: Final = 1 << 4
OPTION_ALWAYS_IDLE: Final = 1 << 5


class ReaderState(IntEnum):
    """The reader's states, numbered as COMMAND OUT OF SEQUENCE reports them."""

    INACTIVE = 1
    DISABLED = 2
    ENABLED = 3
    IDLE = 4
    VEND = 5
    REVALUE = 6
    NEGATIVE_VEND = 7


class WrongMoment(StrEnum):
    """What a reader does with a well-formed command at a wrong moment."""

    REPORT = "report"  # ACK, then 0B
    SILENCE = "silence"


class AtOnce(StrEnum):
    """Commands that a reader may answer with the data instead of an ACK and a later POLL."""

    CONFIG = "config"  # SETUP CONFIG DATA
    IDENTITY = "identity"  # REQUEST ID
    VEND = "vend"  # VEND REQUEST and VEND CANCEL
    END = "end"  # SESSION COMPLETE
    CANCEL = "cancel"  # READER CANCEL
    REVALUE = "revalue"  # REVALUE REQUEST and LIMIT REQUEST


ALL_AT_ONCE: Final = frozenset(AtOnce)


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """A reader as it leaves the factory. Times are physical seconds unless said otherwise."""

    level: int = 3
    currency: int = 0x1978
    exponent: int = 2
    scale: int = 1
    decimals: int = 2
    max_response_s: int = 20  # Z7
    can_refund: bool = True
    multivend: bool = False
    own_display: bool = False
    cash_sale: bool = True
    options: int = OPTION_ALWAYS_IDLE
    manufacturer: str = "ABC"
    serial: str = "000000123456"
    model: str = "TAP-1"
    software: int = 0x0210
    at_once: frozenset[AtOnce] = frozenset()  # answered with data where it needs no time
    card_read_s: float = 0.4
    approve_s: float = 1.2  # from the request (or the card) to the answer
    refund_s: float = 0.4
    session_end_s: float = 0.0
    session_timeout_s: float = 120.0  # without a selection, then 04
    card_wait_s: float = 120.0  # always idle: a request without a card, then 06
    approval_timeout_s: float = 0.0  # an approval without outcome is taken back; 0: never
    wrong_moment: WrongMoment = WrongMoment.REPORT
    tolerates_repeats: bool = True
    cancel_repeats: bool = False  # 04 at each POLL until SESSION COMPLETE
    complete_cancels: bool = False  # SESSION COMPLETE instead of an outcome takes the money back
    long_id_always: bool = False  # 34 bytes of PERIPHERAL ID at any level
    reset_tells_at_once: bool = False  # RESET is answered with JUST RESET data
    revalue_limit: int = 5000  # minor units; 0: no revalue
    revalue_s: float = 0.0  # from the request to the answer
    checks_age: bool = True
    age_check_s: float = 0.5  # from the card to the answer
    response_s: float = 0.0015
    boot_s: float = 0.1


@dataclass(slots=True)
class Card:
    """A card, a phone or a key, and what is on it.

    Args:
        name: For the truth's records.
        balance: Minor units; None when the issuer alone knows.
        show_balance: BEGIN SESSION tells it.
        decline: Every request is denied.
        discount_percent: Taken off the price by the reader (negative: a surcharge).
        token: Approved as an electronic token, the amount is not told.
        refundable: The medium takes money back.
        media_id: Four bytes; FFFFFFFF is unknown.
        payment_type: As in BEGIN SESSION Z8.
        payment_data: As in BEGIN SESSION Z9-Z10.
        language: Two letters of ISO 639.
        age: Of its holder; None when it does not tell.
        pays: False for an identity card.
    """

    name: str = "card"
    balance: int | None = None
    show_balance: bool = True
    decline: bool = False
    discount_percent: int = 0
    token: bool = False
    refundable: bool = True
    media_id: int = 0xFFFFFFFF
    payment_type: int = 0
    payment_data: int = 0
    language: str = "en"
    hide_credit: bool = False
    age: int | None = None  # of its holder, as far as it tells
    pays: bool = True  # False: it only proves an age
    revaluable: bool = False


@dataclass(slots=True)
class ReaderFaults(PeripheralFaults):
    """What can go wrong with a reader."""

    declines: int = counter("the next N requests are denied")
    denies_approved: str = word(
        "says VEND DENIED behind its next VEND APPROVED: 'answer' in the same answer, 'poll' in the"
        " next, 'late' in mid-turn; they take the approval back. 'stays' says so, and does not"
    )
    refund: str = word(
        "what VEND FAILURE leads to: '' refunds, 'error' reports refund error C1 and charges, "
        "'silent' never answers again and charges, 'silent_paid' never answers but refunds"
    )
    dies_at: str = word(
        "falls silent for `dies_for_s` once: at 'session', 'request', 'approval', 'success', "
        "'failure', 'complete', 'revalue' (asked, not done) or 'revalued' (done, not told)"
    )
    dies_for_s: float = amount("how long it stays silent, bus seconds", 30.0)
    resets_at: str = word("resets itself once, at the moments of `dies_at`")
    extra_approve_s: float = amount("added to the time until an answer, physical seconds")
    no_answers: int = counter("the next N requests are acknowledged and never answered")
    out_of_sequence: int = counter("says 0B at the next N polls for no reason")
    unasked_ends: int = counter("says 07 at the next N polls for no reason")
    no_end: int = counter("the next N SESSION COMPLETE bring no 07")
    no_cancelled: int = counter("the next N READER CANCEL bring no 08")
    malfunction: int = whole(
        "reports MALFUNCTION / ERROR with this code, as long as its class says"
    )
    dead: bool = switch("no card is read")
