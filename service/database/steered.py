"""What a user's word does to trials: each a conditional UPDATE under the sweep's lock."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, update

from service.database.tables import trials
from service.domain.states import TrialState
from service.domain.sweep import Sweep


def cancel_if_waiting(connection: Connection, sweep: Sweep, trial_id: str, now_ms: int) -> bool:
    """Cancel a trial of a locked sweep that waits; False if it does not."""
    statement = (
        update(trials)
        .where(trials.c.id == trial_id, trials.c.state == TrialState.WAITING)
        .values(state=TrialState.CANCELLED, ended_at_ms=now_ms, revision=sweep.revision)
    )
    return connection.execute(statement).rowcount == 1


def request_stop_if_running(connection: Connection, sweep: Sweep, trial_id: str) -> bool:
    """Have a running trial told to stop at its next report or heartbeat; False if it does not run."""
    statement = (
        update(trials)
        .where(trials.c.id == trial_id, trials.c.state == TrialState.RUNNING)
        .values(stop_requested=True, revision=sweep.revision)
    )
    return connection.execute(statement).rowcount == 1


def requeue_if_failed_or_cancelled(connection: Connection, sweep: Sweep, trial_id: str) -> bool:
    """Have a failed or cancelled trial wait again with all its lives; its attempt, the fence, stays."""
    statement = (
        update(trials)
        .where(trials.c.id == trial_id, trials.c.state.in_((TrialState.FAILED, TrialState.CANCELLED)))
        .values(**_AS_NEW, revision=sweep.revision)
    )
    return connection.execute(statement).rowcount == 1


def requeue_failed(connection: Connection, sweep: Sweep) -> list[tuple[str, int]]:
    """Have all failed trials of a locked sweep wait again, as `requeue_if_failed_or_cancelled` does one.

    Returns:
        Their ids and numbers, by number.
    """
    statement = (
        update(trials)
        .where(trials.c.sweep_id == sweep.id, trials.c.state == TrialState.FAILED)
        .values(**_AS_NEW, revision=sweep.revision)
        .returning(trials.c.id, trials.c.number)
    )
    return sorted(((row.id, row.number) for row in connection.execute(statement)), key=lambda one: one[1])


_AS_NEW: Mapping[str, Any] = {
    "state": TrialState.WAITING,
    "lost": 0,
    "batch_limit": None,
    "not_before_ms": 0,
    "stop_requested": False,
    "failure_kind": None,
    "failure_type": None,
    "failure_message": None,
    "failure_traceback": None,
    "objective": None,
    "best_epoch": None,
    "ended_at_ms": None,
}
"""What a trial that waits again loses of its end; what it measured is written over by its next attempt."""
