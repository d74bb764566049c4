"""Keeping a lease and handing trials back."""

from collections.abc import Sequence

from sqlalchemy import Connection

from service.database.attempts import released_under
from service.database.engine import Database
from service.database.leased_trials import LeasedTrial, held_by, sweeps_held_by
from service.database.leases import get_lease, release_if_active, renew_if_active
from service.database.recordings import sweeps_recorded_under
from service.database.sweeps import lock_sweeps
from service.database.workers import see_working_worker
from service.domain.lease import Fate, LeaseSettings, returns_to_waiting
from service.domain.states import AttemptOutcome, LeaseState, TrialState
from service.domain.sweep import Sweep
from service.errors import Conflict, NotFound
from service.operations.recording_leases import hand_back_recordings
from service.operations.returning import Returned, return_trials
from service.wire.leases import HeartbeatAnswer, HeartbeatRequest, ReleaseAnswer, ReleaseRequest


def heartbeat(database: Database, lease_id: str, request: HeartbeatRequest, settings: LeaseSettings) -> HeartbeatAnswer:
    """Renew a lease, late or not, as long as nobody has reaped it; say what it holds and what must stop.

    Raises:
        NotFound: There never was such a lease.
        Conflict: The lease has ended; its trials wait again or run elsewhere.
    """
    with database.write() as connection:
        now_ms = database.now_ms(connection)
        worker_id = renew_if_active(connection, lease_id, now_ms + settings.lease_ms)
        if worker_id is None:
            raise _ended(connection, lease_id)
        held = held_by(connection, lease_id)
        see_working_worker(
            connection,
            worker_id,
            phase=request.phase,
            slots_filled=request.slots_filled,
            steps_done=request.steps_done,
            idle_slot_seconds=request.idle_slot_seconds,
            now_ms=now_ms,
        )
        return HeartbeatAnswer(
            lease_seconds=settings.lease_seconds,
            held=tuple(trial.id for trial in held),
            stop=tuple(trial.id for trial in held if trial.stop_requested),
        )


def release(database: Database, lease_id: str, request: ReleaseRequest, settings: LeaseSettings) -> ReleaseAnswer:
    """Hand trials back, at no cost: they wait again at once, or are cancelled if they were to stop.

    Handing back all of them ends the lease. The same release again answers the same.

    Returns:
        The trials of the request that this lease handed back and that waited again then.

    Raises:
        NotFound: There never was such a lease.
        Conflict: The lease has expired; its trials were taken away already.
    """
    wanted = None if request.trials is None else {(one.trial_id, one.attempt) for one in request.trials}
    with database.write() as connection:
        now_ms = database.now_ms(connection)
        if renew_if_active(connection, lease_id, now_ms + settings.lease_ms) is not None:
            recorded = sweeps_recorded_under(connection, lease_id) if wanted is None else []
            sweeps = lock_sweeps(connection, [*sweeps_held_by(connection, lease_id), *recorded])
            held = held_by(connection, lease_id)
            back = [trial for trial in held if wanted is None or (trial.id, trial.attempt) in wanted]
            _hand_back(connection, sweeps, back, now_ms)
            if wanted is None:
                hand_back_recordings(connection, lease_id, now_ms)
                release_if_active(connection, lease_id, now_ms)
        elif not _is_released(connection, lease_id):
            raise _ended(connection, lease_id)
        released = released_under(connection, lease_id)
        matching = dict.fromkeys(
            trial_id for trial_id, attempt in released if wanted is None or (trial_id, attempt) in wanted
        )
        return ReleaseAnswer(released=tuple(matching))


def _hand_back(connection: Connection, sweeps: dict[str, Sweep], back: Sequence[LeasedTrial], now_ms: int) -> None:
    returned = []
    for trial in back:
        waits = returns_to_waiting(sweeps[trial.sweep_id].state) and not trial.stop_requested
        state = TrialState.WAITING if waits else TrialState.CANCELLED
        outcome = AttemptOutcome.RELEASED if waits else AttemptOutcome.CANCELLED
        fate = Fate(state, trial.lost, trial.batch_limit, wait_ms=0)
        returned.append(Returned(trial, fate, outcome, reason="released"))
    return_trials(connection, sweeps, returned, now_ms)


def _is_released(connection: Connection, lease_id: str) -> bool:
    lease = get_lease(connection, lease_id)
    return lease is not None and lease.state is LeaseState.RELEASED


def _ended(connection: Connection, lease_id: str) -> Conflict | NotFound:
    """The error that tells a worker that its lease holds nothing."""
    lease = get_lease(connection, lease_id)
    if lease is None:
        return NotFound(f"there is no lease {lease_id}")
    return Conflict(f"lease {lease_id} is {lease.state}: it holds no trials; claim without lease_id to get a new one")
