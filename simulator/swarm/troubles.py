"""Every fault that a seed may draw, and what each may excuse.

A fault without an excuse has none: whatever it does, money, goods and records must come out right.
An excuse is about evidence, never about money: it says which question the fault leaves without an
answer, so that a rule (and a flag) may decide it, or what the hardware truly could not do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from simulator.peripherals.faults import FaultValue


class Excuse(StrEnum):
    """What a fault may excuse."""

    DROP = "drop"  # nobody could see whether a product fell
    SEEN = "seen"  # the light barrier tells of a product that did not fall
    GOODS = "goods"  # products left the column that no sensor told of
    STOLEN = "stolen"  # products left a column behind the machine's back
    PAYOUT = "payout"  # what a payout paid can't be proven
    OVERPAID = "overpaid"  # the changer lets more out than it was told
    CHANGER = "changer"  # the changer could not pay, or not all of it
    APPROVAL = "approval"  # whether a card was charged can't be known
    REFUND = "refund"  # the reader can't or does not say that it gave back
    REVALUE = "revalue"  # whether cash has reached a card can't be known
    REPEAT = "repeat"  # a cash-box coin can't be told from its own repetition
    COUNT = "count"  # tube counts are told wrong
    BOX = "box"  # a coin falls into the cash box and is told to be in a tube
    BILL = "bill"  # what became of a bill can't be known, or it stays where it is
    LINE = "line"  # the line itself is out of order, and with it the bus's rhythm
    WARM = "warm"  # how warm it is can't be known
    PULSE = "pulse"  # the pulses of a coin in the cash box did not arrive as they left
    LOST = "lost"  # money that an acknowledged answer told of never reaches the machine's memory


NONE: Final[frozenset[Excuse]] = frozenset()
ALWAYS_SHORT: Final = 100  # coins that payouts stop short of, again and again
_CARD: Final = frozenset({Excuse.APPROVAL, Excuse.REFUND})
_AWAY: Final = frozenset({Excuse.CHANGER, Excuse.PAYOUT, Excuse.REPEAT})
_TUBES: Final = frozenset({Excuse.CHANGER, Excuse.PAYOUT, Excuse.COUNT})
_ASKED: Final = frozenset({Excuse.APPROVAL})
_REFUND: Final = frozenset({Excuse.REFUND})
_MOMENTS: Final = ("session", "request", "approval", "success", "failure", "complete")
_LINE: Final = frozenset(
    {
        Excuse.APPROVAL, Excuse.REFUND, Excuse.PAYOUT, Excuse.CHANGER, Excuse.REPEAT, Excuse.BILL,
        Excuse.LOST, Excuse.LINE,
    }
)  # fmt: skip

PAYING: Final = ("payout.intended",)
CARD: Final = ("approval.requested", "approval.finished", "settle.intended", "dispense.intended")
TURN: Final = ("vend.opened", "dispense.intended", "dispense.finished")
BILLS: Final = ("stack.intended", "bill.return_intended")
ANY: Final = (
    "coins.deposited", "bill.escrowed", "vend.opened", "approval.requested", "dispense.intended",
    "dispense.finished", "vend.settled", "settle.intended", "payout.intended", "payout.finished",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of trouble.

    Args:
        part: A part of the registry; "column" is any of them, "reader" the card reader.
        name: The fault.
        values: One of them is drawn.
        phases: Records behind which it matters; it may begin by the clock as well.
        excuses: What it may excuse while it lasts.
        longest_s: How long it may last.
        weight: How often it is drawn.
    """

    part: str
    name: str
    values: tuple[FaultValue, ...] = (True,)
    phases: tuple[str, ...] = ()
    excuses: frozenset[Excuse] = NONE
    longest_s: float = 20.0
    weight: float = 1.0

    @property
    def key(self) -> str:
        """Return part and name in one word."""
        return f"{self.part}.{self.name}"


def _kinds(part: str, rows: Iterable[tuple[object, ...]]) -> Iterator[Kind]:
    for row in rows:
        yield Kind(part, *row)  # type: ignore[arg-type]  # the rows below are a table


_SHORT_SILENCE: Final = (0.3, 1.0, 1.8)
_LONG_SILENCE: Final = (3.0, 8.0, 40.0)
_FEW: Final = (1, 2, 3)
_WEAK: Final = ("lost", "late", "held", "uncounted")


