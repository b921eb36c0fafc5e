"""What became of a story: measured on the physical truth, held against what is expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from simulator.demo.stories import Expected, Story
from simulator.rig import Rig


@dataclass(slots=True)
class Verdict:
    """A story's row in the closing table.

    Args:
        story: Its name.
        title: Its title.
        inserted: Coins and bills put in.
        approved: What a card was approved for, refunded or not.
        products: What fell.
        returned: What came to the tray.
        refunded: What the card got back.
        claimed: What is owed by a claim.
        by_app: What was paid in an app.
        took_s: On the wall.
        problems: Why it failed; empty when all is right.
    """

    story: str
    title: str
    inserted: int = 0
    approved: int = 0
    products: tuple[str, ...] = ()
    returned: int = 0
    refunded: int = 0
    claimed: int = 0
    by_app: int = 0
    took_s: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Tell whether all was as expected."""
        return not self.problems

    @property
    def paid_in(self) -> int:
        """Return what the customer gave, in minor units."""
        return self.inserted + self.approved + self.by_app

    @property
    def paid_back(self) -> int:
        """Return what the customer got back or is owed, in minor units."""
        return self.returned + self.refunded + self.claimed

    @property
    def ways(self) -> tuple[str, ...]:
        """Return by which ways money went back."""
        ways = (("coins", self.returned), ("card", self.refunded), ("claim", self.claimed))
        return tuple(name for name, amount in ways if amount)

    def to_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        found = asdict(self)
        found["took_s"] = round(self.took_s, 2)
        return found | {
            "paid_in": self.paid_in,
            "paid_back": self.paid_back,
            "ways": self.ways,
            "ok": self.good,
        }


class Judge:
    """Measures one story from its beginning to its end."""

    def __init__(self, rig: Rig, story: Story, claims: Sequence[int], last: int) -> None:
        self._rig = rig
        self._story = story
        self._claims = claims
        self._last = last

    @classmethod
    async def begin(cls, rig: Rig, story: Story) -> Judge:
        """Note what is there before the story."""
        last = (await rig.api.call("status"))["journal"]["last"]
        return cls(rig, story, [claim["seq"] for claim in await _claims(rig)], last)

    async def measure(self, frames: Sequence[Sequence[str]]) -> Verdict:
        """Measure what has become of the customer; ask when all is settled."""
        story = self._story
        truth = await self._rig.sim.truth()
        account = truth.accounts.get(story.who)
        refunded = sum(
            card.amount
            for card in truth.cards
            if card.customer == story.who and card.state == "refunded"
        )
        claimed = sum(
            claim["amount"]
            for claim in await _claims(self._rig)
            if claim["seq"] not in self._claims
        )
        verdict = Verdict(story.name, story.title, refunded=refunded, claimed=claimed)
        verdict.by_app = story.by_app
        if account is not None:
            verdict.inserted = account.inserted
            verdict.approved = account.charged + refunded
            verdict.products = account.products
            verdict.returned = account.returned
        verdict.problems += compare(story.expected, verdict)
        verdict.problems += not_shown(story.expected.shown, frames)
        if story.expected.turns is not None:
            journal = await self._rig.api.journal(self._last)
            verdict.problems += turned_otherwise(story.expected.turns, journal)
        verdict.problems += (await self._rig.reckoning()).differences
        return verdict


async def _claims(rig: Rig) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = (await rig.api.call("credit.show"))["claims"]
    return found


def compare(expected: Expected, verdict: Verdict) -> list[str]:
    """Return every figure that is not as expected, in words."""
    wanted = {
        "paid in cash": (expected.inserted, verdict.inserted),
        "charged to the card": (expected.charged, verdict.approved - verdict.refunded),
        "products": (expected.products, verdict.products),
        "came back to the tray": (expected.returned, verdict.returned),
        "given back to the card": (expected.refunded, verdict.refunded),
        "owed by a claim": (expected.claimed, verdict.claimed),
    }
    return [
        f"{name}: {found}, expected {wish}"
        for name, (wish, found) in wanted.items()
        if wish != found
    ]


def not_shown(wanted: Sequence[str], frames: Sequence[Sequence[str]]) -> list[str]:
    """Return what the display should have shown, in this order, and did not."""
    left = list(wanted)
    for frame in frames:
        while left and left[0] in " ".join(" ".join(frame).split()):
            left.pop(0)
    return [f"the display never showed: {text}" for text in left[:1]]


def turned_otherwise(wanted: Sequence[str], journal: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return how the motors' turns, by their records, differ from what is expected."""
    turns = tuple(
        record["data"]["column"] + " extra" * record["data"]["extra"]
        for record in journal
        if record["type"] == "dispense.intended"
    )
    if turns == tuple(wanted):
        return []
    return [f"turns: {', '.join(turns) or 'none'}, expected {', '.join(wanted) or 'none'}"]
