"""A story of the demo that needs several turns holds only with those."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.demo.stories import STORIES
from simulator.demo.verdict import turned_otherwise

NOT_SEEN = next(story for story in STORIES if story.name == "not-seen").expected.turns


def journal(*turns: tuple[str, bool]) -> list[dict[str, Any]]:
    """Return the records of some turns, among others."""
    intents = [
        {"type": "dispense.intended", "data": {"column": column, "attempt": 1, "extra": extra}}
        for column, extra in turns
    ]
    return [{"type": "vend.opened", "data": {}}, *intents, {"type": "vend.closed", "data": {}}]


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        ((("A1", False), ("A1", True), ("A2", False)), []),
        ((("A1", False), ("A2", False)), ["turns: A1, A2, expected A1, A1 extra, A2"]),
        ((("A1", False), ("A1", True)), ["turns: A1, A1 extra, expected A1, A1 extra, A2"]),
        ((("A2", False),), ["turns: A2, expected A1, A1 extra, A2"]),
        ((), ["turns: none, expected A1, A1 extra, A2"]),
    ],
)
def test_the_product_that_was_not_seen_takes_the_extra_turn_and_the_second_column(
    turns: tuple[tuple[str, bool], ...], said: list[str]
) -> None:
    assert NOT_SEEN is not None
    assert turned_otherwise(NOT_SEEN, journal(*turns)) == said
