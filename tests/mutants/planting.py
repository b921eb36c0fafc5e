"""Planting a bug: attributes are replaced while a life is played, and put back after it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from simulator.world import Link

MISSING = object()


class Soil:
    """What has been replaced, and by what it stood before."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def put(self, owner: Any, name: str, value: Any) -> None:
        """Replace an attribute of a module or class.

        Raises:
            TypeError: The new function does not take what the old one takes: its life would end
                in an exception, and prove nothing of the oracles.
        """
        fits(getattr(owner, name, None), value)
        self._before.append((owner, name, vars(owner).get(name, MISSING)))
        setattr(owner, name, value)

    def wrap(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Replace a function by what ``make`` makes of it."""
        self.put(owner, name, make(getattr(owner, name)))

    def clear(self) -> None:
        """Put everything back."""
        while self._before:
            owner, name, value = self._before.pop()
            if value is MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, value)


def fits(old: Any, new: Any) -> None:
    """Raise TypeError unless ``new`` takes all that ``old`` takes, and needs no more."""
    if not (inspect.isfunction(old) and inspect.isfunction(new)):
        return
    asked, given = inspect.signature(old).parameters.values(), inspect.signature(new)
    kind = inspect.Parameter
    for wanted in (asked, [each for each in asked if each.default is kind.empty]):
        placed = [
            each.name
            for each in wanted
            if each.kind in {kind.POSITIONAL_ONLY, kind.POSITIONAL_OR_KEYWORD}
        ]
        named = {each.name: each for each in wanted if each.kind is kind.KEYWORD_ONLY}
        given.bind(*placed, **named)


@dataclass(frozen=True)
class Mutant:
    """One planted bug.

    Args:
        name: What is wrong, in a few words.
        plant: Puts it in.
        faults: What has to break for it to show.
        link: The link that it shows on, if only one.
    """

    name: str
    plant: Callable[[Soil], None]
    faults: str = "all"
    link: Link | None = None


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """Have the bug while the block runs."""
    soil = Soil()
    mutant.plant(soil)
    try:
        yield
    finally:
        soil.clear()
