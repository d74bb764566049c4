"""Counts and sums over many rows, each in one statement however many sweeps are shown."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, and_, case, func, or_, select

from service.database.feasible import keeps_bounds
from service.database.tables import attempts, epochs, leases, sweeps, trials, workers
from service.domain.progress import LiveWorker, StateSum
from service.domain.states import AttemptOutcome, Direction, LeaseState, SweepState, TrialState, Verdict
from service.domain.sweep import Sweep

_TO_THE_END = (AttemptOutcome.COMPLETED, AttemptOutcome.PRUNED)


@dataclass(frozen=True, slots=True)
class BestSoFar:
    """The best completed trial of a sweep."""

    trial_id: str
    number: int
    objective: float


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What stands beside a trial: who trains it, and which values of its last epoch were not finite."""

    worker_id: str | None
    nonfinite: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sums:
    """What the trials of a sweep add up to. States without trials, and verdicts that none got, are left out."""

    states: Mapping[TrialState, StateSum]
    verdicts: Mapping[Verdict, int]


def sums_of(connection: Connection, sweep_ids: Collection[str]) -> dict[str, Sums]:
    """Per sweep: trials, epochs trained and epochs planned by state, and trials by verdict; from one index alone."""
    statement = (
        select(
            trials.c.sweep_id,
            trials.c.state,
            trials.c.verdict,
            func.count(),
            func.sum(func.coalesce(trials.c.epoch, 0)),
            func.sum(trials.c.epochs),
        )
        .where(trials.c.sweep_id.in_(sweep_ids))
        .group_by(trials.c.sweep_id, trials.c.state, trials.c.verdict)
    )
    states: dict[str, dict[TrialState, StateSum]] = {sweep_id: {} for sweep_id in sweep_ids}
    verdicts: dict[str, Counter[Verdict]] = {sweep_id: Counter() for sweep_id in sweep_ids}
    for sweep_id, state, verdict, n_trials, done, planned in connection.execute(statement):
        so_far = states[sweep_id].get(state, StateSum())
        states[sweep_id][state] = StateSum(
            so_far.n_trials + n_trials, so_far.epochs_done + int(done), so_far.epochs_planned + int(planned)
        )
        if verdict is not None:
            verdicts[sweep_id][verdict] += n_trials
    return {sweep_id: Sums(states[sweep_id], verdicts[sweep_id]) for sweep_id in sweep_ids}


def best_so_far(connection: Connection, found: Sequence[Sweep]) -> dict[str, BestSoFar]:
    """The best completed trial of each sweep that has one, found through the index of objectives.

    In a sweep with bounds it is the best of those that keep them.
    """
    candidate = trials.alias("candidate")
    is_candidate = and_(
        candidate.c.sweep_id == sweeps.c.id,
        candidate.c.state == TrialState.COMPLETED,
        candidate.c.objective.is_not(None),
        *(
            or_(sweeps.c.id != sweep.id, keeps_bounds(sweep.goals, candidate.c))
            for sweep in found
            if sweep.goals.constraints
        ),
    )
    largest, smallest = (
        select(candidate.c.id).where(is_candidate).order_by(order, candidate.c.number).limit(1).scalar_subquery()
        for order in (candidate.c.objective.desc(), candidate.c.objective.asc())
    )
    chosen = case((sweeps.c.metric_direction == Direction.MAXIMIZE, largest), else_=smallest)
    statement = (
        select(trials.c.sweep_id, trials.c.id, trials.c.number, trials.c.objective)
        .select_from(sweeps.join(trials, trials.c.id == chosen))
        .where(sweeps.c.id.in_([sweep.id for sweep in found]))
    )
    return {row.sweep_id: BestSoFar(row.id, row.number, row.objective) for row in connection.execute(statement)}


def surroundings(connection: Connection, trial_ids: Collection[str]) -> dict[str, Surroundings]:
    """What stands beside these trials; those without anything are left out."""
    last_epoch = and_(
        epochs.c.trial_id == trials.c.id, epochs.c.attempt == trials.c.attempt, epochs.c.epoch == trials.c.epoch
    )
    statement = (
        select(trials.c.id, leases.c.worker_id, epochs.c.nonfinite_values)
        .select_from(
            trials.outerjoin(leases, leases.c.id == trials.c.lease_id).outerjoin(epochs, last_epoch),
        )
        .where(trials.c.id.in_(trial_ids), or_(trials.c.lease_id.is_not(None), epochs.c.nonfinite_values.is_not(None)))
    )
    return {row.id: Surroundings(row.worker_id, row.nonfinite_values or {}) for row in connection.execute(statement)}


def live_workers(connection: Connection, since_ms: int) -> list[LiveWorker]:
    """Workers that were heard of since a moment and are not quarantined."""
    statement = select(workers.c.phase, workers.c.datasets).where(
        workers.c.last_seen_ms >= since_ms, workers.c.quarantined_at_ms.is_(None)
    )
    return [LiveWorker(row.phase, frozenset(row.datasets)) for row in connection.execute(statement)]


def all_workers(connection: Connection, since_ms: int) -> Sequence[Row[tuple[object, ...]]]:
    """All workers, the one heard of latest first.

    Each with the number of trials that it holds (`n_trials`), and of those that it brought to their end since a moment
    (`n_ended`): completed or pruned, found by the leases that were alive since, which are few.
    """
    lasting = or_(leases.c.ended_at_ms.is_(None), leases.c.ended_at_ms >= since_ms)
    ended = (
        select(attempts.c.worker_id, func.count().label("n_ended"))
        .select_from(leases.join(attempts, attempts.c.lease_id == leases.c.id))
        .where(lasting, attempts.c.ended_at_ms >= since_ms, attempts.c.outcome.in_(_TO_THE_END))
        .group_by(attempts.c.worker_id)
        .subquery()
    )
    held = (
        select(leases.c.worker_id, func.count().label("n_trials"))
        .select_from(leases.join(trials, trials.c.lease_id == leases.c.id))
        .where(leases.c.state == LeaseState.ACTIVE)
        .group_by(leases.c.worker_id)
        .subquery()
    )
    statement = (
        select(
            workers,
            func.coalesce(held.c.n_trials, 0).label("n_trials"),
            func.coalesce(ended.c.n_ended, 0).label("n_ended"),
        )
        .select_from(
            workers.outerjoin(held, held.c.worker_id == workers.c.id).outerjoin(
                ended, ended.c.worker_id == workers.c.id
            )
        )
        .order_by(workers.c.last_seen_ms.desc(), workers.c.id)
        .limit(1000)
    )
    return connection.execute(statement).all()


def counts_by_state(connection: Connection) -> dict[str, dict[str, int]]:
    """How many sweeps, trials and leases are in each state, over everything."""
    counts: dict[str, dict[str, int]] = {}
    for table, states in ((sweeps, SweepState), (trials, TrialState), (leases, LeaseState)):
        found = connection.execute(select(table.c.state, func.count()).group_by(table.c.state))
        counts[table.name] = {state.value: 0 for state in states} | {state.value: count for state, count in found}
    return counts
