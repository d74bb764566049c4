"""Steering: what a user may do to a sweep or one of its trials. What is not possible is a Conflict that says why.

sweep   queued | running ──pause──► paused ──resume──► queued | running
        queued | running | paused ──stop──► stopping ──nothing runs──► completed
        any that has not ended ──cancel──► stopping ──nothing runs──► cancelled
trial   waiting ──cancel──► cancelled      running ──cancel──► told to stop, cancelled when its worker says so
        failed | cancelled ──retry──► waiting; a sweep that has completed opens again for those it takes back
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from service.database.engine import Database
from service.database.steered import (
    cancel_if_waiting,
    request_stop_if_running,
    requeue_failed,
    requeue_if_failed_or_cancelled,
)
from service.database.submissions import delete_sweep_row
from service.database.sweeps import NewEvent, append_events, get_sweep, lock_sweep, set_sweep_state
from service.database.trials import get_trial
from service.database.waiting_trials import count_active
from service.domain.states import SweepReason, SweepState, TrialState
from service.domain.sweep import Sweep
from service.domain.trial import Trial
from service.errors import Conflict, NotFound
from service.operations.settling import drain_sweep, kill_sweep, reopen_sweep, settle_sweep, trial_event

_GOES_ON = (SweepState.QUEUED, SweepState.RUNNING, SweepState.PAUSED)
_TAKES_BACK = (*_GOES_ON, SweepState.COMPLETED)


@dataclass(frozen=True, slots=True)
class _Steered:
    """A sweep under the hand of its user: locked, inside a write transaction."""

    connection: Connection
    sweep: Sweep
    now_ms: int

    def change(self, event: str, **values: Any) -> Sweep:
        """Write columns of the sweep and tell of it."""
        set_sweep_state(self.connection, self.sweep, **values)
        sweep = replace(self.sweep, **values)
        body = {"state": sweep.state, "state_reason": sweep.state_reason}
        append_events(self.connection, sweep.id, [NewEvent(event, body)], self.now_ms)
        return sweep

    def settled(self, sweep: Sweep) -> Sweep:
        """Let the sweep draw its conclusions, and read it as it is now."""
        settle_sweep(self.connection, sweep, self.now_ms)
        return get_sweep(self.connection, sweep.id) or sweep

    def take_back(self, waiting: Sequence[tuple[str, int]]) -> Sweep:
        """Tell of trials that wait again, by id and number; a sweep that had completed opens for them."""
        sweep = self.sweep
        if sweep.state is SweepState.COMPLETED:
            sweep = reopen_sweep(self.connection, sweep, self.now_ms, n_more=0)
        events = [trial_event("trial_waiting", *one, reason="retry") for one in waiting]
        append_events(self.connection, sweep.id, events, self.now_ms)
        return self.settled(sweep)

    def require(self, *states: SweepState, to: str) -> None:
        """Refuse unless the sweep is in one of these states."""
        if self.sweep.state not in states:
            allowed = ", ".join(states[:-1]) + f" or {states[-1]}" if states[1:] else states[0]
            raise Conflict(f"sweep {self.sweep.name!r} is {self.sweep.state}; only one that is {allowed} can be {to}")


@contextmanager
def _steer(database: Database, sweep_id: str) -> Iterator[_Steered]:
    with database.write() as connection:
        sweep = lock_sweep(connection, sweep_id)
        if sweep is None:
            raise NotFound(f"there is no sweep {sweep_id}; list them with GET /v1/sweeps")
        yield _Steered(connection, sweep, database.now_ms(connection))


def pause_sweep(database: Database, sweep_id: str) -> Sweep:
    """Let leased trials finish and give out no more."""
    with _steer(database, sweep_id) as steered:
        steered.require(SweepState.QUEUED, SweepState.RUNNING, to="paused")
        sweep = steered.change("sweep_paused", state=SweepState.PAUSED, state_reason=SweepReason.BY_USER)
        return steered.settled(sweep)


def resume_sweep(database: Database, sweep_id: str) -> Sweep:
    """Go on with a paused sweep; failures of before no longer count against it."""
    with _steer(database, sweep_id) as steered:
        steered.require(SweepState.PAUSED, to="resumed")
        state = SweepState.QUEUED if steered.sweep.started_at_ms is None else SweepState.RUNNING
        return steered.settled(steered.change("sweep_resumed", state=state, state_reason=None))


def stop_sweep(database: Database, sweep_id: str) -> Sweep:
    """Drain: leased trials finish, waiting ones are cancelled, then the sweep is completed."""
    with _steer(database, sweep_id) as steered:
        steered.require(*_GOES_ON, to="stopped")
        return steered.settled(drain_sweep(steered.connection, steered.sweep, SweepReason.BY_USER, steered.now_ms))


def cancel_sweep(database: Database, sweep_id: str) -> Sweep:
    """Kill: waiting trials are cancelled, running ones told to stop, then the sweep is cancelled."""
    with _steer(database, sweep_id) as steered:
        steered.require(*_GOES_ON, SweepState.STOPPING, to="cancelled")
        return steered.settled(kill_sweep(steered.connection, steered.sweep, steered.now_ms))


def delete_sweep(database: Database, sweep_id: str) -> Sweep:
    """Delete a sweep with all its trials and what they measured; returns it as it was."""
    with _steer(database, sweep_id) as steered:
        n_running = count_active(steered.connection, [sweep_id])[sweep_id][TrialState.RUNNING]
        if n_running or steered.sweep.state in (SweepState.RUNNING, SweepState.STOPPING):
            raise Conflict(f"sweep {steered.sweep.name!r} is {steered.sweep.state}; cancel it before you delete it")
        delete_sweep_row(steered.connection, sweep_id)
        return steered.sweep


def retry_failed(database: Database, sweep_id: str) -> Sweep:
    """Have every failed trial of a sweep wait again, as `retry_trial` does one; where none failed, nothing happens.

    All wait at once, whatever `max_parallel` says: they were chosen already, so that the search loses nothing.
    """
    with _steer(database, sweep_id) as steered:
        steered.require(*_TAKES_BACK, to="given trials again")
        waiting = requeue_failed(steered.connection, steered.sweep)
        return steered.take_back(waiting) if waiting else steered.sweep


@contextmanager
def _steer_trial(database: Database, trial_id: str) -> Iterator[tuple[_Steered, Trial]]:
    """A trial as it is under its sweep's lock."""
    with database.read() as connection:
        trial = get_trial(connection, trial_id)
    if trial is None:
        raise NotFound(f"there is no trial {trial_id}; list them with GET /v1/sweeps/{{id}}/trials")
    with _steer(database, trial.sweep_id) as steered:
        yield steered, _reread(steered, trial_id)


