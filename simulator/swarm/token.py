"""A life as one word for a command line, and back: what a report offers to play again.

The word holds the whole life (machine, customers, troubles, ends), not the seed that it came from,
so that it also says a story that was shortened, and stays the same story when drawing changes.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from simulator.swarm.plan import Act, Build, End, Life, Step, Trouble


class BadTokenError(ValueError):
    """It is no life that this version knows; the text says why."""


def encode(life: Life) -> str:
    """Return the word of a life: letters, digits, - and _."""
    data = json.dumps(_plain(life), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(zlib.compress(data, 9)).rstrip(b"=").decode()


def decode(word: str) -> Life:
    """Return the life of a word.

    Raises:
        BadTokenError: It is damaged, or another version's.
    """
    try:
        packed = base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))
        value = json.loads(zlib.decompress(packed))
        steps = tuple(_step(step) for step in value.pop("steps", ()))
        build = _build(value.pop("build", {}))
        return Life(value.pop("seed"), build, steps, value.pop("finale", ""))
    except (binascii.Error, zlib.error, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadTokenError(f"no life that can be played: {error}") from error


def _plain(value: Any) -> Any:
    """Return JSON values; whatever is as by default is left out."""
    if isinstance(value, Life | Build | Step | Act | Trouble | End):
        found = {}
        for entry in fields(value):
            held = getattr(value, entry.name)
            default = entry.default  # True equals 1, and is not the same
            if default is MISSING or held != default or type(held) is not type(default):
                found[entry.name] = _plain(held)
        return found
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value


def _step(value: Mapping[str, Any]) -> Step:
    given = dict(value)
    acts = tuple(Act(**act) for act in given.pop("acts", ()))
    troubles = tuple(_trouble(trouble) for trouble in given.pop("troubles", ()))
    end = given.pop("end", None)
    return Step(acts=acts, troubles=troubles, end=None if end is None else _end(end), **given)


def _trouble(value: Mapping[str, Any]) -> Trouble:
    given = dict(value)
    if isinstance(given.get("value"), dict):  # JSON's keys are texts
        given["value"] = {int(kind): number for kind, number in given["value"].items()}
    return Trouble(**given)


def _end(value: Mapping[str, Any]) -> End:
    given = dict(value)
    again = tuple(_end(end) for end in given.pop("again", ()))
    return End(again=again, **given)


def _build(value: Mapping[str, Any]) -> Build:
    listed: dict[str, Any] = {
        name: tuple(held) if isinstance(held, list) else held for name, held in value.items()
    }
    return Build(**listed)
