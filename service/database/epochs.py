"""The epochs and layer_epochs tables: measured rows, each stored once, keyed (trial, attempt, epoch)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from service.database.tables import epochs, layer_epochs, trials
from service.domain.rungs import RungValue
from service.domain.states import Directive

EpochKey = tuple[str, int, int]
"""A trial's id, an attempt, an epoch."""


@dataclass(frozen=True, slots=True)
class StoredEpoch:
    """What was answered when an epoch came first, and the hash of what came."""

    content_hash: str
    directive: Directive
    reason: str | None


def stored_epochs(
    connection: Connection, trial_ids: Collection[str], numbers: Collection[int]
) -> dict[EpochKey, StoredEpoch]:
    """The rows of these trials and epochs, of whichever attempt."""
    if not numbers:
        return {}
    statement = select(
        epochs.c.trial_id,
        epochs.c.attempt,
        epochs.c.epoch,
        epochs.c.content_hash,
        epochs.c.directive,
        epochs.c.directive_reason,
    ).where(epochs.c.trial_id.in_(trial_ids), epochs.c.epoch.in_(numbers))
    return {
        (row.trial_id, row.attempt, row.epoch): StoredEpoch(row.content_hash, row.directive, row.directive_reason)
        for row in connection.execute(statement)
    }


def insert_epochs(
    connection: Connection, epoch_rows: Sequence[dict[str, Any]], layer_rows: Sequence[dict[str, Any]]
) -> None:
    """Store measured rows; each is a full set of columns."""
    if epoch_rows:
        connection.execute(insert(epochs), list(epoch_rows))
    if layer_rows:
        connection.execute(insert(layer_epochs), list(layer_rows))


def rung_values(connection: Connection, sweep_id: str, epoch: int) -> list[RungValue]:
    """What each trial of a locked sweep had at an epoch, in its present attempt."""
    statement = (
        select(trials.c.number, epochs.c.objective)
        .join(epochs, (epochs.c.trial_id == trials.c.id) & (epochs.c.attempt == trials.c.attempt))
        .where(trials.c.sweep_id == sweep_id, epochs.c.epoch == epoch)
    )
    return [RungValue(row.number, row.objective) for row in connection.execute(statement)]
