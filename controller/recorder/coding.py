"""Values of the controller as JSON and back: inputs, effects, settings, what a brain remembers.

Generic over dataclasses, enums and plain objects of ``controller``; nothing else is made when
reading, and no constructor runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Final
from zoneinfo import ZoneInfo

ROOT: Final = "controller."
_PLAIN: Final = (type(None), bool, int, float, str)


class CodingError(ValueError):
    """This can't be written down, or not be read."""


def encode(value: Any) -> Any:
    """Return ``value`` as JSON values. Raises CodingError."""
    if isinstance(value, Enum):
        return {"e": _name(type(value)), "v": value.value}
    if isinstance(value, _PLAIN):
        return value
    match value:
        case list():
            return [encode(item) for item in value]
        case tuple():
            return {"t": [encode(item) for item in value]}
        case bytes():
            return {"b": value.hex()}
        case dict():
            return {"d": [[encode(key), encode(item)] for key, item in value.items()]}
        case set() | frozenset():
            kind = "s" if isinstance(value, set) else "f"
            return {kind: sorted((encode(item) for item in value), key=repr)}
        case ZoneInfo():
            return {"z": value.key}
        case _:
            return {
                "o": _name(type(value)),
                "f": {name: encode(item) for name, item in attributes(value)},
            }


def decode(raw: Any) -> Any:
    """Return what ``encode`` was given. Raises CodingError."""
    if isinstance(raw, list):
        return [decode(item) for item in raw]
    if not isinstance(raw, dict):
        return raw
    match raw:
        case {"e": name, "v": value}:
            return _class(name)(value)
        case {"t": items}:
            return tuple(decode(item) for item in items)
        case {"b": text}:
            return bytes.fromhex(text)
        case {"d": pairs}:
            return {decode(key): decode(item) for key, item in pairs}
        case {"s": items}:
            return {decode(item) for item in items}
        case {"f": list() as items}:
            return frozenset(decode(item) for item in items)
        case {"z": key}:
            return ZoneInfo(key)
        case {"o": name, "f": dict() as values}:
            cls = _class(name)
            made = object.__new__(cls)
            for attribute, item in values.items():
                object.__setattr__(made, attribute, decode(item))
            return made
        case _:
            raise CodingError(f"no value: {str(raw)[:60]}")


def attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield an object's attributes by name."""
    if is_dataclass(value):
        names = [field.name for field in fields(value)]
    else:
        slots = [name for cls in type(value).__mro__ for name in getattr(cls, "__slots__", ())]
        names = [*slots, *getattr(value, "__dict__", ())]
    for name in names:
        if hasattr(value, name):
            yield name, getattr(value, name)


def _name(cls: type) -> str:
    if not cls.__module__.startswith(ROOT):
        raise CodingError(f"{cls.__module__}.{cls.__qualname__} is none of the controller's")
    return f"{cls.__module__}:{cls.__qualname__}"


def _class(name: str) -> type[Any]:
    module, _, qualified = name.partition(":")
    if not module.startswith(ROOT) or "." in qualified:
        raise CodingError(f"{name} is none of the controller's")
    try:
        found = getattr(importlib.import_module(module), qualified, None)
    except ImportError as error:
        raise CodingError(f"this software knows no {name}") from error
    if not isinstance(found, type):
        raise CodingError(f"this software knows no {name}")
    return found
