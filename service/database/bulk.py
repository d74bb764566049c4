"""Many rows at once, by the shortest way of each driver: COPY on PostgreSQL, executemany on SQLite.

SQLAlchemy makes a dictionary and looks up a type for every row of an executemany, and psycopg sends every row as a
statement of its own. For a report, with its rows for each epoch and layer, that was most of the work. Here rows are
tuples of what the drivers take as it is: enums as their values, JSON as text (`json_text`).
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import psycopg
from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError


def json_text(value: Any) -> str | None:
    """What a JSON column holds; None is NULL."""
    return None if value is None else json.dumps(value)


def insert_rows(connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows of plain values, each with one value for every column that is named."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        _copy(connection, _copy_statement(table.name, tuple(columns)), rows)
    else:
        connection.exec_driver_sql(_insert_statement(table.name, tuple(columns)), list(rows))


def update_rows(
    connection: Connection, table: Table, keys: Sequence[str], columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Change rows by their keys. Each row here holds the new values of `columns`, then the values of `keys`."""
    if not rows:
        return
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    statement = _update_statement(table.name, tuple(keys), tuple(columns), mark)
    connection.exec_driver_sql(statement, list(rows))


@lru_cache
def _insert_statement(table: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' for _ in columns)})"  # noqa: S608  # our own names


@lru_cache
def _update_statement(table: str, keys: tuple[str, ...], columns: tuple[str, ...], mark: str) -> str:
    changes = ", ".join(f"{name} = {mark}" for name in columns)
    wanted = " AND ".join(f"{name} = {mark}" for name in keys)
    return f"UPDATE {table} SET {changes} WHERE {wanted}"  # noqa: S608  # our own names


@lru_cache
def _copy_statement(table: str, columns: tuple[str, ...]) -> str:
    return f"COPY {table} ({', '.join(columns)}) FROM STDIN"


def _copy(connection: Connection, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    """COPY is not SQLAlchemy's, so what goes wrong is put into its exceptions here."""
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:
        raise DBAPIError.instance(statement, None, error, psycopg.Error, dialect=connection.dialect) from error
