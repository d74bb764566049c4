"""Connections: one writer at a time on SQLite, row locks on PostgreSQL, the same two verbs for both.

`Database.write()` gives a connection inside a write transaction, `Database.read()` one inside a read transaction;
both end with the block: commit, or rollback if it raises. Nothing slow belongs inside: no sampling, no network.

SQLite: the writer is one connection that opens with BEGIN IMMEDIATE, so a transaction never has to be upgraded
(that fails at once with SQLITE_BUSY_SNAPSHOT whatever the timeout). Readers have an engine of their own, plain
BEGIN and `query_only`, and so WAL's concurrent reads are kept. WAL with synchronous=FULL: what was acknowledged
survives a power cut.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, create_engine, event, make_url, select, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import QueuePool

from service.database.liveness import renew_dead_connections
from service.errors import ServiceError

BUSY_TIMEOUT_MS = 30_000
CACHE_KIB = 32 * 1024
"""Of SQLite's pages, for each connection: the indexes that every report walks through."""
CHECKPOINT_PAGES = 4000
"""So many pages go into SQLite's log before they are written into the file, each once however often it changed."""
_SQLITE_NOW = text("SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)")
_POSTGRESQL_NOW = text("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)")


class Clock(Protocol):
    """Tells the time in milliseconds since 1970-01-01 UTC; leases are judged by it."""

    def now_ms(self, connection: Connection) -> int:
        """The time, as seen by the database that the connection leads to."""


class DatabaseClock:
    """The database's own clock: the one that all services and no worker share."""

    def now_ms(self, connection: Connection) -> int:
        """Ask the database for the time."""
        statement = _SQLITE_NOW if connection.dialect.name == "sqlite" else _POSTGRESQL_NOW
        now: int = connection.execute(statement).scalar_one()
        return now


class Database:
    """A database by URL: `sqlite:///FILE` or `postgresql+psycopg://…`.

    Args:
        url: Where the database is.
        clock: Who tells the time; tests give one that they can set.
        pool_size: Connections to PostgreSQL, and readers on SQLite.
    """

    def __init__(self, url: str | URL, *, clock: Clock | None = None, pool_size: int = 10) -> None:
        self.url = make_url(url)
        self.clock: Clock = clock or DatabaseClock()
        if self.is_sqlite:
            self._writer = _sqlite_engine(self.url, begin="BEGIN IMMEDIATE", query_only=False, pool_size=1)
            self._reader = _sqlite_engine(self.url, begin="BEGIN", query_only=True, pool_size=pool_size)
        elif self.url.get_backend_name() == "postgresql":
            self._writer = self._reader = _postgresql_engine(self.url, pool_size)
        else:
            raise ServiceError(
                f"the database URL begins with '{self.url.drivername}'; use sqlite:///FILE or postgresql+psycopg://…"
            )

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is one SQLite file: one writer, one service."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def engine(self) -> Engine:
        """The writer's engine, for migrations."""
        return self._writer

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection inside a write transaction."""
        with self._writer.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection inside a read transaction."""
        with self._reader.begin() as connection:
            yield connection

    def now_ms(self, connection: Connection) -> int:
        """The time by which leases are judged, in milliseconds since 1970-01-01 UTC."""
        return self.clock.now_ms(connection)

    def is_reachable(self) -> bool:
        """Whether a query gets an answer now."""
        with self.read() as connection:
            return bool(connection.execute(select(1)).scalar_one() == 1)

    def dispose(self) -> None:
        """Close all connections."""
        self._writer.dispose()
        self._reader.dispose()


def _sqlite_engine(url: URL, *, begin: str, query_only: bool, pool_size: int) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=pool_size,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000, "isolation_level": None},
    )

    def prepare(dbapi_connection: Any, _record: Any) -> None:
        cursor = dbapi_connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"cache_size=-{CACHE_KIB}",
            f"wal_autocheckpoint={CHECKPOINT_PAGES}",
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            f"query_only={int(query_only)}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _postgresql_engine(url: URL, pool_size: int) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        isolation_level="READ COMMITTED",
    )
    renew_dead_connections(engine)
    return engine
