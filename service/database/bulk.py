"""Many rows at once, by the shortest way of each driver: executemany on SQLite; on PostgreSQL COPY, and one UPDATE.

SQLAlchemy makes a dictionary and looks up a type for every row of an executemany, and psycopg sends every row as a
statement of its own. For a report, with its rows for each epoch and layer, that was most of the work. Here rows are
tuples of what the drivers take as it is: enums as their values, JSON as text (`json_text`).

Rows that are to change, or that must know what another statement returned, cross to PostgreSQL as one JSON text,
which the statement takes apart again (`record_set`): one round trip, whatever their number.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import psycopg
from sqlalchemy import JSON, Connection, Dialect, Table, Text
from sqlalchemy.dialects import postgresql
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
    if connection.dialect.name == "postgresql":
        statement = _update_together(table, tuple(keys), tuple(columns))
        connection.exec_driver_sql(statement, (records((*columns, *keys), rows),))
    else:
        connection.exec_driver_sql(_update_statement(table.name, tuple(keys), tuple(columns)), list(rows))


def record_set(table: Table, columns: Sequence[str]) -> str:
    """The FROM item `new(column, …)`, made of one parameter that `records` wrote; PostgreSQL only."""
    types = (f"{name} {_crossing_type(table, name)}" for name in columns)
    return f"json_to_recordset(%s::json) AS new({', '.join(types)})"


def stored(table: Table, column: str) -> str:
    """How a column of `record_set` is written into the table: JSON crosses as text, lest it be spelled anew."""
    return f"new.{column}::json" if isinstance(table.c[column].type, JSON) else f"new.{column}"


def records(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as the JSON text that `record_set` takes apart. Floats keep every bit; one beyond all is spelled."""
    named = [dict(zip(columns, row, strict=True)) for row in rows]
    try:
        return json.dumps(named, allow_nan=False)
    except ValueError:
        return json.dumps([_spelled(row) for row in named])


def _spelled(row: Mapping[str, Any]) -> dict[str, Any]:
    """Infinity and NaN as PostgreSQL reads them; JSON has no word for them."""
    return {name: str(value) if isinstance(value, float) else value for name, value in row.items()}


def _crossing_type(table: Table, column: str) -> str:
    kind = table.c[column].type
    return (Text() if isinstance(kind, JSON) else kind).compile(dialect=_POSTGRESQL)


_POSTGRESQL: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]


@lru_cache
def _update_together(table: Table, keys: tuple[str, ...], columns: tuple[str, ...]) -> str:
    changes = ", ".join(f"{name} = {stored(table, name)}" for name in columns)
    wanted = " AND ".join(f"{table.name}.{name} = new.{name}" for name in keys)
    source = record_set(table, (*columns, *keys))
    return f"UPDATE {table.name} SET {changes} FROM {source} WHERE {wanted}"  # noqa: S608  # our own names


@lru_cache
def _insert_statement(table: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' for _ in columns)})"  # noqa: S608  # our own names


@lru_cache
def _update_statement(table: str, keys: tuple[str, ...], columns: tuple[str, ...]) -> str:
    changes = ", ".join(f"{name} = ?" for name in columns)
    wanted = " AND ".join(f"{name} = ?" for name in keys)
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
