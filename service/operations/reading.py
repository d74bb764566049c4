"""Looking at sweeps, trials, workers: each function is one short read, without a query per row."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from service.database.artifacts import artifacts_of
from service.database.engine import Database
from service.database.history import attempts_of, epochs_of, layers_of
from service.database.listing import best_trials, position_of, sweeps_page, trials_page
from service.database.overview import (
    all_workers,
    best_so_far,
    counts_by_state,
    live_workers,
    sums_of,
    surroundings,
)
from service.database.recordings import recordings_of
from service.database.rescues import rescues_with
from service.database.sweeps import find_sweep, get_sweep, submitted_file
from service.database.trials import get_trial
from service.domain.fields import SWEEP_FIELDS, TRIAL_FIELDS, FieldList
from service.domain.filters import Condition, parse_filter
from service.domain.paging import Position, SortKey, parse_order, read_token, write_token
from service.domain.progress import forecast, sentence, waiting_for
from service.domain.stability.rescue import Rescue
from service.domain.sweep import Sweep
from service.domain.trial import Trial
from service.errors import NotFound
from service.operations.viewing import (
    RATE_MS,
    attempt_view,
    epoch_view,
    infeasible_view,
    layer_view,
    metric_view,
    ranking_note,
    recording_view,
    sweep_summary,
    sweep_view,
    trial_view,
    worker_view,
)
from service.wire.health import WorkerList
from service.wire.sweeps import SweepList, SweepSummary, SweepView
from service.wire.trials import AttemptList, BestTrials, EpochList, GradientList, TrialList, TrialView


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a list is asked for, as it came in the address."""

    filter: str | None = None
    order_by: str | None = None
    page_size: int = 50
    page_token: str | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    """A list query that was read and found good."""

    condition: Condition | None
    keys: tuple[SortKey, ...]
    after: Position | None


def resolve_sweep(database: Database, ref: str) -> Sweep:
    """The sweep of that id or, failing that, of that name.

    Raises:
        NotFound: There is none.
    """
    with database.read() as connection:
        return _sweep(connection, ref)


def read_sweep(database: Database, ref: str, *, alive_seconds: float) -> SweepView:
    """One sweep, with counts, progress and the best trial so far.

    Args:
        database: Where the sweep is.
        ref: Its id or name.
        alive_seconds: How long a worker that was not heard of counts as alive.
    """
    with database.read() as connection:
        sweep = _sweep(connection, ref)
        summary = _summaries(connection, database, [sweep], alive_seconds)[0]
    return sweep_view(sweep, summary)


def read_sweep_file(database: Database, ref: str) -> tuple[Sweep, str]:
    """One sweep, and the sweep file as it was submitted."""
    with database.read() as connection:
        sweep = _sweep(connection, ref)
        return sweep, submitted_file(connection, sweep.id)


def list_sweeps(database: Database, query: ListQuery, *, alive_seconds: float) -> SweepList:
    """One page of sweeps."""
    plan = _plan(query, SWEEP_FIELDS)
    with database.read() as connection:
        page = sweeps_page(
            connection, condition=plan.condition, keys=plan.keys, after=plan.after, limit=query.page_size + 1
        )
        shown = page[: query.page_size]
        summaries = _summaries(connection, database, shown, alive_seconds)
    return SweepList(sweeps=tuple(summaries), next_page_token=_next_token(page, query, plan))


def list_trials(database: Database, ref: str, query: ListQuery) -> TrialList:
    """One page of a sweep's trials."""
    plan = _plan(query, TRIAL_FIELDS)
    with database.read() as connection:
        sweep = _sweep(connection, ref)
        page = trials_page(
            connection, sweep.id, condition=plan.condition, keys=plan.keys, after=plan.after, limit=query.page_size + 1
        )
        views = trial_views(connection, page[: query.page_size])
    return TrialList(trials=views, next_page_token=_next_token(page, query, plan))


def read_best(database: Database, ref: str, *, k: int, filter_text: str | None) -> BestTrials:
    """The k best completed trials of a sweep that keep its bounds and meet a filter, best first.

    Beside them stands the best of those that break a bound, and why it lost. Of several metrics the first one ranks.
    """
    condition = None if filter_text is None else parse_filter(filter_text, TRIAL_FIELDS)
    with database.read() as connection:
        sweep = _sweep(connection, ref)
        views = trial_views(connection, best_trials(connection, sweep, condition=condition, k=k))
        lost = []
        if sweep.goals.constraints:
            lost = best_trials(connection, sweep, condition=condition, k=1, is_feasible=False)
        lost_views = trial_views(connection, lost)
    return BestTrials(
        metric=metric_view(sweep.metric),
        best=views[0] if views else None,
        trials=views,
        constraints=tuple(str(each) for each in sweep.goals.constraints),
        best_infeasible=infeasible_view(sweep, lost[0], lost_views[0], views[0] if views else None) if lost else None,
        note=ranking_note(sweep),
    )


