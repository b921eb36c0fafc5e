"""What happened in the world, in a spectator's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from simulator.demo.teller import Teller, Tone

_MOVED: Final = re.compile(
    r"(?:(?P<count>\d+) x )?(?P<kind>coin|bill|product) (?P<what>\S+): "
    r"(?P<source>\S+) -> (?P<target>\S+)(?: \((?P<why>.*)\))?"
)
_CARD: Final = re.compile(r"#\d+ (?P<state>\w+) (?P<amount>\d+)")
_CARD_WORDS: Final[Mapping[str, str]] = {
    "approved": "the card's bank approves {amount}",
    "declined": "the card's bank declines",
    "captured": "the card is charged {amount}",
    "refunded": "the card gets its {amount} back",
}


def tell(teller: Teller, fact: Mapping[str, Any]) -> None:
    """Tell a fact of the world, if a spectator would see it."""
    detail = str(fact["detail"])
    if fact["what"] == "card":
        found = _CARD.match(detail)
        words = _CARD_WORDS.get(found["state"]) if found else None
        if found and words:
            teller.caption(words.format(amount=teller.money(int(found["amount"]))), Tone.FACT)
        return
    found = _MOVED.fullmatch(detail)
    if found is None:
        return
    match found["kind"], found["source"], found["target"]:
        case "product", _, "bin":
            teller.caption(f"{teller.product(found['what'])} falls", Tone.FACT)
        case "coin", _, "tray":
            for _ in range(int(found["count"] or 1)):
                teller.coin_falls(int(found["what"]))
        case "bill", _, "stacker":
            teller.caption("the bill is stacked", Tone.FACT)
        case "bill", _, "tray":
            teller.caption("the bill comes back", Tone.FACT)
        case _:
            return
