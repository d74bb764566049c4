"""Requests that may come twice: what was answered to an Idempotency-Key is answered again, and nothing done twice."""

import hashlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from service.database.submissions import StoredAnswer, store_answer, stored_answer
from service.errors import IdempotencyMismatch, InvalidRequest

_MAX_KEY = 255


def check_key(key: str | None) -> None:
    """Refuse a key that cannot be one.

    Raises:
        InvalidRequest: The key is too long or not printable.
    """
    if key is not None and not (0 < len(key) <= _MAX_KEY and key.isprintable()):
        raise InvalidRequest(f"an Idempotency-Key has 1 to {_MAX_KEY} printable characters; choose another")


def fingerprint(request: str) -> str:
    """What two requests of one key must have in common."""
    return hashlib.sha256(request.encode("utf-8", "surrogatepass")).hexdigest()


def answered_before(connection: Connection, key: str | None, request_hash: str) -> Mapping[str, Any] | None:
    """What was answered when the key was first used; None if it is new, or there is none.

    Raises:
        IdempotencyMismatch: The key was used for another request.
    """
    stored = None if key is None else stored_answer(connection, key)
    if stored is None:
        return None
    if stored.request_hash != request_hash:
        raise IdempotencyMismatch(f"the Idempotency-Key {key!r} was used for another request; use a new key")
    return stored.answer


def remember(
    connection: Connection, key: str | None, request_hash: str, answer: Mapping[str, Any], now_ms: int
) -> None:
    """Keep an answer under its key; a key that another request has taken meanwhile raises IntegrityError."""
    if key is not None:
        store_answer(connection, key, StoredAnswer(request_hash, answer), now_ms)
