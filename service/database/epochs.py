"""The epochs and layer_epochs tables: measured rows, each stored once, keyed (trial, attempt, epoch)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select

from service.database.bulk import insert_rows
from service.database.feasible import keeps_bounds
from service.database.tables import epochs, layer_epochs, trials
from service.domain.rungs import RungValue
from service.domain.states import Directive, TrialState
from service.domain.sweep import Sweep
from service.wire.leases import EpochReport, LayerReport

EpochKey = tuple[str, int, int]
"""A trial's id, an attempt, an epoch."""

_FENCE = ("trial_id", "attempt")
MEASURED_EPOCH = tuple(name for name in EpochReport.model_fields if name not in ("layers", "nonfinite_values"))
EPOCH_COLUMNS = (
    *_FENCE,
    *MEASURED_EPOCH,
    *("nonfinite_values", "objective", "directive", "directive_reason", "content_hash", "reported_at_ms"),
)
"""Columns of `epochs`: the fence, what the worker measured, and what the service made of it."""

MEASURED_LAYER = tuple(name for name in LayerReport.model_fields if name != "nonfinite_values")
LAYER_COLUMNS = (*_FENCE, "epoch", *MEASURED_LAYER, "nonfinite_values")
"""Columns of `layer_epochs`: the epoch's key, and what the worker measured of a kernel."""


@dataclass(frozen=True, slots=True)
class StoredEpoch:
    """What was answered when an epoch came first, and the hash of what came."""

    content_hash: str
    directive: Directive
    reason: str | None


_STORED = select(
    epochs.c.trial_id,
    epochs.c.attempt,
    epochs.c.epoch,
    epochs.c.content_hash,
    epochs.c.directive,
    epochs.c.directive_reason,
).where(
    epochs.c.trial_id.in_(bindparam("trial_ids", expanding=True)),
    epochs.c.epoch.in_(bindparam("epochs", expanding=True)),
)


def stored_epochs(
    connection: Connection, trial_ids: Collection[str], numbers: Collection[int]
) -> dict[EpochKey, StoredEpoch]:
    """The rows of these trials and epochs, of whichever attempt."""
    if not numbers:
        return {}
    rows = connection.execute(_STORED, {"trial_ids": list(trial_ids), "epochs": list(numbers)})
    return {
        (row.trial_id, row.attempt, row.epoch): StoredEpoch(row.content_hash, row.directive, row.directive_reason)
        for row in rows
    }


def insert_epochs(
    connection: Connection, epoch_rows: Sequence[Sequence[Any]], layer_rows: Sequence[Sequence[Any]]
) -> None:
    """Store measured rows: values in the order of EPOCH_COLUMNS and LAYER_COLUMNS, as the drivers take them."""
    insert_rows(connection, epochs, EPOCH_COLUMNS, epoch_rows)
    insert_rows(connection, layer_epochs, LAYER_COLUMNS, layer_rows)


_RUNG = (
    select(trials.c.number, epochs.c.objective)
    .join(epochs, (epochs.c.trial_id == trials.c.id) & (epochs.c.attempt == trials.c.attempt))
    .where(trials.c.sweep_id == bindparam("sweep_id"), epochs.c.epoch == bindparam("epoch"))
)


def rung_values(connection: Connection, sweep: Sweep, epoch: int) -> list[RungValue]:
    """What each trial of a locked sweep had at an epoch, in its present attempt.

    A trial that ended and broke a bound of the sweep is left out, so that it displaces none that may keep them.
    """
    statement = _RUNG
    if sweep.goals.constraints:
        is_open = trials.c.state.in_((TrialState.WAITING, TrialState.RUNNING))
        statement = _RUNG.where(is_open | keeps_bounds(sweep.goals, trials.c))
    rows = connection.execute(statement, {"sweep_id": sweep.id, "epoch": epoch})
    return [RungValue(row.number, row.objective) for row in rows]
