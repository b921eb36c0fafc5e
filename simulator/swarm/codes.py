"""The oracle of claims' codes: each stands on the glass until somebody can have copied it.

For a turn at least, and without a break, whatever hides it before: keys, coins, other codes, a
payout's words. On a glass that is too small for it and its words, a code is away while the other
pages are read. It looks at the glass alone, and knows claims from their records.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from controller.journal import records as rec
from controller.journal.envelope import Record
from simulator.swarm.evidence import Evidence
from simulator.whole import Whole

WHOLE: Final = (20, 4)  # columns and rows on which a code and its words are one page
STANDS_S: Final = 9.7  # ten seconds, and the display is written letter by letter
COPIED_S: Final = 5.7  # the time of a code's own page on any other glass
PAGES_S: Final = 6.5  # of what is said beside it, page by page
FORGOTTEN_S: Final = 590.0  # whoever stands there by then is somebody else
TURN_S: Final = 10.0  # of a code among others
EACH_S: Final = 25.0  # a turn each, and whatever else is said


@dataclass(slots=True)
class _Code:
    claim: int  # the record that made it
    since_s: float
    stood_s: float = 0.0  # in one go, up to when it was hidden last
    shown_s: float | None = None  # on the glass, and since when
    hidden_s: float = float("-inf")
    best_s: float = 0.0


class Codes:
    """Follows the codes that one life of a machine has promised to somebody who stands there."""

    def __init__(self, machine: Whole) -> None:
        """Nobody is owed anything."""
        self._machine = machine
        self._owed: dict[str, _Code] = {}
        self.rules: dict[type[Any], Callable[[Record, Any, Evidence], None]] = {
            rec.ClaimOpened: self._opens,
            rec.ClaimRedeemed: self._ends,
            rec.ClaimClosed: self._ends,
        }

    def _now(self) -> float:
        return self._machine.loop.time()

    def _paged(self) -> bool:
        display = self._machine.settings.display
        return display is not None and (display.cols, display.rows) != WHOLE

    # ------------------------------------------------------------------------------- records

    def _opens(self, record: Record, claim: rec.ClaimOpened, evidence: Evidence) -> None:
        del evidence
        if record.boot == self._machine.state.boot:
            self._owed[claim.code] = _Code(record.seq, self._now())

    def _ends(
        self, record: Record, data: rec.ClaimRedeemed | rec.ClaimClosed, evidence: Evidence
    ) -> None:
        del record, evidence
        self._owed = {key: one for key, one in self._owed.items() if one.claim != data.claim}

    # ----------------------------------------------------------------------------- the glass

    def look(self, lines: tuple[str, ...]) -> None:
        """The glass shows this from now on."""
        if not self._owed:
            return
        now, gap_s = self._now(), PAGES_S if self._paged() else 0.0
        digits = "".join(key for line in lines for key in line if key.isdigit())
        for text, code in list(self._owed.items()):
            if text not in digits:
                self._hide(code, now)
            elif code.shown_s is None:
                if now - code.hidden_s > gap_s:
                    code.stood_s = 0.0
                code.shown_s = now
            if self._stands(code, now):
                del self._owed[text]

    def _hide(self, code: _Code, now: float) -> None:
        if code.shown_s is not None:
            code.stood_s += now - code.shown_s
            code.best_s = max(code.best_s, code.stood_s)
            code.shown_s, code.hidden_s = None, now

    def _stands(self, code: _Code, now: float) -> bool:
        shown_s = 0.0 if code.shown_s is None else now - code.shown_s
        return code.stood_s + shown_s >= (COPIED_S if self._paged() else STANDS_S)

    # ------------------------------------------------------------------------------ the end

    @property
    def waits_s(self) -> float:
        """Return for how long whoever is owed codes may have to look; 0: they are copied.

        A basket that waits for a card to pay for its rest says so until it is over, and codes that
        nobody has keyed in since they were promised are shown in turn.
        """
        policy = self._machine.settings.policy
        basket_s = policy.approval_timeout_s if policy.basket else 0.0
        turns_s = TURN_S * len(self._machine.state.claims)
        return EACH_S * len(self._owed) + basket_s + turns_s if self._owed else 0.0

    @property
    def owed(self) -> bool:
        """Whether somebody has yet to copy what they are owed."""
        now = self._now()
        return any(not self._stands(code, now) for code in self._owed.values())

    def life_ended(self) -> None:
        """What did not stand there by now, the next life shows once more, or a person does."""
        self._owed.clear()

    def check(self, evidence: Evidence) -> None:
        """A customer has left, who had time to copy."""
        now = self._now()
        for text, code in sorted(self._owed.items()):
            if self._stands(code, now) or now - code.since_s > FORGOTTEN_S:
                continue
            self._hide(code, now)
            how = f"showed for {code.best_s:.1f} s" if code.best_s else "never showed"
            evidence.findings.append(f"the panel {how} the claim's code {text}")
        self._owed.clear()
