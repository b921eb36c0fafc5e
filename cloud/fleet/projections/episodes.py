"""What alerts come of: something was wrong from one record of a machine to another.

An episode is known by the record that began it. However its machine's records come (one by one,
a week of them in one batch, again in a rebuild), it is the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cloud.contract.journal import RecordData, UnknownData
from cloud.contract.journal import records as rec

CONFIG: Final = "config.not_taken"
FAULT: Final = "fault "  # its part and code follow

Place = tuple[str, int]  # (journal's id in hex, seq)
_CAUSE_LENGTH: Final = 128  # of its column
_ANY: Final[Place] = ("", 0)


def of_claim(journal: str, seq: int) -> str:
    """Return the cause of an open claim, which is known by its record."""
    return f"claim {seq} of journal {journal[:32]}"


def of_fault(part: str, code: str) -> str:
    """Return the cause of a machine's fault."""
    return f"{FAULT}{part} {code}".replace("\0", "")[:_CAUSE_LENGTH]


def begun_by(data: RecordData | UnknownData, place: Place) -> tuple[str, str] | None:
    """Return cause and detail of what a record tells that is wrong from now on."""
    match data:
        case rec.FaultRaised(part=part, code=code, detail=detail):
            return of_fault(part, code), detail
        case rec.ClaimOpened(amount=amount, tender=tender, reason=reason):
            return of_claim(*place), f"{amount} minor units, {tender}: {reason}"
    return None


@dataclass(slots=True)
class Episode:
    """Something that was wrong, and perhaps has healed."""

    cause: str
    detail: str
    since: Place
    healed: Place | None = None


class Episodes:
    """Those that some records tell of, in their order."""

    def __init__(self) -> None:
        """Begin with none."""
        self.told: list[Episode] = []

    def begin(self, cause: str, detail: str, since: Place) -> None:
        """Something is wrong."""
        self.told.append(Episode(cause, detail, since))

    def heal(self, cause: str, at: Place, since: Place = _ANY, detail: str = "") -> None:
        """It has healed; ``since`` is when it began, for one that these records do not tell of."""
        for episode in reversed(self.told):
            if episode.cause == cause:
                if episode.healed is None:
                    episode.healed = at
                    return
                break
        self.told.append(Episode(cause, detail, since, at))