def _reread(steered: _Steered, trial_id: str) -> Trial:
    trial = get_trial(steered.connection, trial_id)
    if trial is None:
        raise NotFound(f"trial {trial_id} was deleted")
    return trial


def cancel_trial(database: Database, trial_id: str) -> Trial:
    """Cancel a waiting trial at once; have a running one told to stop at its epoch's end."""
    with _steer_trial(database, trial_id) as (steered, trial):
        if cancel_if_waiting(steered.connection, steered.sweep, trial_id, steered.now_ms):
            event = trial_event("trial_cancelled", trial.id, trial.number)
            append_events(steered.connection, steered.sweep.id, [event], steered.now_ms)
            settle_sweep(steered.connection, steered.sweep, steered.now_ms)
        elif not request_stop_if_running(steered.connection, steered.sweep, trial_id):
            raise Conflict(f"trial {trial.number} is {trial.state}; only a waiting or running one can be cancelled")
        return _reread(steered, trial_id)


def retry_trial(database: Database, trial_id: str) -> Trial:
    """Have a failed or cancelled trial wait again, with all its lives and under the same number."""
    with _steer_trial(database, trial_id) as (steered, trial):
        steered.require(*_TAKES_BACK, to="given trials again")
        n_active = sum(count_active(steered.connection, [trial.sweep_id])[trial.sweep_id].values())
        if n_active >= steered.sweep.max_parallel:
            raise Conflict(
                f"{n_active} trials wait or run already, as many as max_parallel allows; retry when one has ended"
            )
        if not requeue_if_failed_or_cancelled(steered.connection, steered.sweep, trial_id):
            raise Conflict(f"trial {trial.number} is {trial.state}; only a failed or cancelled one can be retried")
        steered.take_back([(trial.id, trial.number)])
        return _reread(steered, trial_id)
