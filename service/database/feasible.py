"""Whether a trial keeps its sweep's bounds, as SQL; absent values keep none."""

from typing import Any

from sqlalchemy import ColumnElement, and_, true

from service.domain.goals import Goals


def keeps_bounds(goals: Goals, columns: Any) -> ColumnElement[bool]:
    """True where all bounds are kept, false where one is broken or its value is absent."""
    clauses = []
    for each in goals.constraints:
        column = columns[goals.column_of(each.metric)]
        kept = column >= each.bound if each.operator == ">=" else column <= each.bound
        clauses.append(and_(column.is_not(None), kept))
    return and_(true(), *clauses)
