"""The trials table: rows to domain objects and back, inserting, counting."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Row, func, select

from service.database.bulk import insert_rows
from service.database.tables import trials
from service.domain.metrics import AT_BEST, STORED_METRICS, TRIAL_METRICS
from service.domain.states import PruneReason, TrialState
from service.domain.trial import Trial, TrialFact
from service.wire.parameters import Parameters

_PARAMETERS = tuple(Parameters.model_fields)
_COLUMNS = tuple(field.name for field in fields(Trial) if field.name not in ("parameters", "metrics"))
_MEASURED = (*STORED_METRICS, *AT_BEST.values())


def parameter_names() -> tuple[str, ...]:
    """The columns that hold a trial's parameters."""
    return _PARAMETERS


def parameters_from_row(row: Row[Any]) -> Parameters:
    """The parameters of a row of `trials`; they were checked when they went in."""
    values = {name: getattr(row, name) for name in _PARAMETERS}
    values["hidden_units"] = tuple(int(units) for units in row.hidden_units.split(","))
    return Parameters.model_construct(**values)


def parameter_columns(parameters: Parameters) -> dict[str, Any]:
    """The columns of `trials` that hold these parameters."""
    values = {name: getattr(parameters, name) for name in _PARAMETERS}
    values["hidden_units"] = ",".join(str(units) for units in parameters.hidden_units)
    return values


def trial_from_row(row: Row[Any]) -> Trial:
    """The one place where a row of `trials` becomes a domain object."""
    return Trial(
        parameters=parameters_from_row(row),
        metrics={name: getattr(row, name) for name in TRIAL_METRICS},
        **{name: getattr(row, name) for name in _COLUMNS},
    )


def get_trial(connection: Connection, trial_id: str) -> Trial | None:
    """One trial by its id."""
    row = connection.execute(select(trials).where(trials.c.id == trial_id)).one_or_none()
    return None if row is None else trial_from_row(row)


def get_trials(connection: Connection, trial_ids: Sequence[str]) -> list[Trial]:
    """Trials by their ids, by number; those that do not exist are left out."""
    statement = select(trials).where(trials.c.id.in_(trial_ids)).order_by(trials.c.number)
    return [trial_from_row(row) for row in connection.execute(statement)]


def insert_trials(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert trials of a locked sweep; all rows have the same columns, the first one's."""
    if rows:
        columns = tuple(rows[0])
        insert_rows(connection, trials, columns, [tuple(row[name] for name in columns) for row in rows])


def count_states(connection: Connection, sweep_id: str) -> dict[TrialState, int]:
    """How many trials of a sweep are in each state; states without trials are 0."""
    statement = select(trials.c.state, func.count()).where(trials.c.sweep_id == sweep_id).group_by(trials.c.state)
    return dict.fromkeys(TrialState, 0) | dict(connection.execute(statement).tuples().all())


def version_of_ended(connection: Connection, sweep_id: str) -> tuple[int, int]:
    """Another one whenever a trial of the sweep has ended, or goes on after it had: how many ended, and the last."""
    ended = trials.c.state.in_([state for state in TrialState if state.is_final])
    statement = select(func.count(), func.coalesce(func.max(trials.c.revision), 0))
    count, revision = connection.execute(statement.where(trials.c.sweep_id == sweep_id, ended)).one()
    return count, revision


def facts_since(connection: Connection, sweep_id: str, revision: int, *, rescues_only: bool = False) -> list[TrialFact]:
    """What the search must know of the trials that changed after a revision, in the order of their numbers."""
    statement = (
        select(trials).where(trials.c.sweep_id == sweep_id, trials.c.revision > revision).order_by(trials.c.number)
    )
    if rescues_only:
        statement = statement.where(trials.c.rescue_of.is_not(None))
    return [
        TrialFact(
            number=row.number,
            state=row.state,
            parameters=parameters_from_row(row),
            objective=row.objective,
            epoch=row.epoch,
            diverged=row.prune_reason in (PruneReason.NONFINITE, PruneReason.BLOWUP),
            revision=row.revision,
            measured={name: getattr(row, name) for name in _MEASURED},
            is_rescue=row.rescue_of is not None,
        )
        for row in connection.execute(statement)
    ]
