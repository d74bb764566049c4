"""The measured rows of attempts, read back to be judged: three queries for any number of attempts."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Table, bindparam, select, tuple_

from service.database.attempts import Fence
from service.database.tables import attempts, epochs, layer_epochs, trials
from service.database.trials import parameter_names, parameters_from_row
from service.domain.stability.enforcement import Case
from service.domain.stability.rows import epoch_rows


def _of_fences(table: Table) -> ColumnElement[bool]:
    return tuple_(table.c.trial_id, table.c.attempt).in_(bindparam("fences", expanding=True))


_EPOCHS = select(epochs).where(_of_fences(epochs))
_LAYERS = select(layer_epochs).where(_of_fences(layer_epochs))
_ATTEMPTS: Select[Any] = (
    select(
        trials.c.id,
        *(trials.c[name] for name in parameter_names()),
        attempts.c.attempt.label("of_attempt"),
        attempts.c.class_shares,
    )
    .join(attempts, attempts.c.trial_id == trials.c.id)
    .where(_of_fences(attempts))
)


def read_cases(connection: Connection, fences: Collection[Fence]) -> dict[Fence, Case]:
    """What is stored of these attempts; one without rows has none, one that does not exist is left out."""
    if not fences:
        return {}
    wanted = sorted(fences)
    epochs_of = _by_fence(connection.execute(_EPOCHS, {"fences": wanted}).mappings())
    layers_of = _by_fence(connection.execute(_LAYERS, {"fences": wanted}).mappings())
    cases = {}
    for row in connection.execute(_ATTEMPTS, {"fences": wanted}):
        fence = (row.id, row.of_attempt)
        rows = epoch_rows(epochs_of.get(fence, ()), layers_of.get(fence, ()))
        cases[fence] = Case(rows, parameters_from_row(row), row.class_shares)
    return cases


def _by_fence(rows: Iterable[RowMapping]) -> dict[Fence, list[Any]]:
    found: dict[Fence, list[Any]] = {}
    for row in rows:
        found.setdefault((row["trial_id"], row["attempt"]), []).append(row)
    return found
