"""One service process per SQLite file: SQLite has one writer, and the reaper must be one.

The lock is the kernel's, on a file beside the database, so it ends with its process however that dies, and a
leftover file blocks nobody.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.engine import URL

from service.errors import Conflict


@contextmanager
def only_service(url: str | URL) -> Iterator[None]:
    """Hold the database for this process alone while the block runs; PostgreSQL needs no such lock.

    Raises:
        Conflict: Another service process works on the same SQLite file; the message names its process id.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        yield
        return
    path = Path(f"{parsed.database}.lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _lock(descriptor, Path(str(parsed.database)))
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, database_path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        raise Conflict(
            f"another gradsweep service (process {holder}) works on {database_path}; stop it first, "
            "or use PostgreSQL, which takes several"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
