"""Rescuing: the configuration that a diagnosis advises, enqueued as a trial of the same sweep.

The rescue comes on top of what the sweep was to do: `run_cap` grows by one with it, `max_parallel` does not hold it
up, and a sweep that has completed opens again for it alone. It starts from the same initial weights as the trial that
it is to rescue, so that the two differ in the remedies and in nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from service.database.cases import read_cases
from service.database.engine import Database
from service.database.rescues import trial_with_configuration
from service.database.sweeps import append_events, lock_sweep, set_sweep_state
from service.database.trials import get_trial, insert_trials
from service.domain.catalogue import CATALOGUE
from service.domain.parameters import canonical, config_hash
from service.domain.stability.diagnosis import Diagnosis, diagnose, rescue
from service.domain.stability.enforcement import Case
from service.domain.states import SweepState
from service.domain.sweep import Sweep
from service.domain.trial import Trial
from service.errors import Conflict, InvalidRequest, NotFound, Problem
from service.operations.proposing import trial_row
from service.operations.repeating import answered_before, check_key, fingerprint, remember
from service.operations.settling import reopen_sweep, settle_sweep, trial_event
from service.wire.parameters import Parameters

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Rescued:
    """The trial that was enqueued. `replayed`: it had been before, under the same Idempotency-Key."""

    trial_id: str
    replayed: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be enqueued, and the attempt whose diagnosis advises it."""

    trial: Trial
    parameters: Parameters
    changes: dict[str, Any]


def rescue_trial(
    database: Database, trial_id: str, *, remedies: Sequence[int] | None = None, idempotency_key: str | None = None
) -> Rescued:
    """Enqueue a trial's configuration with the remedies that its diagnosis advises.

    Args:
        database: Where the trial is.
        trial_id: A trial that has ended.
        remedies: Which, by their places in the diagnosis from 1 on; None takes all.
        idempotency_key: If it was used before with the same request, that rescue is returned and nothing is done.

    Raises:
        NotFound: There is no such trial.
        Conflict: It has not ended, there is nothing to rescue, the sweep has this configuration already, or it was
            cancelled or is about to end.
        InvalidRequest: There are not so many remedies, or the key cannot be one.
        IdempotencyMismatch: The key was used for another request.
    """
    check_key(idempotency_key)
    chosen = None if remedies is None else sorted(set(remedies))
    request_hash = fingerprint(f"rescue {trial_id} {chosen}")
    for _ in range(_ATTEMPTS):
        with database.read() as connection:
            known = answered_before(connection, idempotency_key, request_hash)
            if known is not None:
                return _replay(connection, idempotency_key, known["trial_id"])
            trial, case = _read(connection, trial_id)
        plan = _plan(trial, case, chosen)
        try:
            with database.write() as connection:
                now_ms = database.now_ms(connection)
                sweep = lock_sweep(connection, trial.sweep_id)
                known = answered_before(connection, idempotency_key, request_hash)
                if known is not None:  # the same request, sent twice at once, was faster
                    return _replay(connection, idempotency_key, known["trial_id"])
                rescued = _enqueue(connection, sweep, plan, now_ms)
                if rescued is not None:
                    remember(connection, idempotency_key, request_hash, {"trial_id": rescued}, now_ms)
                    return Rescued(rescued, replayed=False)
        except IntegrityError:
            continue  # another request took the key between our look and our insert: look again
    raise Conflict(f"trial {trial_id} is being changed by others; try again")


def _replay(connection: Connection, key: str | None, trial_id: str) -> Rescued:
    if get_trial(connection, trial_id) is None:
        raise Conflict(f"the rescue of the Idempotency-Key {key!r} was deleted with its sweep; use a new key")
    return Rescued(trial_id, replayed=True)


def _read(connection: Connection, trial_id: str) -> tuple[Trial, Case]:
    trial = get_trial(connection, trial_id)
    if trial is None:
        raise NotFound(f"there is no trial {trial_id!r}; a sweep's trials are listed at /v1/sweeps/ID/trials")
    fence = (trial.id, trial.attempt)
    return trial, read_cases(connection, [fence]).get(fence, Case((), trial.parameters))


