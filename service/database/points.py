"""What figures draw of a sweep: a few columns of many trials, and the epochs of a few."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, select

from service.database.feasible import keeps_bounds
from service.database.tables import epochs, trials
from service.database.trials import parameter_names, parameters_from_row
from service.domain.points import Curve, MetricPoint, TrialPoint
from service.domain.states import TrialState
from service.domain.sweep import Sweep

_DRAWN: tuple[Any, ...] = (
    *(trials.c[name] for name in ("id", "number", "state", "objective", "verdict")),
    *(trials.c[name] for name in ("started_at_ms", "ended_at_ms")),
    *(trials.c[name] for name in parameter_names()),
)


def trial_points(connection: Connection, sweep: Sweep) -> list[TrialPoint]:
    """All trials of a sweep, by number, with its metrics and the stability."""
    names = tuple(dict.fromkeys(("stability", *sweep.goals.columns)))
    measured = [trials.c[name] for name in names if name != "objective"]
    kept = keeps_bounds(sweep.goals, trials.c).label("is_feasible")
    statement: Select[Any] = (
        select(*_DRAWN, *measured, kept).where(trials.c.sweep_id == sweep.id).order_by(trials.c.number)
    )
    return [
        TrialPoint(
            row.id,
            row.number,
            row.state,
            row.objective,
            row.verdict,
            parameters_from_row(row),
            {column.name: getattr(row, column.name) for column in measured},
            bool(row.is_feasible),
            row.started_at_ms,
            row.ended_at_ms,
        )
        for row in connection.execute(statement)
    ]


def metric_points(connection: Connection, sweep_id: str, columns: Collection[str]) -> list[MetricPoint]:
    """The completed trials of a sweep by these columns and their objective, by number."""
    names = [name for name in dict.fromkeys(columns) if name != "objective"]
    statement: Select[Any] = (
        select(*(trials.c[name] for name in ("id", "number", "objective", *names)))
        .where(trials.c.sweep_id == sweep_id, trials.c.state == TrialState.COMPLETED)
        .order_by(trials.c.number)
    )
    return [
        MetricPoint(row.id, row.number, row.objective, {name: getattr(row, name) for name in names})
        for row in connection.execute(statement)
    ]


def curves_of(connection: Connection, points: Sequence[TrialPoint], metric: str) -> list[Curve]:
    """The metric of these trials over the epochs of their present attempts; trials without an epoch are left out."""
    belongs = and_(epochs.c.trial_id == trials.c.id, epochs.c.attempt == trials.c.attempt)
    statement = (
        select(trials.c.id, epochs.c.epoch, epochs.c[metric])
        .select_from(trials.join(epochs, belongs))
        .where(trials.c.id.in_([point.id for point in points]))
        .order_by(trials.c.number, epochs.c.epoch)
    )
    found: dict[str, tuple[list[int], list[float | None]]] = {}
    for trial_id, epoch, value in connection.execute(statement):
        numbers, values = found.setdefault(trial_id, ([], []))
        numbers.append(epoch)
        values.append(value)
    return [Curve(point, *found[point.id]) for point in points if point.id in found]
