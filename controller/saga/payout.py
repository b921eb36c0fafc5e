"""What a payout did: the changer's own account against the difference of its tubes. Pure.

Two proofs exist: PAYOUT STATUS (level 3) and the tube counts before and after, corrected by what
was deposited and released meanwhile. What is believed of a tube is so already, and stands for its
count before where that is not known (behind a restart). Where they disagree, or a tube can't tell
(capped, defective), nobody knows: the least that is proved is booked as paid, the rest becomes a
flagged claim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from controller.ports import PayoutEvidence, TubeCounts

Tube = tuple[int, int, int]  # (type, value, believed count, the payout under way not taken out)
NOTHING: Final[Mapping[int, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What to book."""

    paid: tuple[tuple[int, int, int], ...]  # (type, value, count)
    proof: Literal["status", "tubes", "both", "none"]
    certain: bool

    @property
    def amount(self) -> int:
        """Return what left the tubes, in minor units."""
        return sum(value * count for _, value, count in self.paid)


def _by_tubes(
    tubes: Sequence[Tube],
    evidence: PayoutEvidence,
    after: TubeCounts,
    asked: frozenset[int] | None,
    since: Mapping[int, int],
) -> tuple[dict[int, int], bool]:
    """Return coins gone per type, and whether every tube that was asked to pay could tell.

    Where the tube was counted before the order as well, what is believed of it may differ: a
    changer tells of coins that it is certain of, and may get certain of more, or of less, while
    nobody asks. Then the two counts bound what left, for coins that came in meanwhile hide some.
    """
    gone: dict[int, int] = {}
    whole = True
    for type_, _, believed in tubes:
        counted = after.counts[type_] if type_ < len(after.counts) else 0
        tells = counted < after.cap and type_ not in after.defective
        before = _told(evidence.before, type_) if tells else None
        if before is None and counted != believed and (not tells or believed > after.cap):
            whole = whole and asked is not None and type_ not in asked
            continue
        left = believed - counted
        if before is not None:
            low, high = sorted((before - counted, before - counted + since.get(type_, 0)))
            left = min(max(left, low), high)
        if left:
            gone[type_] = left
    return gone, whole


def _told(counts: TubeCounts | None, type_: int) -> int | None:
    """Return what a tube held, None where its count does not tell."""
    if counts is None or type_ >= len(counts.counts) or type_ in counts.defective:
        return None
    count = counts.counts[type_]
    return count if count < counts.cap else None


def reconcile(
    ordered: int,
    tubes: Sequence[Tube],
    evidence: PayoutEvidence,
    asked: frozenset[int] | None = None,
    since: Mapping[int, int] = NOTHING,
) -> Reconciled:
    """Decide what a payout of ``ordered`` minor units paid.

    Args:
        ordered: The payout's amount.
        tubes: Every tube with the count believed now, deposits since the intent included.
        evidence: What the changer told afterwards.
        asked: The coin types that were ordered; None when the changer picked them.
        since: Coins that came into each tube since the order, less those that staff let out.
    """
    values = {type_: value for type_, value, _ in tubes}
    status = None
    if evidence.status is not None and not evidence.was_reset:
        status = {t: n for t, n in enumerate(evidence.status) if n}
        if any(t not in values for t in status):
            status = None  # pays types that it has no tube for: not an account to book from
    diff: dict[int, int] | None = None
    whole = False
    if evidence.tubes is not None:
        diff, whole = _by_tubes(tubes, evidence, evidence.tubes, asked, since)
    if diff is not None and any(n < 0 for n in diff.values()):
        # A tube grew: coins arrived that were not reported yet. What shrank is still gone.
        diff = {t: n for t, n in diff.items() if n > 0} if status is None else diff

    def lines(gone: dict[int, int]) -> tuple[tuple[int, int, int], ...]:
        return tuple((t, values[t], n) for t, n in sorted(gone.items()) if n > 0)

    def worth(gone: dict[int, int]) -> int:
        return sum(values[t] * n for t, n in gone.items())

    if status is not None and diff is not None and whole:
        if status == diff:
            return Reconciled(lines(status), "both", certain=True)
        lesser = status if worth(status) <= worth(diff) else diff
        return Reconciled(lines(lesser), "both", certain=worth(lesser) >= ordered)
    if status is not None:
        return Reconciled(lines(status), "status", certain=evidence.idle)
    if diff is not None:
        known = whole or worth(diff) >= ordered
        return Reconciled(lines(diff), "tubes", certain=evidence.idle and known)
    return Reconciled((), "none", certain=False)
