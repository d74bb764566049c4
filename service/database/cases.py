"""The measured rows of attempts, read back to be judged: three queries for any number of attempts."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, select, tuple_

from service.database.attempts import Fence
from service.database.tables import attempts, epochs, layer_epochs, trials
from service.database.trials import parameters_from_row
from service.domain.stability.enforcement import Case
from service.domain.stability.rows import epoch_rows


def read_cases(connection: Connection, fences: Collection[Fence]) -> dict[Fence, Case]:
    """What is stored of these attempts; one without rows has none, one that does not exist is left out."""
    if not fences:
        return {}
    wanted = sorted(fences)
    epochs_of = _by_fence(_rows_of(connection, epochs, wanted))
    layers_of = _by_fence(_rows_of(connection, layer_epochs, wanted))
    statement = (
        select(trials, attempts.c.attempt.label("of_attempt"), attempts.c.class_shares)
        .join(attempts, attempts.c.trial_id == trials.c.id)
        .where(tuple_(attempts.c.trial_id, attempts.c.attempt).in_(wanted))
    )
    cases = {}
    for row in connection.execute(statement):
        fence = (row.id, row.of_attempt)
        rows = epoch_rows(epochs_of.get(fence, ()), layers_of.get(fence, ()))
        cases[fence] = Case(rows, parameters_from_row(row), row.class_shares)
    return cases


def _rows_of(connection: Connection, table: Table, fences: Sequence[Fence]) -> Sequence[RowMapping]:
    statement = select(table).where(tuple_(table.c.trial_id, table.c.attempt).in_(fences))
    return connection.execute(statement).mappings().all()


def _by_fence(rows: Sequence[RowMapping]) -> dict[Fence, list[Any]]:
    found: dict[Fence, list[Any]] = {}
    for row in rows:
        found.setdefault((row["trial_id"], row["attempt"]), []).append(row)
    return found
