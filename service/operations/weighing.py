"""What a sweep taught: the Pareto front of its metrics, and which parameters decide a metric."""

from service.database.engine import Database
from service.database.points import metric_points
from service.database.trials import facts_since, get_trials, version_of_ended
from service.domain.fronts import fronts
from service.domain.goals import Goals, Metric
from service.domain.metrics import STORED_METRICS, TEST_METRICS, loss_of
from service.domain.plain_data import did_you_mean
from service.domain.points import MetricPoint
from service.domain.states import MetricAt
from service.domain.sweep import Sweep
from service.domain.trial import TrialFact
from service.errors import InvalidRequest, Problem
from service.operations.reading import resolve_sweep, trial_views
from service.operations.viewing import metric_view
from service.suggestion.importances import EVALUATOR, ImportanceMemory, Importances
from service.wire.search import FrontTrial, ImportancesView, ParameterImportance, ParetoView

MAX_FRONT = 200
MAX_TRADED = 4


def read_pareto(database: Database, ref: str, metrics: str | None) -> ParetoView:
    """The completed trials that keep the sweep's bounds and that no other such trial beats in every metric.

    Args:
        database: Where the sweep is.
        ref: Its id or name.
        metrics: Names separated by commas; the sweep's own if None, and stability beside a single one.

    Raises:
        NotFound: There is no such sweep.
        InvalidRequest: A name is no stored metric, or there are too few or too many.
    """
    sweep = resolve_sweep(database, ref)
    goals = _traded(sweep, metrics)
    with database.read() as connection:
        points = metric_points(
            connection,
            sweep.id,
            (*sweep.goals.columns, *(sweep.goals.column_of(metric.name) for metric in goals.metrics)),
        )
    feasible = [point for point in points if sweep.goals.is_feasible(point.value)]
    compared = [(point, losses) for point in feasible if (losses := _losses(sweep.goals, goals, point))]
    (front, *_) = fronts([losses for _, losses in compared], enough=1) or [[]]
    shown = [front[at * len(front) // MAX_FRONT] for at in range(MAX_FRONT)] if len(front) > MAX_FRONT else front
    with database.read() as connection:
        trials = get_trials(connection, [compared[at][0].id for at in shown])
        views = {view.id: view for view in trial_views(connection, trials)}
    members = [compared[at][0] for at in shown if compared[at][0].id in views]
    return ParetoView(
        metrics=tuple(map(metric_view, goals.metrics)),
        constraints=tuple(str(each) for each in goals.constraints),
        front=tuple(
            FrontTrial(
                trial=views[point.id],
                values={
                    metric.name: point.value(sweep.goals.column_of(metric.name)) or 0.0 for metric in goals.metrics
                },
            )
            for point in members
        ),
        n_front=len(front),
        n_compared=len(compared),
        n_completed=len(points),
        reason=None if front else _why_empty(goals, len(points), len(feasible)),
    )


def read_importances(database: Database, memory: ImportanceMemory, ref: str, target: str | None) -> ImportancesView:
    """Which searched parameters decide whether a trial is among the best by a target; the sweep's metric if None.

    Raises:
        NotFound: There is no such sweep.
        InvalidRequest: The target is no stored metric.
    """
    sweep = resolve_sweep(database, ref)
    name = known_metric(target or sweep.metric.name, "query/target")
    weighed = weigh_sweep(database, memory, sweep, name)
    return ImportancesView(
        target=name,
        direction=STORED_METRICS[name].value,
        evaluator=EVALUATOR,
        importances=tuple(
            ParameterImportance(parameter=parameter, importance=share) for parameter, share in weighed.shares.items()
        ),
        n_trials=weighed.n_trials,
        n_used=weighed.n_used,
        n_good=weighed.n_good,
        reason=weighed.reason,
    )


def weigh_sweep(database: Database, memory: ImportanceMemory, sweep: Sweep, target: str) -> Importances:
    """The importances for a target; the trials are read only if one has ended since they were last weighed."""

    def facts() -> list[TrialFact]:
        with database.read() as connection:
            return facts_since(connection, sweep.id, 0)

    with database.read() as connection:
        version = version_of_ended(connection, sweep.id)
    return memory.of(sweep, target, version, facts)


def known_metric(name: str, pointer: str) -> str:
    """The name of a stored metric.

    Raises:
        InvalidRequest: It is none, or one of the test set.
    """
    if name in TEST_METRICS:
        message = f"{name} is measured on the test set; choosing by it would make the test set a part of training"
        raise InvalidRequest(f"{message}.", [Problem(pointer, message)])
    if name not in STORED_METRICS:
        hint = did_you_mean(name, STORED_METRICS) or f"; known: {', '.join(STORED_METRICS)}"
        message = f"{name[:64]!r} is no metric{hint}"
        raise InvalidRequest(f"{message}.", [Problem(pointer, message)])
    return name


def _traded(sweep: Sweep, text: str | None) -> Goals:
    """The sweep's bounds with the metrics that are asked for."""
    goals = sweep.goals
    names = [each.strip() for each in (text or "").split(",")] if text else [metric.name for metric in goals.metrics]
    if not text and len(names) == 1:
        names.append("stability")
    if not 2 <= len(names) <= MAX_TRADED or len(set(names)) < len(names):
        message = f"2 to {MAX_TRADED} metrics can be traded, each once; write metrics=val_accuracy,stability"
        raise InvalidRequest(f"{message}.", [Problem("query/metrics", message)])
    own = {metric.name: metric for metric in goals.metrics}
    metrics = [
        own.get(name) or Metric(known_metric(name, "query/metrics"), STORED_METRICS[name], MetricAt.LAST)
        for name in names
    ]
    return Goals(tuple(metrics), goals.constraints)


def _losses(own: Goals, traded: Goals, point: MetricPoint) -> list[float]:
    """A number per traded metric, the less the better; none if the trial lacks one."""
    values = [point.value(own.column_of(metric.name)) for metric in traded.metrics]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return []
    return [loss_of(metric.name, value) for metric, value in zip(traded.metrics, known, strict=True)]


def _why_empty(goals: Goals, n_completed: int, n_feasible: int) -> str:
    if not n_completed:
        return "no trial has completed yet"
    if not n_feasible:
        return f"none of {n_completed} completed trials keeps {' and '.join(map(str, goals.constraints))}"
    return f"none of {n_feasible} completed trials has all of {', '.join(metric.name for metric in goals.metrics)}"
