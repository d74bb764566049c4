"""The recordings table. Each change is one conditional UPDATE under the sweep's lock; whether it hit is the answer."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from service.database.tables import attempts, epochs, recordings, sweeps, trials
from service.domain.recording import Recording, RecordingFate
from service.domain.states import RecordingState

_COLUMNS = tuple(field.name for field in fields(Recording))


@dataclass(frozen=True, slots=True)
class Beginning:
    """How an attempt began, which is all that is needed to train it again; and how many epochs are stored of it."""

    stream_seed: int
    start_epoch: int
    dataset_sha256: str
    environment: dict[str, str]
    n_epochs: int


def recording_from_row(row: Row[Any]) -> Recording:
    """The one place where a row of `recordings` becomes a domain object."""
    return Recording(**{name: getattr(row, name) for name in _COLUMNS})


def get_recording(connection: Connection, trial_id: str) -> Recording | None:
    """The recording of a trial, if one was ever asked for."""
    row = connection.execute(select(recordings).where(recordings.c.trial_id == trial_id)).one_or_none()
    return None if row is None else recording_from_row(row)


def recordings_of(connection: Connection, trial_ids: Collection[str]) -> dict[str, Recording]:
    """The recordings of trials, by trial."""
    rows = connection.execute(select(recordings).where(recordings.c.trial_id.in_(trial_ids)))
    return {row.trial_id: recording_from_row(row) for row in rows}


def beginning_of(connection: Connection, trial_id: str, attempt: int) -> Beginning | None:
    """How an attempt began; None if nothing was reported of it."""
    n_epochs = (
        select(func.count())
        .where(epochs.c.trial_id == attempts.c.trial_id, epochs.c.attempt == attempts.c.attempt)
        .scalar_subquery()
    )
    statement = select(attempts, n_epochs.label("n_epochs")).where(
        attempts.c.trial_id == trial_id, attempts.c.attempt == attempt
    )
    row = connection.execute(statement).one_or_none()
    if row is None or row.stream_seed is None or row.dataset_sha256 is None or not row.n_epochs:
        return None
    return Beginning(row.stream_seed, row.start_epoch or 0, row.dataset_sha256, row.environment or {}, row.n_epochs)


def enqueue(connection: Connection, trial_id: str, *, steps: int, every: int, trial_attempt: int, now_ms: int) -> None:
    """Have a trial recorded by the next worker; the fence rises on from where an earlier recording left it."""
    fresh = {
        "state": RecordingState.QUEUED,
        "steps": steps,
        "every": every,
        "trial_attempt": trial_attempt,
        "lost": 0,
        "claim_key": None,
        "not_before_ms": 0,
        "reason": None,
        "result_hash": None,
        "requested_at_ms": now_ms,
        "started_at_ms": None,
        "ended_at_ms": None,
    }
    changed = connection.execute(update(recordings).where(recordings.c.trial_id == trial_id).values(**fresh))
    if not changed.rowcount:
        connection.execute(insert(recordings).values(trial_id=trial_id, **fresh))


def oldest_queued(connection: Connection, datasets: Sequence[str], now_ms: int) -> tuple[str, str] | None:
    """The trial and sweep of the recording that has waited longest, of those that a worker with these data can make."""
    statement = (
        select(recordings.c.trial_id, trials.c.sweep_id)
        .join(trials, trials.c.id == recordings.c.trial_id)
        .join(sweeps, sweeps.c.id == trials.c.sweep_id)
        .where(
            recordings.c.state == RecordingState.QUEUED,
            recordings.c.not_before_ms <= now_ms,
            sweeps.c.dataset.in_(datasets),
        )
        .order_by(recordings.c.requested_at_ms, recordings.c.trial_id)
        .limit(1)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else (row.trial_id, row.sweep_id)


def take_if_queued(
    connection: Connection, trial_id: str, *, lease_id: str, worker_id: str, claim_key: str, now_ms: int
) -> Recording | None:
    """Give a recording to a lease; None if it no longer waits."""
    statement = (
        update(recordings)
        .where(recordings.c.trial_id == trial_id, recordings.c.state == RecordingState.QUEUED)
        .values(
            state=RecordingState.RUNNING,
            attempt=recordings.c.attempt + 1,
            lease_id=lease_id,
            worker_id=worker_id,
            claim_key=claim_key,
            started_at_ms=now_ms,
        )
        .returning(recordings)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else recording_from_row(row)


def claimed_with(connection: Connection, claim_key: str) -> Recording | None:
    """The recording that a claim was given and still holds."""
    statement = select(recordings).where(
        recordings.c.claim_key == claim_key, recordings.c.state == RecordingState.RUNNING
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else recording_from_row(row)


def recordings_held_by(connection: Connection, lease_id: str) -> list[Recording]:
    """The recordings that a lease holds."""
    statement = select(recordings).where(
        recordings.c.lease_id == lease_id, recordings.c.state == RecordingState.RUNNING
    )
    return [recording_from_row(row) for row in connection.execute(statement.order_by(recordings.c.trial_id))]


def sweeps_recorded_under(connection: Connection, lease_id: str) -> list[str]:
    """The sweeps of the trials whose recordings a lease holds."""
    statement = (
        select(trials.c.sweep_id)
        .join(recordings, recordings.c.trial_id == trials.c.id)
        .where(recordings.c.lease_id == lease_id, recordings.c.state == RecordingState.RUNNING)
    )
    return list(connection.execute(statement.distinct()).scalars())


def end_recording(
    connection: Connection, trial_id: str, state: RecordingState, *, reason: str | None, result_hash: str, now_ms: int
) -> None:
    """End the recording of a trial whose sweep is locked, and which the lease was seen to hold."""
    connection.execute(
        update(recordings)
        .where(recordings.c.trial_id == trial_id)
        .values(state=state, claim_key=None, reason=reason, result_hash=result_hash, ended_at_ms=now_ms)
    )


def give_recording_back(
    connection: Connection, trial_id: str, fate: RecordingFate, *, reason: str | None, now_ms: int
) -> None:
    """Take a recording, whose sweep is locked, from its worker: it waits again, or has failed."""
    has_failed = fate.state is RecordingState.FAILED
    connection.execute(
        update(recordings)
        .where(recordings.c.trial_id == trial_id)
        .values(
            state=fate.state,
            lost=fate.lost,
            claim_key=None,
            not_before_ms=now_ms + fate.wait_ms,
            reason=reason if has_failed else None,
            ended_at_ms=now_ms if has_failed else None,
        )
    )
