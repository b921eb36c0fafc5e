"""What a vendd that runs for years does without: memory that nothing of it would ever use.

Only for a process of its own: what changes here is the interpreter's. Nothing is lost by it: a
module that is held back is loaded as soon as somebody wants something of it.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import FrozenInstanceError
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final, NoReturn

HELD_BACK: Final = frozenset(
    {
        # They gather far more than the one part that we import (1.6 and 0.4 MiB): leds, robots and
        # boards; machines with threads, with asyncio and with pictures.
        "gpiozero", "transitions.extensions",
        # Others import them for a case that never comes here: a program in a zip file, an HTTP
        # proxy on the way to the broker, a key of the configuration that is misspelt (1 MiB).
        "difflib", "urllib.request",
        # Ways to log that we do not take.
        "structlog.stdlib", "structlog.threadlocal",
    }
)  # fmt: skip
# What structlog would take in if it were there: colours that no daemon shows (4 MiB, 40 ms), and
# threads that we have none of (2 MiB with what they are linked to).
UNWANTED: Final = ("rich", "greenlet")
# For the process that is to be lean. Each of its few threads would begin a heap of its own.
ENVIRONMENT: Final[Mapping[str, str]] = {"MALLOC_ARENA_MAX": "1"}


class HeldBack(ModuleType):
    """A module that loads itself when asked for more than its parts, which can be had without."""

    __spec__: ModuleSpec

    def __getattr__(self, name: str) -> Any:
        """Return what only the whole module has."""
        spec = self.__spec__
        within = spec.submodule_search_locations
        if name.startswith("__") or (
            within and PathFinder.find_spec(f"{spec.name}.{name}", within)
        ):
            raise AttributeError(name)  # a part: whoever imports it finds it
        self.__class__ = ModuleType  # type: ignore[assignment]  # an ordinary one from now on
        assert spec.loader is not None
        spec.loader.exec_module(self)
        return getattr(self, name)


class _Later(Loader):
    """Makes a module and leaves it to load itself."""

    def __init__(self, real: Loader) -> None:
        self._real = real

    def exec_module(self, module: ModuleType) -> None:
        """Leave it."""
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._real
        module.__class__ = HeldBack


class _Finder:
    """Finds what is held back, before the import system's own finders do."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find it; None for everything else."""
        spec = PathFinder.find_spec(name, path, target) if name in HELD_BACK else None
        if spec is not None and spec.loader is not None:
            spec.loader = _Later(spec.loader)
        return spec


def hold_back() -> None:
    """Have what is seldom used wait until it is; to be called before the rest is imported."""
    sys.meta_path.insert(0, _Finder)


@contextmanager
def lean_import() -> Iterator[None]:
    """Import in here what the process needs for good.

    Nothing of it is garbage: looking for some would take a fifth of the time.
    """
    hidden = {name: sys.modules.get(name) for name in UNWANTED}
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # makes its import an ImportError
    gc.disable()
    gc.freeze()
    try:
        yield
        share_refusals()
        gc.collect()  # the classes that only those refusals kept
    finally:
        gc.freeze()
        gc.enable()
        for name, module in hidden.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module


def share_refusals() -> None:
    """Give all frozen values with slots the same two methods that refuse to change one.

    ``dataclass`` writes a pair for each class, and the pair keeps the class as it was before it got
    its slots: 7 KiB for each of some three hundred. So does, up to Python 3.11.2, the descriptor of
    a ``__weakref__`` that the class with slots has not.
    """
    for cls in _below(object):
        made = cls.__dict__.get("__dataclass_params__")
        if made is not None and made.frozen and "__slots__" in cls.__dict__:
            cls.__setattr__ = _no_change  # type: ignore[assignment]  # that is the point
            cls.__delattr__ = _no_loss  # type: ignore[assignment]
            stale = cls.__dict__.get("__weakref__")
            if stale is not None and stale.__objclass__ is not cls:
                del cls.__weakref__  # type: ignore[attr-defined]


def _below(cls: type) -> Iterator[type]:
    each: type
    for each in type.__subclasses__(cls):
        yield each
        yield from _below(each)


def _no_change(self: object, name: str, value: object) -> NoReturn:
    del self, value
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _no_loss(self: object, name: str) -> NoReturn:
    del self
    raise FrozenInstanceError(f"cannot delete field {name!r}")
