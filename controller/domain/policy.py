"""What the owner of a machine decides, as the brain uses it (config/models.py describes each)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Policy:
    """Amounts in minor units, times in seconds of the monotonic clock."""

    max_credit: int = 5_000
    max_change: int = 2_000
    on_unknown: Literal["refund", "charge"] = "refund"
    credit_timeout_s: float = 0.0  # 0: credit stays
    exact_change_margin: int = 100
    escrow: Literal["auto", "hold", "keep"] = "auto"  # auto: hold where a card may pay the rest
    bill_needs_change: bool = True  # a bill is taken only if some product's change is there
    column_retries: int = 0  # failed vends in a row that a column with a fault is tried on for
    multi_vend: bool = False
    basket: bool = False  # selections are collected, "#" buys them all
    must_vend: bool = False
    session_timeout_s: float = 60.0  # a card session without a selection is ended after this
    approval_timeout_s: float = 60.0  # always idle: how long a customer may take to show a card
    refund_deadline_s: float = 30.0  # a payout the changer can't take by then becomes a claim
    coins_accepted: frozenset[int] | None = None  # values; None: all that the changer knows
    bills_accepted: frozenset[int] | None = None
    bill_max: int | None = None  # the largest bill taken; None: no bound
    after_failure: Literal["refund", "keep"] = "refund"  # keep: the customer may choose again
    on_credit_timeout: Literal["pay", "keep"] = "pay"  # keep: as unclaimed money, with a record
    column_refunds_max: int = 3  # failed vends in a row that close a column; 0: never
    machine_refunds_max: int = 6  # failed vends in a row that stop the machine; 0: never
    claim_days: int = 90  # how long a claim's code is honoured at this machine
    tokens_buy: frozenset[str] = frozenset()  # columns that a vend token buys; none: not taken
    languages: tuple[str, ...] = ("en",)  # the panel's; the first is shown unasked
    language_key: str = ""  # shows the next one; "": none does
    revalue_key: str = ""  # puts cash credit on the card of the session; "": nothing does
    tubes_kept: tuple[tuple[int, int], ...] = ()  # (value, coins) that change never touches

    def takes_coin(self, value: int) -> bool:
        """Tell whether the owner wants coins of this value; tokens have none."""
        return value > 0 and (self.coins_accepted is None or value in self.coins_accepted)

    def takes_bill(self, value: int) -> bool:
        """Tell whether the owner wants bills of this value."""
        if self.bill_max is not None and value > self.bill_max:
            return False
        return value > 0 and (self.bills_accepted is None or value in self.bills_accepted)
