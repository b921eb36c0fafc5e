"""Coins that a pulse acceptor tells once: each is on record as itself, or lost with its vendd.

Sums alone would not do: a coin that was taken for a smaller one beside one that was lost looks as
two that were lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class PulsedCoins:
    """One machine's.

    Args:
        put_in: Coins since the last judgement, in the order in which they were.
        safe: How many of these, the first ones, vendd has told as on record.
        heard: Coins on record since the last judgement.
        on_record: How many of each value the journal holds.
        lost: How many of each value were told to a vendd that died over them.
        last: The last record that was looked at.
    """

    put_in: list[int] = field(default_factory=list)
    safe: int = 0
    heard: list[int] = field(default_factory=list)
    on_record: Counter[int] = field(default_factory=Counter)
    lost: Counter[int] = field(default_factory=Counter)
    last: int = 0

    def read(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Take further records of the journal."""
        for record in records:
            self.last = record["seq"]
            if record["type"] == "coins.deposited":
                self.heard += [coin[1] for coin in record["data"]["coins"]]

    def judge(self, box: Mapping[str, int]) -> tuple[int, list[str]]:
        """Compare with what lies in the cash box, when nothing moves.

        Args:
            box: How many there are of each thing ("coin 50").

        Returns:
            What has been lost since the last time, and what is wrong.
        """
        there = Counter({int(name.split()[1]): count for name, count in box.items()})
        count = len(self.heard)
        problems = []
        if self.heard != self.put_in[:count]:
            problems.append(f"{self.put_in} were put in, {self.heard} are on record")
        if count < self.safe:
            problems.append(f"{self.safe} of {self.put_in} were told as on record, {count} are")
        self.on_record.update(self.heard)
        # The acceptor tells one after the other: behind one that is lost, none is on record.
        maybe = Counter(self.put_in[max(count, self.safe) :])
        missing = there - self.on_record - self.lost
        problems += [
            f"a coin of {value} is on no record, and nobody died over it"
            for value in (missing - maybe).elements()
        ]
        new = missing & maybe
        self.lost += new
        self.put_in, self.heard, self.safe = [], [], 0
        return sum(new.elements()), problems
