"""Putting sweeps in, and remembering which Idempotency-Key put which."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from service.database.sweeps import sweep_from_row
from service.database.tables import idempotency_keys, sweeps
from service.domain.sweep import Sweep


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What was answered when an Idempotency-Key was first used, and to what."""

    request_hash: str
    answer: Mapping[str, Any]


def insert_sweep(connection: Connection, values: Mapping[str, Any]) -> Sweep:
    """Insert a queued sweep; `values` is a full set of its columns. A name that is taken raises IntegrityError."""
    return sweep_from_row(connection.execute(insert(sweeps).values(**values).returning(sweeps)).one())


def delete_sweep_row(connection: Connection, sweep_id: str) -> None:
    """Delete a sweep and, by cascade, its trials, attempts, epochs and events."""
    connection.execute(delete(sweeps).where(sweeps.c.id == sweep_id))


def free_name(connection: Connection, wanted: str) -> str:
    """The name if no sweep has it, else with the first free number from 2 on: `-2`, `-3` …"""
    statement = select(sweeps.c.name).where(sweeps.c.name.startswith(wanted, autoescape=True))
    taken = set(connection.scalars(statement))
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}-{number}", number + 1
    return name


def stored_answer(connection: Connection, key: str) -> StoredAnswer | None:
    """What was answered to this Idempotency-Key before."""
    statement = select(idempotency_keys.c.request_hash, idempotency_keys.c.answer).where(idempotency_keys.c.key == key)
    row = connection.execute(statement).one_or_none()
    return None if row is None else StoredAnswer(row.request_hash, json.loads(row.answer))


def store_answer(connection: Connection, key: str, stored: StoredAnswer, now_ms: int) -> None:
    """Remember an answer; a key that is taken raises IntegrityError."""
    row = {
        "key": key,
        "request_hash": stored.request_hash,
        "answer": json.dumps(stored.answer),
        "created_at_ms": now_ms,
    }
    connection.execute(insert(idempotency_keys).values(**row))