def read_trial(database: Database, trial_id: str) -> TrialView:
    """One trial."""
    with database.read() as connection:
        return trial_views(connection, [_trial(connection, trial_id)])[0]


def read_attempts(database: Database, trial_id: str) -> AttemptList:
    """All attempts at a trial."""
    with database.read() as connection:
        trial = _trial(connection, trial_id)
        rows = attempts_of(connection, trial.id)
    return AttemptList(trial_id=trial.id, attempts=tuple(map(attempt_view, rows)))


def read_epochs(database: Database, trial_id: str) -> EpochList:
    """The epochs of a trial's present attempt."""
    with database.read() as connection:
        trial = _trial(connection, trial_id)
        rows = epochs_of(connection, trial.id, trial.attempt)
    return EpochList(trial_id=trial.id, attempt=trial.attempt, epochs=tuple(map(epoch_view, rows)))


def read_gradients(database: Database, trial_id: str, *, layer: int | None, from_epoch: int) -> GradientList:
    """Gradient statistics of a trial's present attempt."""
    with database.read() as connection:
        trial = _trial(connection, trial_id)
        rows = layers_of(connection, trial.id, trial.attempt, layer=layer, from_epoch=from_epoch)
    return GradientList(trial_id=trial.id, attempt=trial.attempt, layers=tuple(map(layer_view, rows)))


def list_workers(database: Database, *, alive_seconds: float) -> WorkerList:
    """All workers, the one heard of latest first."""
    with database.read() as connection:
        now_ms = database.now_ms(connection)
        rows = all_workers(connection, now_ms - RATE_MS)
    alive_since_ms = now_ms - round(alive_seconds * 1000)
    return WorkerList(workers=tuple(worker_view(row, alive_since_ms=alive_since_ms, now_ms=now_ms) for row in rows))


def count_everything(database: Database) -> dict[str, dict[str, int]]:
    """How many sweeps, trials and leases are in each state, over everything."""
    with database.read() as connection:
        return counts_by_state(connection)


def _sweep(connection: Connection, ref: str) -> Sweep:
    sweep = get_sweep(connection, ref) or find_sweep(connection, ref)
    if sweep is None:
        raise NotFound(f"There is no sweep with the id or name '{ref}'; GET /v1/sweeps lists all.")
    return sweep


def _trial(connection: Connection, trial_id: str) -> Trial:
    trial = get_trial(connection, trial_id)
    if trial is None:
        raise NotFound(f"There is no trial with the id '{trial_id}'; GET /v1/sweeps/SWEEP/trials lists all.")
    return trial


def _summaries(
    connection: Connection, database: Database, sweeps: Sequence[Sweep], alive_seconds: float
) -> list[SweepSummary]:
    now_ms = database.now_ms(connection)
    ids = [sweep.id for sweep in sweeps]
    sums, best = sums_of(connection, ids), best_so_far(connection, sweeps)
    workers = live_workers(connection, now_ms - round(alive_seconds * 1000))
    summaries = []
    for sweep in sweeps:
        states = sums[sweep.id].states
        ahead = forecast(sweep, states, now_ms)
        waiting = waiting_for(sweep, states, workers)
        summaries.append(
            sweep_summary(
                sweep,
                counts={state: total.n_trials for state, total in states.items()},
                verdicts=sums[sweep.id].verdicts,
                forecast=ahead,
                waiting=waiting,
                words=sentence(sweep, ahead.trials_done, waiting),
                best=best.get(sweep.id),
            )
        )
    return summaries


def trial_views(connection: Connection, trials: Sequence[Trial]) -> tuple[TrialView, ...]:
    """Trials with what stands beside them, in a few queries for all."""
    ids = [trial.id for trial in trials]
    beside, rescues = surroundings(connection, ids), rescues_with(connection, ids)
    rescues_of: dict[str, list[Rescue]] = {trial_id: [] for trial_id in ids}
    for rescue in rescues:
        for side in (rescue.before, rescue.after):
            rescues_of.get(side.trial_id, []).append(rescue)
    recordings = recordings_of(connection, ids)
    artifacts = artifacts_of(connection, list(recordings)) if recordings else {}
    recording_views = {each: recording_view(recording, artifacts[each]) for each, recording in recordings.items()}
    return tuple(
        trial_view(trial, beside.get(trial.id), rescues_of[trial.id], recording_views.get(trial.id)) for trial in trials
    )


def _plan(query: ListQuery, known: FieldList) -> _Plan:
    condition = parse_filter(query.filter, known) if query.filter else None
    keys = parse_order(query.order_by, known)
    after = read_token(query.page_token, keys, query.filter, known) if query.page_token else None
    return _Plan(condition, keys, after)


def _next_token(page: Sequence[Sweep] | Sequence[Trial], query: ListQuery, plan: _Plan) -> str | None:
    if len(page) <= query.page_size:
        return None
    return write_token(plan.keys, query.filter, position_of(page[query.page_size - 1], plan.keys))
