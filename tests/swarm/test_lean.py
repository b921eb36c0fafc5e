from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any

import pytest

from simulator.swarm.lean import thaw


@dataclass(frozen=True, slots=True)
class Before:
    """Stays frozen: what a thawed one is compared with."""

    number: int
    words: tuple[str, ...] = ("a",)
    kept: dict[str, int] = field(default_factory=dict)
    total: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", self.number + len(self.words))


@dataclass(frozen=True, slots=True)
class After:
    """The same, to be thawed."""

    number: int
    words: tuple[str, ...] = ("a",)
    kept: dict[str, int] = field(default_factory=dict)
    total: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", self.number + len(self.words))


@dataclass(frozen=True, slots=True)
class Key:
    """Something to look up by."""

    number: int


BEFORE = hash(Key(5))
thaw(After)
thaw(Key)


@pytest.mark.parametrize(
    ("given", "named"),
    [((1,), {}), ((1, ("b", "c")), {}), ((2,), {"kept": {"x": 1}}), ((), {"number": 3})],
)
def test_a_thawed_value_is_made_as_before(given: tuple[Any, ...], named: dict[str, Any]) -> None:
    before, after = Before(*given, **named), After(*given, **named)
    for one in fields(Before):
        assert getattr(before, one.name) == getattr(after, one.name)
    assert repr(before).replace("Before", "After") == repr(after)
    assert after == After(*given, **named)
    assert replace(after, number=7).total == 7 + len(after.words)


def test_a_default_that_is_made_is_made_each_time() -> None:
    assert After(1).kept is not After(1).kept


def test_what_it_is_made_of_is_checked_as_before() -> None:
    make: Any = After
    with pytest.raises(TypeError):
        make()
    with pytest.raises(TypeError):
        make(1, wrong=2)


def test_thawed_values_go_on_being_keys() -> None:
    assert hash(Key(5)) == BEFORE
    assert {Key(5): "found"}[Key(5)] == "found"


def test_nothing_else_is_thawed() -> None:
    frozen: Any = Before(1)
    with pytest.raises(FrozenInstanceError):
        frozen.number = 2
