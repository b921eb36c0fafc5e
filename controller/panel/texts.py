"""The panel's words, one TOML file a language, read and checked whole at the start."""

from __future__ import annotations

import string
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from controller.faults import ConfigError
from controller.panel.view import Message

LINES: Final = 4

PHRASES: Final = (
    "language", "pay_cash_and_card", "pay_cash", "pay_card", "pay_nothing", "exact_change",
    "or_coins",
)  # fmt: skip
FIELDS: Final = frozenset(
    {"selection", "product", "price", "credit", "amount", "code", "pay", "exact_change"}
    | {"or_coins", "language", "key"}
)


@dataclass(frozen=True, slots=True)
class Texts:
    """One language's words.

    A line is centred; ``left|right`` puts its two parts to the edges, and the left one gives way.
    """

    language: str
    phrases: Mapping[str, str]
    messages: Mapping[Message, tuple[str, ...]]


def shipped_texts() -> Traversable:
    """Return the folder of the texts that come with the program."""
    return files("config") / "texts"


def shipped_languages() -> frozenset[str]:
    """Return the languages that there are texts of, those of the machine's owner too."""
    names = (entry.name for entry in shipped_texts().iterdir())
    return frozenset(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def load_texts(folder: Traversable, languages: Iterable[str]) -> dict[str, Texts]:
    """Read the named languages, in order; the first is the one that is shown unasked.

    Raises:
        ConfigError: A file is missing, or a message in it is missing, unknown or malformed.
    """
    return {language: _load(folder / f"{language}.toml", language) for language in languages}


@lru_cache(maxsize=8)
def load_shipped(languages: tuple[str, ...]) -> Mapping[str, Texts]:
    """Return the named languages as they come with the program, read once in a process.

    Raises:
        ConfigError: As ``load_texts``.
    """
    return load_texts(shipped_texts(), languages)


def _load(file: Traversable, language: str) -> Texts:
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        known = "en, de, es"
        raise ConfigError(
            f'machine.languages = "{language}": {file} cannot be read: {error.strerror}; '
            f"allowed: {known}, or a file of yours there"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: is no TOML: {error}") from error
    mistakes = list(_mistakes(raw))
    if mistakes:
        raise ConfigError("\n".join(f"{file}: {mistake}" for mistake in mistakes))
    return Texts(
        language,
        dict(raw["phrases"]),
        {Message(name): tuple(lines) for name, lines in raw["messages"].items()},
    )


def _mistakes(raw: Mapping[str, Any]) -> Iterable[str]:
    for table, wanted in (("phrases", PHRASES), ("messages", tuple(Message))):
        there = raw.get(table, {})
        for name in wanted:
            if name not in there:
                yield f"{table}.{name}: is missing"
        for name in there:
            if name not in wanted:
                yield f"{table}.{name}: is unknown"
    for name, text in raw.get("phrases", {}).items():
        if not isinstance(text, str):
            yield f"phrases.{name}: allowed: a text"
    for name, lines in raw.get("messages", {}).items():
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            yield f"messages.{name}: allowed: a list of texts"
        elif len(lines) > LINES:
            yield f"messages.{name}: has {len(lines)} lines; allowed: {LINES} at most"
        else:
            yield from (f"messages.{name}: {mistake}" for line in lines for mistake in _in(line))


def _in(line: str) -> Iterable[str]:
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(line) if field is not None]
    except ValueError as error:
        yield f'"{line}": {error}'
        return
    for field in fields:
        if field not in FIELDS:
            yield f"{{{field}}}: is unknown; allowed: {', '.join(sorted(FIELDS))}"
    if line.count("|") > 1:
        yield f'"{line}": allowed: one | at most'
