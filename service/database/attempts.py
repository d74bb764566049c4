"""The attempts table: each go of a worker at a trial, and how it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from service.database.bulk import insert_rows, update_rows
from service.database.tables import attempts
from service.domain.states import AttemptOutcome, PruneReason

Fence = tuple[str, int]
"""A trial's id and the number of an attempt."""


@dataclass(frozen=True, slots=True)
class EndedAttempt:
    """How an attempt under a lease ended; `outcome` is None while it runs."""

    outcome: AttemptOutcome | None
    final_hash: str | None
    prune_reason: PruneReason | None
    class_shares: list[float] | None = None


def insert_attempts(
    connection: Connection, fences: Sequence[Fence], *, lease_id: str, worker_id: str, now_ms: int
) -> None:
    """Begin attempts."""
    rows = [(trial_id, attempt, lease_id, worker_id, now_ms) for trial_id, attempt in fences]
    insert_rows(connection, attempts, ("trial_id", "attempt", "lease_id", "worker_id", "started_at_ms"), rows)


def end_attempts(connection: Connection, ended: Mapping[Fence, tuple[AttemptOutcome, str | None]], now_ms: int) -> None:
    """End attempts, each with its outcome and the hash of the `final` that ended it, if one did."""
    rows = [
        (outcome.value, now_ms, final_hash, trial_id, attempt)
        for (trial_id, attempt), (outcome, final_hash) in ended.items()
    ]
    update_rows(connection, attempts, ("trial_id", "attempt"), ("outcome", "ended_at_ms", "final_hash"), rows)


_START = (
    update(attempts)
    .where(attempts.c.trial_id == bindparam("of_trial"), attempts.c.attempt == bindparam("of_attempt"))
    .values(
        {
            name: bindparam(f"new_{name}", type_=attempts.c[name].type)
            for name in ("stream_seed", "start_epoch", "dataset_sha256", "environment", "class_shares")
        }
    )
)


def describe_starts(connection: Connection, starts: Mapping[Fence, Mapping[str, Any]]) -> None:
    """Record how attempts began: enough to replay each alone."""
    if starts:
        connection.execute(
            _START,
            [
                {"of_trial": trial_id, "of_attempt": attempt} | {f"new_{name}": value for name, value in start.items()}
                for (trial_id, attempt), start in starts.items()
            ],
        )


def released_under(connection: Connection, lease_id: str) -> list[Fence]:
    """The attempts under a lease that its worker handed back, in the order of the trials' ids."""
    statement = (
        select(attempts.c.trial_id, attempts.c.attempt)
        .where(attempts.c.lease_id == lease_id, attempts.c.outcome == AttemptOutcome.RELEASED)
        .order_by(attempts.c.trial_id, attempts.c.attempt)
    )
    return [(row.trial_id, row.attempt) for row in connection.execute(statement)]


def workers_that_lost(connection: Connection, trial_id: str) -> list[str]:
    """The workers that vanished with a trial, first to last, each once."""
    statement = (
        select(attempts.c.worker_id)
        .where(attempts.c.trial_id == trial_id, attempts.c.outcome == AttemptOutcome.LOST)
        .order_by(attempts.c.attempt)
    )
    return list(dict.fromkeys(connection.execute(statement).scalars()))
