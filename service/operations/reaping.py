"""Reaping: taking trials from workers that vanished, but never because the service itself was away."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from service.database.attempts import workers_that_lost
from service.database.claims import delete_claims_before
from service.database.engine import Database
from service.database.leased_trials import LeasedTrial, held_by, sweeps_held_by
from service.database.leases import expire_if_overdue, extend_active, overdue_leases
from service.database.recordings import sweeps_recorded_under
from service.database.settled import add_active_time, timed_sweeps
from service.database.sweeps import lock_sweep, lock_sweeps
from service.domain.lease import LeaseSettings, fate_of_lost
from service.domain.states import AttemptOutcome, TrialState
from service.domain.sweep import Sweep
from service.operations.recording_leases import lose_recordings
from service.operations.returning import Returned, return_trials
from service.operations.settling import settle_sweep

LATE_AFTER_INTERVALS = 2
"""A tick that comes later than so many intervals after the last one says that the service was away."""


@dataclass(frozen=True, slots=True)
class ReapResult:
    """What one tick did."""

    n_extended: int = 0
    n_expired: int = 0
    n_lost: int = 0


class Reaper:
    """One tick after another. Knows by the database's clock when the last one was, so it notices its own absence.

    A machine that sleeps stops its monotonic clock, a database that is away makes ticks fail: both show as a late
    tick, and so does a start. Then all leases are extended before any is reaped.
    """

    def __init__(self, database: Database, settings: LeaseSettings) -> None:
        self._database = database
        self._settings = settings
        self._last_tick_ms: int | None = None

    def tick(self) -> ReapResult:
        """Look for expired leases once; several transactions. Call it every `reap_seconds`."""
        with self._database.read() as connection:
            now_ms = self._database.now_ms(connection)
        last_ms = self._last_tick_ms
        is_late = last_ms is None or now_ms - last_ms > LATE_AFTER_INTERVALS * self._settings.reap_ms
        n_extended = extend_all(self._database, self._settings) if is_late else 0
        result = reap(self._database, self._settings)
        self._last_tick_ms = now_ms
        return ReapResult(n_extended, result.n_expired, result.n_lost)


def extend_all(database: Database, settings: LeaseSettings) -> int:
    """Let every active lease hold for one more period from now: for the time after the service was away.

    Returns:
        How many leases were extended.
    """
    with database.write() as connection:
        return extend_active(connection, database.now_ms(connection) + settings.lease_ms)


def reap(database: Database, settings: LeaseSettings) -> ReapResult:
    """End the leases that nobody renewed in time and take their trials, each lease in a transaction of its own.

    Also counts the time that sweeps had a live lease against their time budgets, and forgets old claims.
    """
    _count_time(database, settings)
    with database.read() as connection:
        overdue = overdue_leases(connection, database.now_ms(connection))
    losses = [_reap_one(database, lease_id, settings) for lease_id in overdue]
    expired = [n_lost for n_lost in losses if n_lost is not None]
    with database.write() as connection:
        delete_claims_before(connection, database.now_ms(connection) - round(settings.claim_kept_seconds * 1000))
    return ReapResult(n_expired=len(expired), n_lost=sum(expired))


def _reap_one(database: Database, lease_id: str, settings: LeaseSettings) -> int | None:
    """Take the trials of one lease; None if it was renewed or ended meanwhile."""
    with database.write() as connection:
        now_ms = database.now_ms(connection)
        worker_id = expire_if_overdue(connection, lease_id, now_ms)
        if worker_id is None:
            return None
        recorded = sweeps_recorded_under(connection, lease_id)
        sweeps = lock_sweeps(connection, [*sweeps_held_by(connection, lease_id), *recorded])
        batch = held_by(connection, lease_id)
        returned = [
            _returned(
                connection,
                trial,
                sweeps[trial.sweep_id],
                batch_size=len(batch),
                worker_id=worker_id,
                settings=settings,
            )
            for trial in batch
        ]
        return_trials(connection, sweeps, returned, now_ms)
        lose_recordings(connection, lease_id, worker_id=worker_id, settings=settings, now_ms=now_ms)
        return len(batch)


def _returned(
    connection: Connection,
    trial: LeasedTrial,
    sweep: Sweep,
    *,
    batch_size: int,
    worker_id: str,
    settings: LeaseSettings,
) -> Returned:
    fate = fate_of_lost(
        lost=trial.lost,
        batch_limit=trial.batch_limit,
        batch_size=batch_size,
        stop_requested=trial.stop_requested,
        sweep_state=sweep.state,
        max_lost=settings.max_lost,
    )
    message = None
    if fate.state is TrialState.FAILED:
        dead = list(dict.fromkeys([*workers_that_lost(connection, trial.id), worker_id]))
        message = f"{fate.lost} workers vanished while they trained it: {', '.join(dead)}"
    return Returned(trial, fate, AttemptOutcome.LOST, reason="worker_lost", message=message)


def _count_time(database: Database, settings: LeaseSettings) -> None:
    """Count the time since the last tick for sweeps with a live lease, each in its own transaction.

    A sweep whose time is up drains.
    """
    with database.read() as connection:
        timed = timed_sweeps(connection)
    for sweep_id in timed:
        with database.write() as connection:
            sweep = lock_sweep(connection, sweep_id)
            now_ms = database.now_ms(connection)
            longest_ms = LATE_AFTER_INTERVALS * settings.reap_ms
            if add_active_time(connection, sweep_id, now_ms, longest_ms) and sweep is not None:
                settle_sweep(connection, replace(sweep, active_ms=sweep.time_budget_ms or 0), now_ms)
