"""Migrations: equal to the declared tables, up and down, refused when old, copied before a change."""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import URL, Inspector, inspect

from service.database import migrate
from service.database.engine import Database
from service.database.tables import metadata
from service.errors import SchemaMismatch

Open = Callable[[str | URL], Database]


def _texts(options: Mapping[str, Any]) -> str:
    return str({name: str(value) for name, value in options.items()})


def _constraints(inspector: Inspector) -> dict[str, Any]:
    """What `compare_metadata` does not look at: names and texts of checks, names of keys, cascades."""
    tables = sorted(name for name in inspector.get_table_names() if name != "alembic_version")
    return {
        table: {
            "checks": sorted((check["name"], check["sqltext"]) for check in inspector.get_check_constraints(table)),
            "primary": inspector.get_pk_constraint(table)["name"],
            "foreign": sorted(
                (key["name"], str(key["constrained_columns"]), key["referred_table"], str(key["options"]))
                for key in inspector.get_foreign_keys(table)
            ),
            "unique": sorted(
                (key["name"], str(key["column_names"])) for key in inspector.get_unique_constraints(table)
            ),
            "indexes": sorted(
                (index["name"], str(index["column_names"]), _texts(index.get("dialect_options", {})))
                for index in inspector.get_indexes(table)
            ),
        }
        for table in tables
    }


def test_migrated_equals_declared(database: Database) -> None:
    with database.write() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True, "target_metadata": metadata}
        )
        assert compare_metadata(context, metadata) == []


def test_constraints_of_migrated_equal_those_of_declared(
    database: Database, empty_postgresql_url: URL, tmp_path: Path, open_database: Open
) -> None:
    urls = {True: f"sqlite:///{tmp_path / 'declared.db'}", False: empty_postgresql_url}
    declared = open_database(urls[database.is_sqlite])
    with declared.write() as connection:
        metadata.create_all(connection)
        wanted = _constraints(inspect(connection))
    with database.write() as connection:
        found = _constraints(inspect(connection))
    assert found == wanted
    assert "ck_trials_running_iff_leased" in dict(found["trials"]["checks"])


def test_every_constraint_has_a_name(database: Database) -> None:
    with database.write() as connection:
        tables = _constraints(inspect(connection))
    names = [
        name
        for table in tables.values()
        for name in [table["primary"], *(entry[0] for kind in ("checks", "foreign", "unique") for entry in table[kind])]
    ]
    assert None not in names
    assert len(names) > 40


def test_up_down_up(empty_url: URL, open_database: Open) -> None:
    assert migrate.current(empty_url) is None
    migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == migrate.head()
    migrate.downgrade(empty_url)
    assert migrate.current(empty_url) is None
    with open_database(empty_url).write() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    migrate.upgrade(empty_url)
    migrate.check_schema(open_database(empty_url))


def test_upgrade_of_the_newest_changes_nothing(database: Database) -> None:
    assert migrate.upgrade(database.url) is None


def test_check_refuses_an_empty_database_and_names_the_command(empty_url: URL, open_database: Open) -> None:
    with pytest.raises(SchemaMismatch, match="run `gradsweep migrate`"):
        migrate.check_schema(open_database(empty_url))


def test_a_schema_of_the_future_is_refused_and_left_as_it_is(empty_url: URL, open_database: Open) -> None:
    migrate.upgrade(empty_url)
    database = open_database(empty_url)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaMismatch, match="upgrade gradsweep"):
        migrate.check_schema(database)
    with pytest.raises(SchemaMismatch, match="upgrade gradsweep"):
        migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == "9999"


def _keys(path: Path | None) -> list[Any]:
    with closing(sqlite3.connect(str(path))) as connection:
        return connection.execute("SELECT key FROM idempotency_keys").fetchall()


def test_an_sqlite_file_is_copied_while_it_is_written_to(sqlite_database: Database) -> None:
    with sqlite_database.write() as connection:
        connection.exec_driver_sql("INSERT INTO idempotency_keys VALUES ('k', 'h', '{}', 1)")
    copies = [migrate.backup_sqlite(sqlite_database.url) for _ in range(2)]
    assert [str(path).rpartition(".before-")[2] for path in copies] == [migrate.head(), f"{migrate.head()}-2"]
    assert [_keys(path) for path in copies] == [[("k",)], [("k",)]]


def test_postgresql_is_not_copied() -> None:
    assert migrate.backup_sqlite("postgresql+psycopg:///nowhere") is None
