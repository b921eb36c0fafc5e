"""From a validation error to lines to act on: file, key, value, what is allowed."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_WORDS = {
    "missing": "is missing",
    "int_type": "is no whole number; allowed: a whole number, without quotes",
    "int_from_float": "is no whole number; allowed: a whole number",
    "float_type": "is no number; allowed: a number, without quotes",
    "string_type": "is no text; allowed: a text in quotes",
    "bool_type": "is neither true nor false; allowed: true or false",
    "tuple_type": "is no list; allowed: a list in [ ]",
    "dict_type": "is no table; allowed: a table",
    "model_type": "is no table; allowed: a table",
    "path_type": "is no path; allowed: a path in quotes",
}

# Of an address: "postgresql://anna:secret@host/", "...?password=secret".
_PASSWORD = re.compile(r"(://[^/@\s\"]*?:)[^@\s\"]*(?=@)|([?&](?:ssl)?password=)[^&\s\"]*")

_LENGTHS = {"at least": "min_length", "at most": "max_length"}


def explain(
    path: Path, raw: Mapping[str, Any], error: ValidationError, model: type[BaseModel]
) -> Iterator[str]:
    """Yield one line per mistake.

    Args:
        path: The file.
        raw: What was read from it.
        error: What the model said.
        model: The model of the whole file.
    """
    for detail in error.errors(include_url=False):
        key, value = _key_and_value(raw, detail)
        shown = "" if value is None else f" = {_shown(value)}"
        yield f"{path}: {key}{shown}: {_words(detail, model)}"


def _shown(value: Any) -> str:
    """Return a value as it stands in the file, without the password of an address."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return _PASSWORD.sub(r"\1\2***", text)


def _words(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return _unknown_key(detail, model)
    if kind in _WORDS:
        return _WORDS[kind]
    context = detail.get("ctx", {})
    if kind == "literal_error":
        return f"is not known; allowed: {context['expected']}"
    if kind == "union_tag_invalid":
        return f"is not known; allowed: {context['expected_tags']}"
    if kind == "union_tag_not_found":
        return f"lacks its key {context['discriminator']}"
    if kind in {"too_short", "too_long"}:
        bounds = [f"{at} {context[b]}" for at, b in _LENGTHS.items() if b in context]
        return f"is {kind.replace('_', ' ')}; allowed: {', '.join(bounds)}"
    return detail["msg"]


def _key_and_value(raw: Any, detail: ErrorDetails) -> tuple[str, Any]:
    """Return the key as a person writes it, and a plain value to show or None.

    A location also names the member of a union that was tried; the file has no such key.
    """
    key = ""
    here = raw
    for part in detail["loc"]:
        if isinstance(part, int) and isinstance(here, list):
            key, here = f"{key}[{part}]", here[part]
        elif isinstance(here, dict) and part in here:
            key, here = f"{key}.{part}", here[part]
        elif detail["type"] == "missing" and part == detail["loc"][-1]:
            key, here = f"{key}.{part}", None
    if detail["type"] == "union_tag_invalid":
        tag = str(detail["ctx"]["discriminator"]).strip("'")
        key, here = f"{key}.{tag}", here.get(tag)
    return key.removeprefix("."), None if isinstance(here, dict | list) and here else here


def _unknown_key(detail: ErrorDetails, model: type[BaseModel]) -> str:
    *parents, name = detail["loc"]
    known = sorted(_model_at(model, parents).model_fields)
    close = difflib.get_close_matches(str(name), known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"is an unknown key{hint}; allowed here: {', '.join(known)}"


def _model_at(annotation: Any, location: list[int | str]) -> type[BaseModel]:
    """Return the model that a location's table is read with."""
    models = _models_in(annotation)
    if len(models) > 1 and location:  # a union: the location names the member's tag
        tag, *location = location
        models = [
            m for m in models if any(tag in get_args(f.annotation) for f in m.model_fields.values())
        ]
    found = models[0]
    while location and isinstance(location[0], int):
        location = location[1:]
    if not location:
        return found
    step, *rest = location
    while rest and isinstance(rest[0], int):
        rest = rest[1:]
    inner = found.model_fields[str(step)].annotation
    if rest and get_origin(inner) is Mapping:
        rest = rest[1:]  # a name of ours in the table, no key of a model
    return _model_at(inner, rest)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that an annotation holds, through lists, unions and metadata."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        arguments = arguments[:1]
    return [model for argument in arguments for model in _models_in(argument)]
