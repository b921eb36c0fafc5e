"""Frozen values that are made as fast as others: for a process that makes millions of them.

``frozen=True`` has a dataclass's constructor call ``object.__setattr__`` for every field, which
takes five times as long as an assignment: one part in fifteen of a swarm's time. That nobody
assigns to a value is checked by the types (mypy), and at run time by every other process, so a
swarm's may do without the guard. Everything else of a class stays: its fields and their defaults,
equality, hash, ``__post_init__``.
"""

from __future__ import annotations

import sys
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Final

OURS: Final = ("controller.", "drivers.", "simulator.", "config.")
_done: Final[set[str]] = set()  # modules; those that a first life loads come with the second


def thaw_all() -> None:
    """Thaw every frozen dataclass of ours that has been loaded."""
    for name, module in list(sys.modules.items()):
        if name.startswith(OURS) and name not in _done:
            _done.add(name)
            for value in list(vars(module).values()):
                if isinstance(value, type) and value.__module__ == name and _is_frozen(value):
                    thaw(value)


def _is_frozen(cls: type) -> bool:
    # Its own guard, not only an ancestor's; and a constructor that dataclass() has written.
    own = vars(cls)
    return is_dataclass(cls) and "__setattr__" in own and "__init__" in own and _is_plain(cls)


def _is_plain(cls: type) -> bool:
    """Tell whether its constructor takes its fields in their order, and nothing else."""
    params: Any = cls.__dataclass_params__  # type: ignore[attr-defined]  # what dataclass() left
    every: dict[str, Field[Any]] = cls.__dataclass_fields__  # type: ignore[attr-defined]
    return (
        params.frozen
        and params.init
        and vars(cls)["__init__"].__code__.co_filename == "<string>"
        and len(every) == len(fields(cls))  # no InitVar, no ClassVar
        and all(one.init and not one.kw_only for one in every.values())
    )


def thaw(cls: type) -> None:
    """Give a frozen dataclass a constructor that assigns, and take its guard away."""
    scope: dict[str, Any] = {"MISSING": MISSING}
    head, body = ["self"], []
    for one in fields(cls):
        name = one.name
        if one.default_factory is not MISSING:
            scope[f"make_{name}"] = one.default_factory
            head.append(f"{name}=MISSING")
            body.append(f"self.{name} = make_{name}() if {name} is MISSING else {name}")
            continue
        if one.default is not MISSING:
            scope[f"default_{name}"] = one.default
            head.append(f"{name}=default_{name}")
        else:
            head.append(name)
        body.append(f"self.{name} = {name}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    lines = [f"def __init__({', '.join(head)}):", *(f" {line}" for line in body or ["pass"])]
    exec("\n".join(lines), scope)  # noqa: S102 - as dataclass() itself does
    made = scope["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    cls.__init__ = made  # type: ignore[misc]  # that is the point
    del cls.__setattr__, cls.__delattr__
