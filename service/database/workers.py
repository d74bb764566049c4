"""The workers table: who claims, what they do, how often they failed in a row."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, case, select, update
from sqlalchemy.dialects import postgresql, sqlite

from service.database.tables import workers
from service.wire.leases import IdleCause, WorkerInfo

INSERTS = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


_QUARANTINED = select(workers.c.quarantined_at_ms).where(workers.c.id == bindparam("worker_id"))
_FAILURES = select(workers.c.failures_in_a_row).where(workers.c.id == bindparam("worker_id"))


@cache
def _see(dialect: str) -> Any:
    """The statement that inserts a worker or brings it up to date."""
    statement: Any = INSERTS[dialect](workers)
    described = (*(name for name in WorkerInfo.model_fields if name != "worker_id"), "last_seen_ms")
    return statement.on_conflict_do_update(
        index_elements=["id"], set_={name: statement.excluded[name] for name in described}
    )


def see_claiming_worker(connection: Connection, info: WorkerInfo, now_ms: int) -> None:
    """Insert a worker that claims, or bring what it says about itself up to date."""
    described = info.model_dump(exclude={"worker_id"}) | {"datasets": list(info.datasets), "last_seen_ms": now_ms}
    new = {"id": info.worker_id, "phase": "idle", "phase_since_ms": now_ms, "first_seen_ms": now_ms}
    connection.execute(_see(connection.dialect.name), described | new)


def see_working_worker(
    connection: Connection,
    worker_id: str,
    *,
    phase: str,
    slots_filled: int,
    steps_done: int,
    idle_slot_seconds: Mapping[IdleCause, float],
    now_ms: int,
) -> None:
    """Record what a worker's heartbeat says."""
    connection.execute(
        update(workers)
        .where(workers.c.id == worker_id)
        .values(
            phase_since_ms=case((workers.c.phase == phase, workers.c.phase_since_ms), else_=now_ms),
            phase=phase,
            slots_filled=slots_filled,
            steps_done=steps_done,
            idle_slot_seconds=dict(idle_slot_seconds),
            last_seen_ms=now_ms,
        )
    )


def quarantined_at(connection: Connection, worker_id: str) -> int | None:
    """Since when a worker gets no trials; None if it gets some."""
    since: int | None = connection.execute(_QUARANTINED, {"worker_id": worker_id}).scalar_one_or_none()
    return since


def end_quarantine(connection: Connection, worker_id: str, quarantine_after: int) -> None:
    """Give a worker one more chance: the next failure in a row quarantines it again."""
    connection.execute(
        update(workers)
        .where(workers.c.id == worker_id)
        .values(quarantined_at_ms=None, failures_in_a_row=quarantine_after - 1)
    )


def count_failures(
    connection: Connection, worker_id: str, have_failed: Sequence[bool], *, quarantine_after: int, now_ms: int
) -> None:
    """Count a worker's failures in a row, over trials that ended just now, in their order; quarantine it if many."""
    if not have_failed:
        return
    before = connection.execute(_FAILURES, {"worker_id": worker_id}).scalar_one()
    in_a_row, most = before, before
    for has_failed in have_failed:
        in_a_row = in_a_row + 1 if has_failed else 0
        most = max(most, in_a_row)
    if in_a_row == before:
        return
    values: dict[str, Any] = {"failures_in_a_row": in_a_row}
    if in_a_row >= quarantine_after:
        values["quarantined_at_ms"] = now_ms
    connection.execute(update(workers).where(workers.c.id == worker_id).values(values))
