"""Many rows at once: what the drivers are given arrives as it is, and their complaints come as SQLAlchemy's."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from service.database.bulk import insert_rows, json_text, update_rows
from service.database.engine import Database
from service.database.tables import leases, workers

COLUMNS = (
    *("id", "host", "pid", "version", "trainer", "device", "n_slots", "datasets", "phase", "phase_since_ms"),
    *("idle_slot_seconds", "first_seen_ms", "last_seen_ms"),
)


def worker_row(name: str) -> tuple[object, ...]:
    odd = "tab\t, line\n, back\\slash, \\N, 'quotes' and ü"
    idle = json_text({"loading": 0.1 + 0.2, "no_work": 5e-324})
    return (name, odd, 2**53 - 1, "1", "fused", "", 16, json_text(["digits"]), "idle", 1, idle, 1, 2)


def test_rows_arrive_as_they_were_sent(database: Database) -> None:
    with database.write() as connection:
        insert_rows(connection, workers, COLUMNS, [worker_row("a"), worker_row("b")])
        rows = connection.execute(select(*(workers.c[name] for name in COLUMNS)).order_by(workers.c.id)).all()
    assert [row.id for row in rows] == ["a", "b"]
    assert rows[0].host == worker_row("a")[1]
    assert rows[0].pid == 2**53 - 1
    assert rows[0].datasets == ["digits"]
    assert rows[0].idle_slot_seconds == {"loading": 0.1 + 0.2, "no_work": 5e-324}


def test_each_row_is_changed_by_its_own_key(database: Database) -> None:
    with database.write() as connection:
        insert_rows(connection, workers, COLUMNS, [worker_row("a"), worker_row("b"), worker_row("c")])
        update_rows(connection, workers, ("id", "pid"), ("device", "n_slots"), [("x", 1, "a", 2**53 - 1)])
        update_rows(connection, workers, ("id",), ("device", "n_slots"), [("y", 2, "b"), ("z", 3, "nobody")])
        rows = connection.execute(
            select(workers.c.id, workers.c.device, workers.c.n_slots).order_by(workers.c.id)
        ).all()
    assert [tuple(row) for row in rows] == [("a", "x", 1), ("b", "y", 2), ("c", "", 16)]


def test_no_rows_are_no_statement(database: Database) -> None:
    with database.read() as connection:
        insert_rows(connection, workers, COLUMNS, [])
        update_rows(connection, workers, ("id",), ("device",), [])


def test_a_key_that_is_taken_undoes_the_transaction(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as connection:
        insert_rows(connection, workers, COLUMNS, [worker_row("a"), worker_row("b"), worker_row("a")])
    with database.read() as connection:
        assert connection.execute(select(workers.c.id)).all() == []


def test_a_reference_to_nothing_is_refused(database: Database) -> None:
    columns = ("id", "worker_id", "state", "created_at_ms", "expires_at_ms")
    with pytest.raises(IntegrityError), database.write() as connection:
        insert_rows(connection, leases, columns, [("lse_1", "nobody", "active", 1, 2)])


def test_a_killed_backend_is_a_database_that_does_not_answer(postgresql_database: Database) -> None:
    def insert_after_its_death() -> None:
        with postgresql_database.write() as connection:
            pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            with postgresql_database.write() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            insert_rows(connection, workers, COLUMNS, [worker_row("a")])

    with pytest.raises(OperationalError):
        insert_after_its_death()
    with postgresql_database.write() as connection:
        insert_rows(connection, workers, COLUMNS, [worker_row("a")])
