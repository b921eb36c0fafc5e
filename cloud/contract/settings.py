"""The settings of a configuration: tables in tables, however they were written, and their digest.

A key may be written with dots: ``{"policy.max_credit": 1}`` is ``{"policy": {"max_credit": 1}}``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


class SettingsError(ValueError):
    """A key is said twice, or is both a value and a table. Says which."""


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings without dots in their keys.

    Raises:
        SettingsError: A key is empty, said twice, or both a value and a table.
    """
    made: dict[str, Any] = {}
    for name, value in settings.items():
        *tables, last = name.split(".")
        here = made
        for part in tables:
            here = here.setdefault(part, {})
            if not isinstance(here, dict):
                raise SettingsError(f"{name}: {part} is a value already")
        if not all((*tables, last)):
            raise SettingsError(f"{name!r}: is no key")
        _put(here, last, value, name)
    return made


def _put(here: dict[str, Any], key: str, value: Any, name: str) -> None:
    there = here.get(key)
    if not isinstance(value, Mapping):
        if key in here:
            raise SettingsError(f"{name}: is said twice")
        here[key] = value
        return
    table = nested({str(inner): one for inner, one in value.items()})
    if key not in here:
        here[key] = table
        return
    if not isinstance(there, dict):
        raise SettingsError(f"{name}: is both a value and a table")
    for inner, one in table.items():
        _put(there, inner, one, f"{name}.{inner}")


def digest_of(settings: Mapping[str, Any]) -> str:
    """Return the SHA-256 of nested settings, hex: the same for the same settings."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
