"""The schema's version: going up and down, copying an SQLite file first, refusing an old one.

The revisions lie in `migrations/`; in an installed wheel that folder is `service/migrations`.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url
from sqlalchemy.engine import URL

from service.database.engine import Database
from service.errors import SchemaMismatch


def upgrade(url: str | URL, revision: str = "head") -> Path | None:
    """Bring a database to a revision, the newest by default, in one transaction.

    Returns:
        The copy that was made of an SQLite file before it was changed; None if there was nothing to keep.

    Raises:
        SchemaMismatch: The database was made by a newer gradsweep; nothing was changed.
    """
    database = Database(url, pool_size=1)
    try:
        with database.read() as connection:
            before = _revision(connection)
        _refuse_the_future(before)
        if before == (head() if revision == "head" else revision):
            return None
        copy = None if before is None else backup_sqlite(url)
        with _changing(database) as connection:
            command.upgrade(_configuration(connection), revision)
        return copy
    finally:
        database.dispose()


def downgrade(url: str | URL, revision: str = "base") -> None:
    """Take a database back to a revision; `base` is an empty database."""
    database = Database(url, pool_size=1)
    try:
        with _changing(database) as connection:
            command.downgrade(_configuration(connection), revision)
    finally:
        database.dispose()


def head() -> str:
    """The revision that this version of the service works with."""
    revision = ScriptDirectory.from_config(_configuration()).get_current_head()
    if revision is None:
        raise SchemaMismatch(f"no migrations found in {_folder()}; install gradsweep again")
    return revision


def current(url: str | URL) -> str | None:
    """The revision that a database is at; None for an empty one."""
    database = Database(url, pool_size=1)
    try:
        with database.read() as connection:
            return _revision(connection)
    finally:
        database.dispose()


def check_schema(database: Database) -> None:
    """Refuse to work with any schema but the newest.

    Raises:
        SchemaMismatch: With the command that helps.
    """
    wanted = head()
    with database.read() as connection:
        found = _revision(connection)
    if found == wanted:
        return
    _refuse_the_future(found)
    raise SchemaMismatch(
        f"the database is at schema {found or 'none'} and this gradsweep needs {wanted}: run `gradsweep migrate`"
    )


def backup_sqlite(url: str | URL) -> Path | None:
    """Copy an SQLite file, consistently even while others read and write it, to `FILE.before-REVISION`.

    Returns:
        The copy's path; None if the database is not a file.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    source_path = Path(str(parsed.database))
    copy_path = _free_path(source_path.with_name(f"{source_path.name}.before-{head()}"))
    source, copy = sqlite3.connect(source_path), sqlite3.connect(copy_path)
    try:
        source.backup(copy)
    finally:
        copy.close()
        source.close()
    return copy_path


@contextmanager
def _changing(database: Database) -> Iterator[Connection]:
    """A connection in a transaction in which tables may be copied and dropped.

    SQLite changes a table by copying it and dropping the old one, and with foreign keys on, the drop would delete
    every row that refers to it. So they are off while the revisions run, and checked before the commit.
    """
    with database.engine.connect() as connection:
        if database.is_sqlite:
            connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
        with connection.begin():
            yield connection
            if database.is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").all():
                raise SchemaMismatch("the migration left rows that refer to nothing; nothing was changed")


def _free_path(path: Path) -> Path:
    """The path itself, or with a number: a copy never overwrites an earlier one."""
    candidate, number = path, 2
    while candidate.exists():
        candidate, number = path.with_name(f"{path.name}-{number}"), number + 1
    return candidate


def _refuse_the_future(found: str | None) -> None:
    """Raise SchemaMismatch for a revision that this version has never heard of."""
    known = {script.revision for script in ScriptDirectory.from_config(_configuration()).walk_revisions()}
    if found is not None and found not in known:
        raise SchemaMismatch(
            f"the database is at schema {found}, made by a newer gradsweep; this one knows {head()}: upgrade gradsweep"
        )


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _folder() -> Path:
    """Where the revisions are: beside this package's modules in a wheel, at the top of a checkout."""
    package = Path(str(files("service")))
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def _configuration(connection: Connection | None = None) -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    configuration.attributes["connection"] = connection
    return configuration