def _plan(trial: Trial, case: Case, chosen: Sequence[int] | None) -> _Plan:
    """What to enqueue; a Conflict says why there is nothing."""
    if not trial.state.is_final:
        raise Conflict(f"trial {trial.number} is {trial.state}; rescue it when it has ended")
    diagnosis = _with_chosen(diagnose(case.rows, trial.parameters, case.class_shares), trial, chosen)
    changes = rescue(trial.parameters, diagnosis)
    parameters = canonical(trial.parameters.model_dump() | changes)
    if parameters == trial.parameters:
        raise Conflict(f"trial {trial.number} has what its diagnosis advises already; choose other remedies")
    for name, value in changes.items():
        if CATALOGUE[name].is_numeric and value is not None and not CATALOGUE[name].is_in_range(value):
            legal = CATALOGUE[name].range_in_words
            raise Conflict(f"the remedy asks for {name} {value:g}, which is not in {legal}; choose other remedies")
    return _Plan(trial, parameters, changes)


def _with_chosen(diagnosis: Diagnosis, trial: Trial, chosen: Sequence[int] | None) -> Diagnosis:
    """The diagnosis with the remedies that were asked for."""
    if diagnosis.finding is None:
        raise Conflict(
            f"trial {trial.number} is {trial.state} and was never trained: nothing is known of its gradients"
        )
    n_remedies = len(diagnosis.remedies)
    if n_remedies == 0:
        words = "no remedy is known that it lacks"
        if diagnosis.score is not None:
            words = f"its stability is {diagnosis.score.stability:.2f}"
        raise Conflict(f"there is nothing to rescue: trial {trial.number} is {diagnosis.finding.verdict}, and {words}")
    if chosen is None:
        return diagnosis
    beyond = [place for place in chosen if not 1 <= place <= n_remedies]
    if beyond:
        message = f"the diagnosis lists {n_remedies}, counted from 1"
        raise InvalidRequest(f"there is no remedy {beyond[0]}: {message}.", [Problem("/remedies", message)])
    return replace(diagnosis, remedies=tuple(diagnosis.remedies[place - 1] for place in chosen))


def _enqueue(connection: Connection, sweep: Sweep | None, plan: _Plan, now_ms: int) -> str | None:
    """Insert the trial under the sweep's lock; None if the trial it is to rescue has changed meanwhile."""
    trial = get_trial(connection, plan.trial.id)
    if sweep is None or trial is None:
        raise NotFound(f"trial {plan.trial.id} was deleted with its sweep")
    if (trial.attempt, trial.state) != (plan.trial.attempt, plan.trial.state):
        return None
    twin = trial_with_configuration(connection, sweep.id, config_hash(plan.parameters), trial.replicate)
    if twin is not None:
        verdict = "" if twin.verdict is None else f", {twin.verdict}"
        raise Conflict(f"trial {twin.number} of this sweep has just this configuration ({twin.state}{verdict})")
    sweep = _with_room(connection, sweep, now_ms)
    row = trial_row(sweep, sweep.n_trials, plan.parameters, now_ms, replicate=trial.replicate)
    row |= {"seed": trial.seed, "rescue_of": trial.number}
    insert_trials(connection, [row])
    sweep = replace(sweep, n_trials=sweep.n_trials + 1)
    set_sweep_state(connection, sweep, n_trials=sweep.n_trials)
    event = trial_event("trial_created", row["id"], row["number"], rescue_of=trial.number, changes=plan.changes)
    append_events(connection, sweep.id, [event], now_ms)
    settle_sweep(connection, sweep, now_ms)
    trial_id: str = row["id"]
    return trial_id


def _with_room(connection: Connection, sweep: Sweep, now_ms: int) -> Sweep:
    """The sweep with room for one trial more than it was to have."""
    if sweep.state is SweepState.COMPLETED:
        return reopen_sweep(connection, sweep, now_ms, n_more=1)
    if sweep.state in (SweepState.STOPPING, SweepState.CANCELLED):
        later = "rescue it when the sweep has ended" if sweep.state is SweepState.STOPPING else "its trials stay as is"
        raise Conflict(f"sweep {sweep.name!r} is {sweep.state} and takes no trials; {later}")
    if sweep.run_cap is None:
        return sweep
    set_sweep_state(connection, sweep, run_cap=sweep.run_cap + 1)
    return replace(sweep, run_cap=sweep.run_cap + 1)
