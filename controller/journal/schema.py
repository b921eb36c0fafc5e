"""Numbered .sql files and ``PRAGMA user_version``: how a journal written by older software grows.

A migration only ever adds; bodies and hashes are never written again. Each runs in one
transaction together with its version number, so that a power cut leaves the old one or the new.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import Final

from controller.faults import InvariantError
from controller.journal.database import Database, Statement
from controller.journal.errors import JournalNewerError

APPLICATION_ID: Final = 0x76656E64  # "vend", in the file's header
_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_COMMENT: Final = re.compile(r"^\s*--.*$", re.MULTILINE)


def migrations() -> list[tuple[int, list[Statement]]]:
    """Return (version, statements) of each migration, oldest first.

    Raises:
        InvariantError: The files are not numbered 1, 2, 3, …
    """
    found: list[tuple[int, list[Statement]]] = []
    for entry in resources.files("controller.journal").joinpath("migrations").iterdir():
        if match := _NAME.fullmatch(entry.name):
            text = _COMMENT.sub("", entry.read_text(encoding="utf-8"))
            statements = [part.strip() for part in text.split(";\n")]
            found.append((int(match[1]), [(sql, ()) for sql in statements if sql]))
    found.sort(key=lambda one: one[0])
    if [version for version, _ in found] != list(range(1, len(found) + 1)):
        raise InvariantError("migrations are not numbered without a gap")
    return found


async def version_of(database: Database) -> int:
    """Return the schema's version; 0 for a file without one."""
    return int((await database.query("PRAGMA user_version"))[0][0])


async def migrate(database: Database) -> int:
    """Bring the schema to this software's version and return how many steps that took.

    Raises:
        JournalNewerError: A newer software wrote the file.
    """
    steps = migrations()
    have = await version_of(database)
    if have > len(steps):
        raise JournalNewerError(f"the journal's schema is {have}, this software knows {len(steps)}")
    for version, statements in steps[have:]:
        head: list[Statement] = [] if have else [(f"PRAGMA application_id={APPLICATION_ID}", ())]
        await database.transaction([*head, *statements, (f"PRAGMA user_version={version}", ())])
    return len(steps) - have