def _talk(
    away: frozenset[Excuse], phases: tuple[str, ...], anew: frozenset[Excuse] | None = None
) -> list[tuple[object, ...]]:
    """Return what may go wrong with any peripheral's talk.

    Args:
        away: What its silence excuses.
        phases: Records behind which it matters.
        anew: What a reset of its own excuses, if less than that.
    """
    return [
        ("mute_s", (*_SHORT_SILENCE, *_LONG_SILENCE), phases, away, 60.0),
        ("silent", (True,), phases, away, 12.0),
        ("silent_commands", _FEW, phases, frozenset({Excuse.REPEAT})),
        ("lost_answers", _FEW, phases, frozenset({Excuse.REPEAT})),
        ("naks", _FEW, phases, frozenset({Excuse.REPEAT})),
        ("bad_checksums", _FEW, phases, frozenset({Excuse.REPEAT})),
        ("late_answers", _FEW, phases, frozenset({Excuse.REPEAT})),
        ("deaf_to_acks", (1, 2), phases, frozenset({Excuse.REPEAT})),
        ("repeated_items", (1,), phases, frozenset({Excuse.REPEAT})),
        ("reversed_items", (1,), phases),
        ("resets", (1,), phases, away if anew is None else anew),
        # Its ACK beside another's reads like JUST RESET behind an adapter, and hides an approval.
        ("chatter", _FEW, phases, frozenset({Excuse.APPROVAL})),
    ]


_CCTALK_SILENCE: Final = (0.3, 1.0, 1.8, 3.0, 8.0)


def _question(phases: tuple[str, ...]) -> list[tuple[object, ...]]:
    """Return what may go wrong with one question to a ccTalk device: it is asked again."""
    names = ("busies", "naks", "cut_answers", "lost_answers", "bad_checksums", "late_answers")
    return [(name, _FEW, phases, NONE, 20.0, 0.15) for name in names]


