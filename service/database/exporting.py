"""All epochs or layers of a sweep, some at a time: each page begins after the last row of the one before."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, and_, or_, select

from service.database.tables import epochs, layer_epochs, trials

EPOCH_KEY = ("trial_number", "epoch")
LAYER_KEY = ("trial_number", "epoch", "layer")


def epochs_page(
    connection: Connection, sweep_id: str, *, after: tuple[int, ...] | None, limit: int
) -> Sequence[Row[Any]]:
    """Epochs of the present attempts, by (number of the trial, epoch)."""
    return connection.execute(_page(epochs, EPOCH_KEY, sweep_id, after).limit(limit)).all()


def layers_page(
    connection: Connection, sweep_id: str, *, after: tuple[int, ...] | None, limit: int
) -> Sequence[Row[Any]]:
    """Gradient statistics of the present attempts, by (number of the trial, epoch, layer)."""
    return connection.execute(_page(layer_epochs, LAYER_KEY, sweep_id, after).limit(limit)).all()


def _page(table: Table, key: tuple[str, ...], sweep_id: str, after: tuple[int, ...] | None) -> Select[Any]:
    """The first bound is on the trial's number alone: by it the database finds the place in its index."""
    columns = [trials.c.number, *(table.c[name] for name in key[1:])]
    statement = (
        select(trials.c.number.label("trial_number"), table)
        .join_from(trials, table, and_(table.c.trial_id == trials.c.id, table.c.attempt == trials.c.attempt))
        .where(trials.c.sweep_id == sweep_id)
        .order_by(*columns)
    )
    if after is not None:
        beyond = [
            and_(*(columns[k] == after[k] for k in range(at)), columns[at] > after[at]) for at in range(len(columns))
        ]
        statement = statement.where(columns[0] >= after[0], or_(*beyond))
    return statement
