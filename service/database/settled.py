"""What settling a sweep needs to know of its trials, and does to them."""

from sqlalchemy import BigInteger, Connection, case, func, literal, select, update

from service.database.feasible import keeps_bounds
from service.database.tables import events, leases, sweeps, trials
from service.domain.states import Direction, FailureKind, LeaseState, SweepState, TrialState
from service.domain.sweep import Sweep

_UNENDED = sweeps.c.state.not_in((SweepState.COMPLETED, SweepState.CANCELLED))
_HAS_LIVE_LEASE = (
    select(trials.c.id)
    .join(leases, leases.c.id == trials.c.lease_id)
    .where(
        trials.c.sweep_id == sweeps.c.id,
        trials.c.state == TrialState.RUNNING,
        leases.c.state == LeaseState.ACTIVE,
    )
    .exists()
)


def best_completed(connection: Connection, sweep: Sweep) -> float | None:
    """The best objective of a sweep's completed trials that keep its bounds.

    None if it has no target, so that nobody looks in vain.
    """
    if sweep.metric.target is None:
        return None
    best = func.max if sweep.metric.direction is Direction.MAXIMIZE else func.min
    statement = select(best(trials.c.objective)).where(
        trials.c.sweep_id == sweep.id,
        trials.c.state == TrialState.COMPLETED,
        keeps_bounds(sweep.goals, trials.c),
    )
    value: float | None = connection.execute(statement).scalar_one()
    return value


def cancel_waiting(connection: Connection, sweep: Sweep, now_ms: int) -> list[tuple[str, int]]:
    """Cancel a locked sweep's waiting trials; returns their ids and numbers, by number."""
    statement = (
        update(trials)
        .where(trials.c.sweep_id == sweep.id, trials.c.state == TrialState.WAITING)
        .values(state=TrialState.CANCELLED, ended_at_ms=now_ms, revision=sweep.revision)
        .returning(trials.c.id, trials.c.number)
    )
    return sorted(((row.id, row.number) for row in connection.execute(statement)), key=lambda one: one[1])


def stop_running(connection: Connection, sweep: Sweep) -> None:
    """Have a locked sweep's running trials told to stop, in the answers to their next reports and heartbeats."""
    connection.execute(
        update(trials)
        .where(trials.c.sweep_id == sweep.id, trials.c.state == TrialState.RUNNING)
        .values(stop_requested=True, revision=sweep.revision)
    )


def count_ended_since_resumed(connection: Connection, sweep_id: str) -> tuple[int, int]:
    """How many trials ended since the sweep was last resumed, and how many of them failed; lost workers apart.

    A user who resumes a sweep has seen its failures: only new ones count against it.
    """
    resumed = (
        select(func.coalesce(func.max(events.c.at_ms), -1))
        .where(events.c.sweep_id == sweep_id, events.c.kind == "sweep_resumed")
        .scalar_subquery()
    )
    statement = select(
        func.count(), func.coalesce(func.sum(case((trials.c.state == TrialState.FAILED, 1), else_=0)), 0)
    ).where(
        trials.c.sweep_id == sweep_id,
        trials.c.ended_at_ms > resumed,
        trials.c.state.in_((TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED)),
        trials.c.failure_kind.is_(None) | (trials.c.failure_kind != FailureKind.WORKER_LOST),
    )
    n_ended, n_failed = connection.execute(statement).one()
    return int(n_ended), int(n_failed)


def timed_sweeps(connection: Connection) -> list[str]:
    """The sweeps whose time runs, or ran when it was last counted."""
    statement = (
        select(sweeps.c.id)
        .where(_UNENDED, _HAS_LIVE_LEASE | sweeps.c.active_seen_ms.is_not(None))
        .order_by(sweeps.c.id)
    )
    return list(connection.execute(statement).scalars())


def add_active_time(connection: Connection, sweep_id: str, now_ms: int, longest_ms: int) -> bool:
    """Count the time since this was last called, at most `longest_ms` of it, if the sweep has a live lease.

    The database remembers up to when it has counted, so several services together count each moment once, and
    the time while all were away is not counted.

    Returns:
        Whether the sweep's time is up.
    """
    passed = now_ms - func.coalesce(sweeps.c.active_seen_ms, now_ms)
    statement = (
        update(sweeps)
        .where(sweeps.c.id == sweep_id)
        .values(
            active_ms=sweeps.c.active_ms + case((passed > longest_ms, longest_ms), else_=passed),
            active_seen_ms=case((_HAS_LIVE_LEASE, literal(now_ms, BigInteger)), else_=None),
        )
        .returning(sweeps.c.active_ms >= sweeps.c.time_budget_ms)
    )
    return bool(connection.execute(statement).scalar_one_or_none())
