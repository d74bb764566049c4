"""The trials that leases hold: finding them by their fence, writing what became of them.

Whoever changes them holds the locks of the lease and of their sweeps.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from service.database.attempts import Fence
from service.database.tables import trials
from service.domain.report import MEASURED
from service.domain.stability.enforcement import APPRAISED
from service.domain.states import FailureKind, TrialState

_RESULTS = (
    *("state", "prune_reason", "prune_detail", "failure_kind", "failure_type", "failure_message"),
    *("failure_traceback", "lease_id", "epoch", "objective", "best_epoch", "test_loss", "test_accuracy"),
    *("wall_seconds", "device_seconds", "revision", "ended_at_ms"),
    *MEASURED,
    *APPRAISED,
)


@dataclass(frozen=True, slots=True)
class LeasedTrial:
    """What a report needs to know of a running trial; `values` are the columns that it may change."""

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
        values={name: getattr(row, name) for name in _RESULTS},
    )


_LEASED = select(
    *(trials.c[name] for name in ("id", "sweep_id", "number", "attempt", "epochs", "stop_requested")),
    *(trials.c[name] for name in ("batch_limit", "lost")),
    *(trials.c[name] for name in _RESULTS),
)


def held_by(connection: Connection, lease_id: str) -> list[LeasedTrial]:
    """All trials that a lease holds: its batch, in the order of their ids."""
    statement = _LEASED.where(trials.c.lease_id == lease_id).order_by(trials.c.id)
    return [_leased_trial(row) for row in connection.execute(statement)]


def held_by_fence(connection: Connection, lease_id: str, fences: Collection[Fence]) -> dict[Fence, LeasedTrial]:
    """The trials that a lease holds in just these attempts. What is not in here may not be written to."""
    ids = {trial_id for trial_id, _attempt in fences}
    statement = _LEASED.where(trials.c.lease_id == lease_id, trials.c.id.in_(ids))
    held = {row.id: _leased_trial(row) for row in connection.execute(statement)}
    return {
        (trial_id, attempt): held[trial_id]
        for trial_id, attempt in fences
        if trial_id in held and held[trial_id].attempt == attempt
    }


def sweeps_of(connection: Connection, trial_ids: Collection[str]) -> list[str]:
    """The sweeps that these trials belong to."""
    statement = select(trials.c.sweep_id).where(trials.c.id.in_(trial_ids)).distinct()
    return list(connection.execute(statement).scalars())


def sweeps_held_by(connection: Connection, lease_id: str) -> list[str]:
    """The sweeps whose trials a lease holds; under the lease's lock no sweep can be added to them."""
    statement = select(trials.c.sweep_id).where(trials.c.lease_id == lease_id).distinct()
    return list(connection.execute(statement).scalars())


_WRITE = (
    update(trials)
    .where(trials.c.id == bindparam("of_trial"))
    .values({name: bindparam(f"new_{name}", type_=trials.c[name].type) for name in _RESULTS})
)


def write_results(connection: Connection, changed: Sequence[LeasedTrial]) -> None:
    """Write the `values` of trials that were found by their fence in this transaction."""
    if changed:
        connection.execute(
            _WRITE,
            [
                {"of_trial": trial.id} | {f"new_{name}": value for name, value in trial.values.items()}
                for trial in changed
            ],
        )


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
