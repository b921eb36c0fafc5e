"""From a configuration file to plain values: one TOML file, read whole."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from controller.faults import ConfigError

MAX_FILE_BYTES: Final = 1 << 20
"""A configuration has some 10 KiB. What is larger was named by mistake; a device has no end."""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; a byte order mark at its start is passed over.

    Raises:
        ConfigError: It can't be read, is too large, or is no TOML.
        FileNotFoundError: It is not there.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{path}: is larger than {MAX_FILE_BYTES} bytes: no configuration")
    try:
        raw = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no text in UTF-8 (byte {error.start + 1})") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: is no TOML: nested too deeply") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is no TOML: {error}") from error
    nuls = [f"{path}: {key}: holds a NUL, which no name has" for key in _with_nul(raw, "")]
    if nuls:
        raise ConfigError("\n".join(nuls))
    return raw


def _with_nul(value: object, key: str) -> Iterator[str]:
    """Yield the keys whose text holds a NUL: no path, name or line of a display does."""
    if isinstance(value, str) and "\0" in value:
        yield key
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _with_nul(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _with_nul(inner, f"{key}[{index}]")


def as_json(raw: dict[str, Any]) -> str:
    """Return the values as JSON, where an array may become a tuple and nothing else is converted.

    TOML's dates and times, which no key of ours takes, become what no key accepts as a text.
    """
    return json.dumps(raw, default=lambda value: {"date or time": str(value)})
