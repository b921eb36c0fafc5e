"""A recording in words, line by line, for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any


def story(lines: Iterable[bytes]) -> Iterator[tuple[float, str, str]]:
    """Yield when, what and details; the head first.

    Raises:
        ValueError: It is no recording.
    """
    source = iter(lines)
    try:
        head = json.loads(next(source))
        begun = float(head["begun_s"])
        yield (
            begun,
            "recording",
            f"{head['reason']}: {head['machine']}, {head['software']}, start {head['boot']},"
            f" behind record {head['after_seq']}; {head['inputs']} inputs, {head['events']} events"
            + (f"; can't be replayed: {head['gap']}" if head["gap"] else ""),
        )
        for raw in source:
            line = json.loads(raw)
            yield from _line(line)
    except StopIteration as error:
        raise ValueError("no recording: it is empty") from error
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"no recording: {error!r}") from error


def _line(line: dict[str, Any]) -> Iterator[tuple[float, str, str]]:
    at_s = float(line["at"])
    if "mdb" in line:
        idle = f"({line['idle']} idle polls) " if "idle" in line else ""
        answer = line.get("data") or line["answer"]
        yield at_s, "bus", f"{idle}{line['mdb'] or 'break'} -> {answer}"
    elif "pin" in line:
        yield at_s, "pin", f"{line['pin']} {'on' if line['on'] else 'off'}"
    elif "line" in line:
        yield at_s, line["line"], line["data"]
    else:
        yield at_s, "input", f"{_said(line['input'])} [{line['mode']}]"
        for body in line.get("records", ()):
            record = json.loads(body)
            yield at_s, "record", f"{record['type']} {_short(record['data'])}"
        for effect in line.get("effects", ()):
            yield at_s, "effect", _said(effect)


def _said(value: Any) -> str:
    """Return an encoded value in few words."""
    match value:
        case {"o": name, "f": dict() as fields}:
            inside = ", ".join(f"{key}={_said(item)}" for key, item in fields.items())
            return f"{str(name).rpartition(':')[2]}({inside})"
        case {"e": _, "v": word}:
            return str(word)
        case {"t": items} | {"s": items} | {"f": items} | {"d": items}:
            return "[" + ", ".join(_said(item) for item in items) + "]"
        case {"b": text}:
            return str(text)
        case {"act": command, "by": by}:
            return f"{_said(command)} by {by}"
        case {"money": inner} | {"heard": inner} | {"other": inner} | {"lost": inner}:
            return _said(inner)
        case list():
            return "[" + ", ".join(_said(item) for item in value) + "]"
        case _:
            return str(value)


def _short(data: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in data.items() if value not in ("", [], None))
