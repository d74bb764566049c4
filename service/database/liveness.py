"""Whether a pooled connection to PostgreSQL is still one, without asking the server before every transaction.

Asking costs two round trips, as much as a fifth of a report. But whoever closes a connection says so, and an idle
connection hears of nothing else: while nothing can be read from its socket, nobody has closed it. So the server is
asked only if something can be read, or after a silence in which a network may have dropped the connection without a
word. A killed backend or a restarted server thus costs a new connection, never an error.
"""

import select
import time
from typing import Any

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError

SILENT_SECONDS = 5.0


def renew_dead_connections(engine: Engine) -> None:
    """Have the engine's pool replace connections that have ended, when they are taken from it."""
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", _refuse_dead)


def _note_use(_connection: Any, record: Any) -> None:
    record.info["used_at"] = time.monotonic()


def _refuse_dead(connection: Any, record: Any, _proxy: Any) -> None:
    used_at = record.info.get("used_at")  # a connection that was made just now was never used
    if used_at is None or (time.monotonic() - used_at < SILENT_SECONDS and not _hears(connection)):
        return
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.Error as error:
        raise DisconnectionError("the connection ended while it was idle") from error


def _hears(connection: Any) -> bool:
    """Whether something can be read from a connection's socket."""
    if connection.closed:
        return True
    heard = select.poll()
    heard.register(connection.fileno(), select.POLLIN)
    return bool(heard.poll(0))