KINDS: Final[tuple[Kind, ...]] = (
    *_kinds("changer", _talk(_AWAY, (*PAYING, "coins.deposited"))),
    *_kinds(
        "changer",
        [
            ("jam_after", (0, 1, 2), PAYING, _TUBES, 20.0, 2.0),
            ("reset_after", (0, 1, 2), PAYING, NONE, 20.0, 2.0),
            ("short_by", (1, 2), PAYING, NONE, 20.0, 2.0),
            ("extra_coins", (1, 2), PAYING, frozenset({Excuse.OVERPAID})),
            ("stall", (True,), PAYING, _AWAY, 90.0),
            ("value_poll_stuck", (True,), PAYING),
            ("count_error", ({3: -1}, {4: 2}, {2: 1}), PAYING, _TUBES),
            ("status_error", ({3: -1}, {4: 1}), PAYING, frozenset({Excuse.PAYOUT})),
            ("defective", ({3: 1}, {4: 1}), PAYING, _TUBES),
            ("acceptor_unplugged",),
            ("coin_jam",),
            ("misroutes", (1,), (), frozenset({Excuse.BOX, Excuse.COUNT, Excuse.PAYOUT})),
            ("lost_credits", (1, 2)),
            ("double_arrivals", (1, 2)),
            ("busy_s", (1.0, 5.0), PAYING),
        ],
    ),
    # A reset gives a bill back, or the count tells that it was stacked.
    *_kinds("bill", _talk(frozenset({Excuse.BILL}), BILLS, NONE)),
    *_kinds(
        "bill",
        [
            ("jam_on_stack", (1,), (), frozenset({Excuse.BILL}), 90.0),
            ("jam_on_return", (1,), (), frozenset({Excuse.BILL}), 90.0),
            ("weak_stacker", _WEAK, (), frozenset({Excuse.BILL}), 90.0),
            ("reset_in_stack", ("before", "after"), ()),
            ("stack_when_returning", (1,)),
            ("return_when_stacking", (1,)),
            ("rejects", (1, 2)),
            ("dispense_jam_after", (0, 1), PAYING, frozenset({Excuse.CHANGER}), 60.0),
            ("dispense_reset_after", (0, 1), PAYING),
            ("dispense_short", (1, 2), PAYING),
            ("dispense_extra", (1,), PAYING, frozenset({Excuse.OVERPAID})),
            ("dispense_stall", (True,), PAYING, frozenset({Excuse.CHANGER}), 90.0),
            ("disabled",),
            ("broken", ("motor", "sensor")),
            ("undefined_byte", (1,)),
        ],
    ),
    *_kinds("reader", _talk(_CARD, CARD)),
    *_kinds(
        "reader",
        [
            ("declines", (1,)),
            ("denies_approved", ("answer", "stays"), ("approval.requested",), _CARD, 60.0),
            ("refund", ("error", "silent", "silent_paid"), ("dispense.intended",), _REFUND, 60.0),
            ("dies_at", _MOMENTS, (), _CARD, 60.0, 3.0),
            ("resets_at", _MOMENTS, (), _CARD, 60.0, 3.0),
            ("extra_approve_s", (2.0, 12.0, 80.0), ("approval.requested",), _ASKED, 100.0),
            ("no_answers", (1,), (), _ASKED, 100.0),
            ("out_of_sequence", (1, 2), CARD, _CARD),
            ("unasked_ends", (1,), CARD, _CARD),
            ("no_end", (1,)),
            ("dead",),
        ],
    ),
    *_kinds(
        "column",
        [
            ("jam", (True,), TURN, NONE, 60.0, 3.0),
            ("no_start", (True,), TURN, NONE, 60.0),
            ("seized", (True,), TURN, NONE, 60.0),
            ("no_home", (True,), TURN, frozenset({Excuse.GOODS}), 60.0),
            ("home_stuck", (True,), TURN, frozenset({Excuse.GOODS}), 60.0),
            ("slow", (True,), TURN, NONE, 60.0),
            ("hang", (1, 2), TURN, NONE, 60.0, 3.0),
            ("double_drop", (1,), TURN, frozenset({Excuse.GOODS}), 60.0),
            ("late_drop", (1,), TURN, frozenset({Excuse.GOODS}), 60.0),
            ("unseen_drop", (1,), TURN, frozenset({Excuse.GOODS}), 60.0),
        ],
    ),
    *_kinds(
        "sensor",
        [
            ("blind", (True,), TURN, frozenset({Excuse.DROP, Excuse.GOODS}), 30.0),
            ("blocked", (True,), TURN, frozenset({Excuse.DROP, Excuse.SEEN}), 30.0),
            ("latch_stuck", (True,), TURN, frozenset({Excuse.DROP, Excuse.SEEN}), 30.0),
        ],
    ),
    *_kinds(
        "line",
        [
            ("dead", (True,), ANY, _LINE, 40.0),
            ("loss", (0.001,), ANY, _LINE),
            ("chop",),
            ("single",),
            ("delay_s", (0.001, 0.003)),
            ("lose_blocks", _FEW, ANY, _LINE),
            ("lose_answers", _FEW, ANY, _LINE),
            ("flip_answers", _FEW, ANY, _LINE),
            ("lose_host_acks", (1, 2), ANY, _LINE),
            ("lose_device_acks", _FEW, ANY, _LINE),
            ("cut_texts", _FEW, ANY, _LINE, 20.0, 0.5),
        ],
    ),
    *_kinds(
        "bus",
        [
            ("dead", (True,), ANY, _LINE, 40.0),
            ("loss", (0.001,), ANY, _LINE),
            ("lose_blocks", _FEW, ANY, _LINE),
            ("lose_answers", _FEW, ANY, _LINE),
            ("flip_blocks", _FEW, ANY, _LINE),
            ("flip_answers", _FEW, ANY, _LINE),
            ("lose_host_acks", (1, 2), ANY, _LINE),
            ("lose_device_acks", _FEW, ANY, _LINE),
        ],
    ),
    *_kinds(
        "pulse",
        [
            ("spikes", _FEW),
            ("bounces", _FEW),
            ("lost_pulses", (1,), (), frozenset({Excuse.PULSE})),
            ("long_pulse", (1,), (), frozenset({Excuse.PULSE})),
            ("swallowed", (1,), (), frozenset({Excuse.PULSE})),
            ("stuck_on", (True,), (), frozenset({Excuse.PULSE}), 5.0),
        ],
    ),
    # A ccTalk line's own retries hide these; devices there keep what they have not been asked for.
    *_kinds(
        "cctalk",
        [
            ("lose_blocks", _FEW, ANY, NONE, 20.0, 0.3),
            ("lose_answers", _FEW, ANY, NONE, 20.0, 0.3),
            ("flip_answers", _FEW, ANY, NONE, 20.0, 0.3),
            ("dead", (True,), PAYING, _AWAY | {Excuse.BILL}, 60.0, 0.3),
        ],
    ),
    *_kinds(
        "acceptor",
        [
            *_question(("coins.deposited",)),
            # Of more events than its buffer keeps only their number is told.
            ("silent", (True,), ("coins.deposited",), frozenset({Excuse.REPEAT}), 12.0, 0.3),
            ("mute_s", _CCTALK_SILENCE, (), frozenset({Excuse.REPEAT}), 20.0, 0.3),
            ("resets", (1,), (), frozenset({Excuse.REPEAT, Excuse.LOST}), 20.0, 0.3),
        ],
    ),
    *_kinds(
        "billcc",
        [
            *_question(BILLS),
            ("silent", (True,), BILLS, frozenset({Excuse.BILL}), 12.0, 0.3),
            ("mute_s", _CCTALK_SILENCE, BILLS, frozenset({Excuse.BILL}), 60.0, 0.3),
            ("resets", (1,), BILLS, frozenset({Excuse.BILL}), 20.0, 0.3),
            ("jam", (True,), (), frozenset({Excuse.BILL}), 60.0, 0.3),
            ("lost_routes", (1, 5, 1_000), BILLS, NONE, 60.0, 0.3),
        ],
    ),
    *_kinds(
        "hopper3",
        [
            *_question(PAYING),
            ("jam_after", (0, 1), PAYING, _TUBES, 20.0, 0.3),
            ("bridged_after", (0, 1), PAYING, NONE, 20.0, 0.3),
            ("reset_after", (0, 1), PAYING, NONE, 20.0, 0.3),
            ("cut_after", (0, 1), PAYING, _AWAY, 20.0, 0.3),
            ("stall", (True,), PAYING, NONE, 90.0, 0.3),
            ("lost_dispenses", (1, 1_000), PAYING, NONE, 90.0, 0.3),
            ("silent", (True,), PAYING, _AWAY, 12.0, 0.3),
            ("mute_s", _CCTALK_SILENCE, PAYING, _AWAY, 60.0, 0.3),
            ("resets", (1,), PAYING, _AWAY, 20.0, 0.3),
        ],
    ),
    *_kinds("door", [("open", (True,), TURN, NONE, 8.0)]),
    *_kinds("cabin", [("warm", (8.0, 20.0), ANY, NONE, 60.0, 3.0)]),
    *_kinds(
        "climate",
        [
            ("compressor_dead", (True,), (), NONE, 120.0),
            # Drawn only where a cell of the failure table is looked for.
            ("heater_dead", (True,), (), NONE, 120.0, 0.0),
            (
                "sensor", ("gone", "checksum", "open", "shorted", "power_up", "stuck", "high"), ANY,
                frozenset({Excuse.WARM}), 120.0, 2.0,
            ),
        ],
    ),
    *_kinds(
        "disk",
        [
            ("latency_s", (0.02, 0.5, 3.0, 30.0), ANY, NONE, 60.0, 3.0),
            ("sync_fails", (1,), ANY, frozenset({Excuse.LOST, Excuse.REPEAT})),
            ("write_fails", (1,), ANY, frozenset({Excuse.LOST, Excuse.REPEAT})),
            ("full", (True,), ANY, frozenset({Excuse.LOST, Excuse.REPEAT})),
            ("read_only", (True,), ANY, frozenset({Excuse.LOST, Excuse.REPEAT})),
        ],
    ),
    *_kinds("stock", [("gone", ("",), (), frozenset({Excuse.STOLEN}), 1.0)]),
    *_kinds(
        "config",
        [
            ("price", (10, 50), ANY, NONE, 30.0),
            # Drawn only where a cell of the failure table is looked for.
            ("column", (True,), TURN, NONE, 10.0, 0.0),
            ("reader", (True,), CARD, NONE, 10.0, 0.0),
            ("service", (True,), (*CARD, *TURN), NONE, 10.0, 0.0),
            # Nothing is left that a token buys: drawn only where somebody comes with one.
            ("tokens", (True,), (), NONE, 30.0, 0.0),
        ],
    ),
    *_kinds(
        "clock",
        [
            ("jump_s", (-3.2e8, -3600.0, 3600.0, 3.2e8), ANY, NONE, 60.0, 1.0),
            # Drawn only where a cell of the failure table is looked for.
            ("unknown", (True,), ANY, NONE, 60.0, 0.0),
        ],
    ),
)  # fmt: skip

BY_KEY: Final[dict[str, Kind]] = {kind.key: kind for kind in KINDS}


def kind_of(part: str, name: str) -> Kind:
    """Return the row of a drawn trouble; columns share theirs."""
    found = BY_KEY.get(f"{part}.{name}")
    if found is None and part.startswith("cashless"):
        found = BY_KEY[f"reader.{name}"]
    return found or BY_KEY[f"column.{name}"]
