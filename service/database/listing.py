"""Pages of sweeps and of trials: conditions and orders become columns and bound values, never text."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    false,
    literal,
    not_,
    null,
    or_,
    select,
    true,
)

from service.database.feasible import keeps_bounds
from service.database.sweeps import sweep_from_row
from service.database.tables import sweeps, trials
from service.database.trials import trial_from_row
from service.domain.filters import Absence, Comparison, Condition, Group, Membership, Negation
from service.domain.paging import Position, SortKey
from service.domain.states import TrialState
from service.domain.sweep import Sweep
from service.domain.trial import Trial

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_RENAMED = {"metric": "metric_name"}
_LISTED = [column for column in trials.c if column.name != "failure_traceback"]  # 16 KB each: only where one is shown
_TRIAL_LIST: Select[Any] = select(*_LISTED, null().label("failure_traceback"))


def column_of(table_columns: Any, name: str) -> Column[Any]:
    """The column behind a field's name: `params.dropout` is `dropout`, `created_at` is `created_at_ms`."""
    name = name.removeprefix("params.")
    name = _RENAMED.get(name, name)
    column: Column[Any] = table_columns[f"{name}_ms" if name.endswith("_at") else name]
    return column


def clause_of(condition: Condition, columns: Any) -> ColumnElement[bool]:
    """A condition as SQL. A comparison with NULL is neither true nor false, and so is its negation."""
    match condition:
        case Comparison(name, symbol, value):
            clause: ColumnElement[bool] = _OPERATORS[symbol](column_of(columns, name), value)
            return clause
        case Membership(name, values):
            return column_of(columns, name).in_(values)
        case Absence(name):
            return column_of(columns, name).is_(None)
        case Negation(of):
            return not_(clause_of(of, columns))
        case Group(kind, parts):
            join = and_ if kind == "all" else or_
            return join(*(clause_of(part, columns) for part in parts))


def position_of(row: Sweep | Trial, keys: Sequence[SortKey]) -> Position:
    """Where a row stands in an order."""
    return tuple(_value_of(row, key.name) for key in keys)


def trials_page(
    connection: Connection,
    sweep_id: str,
    *,
    condition: Condition | None,
    keys: Sequence[SortKey],
    after: Position | None,
    limit: int,
) -> list[Trial]:
    """Trials of a sweep that meet a condition, in an order, after a position; without tracebacks."""
    statement = _TRIAL_LIST.where(trials.c.sweep_id == sweep_id)
    if condition is not None:
        statement = statement.where(clause_of(condition, trials.c))
    return [trial_from_row(row) for row in _page(connection, statement, trials.c, keys=keys, after=after, limit=limit)]


def sweeps_page(
    connection: Connection,
    *,
    condition: Condition | None,
    keys: Sequence[SortKey],
    after: Position | None,
    limit: int,
) -> list[Sweep]:
    """Sweeps that meet a condition, in an order, after a position."""
    statement: Select[Any] = select(sweeps)
    if condition is not None:
        statement = statement.where(clause_of(condition, sweeps.c))
    return [sweep_from_row(row) for row in _page(connection, statement, sweeps.c, keys=keys, after=after, limit=limit)]


def best_trials(
    connection: Connection, sweep: Sweep, *, condition: Condition | None, k: int, is_feasible: bool = True
) -> list[Trial]:
    """The k best completed trials that keep the sweep's bounds, or that break one; best first, equal ones by number."""
    kept = keeps_bounds(sweep.goals, trials.c)
    is_maximized = sweep.metric.direction == "maximize"
    statement = _TRIAL_LIST.where(
        trials.c.sweep_id == sweep.id,
        trials.c.state == TrialState.COMPLETED,
        trials.c.objective.is_not(None),
        kept if is_feasible else not_(kept),
        true() if condition is None else clause_of(condition, trials.c),
    )
    order = trials.c.objective.desc() if is_maximized else trials.c.objective.asc()
    return [trial_from_row(row) for row in connection.execute(statement.order_by(order, trials.c.number).limit(k))]


def _page(
    connection: Connection,
    statement: Select[Any],
    columns: Any,
    *,
    keys: Sequence[SortKey],
    after: Position | None,
    limit: int,
) -> list[Row[Any]]:
    """Rows in an order, after a position; absent values of the first key come last, by a statement of their own.

    So neither statement has to say where NULL is sorted, and both databases can walk the same index instead of
    sorting all rows.
    """
    first = column_of(columns, keys[0].name)
    if not first.nullable:
        return list(connection.execute(_ordered(statement, columns, keys, after).limit(limit)))
    found: list[Row[Any]] = []
    if after is None or after[0] is not None:
        present = _ordered(statement.where(first.is_not(None)), columns, keys, after, present=first.name)
        found = list(connection.execute(present.limit(limit)))
    if len(found) < limit:
        rest = after[1:] if after is not None and after[0] is None else None
        absent = _ordered(statement.where(first.is_(None)), columns, keys[1:], rest)
        found += connection.execute(absent.limit(limit - len(found)))
    return found


def _ordered(
    statement: Select[Any], columns: Any, keys: Sequence[SortKey], after: Position | None, *, present: str | None = None
) -> Select[Any]:
    """The statement in an order, after a position; `present` names a column that is known to hold no NULL."""
    if after is not None:
        statement = statement.where(_beyond(columns, keys, after, present=present))
    for key in keys:
        column = column_of(columns, key.name)
        ordered = column.desc() if key.is_descending else column.asc()
        statement = statement.order_by(ordered.nulls_last() if column.nullable and column.name != present else ordered)
    return statement


def _beyond(columns: Any, keys: Sequence[SortKey], after: Position, *, present: str | None) -> ColumnElement[bool]:
    """Rows that come after a position: equal in the first keys, beyond it in the next; absent values are last.

    That the first key is not before the position follows from the rest; said on its own, it lets an index begin there.
    """
    alternatives: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for key, value in zip(keys, after, strict=True):
        column = column_of(columns, key.name)
        alternatives.append(and_(*equal, _is_after(column, value, is_descending=key.is_descending)))
        equal.append(column.is_(None) if value is None else column == value)
    first, value = column_of(columns, keys[0].name), after[0]
    bound = literal(value, first.type)
    if value is None or (first.nullable and first.name != present):
        return or_(*alternatives)
    return and_(first <= bound if keys[0].is_descending else first >= bound, or_(*alternatives))


def _is_after(column: Column[Any], value: Any, *, is_descending: bool) -> ColumnElement[bool]:
    if value is None:
        return false()
    bound = literal(value, column.type)  # as a plain True or False it could not be compared by size
    clause = column < bound if is_descending else column > bound
    return or_(clause, column.is_(None)) if column.nullable else clause


def _value_of(row: Sweep | Trial, name: str) -> str | int | float | bool | None:
    if name == "metric" and isinstance(row, Sweep):
        return row.metric.name
    if name.startswith("params.") and isinstance(row, Trial):
        value = getattr(row.parameters, name.removeprefix("params."))
        return ",".join(map(str, value)) if isinstance(value, tuple) else value
    if isinstance(row, Trial) and name in row.metrics:
        return row.metrics[name]
    value = getattr(row, f"{name}_ms" if name.endswith("_at") else name)
    return value  # type: ignore[no-any-return]
