"""The trials that leases hold: finding them by their fence, writing what became of them.

Whoever changes them holds the locks of the lease and of their sweeps.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from service.database.attempts import Fence
from service.database.bulk import json_text, update_rows
from service.database.tables import trials
from service.domain.report import MEASURED
from service.domain.stability.enforcement import APPRAISED
from service.domain.states import FailureKind, TrialState

_PROGRESS = (
    *("epoch", "objective", "best_epoch", "wall_seconds", "device_seconds", *MEASURED),
    *("rule_warnings", "would_have_pruned", "would_have_pruned_epoch"),
)
"""Columns that a report changes of a trial that goes on: all that it need know of what was before."""

_ENDING = (
    *("state", "prune_reason", "prune_detail", "failure_kind", "failure_type", "failure_message"),
    *("failure_traceback", "lease_id", "test_loss", "test_accuracy", "ended_at_ms"),
    *(name for name in APPRAISED if name not in _PROGRESS),
)
"""Columns that are written when a lease loses a trial by a report. A running trial has nothing in them but its state
and lease; what a failure of before left there was cleared when it was given to wait again."""

_JSON = frozenset({"rule_warnings", "stability_parts", "verdict_evidence"})


@dataclass(frozen=True, slots=True)
class LeasedTrial:
    """What a report needs to know of a running trial; `values` are columns that it may change, or has changed."""

    id: str
    sweep_id: str
    number: int
    attempt: int
    epochs: int
    stop_requested: bool
    batch_limit: int | None
    lost: int
    values: dict[str, Any]


def _leased_trial(row: Row[Any]) -> LeasedTrial:
    return LeasedTrial(
        id=row.id,
        sweep_id=row.sweep_id,
        number=row.number,
        attempt=row.attempt,
        epochs=row.epochs,
        stop_requested=row.stop_requested,
        batch_limit=row.batch_limit,
        lost=row.lost,
        values={"state": TrialState.RUNNING} | {name: getattr(row, name) for name in _PROGRESS},
    )


_LEASED = select(
    *(trials.c[name] for name in ("id", "sweep_id", "number", "attempt", "epochs", "stop_requested")),
    *(trials.c[name] for name in ("batch_limit", "lost")),
    *(trials.c[name] for name in _PROGRESS),
).where(trials.c.lease_id == bindparam("lease_id"))
_HELD = _LEASED.order_by(trials.c.id)
_HELD_OF = _LEASED.where(trials.c.id.in_(bindparam("trial_ids", expanding=True)))
_SWEEPS_OF = select(trials.c.sweep_id).where(trials.c.id.in_(bindparam("trial_ids", expanding=True))).distinct()
_SWEEPS_HELD = select(trials.c.sweep_id).where(trials.c.lease_id == bindparam("lease_id")).distinct()


def held_by(connection: Connection, lease_id: str) -> list[LeasedTrial]:
    """All trials that a lease holds: its batch, in the order of their ids."""
    return [_leased_trial(row) for row in connection.execute(_HELD, {"lease_id": lease_id})]


def held_by_fence(connection: Connection, lease_id: str, fences: Collection[Fence]) -> dict[Fence, LeasedTrial]:
    """The trials that a lease holds in just these attempts. What is not in here may not be written to."""
    ids = list({trial_id for trial_id, _attempt in fences})
    rows = connection.execute(_HELD_OF, {"lease_id": lease_id, "trial_ids": ids})
    held = {row.id: _leased_trial(row) for row in rows}
    return {
        (trial_id, attempt): held[trial_id]
        for trial_id, attempt in fences
        if trial_id in held and held[trial_id].attempt == attempt
    }


def sweeps_of(connection: Connection, trial_ids: Collection[str]) -> list[str]:
    """The sweeps that these trials belong to."""
    return list(connection.execute(_SWEEPS_OF, {"trial_ids": list(trial_ids)}).scalars())


def sweeps_held_by(connection: Connection, lease_id: str) -> list[str]:
    """The sweeps whose trials a lease holds; under the lease's lock no sweep can be added to them."""
    return list(connection.execute(_SWEEPS_HELD, {"lease_id": lease_id}).scalars())


def write_results(connection: Connection, changed: Sequence[LeasedTrial]) -> None:
    """Write the `values` of trials that were found by their fence in this transaction."""
    going_on = [trial for trial in changed if trial.values["state"] is TrialState.RUNNING]
    others = [trial for trial in changed if trial.values["state"] is not TrialState.RUNNING]
    for written, columns in ((going_on, _PROGRESS), (others, (*_PROGRESS, *_ENDING))):
        names = (*columns, "revision")
        rows = [(*(_plain(name, trial.values.get(name)) for name in names), trial.id) for trial in written]
        update_rows(connection, trials, ("id",), names, rows)


def _plain(name: str, value: Any) -> Any:
    if name in _JSON:
        return json_text(value)
    return value.value if isinstance(value, Enum) else value


@dataclass(frozen=True, slots=True)
class GivenBack:
    """The columns of a trial that its lease no longer holds, though no report ended it."""

    id: str
    state: TrialState
    lost: int
    batch_limit: int | None
    not_before_ms: int
    failure_kind: FailureKind | None
    failure_type: str | None
    failure_message: str | None
    revision: int
    ended_at_ms: int | None


_BACK = tuple(field.name for field in fields(GivenBack) if field.name != "id")
_GIVE_BACK = (
    update(trials)
    .where(trials.c.id == bindparam("of_trial"))
    .values(
        {name: bindparam(f"new_{name}", type_=trials.c[name].type) for name in _BACK}
        | {"lease_id": None, "stop_requested": False}
    )
)


def give_back(connection: Connection, returned: Sequence[GivenBack]) -> None:
    """Take trials from their lease."""
    if returned:
        connection.execute(
            _GIVE_BACK,
            [{"of_trial": one.id} | {f"new_{name}": getattr(one, name) for name in _BACK} for one in returned],
        )
