"""Trials that are to rescue others of their sweep, each with the one it is to rescue."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, select

from service.database.tables import sweeps, trials
from service.domain.goals import Metric
from service.domain.stability.rescue import Rescue, RescueSide

_COLUMNS = ("id", "number", "state", "verdict", "stability", "objective")


def rescues_with(connection: Connection, trial_ids: Collection[str]) -> list[Rescue]:
    """The rescues in which one of these trials is either side, by the number of the remedied trial."""
    before, after = trials.alias("before"), trials.alias("after")
    pairs = (
        select(
            sweeps.c.metric_name,
            sweeps.c.metric_direction,
            sweeps.c.metric_at,
            *(before.c[name].label(f"before_{name}") for name in _COLUMNS),
            *(after.c[name].label(f"after_{name}") for name in _COLUMNS),
        )
        .select_from(after)
        .join(before, (before.c.sweep_id == after.c.sweep_id) & (before.c.number == after.c.rescue_of))
        .join(sweeps, sweeps.c.id == after.c.sweep_id)
    )
    statement = pairs.where(after.c.id.in_(trial_ids)).union(pairs.where(before.c.id.in_(trial_ids)))
    rows = sorted(connection.execute(statement), key=lambda row: row.after_number)
    return [_rescue(row) for row in rows]


def trial_with_configuration(
    connection: Connection, sweep_id: str, config_hash: str, replicate: int
) -> RescueSide | None:
    """The trial of a sweep that has just this configuration."""
    statement = select(*(trials.c[name] for name in _COLUMNS)).where(
        trials.c.sweep_id == sweep_id, trials.c.config_hash == config_hash, trials.c.replicate == replicate
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else RescueSide(*row)


def _rescue(row: Row[Any]) -> Rescue:
    sides = (RescueSide(*(getattr(row, f"{side}_{name}") for name in _COLUMNS)) for side in ("before", "after"))
    return Rescue(Metric(row.metric_name, row.metric_direction, row.metric_at), *sides)
