"""One database behind the server: SQLite by default, PostgreSQL when it grows; the same code.

SQLAlchemy's expressions serve both. Where the two differ (a lock, a bulk insert), the difference
stands here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

import psycopg
from sqlalchemy import Table, event, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

_POOL: Final = 5  # connections of one process; a worker applies one batch at a time
_BUSY_S: Final = 30.0  # SQLite: another process (migrate, a shell command) may be writing


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
        self._upserts: dict[tuple[str, tuple[str, ...]], Any] = {}

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
            # The driver's own: nobody above knows it from a mistake of ours.
            raise DBAPIError.instance(
                copying, None, error, psycopg.Error, hide_parameters=True
            ) from error

    async def upsert(
        self, connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]
    ) -> None:
        """Insert rows, or replace those of the same key; every row names the same columns."""
        if not rows:
            return
        # One row a statement, executed for each: made and compiled once, however many rows come.
        names = tuple(rows[0])
        statement = self._upserts.get((table.name, names))
        if statement is None:
            insert = sqlite.insert if self.is_sqlite else postgresql.insert
            bare = insert(table)
            keys = [column.name for column in table.primary_key.columns]
            changed = {name: bare.excluded[name] for name in names if name not in keys}
            statement = bare.on_conflict_do_update(index_elements=keys, set_=changed)
            self._upserts[table.name, names] = statement
        await connection.execute(statement, list(rows))

    def insert_new(self, table: Table) -> Any:
        """Return the statement that inserts a row unless it conflicts with another."""
        insert = sqlite.insert if self.is_sqlite else postgresql.insert
        return insert(table).on_conflict_do_nothing()

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
