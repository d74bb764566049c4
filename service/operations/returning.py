"""Taking trials from a lease that will not finish them: handed back by their worker, or lost with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from service.database.attempts import end_attempts
from service.database.leased_trials import GivenBack, LeasedTrial, give_back
from service.database.sweeps import NewEvent, append_events
from service.domain.lease import Fate
from service.domain.states import AttemptOutcome, FailureKind, TrialState
from service.domain.sweep import Sweep
from service.operations.settling import settle_sweep, trial_event


@dataclass(frozen=True, slots=True)
class Returned:
    """One trial that leaves its lease, how its attempt ended, and why, in a word and (for a failure) a sentence."""

    trial: LeasedTrial
    fate: Fate
    outcome: AttemptOutcome
    reason: str
    message: str | None = None


def return_trials(
    connection: Connection, sweeps: Mapping[str, Sweep], returned: Sequence[Returned], now_ms: int
) -> None:
    """Take trials from their lease, end their attempts, tell of it; their sweeps, all locked, are settled."""
    give_back(connection, [_given_back(one, sweeps[one.trial.sweep_id], now_ms) for one in returned])
    ended = {(one.trial.id, one.trial.attempt): (one.outcome, None) for one in returned}
    end_attempts(connection, ended, now_ms)
    for sweep_id, sweep in sweeps.items():
        events = [_event(one) for one in returned if one.trial.sweep_id == sweep_id]
        append_events(connection, sweep_id, events, now_ms)
        settle_sweep(connection, sweep, now_ms)


def _given_back(one: Returned, sweep: Sweep, now_ms: int) -> GivenBack:
    has_failed = one.fate.state is TrialState.FAILED
    return GivenBack(
        id=one.trial.id,
        state=one.fate.state,
        lost=one.fate.lost,
        batch_limit=one.fate.batch_limit,
        not_before_ms=now_ms + one.fate.wait_ms,
        failure_kind=FailureKind.WORKER_LOST if has_failed else None,
        failure_type=None,
        failure_message=one.message if has_failed else None,
        revision=sweep.revision,
        ended_at_ms=now_ms if one.fate.state.is_final else None,
    )


def _event(one: Returned) -> NewEvent:
    return trial_event(
        f"trial_{one.fate.state}",
        one.trial.id,
        one.trial.number,
        attempt=one.trial.attempt,
        reason=one.reason,
        lost=one.fate.lost,
    )
