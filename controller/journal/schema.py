"""Numbered .sql files and ``PRAGMA user_version``: how a journal written by older software grows.

A migration only ever adds; bodies and hashes are never written again. Each runs in one
transaction together with its version number, so that a power cut leaves the old one or the new.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from controller.faults import InvariantError
from controller.journal.database import Database, Statement
from controller.journal.errors import JournalNewerError

APPLICATION_ID: Final = 0x76656E64  # "vend", in the file's header
SMALL: Final = ("journal", "base", "snapshot")  # a few rows each
_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_COMMENT: Final = re.compile(r"^\s*--.*$", re.MULTILINE)


Migration = tuple[int, tuple[Statement, ...]]


def migrations_in(folder: Traversable) -> tuple[Migration, ...]:
    """Return (version, statements) of each migration, oldest first.

    Raises:
        InvariantError: The files are not numbered 1, 2, 3, …
    """
    found: list[Migration] = []
    for entry in folder.iterdir():
        if match := _NAME.fullmatch(entry.name):
            text = _COMMENT.sub("", entry.read_text(encoding="utf-8"))
            parts = [part.strip() for part in text.split(";\n")]
            found.append((int(match[1]), tuple((sql, ()) for sql in parts if sql)))
    found.sort(key=lambda one: one[0])
    if [version for version, _ in found] != list(range(1, len(found) + 1)):
        raise InvariantError("migrations are not numbered without a gap")
    return tuple(found)


@cache
def migrations() -> tuple[Migration, ...]:
    """Return the migrations that come with the program, read once in a process.

    Raises:
        InvariantError: As ``migrations_in``.
    """
    return migrations_in(resources.files("controller.journal") / "migrations")


async def version_of(database: Database) -> int:
    """Return the schema's version; 0 for a file without one."""
    return int((await database.query("PRAGMA user_version"))[0][0])


async def damage(database: Database, version: int) -> str:
    """Return what is wrong with the schema of an existing file, or with its small tables; or "".

    SQLite believes what a damaged page says of tables and columns, and reads most tables only when
    they are next written: a machine must not find out in the middle of its work. The records have
    their hashes instead. A newer file is not judged.
    """
    steps = migrations()
    if version < 0:
        return f"the schema's version is {version}"
    if version > len(steps):
        return ""
    written = [sql for _, statements in steps[:version] for sql, _ in statements]
    stored = await database.query("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")
    if sorted(sql for (sql,) in stored) != sorted(written):
        return "the schema is not what was written"
    for table in SMALL:
        found = await database.query(f"PRAGMA quick_check({table})")
        if found != [("ok",)]:
            return f"table {table}: {found[0][0]}"
    return ""


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
