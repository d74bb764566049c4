"""What was reported and what happened: epochs, layers and events of the past, in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from service.database.tables import attempts, epochs, events, layer_epochs, sweeps
from service.domain.states import SweepState


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a sweep; numbers count from 1 without gaps."""

    number: int
    kind: str
    at_ms: int
    trial_id: str | None
    body: dict[str, Any]


def epochs_of(connection: Connection, trial_id: str, attempt: int) -> Sequence[Row[Any]]:
    """The epochs of one attempt, in order."""
    statement = select(epochs).where(epochs.c.trial_id == trial_id, epochs.c.attempt == attempt)
    return connection.execute(statement.order_by(epochs.c.epoch)).all()


def attempts_of(connection: Connection, trial_id: str) -> Sequence[Row[Any]]:
    """All attempts at a trial, in order."""
    return connection.execute(
        select(attempts).where(attempts.c.trial_id == trial_id).order_by(attempts.c.attempt)
    ).all()


def layers_of(
    connection: Connection, trial_id: str, attempt: int, *, layer: int | None, from_epoch: int
) -> Sequence[Row[Any]]:
    """Gradient statistics of one attempt from an epoch on, by epoch, then layer."""
    statement = select(layer_epochs).where(
        layer_epochs.c.trial_id == trial_id, layer_epochs.c.attempt == attempt, layer_epochs.c.epoch >= from_epoch
    )
    if layer is not None:
        statement = statement.where(layer_epochs.c.layer == layer)
    return connection.execute(statement.order_by(layer_epochs.c.epoch, layer_epochs.c.layer)).all()


def events_after(connection: Connection, sweep_id: str, number: int, limit: int) -> list[Event]:
    """Events of a sweep after a number, in order."""
    statement = (
        select(events)
        .where(events.c.sweep_id == sweep_id, events.c.number > number)
        .order_by(events.c.number)
        .limit(limit)
    )
    return [Event(row.number, row.kind, row.at_ms, row.trial_id, row.body) for row in connection.execute(statement)]


def last_event(connection: Connection, sweep_id: str) -> tuple[int, bool] | None:
    """The number of a sweep's newest event, and whether the sweep is over; None if there is no such sweep."""
    statement = select(sweeps.c.n_events, sweeps.c.state).where(sweeps.c.id == sweep_id)
    row = connection.execute(statement).one_or_none()
    return None if row is None else (row.n_events, row.state in (SweepState.COMPLETED, SweepState.CANCELLED))
