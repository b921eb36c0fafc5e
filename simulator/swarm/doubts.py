"""What an excuse covers: which columns' products, how many tokens, which card payments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from controller.journal import records as rec
from simulator.swarm.evidence import EPSILON_S, Evidence, Window
from simulator.swarm.plan import Trouble
from simulator.swarm.troubles import Excuse

GOODS: Final = frozenset({Excuse.DROP, Excuse.GOODS, Excuse.SEEN, Excuse.STOLEN})
# What the flags say that leave the outcome of a card payment open.
CARD_FLAGS: Final = frozenset(
    {
        "reader gone while it was asked", "approval unknown", "card refund unknown",
        "card refund already", "revalue unknown",
    }
)  # fmt: skip


def columns(evidence: Evidence) -> frozenset[str]:
    """Return the columns whose products nobody could count."""
    return frozenset(name for window in evidence.windows for name in _of(window, evidence))


def _of(window: Window, evidence: Evidence) -> Iterator[str]:
    """A column that is out of order, and whatever turned from then on: one light barrier sees all.

    An end that took the evidence along began with a turn that was under way already.
    """
    if GOODS.isdisjoint(window.excuses):
        return
    trouble = window.why
    if not isinstance(trouble, Trouble):
        yield from _turned(evidence, float("-inf"))
    elif trouble.part == "stock":
        yield str(trouble.value)
    else:
        yield trouble.part
        yield from _turned(evidence, window.begins_s)


def _turned(evidence: Evidence, since_s: float) -> Iterator[str]:
    for at_s, turn in evidence.told(rec.DispenseIntended, rec.DispenseFinished):
        if at_s + EPSILON_S >= since_s:
            yield turn.column


def tokens(evidence: Evidence, came: int) -> tuple[int, int]:
    """Return how many tokens may be booked too many (negative), and be there unbooked.

    Args:
        evidence: Since the last check.
        came: How many have come into the machine since then.
    """
    lost = bool(evidence.ends) or evidence.excused(Excuse.REPEAT, Excuse.LOST, Excuse.BOX)
    repeats = sum("repeat" in flag.reason for flag in evidence.flags())
    return (-repeats, max(0, came)) if lost else (0, 0)


def cards(evidence: Evidence) -> bool:
    """Tell whether nobody can know what a reader has charged."""
    return evidence.excused(Excuse.APPROVAL, Excuse.REFUND) or any(
        flag.reason in CARD_FLAGS for flag in evidence.flags()
    )


def asked_back(evidence: Evidence) -> bool:
    """Tell whether a reader was to give money back, which one of level 1 can't say it has not."""
    return bool(evidence.of(rec.ApprovalCancelIntended)) or any(
        not data.success for data in evidence.of(rec.SettleIntended)
    )
