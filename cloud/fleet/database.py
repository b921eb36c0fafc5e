"""One database behind the server: SQLite by default, PostgreSQL when it grows; the same code.

SQLAlchemy's expressions serve both. Where the two differ (a lock, a bulk insert), the difference
stands here.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final, NamedTuple

import psycopg
from sqlalchemy import Delete, Insert, Select, Table, Update, event, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.compiler import SQLCompiler

_POOL: Final = 5  # connections of one process; a worker applies one batch at a time
_BUSY_S: Final = 30.0  # SQLite: another process (migrate, a shell command) may be writing


class Write(NamedTuple):
    """A statement that returns nothing, executed for each of its rows.

    The statement is one that is made once and kept: it is compiled once, too.
    """

    statement: Insert | Update | Delete
    rows: Sequence[dict[str, Any]]


class Upsert(NamedTuple):
    """Rows to insert, or to replace those of the same key; every row names the same columns."""

    table: Table
    rows: Sequence[dict[str, Any]]


class FleetDatabase:
    """The engine, and how one writes through it.

    Args:
        url: ``sqlite+aiosqlite:///PATH`` or ``postgresql+psycopg://…``.
    """

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self.url = parsed
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite:
            self.engine: AsyncEngine = create_async_engine(
                parsed,
                connect_args={"timeout": _BUSY_S},
                pool_size=_POOL,
                hide_parameters=True,  # records hold claim codes: none of them in a log
            )
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self.engine.sync_engine, "invalidate", _end_transaction)
        else:
            self.engine = create_async_engine(
                parsed, pool_size=_POOL, pool_pre_ping=True, hide_parameters=True
            )
        # SQLite has one writer; whoever waits for it here does not spin on its lock.
        self._writer = asyncio.Lock()
        self._leaving: set[asyncio.Future[None]] = set()  # made for somebody who was cancelled
        self._upserts: dict[tuple[str, tuple[str, ...]], Insert] = {}
        self._texts: dict[tuple[Any, tuple[str, ...]], tuple[str, tuple[str, ...]]] = {}

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is committed when the block ends well."""
        if not self.is_sqlite:
            async with self.engine.begin() as connection:
                yield connection
            return
        async with self._writer, self.reading() as connection:
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                await connection.rollback()
                raise
            await connection.commit()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that writes nothing."""
        async with AsyncExitStack() as stack:
            connection = await self._connected()
            stack.push_async_exit(connection)
            yield connection

    async def _connected(self) -> AsyncConnection:
        """Connect in a task of its own: nobody would close what is cancelled in the middle."""
        if not self.is_sqlite:
            return await self.engine.connect().start()
        connecting = asyncio.ensure_future(self.engine.connect().start())
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            leaving = asyncio.ensure_future(_give_back(connecting))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
            raise

    async def insert_many(
        self, connection: AsyncConnection, table: Table, rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Insert rows in the table's order of columns, as fast as the database takes them."""
        if not rows:
            return
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        if self.is_sqlite:
            places = ", ".join("?" for _ in table.columns)
            await connection.exec_driver_sql(
                f'INSERT INTO "{table.name}" ({names}) VALUES ({places})',  # noqa: S608 - names of our own
                list(rows),
            )
            return
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None, "the connection is open"
        copying = f'COPY "{table.name}" ({names}) FROM STDIN'
        try:
            async with raw.cursor() as cursor, cursor.copy(copying) as copy:
                for row in rows:
                    await copy.write_row(row)
        except psycopg.Error as error:
            raise _wrapped(copying, error, psycopg.Error) from error

    async def read(
        self, connection: AsyncConnection, statement: Select[Any], values: dict[str, Any]
    ) -> list[tuple[Any, ...]]:
        """Return a query's rows as the driver tells them, straight from it.

        SQLite knows no truth values: 0 and 1. The statement is one that is made once and kept.
        """
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None, "the connection is open"
        sql, names = self._compiled(statement, tuple(values))
        if self.is_sqlite:
            try:
                return list(await raw.execute_fetchall(sql, [values[name] for name in names]))
            except sqlite3.Error as error:
                raise _wrapped(sql, error, sqlite3.Error) from error
        try:
            async with raw.cursor() as cursor:
                await cursor.execute(sql, values)
                return list(await cursor.fetchall())
        except psycopg.Error as error:
            raise _wrapped(sql, error, psycopg.Error) from error

    async def write(self, connection: AsyncConnection, writes: Sequence[Write | Upsert]) -> None:
        """Carry out what returns nothing, in order, straight through the driver.

        A batch ends in some ten such statements: what the engine does around each of them, and
        a way to the database and back for each, would cost more than the rows themselves.
        """
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None, "the connection is open"
        if self.is_sqlite:
            for sql, names, rows in self._plain(writes):
                try:
                    await raw.executemany(
                        sql, [tuple([row[name] for name in names]) for row in rows]
                    )
                except sqlite3.Error as error:
                    raise _wrapped(sql, error, sqlite3.Error) from error
            return
        sql = ""
        try:
            async with raw.pipeline(), raw.cursor() as cursor:
                for sql, _, rows in self._plain(writes):
                    if len(rows) == 1:
                        await cursor.execute(sql, rows[0])
                    else:
                        await cursor.executemany(sql, rows)
        except psycopg.Error as error:
            raise _wrapped(sql, error, psycopg.Error) from error

    def _plain(
        self, writes: Sequence[Write | Upsert]
    ) -> Iterator[tuple[str, tuple[str, ...], Sequence[dict[str, Any]]]]:
        """Return each write as text, the names of its parameters in order, and rows of those."""
        for write in writes:
            if not write.rows:
                continue
            names = tuple(write.rows[0])
            if isinstance(write, Write):
                yield *self._compiled(write.statement, names), write.rows
            elif self.is_sqlite:
                yield *self._compiled(self._upsert(write.table, names), names), write.rows
            else:
                yield self._upsert_all(write.table, names), ("rows",), [_in_one(write)]

    def _compiled(
        self, statement: Select[Any] | Insert | Update | Delete, names: tuple[str, ...]
    ) -> tuple[str, tuple[str, ...]]:
        found = self._texts.get((statement, names))
        if found is None:
            keys = names if isinstance(statement, Insert) else None
            compiled = statement.compile(dialect=self.engine.dialect, column_keys=keys)
            assert isinstance(compiled, SQLCompiler), "a statement on rows"
            order = tuple(compiled.positiontup or names)
            found = self._texts[statement, names] = compiled.string, order
        return found

    def _upsert(self, table: Table, names: tuple[str, ...]) -> Insert:
        """Return the statement for one row, to be executed for each: made and compiled once."""
        found = self._upserts.get((table.name, names))
        if found is None:
            bare = sqlite.insert(table)
            keys = [column.name for column in table.primary_key.columns]
            changed = {name: bare.excluded[name] for name in names if name not in keys}
            found = bare.on_conflict_do_update(index_elements=keys, set_=changed)
            self._upserts[table.name, names] = found
        return found

    def _upsert_all(self, table: Table, names: tuple[str, ...]) -> str:
        """Return the statement for all rows, which are given as one JSON array."""
        columns = ", ".join(f'"{name}"' for name in names)
        keys = [column.name for column in table.primary_key.columns]
        changed = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name not in keys)
        quoted = ", ".join(f'"{name}"' for name in keys)
        return (
            f'INSERT INTO "{table.name}" ({columns}) '  # noqa: S608 - names of our own
            f'SELECT {columns} FROM json_populate_recordset(NULL::"{table.name}", %(rows)s::json) '
            f"ON CONFLICT ({quoted}) DO UPDATE SET {changed}"
        )

    def insert_new(self, table: Table) -> Insert:
        """Return the statement that inserts a row unless it conflicts with another."""
        found = self._upserts.get((table.name, ()))
        if found is None:
            insert = sqlite.insert if self.is_sqlite else postgresql.insert
            found = self._upserts[table.name, ()] = insert(table).on_conflict_do_nothing()
        return found

    async def alone(self, connection: AsyncConnection, number: int) -> None:
        """Wait until no other transaction that asked for ``number`` is under way.

        No row's lock: whoever holds a journal's may want its machine's, and the other way round.
        """
        if not self.is_sqlite:  # which has one writer at a time
            await connection.execute(select(func.pg_advisory_xact_lock(number)))

    async def alive(self) -> bool:
        """Tell whether the database answers."""
        async with self.reading() as connection:
            return bool((await connection.execute(text("SELECT 1"))).scalar() == 1)

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*self._leaving, return_exceptions=True)
        await self.engine.dispose()


async def _give_back(connecting: asyncio.Future[AsyncConnection]) -> None:
    with suppress(SQLAlchemyError):
        await (await connecting).close()


def _in_one(write: Upsert) -> dict[str, Any]:
    """Return an upsert's rows as one parameter; of several with one key the last, as one by one."""
    keys = [column.name for column in write.table.primary_key.columns]
    rows = {tuple([row[key] for key in keys]): row for row in write.rows}
    return {"rows": json.dumps(list(rows.values()))}


def _wrapped(statement: str, error: Exception, base: type[Exception]) -> DBAPIError:
    """Return the engine's error for the driver's own, which nobody above knows from a mistake."""
    made = DBAPIError.instance(statement, None, error, base, hide_parameters=True)
    assert isinstance(made, DBAPIError), "of an error of the driver's"
    return made


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # Transactions are ours: the driver begins none behind our back.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # an acknowledged record survives a power cut here, too
        "foreign_keys=ON",
        "cache_size=-65536",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _end_transaction(connection: Any, _record: Any, _error: BaseException | None) -> None:
    # A task that is cancelled in mid statement: closing alone would leave the statement's
    # transaction open, and its lock, until the last cursor is collected.
    with suppress(Exception):
        connection.rollback()
