"""The AsyncAPI 3 document and the JSON Schemas, generated from the models.

``python -m cloud.contract.asyncapi FOLDER`` writes them; a test says whether they are current.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from cloud.contract.batch import MAX_BYTES, BatchHead
from cloud.contract.commands import KINDS, CommandBody
from cloud.contract.events import DomainEvent
from cloud.contract.https import DOWN, LENGTHS, Answer, Question, Renewal, RenewalRequest
from cloud.contract.https import PREFIX as PATHS
from cloud.contract.messages import (
    Ack,
    Checkpoint,
    Countersigned,
    Desired,
    Presence,
    Signed,
    SignedKey,
    State,
    Telemetry,
    Urgent,
)
from cloud.contract.signing import COMMAND, COUNTERSIGNED, DESIRED, KEY, KeyBody
from cloud.contract.topics import PREFIX, RETAINED, UP, Topic

VERSION: Final = "1.0.0"
_BATCH: Final = "application/vnd.vendd.batch"
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class _Channel:
    topic: Topic
    model: type[BaseModel]
    summary: str
    content_type: str = _JSON
    description: str = ""


_CHAIN: Final = (
    "A record's hash is SHA-256(the hash before it, 32 bytes ‖ the journal's id, 16 bytes ‖ seq ‖ "
    "boot ‖ body), seq and boot as 8 bytes each, unsigned and big-endian; before the first record "
    f"stand 32 zero bytes. A batch is {MAX_BYTES} bytes at most. Its bodies are joined by a line "
    "feed, with none behind the last. A body is JSON in one line, its keys in this order, without "
    'blanks: {"at":…,"tc":…,"mono_ms":…,"type":"…","v":…,"vend":…,"data":{…},"postings":[["account"'
    ",n],…]}: UTC in ms, whether that time was confirmed, ms of this boot's clock, the type, the "
    "version of its data, the seq of the record that opened its saga or null, the data, and lines "
    "in minor units that sum to zero. One that is chained and not understood is stored and "
    "acknowledged all the same."
)


def _signed(purpose: bytes, more: str = "") -> str:
    return (
        f"Ed25519 (RFC 8032) over `{purpose.decode()}` and the exact bytes of the body, with the "
        f"key that `key` vouches for: that one's signature is the root key's over `{KEY.decode()}` "
        "and the bytes of a `KeyBody`." + more
    )


CHANNELS: Final = (
    _Channel(
        Topic.EVENTS,
        BatchHead,
        "A batch of the journal: this head as one line of JSON, then the records, one a line, as a "
        "zstd frame.",
        _BATCH,
        _CHAIN,
    ),
    _Channel(Topic.URGENT, Urgent, "A copy of one record that overtakes the backlog."),
    _Channel(Topic.STATE, State, "How the machine is now."),
    _Channel(Topic.PRESENCE, Presence, "Online or offline (the last will)."),
    _Channel(
        Topic.TELEMETRY, Telemetry, "What nobody waits for: samples, and how far long commands are."
    ),
    _Channel(
        Topic.ACK,
        Ack,
        "What the fleet has committed.",
        description="`countersigned`: " + _signed(COUNTERSIGNED),
    ),
    _Channel(
        Topic.DESIRED,
        Signed,
        "Signed configuration; its body is a `Desired`.",
        description=_signed(DESIRED),
    ),
    _Channel(
        Topic.CMD,
        Signed,
        "A signed command; its body is a `CommandBody`.",
        description=_signed(
            COMMAND,
            " An `id` runs at most once; of one kind and target none runs behind a higher "
            "`counter`, where a later one takes an earlier one's place. What becomes of it are "
            "records, `command.started` and `command.finished`.",
        ),
    ),
)

INSIDE: Final[tuple[type[BaseModel], ...]] = (
    CommandBody,
    Desired,
    KeyBody,
    SignedKey,
    Checkpoint,
    Countersigned,
    DomainEvent,
    Question,
    Answer,
    RenewalRequest,
    Renewal,
)


def _schemas() -> dict[str, Any]:
    models = {channel.model for channel in CHANNELS} | set(INSIDE) | set(KINDS.values())
    ordered = sorted(models, key=lambda model: model.__name__)
    _, document = models_json_schema(
        [(model, "validation") for model in ordered], ref_template="#/components/schemas/{model}"
    )
    found: dict[str, Any] = document["$defs"]
    return found


def document() -> dict[str, Any]:
    """Return the AsyncAPI 3 document."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for channel in CHANNELS:
        name = channel.topic.value
        up = channel.topic in UP
        messages[name] = {
            "name": name,
            "summary": channel.summary,
            "contentType": channel.content_type,
            "payload": {"$ref": f"#/components/schemas/{channel.model.__name__}"},
        }
        channels[name] = {
            "address": f"{PREFIX}/{{tenant}}/{{machine}}/{name}",
            "summary": channel.summary,
            **({"description": channel.description} if channel.description else {}),
            "parameters": {
                "tenant": {"description": "whose machine"},
                "machine": {"description": "which machine"},
            },
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
            "bindings": {"mqtt": {"bindingVersion": "0.2.0"}},
        }
        operations[f"{'receive' if up else 'send'}_{name}"] = {
            "action": "receive" if up else "send",
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": channel.summary,
            "bindings": {
                "mqtt": {
                    "qos": 0 if channel.topic is Topic.TELEMETRY else 1,
                    "retain": channel.topic in RETAINED,
                    "bindingVersion": "0.2.0",
                }
            },
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "vendd: machine and fleet",
            "version": VERSION,
            "description": "What machines and their fleet say to each other, as the fleet sees it. "
            "Generated from `cloud/contract`. Over HTTPS a machine posts the same bytes to "
            f"`{PATHS}/<topic>`, and a `Question` to `{DOWN}`; each is answered by an `Answer`. "
            f"Several batches in one request tell their lengths in `{LENGTHS}`, with commas.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": _JSON,
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": _schemas()},
    }


def files() -> dict[str, str]:
    """Return what stands in the folder: the document, and a JSON Schema for each message."""
    whole = document()
    found = {"asyncapi.json": whole}
    for name, schema in whole["components"]["schemas"].items():
        inside = json.loads(json.dumps(schema).replace("#/components/schemas/", ""))
        for part in _references(inside):
            part["$ref"] += ".json"
        found[f"schemas/{name}.json"] = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **inside,
        }
    return {
        name: json.dumps(content, indent=1, ensure_ascii=False, sort_keys=False) + "\n"
        for name, content in found.items()
    }


def _references(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, dict):
        found = [node] if isinstance(node.get("$ref"), str) else []
        return found + [part for value in node.values() for part in _references(value)]
    if isinstance(node, list):
        return [part for value in node for part in _references(value)]
    return []


def main(arguments: list[str]) -> int:
    """Write the files into a folder."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m cloud.contract.asyncapi FOLDER\n")
        return 2
    folder = Path(arguments[0])
    (folder / "schemas").mkdir(parents=True, exist_ok=True)
    for old in (folder / "schemas").glob("*.json"):
        old.unlink()
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
