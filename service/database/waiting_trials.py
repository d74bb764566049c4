"""The trials that wait: finding them, counting them, giving them to a lease."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from service.database.tables import sweeps, trials
from service.database.trials import parameter_names
from service.domain.batch import Candidate
from service.domain.report import MEASURED
from service.domain.stability.enforcement import APPRAISED
from service.domain.states import SweepState, TrialState
from service.domain.sweep import Sweep

CLAIMABLE = (SweepState.QUEUED, SweepState.RUNNING)
_NEWEST = 64
"""So many of a sweep's newest trials tell which signatures it tries now."""

_GRANTED = (
    *(trials.c[name] for name in ("id", "sweep_id", "number", "attempt", "seed", "signature")),
    *(trials.c[name] for name in parameter_names()),
)


_IS_CLAIMABLE = (
    (trials.c.state == TrialState.WAITING)
    & (trials.c.not_before_ms <= bindparam("now_ms"))
    & sweeps.c.state.in_(CLAIMABLE)
    & sweeps.c.dataset.in_(bindparam("datasets", expanding=True))
)
_OLDEST = (
    select(trials.c.signature)
    .join(sweeps, sweeps.c.id == trials.c.sweep_id)
    .where(_IS_CLAIMABLE)
    .order_by(trials.c.created_at_ms, trials.c.sweep_id, trials.c.number)
    .limit(1)
)
_WITH_WAITING = (
    select(trials.c.sweep_id)
    .join(sweeps, sweeps.c.id == trials.c.sweep_id)
    .where(_IS_CLAIMABLE, trials.c.signature == bindparam("signature"))
    .distinct()
)
_WAITING = (
    select(*(trials.c[name] for name in ("id", "batch_limit", "created_at_ms", "number", "replicate", "remedy")))
    .where(
        trials.c.sweep_id == bindparam("sweep_id"),
        trials.c.signature == bindparam("signature"),
        trials.c.state == TrialState.WAITING,
        trials.c.not_before_ms <= bindparam("now_ms"),
    )
    .order_by(trials.c.created_at_ms, trials.c.number)
    .limit(bindparam("n_most"))
)
_ACTIVE = (
    select(trials.c.sweep_id, trials.c.state, func.count())
    .where(
        trials.c.sweep_id.in_(bindparam("sweep_ids", expanding=True)),
        trials.c.state.in_((TrialState.WAITING, TrialState.RUNNING)),
    )
    .group_by(trials.c.sweep_id, trials.c.state)
)


def oldest_waiting(connection: Connection, datasets: Sequence[str], now_ms: int) -> str | None:
    """The signature of the trial that has waited longest, among those that a worker with these data sets can train."""
    found = connection.execute(_OLDEST, {"datasets": list(datasets), "now_ms": now_ms})
    signature: str | None = found.scalar_one_or_none()
    return signature


def sweeps_with_waiting(connection: Connection, signature: str, datasets: Sequence[str], now_ms: int) -> list[str]:
    """The sweeps that have claimable trials of a signature."""
    wanted = {"signature": signature, "datasets": list(datasets), "now_ms": now_ms}
    return list(connection.execute(_WITH_WAITING, wanted).scalars())


def sweeps_trying(connection: Connection, among: Sequence[Sweep], signature: str) -> set[str]:
    """Those of these sweeps that had this signature among their newest trials, or have no trials yet."""
    newest = (trials.c.sweep_id == sweeps.c.id) & (trials.c.number >= sweeps.c.n_trials - _NEWEST)
    statement = (
        select(sweeps.c.id)
        .join(trials, newest)
        .where(sweeps.c.id.in_([sweep.id for sweep in among]), trials.c.signature == signature)
        .distinct()
    )
    return {*connection.execute(statement).scalars(), *(sweep.id for sweep in among if not sweep.n_trials)}


def waiting_trials(
    connection: Connection, sweep_ids: Sequence[str], signature: str, now_ms: int, limit: int
) -> list[Candidate]:
    """Claimable trials of these sweeps, oldest first, ties in the order of the sweeps; at most `limit` of each."""
    found: list[tuple[int, int, int, Candidate]] = []
    for place, sweep_id in enumerate(sweep_ids):
        wanted = {"sweep_id": sweep_id, "signature": signature, "now_ms": now_ms, "n_most": limit}
        for row in connection.execute(_WAITING, wanted):
            group = None if row.remedy is None else row.replicate
            candidate = Candidate(row.id, sweep_id, row.batch_limit, group)
            found.append((row.created_at_ms, place, row.number, candidate))
    return [candidate for *_age, candidate in sorted(found, key=lambda one: one[:3])]


def last_proposed_ms(connection: Connection, sweep_ids: Collection[str]) -> dict[str, int]:
    """When each sweep's newest trial was made; sweeps without trials are left out."""
    statement = (
        select(trials.c.sweep_id, trials.c.created_at_ms)
        .join(sweeps, sweeps.c.id == trials.c.sweep_id)
        .where(trials.c.sweep_id.in_(sweep_ids), trials.c.number == sweeps.c.n_trials - 1)
    )
    return dict(connection.execute(statement).all())


def count_active(connection: Connection, sweep_ids: Collection[str]) -> dict[str, dict[TrialState, int]]:
    """How many trials of each sweep wait and run."""
    counts = {sweep_id: {TrialState.WAITING: 0, TrialState.RUNNING: 0} for sweep_id in sweep_ids}
    for sweep_id, state, count in connection.execute(_ACTIVE, {"sweep_ids": list(sweep_ids)}):
        counts[sweep_id][state] = count
    return counts


_CLEARED = dict.fromkeys((*MEASURED, *APPRAISED, "epoch", "objective", "best_epoch", "test_loss", "test_accuracy"))
_TAKE = (
    update(trials)
    .where(trials.c.id.in_(bindparam("trial_ids", expanding=True)), trials.c.state == TrialState.WAITING)
    .values(
        state=TrialState.RUNNING,
        attempt=trials.c.attempt + 1,
        lease_id=bindparam("to_lease"),
        stop_requested=False,
        wall_seconds=None,
        device_seconds=None,
        started_at_ms=bindparam("now_ms"),
        revision=bindparam("new_revision"),
        **_CLEARED,
    )
    .returning(*_GRANTED)
)


def take_waiting(
    connection: Connection, trial_ids: Collection[str], *, lease_id: str, revision: int, now_ms: int
) -> Sequence[Row[Any]]:
    """Give waiting trials of one locked sweep to a lease; the results of an earlier attempt are cleared.

    Returns:
        What a grant tells of the trials that were taken: a row each.
    """
    taken = {"trial_ids": list(trial_ids), "to_lease": lease_id, "now_ms": now_ms, "new_revision": revision}
    return connection.execute(_TAKE, taken).all()
