"""The sweeps table: locking a sweep, counting its changes, telling what happened to it.

Whoever changes a sweep or one of its trials locks the sweep first (`lock_sweep`), writes the revision it was given
into the rows it changes, and appends the events of the change in the same transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from service.database.bulk import insert_rows, json_text, record_set, records
from service.database.tables import events, sweeps
from service.domain.goals import Metric
from service.domain.states import SweepState
from service.domain.sweep import EarlyTermination, Sweep


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something that happened to a sweep; written in the transaction of what it tells."""

    kind: str
    body: Mapping[str, Any]
    trial_id: str | None = None


def sweep_from_row(row: Row[Any]) -> Sweep:
    """The one place where a row of `sweeps` becomes a domain object."""
    return Sweep(
        id=row.id,
        name=row.name,
        state=row.state,
        state_reason=row.state_reason,
        dataset=row.dataset,
        dataset_sha256=row.dataset_sha256,
        method=row.method,
        metric=Metric(row.metric_name, row.metric_direction, row.metric_at, row.metric_target),
        run_cap=row.run_cap,
        max_parallel=row.max_parallel,
        seed=row.seed,
        failure_limit=row.failure_limit,
        time_budget_ms=row.time_budget_ms,
        active_ms=row.active_ms,
        early_termination=EarlyTermination(**row.definition["early_terminate"]),
        definition=row.definition,
        n_trials=row.n_trials,
        n_events=row.n_events,
        revision=row.revision,
        created_at_ms=row.created_at_ms,
        started_at_ms=row.started_at_ms,
        ended_at_ms=row.ended_at_ms,
    )


_BY_ID = select(sweeps).where(sweeps.c.id == bindparam("sweep_id"))
_LOCK = (
    update(sweeps).where(sweeps.c.id == bindparam("sweep_id")).values(revision=sweeps.c.revision + 1).returning(sweeps)
)
_ENDED = (SweepState.COMPLETED, SweepState.CANCELLED)
_UNENDED = select(sweeps).where(sweeps.c.state.not_in(_ENDED)).order_by(sweeps.c.created_at_ms, sweeps.c.id)
_COUNT_EVENTS = (
    update(sweeps)
    .where(sweeps.c.id == bindparam("sweep_id"))
    .values(n_events=sweeps.c.n_events + bindparam("n_new"))
    .returning(sweeps.c.n_events)
)


def get_sweep(connection: Connection, sweep_id: str) -> Sweep | None:
    """One sweep by its id, not locked."""
    row = connection.execute(_BY_ID, {"sweep_id": sweep_id}).one_or_none()
    return None if row is None else sweep_from_row(row)


def find_sweep(connection: Connection, name: str) -> Sweep | None:
    """One sweep by its name, not locked."""
    row = connection.execute(select(sweeps).where(sweeps.c.name == name)).one_or_none()
    return None if row is None else sweep_from_row(row)


def submitted_file(connection: Connection, sweep_id: str) -> str:
    """The sweep file as it came."""
    submitted: str = connection.execute(select(sweeps.c.submitted).where(sweeps.c.id == sweep_id)).scalar_one()
    return submitted


def lock_sweep(connection: Connection, sweep_id: str) -> Sweep | None:
    """Lock one sweep for a change and give it its next revision."""
    return lock_sweeps(connection, [sweep_id]).get(sweep_id)


def lock_sweeps(connection: Connection, sweep_ids: Iterable[str]) -> dict[str, Sweep]:
    """Lock sweeps for a change, always in the order of their ids, and give each its next revision.

    The lock is an UPDATE: on PostgreSQL it takes the row like FOR NO KEY UPDATE, on SQLite the transaction holds
    the whole database already.
    """
    locked = {}
    for sweep_id in sorted(set(sweep_ids)):
        row = connection.execute(_LOCK, {"sweep_id": sweep_id}).one_or_none()
        if row is not None:
            locked[sweep_id] = sweep_from_row(row)
    return locked


def set_sweep_state(connection: Connection, sweep: Sweep, **values: Any) -> None:
    """Write columns of a locked sweep. `ended_at_ms` must come with a final state, by constraint."""
    connection.execute(update(sweeps).where(sweeps.c.id == sweep.id).values(**values))


def unended_sweeps(connection: Connection) -> list[Sweep]:
    """All sweeps that can still change by themselves, oldest first."""
    return [sweep_from_row(row) for row in connection.execute(_UNENDED)]


def append_events(connection: Connection, sweep_id: str, new: Sequence[NewEvent], now_ms: int) -> None:
    """Append events to a locked sweep; their numbers follow the last one without a gap."""
    if not new:
        return
    bodies = [(event.kind, event.trial_id, json_text(dict(event.body))) for event in new]
    if connection.dialect.name == "postgresql":
        rows = [(offset, *body) for offset, body in enumerate(bodies, start=1)]
        given = (len(new), sweep_id, len(new), now_ms, records(_EVENT, rows))
        connection.exec_driver_sql(_APPEND_EVENTS, given)
        return
    last = connection.execute(_COUNT_EVENTS, {"sweep_id": sweep_id, "n_new": len(new)}).scalar_one()
    first = last - len(new) + 1
    insert_rows(
        connection,
        events,
        ("sweep_id", *_EVENT, "at_ms"),
        [(sweep_id, first + offset, *body, now_ms) for offset, body in enumerate(bodies)],
    )


_EVENT = ("number", "kind", "trial_id", "body")
_APPEND_EVENTS = f"""
    WITH counted AS (UPDATE sweeps SET n_events = n_events + %s WHERE id = %s RETURNING id, n_events)
    INSERT INTO events (sweep_id, number, kind, trial_id, body, at_ms)
    SELECT counted.id, counted.n_events - %s + new.number, new.kind, new.trial_id, new.body::json, %s
    FROM counted, {record_set(events, _EVENT)}
"""  # noqa: S608  # our own names
"""On PostgreSQL counting and appending are one round trip."""
