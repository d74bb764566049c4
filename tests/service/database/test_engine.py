"""Connections: what a transaction is on either database."""

from collections.abc import Callable

import pytest
from sqlalchemy import URL, func, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError

from service.database import liveness
from service.database.engine import Database, DatabaseClock
from service.database.tables import idempotency_keys
from service.errors import ServiceError

KEY = {"key": "k", "request_hash": "h", "answer": "{}", "created_at_ms": 1}


def _count(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(idempotency_keys)).scalar_one()


def test_write_commits_with_its_block(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(idempotency_keys), KEY)
    assert _count(database) == 1


def test_write_rolls_back_when_the_block_raises(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(insert(idempotency_keys), [KEY, KEY])
    assert _count(database) == 0


def test_readers_read_while_the_writer_writes(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(idempotency_keys), KEY)
        assert _count(database) == 0
    assert _count(database) == 1


def test_sqlite_reader_cannot_write(sqlite_database: Database) -> None:
    with pytest.raises(OperationalError, match="readonly"), sqlite_database.read() as connection:
        connection.execute(insert(idempotency_keys), KEY)


def test_sqlite_is_durable_and_strict(sqlite_database: Database) -> None:
    with sqlite_database.write() as connection:
        found = {
            pragma: connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one()
            for pragma in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_database_clock_is_the_time_now(
    database_url: URL, open_database: Callable[[str | URL], Database], database: Database
) -> None:
    """2026 to 2100 in milliseconds: neither seconds nor microseconds, and not NULL."""
    with database.read() as connection:
        now_ms = DatabaseClock().now_ms(connection)
    assert 1_767_225_600_000 < now_ms < 4_102_444_800_000


def test_other_kinds_of_url_are_refused() -> None:
    with pytest.raises(ServiceError, match="mysql"):
        Database("mysql://localhost/x")


@pytest.mark.parametrize("silent_seconds", [liveness.SILENT_SECONDS, 0.0])
def test_a_backend_killed_while_idle_costs_no_error(
    postgresql_database: Database,
    postgresql_url: URL,
    open_database: Callable[[str | URL], Database],
    monkeypatch: pytest.MonkeyPatch,
    silent_seconds: float,
) -> None:
    monkeypatch.setattr(liveness, "SILENT_SECONDS", silent_seconds)
    pids = [_backend(postgresql_database), _backend(postgresql_database)]
    assert pids[0] == pids[1]
    with open_database(postgresql_url).write() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend({pids[0]}, 5000)")
    assert _backend(postgresql_database) not in pids


def _backend(database: Database) -> int:
    with database.write() as connection:
        return connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
