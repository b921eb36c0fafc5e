"""What is held back is there when it is asked for, and values are as frozen as before.

In processes of their own: what changes is the interpreter's.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BEGIN = """
import sys
from controller import lean
lean.hold_back()
"""


def run(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout.split()


@pytest.mark.parametrize(
    ("importing", "using"),
    [
        ("import difflib", "difflib.get_close_matches('prize', ['price'])"),
        ("import urllib.request", "urllib.request.getproxies"),
        ("from urllib.request import getproxies", "getproxies"),
        ("import gpiozero.pins.pi", "gpiozero.LEDBoard"),
        ("from gpiozero import LEDBoard, exc", "exc.PinInvalidPin"),
        ("from transitions.extensions import GraphMachine", "GraphMachine"),
        ("from structlog import stdlib", "stdlib.BoundLogger"),
    ],
)
def test_what_is_held_back_comes_when_it_is_asked_for(importing: str, using: str) -> None:
    assert run(f"{BEGIN}{importing}\nprint(bool({using}))") == ["True"]


def test_a_part_comes_without_the_package() -> None:
    code = f"""{BEGIN}
from gpiozero import exc
import gpiozero.pins.pi
print(exc.PinInvalidPin.__name__, gpiozero.pins.pi.PiFactory.__name__)
print("gpiozero.boards" in sys.modules)
print(hasattr(gpiozero, "LEDBoard"), "gpiozero.boards" in sys.modules)
"""
    assert run(code) == ["PinInvalidPin", "PiFactory", "False", "True", "True"]


def test_what_nobody_has_is_not_there() -> None:
    code = f"{BEGIN}\nimport difflib\nprint(hasattr(difflib, 'nothing'), bool(difflib.ndiff))"
    assert run(code) == ["False", "True"]


FROZEN = """
import gc, weakref
from dataclasses import FrozenInstanceError, dataclass
from controller.lean import share_refusals
before = []

def kept(cls):
    before.append(weakref.ref(cls))
    return dataclass(frozen=True, slots=True)(cls)

@kept
class Coin:
    value: int

@dataclass(slots=True)
class Tube:
    count: int

share_refusals()
gc.collect()
coin, tube = Coin(5), Tube(1)
tube.count = 2
for change in (lambda: setattr(coin, "value", 6), lambda: delattr(coin, "value"),
               lambda: setattr(coin, "other", 6)):
    try:
        change()
    except FrozenInstanceError:
        print("refused")
print(coin.value, coin == Coin(5), hash(coin) == hash(Coin(5)), tube.count, before[0]())
"""


def test_frozen_values_stay_frozen_and_keep_no_second_class() -> None:
    assert run(FROZEN) == ["refused"] * 3 + ["5", "True", "True", "2", "None"]
